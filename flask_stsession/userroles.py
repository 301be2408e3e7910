"""Administer roles: what they permit, and who has them.

::

    from flask_stsession import userroles

    userroles.create_new_role_or_add_permissions("editor", ["blog:read", "blog:write"])
    userroles.add_role_to_user("alice", "editor")              # in the default tenant
    userroles.add_role_to_user("customer1", "alice", "editor")  # in another, which comes first
    userroles.add_role_to_user("alice", "editor", tenant_id="customer1")  # the same

The names are those of supertokens-python, and so is the order of arguments; what is returned are plain
values, and an unknown role is an :class:`UnknownRoleError`. Roles and their permissions belong to the
app; which user has which, to a tenant.

All functions ask the core of the current app, at once and by-passing every cache. They know nothing of
a ``roles_loader`` or a ``permissions_loader``. Sessions learn of a change as their claims are fetched
again: after ``max_age_in_sec``, or with ``fetch_and_set_claim(UserRoleClaim)``.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses (there is no such tenant, for example), and
``RuntimeError`` outside of an app context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from .arguments import checked_names, checked_user_id, core_of_current_app, tenant_may_be_left_out
from .claims.builtin import PermissionClaim, UserRoleClaim
from .errors import Reason, STSessionError

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


class UnknownRoleError(STSessionError, LookupError):
    """There is no such role.

    :param role: its name.
    """

    reason = Reason.CORE_REFUSED

    def __init__(self, role: str) -> None:
        super().__init__(
            f"There is no role {role!r}. Make it with create_new_role_or_add_permissions({role!r}, [...]), "
            f'or "flask stsession roles create {role}".'
        )
        self.role = role


# Roles and what they permit


def create_new_role_or_add_permissions(role: str, permissions: str | Sequence[str] = ()) -> bool:
    """Create a role, or add permissions to one that is there.

    :param permissions: one, or several; none are taken away.
    :returns: was it created? ``False``: it had been there.
    """
    return core_of_current_app().create_role(_checked_role(role), checked_names(permissions, "permissions"))


def delete_role(role: str) -> bool:
    """Delete a role, and take it from all who have it.

    :returns: was there such a role?
    """
    return core_of_current_app().delete_role(_checked_role(role))


def get_all_roles() -> list[str]:
    """All roles, in no order."""
    return core_of_current_app().list_roles()


def get_permissions_for_role(role: str) -> list[str]:
    """What a role permits, in no order.

    :raises UnknownRoleError: there is no such role.
    """
    permissions = core_of_current_app().get_permissions_for_role(_checked_role(role))
    if permissions is None:
        raise UnknownRoleError(role)
    return permissions


def remove_permissions_from_role(role: str, permissions: str | Sequence[str]) -> None:
    """Take permissions from a role; those that it does not have do no harm.

    :param permissions: one, or several.
    :raises UnknownRoleError: there is no such role.
    """
    taken = checked_names(permissions, "permissions")
    if not core_of_current_app().remove_permissions(_checked_role(role), taken):
        raise UnknownRoleError(role)


def get_roles_that_have_permission(permission: str) -> list[str]:
    """The roles that permit something, in no order."""
    return core_of_current_app().get_roles_with_permission(permission)


# Who has them


@overload
def add_role_to_user(tenant_id: str, user_id: str, role: str) -> bool: ...


@overload
def add_role_to_user(user_id: str, role: str, *, tenant_id: str | None = None) -> bool: ...


@tenant_may_be_left_out
def add_role_to_user(tenant_id: str, user_id: str, role: str) -> bool:
    """Give a user a role in a tenant.

    :param tenant_id: first, by keyword, or left out: the default tenant.
    :returns: was it new to the user? ``False``: the user has had it.
    :raises UnknownRoleError: there is no such role.
    :raises CoreError: there is no such tenant.
    """
    client = core_of_current_app()
    added = client.add_role_to_user(checked_user_id(user_id), _checked_role(role), tenant_id=tenant_id)
    if added is None:
        raise UnknownRoleError(role)
    return added


@overload
def remove_user_role(tenant_id: str, user_id: str, role: str) -> bool: ...


@overload
def remove_user_role(user_id: str, role: str, *, tenant_id: str | None = None) -> bool: ...


@tenant_may_be_left_out
def remove_user_role(tenant_id: str, user_id: str, role: str) -> bool:
    """Take a role from a user in a tenant.

    :param tenant_id: first, by keyword, or left out: the default tenant.
    :returns: did the user have it?
    :raises UnknownRoleError: there is no such role.
    :raises CoreError: there is no such tenant.
    """
    client = core_of_current_app()
    removed = client.remove_role_from_user(checked_user_id(user_id), _checked_role(role), tenant_id=tenant_id)
    if removed is None:
        raise UnknownRoleError(role)
    return removed


@overload
def get_roles_for_user(tenant_id: str, user_id: str) -> list[str]: ...


@overload
def get_roles_for_user(user_id: str, *, tenant_id: str | None = None) -> list[str]: ...


@tenant_may_be_left_out
def get_roles_for_user(tenant_id: str, user_id: str) -> list[str]:
    """The roles of a user in a tenant, in no order; of a user whom nobody knows, none.

    :param tenant_id: first, by keyword, or left out: the default tenant.
    :raises CoreError: there is no such tenant.
    """
    return core_of_current_app().get_roles_for_user(checked_user_id(user_id), tenant_id=tenant_id)


@overload
def get_users_that_have_role(tenant_id: str, role: str) -> list[str]: ...


@overload
def get_users_that_have_role(role: str, *, tenant_id: str | None = None) -> list[str]: ...


@tenant_may_be_left_out
def get_users_that_have_role(tenant_id: str, role: str) -> list[str]:
    """The users who have a role in a tenant, in no order.

    :param tenant_id: first, by keyword, or left out: the default tenant.
    :raises UnknownRoleError: there is no such role.
    :raises CoreError: there is no such tenant.
    """
    users = core_of_current_app().get_users_with_role(_checked_role(role), tenant_id=tenant_id)
    if users is None:
        raise UnknownRoleError(role)
    return users


def _checked_role(role: str) -> str:
    if not isinstance(role, str) or not role:
        raise TypeError(f"role must be a non-empty str, not {role!r}.")
    return role
