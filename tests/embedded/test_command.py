"""The command that serves an embedded core."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from support.running_cores import client_at, core_process

from flask_stsession.embedded.command import core_command
from flask_stsession.embedded.errors import EmbeddedCoreError


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "flask_stsession.embedded", "--help"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ran.stdout.startswith("Usage: python -m flask_stsession.embedded [OPTIONS]\n")


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(core_command, arguments)
    assert result.exit_code != 0
    return result.output.strip().splitlines()[-1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_a_host_that_others_can_reach_needs_api_keys(host: str) -> None:
    assert refused("--host", host) == (
        f"Error: --host {host} can be reached from other machines and there are no API keys:"
        " set API_KEYS=KEY in the environment (at least 20 characters), or use --host 127.0.0.1"
    )


@pytest.mark.parametrize("without_key", [" ", ",", "\n", " , ,"])
def test_blanks_and_commas_are_no_api_keys(without_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_database: str, _settings: dict[str, str]) -> None:
        raise EmbeddedCoreError("it would have started")

    monkeypatch.setattr("flask_stsession.embedded.command.EmbeddedCore", start)
    outside = (
        "Error: --host 0.0.0.0 can be reached from other machines and there are no API keys:"
        " set API_KEYS=KEY in the environment (at least 20 characters), or use --host 127.0.0.1"
    )
    assert refused("--host", "0.0.0.0", "--set", f"api_keys={without_key}") == outside
    monkeypatch.setenv("API_KEYS", without_key)
    assert refused("--host", "0.0.0.0") == outside
    assert refused() == (
        "Error: the API keys given are only blanks and commas:"
        " set API_KEYS=KEY in the environment (at least 20 characters), or give none"
    )


def test_api_keys_come_from_the_environment_or_from_a_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, str]] = []

    def note(_database: str, settings: dict[str, str]) -> None:
        given.append(settings)
        raise EmbeddedCoreError("enough")

    monkeypatch.setattr("flask_stsession.embedded.command.EmbeddedCore", note)
    monkeypatch.setenv("API_KEYS", "k" * 20)
    assert refused("--host", "0.0.0.0") == "Error: enough"
    assert refused("--set", "api_keys=" + "s" * 20) == "Error: enough"
    monkeypatch.setenv("API_KEYS", "")
    assert refused() == "Error: enough"
    assert given == [{"api_keys": "k" * 20}, {"api_keys": "s" * 20}, {}]


@pytest.mark.slow
def test_a_process_takes_api_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "k" * 20)
    with core_process(":memory:") as running, client_at(running.url) as client:
        assert client.send("GET", "/recipe/roles").status_code == 401
        assert client.send("GET", "/recipe/roles", headers={"api-key": "k" * 20}).status_code == 200


def test_a_setting_needs_an_equals_sign() -> None:
    assert refused("--set", "access_token_validity") == (
        "Error: Invalid value for --set: 'access_token_validity' has no '=': write KEY=VALUE,"
        " for example access_token_validity=3600"
    )


def test_a_wrong_setting_is_reported() -> None:
    assert refused("--set", "access_token_validity=soon") == (
        "Error: access_token_validity is 'soon': give a whole number of seconds from 1 to 86400000,"
        " for example 3600"
    )


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("--port", str(port)) == (
            f"Error: cannot listen on 127.0.0.1, port {port} (Address already in use):"
            " choose another --host or --port; --port 0 selects a free one"
        )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_command_serves_until_a_signal_arrives(host: str, tmp_path: Path) -> None:
    # The command ends on a signal to this very process, sent once it answers.
    def stop_when_it_answers() -> None:
        deadline = time.monotonic() + 10
        while not answers and time.monotonic() < deadline:
            with requests.Session() as session:
                try:
                    answers.append(session.get(f"http://127.0.0.1:{port}/hello", timeout=1).text)
                except requests.ConnectionError:
                    time.sleep(0.02)
        signal.raise_signal(signal.SIGTERM)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answers: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    asking = threading.Thread(target=stop_when_it_answers)
    asking.start()
    result = CliRunner().invoke(
        core_command, ["--host", host, "--port", str(port), "--db", str(tmp_path / "core.db")]
    )
    asking.join()
    assert (result.exit_code, result.output) == (0, f"Listening on http://{host}:{port}\n")
    assert answers == ["Hello"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_prints_its_url_and_ends_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with core_process(file, {"access_token_validity": 60}) as running:
        assert running.first_line == f"Listening on {running.url}\n"
        with client_at(running.url) as client:
            pair = client.create()
            assert pair["accessToken"]["expiry"] - pair["accessToken"]["createdTime"] <= 60_000
            # The client's connection is still open, which must not keep the process.
            code, said, log = running.end(number)
    assert (code, said) == (0, "")
    assert log.startswith(f"Created an empty database for the embedded core: {file}. ")
    assert [path.name for path in tmp_path.iterdir()] == ["core.db"]


@pytest.mark.slow
def test_a_process_without_a_file_warns_that_nothing_is_stored() -> None:
    with core_process(":memory:") as running:
        code, _, said = running.end()
    assert (code, said) == (
        0,
        "Everything is stored in memory and lost when this process ends; --db FILE keeps it.\n",
    )
