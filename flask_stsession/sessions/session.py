"""The session object behind ``g.session``.

A session holds the verified content of an access token, and can be changed. It knows nothing of requests; it
records changes for the client in :class:`~flask_stsession.sessions.client_changes.ClientChanges`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..claims.base import NOW_MS
from ..claims.validation import claims_context, failed_validators, refetched_claims, refusal_for
from ..constants import PROTECTED_CLAIMS, REMEMBER_CLAIM, TENANT_VALIDATOR, TransferMethod
from ..errors import ClaimValidationError, InvalidClaimsError, Reason, TooLateError, UnauthorisedError
from ..tokens.access_token import AccessToken, front_token
from ..tokens.masked import MaskedToken
from .client_changes import ClientChanges, TokensToSend
from .payloads import merged

if TYPE_CHECKING:
    from ..callables import EnsureSync
    from ..claims.base import SessionClaim, SessionClaimValidator
    from ..core.models import SessionInformation, TokenInfo

    class SessionMethods(Protocol):
        """The methods of the extension object that a session calls, so that overrides of them count."""

        def revoke_session(self, handle: str) -> bool:
            """End a session; return whether it was still there."""
            ...

        def update_session_data_in_database(self, handle: str, data: Mapping[str, Any]) -> bool:
            """Replace the session data that the core stores; return whether there is such a session."""
            ...

        def merge_into_access_token_payload(self, handle: str, update: Mapping[str, Any]) -> bool:
            """Merge keys into the payload of a session; return whether there is one."""
            ...

        def get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str) -> Any:
            """Return the value of a claim; ``None`` if the session has none."""
            ...

        def fetch_and_set_claim(self, claim: SessionClaim[Any], *, session_handle: str) -> bool:
            """Fetch the value of a claim and set it; return whether there is a session."""
            ...

        def set_claim_value(self, claim: SessionClaim[Any], value: Any, *, session_handle: str) -> bool:
            """Set a claim without fetching it; ``None`` removes it. Return whether there is a session."""
            ...

        def remove_claim(self, claim: SessionClaim[Any], *, session_handle: str) -> bool:
            """Remove a claim from a session; return whether there is one."""
            ...

    class Backend(Protocol):
        """The part of the manager that a session needs."""

        @property
        def extension(self) -> object:
            """The extension object, for the ``user_context`` of claims."""
            ...

        @property
        def ensure_sync(self) -> EnsureSync | None:
            """``app.ensure_sync``, which runs the app's ``async def`` functions."""
            ...

        def now_ms(self) -> int:
            """Return the time in ms since 1970."""
            ...

        def information_of(self, session: Session) -> SessionInformation:
            """Return what the core stores about the session."""
            ...

        @property
        def methods(self) -> SessionMethods:
            """The methods of the extension object, with the app's overrides."""
            ...

        def acting_on(self, session: Session) -> AbstractContextManager[None]:
            """Let the default methods act on this object, not only on its handle, while the block runs."""
            ...

        def is_revoked(self, handle: str, /) -> bool:
            """Return whether a session was revoked through this process."""
            ...

        def complete_factor(self, session: Session, factor_id: str) -> bool:
            """Record that the session has completed a login factor; return whether it still exists."""
            ...

    class RequestRecord(Protocol):
        """The part of its request that a session needs."""

        @property
        def changes(self) -> ClientChanges:
            """The changes that the response makes to the client's tokens."""
            ...

        @property
        def context(self) -> dict[str, Any]:
            """The ``user_context``."""
            ...

        @property
        def is_written(self) -> bool:
            """Whether the response has been written, so that nothing more reaches the client."""
            ...


class RecipeUserId(str):
    """The id of one login method of a user; also has ``get_as_string()``, as in supertokens-python."""

    __slots__ = ()

    def get_as_string(self) -> str:
        """Return the id as a plain string."""
        return str(self)


