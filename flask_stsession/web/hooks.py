"""The hooks that Flask calls around every request: reset ``g``, write the response, handle verdicts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import SessionHTTPError
from ..sessions.session import Session
from . import pages
from .context import (
    STATE_ATTRIBUTE,
    WRITTEN_ATTRIBUTE,
    RequestState,
    existing_state,
    origin_of_api,
    this_g,
    this_request,
)
from .delivery import Delivery
from .first_request import FirstRequest
from .hints import is_in_development, page_elsewhere
from .proxies import current_session, current_user
from .request_body import read_refused_body
from .transport import ResponseWriter, Turns, write_reason

if TYPE_CHECKING:
    from flask import Response

    from .base import AppState


#: As Werkzeug spells them.
_OF_EVERY_RESPONSE = frozenset(["Content-Type", "Content-Length"])


def register(app_state: AppState) -> None:
    """Register our hooks with the app, and give every app context a ``g.session``."""
    app = app_state.app
    namespace_class: Any = type("_AppCtxGlobals", (app.app_ctx_globals_class,), {"session": None})
    app.app_ctx_globals_class = namespace_class
    first_request = FirstRequest(app_state)
    turns = Turns()
    delivery = Delivery(app_state.config)

    def reset() -> None:
        # An app context that outlives a request (in a test, in a shell) still holds that request's session.
        g = this_g()
        if isinstance(getattr(g, "session", None), Session) and existing_state(this_request()) is None:
            del g.session

    def start() -> None:
        if getattr(this_g(), "session", None) is not None:
            reset()
        if first_request.checks:
            first_request.check()

    def finish(response: Response) -> Response:
        request = this_request()
        attributes = request.__dict__
        state: RequestState | None = attributes.get(STATE_ATTRIBUTE)
        if state is None:
            attributes[WRITTEN_ATTRIBUTE] = True
            return response
        if state.refused is not None:
            if response.status_code >= 300:
                read_refused_body(request)
            if is_in_development(app):
                exposed = page_elsewhere(app_state.config, request) is not None
                write_reason(response, state.refused.reason, exposed=exposed)
        said = _tell_caches(response)
        if said is not None and (state.session or state.peeked):
            delivery.warn_of_public(request, said)
        changes = state.pending
        if changes is not None:
            writer = ResponseWriter(
                app_state.config,
                origin=partial(origin_of_api, request),
                script_root=request.script_root,
                turns=turns,
            )
            writer.write(changes, response)
            issued = changes.issued
            if issued is not None and issued.method == "cookie":
                delivery.warn_of_lost_cookies(request, writer.attributes)
        state.is_written = True
        return response

    if app.before_request_funcs.get(None):
        # The app's own functions run before ``start``. A URL preprocessor runs before them, but costs
        # every request something.
        app.url_value_preprocessor(lambda *_: reset())
    app.before_request(start)
    app.after_request(finish)
    app.register_error_handler(SessionHTTPError, pages.handle_verdict)
    # First, so that the names of the app and other extensions replace ours.
    app.template_context_processors[None].insert(0, lambda: _template_names(app_state))


def _tell_caches(response: Response) -> str | None:
    """Tell caches that a response depends on the user, and keep it out of shared caches.

    Adds to the app's ``Vary``, and leaves the app's ``Cache-Control`` as it is.

    :returns: the app's ``Cache-Control``, or ``None``.
    """
    headers = response.headers
    vary: list[str] = []
    said: str | None = None
    for name, value in headers:  # one pass: a single look-up by Werkzeug costs more
        if name in _OF_EVERY_RESPONSE:
            continue
        lowered = name.lower()
        if lowered == "vary":
            vary.append(value)
        elif lowered == "cache-control":
            said = value
    if not vary:  # nearly always: no need to parse and merge
        headers.add("Vary", "Cookie, Authorization")
    else:
        if len(vary) > 1:  # Werkzeug reads only the first, and would replace all by it
            headers["Vary"] = ", ".join(vary)
        response.vary.update(("Cookie", "Authorization"))
    if said is None:
        headers.add("Cache-Control", "private")
    return said


def _template_names(app_state: AppState) -> dict[str, Any]:
    """Return our names for templates, except those that are globals of the app's Jinja environment."""
    names: dict[str, Any] = {"current_session": current_session}
    if app_state.extension.has_loader("user_loader"):
        names["current_user"] = current_user
    return {name: names[name] for name in names.keys() - app_state.app.jinja_env.globals.keys()}
