"""Values of a process, calls that threads share, and ages that no clock can hide."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_stsession.concurrency import AgeClock, Flight, KeyedLocks, PerProcess, SingleFlight, TimeLimit
from flask_stsession.errors import CoreUnavailableError, UnauthorisedError


def test_a_value_is_made_once_at_first_need() -> None:
    made: list[int] = []
    value = PerProcess(lambda: made.append(1) or object())  # type: ignore[func-returns-value]
    assert made == []
    assert value.get() is value.get()
    assert made == [1]


def test_a_value_that_was_discarded_is_made_again() -> None:
    value = PerProcess(object)
    first = value.get()
    assert value.discard() is first
    assert value.discard() is None
    assert value.get() is not first


def test_threads_agree_on_one_value() -> None:
    together = threading.Barrier(8)

    def make() -> object:
        together.wait(10)
        return object()

    value = PerProcess(make)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(value.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(map(id, got))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_has_a_value_of_its_own_even_while_a_lock_is_held() -> None:
    value = PerProcess(threading.Lock)
    with value.get():
        pid = os.fork()
        if pid == 0:
            os._exit(0 if value.get().acquire(timeout=1) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# Calls in flight


class Gate:
    """A call that lasts until the test opens the gate."""

    def __init__(self, outcome: Callable[[], Any]) -> None:
        self.calls = 0
        self.began = threading.Event()
        self.open = threading.Event()
        self._outcome = outcome

    def __call__(self) -> Any:
        self.calls += 1
        self.began.set()
        assert self.open.wait(10)
        return self._outcome()


def _raise(error: BaseException) -> Any:
    raise error


def _all_at_once(shared: SingleFlight[Any], gate: Gate, count: int) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(shared.run, "key", gate) for _ in range(count)]
        threading.Timer(0.2, gate.open.set).start()
        return [future.exception(10) or future.result() for future in futures]


def test_threads_with_an_equal_key_share_one_call() -> None:
    gate = Gate(lambda: "tokens")

    answers = _all_at_once(SingleFlight("asking"), gate, 8)

    assert gate.calls == 1
    assert sorted(answers) == [("tokens", False)] * 7 + [("tokens", True)]


def test_each_thread_is_given_an_error_of_its_own() -> None:
    errors = _all_at_once(SingleFlight("asking"), Gate(lambda: _raise(UnauthorisedError("over"))), 4)

    assert [(type(error), str(error)) for error in errors] == [(UnauthorisedError, "over")] * 4
    assert len({id(error) for error in errors}) == 4


def test_waiting_for_a_thread_that_is_stopped_ends_as_an_outage() -> None:
    errors = _all_at_once(SingleFlight("asking"), Gate(lambda: _raise(SystemExit(1))), 3)

    assert sorted(type(error).__name__ for error in errors) == [
        "CoreUnavailableError",
        "CoreUnavailableError",
        "SystemExit",
    ]
    told = next(error for error in errors if isinstance(error, CoreUnavailableError))
    assert str(told) == "Another thread was asking, and was cut short."


def test_waiting_for_the_call_of_another_thread_may_be_limited() -> None:
    shared: SingleFlight[str] = SingleFlight("asking")
    gate = Gate(lambda: "keys")
    flight, _ = shared.start("key", gate)
    with pytest.raises(CoreUnavailableError) as caught:
        shared.run("key", gate, patience=0.01)
    assert str(caught.value) == "Another thread is asking, and has not ended within 0.01 s."
    gate.open.set()
    assert flight.wait()


def test_other_keys_and_later_calls_are_made_anew() -> None:
    shared: SingleFlight[int] = SingleFlight("asking")

    assert [shared.run(key, lambda: 1) for key in ("a", "b", "a")] == [(1, True)] * 3


def test_a_failed_call_is_not_remembered() -> None:
    shared: SingleFlight[int] = SingleFlight("asking")
    with pytest.raises(UnauthorisedError):
        shared.run("key", lambda: _raise(UnauthorisedError("over")))

    assert shared.run("key", lambda: 2) == (2, True)


@pytest.mark.parametrize("begin", ["run", "start"])
def test_a_child_process_does_not_wait_for_a_call_of_its_parent(
    monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    shared: SingleFlight[str] = SingleFlight("asking")
    gate = Gate(lambda: "of the parent")
    with ThreadPoolExecutor(1) as parent:
        parent.submit(getattr(shared, begin), "key", gate)
        assert gate.began.wait(10)
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            assert shared.run("key", lambda: "its own") == ("its own", True)
            flight, started = shared.start("key", lambda: "its own")
            assert (flight.wait(10), flight.result, started) == (True, "its own", True)
        gate.open.set()


def test_a_call_in_the_background_does_not_keep_a_process_from_ending() -> None:
    shared: SingleFlight[str] = SingleFlight("asking for ever")
    gate = Gate(lambda: "keys")
    flight, _ = shared.start("key", gate)
    (thread,) = (each for each in threading.enumerate() if each.name == "flask-stsession: asking for ever")
    assert thread.daemon
    gate.open.set()
    assert flight.wait(10)


def test_whoever_keeps_a_flight_finds_its_result_in_it() -> None:
    flight: Flight[str] = Flight()
    found: list[str] = []
    assert flight.make(lambda: "keys", lambda _: found.append(flight.result)) == "keys"
    assert found == ["keys"]


def test_later_callers_join_a_call_in_the_background() -> None:
    shared: SingleFlight[str] = SingleFlight("asking")
    gate = Gate(lambda: "keys")
    (first, started), (second, started_again) = shared.start("key", gate), shared.start("key", gate)
    assert (started, started_again) == (True, False)
    assert not first.wait(0)
    threading.Timer(0.1, gate.open.set).start()
    assert shared.run("key", gate) == ("keys", False)
    assert (first.result, second.result, gate.calls) == ("keys", "keys", 1)


def test_an_error_in_the_background_reaches_the_callers_that_wait() -> None:
    shared: SingleFlight[str] = SingleFlight("asking")
    flight, _ = shared.start("key", lambda: _raise(ZeroDivisionError()))
    assert flight.wait(10)
    assert isinstance(flight.error, ZeroDivisionError)
    assert shared.run("key", lambda: "next") == ("next", True)


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_process_that_can_start_no_thread_makes_the_call_in_the_current_one(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(self: threading.Thread) -> None:
        raise error

    shared: SingleFlight[str] = SingleFlight("asking")
    monkeypatch.setattr(threading.Thread, "start", full)
    flight, started = shared.start("key", lambda: "here")
    assert (flight.wait(0), flight.result, started) == (True, "here", True)


def test_a_caller_that_is_stopped_while_it_starts_a_thread_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared: SingleFlight[str] = SingleFlight("asking")
    joined: list[Flight[str]] = []

    def stopped(self: threading.Thread) -> None:
        joined.append(shared.start("key", lambda: "never")[0])
        raise SystemExit(1)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", stopped)
        with pytest.raises(SystemExit):
            shared.start("key", lambda: "never")
    assert [flight.wait(0) for flight in joined] == [True], "who joins is woken"
    assert isinstance(joined[0].error, SystemExit)
    assert shared.run("key", lambda: "next") == ("next", True)


# Locks by key


def test_threads_that_hold_one_key_take_turns_and_leave_nothing_behind() -> None:
    locks = KeyedLocks()
    inside: list[int] = []
    together: list[int] = []

    def write(number: int) -> None:
        with locks.hold("key"):
            inside.append(number)
            together.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
    assert set(together) == {1}
    assert locks._process.get().locks == {}


def test_threads_that_hold_different_keys_do_not_wait_for_each_other() -> None:
    locks = KeyedLocks()
    with locks.hold("one"):
        done = threading.Event()

        def write() -> None:
            with locks.hold("other"):
                done.set()

        thread = threading.Thread(target=write)
        thread.start()
        assert done.wait(30)
        thread.join()


def test_an_error_frees_the_lock() -> None:
    locks = KeyedLocks()
    with pytest.raises(ValueError, match="no"), locks.hold("key"):
        raise ValueError("no")
    with locks.hold("key"):
        pass


def test_a_child_process_does_not_inherit_a_held_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    locks = KeyedLocks()
    with locks.hold("key"), monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        with locks.hold("key"):
            pass


# Time limits


def test_there_is_no_limit_until_one_is_set() -> None:
    limit = TimeLimit()
    assert limit.left() == math.inf
    limit.set(2.5)
    assert 0 < limit.left() <= 2.5
    limit.set(-1)
    assert limit.left() <= -1


def test_a_limit_may_be_that_of_a_block() -> None:
    limit = TimeLimit()
    limit.set(600)
    with limit.within(60):
        assert 0 < limit.left() <= 60
    assert 60 < limit.left() <= 600


def test_a_shared_call_in_the_background_is_not_bound_by_the_limit_of_the_caller() -> None:
    limit, shared = TimeLimit(), SingleFlight[float]("asking")
    limit.set(60)
    flight, _ = shared.start("key", limit.left)
    assert flight.wait(10)
    assert flight.result == math.inf


# Ages


class TwoClocks:
    """The two clocks of a host, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic, self.wall = 100.0, 1_800_000_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(time, "time", lambda: self.wall)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> TwoClocks:
    return TwoClocks(monkeypatch)


@pytest.mark.parametrize(
    ("monotonic", "wall", "age"), [(60, 60, 60), (60, -3600, 60), (0, 7200, 7200), (5, 7200, 7200), (0, 0, 0)]
)
def test_an_age_is_the_larger_of_what_the_two_clocks_say(
    host: TwoClocks, monotonic: float, wall: float, age: float
) -> None:
    clock = AgeClock()
    since = clock()
    host.monotonic += monotonic
    host.wall += wall
    assert clock() - since == age


def test_a_clock_that_was_set_back_still_shows_that_a_process_was_frozen(host: TwoClocks) -> None:
    clock = AgeClock()
    since = clock()
    host.wall -= 3600
    assert clock() - since == 0
    host.wall += 600  # frozen: the monotonic clock stood still
    assert clock() - since == 600


def test_a_thread_that_is_interrupted_between_the_two_clocks_makes_nothing_older(host: TwoClocks) -> None:
    clock = AgeClock()
    since = clock()
    for late in (0.09, 0.0, 0.05, 0.0) * 100:
        host.monotonic += 1
        host.wall = 1_800_000_000.0 + host.monotonic - 100.0 + late
        clock()
    assert clock() - since == 400
