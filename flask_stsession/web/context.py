"""Look up the current app, request and extension, and keep our state of a request on the request object.

State on the request object cannot leak into another request.
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

#: The attribute of a request that holds its state.
STATE_ATTRIBUTE = "_stsession_state"
#: Set on a request that has used no session, once its response has been written.
WRITTEN_ATTRIBUTE = "_stsession_written"


class RequestState(ChangeRecord):
    """The session of one request, and the changes to send to its client.

    Views read ``g.session``; our own code reads this. The response to a request with such a state depends on
    the user.
    """

    #: Verified, created or refreshed in this request.
    session: Session | None = None
    #: The verdict that was recorded last, so that it is recorded only once while it propagates.
    refused: SessionHTTPError | None = None
    #: The session that ``current_session`` found before a guard set ``session``.
    peeked: Session | None = None
    #: Whether ``current_session`` has looked for a session.
    has_peeked: bool = False
    #: Whether a check has shown that one of our pages sent the request.
    origin_checked: bool = False
    #: Whether a check has shown that no other site caused the sign-out.
    sender_checked: bool = False
    #: The ``Inquiry`` of the guard that is calling an overridden ``get_session``.
    inquiry: Any = None
    #: The user that the ``user_loader`` returned, and the id that it was called with.
    user: Any = None
    user_id: str | None = None

    #: The ``user_context`` of this request; ``request_state`` sets it.
    context: dict[str, Any]

    def forget_session(self) -> None:
        """Drop a session that has ended: no user is signed in for the rest of the request."""
        self.session = self.peeked = None
        self.has_peeked = True


# Flask annotates its proxies as the objects behind them; these casts give access to the proxies' own method.
_REQUEST = cast("LocalProxy[Request]", current_request)
_APP = cast("LocalProxy[Flask]", current_app)
_APP_CONTEXT = cast("LocalProxy[AppContext]", app_ctx)
_G = cast("LocalProxy[Any]", g)


#: Return the current request itself, not the proxy: for repeated reads, and to keep state on.
this_request: Final = _REQUEST._get_current_object
#: Return the current app itself, not the proxy.
this_app: Final = _APP._get_current_object
#: Return the current app context itself, which holds the app and ``g``.
this_app_context: Final = _APP_CONTEXT._get_current_object
#: Return the current ``g`` itself, not the proxy.
this_g: Final = _G._get_current_object


def find_app_state(app: Flask) -> AppState | None:
    """Return the state that ``init_app`` created for this app; ``None`` if there is no STSession on it."""
    state: AppState | None = app.extensions.get(STATE)
    return state


def app_state_of(app: Flask) -> AppState:
    """Return the state that ``init_app`` created for this app.

    :raises RuntimeError: there is no STSession on the app.
    """
    state = find_app_state(app)
    if state is None:
        raise RuntimeError(
            f"The app {app.name!r} has no STSession. Initialise it: STSession(app), or "
            "stsession.init_app(app)."
        )
    return state


def current_app_state() -> AppState:
    """Return the state that ``init_app`` created for the current app.

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
    """Refuse any request but the current one.

    :param request: the value given as ``request=``.
    :raises TypeError: it is not the current request.
    """
    if request is current_request or request is this_request():
        return
    raise TypeError(
        f"{request!r:.100} is not the current request, the only one that can be answered. Omit the argument; "
        "the current request is used."
    )


def existing_state(request: Request) -> RequestState | None:
    """Return the state of a request; ``None`` if it has not used a session."""
    return request.__dict__.get(STATE_ATTRIBUTE)


def request_state(request: Request) -> RequestState:
    """Return the state of a request, created at first use."""
    attributes = request.__dict__
    state: RequestState | None = attributes.get(STATE_ATTRIBUTE)
    if state is None:
        state = attributes[STATE_ATTRIBUTE] = RequestState()
        state.context = {}
        if WRITTEN_ATTRIBUTE in attributes or "HTTP_UPGRADE" in request.environ or "sid" in attributes:
            state.is_written = WRITTEN_ATTRIBUTE in attributes or _is_of_socket(request)
    return state


def _is_of_socket(request: Request) -> bool:
    # The handshake of a WebSocket, or an event of Flask-SocketIO: no response can carry a change.
    return is_handshake(request) or "sid" in request.__dict__


def is_handshake(request: Request) -> bool:
    """Return whether a request asks for a WebSocket (RFC 6455, 4.1)."""
    environ: dict[str, str] = request.environ
    return (
        "websocket" in environ.get("HTTP_UPGRADE", "").lower()
        and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
        and request.method == "GET"
    )


def request_of(method: str, *, instead: str) -> Request:
    """Return the current request, for a method that works on its session.

    :param method: the name of the method that was called.
    :param instead: the method to call instead, with its arguments, where there is no request.
    :raises RuntimeError: there is no request.
    """
    if not has_request_context():
        raise _no_request(method, instead)
    return this_request()


def state_to_change(method: str, *, instead: str) -> RequestState:
    """Return the state of the current request, for a method whose change goes out with the response.

    :param method: the name of the method that was called.
    :param instead: the method to call instead, with its arguments, where there is no response.
    :raises RuntimeError: there is no request.
    :raises TooLateError: the response has been written.
    """
    if not has_request_context():
        raise _no_request(method, instead)
    state = request_state(this_request())
    if state.is_written:
        raise TooLateError(method, instead=instead)
    return state


def _no_request(method: str, instead: str) -> RuntimeError:
    return RuntimeError(
        f"{method}() works on the session of a request, and there is no request here. Call {instead} instead."
    )


def own_session(handle: str) -> Session | None:
    """Return the session of the current request if it has this handle and the response can carry changes."""
    if not has_request_context():
        return None
    state = existing_state(this_request())
    if state is None or state.is_written:
        return None
    session = state.session or state.peeked
    return session if session is not None and session.get_handle() == handle else None


def publish(session: Session | None, g: Any) -> None:
    """Put the session on ``g`` for the views.

    :raises ConfigError: ``g.session`` holds an object that is not ours.
    """
    present = getattr(g, "session", None)  # the app may have replaced our namespace class, which sets it
    if present is not None and not isinstance(present, Session):
        kind = type(present)
        raise ConfigError(
            f"g.session holds a {kind.__module__}.{kind.__qualname__}, but flask-stsession keeps the session "
            "of the signed-in user there. Keep yours under another name, g.db_session for example."
        )
    g.session = session


def hand_out(state: RequestState, session: Session) -> None:
    """Make a new or refreshed session the request's own, and send its tokens with the response."""
    state.session = session
    session.send_with(state)
    publish(session, this_g())


def origin_of_api(request: Request) -> str:
    """Return scheme and host of this request, as the client sent them."""
    environ = request.environ
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or request.host}"
