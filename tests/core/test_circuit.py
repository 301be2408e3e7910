"""The circuit of one host: which requests are sent while it hangs, and when it counts as back."""

from __future__ import annotations

import os
import threading

import pytest
from support.scripted_core import FakeClock

from flask_stsession.core.circuit import Circuit


@pytest.fixture
def circuit(clock: FakeClock) -> Circuit:
    """Return a circuit whose probes take 12 s at most."""
    return Circuit(clock=clock, probe_seconds=12)


def hang(circuit: Circuit, clock: FakeClock) -> float | None:
    """Send a request that times out after 10 s."""
    sent_at = clock.now
    assert circuit.admits()
    clock.now += 10
    return circuit.timed_out(sent_at)


def test_all_requests_are_sent_until_one_times_out(circuit: Circuit, clock: FakeClock) -> None:
    assert all(circuit.admits() for _ in range(100))
    assert not circuit.came_back()
    clock.now += 1
    assert hang(circuit, clock) == 2
    assert circuit.opened is not None
    assert not circuit.admits()
    assert circuit.pause_left == 2


def test_of_many_requests_after_the_pause_one_is_the_probe(circuit: Circuit, clock: FakeClock) -> None:
    hang(circuit, clock)
    clock.now += 2
    assert [circuit.admits() for _ in range(5)] == [True, False, False, False, False]


def test_of_many_threads_one_makes_the_probe(circuit: Circuit, clock: FakeClock) -> None:
    hang(circuit, clock)
    clock.now += 2
    together, sent = threading.Barrier(16), []

    def ask() -> None:
        together.wait(10)
        if circuit.admits():
            sent.append(1)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sent == [1]


def test_a_probe_that_comes_back_closes_the_circuit_and_shortens_the_next_pause(
    circuit: Circuit, clock: FakeClock
) -> None:
    hang(circuit, clock)
    clock.now += 2
    assert hang(circuit, clock) == 4
    clock.now += 4
    assert circuit.admits()
    assert circuit.came_back()
    assert circuit.opened is None
    assert circuit.pause_left == 0
    clock.now += 1
    assert hang(circuit, clock) == 2


def test_a_probe_that_never_ends_is_followed_by_another(circuit: Circuit, clock: FakeClock) -> None:
    """Its thread may have been killed, or may not exist in this fork."""
    hang(circuit, clock)
    clock.now += 2
    assert circuit.admits()
    clock.now += 11.9
    assert not circuit.admits()
    clock.now += 0.1
    assert circuit.admits()


def test_a_probe_that_shows_nothing_is_given_back_and_the_next_request_is_the_probe(
    circuit: Circuit, clock: FakeClock
) -> None:
    hang(circuit, clock)
    circuit.give_back()
    assert circuit.pause_left == 2, "there was no probe"
    clock.now += 2
    assert circuit.admits()
    circuit.give_back()
    assert [circuit.admits(), circuit.admits()] == [True, False]
    clock.now += 10
    assert circuit.timed_out(clock.now - 10) == 4, "the pauses go on as before"


def test_no_thread_gives_back_the_probe_of_another(circuit: Circuit, clock: FakeClock) -> None:
    hang(circuit, clock)
    clock.now += 2
    assert circuit.admits()
    other = threading.Thread(target=circuit.give_back)
    other.start()
    other.join(10)
    assert not circuit.admits()


def test_one_slow_request_among_others_that_come_back_opens_nothing(
    circuit: Circuit, clock: FakeClock
) -> None:
    sent_at = clock.now
    clock.now += 5
    circuit.came_back()
    clock.now += 5
    assert circuit.timed_out(sent_at) is None
    assert circuit.opened is None


def test_requests_that_were_waiting_already_do_not_lengthen_the_pause(
    circuit: Circuit, clock: FakeClock
) -> None:
    sent_at = [clock.now, clock.now + 0.5]
    clock.now += 10
    assert circuit.timed_out(sent_at[0]) == 2
    clock.now += 0.5
    assert circuit.timed_out(sent_at[1]) is None
    assert circuit.pause_left == 1.5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_knows_that_the_host_hangs_and_can_probe_it(circuit: Circuit, clock: FakeClock) -> None:
    hang(circuit, clock)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            first = circuit.admits()
            clock.now += 2
            status = 0 if (first, circuit.admits()) == (False, True) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not circuit.admits()
