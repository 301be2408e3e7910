"""The functions that an app registers: they load users, roles and permissions, and send e-mails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from .. import claims as built_in, core
from ..callables import F, call, number_taken, spelled
from ..errors import ConfigError, UnknownTenantError

if TYPE_CHECKING:
    from .manager import SessionManager
    from .session import Session

    Kind = Literal[
        "user_loader",
        "roles_loader",
        "permissions_loader",
        "allowed_domains_loader",
        "mfa_requirements",
        "send_verification_email",
        "csp_nonce",
    ]

#: The parameters of each; some may take fewer.
_PARAMETERS: Final[dict[Kind, tuple[tuple[str, ...], ...]]] = {
    "user_loader": (("user_id",), ("user_id", "tenant_id")),
    "roles_loader": (("user_id", "tenant_id"),),
    "permissions_loader": (("user_id", "tenant_id"),),
    "allowed_domains_loader": (("tenant_id",), ("tenant_id", "user_context")),
    "mfa_requirements": (("user_id", "tenant_id"),),
    "send_verification_email": (("user_id", "email", "link", "tenant_id"),),
    "csp_nonce": ((),),
}


class Loaders:
    """The functions that an app registers, asynchronous or not.

    Without a loader for roles or permissions, the core is asked. Each method takes the manager of the
    current app, because one extension object may serve several apps.

    :param get_email: ``f(user_id, tenant_id)``, which returns the user's address or ``None``.
    :raises TypeError: it takes other parameters.
    """

    def __init__(self, get_email: Callable[[str, str], str | None] | None = None) -> None:
        if get_email is not None:
            number_taken(get_email, "get_email", ("user_id", "tenant_id"))
        self.get_email = get_email
        self.registered: dict[str, Callable[..., Any]] = {}
        #: How many parameters each of them takes.
        self._taken: dict[str, int] = {}

    def register(self, kind: Kind, function: F) -> F:
        """Register a function and return it, as a decorator must.

        :raises TypeError: it takes other parameters.
        """
        self._taken[kind] = number_taken(function, f"The {kind} function", *_PARAMETERS[kind])
        self.registered[kind] = function
        return function

    def load_user(self, manager: SessionManager, user_id: str, tenant_id: str) -> Any:
        """Return the user from the ``user_loader``; ``None`` if it returns none.

        :raises ConfigError: there is no loader.
        """
        return self._call(manager, "user_loader", user_id, tenant_id)

    def roles_of(self, manager: SessionManager, user_id: str, tenant_id: str) -> list[str]:
        """Return the user's roles, from the ``roles_loader`` or the core; never from a cache.

        In a tenant that has been deleted a user has no roles. The session has ended with the tenant, which
        the core says when the claim is stored.
        """
        if "roles_loader" in self.registered:
            return self._load_names(manager, "roles_loader", user_id, tenant_id)
        try:
            return core.RoleCalls(manager.client).get_roles_for_user(user_id, tenant_id=tenant_id)
        except UnknownTenantError:
            return []

    def permissions_of(
        self, manager: SessionManager, user_id: str, tenant_id: str, *, max_age: float = 0
    ) -> list[str]:
        """Return the user's permissions, from the ``permissions_loader`` or the core.

        :param max_age: the age (s) up to which a cached response of the core about a role's permissions may
            serve; 0: ask now. The user's roles are never read from a cache.
        """
        if "permissions_loader" in self.registered:
            return self._load_names(manager, "permissions_loader", user_id, tenant_id)
        permissions: dict[str, None] = {}
        for role in self.roles_of(manager, user_id, tenant_id):
            found = core.RoleCalls(manager.client).get_permissions_for_role(role, max_age=max_age)
            permissions.update(dict.fromkeys(found or ()))
        return list(permissions)

    def allowed_domains_of(
        self, manager: SessionManager, tenant_id: str, user_context: dict[str, Any]
    ) -> list[str] | None:
        """Return the domains from which users of a tenant may come; ``None`` where there is no loader."""
        if "allowed_domains_loader" not in self.registered:
            return None
        return self._load_names(manager, "allowed_domains_loader", tenant_id, user_context)

    def mfa_requirements_of(self, manager: SessionManager, user_id: str, tenant_id: str) -> Any:
        """Return the factors that a login needs, from the app; ``None`` if it does not say."""
        if "mfa_requirements" not in self.registered:
            return None
        return self._call(manager, "mfa_requirements", user_id, tenant_id)

    def is_email_verified(self, manager: SessionManager, user_id: str, tenant_id: str) -> bool:
        """Return whether the user's address is verified; true for a user without an address.

        :raises ConfigError: there is no ``get_email``.
        """
        email = self.email_of(manager, user_id, tenant_id)
        return email is None or core.EmailVerificationCalls(manager.client).is_email_verified(user_id, email)

    def email_of(self, manager: SessionManager, user_id: str, tenant_id: str) -> str | None:
        """Return the user's address, or ``None``.

        :raises ConfigError: there is no ``get_email``.
        :raises TypeError: it returned something else.
        """
        if self.get_email is None:
            raise ConfigError(
                "E-mail verification needs the users' addresses: STSession(get_email=f), where "
                "f(user_id, tenant_id) returns the address or None."
            )
        email: object = call(
            self.get_email, user_id, tenant_id, ensure_sync=manager.ensure_sync, name="get_email"
        )
        if email is None or isinstance(email, str):
            return email
        raise TypeError(f"get_email must return the address as a str, or None; it returned {email!r:.100}.")

    def update_email_verification(self, manager: SessionManager, session: Session) -> bool:
        """Set ``EmailVerificationClaim`` to the state in the core, and return that state."""
        verified = self.is_email_verified(manager, session.get_user_id(), session.get_tenant_id())
        session.set_claim_value(built_in.EmailVerificationClaim, verified)
        return verified

    def deliver_verification_email(
        self, manager: SessionManager, user_id: str, email: str, link: str, tenant_id: str
    ) -> None:
        """Have the app send the link with which a user proves ownership of an address.

        :raises ConfigError: there is no function that sends it.
        """
        self._call(manager, "send_verification_email", user_id, email, link, tenant_id)

    def csp_nonce(self, manager: SessionManager) -> str | None:
        """Return the nonce from the app's function; ``None`` if there is no such function."""
        nonce: str | None = self._call(manager, "csp_nonce") if "csp_nonce" in self.registered else None
        return nonce

    def _load_names(self, manager: SessionManager, kind: Kind, *arguments: Any) -> list[str]:
        names = self._call(manager, kind, *arguments)
        if names is None:
            return []
        if isinstance(names, str):
            raise TypeError(
                f"The {kind} returned {names!r}; it must return a list of names, or None for none."
            )
        # Sorted, so that one set of roles always makes the same payload.
        return sorted(names) if isinstance(names, set | frozenset) else list(names)

    def _call(self, manager: SessionManager, kind: Kind, *arguments: Any) -> Any:
        function = self.registered.get(kind)
        if function is None:
            raise ConfigError(
                f"There is no {kind}. Register one: @stsession.{kind} above a function of "
                f"{spelled(_PARAMETERS[kind])}."
            )
        taken = arguments[: self._taken[kind]]
        return call(function, *taken, ensure_sync=manager.ensure_sync, name=kind)
