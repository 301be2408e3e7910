"""The embedded core over HTTP, and the command that serves it."""

from __future__ import annotations

import logging
import runpy
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from support.running_cores import client_at, core_process, served

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.server import CoreServer, core_command


def exchange(url: str, request: bytes) -> bytes:
    """Send raw bytes and read until the server closes the connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


# Serving


def test_answers_come_without_the_delay_of_an_acknowledgement() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url, client_at(url) as client:
        client.send("GET", "/hello")
        began = time.perf_counter()
        for _ in range(20):
            assert client.call("PUT", "/recipe/role", {"role": "admin"})["status"] == "OK"
        # A delayed acknowledgement would cost 40 ms each time.
        assert (time.perf_counter() - began) / 20 < 0.03


def test_a_connection_is_kept_for_more_requests() -> None:
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with EmbeddedCore(":memory:") as core, served(core) as url:
        assert exchange(url, request * 3).count(b"\r\n\r\nHello") == 3


def test_a_head_request_gets_no_body() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url:
        received = exchange(url, b"HEAD /recipe/roles HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: x\r\n", b"400"),
        (b"Content-Length: 99999999\r\n", b"413"),
        (b"Content-Length: 9999999999999999999999\r\n", b"413"),
    ],
)
def test_a_body_that_cannot_be_measured_ends_the_connection(headers: bytes, status: bytes) -> None:
    request = b"POST /recipe/session HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n{}"
    with EmbeddedCore(":memory:") as core, served(core) as url:
        received = exchange(url, request + b"GET /hello HTTP/1.1\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b"Hello" not in received


def test_a_client_that_hangs_up_halfway_harms_nobody() -> None:
    request = b"POST /recipe/session HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    with EmbeddedCore(":memory:") as core, served(core) as url, client_at(url) as client:
        assert exchange(url, request) == b""
        assert client.send("GET", "/hello").ok


def test_bytes_that_are_no_http_are_answered_400() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url:
        assert b"400" in exchange(url, b"\xff\xfe\x00\r\n\r\n")


def test_nothing_of_a_request_is_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with EmbeddedCore(":memory:") as core, served(core) as url, client_at(url) as client:
        client.call("GET", "/recipe/session/user", userId="somebody")
    assert not [message for message in caplog.messages if message.startswith("the embedded")]
    assert capfd.readouterr() == ("", "")


def test_a_core_that_was_closed_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    core = EmbeddedCore(":memory:")
    with served(core) as url, client_at(url) as client:
        core.close()
        assert client.send("GET", "/recipe/roles").status_code == 500
    assert caplog.messages == ["the embedded core cannot answer"]


def test_stopping_waits_for_the_request_that_was_begun(tmp_path: Path) -> None:
    inside, go_on, slow = threading.Event(), threading.Event(), threading.Event()

    def clock() -> float:
        if slow.is_set():
            inside.set()
            go_on.wait(10)
        return time.time()

    answers: list[object] = []
    with EmbeddedCore(tmp_path / "core.db", clock=clock) as core:
        server = CoreServer(core, "127.0.0.1", 0)
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        slow.set()

        def ask() -> None:
            with client_at(server.url) as client:
                answers.append(client.create()["status"])

        asking = threading.Thread(target=ask)
        asking.start()
        assert inside.wait(10)
        threading.Timer(0.2, go_on.set).start()
        server.stop()
        asking.join()
        serving.join()
    assert answers == ["OK"]


def test_an_address_of_version_six_is_written_in_brackets() -> None:
    with EmbeddedCore(":memory:") as core:
        try:
            server = CoreServer(core, "::1", 0)
        except OSError:
            pytest.skip("this machine has no ::1")
        with server:
            assert server.url == f"http://[::1]:{server.server_address[1]}"


# The command


def test_the_module_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["core", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("flask_stsession.embedded", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: python -m flask_stsession.embedded [OPTIONS]\n")


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(core_command, arguments)
    assert result.exit_code != 0
    return result.output.strip().splitlines()[-1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_a_host_that_others_can_reach_needs_api_keys(host: str) -> None:
    assert refused("--host", host) == (
        f"Error: --host {host} can be reached from other machines and there are no api_keys:"
        " add --set api_keys=KEY (at least 20 characters), or use --host 127.0.0.1"
    )


def test_a_setting_needs_an_equals_sign() -> None:
    assert refused("--set", "access_token_validity") == (
        "Error: Invalid value for --set: 'access_token_validity' has no '=': write KEY=VALUE,"
        " for example access_token_validity=3600"
    )


def test_a_wrong_setting_is_said_by_the_command() -> None:
    assert refused("--set", "access_token_validity=soon") == (
        "Error: access_token_validity is 'soon': give a whole number of seconds from 1 to 86400000,"
        " for example 3600"
    )


def test_a_port_that_is_taken_is_said_by_the_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("--port", str(port)) == (
            f"Error: cannot listen on 127.0.0.1, port {port} (Address already in use):"
            " choose another --host or --port; --port 0 takes a free one"
        )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_command_serves_until_it_is_told_to_stop(host: str, tmp_path: Path) -> None:
    # The command ends on a signal to this very process, sent once it answers.
    def stop_when_it_answers() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with requests.Session() as session:
                try:
                    answers.append(session.get(f"http://127.0.0.1:{port}/hello", timeout=1).text)
                except requests.ConnectionError:
                    time.sleep(0.02)
                    continue
            signal.raise_signal(signal.SIGTERM)
            return

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
def test_a_process_says_where_it_listens_and_ends_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with core_process(file, {"access_token_validity": 60}) as running:
        assert running.first_line == f"Listening on {running.url}\n"
        with client_at(running.url) as client:
            pair = client.create()
            assert pair["accessToken"]["expiry"] - pair["accessToken"]["createdTime"] <= 60_000
            # The client's connection is still open, which must not keep the process.
            code, said, log = running.end(number)
    assert (code, said) == (0, "")
    assert log.startswith(f"Made an empty database for the embedded core: {file}. ")
    assert [path.name for path in tmp_path.iterdir()] == ["core.db"]


@pytest.mark.slow
def test_a_process_without_a_file_says_that_nothing_is_kept() -> None:
    with core_process(":memory:") as running:
        code, _, said = running.end()
    assert (code, said) == (
        0,
        "Everything is kept in memory and ends with this process; --db FILE keeps it.\n",
    )
