"""Administer roles, their permissions, and the users who have them.

::

    from flask_stsession import userroles

    userroles.create_new_role_or_add_permissions("editor", ["blog:read", "blog:write"])
    userroles.add_role_to_user("alice", "editor")
    userroles.add_role_to_user("alice", "editor", tenant_id="customer1")

The names are those of supertokens-python. Unlike there, the tenant is a keyword (the default one unless
given), plain values are returned, and an unknown role is an :class:`UnknownRoleError`. Roles and their
permissions belong to the app; which user has which role, to a tenant.

All functions ask the core of the current app at once, without any cache. They ignore a ``roles_loader``
and a ``permissions_loader``. Sessions learn of a change when their claims are fetched again: after
``max_age_in_sec``, or with ``fetch_and_set_claim(UserRoleClaim)``.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses (there is no such tenant, for example), and
``RuntimeError`` outside of an app context.
"""

from __future__ import annotations

from collections.abc import Sequence

from .arguments import checked_name, checked_names, checked_tenant_id, checked_user_id, keyword_only
from .claims.builtin import PermissionClaim, UserRoleClaim
from .constants import DEFAULT_TENANT
from .core.roles import RoleCalls
from .errors import Reason, STSessionError
from .web.context import current_app_state

__all__ = [
    "PermissionClaim",
    "UnknownRoleError",
    "UserRoleClaim",
    "add_role_to_user",
    "create_new_role_or_add_permissions",
    "delete_role",
    "get_all_roles",
    "get_permissions_for_role",
    "get_roles_for_user",
    "get_roles_that_have_permission",
    "get_users_that_have_role",
    "remove_permissions_from_role",
    "remove_user_role",
]

_TENANT_BY_KEYWORD = "Unlike in supertokens-python, the tenant is a keyword."


class UnknownRoleError(STSessionError, LookupError):
    """There is no such role.

    :param role: its name.
    """

    reason = Reason.CORE_REFUSED

    def __init__(self, role: str) -> None:
        super().__init__(
            f"There is no role {role!r}. Create it with create_new_role_or_add_permissions({role!r}, [...]), "
            f'or "flask stsession roles create {role}".'
        )
        self.role = role


# Roles and their permissions


def create_new_role_or_add_permissions(role: str, permissions: str | Sequence[str] = ()) -> bool:
    """Create a role, or add permissions to an existing one.

    :param permissions: one, or several; the role keeps those that it has.
    :returns: whether the role was created; ``False``: it existed.
    :raises ValueError: a name has blanks around it.
    """
    return _roles().create_role(checked_name(role, "role"), checked_names(permissions, "permissions"))


def delete_role(role: str) -> bool:
    """Delete a role, and take it from all who have it.

    :returns: whether there was such a role.
    """
    return _roles().delete_role(checked_name(role, "role"))


def get_all_roles() -> list[str]:
    """Return all roles, in no order."""
    return _roles().list_roles()


def get_permissions_for_role(role: str) -> list[str]:
    """Return the permissions of a role, in no order.

    :raises UnknownRoleError: there is no such role.
    """
    permissions = _roles().get_permissions_for_role(checked_name(role, "role"))
    if permissions is None:
        raise UnknownRoleError(role)
    return permissions


def remove_permissions_from_role(role: str, permissions: str | Sequence[str]) -> None:
    """Remove permissions from a role; those that it does not have are ignored.

    :param permissions: one, or several.
    :raises UnknownRoleError: there is no such role.
    """
    removed = checked_names(permissions, "permissions")
    if not _roles().remove_permissions(checked_name(role, "role"), removed):
        raise UnknownRoleError(role)


def get_roles_that_have_permission(permission: str) -> list[str]:
    """Return the roles that have a permission, in no order."""
    return _roles().get_roles_with_permission(checked_name(permission, "permission"))


# The users who have them


@keyword_only(_TENANT_BY_KEYWORD)
def add_role_to_user(user_id: str, role: str, *, tenant_id: str = DEFAULT_TENANT) -> bool:
    """Give a user a role in a tenant.

    :returns: whether the role is new to the user.
    :raises UnknownRoleError: there is no such role.
    :raises UnknownTenantError: there is no such tenant.
    """
    added = _roles().add_role_to_user(
        checked_user_id(user_id), checked_name(role, "role"), tenant_id=checked_tenant_id(tenant_id)
    )
    if added is None:
        raise UnknownRoleError(role)
    return added


@keyword_only(_TENANT_BY_KEYWORD)
def remove_user_role(user_id: str, role: str, *, tenant_id: str = DEFAULT_TENANT) -> bool:
    """Take a role from a user in a tenant.

    :returns: whether the user had it.
    :raises UnknownRoleError: there is no such role.
    :raises UnknownTenantError: there is no such tenant.
    """
    removed = _roles().remove_role_from_user(
        checked_user_id(user_id), checked_name(role, "role"), tenant_id=checked_tenant_id(tenant_id)
    )
    if removed is None:
        raise UnknownRoleError(role)
    return removed


@keyword_only(_TENANT_BY_KEYWORD)
def get_roles_for_user(user_id: str, *, tenant_id: str = DEFAULT_TENANT) -> list[str]:
    """Return the roles of a user in a tenant, in no order; none for an unknown user.

    :raises UnknownTenantError: there is no such tenant.
    """
    return _roles().get_roles_for_user(checked_user_id(user_id), tenant_id=checked_tenant_id(tenant_id))


@keyword_only(_TENANT_BY_KEYWORD)
def get_users_that_have_role(role: str, *, tenant_id: str = DEFAULT_TENANT) -> list[str]:
    """Return the users who have a role in a tenant, in no order.

    :raises UnknownRoleError: there is no such role.
    :raises UnknownTenantError: there is no such tenant.
    """
    users = _roles().get_users_with_role(checked_name(role, "role"), tenant_id=checked_tenant_id(tenant_id))
    if users is None:
        raise UnknownRoleError(role)
    return users


def _roles() -> RoleCalls:
    return RoleCalls(current_app_state().manager.client)
