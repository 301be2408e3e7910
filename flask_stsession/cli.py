"""The commands ``flask stsession …``.

``core`` needs no app. The others work on the app that ``flask`` finds, and on its core. A failure is one line
and exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from . import userroles
from .config.config import describe_settings
from .constants import DEFAULT_TENANT
from .core.in_process import IN_MEMORY
from .embedded import EmbeddedCoreError, back_up
from .embedded.command import core_command
from .errors import STSessionError
from .web.context import current_app_state

if TYPE_CHECKING:
    from .config.config import Config
    from .web.base import AppState

_PREFIX = "STSESSION_"


class _Group(AppGroup):
    """Reports this package's errors in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except STSessionError as error:
            raise click.ClickException(str(error)) from error


stsession_group: AppGroup = _Group(
    "stsession", help="Manage SuperTokens sessions: the embedded core, roles and settings."
)


@click.pass_context
def _run_core(context: click.Context, /, **options: Any) -> None:
    if context.invoked_subcommand is None:
        context.invoke(core_command, **options)


core_group: click.Group = click.Group(
    "core",
    callback=_run_core,
    invoke_without_command=True,
    params=core_command.params,
    help=core_command.help,
    short_help="Run the embedded core over HTTP, or back it up.",
)
# Added by add_command: ``@stsession_group.group`` would make it load an app.
stsession_group.add_command(core_group)


@core_group.command("backup")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--db",
    "database",
    type=click.Path(dir_okay=False),
    help="The database to copy; by default that of the app.",
)
@click.pass_context
def back_up_core(context: click.Context, file: str, database: str | None) -> None:
    """Copy the embedded core's database to FILE, even while it is in use.

    Copies the database of the app that flask finds, or the one that --db names. FILE must not exist. The copy
    contains the keys that sign sessions; protect it like the database.
    """
    parent = context.parent
    if database is None and parent and parent.get_parameter_source("database") is ParameterSource.COMMANDLINE:
        database = parent.params["database"]
    source = database or _database_of_app(context.ensure_object(ScriptInfo).load_app())
    try:
        back_up(source, file)
    except EmbeddedCoreError as error:
        raise click.ClickException(f"{error}.") from error
    click.echo(f"Copied {source} to {file}.")


def _database_of_app(app: Flask) -> str:
    with app.app_context():
        state = _app_state()
    if state.core is None:
        raise click.ClickException(
            f"The app {app.name!r} uses the core at {'; '.join(state.config.core_hosts)}, not an embedded "
            "one: back up that core's own database, or name a file with --db."
        )
    database = state.core.locate()
    if database == IN_MEMORY:
        raise click.ClickException(
            f"The app {app.name!r} keeps its sessions in memory, where no other process can copy them: set "
            "STSESSION_CONNECTION_URI to 'embedded:' followed by a file name."
        )
    return database


@stsession_group.group("roles", short_help="Create and delete roles, and assign them to users.")
def roles_group() -> None:
    """Create and delete roles, and give them to users or take them away.

    A session has the change once its claims are fetched again.
    """


@roles_group.command("list")
def list_roles() -> None:
    """List all roles with their permissions."""
    client = _app_state().manager.client
    roles = sorted(client.list_roles())
    if not roles:
        click.echo(
            "There are no roles. Create one: flask stsession roles create ROLE [PERMISSION]...", err=True
        )
        return
    # A role that has been deleted in the meantime has no permissions.
    _table((role, _listed(client.get_permissions_for_role(role) or ())) for role in roles)


@roles_group.command("create")
@click.argument("role")
@click.argument("permissions", metavar="[PERMISSION]...", nargs=-1)
def create_role(role: str, permissions: Sequence[str]) -> None:
    """Create ROLE with permissions, or add permissions to it."""
    _app_state()
    created = userroles.create_new_role_or_add_permissions(role, permissions)
    click.echo(
        f"{f'Created the role {role!r}' if created else f'The role {role!r} exists'}. "
        f"It permits: {_listed(userroles.get_permissions_for_role(role))}."
    )


@roles_group.command("delete")
@click.argument("role")
def delete_role(role: str) -> None:
    """Delete ROLE and take it away from all users."""
    _app_state()
    if not userroles.delete_role(role):
        raise userroles.UnknownRoleError(role)
    click.echo(f"Deleted the role {role!r}.")


_tenant_option = click.option(
    "--tenant", "tenant_id", default=DEFAULT_TENANT, show_default=True, help="The tenant."
)


@roles_group.command("give")
@click.argument("user_id", metavar="USER")
@click.argument("role")
@_tenant_option
def give_role(user_id: str, role: str, tenant_id: str) -> None:
    """Give ROLE to the user with the id USER."""
    _app_state()
    new = userroles.add_role_to_user(user_id, role, tenant_id=tenant_id)
    click.echo(f"{user_id!r} {'now has' if new else 'already had'} the role {role!r}{_where(tenant_id)}.")


@roles_group.command("take")
@click.argument("user_id", metavar="USER")
@click.argument("role")
@_tenant_option
def take_role(user_id: str, role: str, tenant_id: str) -> None:
    """Take ROLE away from the user with the id USER."""
    _app_state()
    had = userroles.remove_user_role(user_id, role, tenant_id=tenant_id)
    click.echo(
        f"{user_id!r} {'no longer has' if had else 'did not have'} the role {role!r}{_where(tenant_id)}."
    )


@roles_group.command("show")
@click.argument("user_id", metavar="USER")
@_tenant_option
def show_roles(user_id: str, tenant_id: str) -> None:
    """Show the roles of the user with the id USER, and their permissions."""
    client = _app_state().manager.client
    roles = sorted(client.get_roles_for_user(user_id, tenant_id=tenant_id))
    if not roles:
        click.echo(f"{user_id!r} has no roles{_where(tenant_id)}.", err=True)
        return
    _table((role, _listed(client.get_permissions_for_role(role) or ())) for role in roles)


@stsession_group.command("settings")
def show_settings() -> None:
    """Show every setting of the app and whether it is set. Secrets are hidden."""
    config = _app_state().config
    _table((setting.key, *_value(config, setting.key, setting.default)) for setting in describe_settings())


def _app_state() -> AppState:
    try:
        return current_app_state()
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error


def _value(config: Config, key: str, default: str) -> tuple[str, str]:
    """Return the source of a setting and its value."""
    if key not in config.keys_set:
        return "default", default.replace("`", "")
    name = key.removeprefix(_PREFIX).lower()
    if name in {each.name for each in fields(config) if not each.repr}:
        return "set", "(not shown)"
    return "set", repr(getattr(config, name))


def _table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows with aligned columns."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for row in listed:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _where(tenant_id: str) -> str:
    return "" if tenant_id == DEFAULT_TENANT else f" in the tenant {tenant_id!r}"
