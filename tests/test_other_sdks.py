"""The unmodified SDKs for Node and Python go through a session's whole life on ``flask stsession core``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.running_cores import core_process

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "support"
NODE_MODULES = ROOT / ".ci" / "node_modules"
SDK_PYTHON = ROOT / ".venv-sdk" / "bin" / "python"

LIFE: dict[str, Any] = {
    "added": False,
    "user": "alice",
    "roles": ["admin"],
    "permissions": ["read", "write"],
    "verifiedAtFirst": False,
    "payload": [1, 3],
    "data": {"b": 2},
    "mail": "OK",
    "isVerified": True,
    "verifiedAfterwards": True,
    "information": "alice",
    "handles": 1,
    "jwt": "OK",
    "tenant": ["thirdparty"],
    "tenants": ["acme", "public"],
    "elsewhere": "acme",
    "metadata": {"e": 6},
    "ended": True,
    "revoked": 1,
}


def missing(what: str) -> None:
    """Skip the test, or fail it where everything is required."""
    if os.environ.get("STSESSION_REQUIRE_EVERYTHING"):
        pytest.fail(f"{what} is missing, and STSESSION_REQUIRE_EVERYTHING is set")
    pytest.skip(f"{what} is missing; .ci/run installs it")


def output_of(*command: str | Path, **environment: str) -> Any:
    """Run a script and return the JSON that it prints."""
    ran = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.slow
def test_the_sdk_for_node_does_a_whole_sessions_life() -> None:
    node = shutil.which("node")
    if node is None:
        missing("node")
    elif not (NODE_MODULES / "supertokens-node").is_dir():
        missing(f"supertokens-node in {NODE_MODULES.relative_to(ROOT)}")
    else:
        with core_process(":memory:") as core:
            told = output_of(node, SCRIPTS / "sdk_session.js", core.url, NODE_PATH=str(NODE_MODULES))
        assert told == {**LIFE, "loginMethods": 200, "refusal": "UNAUTHORISED"}


@pytest.mark.slow
def test_the_sdk_for_python_does_a_whole_sessions_life() -> None:
    if not SDK_PYTHON.exists():
        missing(f"{SDK_PYTHON.relative_to(ROOT)} with supertokens-python")
    with core_process(":memory:") as core:
        told = output_of(SDK_PYTHON, SCRIPTS / "sdk_session.py", core.url, PYTHONPATH="")
    assert told == {**LIFE, "refusal": "UnauthorisedError"}
