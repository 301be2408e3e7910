"""``flask stsession``: what its commands print, and how they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import ScriptInfo
from support.app_factory import AppFactory
from support.running_cores import client_at, client_of, core_process

from flask_stsession import userroles
from flask_stsession.cli import stsession_group
from flask_stsession.config.config import describe_settings
from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.multitenancy import create_or_update_tenant

Run = Callable[..., Result]


def run_on(app: Flask, *arguments: str) -> Result:
    """Run ``flask stsession`` on an app."""
    return app.test_cli_runner().invoke(stsession_group, arguments)


@pytest.fixture
def run(app: Flask) -> Run:
    """Return a function that runs ``flask stsession`` on ``app``."""
    return lambda *arguments: run_on(app, *arguments)


def output_of(result: Result) -> str:
    """Return the output of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return result.output


def error_of(result: Result) -> str:
    """Return the output of a command that failed without a traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    return result.output


# Roles


def test_roles_are_created_listed_and_deleted(run: Run) -> None:
    assert output_of(run("roles", "create", "editor", "write", "read")) == (
        "Created the role 'editor'. It permits: read, write.\n"
    )
    assert output_of(run("roles", "create", "admin")) == "Created the role 'admin'. It permits: nothing.\n"
    assert output_of(run("roles", "list")) == "admin   nothing\neditor  read, write\n"
    assert output_of(run("roles", "delete", "editor")) == "Deleted the role 'editor'.\n"
    assert output_of(run("roles", "list")) == "admin  nothing\n"


def test_permissions_are_added_to_an_existing_role(run: Run) -> None:
    run("roles", "create", "editor", "read")
    assert output_of(run("roles", "create", "editor", "write")) == (
        "The role 'editor' exists. It permits: read, write.\n"
    )


def test_without_roles_the_list_says_how_to_make_one(run: Run) -> None:
    assert output_of(run("roles", "list")) == (
        "There are no roles. Create one: flask stsession roles create ROLE [PERMISSION]...\n"
    )


def test_a_role_is_given_to_a_user_shown_and_taken_away(run: Run) -> None:
    run("roles", "create", "editor", "read", "write")
    assert output_of(run("roles", "give", "alice", "editor")) == "'alice' now has the role 'editor'.\n"
    assert output_of(run("roles", "give", "alice", "editor")) == "'alice' already had the role 'editor'.\n"
    assert output_of(run("roles", "show", "alice")) == "editor  read, write\n"
    assert output_of(run("roles", "take", "alice", "editor")) == "'alice' no longer has the role 'editor'.\n"
    assert output_of(run("roles", "take", "alice", "editor")) == "'alice' did not have the role 'editor'.\n"
    assert output_of(run("roles", "show", "alice")) == "'alice' has no roles.\n"


def test_roles_are_given_and_taken_in_a_tenant(app: Flask, run: Run) -> None:
    with app.app_context():
        create_or_update_tenant("customer1")
        userroles.create_new_role_or_add_permissions("editor")
    tenant = ("--tenant", "customer1")
    assert output_of(run("roles", "give", "alice", "editor", *tenant)) == (
        "'alice' now has the role 'editor' in the tenant 'customer1'.\n"
    )
    assert output_of(run("roles", "show", "alice")) == "'alice' has no roles.\n"
    assert output_of(run("roles", "show", "alice", *tenant)) == "editor  nothing\n"
    assert output_of(run("roles", "take", "alice", "editor", *tenant)) == (
        "'alice' no longer has the role 'editor' in the tenant 'customer1'.\n"
    )


@pytest.mark.parametrize(
    "arguments", [("give", "alice", "typo"), ("take", "alice", "typo"), ("delete", "typo")]
)
def test_an_unknown_role_is_a_one_line_error(run: Run, arguments: tuple[str, ...]) -> None:
    assert error_of(run("roles", *arguments)) == (
        "Error: There is no role 'typo'. Create it with create_new_role_or_add_permissions('typo', [...]), "
        'or "flask stsession roles create typo".\n'
    )


def test_an_unknown_tenant_is_a_one_line_error(run: Run) -> None:
    run("roles", "create", "editor")
    output = error_of(run("roles", "give", "alice", "editor", "--tenant", "typo"))
    assert output.startswith("Error: ")
    assert "typo" in output
    assert output.count("\n") == 1


def test_an_unreachable_core_is_a_one_line_error(make_app: AppFactory) -> None:
    output = error_of(run_on(make_app(connection_uri="http://127.0.0.1:1"), "roles", "list"))
    assert output.startswith("Error: ")
    assert "http://127.0.0.1:1" in output
    assert "STSESSION_CONNECTION_URI" in output
    assert output.count("\n") == 1


def test_an_app_without_the_extension_is_an_error_with_the_remedy() -> None:
    assert error_of(run_on(Flask("bare"), "roles", "list")) == (
        "Error: The app 'bare' has no STSession. Initialise it: STSession(app), or stsession.init_app(app).\n"
    )


def test_a_wrong_setting_is_a_one_line_error(make_app: AppFactory) -> None:
    runner = Flask("unused").test_cli_runner()
    info = ScriptInfo(create_app=lambda: make_app(connection_url="typo"))
    result = runner.invoke(stsession_group, ["settings"], obj=info)
    assert error_of(result) == (
        "Error: There is no setting 'STSESSION_CONNECTION_URL'. Did you mean STSESSION_CONNECTION_URI?\n"
    )


def test_a_missing_argument_is_a_usage_error(run: Run) -> None:
    result = run("roles", "give", "alice")
    assert result.exit_code == 2
    assert "Missing argument 'ROLE'" in result.output


# Settings


def test_settings_are_shown_with_their_source(make_app: AppFactory) -> None:
    app = make_app(api_domain="https://api.example.com")
    lines = [line.split() for line in output_of(run_on(app, "settings")).splitlines()]
    assert [line[0] for line in lines] == [setting.key for setting in describe_settings()]
    assert ["STSESSION_API_DOMAIN", "set", "'https://api.example.com'"] in lines
    assert ["STSESSION_API_BASE_PATH", "default", "'/auth'"] in lines


def test_settings_show_no_secret(make_app: AppFactory) -> None:
    app = make_app(connection_uri="http://127.0.0.1:1", api_key="a-key-of-a-core-0123")
    output = output_of(run_on(app, "settings"))
    assert "a-key-of-a-core-0123" not in output
    assert "(not shown)" in output
    own = make_app(
        name="own", connection_uri="embedded:", embedded_core={"api_keys": "another-secret-key-0123"}
    )
    assert "another-secret-key-0123" not in output_of(run_on(own, "settings"))


# Found by Flask


def test_flask_finds_the_group_by_its_entry_point() -> None:
    [entry] = [each for each in entry_points(group="flask.commands") if each.name == "stsession"]
    assert entry.load() is stsession_group


@pytest.mark.slow
def test_the_core_runs_without_an_app(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "stsession", "core", "--port=0", f"--db={tmp_path / 'core.db'}"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "FLASK_APP"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening on http://127.0.0.1:")
    finally:
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    # The one line of the log: a mistyped path or an unmounted volume would look like this.
    assert err.startswith(f"Made an empty database for the embedded core: {tmp_path / 'core.db'}. ")
    assert err.count("\n") == 1


# Backups


def test_the_database_of_an_app_is_backed_up_while_the_app_runs(
    app: Flask, core_file: Path, run: Run, tmp_path: Path
) -> None:
    with app.app_context():
        userroles.create_new_role_or_add_permissions("editor")
    copy = tmp_path / "copy.db"
    assert output_of(run("core", "backup", str(copy))) == f"Copied {core_file} to {copy}.\n"
    with app.app_context():
        userroles.create_new_role_or_add_permissions("later")
    with EmbeddedCore(copy) as core, client_of(core) as client:
        assert client.call("GET", "/recipe/roles")["roles"] == ["editor"]


@pytest.mark.parametrize("before", [True, False])
def test_a_named_database_is_backed_up_without_an_app(core_file: Path, tmp_path: Path, before: bool) -> None:
    def no_app() -> Flask:
        raise AssertionError("the app was loaded")

    runner = Flask("unused").test_cli_runner()
    named, copy = f"--db={core_file}", str(tmp_path / "copy.db")
    arguments = ["core", named, "backup", copy] if before else ["core", "backup", copy, named]
    result = runner.invoke(stsession_group, arguments, obj=ScriptInfo(create_app=no_app))
    assert output_of(result) == f"Copied {core_file} to {copy}.\n"
    with EmbeddedCore(copy) as core:
        assert not core.created


def test_an_app_on_a_supertokens_core_cannot_be_backed_up_here(make_app: AppFactory, tmp_path: Path) -> None:
    app = make_app(connection_uri="http://127.0.0.1:1")
    assert error_of(run_on(app, "core", "backup", str(tmp_path / "copy.db"))) == (
        f"Error: The app {app.name!r} uses the core at http://127.0.0.1:1, not an embedded one: back up that "
        "core's own database, or name a file with --db.\n"
    )


def test_sessions_in_memory_cannot_be_backed_up(make_app: AppFactory, tmp_path: Path) -> None:
    app = make_app(connection_uri="embedded::memory:")
    assert error_of(run_on(app, "core", "backup", str(tmp_path / "copy.db"))) == (
        f"Error: The app {app.name!r} keeps its sessions in memory, where no other process can copy them: "
        "set STSESSION_CONNECTION_URI to 'embedded:' followed by a file name.\n"
    )


def test_a_backup_that_fails_is_a_one_line_error(run: Run, core_file: Path) -> None:
    assert error_of(run("core", "backup", str(core_file))) == (
        f"Error: {core_file} exists already: name a new file for the copy.\n"
    )


@pytest.mark.slow
def test_the_core_of_another_process_is_backed_up_while_it_serves(tmp_path: Path) -> None:
    file, copy = tmp_path / "core.db", tmp_path / "copy.db"
    with core_process(file) as running, client_at(running.url) as client:
        pair = client.create()
        done = subprocess.run(
            [sys.executable, "-m", "flask", "stsession", "core", "backup", f"--db={file}", str(copy)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, f"Copied {file} to {copy}.\n", "")
        assert client.verify(pair, check_database=True)["status"] == "OK"
    with EmbeddedCore(copy) as core, client_of(core) as client:
        assert client.verify(pair, check_database=True)["status"] == "OK"


@pytest.mark.slow
def test_roles_without_an_app_get_flasks_own_hint(tmp_path: Path) -> None:
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
