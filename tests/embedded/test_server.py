"""The embedded core over HTTP, and the command that serves it."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.running_cores import client_at, client_of, served

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.server import CoreServer

KEY = b"k" * 20


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


@contextlib.contextmanager
def running(core: EmbeddedCore) -> Iterator[CoreServer]:
    """Run a server in a thread; the test may stop it earlier."""
    server = CoreServer(core, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


# Serving


def test_responses_do_not_wait_for_a_delayed_acknowledgement() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url, client_at(url) as client:
        client.send("GET", "/hello")
        began = time.perf_counter()
        for _ in range(20):
            assert client.call("PUT", "/recipe/role", {"role": "admin"})["status"] == "OK"
        # A delayed acknowledgement would cost 40 ms each time.
        assert (time.perf_counter() - began) / 20 < 0.03


def test_a_connection_serves_several_requests() -> None:
    request = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with EmbeddedCore(":memory:") as core, served(core) as url:
        assert exchange(url, request * 3).count(b"\r\n\r\nHello") == 3


def test_a_head_request_gets_no_body() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url:
        received = exchange(url, b"HEAD /recipe/roles HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: 99999999\r\n", b"413"),
        (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"400"),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"400"),
        (b"Content-Length : 2\r\n", b"400"),
        (b" folded\r\n", b"400"),
    ],
)
def test_a_request_whose_end_is_not_clear_ends_the_connection(headers: bytes, status: bytes) -> None:
    request = b"POST /recipe/session HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n{}"
    with EmbeddedCore(":memory:") as core, served(core) as url:
        received = exchange(url, request + b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in received
    assert b"Hello" not in received


def test_a_body_that_is_cut_short_is_400() -> None:
    request = b"POST /recipe/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
    request += b"Content-Type: application/json\r\n\r\n{"
    with EmbeddedCore(":memory:") as core, served(core) as url, client_at(url) as client:
        assert exchange(url, request).endswith(b"\r\n\r\nThe body is shorter than its Content-Length")
        assert client.send("GET", "/hello").ok


def test_bytes_that_are_not_http_get_400() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url:
        assert b"400" in exchange(url, b"\xff\xfe\x00\r\n\r\n")


def test_no_part_of_a_request_is_logged(
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
    assert caplog.messages == ["the embedded core cannot respond"]


def test_stopping_waits_for_the_request_being_served(tmp_path: Path) -> None:
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


# Bodies are read late


def send_slowly(url: str, head: bytes) -> bytes:
    """Send a head and nothing of the body, and return the first piece of the response."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head)
        return connection.recv(65536)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"POST /recipe/session HTTP/1.1\r\nHost: localhost\r\n", b"401"),
        (b"POST /recipe/nothing HTTP/1.1\r\nHost: localhost\r\napi-key: " + KEY + b"\r\n", b"404"),
        (b"PATCH /recipe/session HTTP/1.1\r\nHost: localhost\r\napi-key: " + KEY + b"\r\n", b"405"),
    ],
)
def test_the_body_is_not_awaited_if_the_head_decides(line: bytes, status: bytes) -> None:
    with EmbeddedCore(":memory:", {"api_keys": KEY.decode()}) as core, served(core) as url:
        began = time.monotonic()
        received = send_slowly(url, line + b"Content-Length: 10000000\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 " + status)
        assert time.monotonic() - began < 5


