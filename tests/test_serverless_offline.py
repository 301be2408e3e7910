"""The examples for AWS Lambda under serverless-offline, a second emulator of API Gateway by others.

It caches no results and only decodes tokens for JWT authorizers: those are tried in
``test_lambda_gateways.py``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
from support.example_modules import EXAMPLES
from support.ports import free_port
from support.required import missing
from support.served_core import ServedCore

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / ".ci" / "node_modules"
PASSWORD = "only for this test"
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.slow


@pytest.fixture
def api(served_core: ServedCore, tmp_path: Path) -> Iterator[str]:
    """The address of the gateway, with the functions behind it."""
    if shutil.which("node") is None or not (PACKAGES / "serverless-offline").exists():
        missing("serverless-offline is missing: npm install --prefix .ci osls serverless-offline")
    port = free_port()
    for path in [*(EXAMPLES / "aws_lambda").glob("*.py"), ROOT / "tests/data/serverless/serverless.yml"]:
        shutil.copy(path, tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    kept = {name: value for name, value in os.environ.items() if "STSESSION_" not in name}
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "CORE_URI": served_core.url,
        "HTTP_PORT": str(port),
        "LAMBDA_PORT": str(free_port()),
        "DEMO_PASSWORD": PASSWORD,
        "FUNCTIONS_PATH": os.pathsep.join(filter(None, sys.path)),
        "SLS_TELEMETRY_DISABLED": "1",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["node", str(PACKAGES / ".bin" / "osls"), "offline"],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, process, tmp_path / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the processes of the functions as well
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(address, timeout=PATIENCE_SECONDS)
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def get(api: str, path: str, headers: Mapping[str, str]) -> requests.Response:
    return requests.get(f"{api}{path}", headers=dict(headers), timeout=PATIENCE_SECONDS)


def signed_in(api: str, mode: str) -> requests.Response:
    """Sign alice in; return the response."""
    login = {"userId": "alice", "password": PASSWORD}
    headers = {"st-auth-mode": mode}
    return requests.post(f"{api}/login", json=login, headers=headers, timeout=PATIENCE_SECONDS)


def test_the_app_and_the_authorizers_take_what_a_second_emulator_sends(
    api: str, served_core: ServedCore
) -> None:
    token = {"authorization": f"Bearer {signed_in(api, 'header').headers['st-access-token']}"}
    lines = signed_in(api, "cookie").raw.headers.getlist("set-cookie")
    assert len(lines) == 2
    cookies = {"cookie": "; ".join(line.partition(";")[0] for line in lines)}
    served_core.makes_expired_tokens = True
    expired = {"authorization": f"Bearer {signed_in(api, 'header').headers['st-access-token']}"}
    expected = {
        # The Flask app
        "/user": {"none": 401, "token": 200, "cookies": 200, "expired": 401},
        # Lambda authorizers of an HTTP API, and of a REST API by TOKEN: by header only
        "/authorized/user": {"none": 401, "token": 200, "cookies": 401, "expired": 401},
        "/rest/token": {"none": 401, "token": 200, "cookies": 401, "expired": 401},
        # By REQUEST: header and cookie. A session is optional, but this emulator refuses an empty
        # principalId; API Gateway evaluates the policy.
        "/rest/request": {"none": 403, "token": 200, "cookies": 200, "expired": 401},
    }
    ways: dict[str, Mapping[str, str]] = {"none": {}, "token": token, "cookies": cookies, "expired": expired}
    found = {
        path: {way: get(api, path, headers).status_code for way, headers in ways.items()} for path in expected
    }
    assert found == expected
    assert get(api, "/authorized/user", token).json()["userId"] == "alice"
