"""Clear the client of the current request when its session is revoked by handle or by user."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from flask import has_request_context

from ..constants import TransferMethod
from ..sessions.session import Session
from ..tokens import access_token as tokens
from .context import publish, request_state, this_g, this_request
from .transport import read_tokens

if TYPE_CHECKING:
    from .base import AppState


def clear_revoked(app_state: AppState, handles: Collection[str]) -> None:
    """Clear the client if one of these revoked sessions is that of the current request.

    No user is signed in for the rest of the request then. If the request has not used a session, the tokens
    it carries are read without verification: clearing a forged one does no harm.

    :param handles: of the revoked sessions.
    """
    if not has_request_context() or not handles:
        return
    request = this_request()
    state = request_state(request)
    if state.is_written:
        return
    session = state.session or state.peeked
    if session is not None:
        if session.get_handle() not in handles:
            return
        session.clear_on_client()
    else:
        sent = read_tokens(request.environ, app_state.config.cookie_names)
        candidates = sent.access_candidates()
        ended: set[TransferMethod] = {method for raw, method in candidates if _handle_of(raw) in handles}
        if not ended:
            return
        for method in ended:
            state.changes.clear(method)
    state.forget_session()
    g = this_g()
    if isinstance(g.session, Session):
        publish(None, g)


def _handle_of(raw: str) -> str | None:
    token = tokens.parse(raw)
    return None if token is None else token.session_handle
