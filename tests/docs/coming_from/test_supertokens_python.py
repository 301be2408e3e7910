"""The page for those who come from supertokens-python: both of its apps say the same, on one core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.documentation import ROOT, page
from support.required import missing
from support.running_cores import core_process

pytestmark = [pytest.mark.embedded_core, pytest.mark.slow]

PAGE = page("coming-from/supertokens-python.md")
BEFORE, AFTER = PAGE.blocks()

SDK_PYTHON = ROOT / ".venv-sdk" / "bin" / "python"

#: Appended to an app: a conversation with it, whose responses are printed.
CONVERSATION = """
import json

client = app.test_client()
said = []


def call(method, path, **options):
    response = client.open(path, method=method, **options)
    said.append([method, path, response.status_code, response.get_json()])


call("GET", "/user")
call("POST", "/login", json={"userId": "alice"}, headers={"st-auth-mode": "cookie"})
call("GET", "/user")
call("GET", "/vault")
call("POST", "/second-factor")
call("GET", "/vault")
call("GET", "/admin")
call("POST", "/promote")
call("GET", "/admin")
call("POST", "/auth/session/refresh")
call("GET", "/vault")
call("POST", "/everywhere")
call("POST", "/auth/session/refresh")
call("GET", "/user")
print(json.dumps(said))
"""

INVALID = {"message": "invalid claim"}


def conversation_with(code: str, python: Path) -> Any:
    """Run an app and the conversation with it in a process of its own, on a core of its own."""
    with core_process(":memory:") as core:
        ran = subprocess.run(
            [python, "-W", "ignore", "-c", code + CONVERSATION],
            env={**os.environ, "CORE": core.url},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_the_ported_app_says_what_it_should() -> None:
    said = conversation_with(AFTER.code, Path(sys.executable))
    assert [f"{method} {path} {status}" for method, path, status, _ in said] == [
        "GET /user 401",
        "POST /login 200",
        "GET /user 200",
        "GET /vault 403",
        "POST /second-factor 200",
        "GET /vault 200",
        "GET /admin 403",
        "POST /promote 200",
        "GET /admin 200",
        "POST /auth/session/refresh 200",
        "GET /vault 200",
        "POST /everywhere 200",
        "POST /auth/session/refresh 401",
        "GET /user 401",
    ]
    assert said[2][3] == {"userId": "alice", "plan": "pro"}
    assert said[3][3]["claimValidationErrors"][0]["id"] == "2fa-completed"
    assert said[11][3] == {"ended": 1}


def test_the_app_before_says_the_same() -> None:
    if not SDK_PYTHON.exists():
        missing(f"{SDK_PYTHON.relative_to(ROOT)} with supertokens-python is missing; .ci/run makes it")
    assert conversation_with(BEFORE.code, SDK_PYTHON) == conversation_with(AFTER.code, Path(sys.executable))