def test_a_connection_survives_a_short_body_that_was_not_read() -> None:
    unwanted = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    unwanted += b"Content-Type: application/json\r\n\r\nGET /"
    with EmbeddedCore(":memory:") as core, served(core) as url:
        received = exchange(url, unwanted + b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert received.count(b"HTTP/1.1 404 Not Found") == 1
    assert received.endswith(b"\r\n\r\nHello")


def test_100_continue_is_sent_when_the_body_is_read() -> None:
    body = b'{"role": "r"}'
    head = b"PUT /recipe/role HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with EmbeddedCore(":memory:") as core, served(core) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head)
            assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert send_slowly(url, head.replace(b"/role", b"/nothing")).startswith(b"HTTP/1.1 404")


# Limits


def test_a_head_that_takes_too_long_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_stsession.embedded.server._HEAD_SECONDS", 0.2)
    with EmbeddedCore(":memory:") as core, served(core) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"GET /hello HTTP/1.1\r\n")
            began = time.monotonic()
            for _ in range(4):  # a byte now and then does not help
                time.sleep(0.04)
                connection.sendall(b"a")
            assert connection.recv(1000) == b""
            assert time.monotonic() - began < 5
        with socket.create_connection((host, int(port)), timeout=10) as silent:
            assert silent.recv(1000) == b""


def test_connections_beyond_the_cap_get_503_until_others_have_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with EmbeddedCore(":memory:") as core, served(core, max_connections=2) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with client_at(url) as client, socket.create_connection((host, int(port))):
            assert client.send("GET", "/hello").ok
            assert exchange(url, b"").startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with client_at(url) as client:
                if client.send("GET", "/hello").ok:
                    break
    assert caplog.messages[0] == "the embedded core rejected a connection: 2 are open"


# Web pages


def test_a_web_page_cannot_drive_a_core_without_api_keys() -> None:
    with EmbeddedCore(":memory:") as core, served(core) as url, client_at(url) as client:
        for headers, status in (
            ({"Origin": "http://localhost:3000"}, 403),
            ({"Sec-Fetch-Site": "same-origin"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"Sec-Fetch-Mode": "cors"}, 200),
        ):
            assert client.send("GET", "/hello", headers=headers).status_code == status
        form = {"Content-Type": "text/plain"}
        response = client.send("PUT", "/recipe/role", data='{"role": "r"}', headers=form)
        assert response.status_code == 415
        assert client.call("GET", "/recipe/roles")["roles"] == []


def test_with_api_keys_a_core_serves_every_request_that_has_one() -> None:
    headers = {"Origin": "http://localhost:3000", "Host": "core.example", "api-key": KEY.decode()}
    with (
        EmbeddedCore(":memory:", {"api_keys": KEY.decode()}) as core,
        served(core) as url,
        client_at(url) as client,
    ):
        assert client.send("GET", "/recipe/roles", headers=headers).ok


# Stopping


def test_a_request_that_arrives_while_the_server_stops_is_not_carried_out(tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as core:
        with running(core) as server, client_at(server.url) as client:
            assert client.call("PUT", "/recipe/role", {"role": "before"})["status"] == "OK"
            server.is_stopping = True  # as the handler of a signal does first
            with pytest.raises(requests.ConnectionError):
                client.send("PUT", "/recipe/role", json={"role": "after"})
        with client_of(core) as client:
            assert client.call("GET", "/recipe/roles")["roles"] == ["before"]


def test_a_request_whose_client_was_cut_off_is_not_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_stsession.embedded.server._STOP_SECONDS", 0.1)
    head = b"PUT /recipe/role HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 13\r\n\r\n"
    with EmbeddedCore(tmp_path / "core.db") as core:
        with (
            running(core) as server,
            socket.create_connection(("127.0.0.1", int(server.server_address[1])), timeout=10) as connection,
        ):
            connection.sendall(head + b'{"role":')
            deadline = time.monotonic() + 10
            while not server.is_serving and time.monotonic() < deadline:
                time.sleep(0.005)
            server.stop()
            with contextlib.suppress(OSError):
                connection.sendall(b' "r"}')
                assert connection.recv(1000) == b""
        with client_of(core) as client:
            assert client.call("GET", "/recipe/roles")["roles"] == []


# Addresses


def test_an_ipv6_address_is_written_in_brackets() -> None:
    with EmbeddedCore(":memory:") as core:
        try:
            server = CoreServer(core, "::1", 0)
        except OSError:
            pytest.skip("this machine has no ::1")
        with server:
            assert server.url == f"http://[::1]:{server.server_address[1]}"
