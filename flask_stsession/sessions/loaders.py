"""Load ``current_user`` and the values of the built-in claims, from the app or the core."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..claims.base import call
from ..claims.builtin import EmailVerificationClaim
from ..errors import ConfigError, CoreError

if TYPE_CHECKING:
    from .manager import SessionManager
    from .session import Session

F = TypeVar("F", bound=Callable[..., Any])

Kind = Literal["user", "roles", "permissions", "csp_nonce"]


class Loaders:
    """The loaders that an app registers for its users, their roles and their permissions.

    Without a loader for roles or permissions, the core is asked. Each method takes the manager of the
    current app, because one extension object may serve several apps.

    :param get_email: ``f(user_id, tenant_id)``, which returns the user's address or ``None``.
    """

    def __init__(self, get_email: Callable[[str, str], str | None] | None = None) -> None:
        self.get_email = get_email
        self._registered: dict[str, Callable[..., Any]] = {}
        self._user_loader_takes_tenant = False

    def register(self, kind: Kind, function: F) -> F:
        """Register a loader and return it, as a decorator must."""
        if kind == "user":
            self._user_loader_takes_tenant = _takes_tenant(function)
        self._registered[kind] = function
        return function

    def has(self, kind: Kind) -> bool:
        """Return whether the app has registered a loader of this kind."""
        return kind in self._registered

    def load_user(self, manager: SessionManager, user_id: str, tenant_id: str) -> Any:
        """Return the user from the ``user_loader``; ``None`` if it returns none.

        :raises ConfigError: there is no loader.
        """
        arguments = (user_id, tenant_id) if self._user_loader_takes_tenant else (user_id,)
        return self._load(manager, "user", *arguments)

    def roles_of(self, manager: SessionManager, user_id: str, tenant_id: str) -> list[str]:
        """Return the user's roles, from the ``roles_loader`` or the core; never from a cache.

        In a tenant that has been deleted a user has no roles. The session has ended with the tenant, which
        the core says when the claim is stored.
        """
        if "roles" in self._registered:
            return self._load_names(manager, "roles", user_id, tenant_id)
        try:
            return manager.client.get_roles_for_user(user_id, tenant_id=tenant_id)
        except CoreError as error:
            if manager.client.lacks_tenant(error):
                return []
            raise

    def permissions_of(
        self, manager: SessionManager, user_id: str, tenant_id: str, *, max_age: float = 0
    ) -> list[str]:
        """Return the user's permissions, from the ``permissions_loader`` or the core.

        :param max_age: the age (s) up to which a cached response of the core about a role's permissions may
            serve; 0: ask now. The user's roles are never read from a cache.
        """
        if "permissions" in self._registered:
            return self._load_names(manager, "permissions", user_id, tenant_id)
        permissions: dict[str, None] = {}
        for role in self.roles_of(manager, user_id, tenant_id):
            found = manager.client.get_permissions_for_role(role, max_age=max_age)
            permissions.update(dict.fromkeys(found or ()))
        return list(permissions)

    def is_email_verified(self, manager: SessionManager, user_id: str, tenant_id: str) -> bool:
        """Return whether the user's address is verified; true for a user without an address.

        :raises ConfigError: there is no ``get_email``.
        """
        email = self.email_of(manager, user_id, tenant_id)
        return email is None or manager.client.is_email_verified(user_id, email)

    def email_of(self, manager: SessionManager, user_id: str, tenant_id: str) -> str | None:
        """Return the user's address, or ``None``.

        :raises ConfigError: there is no ``get_email``.
        """
        if self.get_email is None:
            raise ConfigError(
                "E-mail verification needs the users' addresses: STSession(get_email=f), where "
                "f(user_id, tenant_id) returns the address or None."
            )
        email: str | None = call(
            self.get_email, user_id, tenant_id, ensure_sync=manager.ensure_sync, name="get_email"
        )
        return email

    def update_email_verification(self, manager: SessionManager, session: Session) -> bool:
        """Set ``EmailVerificationClaim`` to the state in the core, and return that state."""
        verified = self.is_email_verified(manager, session.get_user_id(), session.get_tenant_id())
        session.set_claim_value(EmailVerificationClaim, verified)
        return verified

    def csp_nonce(self, manager: SessionManager) -> str | None:
        """Return the nonce from the app's function; ``None`` if there is no such function."""
        function = self._registered.get("csp_nonce")
        if function is None:
            return None
        nonce: str | None = call(function, ensure_sync=manager.ensure_sync, name="csp_nonce")
        return nonce

    def _load_names(self, manager: SessionManager, kind: Kind, user_id: str, tenant_id: str) -> list[str]:
        names = self._load(manager, kind, user_id, tenant_id)
        if names is None:
            return []
        if isinstance(names, str):
            raise TypeError(
                f"The {kind}_loader returned {names!r}; it must return a list of names, or None for none."
            )
        return list(names)

    def _load(self, manager: SessionManager, kind: Kind, *arguments: str) -> Any:
        loader = self._registered.get(kind)
        if loader is None:
            raise ConfigError(
                f"There is no {kind}_loader. Register one: @stsession.{kind}_loader above a function of "
                f"({'user_id' if kind == 'user' else 'user_id, tenant_id'})."
            )
        return call(loader, *arguments, ensure_sync=manager.ensure_sync, name=f"{kind}_loader")


def _takes_tenant(user_loader: Callable[..., Any]) -> bool:
    """Return whether a ``user_loader`` takes ``(user_id, tenant_id)`` rather than ``(user_id)``.

    :raises TypeError: it takes neither.
    """
    try:
        parameters = signature(user_loader)
    except ValueError:  # some callables written in C have no signature
        return False
    if "tenant_id" in parameters.parameters:
        return True
    for count in (1, 2):
        with suppress(TypeError):
            parameters.bind(*range(count))
            return count == 2
    raise TypeError(
        f"The user_loader takes {parameters}. Give it the parameters (user_id) or (user_id, tenant_id)."
    )
