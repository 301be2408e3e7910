"""``STSession``: the one place where the parts are put together."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Flask

from . import signals
from .claims.builtin import AuthTimeClaim, EmailVerificationClaim
from .config import load
from .config.config import Config
from .constants import ACCESS_TOKEN_COOKIE, CORS_REQUEST_HEADERS
from .core.client import CoreClient
from .core.http import CoreTransport
from .core.in_process import EMBEDDED_HOST, AppCore
from .errors import ConfigError
from .offline import OfflineOperations
from .operations import SessionOperations
from .sessions.loaders import Loaders
from .sessions.manager import ManagerSettings, SessionManager
from .tokens.jwks import KeySet
from .tokens.verifier import TokenVerifier
from .web import hooks, routes
from .web.current import NAME, extension_of_current_app
from .web.guards import verify_options
from .web.protection import guard_for

if TYPE_CHECKING:
    from .claims.base import SessionClaim, SessionClaimValidator
    from .core.models import SessionInformation
    from .sessions.session import Session

logger = logging.getLogger("flask_stsession")

F = TypeVar("F", bound=Callable[..., Any])


class STSession(SessionOperations, OfflineOperations):
    """SuperTokens sessions for a Flask app.

    ::

        app = Flask(__name__)
        stsession = STSession(app)

    or, with an app factory, ``stsession = STSession()`` and ``stsession.init_app(app)``. One object may
    serve several apps: inside of a request or an app context it works on ``current_app``; elsewhere use
    ``app.extensions["stsession"]``, which is bound to its app.

    Subclass it to change what it does: every function of this package and every route of ours goes
    through these methods.

    :param app: initialised at once, if given.
    :param claims: fetched and built into every new session.
    :param global_claim_validators: run by every guard, but not at refresh and sign-out.
    :param get_email: ``f(user_id, tenant_id)``, the user's address or ``None``; for e-mail verification.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        claims: Iterable[SessionClaim[Any]] = (),
        global_claim_validators: Iterable[SessionClaimValidator] = (),
        get_email: Callable[[str, str], str | None] | None = None,
    ) -> None:
        self._claims = tuple(claims)
        self._loaders = Loaders(get_email)
        if EmailVerificationClaim in self._claims and get_email is None:
            raise ConfigError(
                "EmailVerificationClaim is among the claims, but there is no get_email to return addresses: "
                "STSession(claims=[...], get_email=f), where f(user_id, tenant_id) returns the address or "
                "None."
            )
        self._global_claim_validators = tuple(global_claim_validators)
        self._bound: _Bound | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's settings and register hooks, error handler and routes. Makes no request.

        :raises ConfigError: a setting is wrong, or the app has been initialised before.
        """
        if NAME in app.extensions:
            raise ConfigError(
                f"STSession is initialised on the app {app.name!r} already. Call init_app once per app, or "
                "STSession(app) and no init_app."
            )
        config = load(app.config)
        bound = copy.copy(self)
        blueprint = routes.make_blueprint(config, with_email=self._loaders.get_email is not None)
        core = AppCore(app, config) if config.is_embedded else None
        transport = _make_transport(config, core)
        manager = _make_manager(app, config, bound, transport)
        bound._bound = _Bound(app, config, manager, blueprint, core, transport)
        app.extensions[NAME] = bound
        hooks.register(app, bound)
        app.register_blueprint(blueprint)
        bound.exempt_from_csrf_protect(app)

    def close(self) -> None:
        """Close connections and the embedded core's database; for tests and scripts that make many apps."""
        bound = self._of_current_app()
        bound.transport.close()
        if bound.core is not None:
            bound.core.close_core()

    # To be overridden

    def get_global_claim_validators(
        self,
        *,
        tenant_id: str,
        user_id: str,
        claim_validators_added_by_other_recipes: list[SessionClaimValidator],
        user_context: dict[str, Any],
    ) -> list[SessionClaimValidator]:
        """The validators that every guard runs; those given to the constructor, unless overridden.

        :param claim_validators_added_by_other_recipes: those given to the constructor.
        """
        return claim_validators_added_by_other_recipes

    def get_login_url(self) -> str | None:
        """Endpoint or path of the login page; ``STSESSION_LOGIN_URL`` unless overridden."""
        return self.config.login_url

    def get_tenant_id(self) -> str | None:
        """The only tenant whose sessions may pass, by the request's host for example; ``None``: any."""
        return None

    # Loaders, registered as decorators

    def user_loader(self, function: F) -> F:
        """Register ``f(user_id)``, which returns the user for ``current_user``, or ``None``."""
        return self._loaders.register("user", function)

    def roles_loader(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``: the app's own table of roles, instead of the core's."""
        return self._loaders.register("roles", function)

    def permissions_loader(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``: the app's own table of permissions, instead of the core's."""
        return self._loaders.register("permissions", function)

    def load_user(self, user_id: str) -> Any:
        """Return what the ``user_loader`` returns for a user.

        :raises ConfigError: there is none.
        """
        return self._loaders.load_user(self.manager, user_id)

    def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
        """Return the user's roles, from the ``roles_loader`` or the core."""
        return self._loaders.roles_of(self.manager, user_id, tenant_id)

    def permissions_of(self, user_id: str, tenant_id: str, *, max_age: float = 0) -> list[str]:
        """Return the user's permissions, from the ``permissions_loader`` or the core.

        :param max_age: the age (s) up to which a cached response of the core may serve; 0: ask now.
        """
        return self._loaders.permissions_of(self.manager, user_id, tenant_id, max_age=max_age)

    def is_email_of_user_verified(self, user_id: str, tenant_id: str) -> bool:
        """Return whether the user's address is verified; true for a user without an address."""
        return self._loaders.is_email_verified(self.manager, user_id, tenant_id)

    def email_of(self, user_id: str, tenant_id: str) -> str | None:
        """Return the user's address, by ``get_email``.

        :raises ConfigError: there is no ``get_email``.
        """
        return self._loaders.email_of(self.manager, user_id, tenant_id)

    def update_email_verification(self, session: Session) -> bool:
        """Set ``EmailVerificationClaim`` to what the core says about the session's user; return that."""
        return self._loaders.update_email_verification(self.manager, session)

    @property
    def session_claims(self) -> tuple[SessionClaim[Any], ...]:
        """The claims that are built into every new session."""
        return self._claims

    def require_auth_time(self) -> None:
        """Refuse ``max_auth_age`` where sessions do not carry the time of the login.

        :raises ConfigError: ``AuthTimeClaim`` is not among the claims.
        """
        if AuthTimeClaim not in self._claims:
            raise ConfigError(
                "max_auth_age= needs the time of the login in the session: STSession(claims=[AuthTimeClaim])."
            )

    # Guarding many views at once

    def protect(
        self,
        app_or_blueprint: Flask | Blueprint,
        *,
        exempt: Sequence[str | Callable[..., Any]] = (),
        **verify_arguments: Any,
    ) -> None:
        """Guard every view of an app or a blueprint, before or after ``init_app``.

        Never guarded: OPTIONS, static files, our own routes, the login page, URLs without a view, and what
        :func:`~flask_stsession.session_exempt` marks.

        :param exempt: endpoint names or view functions to leave out.
        :param verify_arguments: as for :func:`~flask_stsession.verify_session`.
        """
        guard = guard_for(exempt, verify_options(**verify_arguments))
        app_or_blueprint.before_request(guard)

    # What it is bound to

    @property
    def app(self) -> Flask:
        """The app that this object works on."""
        return self._of_current_app().app

    @property
    def config(self) -> Config:
        """The settings, as read by ``init_app``."""
        return (self._bound or self._of_current_app()).config

    @property
    def claim_max_age_seconds(self) -> float | None:
        """``STSESSION_CLAIM_MAX_AGE_SECONDS``, which built-in claims ask for."""
        return self.config.claim_max_age_seconds

    @property
    def manager(self) -> SessionManager:
        """Verifies and changes sessions, from tokens rather than requests."""
        return (self._bound or self._of_current_app()).manager

    @property
    def blueprint(self) -> Blueprint:
        """Our routes: to exempt them from another extension, for example."""
        return self._of_current_app().blueprint

    @property
    def refresh_route(self) -> str:
        """The path at which the app itself sees requests for a refresh."""
        return self._of_current_app().refresh_route

    # Facts about the interface

    def get_open_id_discovery_configuration(self) -> dict[str, Any]:
        """What ``{base}/.well-known/openid-configuration`` answers (OpenID Connect Discovery 1.0, section 3).

        :raises ConfigError: outside of a request, while ``STSESSION_API_DOMAIN`` is not set.
        """
        issuer = self._issuer()
        if issuer is None:
            raise ConfigError(
                "The issuer is not known outside of a request, unless STSESSION_API_DOMAIN is set to the "
                'scheme and host of this API, "https://api.example.com" for example.'
            )
        endpoints = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "revocation_endpoint": "revoke",
            "token_introspection_endpoint": "introspect",
            "end_session_endpoint": "end_session",
        }
        return {
            "issuer": issuer,
            "jwks_uri": issuer + routes.JWKS,
            **{name: f"{issuer}/oauth/{path}" for name, path in endpoints.items()},
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "id_token token"],
        }

    @staticmethod
    def get_all_cors_headers() -> list[str]:
        """The request headers that a frontend SDK sends, for ``Access-Control-Allow-Headers``."""
        return list(CORS_REQUEST_HEADERS)

    @staticmethod
    def openapi_security_schemes() -> dict[str, Any]:
        """Security schemes of protected views, for ``components.securitySchemes`` (OpenAPI 3.1)."""
        return {
            "stsessionBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "stsessionCookie": {"type": "apiKey", "in": "cookie", "name": ACCESS_TOKEN_COOKIE},
        }

    # For the other parts of this package

    def global_validators_for(self, session: Session) -> list[SessionClaimValidator]:
        """The validators that every guard runs on this session."""
        ask = self.get_global_claim_validators
        if getattr(ask, "__func__", None) is STSession.get_global_claim_validators:
            # Decoding the payload for nobody to look at would be much of what a verification costs.
            return list(self._global_claim_validators)
        return list(
            ask(
                tenant_id=session.get_tenant_id(),
                user_id=session.get_user_id(),
                claim_validators_added_by_other_recipes=list(self._global_claim_validators),
                user_context=session.context(),
            )
        )

    def exempt_from_csrf_protect(self, app: Flask) -> None:
        """Keep Flask-WTF's ``CSRFProtect`` off our routes, which check for themselves."""
        protect = app.extensions.get("csrf")
        if protect is not None and hasattr(protect, "exempt"):
            protect.exempt(self.blueprint)

    def _self(self) -> STSession:
        """This object, bound to the app in question."""
        return self if self._bound is not None else extension_of_current_app()

    def _of_current_app(self) -> _Bound:
        bound = self._bound
        if bound is None:
            bound = extension_of_current_app()._bound
            assert bound is not None
        return bound

    def _offline_validators(
        self, found: SessionInformation, context: dict[str, Any]
    ) -> list[SessionClaimValidator]:
        return self.get_global_claim_validators(
            tenant_id=found.tenant_id,
            user_id=found.user_id,
            claim_validators_added_by_other_recipes=list(self._global_claim_validators),
            user_context=context,
        )


