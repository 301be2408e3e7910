"""What the rest of this room knows of the extension: one object for users, one state for each app."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .stray_cookies import RecentlySeen

if TYPE_CHECKING:
    from flask import Blueprint, Flask, Request

    from ..claims.base import SessionClaim, SessionClaimValidator
    from ..config.config import Config
    from ..core.http import CoreTransport
    from ..core.in_process import AppCore
    from ..sessions.manager import SessionManager
    from ..sessions.session import Session

#: Key of the extension object in ``app.extensions``.
NAME = "stsession"
#: Key of the app's :class:`AppState` in ``app.extensions``.
STATE = "stsession.state"


class Extension(ABC):
    """The methods of ``STSession`` that guards, hooks, routes and pages call, so that overrides count."""

    @property
    @abstractmethod
    def session_claims(self) -> tuple[SessionClaim[Any], ...]:
        """The claims that are built into every new session."""

    @property
    def asks_for_tenant(self) -> bool:
        """Whether ``get_tenant_id`` is overridden; where it is not, any tenant's sessions pass."""
        return True

    @property
    def asks_for_validators(self) -> bool:
        """Whether ``get_global_claim_validators`` is overridden; else all sessions have the same."""
        return True

    @property
    @abstractmethod
    def global_claim_validators(self) -> tuple[SessionClaimValidator, ...]:
        """The validators given to the constructor."""

    @abstractmethod
    def global_validators_for(self, session: Session) -> list[SessionClaimValidator]:
        """Return the validators that every guard runs on this session."""

    @abstractmethod
    def require_auth_time(self) -> None:
        """Refuse a guard with ``max_auth_age`` where sessions do not carry the time of the login."""

    @abstractmethod
    def get_login_url(self) -> str | None:
        """Return the endpoint or path of the login page, or ``None``."""

    @abstractmethod
    def get_tenant_id(self) -> str | None:
        """Return the only tenant whose sessions may pass, or ``None`` for any."""

    @property
    @abstractmethod
    def has_user_loader(self) -> bool:
        """Whether the app has registered a ``user_loader``."""

    @abstractmethod
    def load_user(self, user_id: str, tenant_id: str) -> Any:
        """Return the user that the ``user_loader`` knows, or ``None``."""

    @abstractmethod
    def refuse_refresh_of_ended(self, session: Session) -> None:
        """End a session that ``allow_refresh`` does not let go on."""

    @abstractmethod
    def nonce_of_this_request(self) -> str | None:
        """Return the nonce of this request's Content-Security-Policy, or ``None``."""

    @abstractmethod
    def get_session(self, request: Request | None = None, *args: Any, **options: Any) -> Session | None:
        """Verify this request's session."""

    @property
    @abstractmethod
    def has_emails(self) -> bool:
        """Whether there is a ``get_email``."""

    @abstractmethod
    def deliver_verification_email(self, user_id: str, email: str, link: str, tenant_id: str) -> None:
        """Have the app send the link by which a user proves to own an address."""

    @abstractmethod
    def email_of(self, user_id: str, tenant_id: str) -> str | None:
        """Return the user's address, by ``get_email``."""

    @abstractmethod
    def refresh_session(self, request: Request | None = None) -> Session:
        """Exchange this request's refresh token for new tokens."""

    @abstractmethod
    def sign_out(self) -> bool:
        """End this request's session, and clear the client; return whether none lives on in the core."""

    @abstractmethod
    def revoke_session(self, handle: str) -> bool:
        """End a session; return whether it was still there."""

    @abstractmethod
    def get_jwks(self) -> dict[str, Any]:
        """Return the public keys of our tokens."""

    @abstractmethod
    def get_open_id_discovery_configuration(self) -> dict[str, Any]:
        """Return the OpenID Connect discovery document."""

    @abstractmethod
    def openapi_security_schemes(self) -> dict[str, Any]:
        """Return how tokens are sent, as security schemes of OpenAPI."""

    @abstractmethod
    def update_email_verification(self, session: Session) -> bool:
        """Ask the core whether the user's address is verified, and set the claim."""


@dataclass(frozen=True, eq=False)
class AppState:
    """What ``init_app`` made for one app, handed down to whatever works for it.

    :param app: the Flask app, sender of all signals.
    :param extension: the object that users hold and may have subclassed.
    :param config: the settings, read once.
    :param manager: verifies and changes sessions.
    :param blueprint: our routes.
    :param transport: carries requests to the core.
    :param core: the embedded core in this process, if that is the one.
    :param refresh_route: the path at which the app itself sees requests for a refresh.
    :param overrides_get_session: does the extension object override ``get_session``?
    """

    app: Flask
    extension: Extension
    config: Config
    manager: SessionManager
    blueprint: Blueprint
    transport: CoreTransport
    core: AppCore | None
    refresh_route: str
    overrides_get_session: bool
    #: Whether there are routes of ours that renew an expired token for a page, which no guard may stop.
    has_pages: bool
    #: The clients whose cookies of an older domain were just cleared.
    asked_again: RecentlySeen = field(default_factory=RecentlySeen)
    #: The guards of the app by their options, each made at its first use.
    guards: dict[object, Any] = field(default_factory=dict)
