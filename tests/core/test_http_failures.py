"""The transport when requests fail: which host is tried next, for how long, and what is reported."""

from __future__ import annotations

import contextlib
import gc
import gzip
import socket
import ssl
from typing import Any

import pytest
import requests
import responses
from requests.adapters import BaseAdapter
from support.scripted_core import (
    FakeClock,
    Link,
    ScriptedCore,
    close,
    drip,
    hang,
    refusing,
    reply,
    reset,
    say,
)

from flask_stsession.core.hooks import CoreHooks
from flask_stsession.core.http import CoreTransport
from flask_stsession.errors import CoreUnavailableError, Reason

from .conftest import ACT, ASK, MakeCore, MakeTransport, refusal

# Failures, one host


def test_a_refused_connection_is_reported_at_once(make_transport: MakeTransport, clock: FakeClock) -> None:
    with refusing() as dead:
        assert refusal(make_transport(hosts=[dead]), ACT) == (
            f"The core did not answer POST /recipe/session. {dead}: connection refused. Check "
            "STSESSION_CONNECTION_URI, and that the core runs."
        )
    assert clock.slept == []


def test_a_host_without_address_is_reported_as_such(make_transport: MakeTransport) -> None:
    message = refusal(make_transport(hosts=["http://core.invalid:3567"]))
    assert message.startswith(
        "The core did not answer GET /recipe/roles. http://core.invalid:3567: the name of the host is not "
        "known."
    )


