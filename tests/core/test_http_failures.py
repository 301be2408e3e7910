"""The transport when things fail: which host is asked next, for how long, and how it is told."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.scripted_core import FakeClock, ScriptedCore, close, drip, hang, refusing, reply, reset, say

from flask_stsession.core.http import CoreRequest, CoreTransport
from flask_stsession.errors import CoreUnavailableError, Reason, STSessionError

from .conftest import MakeTransport

ASK = CoreRequest("GET", "/recipe/roles", repeatable=True)
ACT = CoreRequest("POST", "/recipe/session", content=b'{"secret": "sent"}')
API_KEY = "an-api-key-of-27-characters"
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImQtMSJ9." + "x" * 300 + "." + "y" * 342

MakeCore = Callable[[], ScriptedCore]


def refusal(transport: CoreTransport, request: CoreRequest = ASK) -> str:
    """What is raised when the request is sent."""
    with pytest.raises(STSessionError) as caught:
        transport.send(request).json_object()
    return str(caught.value)


# Failures, one host


def test_a_refused_connection_is_told_at_once(make_transport: MakeTransport, clock: FakeClock) -> None:
    with refusing() as dead:
        assert refusal(make_transport(hosts=[dead]), ACT) == (
            f"The core did not answer POST /recipe/session. {dead}: connection refused. Check "
            "STSESSION_CONNECTION_URI, and that the core runs."
        )
    assert clock.slept == []


def test_a_host_without_address_is_told_as_such(make_transport: MakeTransport) -> None:
    message = refusal(make_transport(hosts=["http://core.invalid:3567"]))
    assert message.startswith(
        "The core did not answer GET /recipe/roles. http://core.invalid:3567: the name of the host is not "
        "known."
    )


def test_no_answer_in_time_names_the_setting(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(hang)
    assert refusal(make_transport(timeout=(0.5, 0.05)), ACT) == (
        f"The core did not answer POST /recipe/session. {core.url}: no whole answer within 0.05 s. "
        "STSESSION_CORE_TIMEOUT_SECONDS sets how long (connect, read) we wait. The request may have been "
        "executed, "
        "so it was not sent again."
    )


def test_an_answer_in_drops_is_as_late_as_none(core: ScriptedCore, make_core: MakeCore) -> None:
    core.will(drip)
    transport = CoreTransport(hosts=[core.url], timeout=(0.5, 0.1))
    try:
        assert "no whole answer within 0.1 s" in refusal(transport, ACT)
    finally:
        transport.close()


def test_a_reset_connection_is_told(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(reset)
    assert refusal(make_transport(), ACT) == (
        f"The core did not answer POST /recipe/session. {core.url}: the connection was cut before there was "
        "a whole "
        "answer. Check STSESSION_CONNECTION_URI, and that the core runs. The request may have been executed, "
        "so "
        "it was not sent again."
    )


def test_an_error_of_the_core_is_told_with_its_words(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reply(raw=b"Internal Error", status=500), reply(raw=b"", status=502))
    assert refusal(make_transport()) == (
        f"The core did not answer GET /recipe/roles. {core.url}: status 500 (Internal Error); {core.url}: "
        "status 502. "
        "The core's log should say why."
    )


def test_the_same_host_is_asked_once_more_after_a_pause(
    core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    core.will(close, close, close)
    refusal(make_transport())
    assert len(core.received) == 2
    assert clock.slept == [0.05]


def test_errors_of_other_libraries_are_the_cause_and_never_the_error(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reset)
    with pytest.raises(CoreUnavailableError) as caught:
        make_transport().send(ACT)
    assert isinstance(caught.value.__cause__, requests.RequestException)


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize("recovers", [True, False])
def test_a_failure_leaves_no_socket_to_the_garbage_collector(
    repeatable: bool, recovers: bool, core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.answers[""] = say(b"HTTP/1.1 200 OK\r\nContent-Length: 1,2\r\n\r\n")
    core.will(core.answers[""], *([reply({})] if recovers else []))
    transport = make_transport()
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(CoreUnavailableError):
            transport.send(ASK if repeatable else ACT)
        transport.close()
        core.wait_until_closed()
        ours = [thing for thing in gc.get_objects() if isinstance(thing, socket.socket)]
        assert len([sock for sock in ours if sock.fileno() != -1]) == 1  # the server's, which listens
    finally:
        gc.enable()


class _Raising(BaseAdapter):
    """An adapter on which everything fails in one way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.asked += 1
        raise self.error

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (requests.ConnectTimeout(), "no connection within 2 s"),
        (requests.ReadTimeout(), "no whole answer within 10 s"),
        (
            requests.exceptions.SSLError(ssl.SSLError("wrong version number")),
            "the TLS connection failed",
        ),
        (
            requests.exceptions.ChunkedEncodingError(),
            "the connection was cut before there was a whole answer",
        ),
        (
            requests.exceptions.ContentDecodingError(),
            "the connection was cut before there was a whole answer",
        ),
        (requests.exceptions.ProxyError(), "the connection was cut before there was a whole answer"),
    ],
)
def test_every_error_of_requests_becomes_an_outage(
    error: Exception, told: str, make_transport: MakeTransport
) -> None:
    adapter = _Raising(error)
    message = refusal(make_transport(hosts=["http://core"], adapter=adapter))
    assert message.startswith(f"The core did not answer GET /recipe/roles. http://core: {told}.")
    assert adapter.asked == (1 if isinstance(error, requests.ConnectTimeout) else 2)


