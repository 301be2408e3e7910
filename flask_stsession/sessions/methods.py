"""The default implementations of the overridable methods that act on one session.

The methods of a session, the handling of token theft and the functions of this package all call these on the
extension object, so an override of one of them counts everywhere. They identify the session by its handle. A
session that is at hand is changed itself, so that the client receives its new token; any other is changed
in the core, and its client receives the change at its next refresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..claims.base import SessionClaim

if TYPE_CHECKING:
    from ..callables import EnsureSync
    from .by_handle import SessionsByHandle
    from .session import Session, SessionMethods

    class Manager(Protocol):
        """The part of the manager that these methods need."""

        @property
        def by_handle(self) -> SessionsByHandle:
            """Sessions of which only the handle is known."""
            ...

        @property
        def methods(self) -> SessionMethods:
            """The methods, with the app's overrides."""
            ...

        @property
        def ensure_sync(self) -> EnsureSync | None:
            """``app.ensure_sync``, which runs the app's ``async def`` functions."""
            ...

        def revoke(self, handles: Sequence[str]) -> list[str]:
            """End sessions; return the handles of those that had not ended before."""
            ...

        def update_data_of(self, session: Session, data: Mapping[str, Any]) -> None:
            """Replace the session data that the core stores for a session that is at hand."""
            ...

        def merge_payload_of(self, session: Session, update: Mapping[str, Any]) -> None:
            """Merge keys into the payload of a session that is at hand, and replace its access token."""
            ...


class DefaultMethods:
    """The default implementations of the overridable methods.

    Nested calls (``set_claim_value`` merges a payload) go through the overrides too.

    :param manager: verifies and changes sessions.
    :param find_own: returns the session of the current request if it has this handle; ``None`` if there are
        no requests.
    """

    def __init__(self, manager: Manager, find_own: Callable[[str], Session | None] | None) -> None:
        self._manager = manager
        self._find_own = find_own
        # A session's method calls the override, which calls the default with nothing but the handle.
        self._acting: ContextVar[tuple[Session, ...]] = ContextVar("flask_stsession.acting", default=())

    @contextmanager
    def acting_on(self, session: Session) -> Iterator[None]:
        """Let the default methods act on this object, not only on its handle, while the block runs."""
        token = self._acting.set((session, *self._acting.get()))
        try:
            yield
        finally:
            self._acting.reset(token)

    def revoke_session(self, handle: str) -> bool:
        """End a session; return whether it was still there."""
        return self._manager.revoke([handle]) == [handle]

    def update_session_data_in_database(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the session data that the core stores; return whether there is such a session.

        :raises UnauthorisedError: the session at hand has been revoked meanwhile.
        """
        session = self._at_hand(handle)
        if session is None:
            return self._manager.by_handle.update_data(handle, data)
        self._manager.update_data_of(session, data)
        return True

    def merge_into_access_token_payload(self, handle: str, update: Mapping[str, Any]) -> bool:
        """Merge keys into the payload of a session; ``None`` removes a key. Return whether there is one.

        :raises ProtectedClaimError: a key belongs to the session itself.
        :raises UnauthorisedError: the session at hand has been revoked meanwhile.
        """
        session = self._at_hand(handle)
        if session is None:
            return self._manager.by_handle.merge_payload(handle, update)
        self._manager.merge_payload_of(session, update)
        return True

    def get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str) -> Any:
        """Return the value of a claim; ``None`` if the session has none.

        :raises SessionDoesNotExistError: there is no session with that handle.
        """
        claim = _checked_claim(claim)
        session = self._at_hand(session_handle)
        if session is not None:
            return claim.get_value_from_payload(session.get_access_token_payload(), session.context())
        found = self._manager.by_handle.existing(session_handle)
        context = self._manager.by_handle.context_of(found)
        return claim.get_value_from_payload(found.custom_claims_in_access_token_payload, context)

    def fetch_and_set_claim(self, claim: SessionClaim[Any], *, session_handle: str) -> bool:
        """Fetch the value of a claim and set it; return whether there is a session."""
        claim = _checked_claim(claim)
        fetch = partial(claim.fetch, ensure_sync=self._manager.ensure_sync)
        session = self._at_hand(session_handle)
        if session is not None:
            value = fetch(
                session.get_user_id(),
                recipe_user_id=session.get_recipe_user_id(),
                tenant_id=session.get_tenant_id(),
                payload=session.get_access_token_payload(),
                user_context=session.context(fresh_time=True),
            )
        else:
            found = self._manager.by_handle.information(session_handle)
            if found is None:
                return False
            value = fetch(
                found.user_id,
                recipe_user_id=found.recipe_user_id,
                tenant_id=found.tenant_id,
                payload=found.custom_claims_in_access_token_payload,
                user_context=self._manager.by_handle.context_of(found),
            )
        return self._manager.methods.set_claim_value(claim, value, session_handle=session_handle)

    def set_claim_value(self, claim: SessionClaim[Any], value: Any, *, session_handle: str) -> bool:
        """Set a claim without fetching it; ``None`` removes it. Return whether there is a session."""
        claim = _checked_claim(claim)
        if value is None:
            return self._manager.methods.remove_claim(claim, session_handle=session_handle)
        session = self._at_hand(session_handle)
        context = {} if session is None else session.context(fresh_time=True)
        update = claim.add_to_payload_({}, value, context)
        return self._manager.methods.merge_into_access_token_payload(session_handle, update)

    def remove_claim(self, claim: SessionClaim[Any], *, session_handle: str) -> bool:
        """Remove a claim from a session; return whether there is one."""
        claim = _checked_claim(claim)
        session = self._at_hand(session_handle)
        context = {} if session is None else session.context()
        update = claim.remove_from_payload_by_merge_({}, context)
        return self._manager.methods.merge_into_access_token_payload(session_handle, update)

    def _at_hand(self, handle: str) -> Session | None:
        for session in self._acting.get():
            if session.get_handle() == handle:
                return session
        return None if self._find_own is None else self._find_own(handle)


def _checked_claim(claim: SessionClaim[Any]) -> SessionClaim[Any]:
    """Return a claim.

    :raises TypeError: it is something else, its key or one of its validators for example.
    """
    if not isinstance(claim, SessionClaim):
        raise TypeError(f"claim must be a claim such as UserRoleClaim, not {claim!r:.100}.")
    return claim
