"""``flask stsession core``: run the embedded core, and back it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.cli import ScriptInfo
from support.app_factory import AppFactory
from support.commands import error_of, json_of, output_of, run_on, usage_error_of
from support.running_cores import client_at, client_of, core_process

from flask_stsession import userroles
from flask_stsession.cli import stsession_group
from flask_stsession.embedded.app import EmbeddedCore


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
    assert err.startswith(f"Created an empty database for the embedded core: {tmp_path / 'core.db'}. ")
    assert err.count("\n") == 1


def test_the_database_of_an_app_is_backed_up_while_the_app_runs(
    app: Flask, core_file: Path, tmp_path: Path
) -> None:
    with app.app_context():
        userroles.create_new_role_or_add_permissions("editor")
    copy = tmp_path / "copy.db"
    assert output_of(run_on(app, "core", "backup", str(copy))) == f"Copied {core_file} to {copy}.\n"
    again = str(tmp_path / "again.db")
    assert json_of(run_on(app, "core", "backup", again, "--json")) == {
        "database": str(core_file),
        "file": again,
    }
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
        f"The app {app.name!r} uses the core at http://127.0.0.1:1, not an embedded one: back up that "
        "core's own database, or name a file with --db."
    )


def test_sessions_in_memory_cannot_be_backed_up(make_app: AppFactory, tmp_path: Path) -> None:
    app = make_app(connection_uri="embedded::memory:")
    assert error_of(run_on(app, "core", "backup", str(tmp_path / "copy.db"))) == (
        f"The app {app.name!r} keeps its sessions in memory, where no other process can copy them: "
        "set STSESSION_CONNECTION_URI to 'embedded:' followed by a file name."
    )


def test_a_backup_that_fails_is_an_error_in_one_line(app: Flask, core_file: Path) -> None:
    assert error_of(run_on(app, "core", "backup", str(core_file))) == (
        f"{core_file} exists already: name a new file for the copy."
    )


@pytest.mark.parametrize("arguments", [("",), ("copy.db", "--db", "")])
def test_an_empty_file_name_is_wrong_usage(app: Flask, arguments: tuple[str, ...]) -> None:
    assert usage_error_of(run_on(app, "core", "backup", *arguments)).endswith(": it is empty.")


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