def test_a_certificate_that_is_not_trusted_is_told_and_nothing_was_sent(
    make_transport: MakeTransport,
) -> None:
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_message = "self-signed certificate"
    adapter = _Raising(requests.exceptions.SSLError(problem))
    assert refusal(make_transport(hosts=["https://core"], adapter=adapter), ACT) == (
        "The core did not answer POST /recipe/session. https://core: its certificate is not trusted "
        "(self-signed "
        "certificate). REQUESTS_CA_BUNDLE names a file with further authorities."
    )


def test_authorities_of_ones_own_come_from_the_environment(
    make_transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem")
    seen: list[Any] = []

    class Looking(_Raising):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            seen.append(kwargs["verify"])
            return super().send(*args, **kwargs)

    refusal(make_transport(hosts=["https://core"], adapter=Looking(requests.ConnectTimeout())))
    assert seen == ["/nowhere/authorities.pem"]


# Several hosts


def test_a_dead_host_is_tried_after_the_others_for_a_while(
    core: ScriptedCore, make_core: MakeCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    second = make_core()
    transport = make_transport(hosts=[core.url, second.url])
    core.will(reply({}, status=503))
    transport.send(ASK)
    assert (len(core.received), len(second.received)) == (1, 1)
    clock.now += 9.9
    transport.send(ACT)
    assert (len(core.received), len(second.received)) == (1, 2)
    clock.now += 0.2
    transport.send(ACT)
    assert (len(core.received), len(second.received)) == (2, 2)


def test_a_host_that_is_avoided_is_still_asked_when_the_others_fail(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    with refusing() as dead:
        transport = make_transport(hosts=[core.url, dead])
        core.will(reply({}, status=500))
        transport.send(ASK)
        transport.send(ACT)
        assert len(core.received) == 3


def test_hosts_that_are_skipped_are_logged(
    core: ScriptedCore, make_transport: MakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    with refusing() as dead:
        make_transport(hosts=[dead.replace("//", "//me:hidden@"), core.url]).send(ASK)
    records = [record for record in caplog.records if record.name.startswith("flask_stsession")]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("WARNING", f"{dead}: connection refused. Other hosts are tried before it for 10 s.")
    ]


def test_all_that_happened_is_told_host_by_host(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(reply(raw=b"", status=500), reset)
    with refusing() as dead:
        assert refusal(make_transport(hosts=[dead, core.url])) == (
            f"The core did not answer GET /recipe/roles. {dead}: connection refused; {core.url}: status 500; "
            f"{core.url}: "
            "the connection was cut before there was a whole answer. Check STSESSION_CONNECTION_URI, and "
            "that the "
            "core runs. The core's log should say why."
        )


# Too often


def test_a_core_that_says_too_often_is_asked_again_after_longer_and_longer_pauses(
    core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    core.always({})
    core.answers[""] = reply({}, status=429)
    with pytest.raises(CoreUnavailableError) as caught:
        make_transport().send(ACT)
    assert str(caught.value) == (
        f"The core at {core.url} limits how often it is asked: POST /recipe/session was answered with 429 (6 "
        "times). "
        "Ask it less often, or raise its limit."
    )
    assert caught.value.reason is Reason.CORE_RATE_LIMITED
    for pause, longest in zip(clock.slept, (0.1, 0.2, 0.4, 0.8, 1.6), strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("2", 2.0, 2.0),
        ("3600", 5.0, 5.0),
        ("0", 0.05, 0.1),
        ("-1", 0.05, 0.1),
        ("soon", 0.05, 0.1),
        ("²", 0.05, 0.1),
    ],
)
def test_the_pause_that_the_core_asks_for_is_kept_up_to_a_limit(
    told: str, least: float, most: float, core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    core.will(reply({}, status=429, headers={"Retry-After": told.encode().decode("latin-1")}))
    make_transport().send(ACT)
    assert len(clock.slept) == 1
    assert least <= clock.slept[0] <= most


# Time


def test_all_attempts_together_stay_under_twice_the_read_timeout(
    core: ScriptedCore, make_core: MakeCore, make_transport: MakeTransport
) -> None:
    clock = FakeClock()
    timeouts: list[tuple[float, float]] = []

    class Slow(BaseAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            timeouts.append(kwargs["timeout"])
            clock.now += sum(kwargs["timeout"])
            raise requests.ReadTimeout

        def close(self) -> None:
            pass

    for timeout in ((2.0, 10.0), (5.0, 1.0), (0.1, 30.0)):
        started = clock.now
        hosts = [f"http://host-{number}" for number in range(9)]
        refusal(make_transport(hosts=hosts, timeout=timeout, adapter=Slow(), clock=clock, sleep=clock.sleep))
        assert timeout[1] < clock.now - started < 2 * timeout[1]
    assert timeouts[0] == (2.0, 10.0)


def test_waiting_for_a_limit_ends_with_the_time_that_is_left(
    core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    core.answers[""] = reply({}, status=429, headers={"Retry-After": "5"})
    with pytest.raises(CoreUnavailableError):
        make_transport(timeout=(1.0, 3.0)).send(ACT)
    assert sum(clock.slept) < 6