class _Bound:
    """What an extension object needs of the one app that it is bound to."""

    __slots__ = ("app", "blueprint", "config", "core", "manager", "refresh_route", "transport")

    def __init__(
        self,
        app: Flask,
        config: Config,
        manager: SessionManager,
        blueprint: Blueprint,
        core: AppCore | None,
        transport: CoreTransport,
    ) -> None:
        self.core = core
        self.transport = transport
        self.app = app
        self.config = config
        self.manager = manager
        self.blueprint = blueprint
        self.refresh_route = config.api_base_path + routes.REFRESH


def _make_transport(config: Config, core: AppCore | None) -> CoreTransport:
    return CoreTransport(
        hosts=(EMBEDDED_HOST,) if config.is_embedded else config.core_hosts,
        api_key=config.api_key,
        timeout=config.core_timeout_seconds,
        max_response_bytes=config.core_max_response_bytes,
        proxy=config.core_proxy,
        adapter=core,
    )


def _make_manager(app: Flask, config: Config, ext: STSession, transport: CoreTransport) -> SessionManager:
    client = CoreClient(
        transport=transport,
        cdi_version=config.cdi_version,
        api_domain=config.api_domain,
        website_domain=config.website_domain[0] if config.website_domain else config.api_domain,
        cache_ttl_seconds=config.core_cache_ttl_seconds,
    )

    def on_stale(error: Exception, age_seconds: float) -> None:
        signals.keys_stale.send(app, error=error, age_seconds=age_seconds)

    keys = KeySet(
        fetch=client.get_jwks,
        refresh_seconds=config.jwks_refresh_seconds,
        max_stale_seconds=config.jwks_max_stale_seconds,
        cooldown_seconds=config.jwks_cooldown_seconds,
        logger=logger,
        on_stale=on_stale,
    )
    verifier = TokenVerifier(
        keys,
        use_dynamic_signing_key=config.use_dynamic_access_token_signing_key,
        cache_size=config.verified_token_cache_size,
    )
    return SessionManager(
        client=client,
        verifier=verifier,
        keys=keys,
        settings=ManagerSettings(
            use_dynamic_access_token_signing_key=config.use_dynamic_access_token_signing_key,
            check_database_ttl_seconds=config.check_database_ttl_seconds,
        ),
        sender=app,
        extension=ext,
        ensure_sync=app.ensure_sync,
    )
