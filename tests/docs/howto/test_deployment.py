"""The how-to about deployment (deployment.md): its command serves its app, and nginx reads its lines."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.documentation import page
from support.required import missing

from flask_stsession.cli import stsession_group

pytestmark = pytest.mark.embedded_core

PAGE = page("howto/deployment.md")
(APP,) = PAGE.blocks()
(UNIT,) = PAGE.blocks("ini")
(NGINX,) = PAGE.blocks("nginx")
(DOCKERFILE,) = PAGE.blocks("docker")


def service() -> dict[str, str]:
    """Return the settings of the unit's service, and its environment."""
    parser = configparser.ConfigParser(strict=False, delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.code)
    environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", UNIT.code, re.MULTILINE))
    return {**parser["Service"], **environment}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of the page's app under the page's command, with its files in a folder of this test."""
    settings = service()
    (tmp_path / "app.py").write_text(APP.code, encoding="utf-8")
    (tmp_path / "lib").mkdir(mode=0o700)
    program, *options = shlex.split(settings["ExecStart"])
    assert program == f"{settings['WorkingDirectory']}/.venv/bin/gunicorn"
    options[options.index("--bind") + 1] = "127.0.0.1:0"
    uri = settings["FLASK_STSESSION_CONNECTION_URI"]
    assert uri.startswith(f"embedded:/var/lib/{settings['StateDirectory']}/")
    environment = {
        **os.environ,
        "FLASK_STSESSION_API_DOMAIN": settings["FLASK_STSESSION_API_DOMAIN"],
        "FLASK_STSESSION_CONNECTION_URI": f"embedded:{tmp_path / 'lib' / 'core.db'}",
    }
    log = tmp_path / "gunicorn.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--graceful-timeout", "2", *options],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield listening_address(log, process)
        finally:
            process.terminate()
            process.wait(timeout=60)


def listening_address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until gunicorn says where it listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.slow
def test_the_workers_of_the_unit_share_a_session(address: str) -> None:
    by_proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "www.example.com"}
    mode = {"st-auth-mode": "header"}
    signed_in = requests.post(
        f"{address}/login", json={"userId": "alice"}, headers={**by_proxy, **mode}, timeout=60
    )
    bearer = {"Authorization": f"Bearer {signed_in.headers['st-access-token']}"}
    for _ in range(12):
        answer = requests.get(f"{address}/user", headers={**by_proxy, **bearer}, timeout=60)
        assert answer.json() == {"userId": "alice"}
    assert requests.get(f"{address}/health", timeout=60).json() == {"status": "OK"}


def test_nginx_reads_its_lines(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        missing("nginx is missing; .ci/run installs it (apt-get install nginx-light)")
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}} http {{ access_log off; "
        f"server {{ listen 127.0.0.1:1; {NGINX.code} }} }}",
        encoding="utf-8",
    )
    ran = subprocess.run(
        [nginx, "-t", "-c", str(config), "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_container_runs_the_same_command_on_all_addresses() -> None:
    command = re.search(r"^CMD (\[.*\])$", DOCKERFILE.code, re.MULTILINE)
    assert command is not None
    _, *options = shlex.split(service()["ExecStart"])
    expected = ["0.0.0.0:8000" if option == "127.0.0.1:8000" else option for option in options]
    assert json.loads(command[1]) == ["gunicorn", *expected]


def test_the_commands_exist() -> None:
    assert set(re.findall(r"flask stsession (\w+)", PAGE.text)) <= set(stsession_group.commands)