def test_a_read_timeout_names_the_setting(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(hang)
    assert refusal(make_transport(timeout=(0.5, 0.05)), ACT) == (
        f"The core did not answer POST /recipe/session. {core.url}: no whole response within 0.05 s. "
        "STSESSION_CORE_TIMEOUT_SECONDS sets how long (connect, read) we wait. The request may have been "
        "executed, "
        "so it was not sent again."
    )


def test_a_response_that_trickles_in_times_out_as_well(core: ScriptedCore, make_core: MakeCore) -> None:
    core.will(drip)
    transport = CoreTransport(hosts=[core.url], timeout=(0.5, 0.1))
    try:
        assert "no whole response within 0.1 s" in refusal(transport, ACT)
    finally:
        transport.close()


def test_a_reset_connection_is_reported(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(reset)
    assert refusal(make_transport(), ACT) == (
        f"The core did not answer POST /recipe/session. {core.url}: the connection was cut before there was "
        "a whole response. Check STSESSION_CONNECTION_URI, and that the core runs. The request may have been "
        "executed, so it was not sent again."
    )


def test_an_error_of_the_core_is_reported_with_its_message(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reply(raw=b"Internal Error", status=500), reply(raw=b"", status=502))
    assert refusal(make_transport()) == (
        f"The core did not answer GET /recipe/roles. {core.url}: status 500 ('Internal Error'); {core.url}: "
        "status 502. "
        "The core's log should say why."
    )


def test_the_same_host_is_tried_once_more_after_a_pause(
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


def open_sockets() -> list[socket.socket]:
    """Return the open sockets of this process that some object still refers to."""
    sockets = [thing for thing in gc.get_objects() if isinstance(thing, socket.socket)]
    return [sock for sock in sockets if sock.fileno() != -1]


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
    before = open_sockets()  # the server's, which listens, and what other tests have left to their apps
    try:
        with contextlib.suppress(CoreUnavailableError):
            transport.send(ASK if repeatable else ACT)
        transport.close()
        core.wait_until_closed()
        assert [sock for sock in open_sockets() if sock not in before] == []
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
        (requests.ReadTimeout(), "no whole response within 10 s"),
        (
            requests.exceptions.SSLError(ssl.SSLError("wrong version number")),
            "the TLS connection failed",
        ),
        (
            requests.exceptions.ChunkedEncodingError(),
            "the connection was cut before there was a whole response",
        ),
        (
            requests.exceptions.ContentDecodingError(),
            "the connection was cut before there was a whole response",
        ),
        (requests.exceptions.ProxyError(), "the proxy on the way to it does not connect us"),
    ],
)
def test_every_error_of_requests_becomes_an_outage(
    error: Exception, told: str, make_transport: MakeTransport
) -> None:
    adapter = _Raising(error)
    message = refusal(make_transport(hosts=["http://core"], adapter=adapter))
    assert message.startswith(f"The core did not answer GET /recipe/roles. http://core: {told}.")
    once = (requests.Timeout, requests.exceptions.ProxyError)
    assert adapter.asked == (1 if isinstance(error, once) else 2)


def test_an_untrusted_certificate_is_reported_and_nothing_is_sent(
    make_transport: MakeTransport,
) -> None:
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_message = "self-signed certificate"
    adapter = _Raising(requests.exceptions.SSLError(problem))
    assert refusal(make_transport(hosts=["https://core"], adapter=adapter), ACT) == (
        "The core did not answer POST /recipe/session. https://core: its certificate is not trusted "
        "(self-signed "
        "certificate). Name a file with its authority in STSESSION_CORE_TLS."
    )


def test_custom_certificate_authorities_come_from_the_environment(
    make_transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem")
    with responses.RequestsMock() as mocker:
        mocker.get("https://core/recipe/roles", json={})
        make_transport(hosts=["https://core"]).send(ASK)
        options: Any = mocker.calls[0].request
    assert options.req_kwargs["verify"] == "/nowhere/authorities.pem"


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


def test_a_host_that_is_avoided_is_still_tried_when_the_others_fail(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    with refusing() as dead:
        transport = make_transport(hosts=[core.url, dead])
        core.will(reply({}, status=500))
        transport.send(ASK)
        transport.send(ACT)
        assert len(core.received) == 3


def test_a_host_that_responds_again_is_preferred_at_once(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock)
    transport = make_transport(hosts=["http://a", "http://b"], timeout=(0.1, 1.0), adapter=hosts)
    hosts.statuses["a"] = 500
    transport.send(ASK)
    hosts.statuses["a"] = 200
    hosts.hanging.add("b")
    transport.send(ASK)
    hosts.hanging.clear()
    clock.now += 2.1
    transport.send(ASK)
    assert hosts.asked == ["a", "b", "b", "a", "a"]


def test_hosts_that_are_skipped_are_logged(
    core: ScriptedCore, make_transport: MakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    with refusing() as dead:
        make_transport(hosts=[dead.replace("//", "//me:hidden@"), core.url]).send(ASK)
    records = [record for record in caplog.records if record.name.startswith("flask_stsession")]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("WARNING", f"{dead}: connection refused. For 10 s it is tried only after the other hosts.")
    ]


def test_all_failures_are_reported_host_by_host(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(reply(raw=b"", status=500), reset)
    with refusing() as dead:
        assert refusal(make_transport(hosts=[dead, core.url])) == (
            f"The core did not answer GET /recipe/roles. {dead}: connection refused; {core.url}: status 500; "
            f"{core.url}: "
            "the connection was cut before there was a whole response. Check STSESSION_CONNECTION_URI, and "
            "that the "
            "core runs. The core's log should say why."
        )


# Rate limits


def test_429_is_retried_after_longer_and_longer_pauses(
    core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    core.always({})
    core.answers[""] = reply({}, status=429)
    with pytest.raises(CoreUnavailableError) as caught:
        make_transport().send(ACT)
    assert str(caught.value) == (
        f"The core at {core.url} limits the rate of requests: POST /recipe/session returned 429 (6 times). "
        "Send fewer requests, or raise the core's limit."
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


@pytest.mark.parametrize(
    ("left", "timeouts"),
    [
        (30.0, (5.0, 10.0)),
        (13.0, (3.0, 10.0)),
        (12.0, (2.4, 9.6)),
        (1.0, (0.2, 0.8)),
    ],
)
def test_a_short_time_leaves_the_connection_a_fifth_or_what_the_response_does_not_need(
    left: float, timeouts: tuple[float, float], make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock)
    transport = make_transport(
        hosts=["http://core"], timeout=(5.0, 10.0), adapter=hosts, time_left=lambda: left
    )
    transport.send(ASK)
    assert hosts.timeouts == [pytest.approx(timeouts)]


def test_waiting_for_a_limit_ends_with_the_time_that_is_left(
    core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    core.answers[""] = reply({}, status=429, headers={"Retry-After": "5"})
    with pytest.raises(CoreUnavailableError):
        make_transport(timeout=(1.0, 3.0)).send(ACT)
    assert sum(clock.slept) < 6


# Hosts that hang


class Hosts(BaseAdapter):
    """Hosts by name, of which some hang; a request to one of those takes the whole time-out."""

    def __init__(self, clock: FakeClock, *hanging: str) -> None:
        super().__init__()
        self.clock = clock
        self.hanging = set(hanging)
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []
        self.timeouts: list[tuple[float, float]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        host = str(request.url).split("/")[2]
        self.asked.append(host)
        self.timeouts.append(kwargs["timeout"])
        if host in self.hanging:
            self.clock.now += kwargs["timeout"][1]
            raise requests.ReadTimeout
        response = requests.Response()
        response.status_code, response._content = self.statuses.get(host, 200), b"{}"
        return response

    def close(self) -> None:
        pass


def test_a_host_that_hangs_makes_one_request_wait_and_the_others_fail_at_once(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock, "core")
    transport = make_transport(hosts=["http://core"], adapter=hosts)
    refusal(transport)
    started = clock.now
    for request in (ASK, ACT) * 10:
        assert refusal(transport, request) == (
            f"The core did not answer {request.method} {request.path}. http://core: skipped, since it "
            "timed out before (next try in 2.0 s). STSESSION_CORE_TIMEOUT_SECONDS sets how long (connect, "
            "read) we wait."
        )
    assert (hosts.asked, clock.now) == (["core"], started)


def test_a_host_that_keeps_hanging_is_probed_after_longer_and_longer_pauses(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock, "core")
    transport = make_transport(hosts=["http://core"], adapter=hosts)
    pauses: list[float] = []
    failed_at = clock.now
    while len(pauses) < 6:
        before = len(hosts.asked)
        refusal(transport, ACT)
        if len(hosts.asked) > before:
            pauses.append(round(clock.now - 10 - failed_at, 1))
            failed_at = clock.now
        clock.now += 0.1
    assert pauses == pytest.approx([0, 2, 4, 8, 16, 30], abs=0.21)


def test_a_host_that_is_back_gets_all_requests_again(
    make_transport: MakeTransport, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="flask_stsession.core")
    hosts = Hosts(clock, "core")
    transport = make_transport(hosts=["http://core"], adapter=hosts)
    refusal(transport)
    hosts.hanging.clear()
    clock.now += 2
    for _ in range(3):
        transport.send(ACT)
    assert len(hosts.asked) == 4
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            "http://core: no whole response within 10 s. No requests are sent to it for 2 s; then one "
            "probes whether it is back.",
        ),
        ("INFO", "The core at http://core responds again."),
    ]


@pytest.mark.parametrize("others", [[], ["http://second"]])
@pytest.mark.parametrize("status", [302, 400, 401, 404, 429])
def test_a_host_that_refuses_a_probe_is_back(
    make_transport: MakeTransport,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    others: list[str],
    status: int,
) -> None:
    caplog.set_level("INFO", logger="flask_stsession.core")
    hosts = Hosts(clock, "core", "second")
    transport = make_transport(hosts=["http://core", *others], adapter=hosts)
    refusal(transport)
    hosts.hanging.clear()
    hosts.statuses["core"] = status
    clock.now += 30
    refusal(transport)
    assert caplog.messages[-1] == "The core at http://core responds again."
    del hosts.statuses["core"], hosts.asked[:]
    for _ in range(3):
        transport.send(ACT)
    assert hosts.asked == ["core"] * 3


@pytest.mark.parametrize("others", [[], ["http://second"]])
def test_a_probe_that_a_hook_stops_is_left_to_the_next_request(
    make_transport: MakeTransport, clock: FakeClock, others: list[str]
) -> None:
    def fail(request: requests.PreparedRequest) -> None:
        raise ZeroDivisionError

    hooks, hosts = CoreHooks(), Hosts(clock, "core")
    transport = make_transport(hosts=["http://core", *others], adapter=hosts, hooks=hooks)
    hosts.hanging.add("second")
    refusal(transport)
    hooks.before.append(fail)
    clock.now += 30
    with pytest.raises(ZeroDivisionError):
        transport.send(ASK)
    hosts.hanging.clear()
    del hooks.before[:], hosts.asked[:]
    transport.send(ASK)
    assert hosts.asked == ["core"]


def test_with_two_hosts_of_which_one_hangs_one_request_per_probe_waits(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock, "first")
    transport = make_transport(hosts=["http://first", "http://second"], adapter=hosts)
    waited = 0
    for _ in range(600):
        before = clock.now
        transport.send(ASK)
        waited += clock.now > before
        clock.now += 0.1
    assert waited == hosts.asked.count("first") <= 5
    assert hosts.asked.count("second") == 600


def test_a_call_that_must_not_be_repeated_is_never_a_probe_while_another_host_responds(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock, "first")
    transport = make_transport(hosts=["http://first", "http://second"], adapter=hosts)
    transport.send(ASK)
    for _ in range(100):
        transport.send(ACT)
        clock.now += 1
    assert hosts.asked.count("first") == 1


def test_all_hosts_that_hang_are_named(make_transport: MakeTransport, clock: FakeClock) -> None:
    hosts = Hosts(clock, "first", "second")
    transport = make_transport(hosts=["http://first", "http://second"], adapter=hosts, timeout=(0.1, 1))
    refusal(transport)
    assert refusal(transport).startswith(
        "The core did not answer GET /recipe/roles. http://first: skipped, since it timed out before "
        "(next try in 1.2 s); http://second: skipped, since it timed out before (next try in 2.0 s)."
    )


def test_a_host_for_which_the_others_left_little_time_does_not_count_as_hanging(
    make_transport: MakeTransport, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = Hosts(clock, "first", "second", "third")
    refusal(make_transport(hosts=["http://first", "http://second", "http://third"], adapter=hosts))
    then = "No requests are sent to it for 2 s; then one probes whether it is back."
    assert caplog.messages == [
        f"http://first: no whole response within 10 s. {then}",
        f"http://second: no whole response within 7.2 s. {then}",
        "http://third: no whole response within 1.44 s. For 10 s it is tried only after the other hosts.",
    ]


# Responses that are too large


def endless(link: Link) -> None:
    """Send without end."""
    link.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while not link.stopping.is_set():
        link.send(b"x" * 65536)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_response_over_the_limit_is_not_read_to_its_end(
    status: int, core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reply(raw=b" " * 2001, status=status))
    assert refusal(make_transport(max_response_bytes=2000), ACT) == (
        f"The core did not answer POST /recipe/session. {core.url}: a response of more than 2000 bytes. "
        "STSESSION_CORE_MAX_RESPONSE_BYTES limits the size of responses. The request may have been executed, "
        "so it was not sent again."
    )


def test_a_response_of_just_the_limit_is_read_and_the_connection_kept(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.always({})
    core.will(reply(raw=b'{"a":"' + b"x" * 1992 + b'"}'))
    transport = make_transport(max_response_bytes=2000)
    assert len(transport.send(ACT).body["a"]) == 1992
    transport.send(ACT)
    assert core.connections == 1


def test_a_response_without_end_is_given_up(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(endless)
    assert "a response of more than 100000 bytes" in refusal(make_transport(max_response_bytes=100_000), ACT)


def test_chunks_count_without_their_frames(core: ScriptedCore, make_transport: MakeTransport) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    core.will(say(head + b"1\r\n{\r\n" * 1 + b"1\r\n}\r\n0\r\n\r\n"))
    assert make_transport(max_response_bytes=2).send(ACT).body == {}


def test_a_small_response_that_would_be_decoded_to_a_large_one_is_not_decoded(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    core.will(reply(raw=bomb, headers={"Content-Encoding": "gzip"}))
    assert refusal(make_transport(), ACT) == (
        f"The core did not answer POST /recipe/session. {core.url}: a response with the content encoding "
        "'gzip'. A proxy in between must not compress responses: we do not ask for it. The request may have "
        "been executed, so it was not sent again."
    )
    assert core.received[0].headers["accept-encoding"] == "identity"


# A caller whose time is limited


def test_a_caller_with_little_time_left_waits_no_longer_than_that(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(hang)
    assert refusal(make_transport(timeout=(5, 30), time_left=lambda: 0.2)) == (
        f"The core did not answer GET /recipe/roles. {core.url}: no whole response within 0.16 s. No more "
        "time was left: earlier calls took long, or the function's time limit is short."
    )


def test_a_host_that_had_little_time_to_respond_does_not_count_as_hanging(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    left = [0.2]
    hosts = Hosts(clock, "core")
    transport = make_transport(
        hosts=["http://core"], timeout=(1, 3), adapter=hosts, time_left=lambda: left[0]
    )
    refusal(transport)
    left[0] = 30.0
    message = refusal(transport)
    assert "no whole response within 3 s. STSESSION_CORE_TIMEOUT_SECONDS sets" in message, "asked again"
    clock.now += 2
    left[0] = 0.2
    assert "no whole response within 0.16 s" in refusal(transport), "a probe, which shows nothing either"
    hosts.hanging.clear()
    transport.send(ASK)


def test_a_caller_with_little_time_first_asks_hosts_that_have_not_timed_out(
    make_transport: MakeTransport, clock: FakeClock
) -> None:
    hosts = Hosts(clock, "first")
    transport = make_transport(
        hosts=["http://first", "http://second"], timeout=(1, 3), adapter=hosts, time_left=lambda: 1.0
    )
    for _ in range(2):
        transport.send(ASK)
    assert hosts.asked == ["first", "second", "second"]


def test_a_caller_whose_time_is_over_sends_nothing(core: ScriptedCore, make_transport: MakeTransport) -> None:
    assert refusal(make_transport(time_left=lambda: 0.0)) == (
        "GET /recipe/roles was not sent to the core, because the time in which it had to respond is over. "
        "Earlier calls took long, or the time limit is short."
    )
    assert core.requests == []


def test_a_caller_with_much_time_is_bound_by_the_timeouts(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(hang)
    message = refusal(make_transport(timeout=(0.5, 0.05), time_left=lambda: 60.0), ACT)
    assert "no whole response within 0.05 s" in message
