"""``flask stsession roles``: create and delete roles, and assign them to users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .. import userroles
from ..core.roles import RoleCalls
from .arguments import checked_name, role_argument, tenant_option, user_argument, where
from .group import Group, app_state
from .output import json_option, listed, print_json, print_table

roles_group: Group = Group(
    "roles",
    short_help="Create and delete roles, and assign them to users.",
    help="Create and delete roles, and give them to users or take them away.\n\nA session gets the change "
    "once its claims are fetched again.",
)


@roles_group.command("list")
@json_option
def list_roles(as_json: bool) -> None:
    """List all roles with their permissions."""
    calls = RoleCalls(app_state().manager.client)
    roles = calls.list_roles()
    if roles or as_json:
        _print_roles(calls, roles, as_json=as_json)
    else:
        click.echo(
            "There are no roles. Create one: flask stsession roles create ROLE [PERMISSION]...", err=True
        )


@roles_group.command("create")
@role_argument
@click.argument("permissions", metavar="[PERMISSION]...", nargs=-1, callback=checked_name)
@json_option
def create_role(role: str, permissions: Sequence[str], as_json: bool) -> None:
    """Create ROLE with permissions, or add permissions to it."""
    created = userroles.create_new_role_or_add_permissions(role, permissions)
    permitted = userroles.get_permissions_for_role(role)
    if as_json:
        print_json({"role": role, "created": created, "permissions": sorted(permitted)})
        return
    click.echo(
        f"{f'Created the role {role!r}' if created else f'The role {role!r} exists'}. "
        f"It permits: {listed(permitted)}."
    )


@roles_group.command("remove-permissions")
@role_argument
@click.argument("permissions", metavar="PERMISSION...", nargs=-1, required=True, callback=checked_name)
@json_option
def remove_permissions(role: str, permissions: Sequence[str], as_json: bool) -> None:
    """Remove permissions from ROLE."""
    userroles.remove_permissions_from_role(role, permissions)
    permitted = userroles.get_permissions_for_role(role)
    if as_json:
        print_json({"role": role, "permissions": sorted(permitted)})
    else:
        click.echo(f"The role {role!r} permits: {listed(permitted)}.")


@roles_group.command("delete")
@role_argument
@json_option
def delete_role(role: str, as_json: bool) -> None:
    """Delete ROLE and take it away from all users."""
    if not userroles.delete_role(role):
        raise userroles.UnknownRoleError(role)
    if as_json:
        print_json({"role": role, "deleted": True})
    else:
        click.echo(f"Deleted the role {role!r}.")


@roles_group.command("give")
@user_argument
@role_argument
@tenant_option
@json_option
def give_role(user_id: str, role: str, tenant_id: str, as_json: bool) -> None:
    """Give ROLE to the user with the id USER."""
    is_new = userroles.add_role_to_user(user_id, role, tenant_id=tenant_id)
    if as_json:
        print_json(_assignment(user_id, role, tenant_id, has_role=True, changed=is_new))
    else:
        has = "now has" if is_new else "already had"
        click.echo(f"{user_id!r} {has} the role {role!r}{where(tenant_id)}.")


@roles_group.command("take")
@user_argument
@role_argument
@tenant_option
@json_option
def take_role(user_id: str, role: str, tenant_id: str, as_json: bool) -> None:
    """Take ROLE away from the user with the id USER."""
    had = userroles.remove_user_role(user_id, role, tenant_id=tenant_id)
    if as_json:
        print_json(_assignment(user_id, role, tenant_id, has_role=False, changed=had))
    else:
        has = "no longer has" if had else "did not have"
        click.echo(f"{user_id!r} {has} the role {role!r}{where(tenant_id)}.")


@roles_group.command("show")
@user_argument
@tenant_option
@json_option
def show_roles(user_id: str, tenant_id: str, as_json: bool) -> None:
    """Show the roles of the user with the id USER, and their permissions."""
    calls = RoleCalls(app_state().manager.client)
    roles = calls.get_roles_for_user(user_id, tenant_id=tenant_id)
    if roles or as_json:
        _print_roles(calls, roles, as_json=as_json)
    else:
        click.echo(f"{user_id!r} has no roles{where(tenant_id)}.", err=True)


@roles_group.command("users")
@role_argument
@tenant_option
@json_option
def list_users(role: str, tenant_id: str, as_json: bool) -> None:
    """List the ids of the users who have ROLE."""
    users = sorted(userroles.get_users_that_have_role(role, tenant_id=tenant_id))
    if as_json:
        print_json(users)
    elif users:
        print_table(["USER"], [[user_id] for user_id in users])
    else:
        click.echo(f"Nobody has the role {role!r}{where(tenant_id)}.", err=True)


def _print_roles(calls: RoleCalls, roles: Sequence[str], *, as_json: bool) -> None:
    # A role that has been deleted in the meantime has no permissions.
    found = {role: calls.get_permissions_for_role(role) or [] for role in sorted(roles)}
    if as_json:
        print_json(
            [{"role": role, "permissions": sorted(permissions)} for role, permissions in found.items()]
        )
    else:
        print_table(
            ("ROLE", "PERMISSIONS"), [(role, listed(permissions)) for role, permissions in found.items()]
        )


def _assignment(user_id: str, role: str, tenant_id: str, *, has_role: bool, changed: bool) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "role": role,
        "tenant_id": tenant_id,
        "has_role": has_role,
        "changed": changed,
    }
