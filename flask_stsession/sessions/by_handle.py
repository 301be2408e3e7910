"""Sessions by their handle: look one up, change its data and payload, and validate its claims.

No token is needed. The client receives a change of the payload when it refreshes next; the SuperTokens
documentation refers to these as *offline* functions.

A change of the payload is merged into the stored one, by one writer of this process at a time, so that no
writer undoes another's change. Between processes there remains a window, from reading the payload to writing
it, since the core has no operation that merges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..claims.validation import claims_context, failed_validators, overridden, refetched_claims
from ..core.models import SessionInformation
from ..errors import ClaimValidationError, SessionDoesNotExistError
from .payloads import checked_update, json_object, merged
from .sizes import TokenSizes

if TYPE_CHECKING:
    from ..callables import EnsureSync
    from ..claims.base import SessionClaimValidator
    from ..concurrency import KeyedLocks
    from ..core.client import CoreClient

#: ``f(session_information, user_context)`` that returns the validators that every guard runs.
GlobalValidators = Callable[[SessionInformation, dict[str, Any]], Sequence["SessionClaimValidator"]]


class SessionsByHandle:
    """Operations on a session of which only the handle is known.

    :param client: talks to the core.
    :param extension: handed to claims in their ``user_context``.
    :param ensure_sync: ``app.ensure_sync``, which runs the app's ``async def`` functions.
    :param now_ms: returns the time in ms since 1970.
    :param locks: held, by session handle, while a payload is read, merged and written.
    :param sizes: refuses payloads that are too large.
    """

    def __init__(
        self,
        client: CoreClient,
        *,
        extension: object,
        ensure_sync: EnsureSync | None,
        now_ms: Callable[[], int],
        locks: KeyedLocks,
        sizes: TokenSizes,
    ) -> None:
        self._client = client
        self._extension = extension
        self._ensure_sync = ensure_sync
        self._now_ms = now_ms
        self._locks = locks
        self._sizes = sizes

    def information(self, handle: str) -> SessionInformation | None:
        """Return what the core stores about a session, or ``None`` if there is none with that handle."""
        return self._client.get_session_information(handle)

    def existing(self, handle: str) -> SessionInformation:
        """Return what the core stores about a session.

        :raises SessionDoesNotExistError: there is none with that handle.
        """
        found = self.information(handle)
        if found is None:
            raise SessionDoesNotExistError(handle)
        return found

    def update_data(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the session data that the core stores.

        :param data: JSON object.
        :returns: ``False`` if there is no session with that handle.
        """
        return self._client.update_session_data(
            handle, json_object(data, argument="session_data_in_database")
        )

    def merge_payload(self, handle: str, update: Mapping[str, Any]) -> bool:
        """Merge keys into the payload of a session; its next access token carries them.

        :param update: keys to set; ``None`` removes a key.
        :returns: ``False`` if there is no session with that handle.
        :raises ProtectedClaimError: a key belongs to the session itself.
        :raises ConfigError: the access token would be too large; nothing is written.
        """
        return self._merge(handle, checked_update(update)) is not None

    def _merge(self, handle: str, update: Mapping[str, Any]) -> dict[str, Any] | None:
        """Merge keys into the stored payload; return the result, or ``None`` if there is no session."""
        with self._locks.hold(handle):
            found = self.information(handle)
            if found is None:
                return None
            stored = found.custom_claims_in_access_token_payload
            payload = merged(stored, update)
            self._sizes.check(
                payload,
                user_id=found.user_id,
                recipe_user_id=found.recipe_user_id,
                tenant_id=found.tenant_id,
                transfer_method=None,
                stored=stored,
            )
            return payload if self._client.update_access_token_payload(handle, payload) else None

    def validate_claims(
        self, handle: str, *, global_validators: GlobalValidators, override: Callable[..., Any] | None = None
    ) -> list[ClaimValidationError]:
        """Run validators; fetch and store claims that are missing or too old first.

        :param global_validators: returns the validators that every guard runs.
        :param override: ``f(global_validators, session_information, user_context)``, which returns the
            validators to run instead.
        :returns: one error for each validator that failed.
        :raises SessionDoesNotExistError: there is no session with that handle.
        """
        found = self.existing(handle)
        payload = found.custom_claims_in_access_token_payload
        context = self.context_of(found)
        validators = overridden(
            global_validators(found, context), override, found, context, ensure_sync=self._ensure_sync
        )
        update = refetched_claims(
            validators,
            payload,
            user_id=found.user_id,
            recipe_user_id=found.recipe_user_id,
            tenant_id=found.tenant_id,
            user_context=context,
            ensure_sync=self._ensure_sync,
        )
        if update:
            merged_payload = self._merge(handle, checked_update(update))
            if merged_payload is None:
                raise SessionDoesNotExistError(handle)
            payload = merged_payload
        failures = failed_validators(validators, payload, user_context=context, ensure_sync=self._ensure_sync)
        return [error for _, error in failures]

    def context_of(self, found: SessionInformation) -> dict[str, Any]:
        """Return the ``user_context`` for claims of a session without a request."""
        return claims_context(
            {},
            extension=self._extension,
            recipe_user_id=found.recipe_user_id,
            payload=found.custom_claims_in_access_token_payload,
            now_ms=self._now_ms(),
        )
