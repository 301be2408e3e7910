"""What all commands of ``flask stsession`` have in common: one line for an error, and no other lines."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import click
import pytest
from flask import Flask
from flask.cli import ScriptInfo
from support.app_factory import NO_CORE, AppFactory
from support.commands import error_of, json_of, output_of, run_on, usage_error_of

from flask_stsession import STSession
from flask_stsession.cli import stsession_group
from flask_stsession.cli.group import Command

#: Every command that works on an app, with arguments that it takes.
COMMANDS = [
    ("sessions", "list", "alice"),
    ("sessions", "show", "a-handle"),
    ("sessions", "revoke", "a-handle"),
    ("sessions", "revoke-all", "alice"),
    ("roles", "list"),
    ("roles", "create", "editor"),
    ("roles", "remove-permissions", "editor", "write"),
    ("roles", "delete", "editor"),
    ("roles", "give", "alice", "editor"),
    ("roles", "take", "alice", "editor"),
    ("roles", "show", "alice"),
    ("roles", "users", "editor"),
    ("token", "inspect", "abc"),
    ("token", "create", "alice"),
    ("doctor",),
    ("routes",),
    ("settings",),
]
WITH_TENANT = [each for each in COMMANDS if "alice" in each or each[1:2] == ("users",)]


def leaves(group: click.Group, *before: str) -> set[tuple[str, ...]]:
    """Return the names of all commands below a group."""
    found: set[tuple[str, ...]] = set()
    for name, command in group.commands.items():
        found |= leaves(command, *before, name) if isinstance(command, click.Group) else {(*before, name)}
    return found


def test_every_command_is_in_the_list_of_these_tests() -> None:
    listed = {each[:2] if each[0] in ("sessions", "roles", "token") else each[:1] for each in COMMANDS}
    assert leaves(stsession_group) == listed | {("core", "backup")}


def test_flask_finds_the_group_by_its_entry_point() -> None:
    [entry] = [each for each in entry_points(group="flask.commands") if each.name == "stsession"]
    assert entry.load() is stsession_group


def test_the_version_is_that_of_the_package() -> None:
    output = output_of(run_on(Flask("unused"), "--version"))
    assert output == f"flask-stsession {version('flask-stsession')}\n"


# Errors


@pytest.mark.parametrize("command", COMMANDS)
def test_an_app_without_the_extension_is_an_error_with_the_remedy(command: tuple[str, ...]) -> None:
    assert error_of(run_on(Flask("bare"), *command)) == (
        "The app 'bare' has no STSession. Initialise it: STSession(app), or stsession.init_app(app)."
    )


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if each[1:2] != ("inspect",) and len(each) > 1]
)
def test_an_unreachable_core_is_an_error_with_its_address(
    make_app: AppFactory, command: tuple[str, ...]
) -> None:
    app = make_app(connection_uri=NO_CORE["STSESSION_CONNECTION_URI"])
    error = error_of(run_on(app, *command))
    assert NO_CORE["STSESSION_CONNECTION_URI"] in error
    assert "STSESSION_CONNECTION_URI" in error


@pytest.mark.parametrize("command", WITH_TENANT)
def test_an_unknown_tenant_is_named(app: Flask, command: tuple[str, ...]) -> None:
    run_on(app, "roles", "create", "editor")
    assert error_of(run_on(app, *command, "--tenant", "typo")) == (
        "There is no tenant 'typo'. Create it with multitenancy.create_or_update_tenant('typo')."
    )


@pytest.mark.parametrize("command", WITH_TENANT)
def test_an_impossible_tenant_id_is_refused(app: Flask, command: tuple[str, ...]) -> None:
    assert error_of(run_on(app, *command, "--tenant", "appid-other")) == (
        "'appid-other' cannot be the id of a tenant; use letters, digits and hyphens."
    )
    assert usage_error_of(run_on(app, *command, "--tenant", "")) == (
        "Invalid value for '--tenant': it is empty."
    )


def test_a_wrong_setting_is_an_error_in_one_line(make_app: AppFactory) -> None:
    runner = Flask("unused").test_cli_runner()
    info = ScriptInfo(create_app=lambda: make_app(connection_url="typo"))
    assert error_of(runner.invoke(stsession_group, ["settings"], obj=info)) == (
        "There is no setting 'STSESSION_CONNECTION_URL'. Did you mean STSESSION_CONNECTION_URI?"
    )


@pytest.mark.parametrize(
    "command",
    [(*each[:index], "", *each[index + 1 :]) for each in COMMANDS for index in range(2, len(each))],
)
def test_an_empty_argument_is_wrong_usage(app: Flask, command: tuple[str, ...]) -> None:
    assert usage_error_of(run_on(app, *command)).endswith(": it is empty.")


def test_an_unexpected_error_keeps_its_traceback(app: Flask) -> None:
    @click.command(cls=Command)
    def broken() -> None:
        raise ZeroDivisionError

    assert isinstance(app.test_cli_runner().invoke(broken).exception, ZeroDivisionError)


# Nothing beside the output


@pytest.fixture
def fresh_app(tmp_path: Path) -> Flask:
    """An app without any setting, whose embedded core logs where it keeps its data."""
    app = Flask("fresh", instance_path=str(tmp_path / "instance"))
    STSession(app)
    return app


def test_programs_read_nothing_but_json(fresh_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    assert json_of(run_on(fresh_app, "sessions", "list", "alice", "--json")) == []
    assert caplog.messages == []


def test_people_are_told_only_that_a_database_was_created(
    fresh_app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    output_of(run_on(fresh_app, "roles", "list"))
    assert [each.split(":")[0] for each in caplog.messages] == [
        "Created an empty database for the embedded core"
    ]


def test_logging_goes_on_as_before_after_a_command(
    fresh_app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    run_on(fresh_app, "roles", "list", "--json")
    logging.getLogger("flask_stsession.core").warning("after")
    assert caplog.messages == ["after"]


ON_DATA = [each for each in COMMANDS if len(each) > 2 or each == ("roles", "list")]


@pytest.mark.embedded_core
def test_people_are_told_that_no_other_process_shares_data_in_memory(make_app: AppFactory) -> None:
    app = make_app(connection_uri="embedded::memory:")
    note = "The app keeps its data in memory: no other process shares it.\n"
    for command in ON_DATA:
        assert run_on(app, *command).output.startswith(note), command
        assert note not in run_on(app, *command, "--json").output, command
    app.testing = True
    for command in ON_DATA:
        assert note not in run_on(app, *command).output, command


@pytest.mark.slow
def test_without_an_app_commands_give_flasks_own_hint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "stsession", "roles", "list"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "FLASK_APP"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Could not locate a Flask application" in done.stderr
