"""What can be done with sessions: the methods that :class:`~flask_stsession.STSession` offers.

All of them work on the app that the extension object is bound to, else on ``current_app``. Those about
"this request's session" need a request, the rest do not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from flask import has_request_context
from flask import request as current_request

from . import csrf, issuing
from .claims.base import call
from .constants import DEFAULT_TENANT
from .core.models import SessionInformation
from .errors import (
    ClaimValidationError,
    Reason,
    SessionHTTPError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from .payloads import json_object
from .request_state import state_of, this_request
from .session import Session
from .verification import (
    SESSION_ONLY,
    OverrideValidators,
    VerifyOptions,
    load_session,
    origin_of_api,
    refuse,
    required_session,
)

if TYPE_CHECKING:
    from flask import Request

    from .claims.base import SessionClaim, SessionClaimValidator
    from .config import Config
    from .manager import SessionManager

_CREATE_USAGE = (
    "create_new_session(user_id, *, tenant_id=None, recipe_user_id=None, access_token_payload=None, "
    "session_data_in_database=None, disable_anti_csrf=None, remember=True)"
)


class SessionOperations(ABC):
    """Create, read, change and end sessions."""

    @property
    @abstractmethod
    def manager(self) -> SessionManager:
        """The manager of the app in question."""

    @property
    @abstractmethod
    def config(self) -> Config:
        """The settings of the app in question."""

    @property
    @abstractmethod
    def session_claims(self) -> tuple[SessionClaim[Any], ...]:
        """What is built into every new session."""

    @abstractmethod
    def global_validators_for(self, session: Session) -> list[SessionClaimValidator]:
        """The validators that every guard runs on this session."""

    # The session of this request

    def create_new_session(
        self,
        user_id: str,
        *misplaced: NoReturn,
        tenant_id: str | None = None,
        recipe_user_id: str | None = None,
        access_token_payload: Mapping[str, Any] | None = None,
        session_data_in_database: Mapping[str, Any] | None = None,
        disable_anti_csrf: bool | None = None,
        remember: bool = True,
    ) -> Session:
        """Sign a user in: make a session, whose tokens go to the client with this response.

        Check the password (or whatever proves the user) before.

        :param user_id: of the user, a non-empty string.
        :param misplaced: nothing; all other arguments go by keyword.
        :param tenant_id: ``"public"`` by default.
        :param recipe_user_id: of the login method, where a user has several.
        :param access_token_payload: JSON; readable by the client.
        :param session_data_in_database: JSON; stays in the core.
        :param disable_anti_csrf: no anti-CSRF token although ``STSESSION_ANTI_CSRF`` is ``VIA_TOKEN``.
        :param remember: ``False`` makes cookies that end with the browser, kept so across refreshes.
        :raises TypeError: a user id that is no non-empty string, or arguments in another SDK's order.
        :raises ConfigError: this host is not configured, or the token would not fit into a cookie.
        :raises CoreUnavailableError: the core does not answer.
        """
        _check_create_arguments(user_id, misplaced)
        return issuing.create(
            self._self(),
            user_id,
            tenant_id=tenant_id or DEFAULT_TENANT,
            recipe_user_id=recipe_user_id,
            access_token_payload=access_token_payload,
            session_data_in_database=session_data_in_database,
            disable_anti_csrf=disable_anti_csrf,
            remember=remember,
        )

    @overload
    def get_session(
        self,
        request: Request | None = None,
        session_required: Literal[True] = True,
        anti_csrf_check: bool | None = None,
        check_database: bool | None = None,
        override_global_claim_validators: OverrideValidators | None = None,
    ) -> Session: ...

    @overload
    def get_session(
        self,
        request: Request | None = None,
        session_required: bool = True,
        anti_csrf_check: bool | None = None,
        check_database: bool | None = None,
        override_global_claim_validators: OverrideValidators | None = None,
    ) -> Session | None: ...

    def get_session(
        self,
        request: Request | None = None,
        session_required: bool = True,
        anti_csrf_check: bool | None = None,
        check_database: bool | None = None,
        override_global_claim_validators: OverrideValidators | None = None,
    ) -> Session | None:
        """Verify this request's session: :func:`verify_session` as a function.

        :param request: the current one, if given.
        :param session_required: ``False`` answers ``None`` where there is no session.
        :param anti_csrf_check: as in :func:`verify_session`, like the rest.
        :raises SessionHTTPError: the verdict.
        """
        _check_request(request)
        options = VerifyOptions(
            anti_csrf_check=anti_csrf_check,
            session_required=session_required,
            check_database=check_database,
            override_global_claim_validators=override_global_claim_validators,
        )
        return load_session(self._self(), options)

    def refresh_session(self, request: Request | None = None) -> Session:
        """Exchange this request's refresh token for new tokens, which go out with the response.

        :param request: the current one, if given.
        :raises UnauthorisedError: no refresh token, or the session has ended; the client is cleared.
        :raises TokenTheftError: the token had been replaced; the session is revoked.
        :raises CoreUnavailableError: the core does not answer; nothing is cleared.
        """
        _check_request(request)
        try:
            return issuing.refresh(self._self())
        except SessionHTTPError as error:
            refuse(self._self(), error)
            raise

    def sign_out(self) -> None:
        """End this request's session, an expired one included, and clear the client in any case.

        :raises CoreUnavailableError: the core does not answer; nothing is cleared.
        """
        issuing.sign_out(self._self())

    # Sessions without a request

    def create_new_session_without_request_response(
        self,
        user_id: str,
        *misplaced: NoReturn,
        tenant_id: str | None = None,
        recipe_user_id: str | None = None,
        access_token_payload: Mapping[str, Any] | None = None,
        session_data_in_database: Mapping[str, Any] | None = None,
        disable_anti_csrf: bool = True,
    ) -> Session:
        """A new session whose tokens you hand out yourself: ``get_all_session_tokens_dangerously()``.

        The parameters are those of :meth:`create_new_session`; anti-CSRF tokens are made only if asked for.
        """
        _check_create_arguments(user_id, misplaced)
        return self.manager.create(
            user_id,
            tenant_id=tenant_id or DEFAULT_TENANT,
            recipe_user_id=recipe_user_id,
            payload=access_token_payload,
            data=session_data_in_database,
            claims=self.session_claims,
            issuer=self._issuer(),
            enable_anti_csrf=not disable_anti_csrf and self.config.anti_csrf == "VIA_TOKEN",
        )

    def get_session_without_request_response(
        self,
        access_token: str,
        anti_csrf_token: str | None = None,
        *,
        anti_csrf_check: bool | None = None,
        check_database: bool | None = None,
        override_global_claim_validators: OverrideValidators | None = None,
    ) -> Session:
        """Verify an access token that came by other means than a request.

        :param access_token: the raw token.
        :param anti_csrf_token: what the client sent beside it.
        :param anti_csrf_check: check it against the token's own (``VIA_TOKEN``); no by default.
        :raises UnauthorisedError: no token of a session, or it was revoked.
        :raises TryRefreshTokenError: expired, or not genuine.
        :raises InvalidClaimsError: a validator failed.
        :raises CoreUnavailableError: the core was needed and did not answer.
        """
        token = self.manager.verifier.verify(access_token)
        if token is None:
            raise UnauthorisedError(
                "The access token is none of a session.", reason=Reason.MALFORMED, clear_tokens=False
            )
        if anti_csrf_check:
            _check_anti_csrf_token(token.anti_csrf_token, anti_csrf_token)
        session = self.manager.verify(
            token, check_database=self.config.check_database if check_database is None else check_database
        )
        validators = self.global_validators_for(session)
        if override_global_claim_validators is not None:
            override = override_global_claim_validators
            validators = list(
                call(
                    lambda: override(validators, session, session.context()),
                    ensure_sync=self.manager.ensure_sync,
                    name="override_global_claim_validators",
                )
            )
        session.assert_claims(validators)
        return session

    def verify_access_token(
        self,
        token: str,
        *,
        check_database: bool | None = None,
        override_global_claim_validators: OverrideValidators | None = None,
    ) -> Session:
        """Verify an access token outside of a request: for sockets, jobs, and what else runs by itself.

        :raises: what :meth:`get_session_without_request_response` raises.
        """
        return self.get_session_without_request_response(
            token,
            check_database=check_database,
            override_global_claim_validators=override_global_claim_validators,
        )

    def refresh_session_without_request_response(
        self, refresh_token: str, disable_anti_csrf: bool = False, anti_csrf_token: str | None = None
    ) -> Session:
        """New tokens for a refresh token that came by other means than a request.

        :param disable_anti_csrf: do not check ``anti_csrf_token``, although ``STSESSION_ANTI_CSRF`` is
            ``VIA_TOKEN``.
        :raises UnauthorisedError: the session has ended.
        :raises TokenTheftError: the token had been replaced; the session is revoked.
        """
        return self.manager.refresh(
            refresh_token,
            anti_csrf_token=anti_csrf_token,
            enable_anti_csrf=not disable_anti_csrf and self.config.anti_csrf == "VIA_TOKEN",
        )

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
        found = [self.manager.information(handle) for handle in handles]
        return sorted((each for each in found if each is not None), key=lambda each: each.time_created)

    def get_session_information(self, handle: str) -> SessionInformation | None:
        """What the core knows of a session; ``None`` if there is none with that handle."""
        return self.manager.information(handle)

    def update_session_data_in_database(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the data kept with a session in the core; ``False`` if there is no such session."""
        return self.manager.update_session_data(handle, data)

    def merge_into_access_token_payload(self, handle: str, update: Mapping[str, Any]) -> bool:
        """Merge keys into the payload of a session; its next access token carries them.

        :param update: ``None`` removes a key.
        :returns: ``False`` if there is no such session.
        :raises ProtectedClaimError: for a key of the session's own.
        """
        return self.manager.merge_payload(handle, update)

    # Claims, of this request's session or of the one with a handle

    def sync_get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> Any:
        """The value of a claim; ``None`` if the session has none.

        :param session_handle: of the session; by default this request's.
        :raises SessionDoesNotExistError: there is none with that handle.
        :raises SessionHTTPError: the request has no good session.
        """
        if session_handle is None:
            return self._own_session().get_claim_value(claim)
        found = self.manager.required_information(session_handle)
        return claim.get_value_from_payload(
            found.custom_claims_in_access_token_payload, self._offline_context(found)
        )

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
        found = self.manager.information(session_handle)
        if found is None:
            return False
        context = self._offline_context(found)
        value = claim.fetch(
            found.user_id,
            recipe_user_id=found.recipe_user_id,
            tenant_id=found.tenant_id,
            payload=dict(found.custom_claims_in_access_token_payload),
            user_context=context,
            ensure_sync=self.manager.ensure_sync,
        )
        return self.set_claim_value(claim, value, session_handle=session_handle)

    def set_claim_value(
        self, claim: SessionClaim[Any], value: Any, *, session_handle: str | None = None
    ) -> bool:
        """Set a claim without asking its source; ``None`` removes it.

        :returns: ``False`` if there is no session with that handle.
        """
        if session_handle is None:
            self._own_session().set_claim_value(claim, value)
            return True
        if value is None:
            return self.remove_claim(claim, session_handle=session_handle)
        return self.manager.merge_payload(session_handle, claim.add_to_payload_({}, value, {}))

    def remove_claim(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> bool:
        """Take a claim out of the session.

        :returns: ``False`` if there is no session with that handle.
        """
        if session_handle is None:
            self._own_session().remove_claim(claim)
            return True
        return self.manager.merge_payload(session_handle, claim.remove_from_payload_by_merge_({}, {}))

    def validate_claims_for_session_handle(
        self, handle: str, *, override_global_claim_validators: Any = None
    ) -> list[ClaimValidationError]:
        """Run the validators on a session that nobody has brought along; what is due is fetched and stored.

        :param override_global_claim_validators: ``f(global_validators, session_information, user_context)``.
        :returns: what failed; empty if nothing did.
        :raises SessionDoesNotExistError: there is none with that handle.
        """
        return self.manager.validate_offline(
            handle,
            validators_of=lambda found, context: self._offline_validators(
                found, context, override_global_claim_validators
            ),
        )

    # Keys and tokens of other kinds

    def create_jwt(
        self,
        payload: Mapping[str, Any],
        validity_seconds: float | None = None,
        *,
        use_static_signing_key: bool | None = None,
    ) -> str:
        """A JWT of your own, signed by the core with a key of :meth:`get_jwks`; no session.

        :param payload: JSON; ``iss``, ``iat`` and ``exp`` are added.
        :param validity_seconds: life of the token, a hundred years by default.
        :param use_static_signing_key: with the key that is never renewed; yes by default.
        :raises CoreError: the core refuses it.
        """
        return self.manager.client.create_jwt(
            json_object(payload, argument="payload"),
            issuer=self._issuer() or "",
            validity_seconds=3153600000 if validity_seconds is None else int(validity_seconds),
            use_static_signing_key=use_static_signing_key is not False,
        )

    def get_jwks(self) -> dict[str, Any]:
        """The public keys that sign our tokens, as a JWK set (RFC 7517)."""
        return {"keys": self.manager.keys.raw()}

    # Inside

    @abstractmethod
    def _self(self) -> Any:
        """The extension object, for functions that take one."""

    def _issuer(self) -> str | None:
        """The ``iss`` of tokens made here; needs a request where the API domain is not configured."""
        if has_request_context():
            request = this_request()
            return self.config.issuer(origin_of_api(request), request.script_root)
        if self.config.api_domain is not None:
            return self.config.issuer(self.config.api_domain, "")
        return None

    def _own_session(self) -> Session:
        session = state_of(this_request()).session
        return required_session(self._self(), SESSION_ONLY) if session is None else session

    def _offline_context(self, found: SessionInformation) -> dict[str, Any]:
        return {
            "recipe_user_id": found.recipe_user_id,
            "access_token_payload": found.custom_claims_in_access_token_payload,
            "stsession": self._self(),
        }

    @abstractmethod
    def _offline_validators(
        self, found: SessionInformation, context: dict[str, Any], override: Any
    ) -> list[SessionClaimValidator]: ...


def _check_create_arguments(user_id: object, misplaced: tuple[object, ...]) -> None:
    if misplaced:
        raise TypeError(
            f"Only user_id goes by position: {_CREATE_USAGE}. The request is found by itself, unlike in "
            "supertokens-python."
        )
    if not isinstance(user_id, str) or not user_id:
        raise TypeError(
            f"user_id must be a non-empty str, not {user_id!r}: write {_CREATE_USAGE}, with str(user.id) for "
            "a number."
        )


def _check_request(request: object) -> None:
    """The one request that can be answered is the current one."""
    if request is None or request is current_request or request is this_request():
        return
    raise TypeError(
        f"{request!r:.100} is not the current request, the only one that can be answered. Leave the argument "
        "away: the current request is found by itself."
    )


def _check_anti_csrf_token(expected: str | None, sent: str | None) -> None:
    from_token = csrf.problem("VIA_TOKEN", anti_csrf_token=expected, anti_csrf_header=sent)
    if from_token is not None:
        reason, message = from_token
        raise TryRefreshTokenError(message, reason=reason)
