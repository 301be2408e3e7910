"""``flask stsession core``: run the embedded core, or back it up."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource
from flask import Flask
from flask.cli import ScriptInfo

from ..core.in_process import IN_MEMORY
from ..embedded import EmbeddedCoreError, back_up
from ..embedded.command import core_command
from .arguments import checked_id
from .group import Command, app_state
from .output import json_option, print_json


@click.pass_context
def _run_core(context: click.Context, /, **options: Any) -> None:
    if context.invoked_subcommand is None:
        context.invoke(core_command, **options)


#: Not a :class:`~flask_stsession.cli.group.Group`, whose commands load an app.
core_group: click.Group = click.Group(
    "core",
    callback=_run_core,
    invoke_without_command=True,
    params=core_command.params,
    help=core_command.help,
    short_help="Run the embedded core over HTTP, or back it up.",
)


@core_group.command("backup", cls=Command)
@click.argument("file", type=click.Path(dir_okay=False), callback=checked_id)
@click.option(
    "--db",
    "database",
    type=click.Path(dir_okay=False),
    callback=checked_id,
    help="The database to copy; by default that of the app.",
)
@json_option
@click.pass_context
def back_up_core(context: click.Context, file: str, database: str | None, as_json: bool) -> None:
    """Copy the embedded core's database to FILE, even while it is in use.

    Copies the database of the app that flask finds, or the one that --db names. FILE must not exist. The copy
    contains the keys that sign sessions; protect it like the database.
    """
    parent = context.parent
    if database is None and parent and parent.get_parameter_source("database") is ParameterSource.COMMANDLINE:
        database = parent.params["database"]
    if database is None:
        database = _database_of_app(context.ensure_object(ScriptInfo).load_app())
    try:
        back_up(database, file)
    except EmbeddedCoreError as error:
        raise click.ClickException(f"{error}.") from error
    if as_json:
        print_json({"database": database, "file": file})
    else:
        click.echo(f"Copied {database} to {file}.")


def _database_of_app(app: Flask) -> str:
    with app.app_context():
        state = app_state()
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
