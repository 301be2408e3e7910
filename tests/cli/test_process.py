"""The commands as people run them: the real ``flask`` in a process, its two outputs and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.embedded_core]

APP = """
from flask import Flask
from flask_stsession import STSession, verify_session

app = Flask(__name__)
STSession(app)


@app.get("/user")
@verify_session()
def user():
    return {}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs ``flask stsession`` on an app with nothing configured."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")

    # Without bytecode: a changed app.py of the same size would seem unchanged within a second.
    around = {name: value for name, value in os.environ.items() if name != "FLASK_APP"}
    around["PYTHONDONTWRITEBYTECODE"] = "1"

    def run(*arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flask", "stsession", *arguments],
            cwd=tmp_path,
            env=around | environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_a_session_from_its_creation_to_its_end(run: Run) -> None:
    created = run("token", "create", "alice", "--json")
    assert (created.returncode, created.stderr) == (0, "")
    session = json.loads(created.stdout)
    assert session["curl"].endswith("http://127.0.0.1:5000/user")

    inspected = run("token", "inspect", "--json", given=f"Bearer {session['access_token']}\n")
    assert (inspected.returncode, inspected.stderr) == (0, "")
    assert json.loads(inspected.stdout)["user_id"] == "alice"

    shown = run("sessions", "list", "alice")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert session["session_handle"] in shown.stdout

    assert run("sessions", "revoke", session["session_handle"]).returncode == 0
    refused = run("token", "inspect", "-", given=session["access_token"])
    assert (refused.returncode, refused.stderr) == (1, "")
    assert "refused with 401 (session_ended)" in refused.stdout

    none = run("sessions", "list", "alice")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "'alice' has no sessions.\n")


def test_what_is_wrong_is_one_line_on_standard_error(run: Run) -> None:
    wrong_usage = run("sessions", "list", "")
    assert (wrong_usage.returncode, wrong_usage.stdout) == (2, "")
    assert wrong_usage.stderr.endswith("Error: Invalid value for 'USER': it is empty.\n")

    refusal = run("roles", "users", "typo", "--json")
    assert (refusal.returncode, refusal.stdout) == (1, "")
    assert refusal.stderr.startswith("Error: There is no role 'typo'.")
    assert refusal.stderr.count("\n") == 1

    no_app = run("doctor", FLASK_APP="nowhere")
    assert (no_app.returncode, no_app.stdout) == (2, "")
    assert "Traceback" not in no_app.stderr


def test_a_wrong_setting_has_no_traceback(run: Run, tmp_path: Path) -> None:
    broken = APP.replace("STSession(app)", "app.config.from_prefixed_env()\nSTSession(app)")
    (tmp_path / "app.py").write_text(broken, encoding="utf-8")
    done = run("settings", FLASK_STSESSION_API_DOMAN="https://api.example.com")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: There is no setting 'STSESSION_API_DOMAN'. Did you mean STSESSION_API_DOMAIN?\n"
    )


def test_doctor_passes_a_healthy_app_and_finds_a_misplaced_guard(run: Run, tmp_path: Path) -> None:
    healthy = run("doctor", "--json")
    assert (healthy.returncode, healthy.stderr) == (0, "")
    assert json.loads(healthy.stdout)["findings"] == 0
    misplaced = APP.replace('@app.get("/user")\n@verify_session()', '@verify_session()\n@app.get("/user")')
    (tmp_path / "app.py").write_text(misplaced, encoding="utf-8")
    ill = run("doctor")
    assert (ill.returncode, ill.stderr) == (1, "")
    assert "FINDING  routes" in ill.stdout
