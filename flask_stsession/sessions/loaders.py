"""Where ``current_user`` and the values of the built-in claims come from: the app, or the core."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..claims.base import call
from ..claims.builtin import AuthTimeClaim, EmailVerificationClaim
from ..errors import ClaimValidationError, ConfigError, InvalidClaimsError, Reason

if TYPE_CHECKING:
    from ..claims.base import SessionClaim
    from .manager import SessionManager
    from .session import Session

F = TypeVar("F", bound=Callable[..., Any])


class Sources(ABC):
    """Who the users are, and what they may do.

    :param claims: what is built into every new session.
    :param get_email: ``f(user_id, tenant_id)``, the user's address or ``None``.
    """

    def __init__(
        self,
        claims: tuple[SessionClaim[Any], ...],
        get_email: Callable[[str, str], str | None] | None,
    ) -> None:
        self._claims = claims
        self._get_email = get_email
        # Shared by an extension object and those bound to its apps: a loader may be registered later.
        self._loaders: dict[str, Callable[..., Any]] = {}
        if EmailVerificationClaim in claims and get_email is None:
            raise ConfigError(
                "EmailVerificationClaim is among the claims, but there is nobody to ask for addresses: "
                "STSession(claims=[...], get_email=f), where f(user_id, tenant_id) answers the address "
                "or None."
            )

    @property
    @abstractmethod
    def manager(self) -> SessionManager:
        """The manager of the app in question."""

    @property
    def session_claims(self) -> tuple[SessionClaim[Any], ...]:
        """What is built into every new session."""
        return self._claims

    # Registered as decorators

    def user_loader(self, function: F) -> F:
        """Register ``f(user_id)``, which ``current_user`` asks; it answers the user or ``None``."""
        self._loaders["user"] = function
        return function

    def roles_loader(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``: the app's own table of roles, instead of the core's."""
        self._loaders["roles"] = function
        return function

    def permissions_loader(self, function: F) -> F:
        """Register ``f(user_id, tenant_id)``: the app's own table of permissions, instead of the core's."""
        self._loaders["permissions"] = function
        return function

    # Asked by claims, guards and proxies

    def load_user(self, user_id: str) -> Any:
        """What the ``user_loader`` answers.

        :raises ConfigError: there is none.
        """
        return self._load("user", user_id)

    def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
        """The user's roles, from the ``roles_loader`` or the core, which is asked in any case."""
        if "roles" in self._loaders:
            return self._load_names("roles", user_id, tenant_id)
        return self.manager.client.get_roles_for_user(user_id, tenant_id=tenant_id)

    def permissions_of(self, user_id: str, tenant_id: str, *, max_age: float = 0) -> list[str]:
        """What the user's roles permit, from the ``permissions_loader`` or the core.

        :param max_age: how old (s) the core's answer to what a role permits may be; 0: ask now. Which
            roles the user has is asked in any case.
        """
        if "permissions" in self._loaders:
            return self._load_names("permissions", user_id, tenant_id)
        client = self.manager.client
        permissions: dict[str, None] = {}
        for role in self.roles_of(user_id, tenant_id):
            permissions.update(dict.fromkeys(client.get_permissions_for_role(role, max_age=max_age) or ()))
        return list(permissions)

    def is_email_of_user_verified(self, user_id: str, tenant_id: str) -> bool:
        """Has the user proven to own the address that ``get_email`` knows? Without an address, yes.

        :raises ConfigError: there is no ``get_email``.
        """
        email = self.email_of(user_id, tenant_id)
        if email is None:
            return True
        return self.manager.client.is_email_verified(user_id, email)

    def email_of(self, user_id: str, tenant_id: str) -> str | None:
        """The user's address, by ``get_email``.

        :raises ConfigError: there is no ``get_email``.
        """
        if self._get_email is None:
            raise ConfigError(
                "E-mail verification needs the users' addresses: STSession(get_email=f), where "
                "f(user_id, tenant_id) answers the address or None."
            )
        get_email = self._get_email
        email: str | None = call(
            get_email, user_id, tenant_id, ensure_sync=self.manager.ensure_sync, name="get_email"
        )
        return email

    def update_email_verification(self, session: Session) -> bool:
        """Ask the core about the session's user, and set ``EmailVerificationClaim`` to its answer."""
        verified = self.is_email_of_user_verified(session.get_user_id(), session.get_tenant_id())
        session.set_claim_value(EmailVerificationClaim, verified)
        return verified

    def check_auth_age(self, session: Session, max_auth_age: float) -> None:
        """Refuse a session whose user signed in too long ago.

        :param max_auth_age: in s.
        :raises InvalidClaimsError: with reason ``auth_too_old``.
        """
        if AuthTimeClaim not in self._claims:
            raise ConfigError(
                "max_auth_age= needs the time of the login in the session: STSession(claims=[AuthTimeClaim])."
            )
        signed_in_at = session.get_claim_value(AuthTimeClaim)
        now = self.manager.now_ms() / 1000
        if isinstance(signed_in_at, int | float) and now - signed_in_at <= max_auth_age:
            return
        reason: dict[str, Any] = {"message": "value does not exist"}
        if isinstance(signed_in_at, int | float):
            age = int(now - signed_in_at)
            reason = {"message": "expired", "maxAgeInSeconds": max_auth_age, "ageInSeconds": age}
        raise InvalidClaimsError(
            f"The user signed in longer than {max_auth_age} s ago.",
            [ClaimValidationError(AuthTimeClaim.key, reason)],
            reason=Reason.AUTH_TOO_OLD,
        )

    def _load_names(self, kind: str, user_id: str, tenant_id: str) -> list[str]:
        names = self._load(kind, user_id, tenant_id)
        if names is None:
            return []
        if isinstance(names, str):
            raise TypeError(
                f"The {kind}_loader answered {names!r}; it answers a list of names, or None for none."
            )
        return list(names)

    def _load(self, kind: str, *arguments: str) -> Any:
        loader = self._loaders.get(kind)
        if loader is None:
            raise ConfigError(
                f"There is no {kind}_loader. Register one: @stsession.{kind}_loader above a function of "
                f"({'user_id' if kind == 'user' else 'user_id, tenant_id'})."
            )
        return call(loader, *arguments, ensure_sync=self.manager.ensure_sync, name=f"{kind}_loader")
