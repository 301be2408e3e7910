"""``STSession``, the extension object: its public methods, and the construction of its parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, overload

from flask import Blueprint, Flask, has_app_context, has_request_context
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from . import claims as built_in, core, signals
from .arguments import (
    checked_handle,
    checked_name,
    checked_names,
    checked_tenant_id,
    checked_user_id,
    keyword_only,
)
from .callables import F, refuse_asynchronous
from .claims.validation import checked_list
from .concurrency import TimeLimit
from .config import load
from .constants import CORS_REQUEST_HEADERS, DEFAULT_TENANT, REFRESH_PATH
from .core.hooks import CoreHooks
from .errors import ConfigError, Reason, SessionHTTPError, TryRefreshTokenError, UnauthorisedError
from .sessions.assembly import make_manager, make_transport
from .sessions.loaders import Loaders
from .sessions.new_session import NewSession, check_lifetime
from .sessions.payloads import json_object
from .tokens import oauth2
from .tokens.masked import MaskedToken, masked
from .web import csrf, hooks, login, navigation, refresh, routes
from .web.base import NAME, STATE, AppState, Extension
from .web.blueprint import exempt_from_csrf_extensions
from .web.context import (
    check_current_request,
    current_app_state,
    origin_of_api,
    own_session,
    request_of,
    request_state,
    state_to_change,
    this_request,
)
from .web.ended import clear_revoked
from .web.guards import Protection, default_options_response
from .web.options import (
    SESSION_ONLY,
    VerifyOptions,
    check_flags,
    check_inquiry,
    checked_claims,
    checked_validators,
    passes_to_guard,
    refuse_unknown,
    verify_options,
)
from .web.sockets import verdicts_refuse_connections
from .web.transport import security_schemes
from .web.verify import (
    answer_inquiry,
    check_tenant,
    is_renewal_route,
    record_verdict,
    required_session,
    validators_for,
)

if TYPE_CHECKING:
    from flask import Request

    from .claims.base import SessionClaim, SessionClaimValidator
    from .config.config import Config
    from .core.http import CoreTransport
    from .core.models import SessionInformation
    from .errors import ClaimValidationError
    from .sessions.loaders import Kind
    from .sessions.manager import SessionManager
    from .sessions.session import Session
    from .web.options import OverrideValidators

logger: logging.Logger = logging.getLogger("flask_stsession")


_NO_REQUEST = "Unlike in supertokens-python, the current request is used."
_NO_USER_CONTEXT = "Unlike in supertokens-python, there is no user_context."
_HANDLE_BY_KEYWORD = "Unlike in supertokens-python, the session handle is a keyword."
_TENANT_BY_KEYWORD = "Unlike in supertokens-python, the tenant is a keyword."
_OPTIONS_BY_KEYWORD = "Unlike in supertokens-python, options are keywords."
_HUNDRED_YEARS_IN_SECONDS = 3_153_600_000


class STSession(Extension):
    """SuperTokens sessions for a Flask app.

    ::

        app = Flask(__name__)
        stsession = STSession(app)

    or, with an app factory, ``stsession = STSession()`` and ``stsession.init_app(app)``. The app then has it
    as ``app.extensions["stsession"]``. One object may serve several apps: it then works on ``current_app``,
    and its methods raise ``RuntimeError`` outside of an app context.

    Subclass it to change its behaviour: every function of this package and all its routes call these methods.
    They are synchronous, so an override with ``async def`` is a ``TypeError``.

    :param app: initialised at once, if given.
    :param claims: fetched and built into every new session.
    :param global_claim_validators: run by every guard, but not at refresh and sign-out.
    :param get_email: ``f(user_id, tenant_id)``, which returns the user's address or ``None``; for e-mail
        verification.
    :raises TypeError: an argument is of a wrong type.
    :raises ConfigError: ``EmailVerificationClaim`` is among the claims, but there is no ``get_email``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in dir(STSession):
            if not name.startswith("_"):
                refuse_asynchronous(getattr(cls, name), f"{cls.__name__}.{name}")
        # These are two names of one method: an override of one applies to both.
        names = ("sync_get_claim_value", "get_claim_value")
        defined = next(vars(base) for base in cls.__mro__ if any(name in vars(base) for name in names))
        for name in names:
            if name not in defined:
                setattr(cls, name, next(defined[each] for each in names if each in defined))

    if not TYPE_CHECKING:  # type checkers would allow any attribute

        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("_"):  # an override on this object
                refuse_asynchronous(value, f"STSession.{name}")
            super().__setattr__(name, value)

    def __init__(
        self,
        app: Flask | None = None,
        *,
        claims: Iterable[SessionClaim[Any]] = (),
        global_claim_validators: Iterable[SessionClaimValidator] = (),
        get_email: Callable[[str, str], str | None] | None = None,
    ) -> None:
        if app is not None and not isinstance(app, Flask):
            raise TypeError(f"STSession() takes the Flask app, not {app!r}: write STSession(app).")
        if get_email is not None and not callable(get_email):
            raise TypeError(
                f"STSession() takes a function of (user_id, tenant_id) as get_email=, not {get_email!r}."
            )
        self.session_claims: tuple[SessionClaim[Any], ...] = checked_claims("STSession()", claims)
        self.global_claim_validators: tuple[SessionClaimValidator, ...] = checked_validators(
            "STSession()", global_claim_validators, "global_claim_validators"
        )
        self._loaders = Loaders(get_email)
        self._core_hooks = CoreHooks()
        # The state of the only app; ``None`` before there is one, and once there are several.
        self._only: AppState | None = None
        self._newest: AppState | None = None
        self._apps = 0
        if get_email is None and any(each is built_in.EmailVerificationClaim for each in self.session_claims):
            raise ConfigError(
                "EmailVerificationClaim is among the claims, but there is no get_email to return addresses: "
                "STSession(claims=[...], get_email=f), where f(user_id, tenant_id) returns the address or "
                "None."
            )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's settings, and register hooks, an error handler and routes; make no request.

        :param app: the Flask app, or ``current_app``.
        :raises ConfigError: a setting is wrong, or the app has been initialised before.
        """
        if isinstance(app, LocalProxy):  # in another context, it would mean another app
            app = app._get_current_object()
        if NAME in app.extensions:
            raise ConfigError(
                f"STSession is initialised on the app {app.name!r} already. Call init_app once per app, or "
                "STSession(app) and no init_app."
            )
        config = load(app.config)
        own_core = _core_in_process(app, config) if config.is_embedded else None
        hosts = config.core_hosts if own_core is None else (own_core.host,)
        limit = TimeLimit()
        transport = make_transport(
            config,
            hosts=hosts,
            adapter=own_core,
            time_left=limit.left if own_core is None else None,
            hooks=self._core_hooks,
        )
        state = AppState(
            app=app,
            extension=self,
            config=config,
            manager=_make_manager(app, config, self, transport),
            blueprint=routes.make_blueprint(app, config, with_email=self.has_emails),
            transport=transport,
            time_limit=limit,
            core=own_core,
            refresh_route=config.api_base_path + REFRESH_PATH,
            has_pages=config.login_url is not None,
            overrides_get_session=self._overrides("get_session"),
        )
        self._apps += 1
        self._only = state if self._apps == 1 else None
        self._newest = state
        app.extensions[NAME] = self
        app.extensions[STATE] = state
        hooks.register(state)
        app.register_blueprint(state.blueprint)
        # For extensions initialised earlier, whose checks run before ours at the first request. Our check
        # there does the same for those initialised later.
        exempt_from_csrf_extensions(app, state.blueprint)

    def close(self) -> None:
        """Close connections and the embedded core's database: for tests and scripts with many apps."""
        state = self._app_state
        state.transport.close()
        if state.core is not None:
            state.core.close_core()

    # Methods to override

    def get_global_claim_validators(
        self,
        *,
        tenant_id: str,
        user_id: str,
        claim_validators_added_by_other_recipes: list[SessionClaimValidator],
        user_context: dict[str, Any],
    ) -> list[SessionClaimValidator]:
        """Return the validators that every guard runs; those given to the constructor, unless overridden.

        :param claim_validators_added_by_other_recipes: those given to the constructor.
        """
        return claim_validators_added_by_other_recipes

    def get_login_url(self) -> str | None:
        """Return the endpoint or path of the login page; ``STSESSION_LOGIN_URL`` unless overridden."""
        return self.config.login_url

    def get_tenant_id(self) -> str | None:
        """Return the only tenant whose sessions may pass, depending on the request's host for example.

        :returns: ``None`` for any tenant; the default.
        """
        return None

    def allow_refresh(self, session: Session) -> bool:
        """Return whether a session may be refreshed; called at every refresh.

        ``False`` ends the session in the core and on the client, with a 401.

        :param session: the session with its new tokens, which the client does not have yet.
        :returns: unless overridden, whether the ``user_loader`` knows the user; ``True`` without a loader.
        """
        if "user_loader" not in self._loaders.registered:
            return True
        session.user_is_gone = self.load_user(session.get_user_id(), session.get_tenant_id()) is None
        return not session.user_is_gone

    # Functions of the app, registered with these as decorators

    def user_loader(self, function: F) -> F:
        """Register ``f(user_id)`` or ``f(user_id, tenant_id)``, which returns the user for ``current_user``.

        ``None`` means that the user no longer exists: this ends the session, at the next refresh or where
        ``current_user`` is used.

        :raises TypeError: the function takes other parameters.
        """
        return self._loaders.register("user_loader", function)

    def roles_loader(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``: the app's own table of roles, instead of the core's."""
        return self._loaders.register("roles_loader", function)

    def permissions_loader(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``: the app's own table of permissions, instead of the core's."""
        return self._loaders.register("permissions_loader", function)

    def allowed_domains_loader(self, function: F) -> F:
        """Register ``f(tenant_id)`` or ``f(tenant_id, user_context)``: a tenant's ``AllowedDomainsClaim``."""
        return self._loaders.register("allowed_domains_loader", function)

    def mfa_requirements(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``, which returns the login factors that the user needs.

        It returns a list of factor ids and groups, ``["password", {"oneOf": ["totp", "otp-email"]}]`` for
        example; ``{"allOfInAnyOrder": [...]}`` needs all of a group, and ``[]`` nothing.
        ``MultiFactorAuthClaim`` says whether a session has completed them. The function is called when a
        session is created or completes a factor.

        :raises TypeError: the function takes other parameters.
        """
        return self._loaders.register("mfa_requirements", function)

    def send_verification_email(self, function: F) -> F:
        """Register ``f(user_id, email, link, tenant_id)``, which sends the link that verifies an address.

        ``POST {base}/user/email/verify/token`` calls it. The link leads to the frontend SDK's page on the
        website (``STSESSION_WEBSITE_DOMAIN``, ``STSESSION_WEBSITE_BASE_PATH``).

        :raises TypeError: the function takes other parameters.
        """
        return self._loaders.register("send_verification_email", function)

    def csp_nonce(self, function: F) -> F:
        """Register ``f()``: the nonce of this request's Content-Security-Policy, for our own pages."""
        return self._loaders.register("csp_nonce", function)

    def before_core_request(self, function: F) -> F:
        """Register ``f(request)``, called with each request to the core before it is sent.

        For tracing, and for headers that a proxy needs: change ``request.headers``. The request is a
        ``requests.PreparedRequest``; its body and its headers hold secrets. Each retry is a request too.
        There may be neither a Flask request nor an app context: a thread renews the signing keys.

        :raises TypeError: the function takes other parameters, or is asynchronous.
        """
        return self._core_hooks.before_request(function)

    def after_core_response(self, function: F) -> F:
        """Register ``f(response)`` or ``f(request, response)``, called with each response of the core.

        The response is a ``requests.Response`` with any status; its body holds secrets. If there was no
        response, the function is not called. Its exceptions reach the caller of the core.

        :raises TypeError: the function takes other parameters, or is asynchronous.
        """
        return self._core_hooks.after_response(function)

    # Guard many views at once

    @passes_to_guard
    def protect(
        self,
        app_or_blueprint: Flask | Blueprint,
        *,
        exempt: Sequence[str | Callable[..., Any]] = (),
        **verify_arguments: Any,
    ) -> None:
        """Guard every view of an app or a blueprint, before or after ``init_app``.

        Static files, our own routes, the login page, URLs without a view, and views marked with
        :func:`~flask_stsession.session_exempt` are never guarded.

        :param exempt: endpoint names or view functions to leave out.
        :param verify_arguments: as for :func:`~flask_stsession.verify_session`.
        :raises TypeError: an argument is unknown, or of a wrong type.
        :raises ConfigError: the arguments could protect nothing.
        """
        if not isinstance(app_or_blueprint, Flask | Blueprint):
            raise TypeError(f"protect() takes the Flask app or a Blueprint, not {app_or_blueprint!r}.")
        refuse_unknown("protect()", verify_arguments, own=["exempt"])
        options = verify_options("protect()", **verify_arguments)
        app_or_blueprint.before_request(Protection(exempt, options))

    # The session of this request

    @keyword_only(_NO_REQUEST)
    def create_new_session(
        self,
        user_id: str,
        *,
        tenant_id: str | None = None,
        recipe_user_id: str | None = None,
        access_token_payload: Mapping[str, Any] | None = None,
        session_data_in_database: Mapping[str, Any] | None = None,
        disable_anti_csrf: bool | None = None,
        remember: bool | None = None,
        allow_cross_site: bool = False,
        keep_previous: bool = False,
        access_token_validity_seconds: float | None = None,
    ) -> Session:
        """Sign a user in: create a session, and send its tokens with this response.

        Check the password (or another proof of identity) first.

        :param user_id: of the user, a non-empty string.
        :param tenant_id: ``"public"`` by default.
        :param recipe_user_id: of the login method, where a user has several.
        :param access_token_payload: JSON; readable by the client.
        :param session_data_in_database: JSON; stays in the core.
        :param disable_anti_csrf: create no anti-CSRF token although ``STSESSION_ANTI_CSRF`` is ``VIA_TOKEN``.
        :param remember: ``False`` sets cookies that end with the browser, at each refresh too. By default the
            value of the session that the request carries, or else ``True``.
        :param allow_cross_site: set cookies although another site caused the request: for the form post with
            which an identity provider returns the user. Check its ``state`` first.
        :param keep_previous: ``True`` keeps the session that the request carries, for switching between
            accounts. By default the new session replaces it: the old one is ended in the core, and its
            transfer method is kept unless the client asks for another.
        :param access_token_validity_seconds: a shorter lifetime (s) for the first access token; later ones
            have the lifetime configured in the core. Needs ``STSESSION_CDI_VERSION = "5.6"``.
        :raises UnauthorisedError: another site caused the request (login CSRF); nothing is set or cleared.
        :raises TypeError: the user id is not a non-empty string, or arguments are in another SDK's order.
        :raises ConfigError: this host is not configured, the token would not fit into a cookie, or the core
            cannot shorten its life.
        :raises CoreUnavailableError: the core does not answer.
        """
        check_flags(
            "create_new_session()",
            optional=("disable_anti_csrf", "remember"),
            disable_anti_csrf=disable_anti_csrf,
            remember=remember,
            allow_cross_site=allow_cross_site,
            keep_previous=keep_previous,
        )
        new = NewSession(
            user_id=checked_user_id(user_id),
            tenant_id=DEFAULT_TENANT if tenant_id is None else tenant_id,
            recipe_user_id=recipe_user_id,
            access_token_payload=access_token_payload,
            session_data_in_database=session_data_in_database,
            disable_anti_csrf=bool(disable_anti_csrf),
            remember=remember,
            keep_previous=keep_previous,
            allow_cross_site=allow_cross_site,
            access_token_validity_seconds=access_token_validity_seconds,
        )
        state = state_to_change(
            "create_new_session",
            instead="create_new_session_without_request_response(user_id), which returns the tokens,",
        )
        return login.create(self._app_state, state, new)

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
        """Verify this request's session: :func:`~flask_stsession.verify_session` as a function.

        :param request: the current one, if given.
        :param session_required: ``False`` returns ``None`` where there is no session.
        :param anti_csrf_check: as in :func:`~flask_stsession.verify_session`, like the rest.
        :raises SessionHTTPError: the verdict.
        :raises HTTPException: Flask's default response to OPTIONS, where a session is required.
        """
        if (
            session_required is not True
            or anti_csrf_check is not None
            or check_database is not None
            or override_global_claim_validators is not None
        ):
            check_inquiry(
                "get_session()",
                session_required=session_required,
                anti_csrf_check=anti_csrf_check,
                check_database=check_database,
                override_global_claim_validators=override_global_claim_validators,
            )
        current = request_of("get_session", instead="verify_access_token(token)")
        if request is not None:
            check_current_request(request)
        if is_renewal_route(current) or (current.method == "OPTIONS" and not session_required):
            return None
        if current.method == "OPTIONS":
            # The caller's code must not run on without a session; raised, the response ends the request.
            raise HTTPException(response=default_options_response())
        with verdicts_refuse_connections():
            return answer_inquiry(
                self._app_state,
                session_required=session_required,
                anti_csrf_check=anti_csrf_check,
                check_database=check_database,
                override_global_claim_validators=override_global_claim_validators,
            )

    def refresh_session(self, request: Request | None = None) -> Session:
        """Exchange this request's refresh token for new tokens, which go out with the response.

        :param request: the current one, if given.
        :raises UnauthorisedError: no refresh token, or the session has ended; the client is cleared, unless
            another site caused the request.
        :raises TokenTheftError: an older, replaced token was used; the session is revoked.
        :raises CoreUnavailableError: the core does not answer; nothing is cleared.
        """
        state = state_to_change(
            "refresh_session",
            instead="refresh_session_without_request_response(refresh_token), which returns the tokens,",
        )
        if request is not None:
            check_current_request(request)
        app_state = self._app_state
        try:
            return refresh.refresh(app_state, state)
        except SessionHTTPError as error:
            record_verdict(app_state, error)
            raise

    def sign_out(self) -> bool:
        """End this request's session, an expired one included; clear the client even if there is none.

        If the access token can no longer be verified, uses the refresh token, if the request carries one.

        :returns: ``False``, with a warning in the log, if the session may still exist in the core: the
            access token can no longer be verified, and the request carries no refresh token.
        :raises UnauthorisedError: another site caused the request, and its tokens came by cookie; nothing is
            cleared.
        :raises CoreUnavailableError: the core does not answer; nothing is cleared.
        """
        state = state_to_change("sign_out", instead="revoke_session(handle)")
        return login.sign_out(self._app_state, state)

    # Sessions without a request

    @keyword_only(_NO_REQUEST)
    def create_new_session_without_request_response(
        self,
        user_id: str,
        *,
        tenant_id: str | None = None,
        recipe_user_id: str | None = None,
        access_token_payload: Mapping[str, Any] | None = None,
        session_data_in_database: Mapping[str, Any] | None = None,
        disable_anti_csrf: bool = True,
        access_token_validity_seconds: float | None = None,
    ) -> Session:
        """Create a session whose tokens you send yourself: ``get_all_session_tokens_dangerously()``.

        The parameters are those of :meth:`create_new_session`, but without an anti-CSRF token by default.
        """
        check_flags("create_new_session_without_request_response()", disable_anti_csrf=disable_anti_csrf)
        new = NewSession(
            user_id=checked_user_id(user_id),
            tenant_id=DEFAULT_TENANT if tenant_id is None else tenant_id,
            recipe_user_id=recipe_user_id,
            access_token_payload=access_token_payload,
            session_data_in_database=session_data_in_database,
            disable_anti_csrf=disable_anti_csrf,
            access_token_validity_seconds=access_token_validity_seconds,
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
        """Verify an access token that did not come with a request.

        :param access_token: the raw token.
        :param anti_csrf_token: the anti-CSRF token that the client sent with it.
        :param anti_csrf_check: compare that with the one in the access token (``VIA_TOKEN``); not by default.
        :raises UnauthorisedError: the token is ``None`` or not a session token, or the session was revoked.
        :raises TryRefreshTokenError: the token has expired, or is not genuine.
        :raises InvalidClaimsError: a validator failed, or the session is of another tenant than
            :meth:`STSession.get_tenant_id` returns.
        :raises CoreUnavailableError: the core was needed and did not answer.
        """
        if (
            anti_csrf_check is not None
            or check_database is not None
            or override_global_claim_validators is not None
        ):
            check_inquiry(
                "get_session_without_request_response()",
                anti_csrf_check=anti_csrf_check,
                check_database=check_database,
                override_global_claim_validators=override_global_claim_validators,
            )
        with verdicts_refuse_connections():
            state = self._app_state
            access_token = _given_token(access_token, "access_token", Reason.NO_TOKEN)
            anti_csrf_token = None if anti_csrf_token is None else MaskedToken(anti_csrf_token)
            token = state.manager.verifier.verify(access_token)
            if token is None:
                raise UnauthorisedError(
                    "The value given as access token is not a session token.",
                    reason=Reason.MALFORMED,
                    clear_tokens=False,
                )
            if anti_csrf_check:
                problem = csrf.via_token_problem(token.anti_csrf_token, anti_csrf_token)
                if problem is not None:
                    reason, message = problem
                    raise TryRefreshTokenError(message, reason=reason)
            session = state.manager.verify(
                token,
                check_database=state.config.check_database if check_database is None else check_database,
            )
            check_tenant(state, session, None)
            options = VerifyOptions(override_global_claim_validators=override_global_claim_validators)
            session.assert_claims(validators_for(state, session, options))
            return session

    def verify_access_token(
        self,
        token: str,
        *,
        check_database: bool | None = None,
        override_global_claim_validators: OverrideValidators | None = None,
    ) -> Session:
        """Verify an access token outside of a request, for sockets and jobs for example.

        :raises: the same as :meth:`get_session_without_request_response`.
        """
        if check_database is not None or override_global_claim_validators is not None:
            check_inquiry(
                "verify_access_token()",
                check_database=check_database,
                override_global_claim_validators=override_global_claim_validators,
            )
        with verdicts_refuse_connections():
            token = _given_token(token, "token", Reason.NO_TOKEN)
            return self.get_session_without_request_response(
                token,
                check_database=check_database,
                override_global_claim_validators=override_global_claim_validators,
            )

    def verify_oauth2_access_token(
        self,
        token: str,
        *,
        audience: str | None = None,
        client_id: str | None = None,
        scopes: str | Sequence[str] = (),
        check_database: bool = False,
    ) -> dict[str, Any]:
        """Verify an access token of the core's OAuth2 provider, and return its payload.

        Such a token belongs to no session: guards refuse it, and this method refuses session tokens.

        :param token: the raw token, without ``Bearer``.
        :param audience: must be in the token's ``aud``.
        :param client_id: the only client whose tokens may pass.
        :param scopes: must all be in the token's ``scp``.
        :param check_database: ask the core whether the token was revoked (RFC 7662).
        :raises UnauthorisedError: it is not such a token, has expired or was revoked, is not genuine, or is
            for another audience or client. Nothing is cleared on the client.
        :raises InvalidClaimsError: scopes are missing (403).
        :raises CoreUnavailableError: the core was needed and did not answer.
        """
        check_flags("verify_oauth2_access_token()", check_database=check_database)
        with verdicts_refuse_connections():
            token = _given_token(token, "token", Reason.NO_TOKEN)
            for argument, value in (("audience", audience), ("client_id", client_id)):
                if value is not None:
                    checked_name(value, argument)
            needed, manager = checked_names(scopes, "scopes"), self.manager
            payload = oauth2.verified_payload(token, manager.keys, now=manager.now_ms() / 1000)
            oauth2.check_requirements(payload, audience=audience, client_id=client_id, scopes=needed)
            if check_database and not manager.client.is_oauth2_token_active(token):
                raise oauth2.inactive()
            return payload

    def refresh_session_without_request_response(
        self, refresh_token: str, disable_anti_csrf: bool = False, anti_csrf_token: str | None = None
    ) -> Session:
        """Exchange a refresh token that did not come with a request for new tokens.

        :param disable_anti_csrf: do not check ``anti_csrf_token``, although ``STSESSION_ANTI_CSRF`` is
            ``VIA_TOKEN``.
        :raises UnauthorisedError: the session has ended.
        :raises TokenTheftError: an older, replaced token was used; the session is revoked.
        """
        check_flags(
            "refresh_session_without_request_response()",
            remedy=lambda _: "Write anti_csrf_token=... for a token, or disable_anti_csrf=True or nothing.",
            disable_anti_csrf=masked(disable_anti_csrf),  # it may be the anti-CSRF token
        )
        state = self._app_state
        refresh_token = _given_token(refresh_token, "refresh_token", Reason.REFRESH_TOKEN_MISSING)
        anti_csrf_token = None if anti_csrf_token is None else MaskedToken(anti_csrf_token)
        session = state.manager.refresh(
            refresh_token,
            anti_csrf_token=anti_csrf_token,
            enable_anti_csrf=not disable_anti_csrf and state.config.anti_csrf == "VIA_TOKEN",
        )
        self.refuse_refresh_of_ended(session, state)
        return session

    # Sessions by handle or user

    @keyword_only(_NO_USER_CONTEXT)
    def revoke_session(self, handle: str) -> bool:
        """End a session.

        :returns: whether it still existed.
        """
        return self.revoke_multiple_sessions([checked_handle(handle)]) == [handle]

    @keyword_only(_NO_USER_CONTEXT)
    def revoke_multiple_sessions(self, handles: Iterable[str]) -> list[str]:
        """End several sessions in one request to the core.

        :returns: the handles of those that still existed.
        :raises TypeError: ``handles`` is a single handle, whose characters would count as handles.
        """
        if isinstance(handles, str | bytes):
            raise TypeError(
                "handles must be several session handles, not a str: write revoke_session(handle)."
            )
        if not isinstance(handles, Iterable):
            raise TypeError(f"handles must be several session handles, not {handles!r}: write [handle].")
        wanted = [checked_handle(handle, "each of handles") for handle in handles]
        if not wanted:
            return []
        revoked = self.manager.revoke(wanted)
        clear_revoked(self._app_state, wanted)
        return revoked

    @keyword_only(_TENANT_BY_KEYWORD)
    def revoke_all_sessions_for_user(
        self, user_id: str, *, tenant_id: str | None = None, revoke_across_all_tenants: bool = True
    ) -> list[str]:
        """End all sessions of a user.

        :param tenant_id: end only the sessions in this tenant.
        :param revoke_across_all_tenants: ``False`` without a tenant: end only those in the default tenant.
        :returns: their handles.
        """
        user_id = checked_user_id(user_id)
        if tenant_id is not None:
            checked_tenant_id(tenant_id)
        check_flags("revoke_all_sessions_for_user()", revoke_across_all_tenants=revoke_across_all_tenants)
        revoked = self.manager.revoke_all_of_user(
            user_id,
            tenant_id=tenant_id,
            all_tenants=revoke_across_all_tenants and tenant_id is None,
        )
        clear_revoked(self._app_state, revoked)
        return revoked

    @keyword_only(_TENANT_BY_KEYWORD)
    def get_all_session_handles_for_user(
        self, user_id: str, *, tenant_id: str | None = None, fetch_across_all_tenants: bool = True
    ) -> list[str]:
        """Return the handles of a user's sessions.

        :param tenant_id: list only the sessions in this tenant.
        :param fetch_across_all_tenants: ``False`` without a tenant: list only those in the default tenant.
        """
        user_id = checked_user_id(user_id)
        if tenant_id is not None:
            checked_tenant_id(tenant_id)
        check_flags("get_all_session_handles_for_user()", fetch_across_all_tenants=fetch_across_all_tenants)
        return self.manager.client.list_session_handles(
            user_id,
            tenant_id=tenant_id,
            all_tenants=fetch_across_all_tenants and tenant_id is None,
        )

    @keyword_only(_TENANT_BY_KEYWORD)
    def list_sessions(self, user_id: str, *, tenant_id: str | None = None) -> list[SessionInformation]:
        """Return a user's sessions, oldest first, for a page where users can end unknown ones."""
        user_id = checked_user_id(user_id)
        if tenant_id is not None:
            checked_tenant_id(tenant_id)
        found = self.manager.client.list_sessions(user_id, tenant_id=tenant_id, all_tenants=tenant_id is None)
        return sorted(found, key=lambda session: session.time_created)

    @keyword_only(_NO_USER_CONTEXT)
    def get_session_information(self, handle: str) -> SessionInformation | None:
        """Return the core's record of a session; ``None`` if there is none with that handle."""
        return self.manager.by_handle.information(checked_handle(handle))

    @keyword_only(_NO_USER_CONTEXT)
    def update_session_data_in_database(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the data that the core keeps with a session.

        :returns: ``False`` if there is no session with that handle.
        """
        return self.manager.default_methods.update_session_data_in_database(checked_handle(handle), data)

    @keyword_only(_NO_USER_CONTEXT)
    def merge_into_access_token_payload(self, handle: str, update: Mapping[str, Any]) -> bool:
        """Merge keys into the payload of a session; its next access token carries them.

        :param update: the keys to set; the value ``None`` removes a key.
        :returns: ``False`` if there is no session with that handle.
        :raises ProtectedClaimError: a key is reserved for the session itself.
        """
        return self.manager.default_methods.merge_into_access_token_payload(checked_handle(handle), update)

    # Claims of this request's session, or of the session with a handle

    @keyword_only(_HANDLE_BY_KEYWORD)
    def sync_get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> Any:
        """Return the value of a claim; ``None`` if the session has none.

        :param session_handle: of the session; by default this request's.
        :raises SessionDoesNotExistError: there is none with that handle.
        :raises SessionHTTPError: the request has no valid session.
        """
        with self._session_at_hand(
            session_handle, "get_claim_value(claim, session_handle=handle)", changes=False
        ) as handle:
            return self.manager.default_methods.get_claim_value(claim, session_handle=handle)

    @keyword_only(_HANDLE_BY_KEYWORD)
    def get_claim_value(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> Any:
        """Do the same as :meth:`sync_get_claim_value`; an override of one applies to both."""
        return STSession.sync_get_claim_value(self, claim, session_handle=session_handle)

    @keyword_only(_HANDLE_BY_KEYWORD)
    def fetch_and_set_claim(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> bool:
        """Fetch the value of a claim from its source, and set it.

        :returns: ``False`` if there is no session with that handle.
        """
        with self._session_at_hand(
            session_handle, "fetch_and_set_claim(claim, session_handle=handle)"
        ) as handle:
            return self.manager.default_methods.fetch_and_set_claim(claim, session_handle=handle)

    @keyword_only(_HANDLE_BY_KEYWORD)
    def set_claim_value(
        self, claim: SessionClaim[Any], value: Any, *, session_handle: str | None = None
    ) -> bool:
        """Set a claim without asking its source; ``None`` removes it.

        :returns: ``False`` if there is no session with that handle.
        """
        with self._session_at_hand(
            session_handle, "set_claim_value(claim, value, session_handle=handle)"
        ) as handle:
            return self.manager.default_methods.set_claim_value(claim, value, session_handle=handle)

    @keyword_only(_HANDLE_BY_KEYWORD)
    def remove_claim(self, claim: SessionClaim[Any], *, session_handle: str | None = None) -> bool:
        """Remove a claim from the session.

        :returns: ``False`` if there is no session with that handle.
        """
        with self._session_at_hand(session_handle, "remove_claim(claim, session_handle=handle)") as handle:
            return self.manager.default_methods.remove_claim(claim, session_handle=handle)

    @keyword_only(_OPTIONS_BY_KEYWORD)
    def validate_claims_for_session_handle(
        self, handle: str, *, override_global_claim_validators: Any = None
    ) -> list[ClaimValidationError]:
        """Fetch the claims that need it, then run the validators on the session with this handle.

        :param override_global_claim_validators: ``f(global_validators, session_information, user_context)``,
            which returns the validators to run.
        :returns: one error for each validator that failed.
        :raises SessionDoesNotExistError: there is no session with that handle.
        """
        check_inquiry(
            "validate_claims_for_session_handle()",
            override_global_claim_validators=override_global_claim_validators,
        )
        return self.manager.by_handle.validate_claims(
            checked_handle(handle),
            global_validators=lambda found, context: self._validators_of(
                found.user_id, found.tenant_id, context
            ),
            override=override_global_claim_validators,
        )

    # Keys, other tokens, and facts about the interface

    @keyword_only(_OPTIONS_BY_KEYWORD)
    def create_jwt(
        self,
        payload: Mapping[str, Any],
        validity_seconds: float | None = None,
        *,
        use_static_signing_key: bool | None = None,
    ) -> str:
        """Create a JWT of your own, without a session; the core signs it with a key of :meth:`get_jwks`.

        :param payload: JSON; ``iss``, ``iat`` and ``exp`` are added.
        :param validity_seconds: the lifetime (s) of the token, a hundred years by default.
        :param use_static_signing_key: ``False``: sign with a rotating key instead of the static one.
        :raises ValueError: the lifetime is less than a second, or endless.
        :raises CoreError: the core refuses the payload.
        """
        check_flags(
            "create_jwt()",
            optional=("use_static_signing_key",),
            use_static_signing_key=use_static_signing_key,
        )
        return self.manager.client.create_jwt(
            json_object(payload, argument="payload"),
            issuer=self._issuer() or "",
            validity_seconds=_checked_validity(validity_seconds),
            use_static_signing_key=use_static_signing_key is not False,
        )

    def get_jwks(self) -> dict[str, Any]:
        """Return the public keys that sign our tokens, as a JWK set (RFC 7517)."""
        return {"keys": self.manager.keys.raw()}

    def get_open_id_discovery_configuration(self) -> dict[str, Any]:
        """Return the discovery document (OpenID Connect Discovery 1.0, section 3).

        :raises ConfigError: outside of a request, while ``STSESSION_API_DOMAIN`` is not set.
        """
        base_url = self._base_url()
        if base_url is None:
            raise ConfigError(
                "The URL of this API is not known outside of a request, unless STSESSION_API_DOMAIN is set "
                'to its scheme and host, "https://api.example.com" for example.'
            )
        return routes.discovery_document(self.config.issuer or base_url, base_url=base_url)

    @staticmethod
    def get_all_cors_headers() -> list[str]:
        """Return the request headers that a frontend SDK sends, for ``Access-Control-Allow-Headers``."""
        return list(CORS_REQUEST_HEADERS)

    def next_url(self, default: str = "/") -> str:
        """Return the ``next`` of this request for a login view to redirect to, if it is safe.

        Reads the form, then the query. Only a path of this site is safe: one leading slash, not followed by
        a slash or a backslash (browsers read both as the start of another host), and no control characters
        (browsers drop them before they parse).

        :param default: returned if there is no safe ``next``.
        """
        return navigation.next_url(default)

    def openapi_security_schemes(self) -> dict[str, Any]:
        """Return security schemes of protected views, for ``components.securitySchemes`` (OpenAPI 3.1)."""
        return security_schemes(self.config.cookie_names)

    # The current app

    @property
    def app(self) -> Flask:
        """The app that this object works on."""
        return self._app_state.app

    @property
    def config(self) -> Config:
        """The settings, as read by ``init_app``."""
        return self._app_state.config

    @property
    def manager(self) -> SessionManager:
        """The manager, which verifies and changes sessions without a request."""
        return self._app_state.manager

    @property
    def blueprint(self) -> Blueprint:
        """Our routes, for extensions that take a Blueprint: ``CORS(stsession.blueprint)``.

        Outside of an app context, as in an app factory, these are the routes of the last initialised app.
        """
        if self._newest is not None and not has_app_context():
            return self._newest.blueprint
        return self._app_state.blueprint

    @property
    def _app_state(self) -> AppState:
        """The state that ``init_app`` created for the current app."""
        if self._only is not None:
            return self._only
        if not self._apps:
            raise RuntimeError(
                "This STSession has no app yet. Write STSession(app), or stsession.init_app(app)."
            )
        if not has_app_context():
            raise RuntimeError(
                f"This STSession serves {self._apps} apps, so outside of an app context it cannot know which "
                'one is meant. Call it in "with app.app_context():".'
            )
        return current_app_state()

    # For the rest of this package

    @property
    def asks_for_tenant(self) -> bool:
        """Whether ``get_tenant_id`` is overridden."""
        return self._overrides("get_tenant_id")

    @property
    def asks_for_validators(self) -> bool:
        """Whether ``get_global_claim_validators`` is overridden."""
        return self._overrides("get_global_claim_validators")

    @property
    def asks_for_login_url(self) -> bool:
        """Whether ``get_login_url`` is overridden."""
        return self._overrides("get_login_url")

    def _overrides(self, method: str) -> bool:
        """Return whether a method is overridden, by a subclass or on this object."""
        return getattr(getattr(self, method), "__func__", None) is not getattr(STSession, method)

    @property
    def claim_max_age_seconds(self) -> float | None:
        """``STSESSION_CLAIM_MAX_AGE_SECONDS``, for built-in claims."""
        return self.config.claim_max_age_seconds

    def global_validators_for(self, session: Session) -> list[SessionClaimValidator]:
        """Return the validators that every guard runs on this session."""
        if not self.asks_for_validators:
            return list(self.global_claim_validators)
        return self._validators_of(session.get_user_id(), session.get_tenant_id(), session.context())

    def _validators_of(
        self, user_id: str, tenant_id: str, context: dict[str, Any]
    ) -> list[SessionClaimValidator]:
        returned = self.get_global_claim_validators(
            tenant_id=tenant_id,
            user_id=user_id,
            claim_validators_added_by_other_recipes=list(self.global_claim_validators),
            user_context=context,
        )
        return checked_list(returned, "get_global_claim_validators()")

    def has_loader(self, kind: Kind) -> bool:
        """Return whether the app has registered a function of this kind."""
        return kind in self._loaders.registered

    def load_user(self, user_id: str, tenant_id: str) -> Any:
        """Return what the ``user_loader`` returns for a user.

        :raises ConfigError: there is no ``user_loader``.
        """
        return self._loaders.load_user(self.manager, user_id, tenant_id)

    def refuse_refresh_of_ended(self, session: Session, app_state: AppState) -> None:
        """End the session if :meth:`allow_refresh` refuses it.

        :param app_state: of the current app.
        :raises UnauthorisedError: the session was ended, here or by a receiver of ``session_refreshed``.
        :raises TypeError: :meth:`allow_refresh` did not return a bool.
        """
        allowed: object = self.allow_refresh(session)
        if not isinstance(allowed, bool):
            raise TypeError(f"allow_refresh() must return True or False, not {allowed!r}.")
        if allowed:
            if app_state.manager.is_revoked(session.get_handle()):
                raise UnauthorisedError("The session was revoked while it was refreshed.")
            return
        self.revoke_session(session.get_handle())
        user_id, is_gone = session.get_user_id(), session.user_is_gone
        if is_gone is None:  # an override decided without the loader
            is_gone = not STSession.allow_refresh(self, session)
        if is_gone:
            message, reason = f"The user_loader knows no user {user_id!r}.", Reason.USER_GONE
        else:
            message, reason = f"allow_refresh() ended a session of {user_id!r}.", Reason.SESSION_ENDED
        raise UnauthorisedError(message, reason=reason)

    def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
        """Return the user's roles, from the ``roles_loader`` or the core."""
        return self._loaders.roles_of(self.manager, user_id, tenant_id)

    def permissions_of(self, user_id: str, tenant_id: str, *, max_age: float = 0) -> list[str]:
        """Return the user's permissions, from the ``permissions_loader`` or the core.

        :param max_age: the maximum age (s) of a cached response of the core; 0: ask now.
        """
        return self._loaders.permissions_of(self.manager, user_id, tenant_id, max_age=max_age)

    @property
    def has_mfa_requirements(self) -> bool:
        """Whether the app has registered ``mfa_requirements``."""
        return "mfa_requirements" in self._loaders.registered

    def mfa_requirements_of(self, user_id: str, tenant_id: str) -> Any:
        """Return the factors that the user needs to log in; ``None`` without ``mfa_requirements``."""
        return self._loaders.mfa_requirements_of(self.manager, user_id, tenant_id)

    def allowed_domains_of(self, tenant_id: str, user_context: dict[str, Any]) -> list[str] | None:
        """Return the allowed domains of a tenant; ``None`` without an ``allowed_domains_loader``."""
        return self._loaders.allowed_domains_of(self.manager, tenant_id, user_context)

    def is_email_of_user_verified(self, user_id: str, tenant_id: str) -> bool:
        """Return whether the user's address is verified; true for a user without an address."""
        return self._loaders.is_email_verified(self.manager, user_id, tenant_id)

    @property
    def has_emails(self) -> bool:
        """Whether the app has given a ``get_email``."""
        return self._loaders.get_email is not None

    def deliver_verification_email(self, user_id: str, email: str, link: str, tenant_id: str) -> None:
        """Send a link with the function registered by :meth:`send_verification_email`.

        :raises ConfigError: there is no such function.
        """
        self._loaders.deliver_verification_email(self.manager, user_id, email, link, tenant_id)

    def email_of(self, user_id: str, tenant_id: str) -> str | None:
        """Return the user's address, as returned by ``get_email``.

        :raises ConfigError: there is no ``get_email``.
        """
        return self._loaders.email_of(self.manager, user_id, tenant_id)

    def update_email_verification(self, session: Session) -> bool:
        """Set ``EmailVerificationClaim`` to the core's answer for the session's user, and return it."""
        return self._loaders.update_email_verification(self.manager, session)

    def nonce_of_this_request(self) -> str | None:
        """Return the nonce of the ``csp_nonce`` function; ``None`` if there is none."""
        return self._loaders.csp_nonce(self.manager)

    def require_auth_time(self) -> None:
        """Refuse ``max_auth_age`` if sessions do not carry the time of the login.

        :raises ConfigError: ``AuthTimeClaim`` is not among the claims.
        """
        if built_in.AuthTimeClaim not in self.session_claims:
            raise ConfigError(
                "max_auth_age= needs the time of the login in the session: STSession(claims=[AuthTimeClaim])."
            )

    @contextmanager
    def _session_at_hand(self, handle: str | None, instead: str, *, changes: bool = True) -> Iterator[str]:
        """Yield the handle of the session to act on; if it is that of this request, act on its object.

        :param handle: ``None`` for the session of this request.
        :param instead: the call to suggest if there is no request or its response is written.
        :param changes: whether the block changes the session.
        """
        if handle is not None:
            yield checked_handle(handle, "session_handle")
            return
        request = request_of(instead.partition("(")[0], instead=instead)
        session = request_state(request).session
        if session is None:
            session = required_session(self._app_state, SESSION_ONLY)
        if changes:
            session.refuse_late_change(instead)
        with self.manager.acting_on(session):
            yield session.get_handle()

    def _issuer(self) -> str | None:
        """Return the ``iss`` of our tokens, or ``None`` if it depends on a request and there is none."""
        return self.config.issuer or self._base_url()

    def _base_url(self) -> str | None:
        """Return the URL of our routes; ``None`` without a request and a configured API domain."""
        config = self.config
        if has_request_context():
            request = this_request()
            return config.base_url(origin_of_api(request), request.script_root)
        return None if config.api_domain is None else config.base_url(config.api_domain, "")


def _core_in_process(app: Flask, config: Config) -> core.AppCore:
    return core.AppCore(
        config,
        instance_path=lambda: app.instance_path,
        is_testing=lambda: app.testing,
        is_debug=lambda: app.debug,
    )


def _checked_validity(seconds: float | None) -> int:
    """Return the lifetime of a JWT in whole seconds, by default a hundred years.

    :raises TypeError: it is not a number.
    :raises ValueError: it is less than a second, or endless.
    """
    if seconds is None:
        return _HUNDRED_YEARS_IN_SECONDS
    check_lifetime(seconds, "validity_seconds")
    return int(seconds)


def _given_token(token: object, argument: str, reason: Reason) -> MaskedToken:
    """Return a token whose ``repr`` is masked, because error reporters collect local variables.

    :raises UnauthorisedError: there is no token.
    :raises TypeError: it is not a str; the message does not show it.
    """
    if token is None:
        raise UnauthorisedError(f"No {argument} was given.", reason=reason, clear_tokens=False)
    if not isinstance(token, str):
        remedy = f": write {argument}.decode()" if isinstance(token, bytes) else ""
        raise TypeError(f"{argument} must be a str, not {type(token).__name__}{remedy}.")
    return MaskedToken(token)


def _make_manager(app: Flask, config: Config, ext: STSession, transport: CoreTransport) -> SessionManager:
    def on_stale(error: Exception, age_seconds: float) -> None:
        with app.app_context():  # a thread renews the keys
            signals.keys_stale.send(app, error=error, age_seconds=age_seconds)

    return make_manager(
        config,
        transport,
        sender=app,
        extension=ext,
        on_stale=on_stale,
        find_own=own_session,
        ensure_sync=app.ensure_sync,
    )