class Session:
    """A verified session.

    Made by :func:`~flask_stsession.verify_session`, :func:`~flask_stsession.get_session` and
    :func:`~flask_stsession.create_new_session`. Methods that change the session tell the core, and the
    client with the response of this request. Every ``user_context`` is accepted and ignored: the
    context belongs to the request.
    """

    #: Whether the core has confirmed in this request that the session has not been revoked.
    database_checked: bool = False
    #: Whether the ``user_loader`` knew no such user at the refresh; ``None`` if it was not asked.
    user_is_gone: bool | None = None

    _refresh_token: TokenInfo | None = None
    _access_token_updated = False
    _anti_csrf_on_issue = False
    #: The payload, once it differs from that of the access token or has been read.
    _payload: dict[str, Any] | None = None
    _context: dict[str, Any] | None = None

    def __init__(
        self,
        manager: Backend,
        access_token: AccessToken,
        transfer_method: TransferMethod | None = None,
        request: RequestRecord | None = None,
        refresh_token: TokenInfo | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        # Created for every verified request, so attributes that keep their class default are not set.
        self._manager = manager
        self._access_token = access_token
        #: How the tokens travel: ``"cookie"``, ``"header"``, or ``None`` outside of a request.
        self.transfer_method: TransferMethod | None = transfer_method
        #: The request that records changes for the client; ``None``: they are not sent.
        self._request = request
        if refresh_token is not None:
            self._refresh_token = refresh_token
            self._access_token_updated = self._anti_csrf_on_issue = self.database_checked = True
            self._context = context

    def __repr__(self) -> str:
        return f"<Session {self.get_handle()} of {self.get_user_id()!r}>"

    # From the token

    def get_handle(self, user_context: object = None) -> str:
        """Return the session's handle, which is constant for its whole life."""
        return self._access_token.session_handle

    def get_user_id(self, user_context: object = None) -> str:
        """Return the id of the user who is signed in."""
        return self._access_token.user_id

    def get_recipe_user_id(self, user_context: object = None) -> RecipeUserId:
        """Return the id of the login method that was used; the user id where there is only one."""
        return RecipeUserId(self._access_token.recipe_user_id)

    def get_tenant_id(self, user_context: object = None) -> str:
        """Return the id of the session's tenant, ``"public"`` by default."""
        return self._access_token.tenant_id

    def get_access_token(self, user_context: object = None) -> str:
        """Return the raw access token, a credential of the user. Never log it."""
        return self._access_token.raw

    @property
    def access_token_expires_at(self) -> int:
        """When the access token expires, in ms since 1970."""
        return self._access_token.expiry_ms

    @property
    def remember(self) -> bool:
        """Whether the session outlives the browser; ``False`` if it was created with ``remember=False``."""
        if self._payload is None:
            return self._access_token.remember
        return self._payload.get(REMEMBER_CLAIM) is not False

    def is_valid(self, user_context: object = None) -> bool:
        """Return whether the session is still valid, as far as this process knows. Does not ask the core.

        For long connections: the access token has not expired, and the session has not been revoked
        through this process.
        """
        expired = self._manager.now_ms() >= self.access_token_expires_at
        return not expired and not self._manager.is_revoked(self.get_handle())

    def get_access_token_payload(self, user_context: object = None) -> dict[str, Any]:
        """Return the access token's whole payload: a fresh copy, which you may change."""
        if self._payload is not None:
            copied: dict[str, Any] = _copy_json(self._payload)
            return copied
        return self._access_token.payload()

    def get_all_session_tokens_dangerously(self, user_context: object = None) -> dict[str, Any]:
        """Return all tokens of the session, raw, and whether they changed in this request.

        :returns: ``accessToken``, ``refreshToken`` (``None`` unless this request made it), ``frontToken``,
            ``antiCsrfToken``, ``accessAndFrontTokenUpdated``: the reference SDKs' keys.
        """
        token = self._access_token
        return {
            "accessToken": token.raw,
            "accessAndFrontTokenUpdated": self._access_token_updated,
            "refreshToken": None if self._refresh_token is None else MaskedToken(self._refresh_token.token),
            "frontToken": front_token(self.get_access_token_payload()),
            "antiCsrfToken": token.anti_csrf_token,
        }

    # From the core

    def get_session_data_from_database(self, user_context: object = None) -> dict[str, Any]:
        """Return the data that the core stores with the session; never sent to the client. Asks the core.

        :raises UnauthorisedError: the session has been revoked meanwhile.
        :raises CoreUnavailableError: the core does not answer.
        """
        return self._manager.information_of(self).session_data_in_database

    def update_session_data_in_database(self, data: Mapping[str, Any], user_context: object = None) -> None:
        """Replace the session data that the core stores.

        :param data: JSON object.
        :raises UnauthorisedError: the session has been revoked meanwhile.
        """
        with self._manager.acting_on(self):
            self._check(self._manager.methods.update_session_data_in_database(self.get_handle(), data))

    def get_time_created(self, user_context: object = None) -> int:
        """Return when the session was created, in ms since 1970. Asks the core."""
        return self._manager.information_of(self).time_created

    def get_expiry(self, user_context: object = None) -> int:
        """Return when the session ends unless it is refreshed, in ms since 1970. Asks the core."""
        return self._manager.information_of(self).expiry

    def revoke_session(self, user_context: object = None) -> None:
        """End the session in the core, and on the client with this response.

        :raises CoreUnavailableError: the core does not answer; then nothing is cleared.
        """
        with self._changing("revoke_session(handle)") as methods:
            methods.revoke_session(self.get_handle())
        self.clear_on_client()

    def merge_into_access_token_payload(
        self, access_token_payload_update: Mapping[str, Any], user_context: object = None
    ) -> None:
        """Merge keys into the access token's payload.

        :param access_token_payload_update: keys to set; a value of ``None`` removes the key.
        :raises ProtectedClaimError: a key belongs to the session itself.
        :raises UnauthorisedError: the session has been revoked meanwhile.
        :raises ConfigError: the access token would be too large; nothing is written.
        """
        with self._changing("merge_into_access_token_payload(handle, update)") as methods:
            self._check(
                methods.merge_into_access_token_payload(self.get_handle(), access_token_payload_update)
            )

    # Claims

    def assert_claims(
        self, claim_validators: Iterable[SessionClaimValidator], user_context: object = None
    ) -> None:
        """Run validators, after fetching the claims that are missing or too old.

        All fetched values are stored in the core in one call, whatever the number of claims.

        :raises InvalidClaimsError: a validator failed; the error lists all that did.
        :raises TypeError: ``claim_validators`` is not iterable.
        """
        try:
            validators = list(claim_validators)
        except TypeError as error:
            raise TypeError(f"assert_claims takes a list of validators, not {claim_validators!r}.") from error
        if not validators:
            return
        context = self.context(fresh_time=True)
        update = refetched_claims(
            validators,
            self._own_payload(),
            user_id=self.get_user_id(),
            recipe_user_id=self.get_recipe_user_id(),
            tenant_id=self.get_tenant_id(),
            user_context=context,
            ensure_sync=self._manager.ensure_sync,
        )
        if update and self._request is not None and self._request.is_written:
            # A long connection goes on after its response: the fetched values serve this check alone.
            self.replace_payload(merged(self._own_payload(), update))
        elif update:
            self.merge_into_access_token_payload(update)
        failures = failed_validators(
            validators, self._own_payload(), user_context=context, ensure_sync=self._manager.ensure_sync
        )
        if failures:
            raise refusal_for(failures)

    def get_claim_value(self, claim: SessionClaim[Any], user_context: object = None) -> Any:
        """Return the value of ``claim`` in this session; ``None`` if it has none."""
        with self._manager.acting_on(self):
            return self._manager.methods.get_claim_value(claim, session_handle=self.get_handle())

    def set_claim_value(self, claim: SessionClaim[Any], value: Any, user_context: object = None) -> None:
        """Set ``claim`` to ``value`` without fetching it.

        :param value: the value, JSON serializable; ``None`` removes the claim.
        """
        with self._changing("set_claim_value(claim, value, session_handle=handle)") as methods:
            self._check(methods.set_claim_value(claim, value, session_handle=self.get_handle()))

    def fetch_and_set_claim(self, claim: SessionClaim[Any], user_context: object = None) -> None:
        """Fetch the value of ``claim`` and set it; a fetched ``None`` removes the claim."""
        with self._changing("fetch_and_set_claim(claim, session_handle=handle)") as methods:
            self._check(methods.fetch_and_set_claim(claim, session_handle=self.get_handle()))

    def remove_claim(self, claim: SessionClaim[Any], user_context: object = None) -> None:
        """Remove ``claim`` from the session."""
        with self._changing("remove_claim(claim, session_handle=handle)") as methods:
            self._check(methods.remove_claim(claim, session_handle=self.get_handle()))

    def complete_factor(self, factor_id: str, user_context: object = None) -> None:
        """Record that the session has completed a login factor now, in ``MultiFactorAuthClaim``.

        Check the code (or whatever proves the factor) first.

        :param factor_id: ``"totp"`` for example.
        :raises TypeError: it is not a non-empty str.
        :raises UnauthorisedError: the session has been revoked meanwhile.
        """
        if not isinstance(factor_id, str) or not factor_id:
            raise TypeError(f"factor_id must be a non-empty str, not {factor_id!r}.")
        with self._changing("set_claim_value(claim, value, session_handle=handle)"):
            self._check(self._manager.complete_factor(self, factor_id))

    # supertokens-python's names for the methods that may wait for the core

    sync_get_session_data_from_database = get_session_data_from_database
    sync_update_session_data_in_database = update_session_data_in_database
    sync_get_time_created = get_time_created
    sync_get_expiry = get_expiry
    sync_revoke_session = revoke_session
    sync_merge_into_access_token_payload = merge_into_access_token_payload
    sync_assert_claims = assert_claims
    sync_get_claim_value = get_claim_value
    sync_set_claim_value = set_claim_value
    sync_fetch_and_set_claim = fetch_and_set_claim
    sync_remove_claim = remove_claim

    # For the rest of this package

    @property
    def access_token(self) -> AccessToken:
        """The parsed access token."""
        return self._access_token

    @property
    def shared_payload(self) -> Mapping[str, Any] | None:
        """The access token's payload, not to be changed or handed on; ``None`` once the session changed."""
        return self._access_token.shared_payload if self._payload is None else None

    def context(self, *, fresh_time: bool = False) -> dict[str, Any]:
        """Return the ``user_context`` of this request, which claims and validators receive.

        :param fresh_time: read the clock again; values fetched and validated together share one time.
        """
        context = self._context
        if context is None:
            context = self._context = {} if self._request is None else self._request.context
        keeps_time = NOW_MS in context and not fresh_time
        return claims_context(
            context,
            extension=self._manager.extension,
            recipe_user_id=self.get_recipe_user_id(),
            payload=self._own_payload(),
            now_ms=context[NOW_MS] if keeps_time else self._manager.now_ms(),
        )

    def require_tenant(self, tenant_id: str) -> None:
        """Refuse a session of another tenant than this one.

        :raises InvalidClaimsError: a 403, because a 401 makes the frontend SDKs refresh again and again.
        """
        found = self.get_tenant_id()
        # A core keeps the ids of tenants in lower case; a subdomain, for one, may be written otherwise.
        if tenant_id == found or str(tenant_id).lower() == found:
            return
        reason = {"message": "wrong value", "expectedValue": tenant_id, "actualValue": found}
        raise InvalidClaimsError(
            f"The session belongs to the tenant {found!r}, not to {tenant_id!r}.",
            [ClaimValidationError(TENANT_VALIDATOR, reason)],
            reason=Reason.TENANT_MISMATCH,
        )

    @property
    def is_new(self) -> bool:
        """Whether the session was created or refreshed in this request."""
        return self._refresh_token is not None

    def clear_on_client(self) -> None:
        """Clear the tokens of this session, which has been revoked, on the client."""
        if self._changes is not None and self.transfer_method is not None:
            self._changes.clear(self.transfer_method, of_session=self.get_handle())

    def end_on_client(self) -> None:
        """Clear the client's tokens of both transfer methods, since the session has ended in the core."""
        if self._changes is not None:
            self._changes.end_session(of_session=self.get_handle())

    def send_with(self, request: RequestRecord) -> None:
        """Send changed tokens, pending ones included, with the response to this request from now on."""
        self._request = request
        if not self._access_token_updated or self.transfer_method is None:
            return
        token = self._access_token
        send_anti_csrf = self._anti_csrf_on_issue and self.transfer_method == "cookie"
        request.changes.issue(
            TokensToSend(
                self.transfer_method,
                token,
                self._refresh_token,
                token.anti_csrf_token if send_anti_csrf else None,
            )
        )

    @property
    def _changes(self) -> ClientChanges | None:
        return None if self._request is None else self._request.changes

    def replace_access_token(self, token: AccessToken, *, renewed: bool = False) -> None:
        """Replace the access token by a new one of the same session.

        :param renewed: the core renewed it at verification; the anti-CSRF token is sent again with it.
        """
        self._access_token = token
        self._payload = None
        self._access_token_updated = True
        self._anti_csrf_on_issue = self._anti_csrf_on_issue or renewed
        if self._request is not None:
            self.send_with(self._request)

    def replace_payload(self, payload: dict[str, Any]) -> None:
        """Replace the payload of this object only; the current access token stays as it is."""
        fixed = {key: value for key, value in self._own_payload().items() if key in PROTECTED_CLAIMS}
        self._payload = {**fixed, **payload}

    def refuse_late_change(self, instead: str) -> None:
        """Refuse a change that the client could not receive.

        :param instead: the call that makes the change by handle.
        :raises TooLateError: the response of the request has been written.
        """
        if self._request is not None and self._request.is_written:
            raise TooLateError(instead.partition("(")[0], instead=instead)

    @contextmanager
    def _changing(self, instead: str) -> Iterator[SessionMethods]:
        self.refuse_late_change(instead)
        with self._manager.acting_on(self):
            yield self._manager.methods

    def _check(self, exists: object) -> None:
        """Raise an error if an override says that the session has ended. Many overrides return nothing."""
        if exists is False:
            self.end_on_client()
            raise UnauthorisedError("The session has been revoked.")

    def _own_payload(self) -> dict[str, Any]:
        if self._payload is None:
            self._payload = self._access_token.payload()
        return self._payload


#: The name of the class in supertokens-python.
SessionContainer = Session


def _copy_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy_json(item) for item in value]
    return value
