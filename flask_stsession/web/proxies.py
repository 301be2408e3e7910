"""``current_session`` and ``current_user``: proxies to this request's session and its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import has_request_context
from werkzeug.local import LocalProxy

from ..errors import Reason, UnauthorisedError
from .context import app_state_of, find_app_state, request_state, this_app, this_request
from .verify import peek_session, record_verdict

if TYPE_CHECKING:
    from ..sessions.session import Session


def _current_session() -> Session | None:
    if not has_request_context():
        return None
    app_state = find_app_state(this_app())
    return None if app_state is None else peek_session(app_state)


def _current_user() -> Any:
    session = _current_session()
    if session is None:
        return None
    app_state = app_state_of(this_app())
    state = request_state(this_request())
    user_id = session.get_user_id()
    if state.user_id != user_id:  # a view may sign in another user
        user = app_state.extension.load_user(user_id, session.get_tenant_id())
        if user is None:
            app_state.extension.revoke_session(session.get_handle())
            error = UnauthorisedError(
                f"The user_loader knows no user {user_id!r}, although a session of that user exists.",
                reason=Reason.USER_GONE,
            )
            record_verdict(app_state, error)
            raise error
        state.user = user
        state.user_id = user_id
    return state.user


class _SessionProxy(LocalProxy["Session"]):
    """This request's session, on any view, verified at first use; falsy where there is none or no request."""

    __slots__ = ()


class _UserProxy(LocalProxy[Any]):
    """The user that the ``user_loader`` returns for ``current_session``; falsy where nobody is signed in.

    The class of the app's users need not know whether they are signed in.
    """

    __slots__ = ()

    @property
    def is_authenticated(self) -> bool:
        """Whether a user is signed in."""
        return _current_user() is not None

    @property
    def is_anonymous(self) -> bool:
        """Whether no user is signed in."""
        return _current_user() is None


current_session: Session = _SessionProxy(_current_session)  # type: ignore[assignment,arg-type]
current_user: Any = _UserProxy(_current_user)
