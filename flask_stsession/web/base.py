"""The interface of the extension object as this package uses it, and the state of each app."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .stray_cookies import RecentlySeen

if TYPE_CHECKING:
    from flask import Blueprint, Flask, Request

    from ..claims.base import SessionClaim, SessionClaimValidator
    from ..concurrency import TimeLimit
    from ..config.config import Config
    from ..core.http import CoreTransport
    from ..core.in_process import AppCore
    from ..sessions.loaders import Kind
    from ..sessions.manager import SessionManager
    from ..sessions.session import Session

#: Key of the extension object in ``app.extensions``.
NAME = "stsession"
#: Key of the app's :class:`AppState` in ``app.extensions``.
STATE = "stsession.state"


class Extension(ABC):
    """The interface of ``STSession``: guards, hooks, routes and pages call it, so overrides take effect."""

    #: The claims to build into every new session.
    session_claims: tuple[SessionClaim[Any], ...]
    #: The validators given to the constructor.
    global_claim_validators: tuple[SessionClaimValidator, ...]

    @property
    def asks_for_tenant(self) -> bool:
        """Whether ``get_tenant_id`` is overridden; if not, sessions of any tenant pass."""
        return True

    @property
    def asks_for_validators(self) -> bool:
        """Whether ``get_global_claim_validators`` is overridden; if not, all sessions share them."""
        return True

    @property
    def asks_for_login_url(self) -> bool:
        """Whether ``get_login_url`` is overridden; if not, the login page is the configured one."""
        return True

    @abstractmethod
    def global_validators_for(self, session: Session) -> list[SessionClaimValidator]:
        """Return the validators that every guard runs on this session."""

    @abstractmethod
    def require_auth_time(self) -> None:
        """Refuse a guard with ``max_auth_age`` if sessions do not carry the time of the login."""

    @abstractmethod
    def get_login_url(self) -> str | None:
        """Return the endpoint or path of the login page, or ``None``."""

    @abstractmethod
    def get_tenant_id(self) -> str | None:
        """Return the only tenant whose sessions may pass, or ``None`` for any."""

    @abstractmethod
    def has_loader(self, kind: Kind) -> bool:
        """Return whether the app has registered a function of this kind."""

    @abstractmethod
    def load_user(self, user_id: str, tenant_id: str) -> Any:
        """Return what the ``user_loader`` returns for a user."""

    @abstractmethod
    def refuse_refresh_of_ended(self, session: Session, app_state: AppState) -> None:
        """End the session if ``allow_refresh`` refuses it."""

    @abstractmethod
    def nonce_of_this_request(self) -> str | None:
        """Return the nonce of this request's Content-Security-Policy, or ``None``."""

    @abstractmethod
    def get_session(self, request: Request | None = None, *args: Any, **options: Any) -> Session | None:
        """Verify this request's session."""

    @property
    @abstractmethod
    def has_emails(self) -> bool:
        """Whether the app has given a ``get_email``."""

    @abstractmethod
    def deliver_verification_email(self, user_id: str, email: str, link: str, tenant_id: str) -> None:
        """Have the app send the link that verifies an address."""

    @abstractmethod
    def email_of(self, user_id: str, tenant_id: str) -> str | None:
        """Return the user's address, as returned by ``get_email``."""

    @abstractmethod
    def refresh_session(self, request: Request | None = None) -> Session:
        """Exchange this request's refresh token for new tokens."""

    @abstractmethod
    def sign_out(self) -> bool:
        """End this request's session and clear the client; ``False`` if the core may still have a session."""

    @abstractmethod
    def revoke_session(self, handle: str) -> bool:
        """End a session; return whether it still existed."""

    @abstractmethod
    def get_jwks(self) -> dict[str, Any]:
        """Return the public keys of our tokens."""

    @abstractmethod
    def get_open_id_discovery_configuration(self) -> dict[str, Any]:
        """Return the OpenID Connect discovery document."""

    @abstractmethod
    def openapi_security_schemes(self) -> dict[str, Any]:
        """Return the OpenAPI security schemes of protected views."""

    @abstractmethod
    def update_email_verification(self, session: Session) -> bool:
        """Ask the core whether the user's address is verified, and set the claim."""


@dataclass(frozen=True, eq=False, repr=False)
class AppState:
    """The state of one app, created by ``init_app`` and passed to every part that works for the app.

    :param app: the Flask app, sender of all signals.
    :param extension: the object that users hold and may have subclassed.
    :param config: the settings, read once.
    :param manager: verifies and changes sessions.
    :param blueprint: our routes.
    :param transport: sends requests to the core.
    :param time_limit: of calls to a core outside of this process.
    :param core: the embedded core in this process, if the app uses it.
    :param refresh_route: the path of the refresh route within the app.
    :param overrides_get_session: whether the extension object overrides ``get_session``.
    """

    app: Flask
    extension: Extension
    config: Config
    manager: SessionManager
    blueprint: Blueprint
    transport: CoreTransport
    time_limit: TimeLimit
    core: AppCore | None
    refresh_route: str
    overrides_get_session: bool
    #: Whether there is a login page: only then are there routes that renew an expired token for a page.
    has_pages: bool
    #: The clients whose cookies of an older domain were just cleared.
    asked_again: RecentlySeen = field(default_factory=RecentlySeen)
    #: The guards of the app by their options, each created at its first use.
    guards: dict[object, Any] = field(default_factory=dict)
