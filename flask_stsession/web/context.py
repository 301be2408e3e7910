"""Look up the current app, request and extension, and keep our state of a request on the request itself.

State that hangs on the request object cannot leak into another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flask import current_app, g, request as current_request

from ..errors import ConfigError
from ..sessions.client_changes import ClientChanges
from ..sessions.session import Session
from .base import STATE

if TYPE_CHECKING:
    from flask import Flask, Request
    from werkzeug.local import LocalProxy

    from ..errors import SessionHTTPError
    from .base import AppState, Extension

#: Where the state of a request hangs on the request object.
_ATTRIBUTE = "_stsession_state"


class RequestState:
    """The session of one request, and what the client must learn of it.

    ``g.session`` is what views read; this is what our own code goes by.
    """

    __slots__ = (
        "changes",
        "consulted",
        "context",
        "has_peeked",
        "origin_checked",
        "peeked",
        "refused",
        "sender_checked",
        "session",
        "user",
        "user_id",
    )

    def __init__(self) -> None:
        #: Verified, created or refreshed in this request.
        self.session: Session | None = None
        self.changes: ClientChanges = ClientChanges()
        #: Has the answer come to depend on who asks?
        self.consulted: bool = False
        #: The ``user_context`` of this request.
        self.context: dict[str, Any] = {}
        #: The verdict that was recorded last, so that whoever passes it on does not record it again.
        self.refused: SessionHTTPError | None = None
        #: What ``current_session`` found before there was a ``session``, once it has looked.
        self.peeked: Session | None = None
        self.has_peeked: bool = False
        #: Has it been shown that a page of ours sent the request?
        self.origin_checked: bool = False
        #: Has it been ruled out that another site wants the client signed out?
        self.sender_checked: bool = False
        #: What the ``user_loader`` answered, and for whom it was asked.
        self.user: Any = None
        self.user_id: str | None = None

    def forget_session(self) -> None:
        """The session has ended: nobody is signed in for the rest of the request."""
        self.session = self.peeked = None
        self.has_peeked = True


# Flask types its proxies as what they stand for; the objects themselves are looked up here, once each.
_REQUEST = cast("LocalProxy[Request]", current_request)
_APP = cast("LocalProxy[Flask]", current_app)
_G = cast("LocalProxy[Any]", g)


def this_request() -> Request:
    """The current request itself: looked up once, and what state may be kept on."""
    return _REQUEST._get_current_object()


def this_app() -> Flask:
    """The current app itself, not the proxy."""
    return _APP._get_current_object()


def app_state_of(app: Flask) -> AppState:
    """Return what ``init_app`` made for this app.

    :raises RuntimeError: there is no STSession on the app.
    """
    state: AppState | None = app.extensions.get(STATE)
    if state is None:
        raise RuntimeError(
            f"The app {app.name!r} has no STSession. Initialise it: STSession(app), or "
            "stsession.init_app(app)."
        )
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
    return app_state_of(app)


def current_extension() -> Extension:
    """Return the extension object of the current app.

    :raises RuntimeError: there is no app context, or no STSession on the app.
    """
    return current_app_state().extension


def check_current_request(request: object) -> None:
    """Refuse a request other than the current one, the only one that can be answered.

    :param request: whatever was given as ``request=``; ``None`` means the current one.
    :raises TypeError: it is another one.
    """
    if request is None or request is current_request or request is this_request():
        return
    raise TypeError(
        f"{request!r:.100} is not the current request, the only one that can be answered. Omit the argument; "
        "the current request is used."
    )


def this_namespace() -> dict[str, Any]:
    """What ``g`` holds."""
    namespace: dict[str, Any] = _G._get_current_object().__dict__
    return namespace


def existing_state(request: Request) -> RequestState | None:
    """The state of a request that has used a session; ``None`` for all others."""
    return request.__dict__.get(_ATTRIBUTE)


def request_state(request: Request) -> RequestState:
    """The state of a request, made at first need."""
    state: RequestState | None = request.__dict__.get(_ATTRIBUTE)
    if state is None:
        state = RequestState()
        request.__dict__[_ATTRIBUTE] = state
    return state


def publish(session: Session | None) -> None:
    """Put the session on ``g`` for the views.

    :raises ConfigError: something that is not ours lies there.
    """
    namespace = this_namespace()
    present = namespace.get("session")
    if present is not None and not isinstance(present, Session):
        kind = type(present)
        raise ConfigError(
            f"g.session holds a {kind.__module__}.{kind.__qualname__}, but flask-stsession keeps the session "
            "of the signed-in user there. Keep yours under another name, g.db_session for example."
        )
    namespace["session"] = session


def hand_out(state: RequestState, session: Session) -> None:
    """Make a new or refreshed session this request's, and have its tokens go out with the response."""
    state.consulted = True
    state.session = session
    session.attach(state.changes)
    publish(session)


def origin_of_api(request: Request) -> str:
    """Return scheme and host of this request, as its client wrote them."""
    environ = request.environ
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or request.host}"
