"""Sessions by their handle or their user, and claims of this request's session or of one with a handle.

What is changed so, the client learns when it refreshes: the documentation calls these functions offline.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .core.models import SessionInformation
from .errors import ClaimValidationError
from .web.context import state_of, this_request
from .web.verify import SESSION_ONLY, required_session

if TYPE_CHECKING:
    from .claims.base import SessionClaim, SessionClaimValidator
    from .sessions.manager import SessionManager
    from .sessions.session import Session


class OfflineOperations(ABC):
    """Look up, change and end sessions that nobody need have brought along."""

    @property
    @abstractmethod
    def manager(self) -> SessionManager:
        """The manager of the app in question."""

    # Sessions by handle or user

    def revoke_session(self, handle: str) -> bool:
        """End a session; was it still there?"""
        return self.revoke_multiple_sessions([handle]) == [handle]

    def revoke_multiple_sessions(self, handles: Iterable[str]) -> list[str]:
        """End several sessions in one call of the core; returns the handles of those that were there.

        :raises TypeError: one handle, which as text would count as many of one letter.
        """
        if isinstance(handles, str):
            raise TypeError(
                "handles must be several session handles, not a str: write revoke_session(handle)."
            )
        wanted = list(handles)
        if not wanted:
            return []
        return self.manager.revoke(wanted)

    def revoke_all_sessions_for_user(
        self, user_id: str, *, tenant_id: str | None = None, revoke_across_all_tenants: bool = True
    ) -> list[str]:
        """End all sessions of a user; returns their handles.

        :param tenant_id: of which tenant, if ``revoke_across_all_tenants=False``.
        """
        return self.manager.revoke_all_of_user(
            user_id, tenant_id=tenant_id, all_tenants=revoke_across_all_tenants and tenant_id is None
        )

    def get_all_session_handles_for_user(
        self, user_id: str, *, tenant_id: str | None = None, fetch_across_all_tenants: bool = True
    ) -> list[str]:
        """The handles of a user's sessions.

        :param tenant_id: of which tenant, if ``fetch_across_all_tenants=False``.
        """
        return self.manager.client.list_session_handles(
            user_id, tenant_id=tenant_id, all_tenants=fetch_across_all_tenants and tenant_id is None
        )

    def list_sessions(self, user_id: str, *, tenant_id: str | None = None) -> list[SessionInformation]:
        """A user's sessions, for a page on which they end the ones they do not know; oldest first."""
        handles = self.get_all_session_handles_for_user(user_id, tenant_id=tenant_id)
        found = [self.manager.by_handle.information(handle) for handle in handles]
        return sorted((each for each in found if each is not None), key=lambda each: each.time_created)

    def get_session_information(self, handle: str) -> SessionInformation | None:
        """What the core knows of a session; ``None`` if there is none with that handle."""
        return self.manager.by_handle.information(handle)

    def update_session_data_in_database(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the data kept with a session in the core; ``False`` if there is no such session."""
        return self.manager.by_handle.update_data(handle, data)

    def merge_into_access_token_payload(self, handle: str, update: Mapping[str, Any]) -> bool:
        """Merge keys into the payload of a session; its next access token carries them.

        :param update: ``None`` removes a key.
        :returns: ``False`` if there is no such session.
        :raises ProtectedClaimError: for a key of the session's own.
        """
        return self.manager.by_handle.merge_payload(handle, update)

    # Claims, of this request's session or of the one with a handle

    def sync_get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> Any:
        """The value of a claim; ``None`` if the session has none.

        :param session_handle: of the session; by default this request's.
        :raises SessionDoesNotExistError: there is none with that handle.
        :raises SessionHTTPError: the request has no good session.
        """
        if session_handle is None:
            return self._own_session().get_claim_value(claim)
        return self.manager.by_handle.get_claim_value(session_handle, claim)

    def get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> Any:
        """The same as :meth:`sync_get_claim_value`."""
        return self.sync_get_claim_value(claim, session_handle=session_handle)

    def fetch_and_set_claim(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> bool:
        """Ask a claim's source and put its answer into the session.

        :returns: ``False`` if there is no session with that handle.
        """
        if session_handle is None:
            self._own_session().fetch_and_set_claim(claim)
            return True
        return self.manager.by_handle.fetch_and_set_claim(session_handle, claim)

    def set_claim_value(
        self, claim: SessionClaim[Any], value: Any, *, session_handle: str | None = None
    ) -> bool:
        """Set a claim without asking its source; ``None`` removes it.

        :returns: ``False`` if there is no session with that handle.
        """
        if session_handle is None:
            self._own_session().set_claim_value(claim, value)
            return True
        return self.manager.by_handle.set_claim_value(session_handle, claim, value)

    def remove_claim(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> bool:
        """Take a claim out of the session.

        :returns: ``False`` if there is no session with that handle.
        """
        if session_handle is None:
            self._own_session().remove_claim(claim)
            return True
        return self.manager.by_handle.remove_claim(session_handle, claim)

    def validate_claims_for_session_handle(
        self, handle: str, *, override_global_claim_validators: Any = None
    ) -> list[ClaimValidationError]:
        """Run the validators on a session that nobody has brought along; what is due is fetched and stored.

        :param override_global_claim_validators: ``f(global_validators, session_information, user_context)``.
        :returns: what failed; empty if nothing did.
        :raises SessionDoesNotExistError: there is none with that handle.
        """
        return self.manager.by_handle.validate_claims(
            handle,
            global_validators=self._offline_validators,
            override=override_global_claim_validators,
        )

    # Inside

    @abstractmethod
    def _self(self) -> Any:
        """The extension object, for functions that take one."""

    def _own_session(self) -> Session:
        session = state_of(this_request()).session
        return required_session(self._self(), SESSION_ONLY) if session is None else session

    @abstractmethod
    def _offline_validators(
        self, found: SessionInformation, context: dict[str, Any]
    ) -> list[SessionClaimValidator]: ...
