"""Look up the current app, request and extension, and keep our state of a request on the request itself.

State that hangs on the request object cannot leak into another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from flask import current_app, g, has_request_context, request as current_request
from flask.globals import app_ctx

from ..errors import ConfigError, TooLateError
from ..sessions.client_changes import ChangeRecord
from ..sessions.session import Session
from .base import STATE

if TYPE_CHECKING:
    from flask import Flask, Request
    from flask.ctx import AppContext
    from werkzeug.local import LocalProxy

    from ..errors import SessionHTTPError
    from .base import AppState, Extension

#: Where the state of a request hangs on the request object.
STATE_ATTRIBUTE = "_stsession_state"
#: On a request that has used no session, once its response has been written.
WRITTEN_ATTRIBUTE = "_stsession_written"


class RequestState(ChangeRecord):
    """The session of one request, and what the client must learn of it.

    Views read ``g.session``; our own code reads this. A request that has one depends on who asks.
    """

    #: Verified, created or refreshed in this request.
    session: Session | None = None
    #: The verdict that was recorded last, so that whoever passes it on does not record it again.
    refused: SessionHTTPError | None = None
    #: What ``current_session`` found before there was a ``session``, once it has looked.
    peeked: Session | None = None
    has_peeked: bool = False
    #: Has it been shown that a page of ours sent the request?
    origin_checked: bool = False
    #: Has it been ruled out that another site wants the client signed out?
    sender_checked: bool = False
    #: The ``Inquiry`` that a guard makes of an overridden ``get_session``, while that runs.
    inquiry: Any = None
    #: What the ``user_loader`` returned, and for whom it was asked.
    user: Any = None
    user_id: str | None = None

    _context: dict[str, Any] | None = None

    @property
    def context(self) -> dict[str, Any]:
        """The ``user_context`` of this request."""
        if self._context is None:
            self._context = {}
        return self._context

    def forget_session(self) -> None:
        """The session has ended: nobody is signed in for the rest of the request."""
        self.session = self.peeked = None
        self.has_peeked = True


# Flask types its proxies as what they stand for; the objects themselves are looked up here, once each.
_REQUEST = cast("LocalProxy[Request]", current_request)
_APP = cast("LocalProxy[Flask]", current_app)
_APP_CONTEXT = cast("LocalProxy[AppContext]", app_ctx)
_G = cast("LocalProxy[Any]", g)


#: Return the current request itself, not the proxy: looked up once, and what state may be kept on.
this_request: Final = _REQUEST._get_current_object
#: Return the current app itself, not the proxy.
this_app: Final = _APP._get_current_object
#: Return the current app context itself, which has the app and ``g``.
this_app_context: Final = _APP_CONTEXT._get_current_object
#: Return the current ``g`` itself, not the proxy.
this_g: Final = _G._get_current_object


def app_state_of(app: Flask) -> AppState:
    """Return what ``init_app`` made for this app.

    :raises RuntimeError: there is no STSession on the app.
    """
    try:
        state: AppState = app.extensions[STATE]
    except KeyError:
        raise RuntimeError(
            f"The app {app.name!r} has no STSession. Initialise it: STSession(app), or "
            "stsession.init_app(app)."
        ) from None
    return state


def current_app_state() -> AppState:
    """Return what ``init_app`` made for the current app.

    :raises RuntimeError: there is no app context, or no STSession on the app.
    """
    try:
        app = this_app()
    except RuntimeError:
        raise RuntimeError(
            "flask-stsession was used outside of an app context, so it cannot know which app is meant. Use "
            'app.extensions["stsession"], or do it in "with app.app_context():".'
        ) from None
    return app.extensions.get(STATE) or app_state_of(app)


def current_extension() -> Extension:
    """Return the extension object of the current app.

    :raises RuntimeError: there is no app context, or no STSession on the app.
    """
    return current_app_state().extension


def check_current_request(request: object) -> None:
    """Refuse a request other than the current one, the only one that can be answered.

    :param request: whatever was given as ``request=``.
    :raises TypeError: it is another one.
    """
    if request is current_request or request is this_request():
        return
    raise TypeError(
        f"{request!r:.100} is not the current request, the only one that can be answered. Omit the argument; "
        "the current request is used."
    )


def existing_state(request: Request) -> RequestState | None:
    """The state of a request that has used a session; ``None`` for all others."""
    return request.__dict__.get(STATE_ATTRIBUTE)


def request_state(request: Request) -> RequestState:
    """The state of a request, made at first need."""
    attributes = request.__dict__
    state: RequestState | None = attributes.get(STATE_ATTRIBUTE)
    if state is None:
        state = attributes[STATE_ATTRIBUTE] = RequestState()
        if WRITTEN_ATTRIBUTE in attributes or "HTTP_UPGRADE" in request.environ or "sid" in attributes:
            state.is_written = WRITTEN_ATTRIBUTE in attributes or _is_of_socket(request)
    return state


def _is_of_socket(request: Request) -> bool:
    # The handshake of a WebSocket, or an event of Flask-SocketIO: no response of ours.
    return is_handshake(request) or "sid" in request.__dict__


def is_handshake(request: Request) -> bool:
    """Return whether a request asks for a WebSocket (RFC 6455, 4.1)."""
    upgrade: str = request.environ.get("HTTP_UPGRADE", "")
    return "websocket" in upgrade.lower()


def request_of(method: str, *, instead: str) -> Request:
    """Return the current request, on whose session a method works.

    :param method: the name of the method that was called.
    :param instead: the method to call instead, with its arguments, where there is no request.
    :raises RuntimeError: there is no request.
    """
    if has_request_context():
        return this_request()
    raise RuntimeError(
        f"{method}() works on the session of a request, and there is no request here. Call {instead} instead."
    )


def state_to_change(method: str, *, instead: str) -> RequestState:
    """Return the state of the current request, whose response is to carry a change of the session.

    :param method: the name of the method that was called.
    :param instead: the method to call instead, with its arguments, where there is no response.
    :raises RuntimeError: there is no request.
    :raises TooLateError: the response has been written.
    """
    request = request_of(method, instead=instead)
    state = request_state(request)
    if state.is_written:
        raise TooLateError(method, instead=instead)
    return state


def own_session(handle: str) -> Session | None:
    """Return the session of the current request if it has this handle and the client can learn of changes."""
    if not has_request_context():
        return None
    state = existing_state(this_request())
    if state is None or state.is_written:
        return None
    session = state.session or state.peeked
    return session if session is not None and session.get_handle() == handle else None


def publish(session: Session | None, g: Any) -> None:
    """Put the session on ``g`` for the views.

    :raises ConfigError: something that is not ours lies there.
    """
    present = getattr(g, "session", None)  # the app may have set a namespace class without it, after ours
    if present is not None and not isinstance(present, Session):
        kind = type(present)
        raise ConfigError(
            f"g.session holds a {kind.__module__}.{kind.__qualname__}, but flask-stsession keeps the session "
            "of the signed-in user there. Keep yours under another name, g.db_session for example."
        )
    g.session = session


def hand_out(state: RequestState, session: Session) -> None:
    """Make a new or refreshed session this request's, and have its tokens go out with the response."""
    state.session = session
    session.attach(state)
    publish(session, this_g())


def sent_site(request: Request, origin: str | None) -> str | None:
    """Return the header ``Sec-Fetch-Site``, by which browsers say where a request comes from.

    While an app is tested, a request with neither this header nor an ``Origin`` counts as one of a page of
    ours: test clients send none of the two, browsers at least the latter with every form.

    :param origin: header ``Origin``, or what stands for it.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is None and origin is None and this_app().testing:
        return "same-origin"
    return site


def origin_of_api(request: Request) -> str:
    """Return scheme and host of this request, as its client wrote them."""
    environ = request.environ
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or request.host}"
