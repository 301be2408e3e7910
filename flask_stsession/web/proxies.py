"""``current_session`` and ``current_user``: whose request this is, looked up when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app, has_request_context
from werkzeug.local import LocalProxy

from ..errors import Reason, UnauthorisedError
from .context import state_of, this_request
from .verify import peek_session, refuse

if TYPE_CHECKING:
    from ..extension import STSession
    from ..sessions.session import Session


def _current_session() -> Session | None:
    if not has_request_context():
        return None
    ext: STSession | None = current_app.extensions.get("stsession")
    return None if ext is None else peek_session(ext)


def _current_user() -> Any:
    session = _current_session()
    if session is None:
        return None
    state = state_of(this_request())
    user_id = session.get_user_id()
    if state.user_id != user_id:  # a view may sign somebody else in
        ext: STSession = current_app.extensions["stsession"]
        user = ext.load_user(user_id)
        if user is None:
            error = UnauthorisedError(
                f"The user_loader knows no user {user_id!r}, whose session is still alive.",
                reason=Reason.USER_GONE,
            )
            refuse(ext, error)
            raise error
        state.user = user
        state.user_id = user_id
    return state.user


#: This request's session, on any view, verified at first use; falsy where there is none or no request.
current_session: Session = LocalProxy(_current_session)  # type: ignore[assignment]

#: What the ``user_loader`` answers for ``current_session``; falsy where nobody is signed in.
current_user: Any = LocalProxy(_current_user)
