"""What can be done with sessions: the methods that :class:`~flask_stsession.STSession` offers.

All of them work on the app that the extension object is bound to, else on ``current_app``. Those about
"this request's session" need a request, the rest do not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from flask import has_request_context, request as current_request

from .constants import DEFAULT_TENANT
from .errors import Reason, SessionHTTPError, TryRefreshTokenError, UnauthorisedError
from .sessions.new_session import NewSession
from .sessions.payloads import json_object
from .sessions.session import Session
from .web import csrf, login as issuing
from .web.context import this_request
from .web.verify import OverrideValidators, VerifyOptions, load_session, origin_of_api, refuse, validators_for

if TYPE_CHECKING:
    from flask import Request

    from .claims.base import SessionClaim
    from .config.config import Config
    from .sessions.manager import SessionManager

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
        new = NewSession(
            user_id=user_id,
            tenant_id=tenant_id or DEFAULT_TENANT,
            recipe_user_id=recipe_user_id,
            access_token_payload=access_token_payload or {},
            session_data_in_database=session_data_in_database or {},
            disable_anti_csrf=bool(disable_anti_csrf),
            remember=remember,
        )
        return issuing.create(self._self(), new)

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
        new = NewSession(
            user_id=user_id,
            tenant_id=tenant_id or DEFAULT_TENANT,
            recipe_user_id=recipe_user_id,
            access_token_payload=access_token_payload or {},
            session_data_in_database=session_data_in_database or {},
            disable_anti_csrf=disable_anti_csrf,
        )
        return self.manager.create(
            new,
            claims=self.session_claims,
            issuer=self._issuer(),
            enable_anti_csrf=self.config.anti_csrf == "VIA_TOKEN",
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
        options = VerifyOptions(override_global_claim_validators=override_global_claim_validators)
        session.assert_claims(validators_for(self._self(), session, options))
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
