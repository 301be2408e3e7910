"""Results that are cached for a few seconds, and calls that are shared while in flight."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_stsession.sessions.outcomes import RecentOutcomes


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Calls:
    """Calls that count, each with a result of its own."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"session:{self.count}"


def handle_of(result: str) -> str:
    return result.partition(":")[0]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outcomes(clock: Clock) -> RecentOutcomes[str]:
    return RecentOutcomes("asking", handle_of=handle_of, seconds=10, size=3, timer=clock)


@pytest.fixture
def call() -> Calls:
    return Calls()


def test_a_result_is_cached_for_a_while(outcomes: RecentOutcomes[str], clock: Clock, call: Calls) -> None:
    assert outcomes.run("key", call) == ("session:1", True)
    clock.now += 10
    assert outcomes.run("key", call) == ("session:1", False)
    clock.now += 0.001
    assert outcomes.run("key", call) == ("session:2", True)


def test_another_key_never_gets_the_result(outcomes: RecentOutcomes[str], call: Calls) -> None:
    outcomes.run(("digest", "anti-csrf"), call)
    assert outcomes.run(("digest", "other"), call) == ("session:2", True)


def test_the_core_is_asked_again_about_a_forgotten_session(
    outcomes: RecentOutcomes[str], call: Calls
) -> None:
    outcomes.run("key", call)
    assert outcomes.latest["session"].result == "session:1"
    outcomes.forget("session")
    outcomes.forget("unknown")
    assert "session" not in outcomes.latest
    assert outcomes.run("key", call) == ("session:2", True)


def test_only_the_latest_result_about_a_session_is_kept(outcomes: RecentOutcomes[str], call: Calls) -> None:
    outcomes.run("first", call)
    outcomes.run("second", call)
    assert outcomes.run("second", call) == ("session:2", False)
    assert outcomes.run("first", call) == ("session:3", True)


def test_the_oldest_results_make_room_and_old_ones_are_dropped(
    outcomes: RecentOutcomes[str], clock: Clock
) -> None:
    for name in "abcd":
        outcomes.run(name, lambda name=name: f"{name}:")  # type: ignore[misc]
    assert [name not in outcomes.latest for name in "abcd"] == [True, False, False, False]
    clock.now += 11
    outcomes.run("e", lambda: "e:")
    assert [name not in outcomes.latest for name in "bcde"] == [True, True, True, False]


def test_a_session_whose_result_was_replaced_counts_as_new(outcomes: RecentOutcomes[str]) -> None:
    for number, name in enumerate("abcad"):
        outcomes.run(number, lambda name=name: f"{name}:")  # type: ignore[misc]
    assert list(outcomes.latest) == ["c", "a", "d"]


def test_an_error_is_not_cached(outcomes: RecentOutcomes[str], call: Calls) -> None:
    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        outcomes.run("key", fail)
    assert outcomes.run("key", call) == ("session:1", True)


def test_a_result_is_not_shared_with_a_child_process(
    monkeypatch: pytest.MonkeyPatch, outcomes: RecentOutcomes[str], call: Calls
) -> None:
    outcomes.run("key", call)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert outcomes.run("key", call) == ("session:2", True)


def test_forgetting_an_old_result_does_not_end_a_later_call(
    outcomes: RecentOutcomes[str], clock: Clock, call: Calls
) -> None:
    outcomes.run("key", call)
    clock.now += 11
    began, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        assert go_on.wait(30)
        return call()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(outcomes.run, "key", slow)
        assert began.wait(30)
        outcomes.forget("session")
        second = pool.submit(outcomes.run, "key", call)
        go_on.set()
        assert [first.result(30), second.result(30)] == [("session:2", True), ("session:2", False)]


def test_a_result_is_kept_before_the_callers_that_wait_have_it(clock: Clock, call: Calls) -> None:
    began, returned = threading.Event(), threading.Event()

    def slow_handle_of(result: str) -> str:
        began.set()
        returned.wait(0.2)  # in vain: the other caller is still waiting
        return handle_of(result)

    outcomes: RecentOutcomes[str] = RecentOutcomes("asking", handle_of=slow_handle_of, timer=clock)

    def join_and_forget() -> tuple[str, bool]:
        result = outcomes.run("key", call)
        outcomes.forget("session")
        returned.set()
        return result

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(outcomes.run, "key", call)
        assert began.wait(30)
        second = pool.submit(join_and_forget)
        assert (first.result(30), second.result(30)) == (("session:1", True), ("session:1", False))
    assert outcomes.run("key", call) == ("session:2", True), "what the caller forgot is forgotten"


def test_callers_that_find_an_old_result_make_one_call(
    outcomes: RecentOutcomes[str], clock: Clock, call: Calls
) -> None:
    class Slow(dict[Any, Any]):
        """A dict that leaves threads time to act on the same value."""

        def get(self, key: Any, default: Any = None) -> Any:
            value = super().get(key, default)
            time.sleep(0.1)
            return value

    def slow_call() -> str:
        time.sleep(0.5)
        return call()

    outcomes.run("key", call)
    clock.now += 11
    outcomes._outcomes = Slow(outcomes._outcomes)
    with ThreadPoolExecutor(4) as pool:
        results = [
            each.result(30) for each in [pool.submit(outcomes.run, "key", slow_call) for _ in range(4)]
        ]
    assert sorted(results) == [("session:2", False)] * 3 + [("session:2", True)]


def test_a_call_whose_thread_is_stopped_leaves_nothing_behind(
    outcomes: RecentOutcomes[str], call: Calls
) -> None:
    def stop() -> str:
        raise SystemExit

    with pytest.raises(SystemExit):
        outcomes.run("key", stop)
    assert outcomes.run("key", call) == ("session:1", True)


def test_concurrent_calls_with_one_key_are_made_once(outcomes: RecentOutcomes[str]) -> None:
    go_on = threading.Event()
    made: list[int] = []

    def call() -> str:
        made.append(1)
        assert go_on.wait(30)
        return "session:1"

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(outcomes.run, "key", call) for _ in range(8)]
        go_on.set()
        results = [each.result(30) for each in waiting]
    assert made == [1]
    assert sorted(results) == [("session:1", False)] * 7 + [("session:1", True)]


def test_a_repr_shows_no_result(outcomes: RecentOutcomes[str], call: Calls) -> None:
    outcomes.run("secret key", call)
    assert "session:1" not in repr(outcomes.latest["session"])
    assert "secret" not in repr(outcomes.latest["session"])
