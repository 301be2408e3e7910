"""What Flask calls around every request: reset, write the response, answer verdicts."""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response as BaseResponse

from ..errors import ConfigError, SessionHTTPError
from ..sessions.session import Session
from . import pages
from .context import existing_state, this_app, this_namespace, this_request
from .current import extension_of_current_app
from .proxies import current_session, current_user
from .transport import ResponseWriter, keep_out_of_caches, vary_by_tokens
from .verify import origin_of_api, refuse

if TYPE_CHECKING:
    from flask import Flask, Response

    from ..extension import STSession

logger = logging.getLogger("flask_stsession")

#: On a function that ``verify_session`` has wrapped, and naming it: the wrapper is what must be registered.
GUARDED = "__stsession_guarded__"
#: On a view function or class that ``session_exempt`` marked.
EXEMPT = "__stsession_exempt__"


def register(app: Flask, ext: STSession) -> None:
    """Register our hooks with the app, and give every app context a ``g.session``."""
    namespace_class: Any = type("_AppCtxGlobals", (app.app_ctx_globals_class,), {"session": None})
    app.app_ctx_globals_class = namespace_class
    first_request = _FirstRequest(ext)

    def reset() -> None:
        # An app context that outlives requests (a test's, a shell's) still holds the last one's session.
        namespace = this_namespace()
        if isinstance(namespace.get("session"), Session) and existing_state(this_request()) is None:
            del namespace["session"]

    def start() -> None:
        reset()
        if first_request.pending:
            first_request.check(this_app())
        if first_request.found_unguarded:
            first_request.refuse(this_request().endpoint)

    def finish(response: Response) -> Response:
        request = this_request()
        state = existing_state(request)
        if state is None:
            return response
        if state.consulted:
            vary_by_tokens(response)
        if state.changes:
            writer = ResponseWriter(
                ext.config,
                root_url=origin_of_api(request),
                refresh_path=f"{ext.config.mount_path(request.script_root)}/session/refresh",
            )
            writer.write(state.changes, response)
            keep_out_of_caches(response)
        return response

    if app.before_request_funcs.get(None):
        # They come before ``start``; URL preprocessors come before them, and cost every request.
        app.url_value_preprocessor(lambda *_: reset())
    app.before_request(start)
    app.after_request(finish)
    app.register_error_handler(SessionHTTPError, _answer)
    app.context_processor(_template_names)


def _answer(error: SessionHTTPError) -> BaseResponse:
    ext = extension_of_current_app()
    refuse(ext, error)
    return pages.answer(ext, error)


def _has_own_handler(app: Flask, error: SessionHTTPError) -> bool:
    """Does the app answer this error by its class, rather than by its status or with all others?"""
    for name in (*this_request().blueprints, None):
        for handlers in app.error_handler_spec.get(name, {}).values():
            for kind, handler in handlers.items():
                if issubclass(kind, SessionHTTPError) and isinstance(error, kind) and handler is not _answer:
                    return True
    return False


def _record_before_others_answer(app: Flask, ext: STSession) -> None:
    """Record what a verdict clears on the client, and carry navigations on, before anybody answers.

    Flask-RESTful and Flask-RESTX answer the errors of their views themselves, and an app's handler of 401
    or of ``Exception`` knows nothing of tokens. Those two wrap the same method when they are initialised:
    hence at the first request, when all have.
    """
    handle = app.handle_user_exception

    def handle_user_exception(e: Exception) -> Any:
        if isinstance(e, SessionHTTPError):
            refuse(ext, e)
            elsewhere = None if _has_own_handler(app, e) else pages.sent_elsewhere(ext, e)
            if elsewhere is not None:
                return elsewhere
        return handle(e)

    app.handle_user_exception = handle_user_exception  # type: ignore[method-assign]


def is_bypassed(view: Any) -> bool:
    """Is this what ``verify_session`` has wrapped, rather than the wrapper?

    ``functools.wraps`` copies attributes, so the mark counts only on the function that it names.
    """
    return GUARDED in getattr(view, "__dict__", ()) and view.__dict__[GUARDED] is view


def is_exempt(view: Any) -> bool:
    """Did ``session_exempt`` mark this view function, or the class behind it?"""
    return getattr(view, EXEMPT, False) or getattr(getattr(view, "view_class", None), EXEMPT, False)


def _template_names() -> dict[str, Any]:
    return {"current_session": current_session, "current_user": current_user}


def _misordered(endpoint: str) -> ConfigError:
    return ConfigError(
        f"The view of the endpoint {endpoint!r} is not protected: @verify_session() stands above the route, "
        "so the function was registered without it. Put @app.route(...) (or @app.get, @blueprint.post, ...) "
        "on top and @verify_session() below it. If the view is meant to be public as well, mark it with "
        "@session_exempt."
    )


def _bypassed(name: str) -> ConfigError:
    return ConfigError(
        f"The before_request function {name!r} guards nothing: @verify_session() stands above "
        "@before_request, so the function was registered without it. Put @before_request on top and "
        "@verify_session() below it."
    )


class _FirstRequest:
    """What can only be known once the app is complete: looked at once, when the first request comes."""

    def __init__(self, ext: STSession) -> None:
        self._ext = ext
        self.pending = True
        self.found_unguarded = False
        # Endpoints, and a ``before_request`` function, that were registered without their guard.
        self._endpoints: frozenset[str] = frozenset()
        self._function: str | None = None

    def refuse(self, endpoint: str | None) -> None:
        """Serve nothing that its author takes for guarded.

        :raises ConfigError: saying what to put where.
        """
        if self._function is not None:
            raise _bypassed(self._function)
        if endpoint in self._endpoints:
            raise _misordered(endpoint)

    def check(self, app: Flask) -> None:
        """Look at what has been registered; Flask takes nothing more from now on."""
        # All of this before ``pending`` falls: the request of another thread must not slip by.
        for function in chain.from_iterable(app.before_request_funcs.values()):
            if is_bypassed(function) and not is_exempt(function):
                self._function = getattr(function, "__name__", str(function))
        self._endpoints = frozenset(
            endpoint
            for endpoint, view in app.view_functions.items()
            if is_bypassed(view) and not is_exempt(view)
        )
        self.found_unguarded = bool(self._function or self._endpoints)
        self.pending = False
        self._ext.exempt_from_csrf_protect(app)
        _record_before_others_answer(app, self._ext)
        self._warn_of_shared_rules(app)

    def _warn_of_shared_rules(self, app: Flask) -> None:
        ours = self._ext.blueprint.name + "."
        rules: dict[str, set[str]] = {}
        for rule in app.url_map.iter_rules():
            if rule.endpoint.startswith(ours):
                rules.setdefault(rule.rule.rstrip("/"), set()).update(rule.methods or ())
        for rule in app.url_map.iter_rules():
            shared = rules.get(rule.rule.rstrip("/"), set()) & (rule.methods or set()) - {"OPTIONS", "HEAD"}
            if shared and not rule.endpoint.startswith(ours):
                logger.warning(
                    "%s %s is served by the endpoint %r of the app and by a route of flask-stsession. Leave "
                    "ours out of STSESSION_ROUTES to serve it yourself.",
                    "/".join(sorted(shared)),
                    rule.rule,
                    rule.endpoint,
                )
