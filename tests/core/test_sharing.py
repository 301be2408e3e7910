"""Calls that several threads want at once: made once, and told to all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_stsession.core.sharing import SharedCalls
from flask_stsession.errors import CoreUnavailableError, UnauthorisedError


class Gate:
    """A call that waits until all who will share it have come."""

    def __init__(self, outcome: Callable[[], Any]) -> None:
        self.calls = 0
        self.open = threading.Event()
        self._outcome = outcome

    def __call__(self) -> Any:
        self.calls += 1
        assert self.open.wait(10)
        return self._outcome()


def _raise(error: BaseException) -> Any:
    raise error


def _all_at_once(shared: SharedCalls[Any], gate: Gate, count: int) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(shared.run, "key", gate) for _ in range(count)]
        threading.Timer(0.2, gate.open.set).start()
        return [future.exception(10) or future.result() for future in futures]


def test_threads_that_want_the_same_at_once_share_one_call() -> None:
    gate = Gate(lambda: "tokens")

    answers = _all_at_once(SharedCalls("asking"), gate, 8)

    assert gate.calls == 1
    assert sorted(answers) == [("tokens", False)] * 7 + [("tokens", True)]


def test_a_verdict_is_told_to_each_as_an_error_of_its_own() -> None:
    errors = _all_at_once(SharedCalls("asking"), Gate(lambda: _raise(UnauthorisedError("over"))), 4)

    assert [(type(error), str(error)) for error in errors] == [(UnauthorisedError, "over")] * 4
    assert len({id(error) for error in errors}) == 4


def test_those_who_wait_for_a_thread_that_is_stopped_are_told_of_an_outage() -> None:
    errors = _all_at_once(SharedCalls("asking"), Gate(lambda: _raise(SystemExit(1))), 3)

    assert sorted(type(error).__name__ for error in errors) == [
        "CoreUnavailableError",
        "CoreUnavailableError",
        "SystemExit",
    ]
    told = next(error for error in errors if isinstance(error, CoreUnavailableError))
    assert str(told) == "Another thread was asking, and was cut short."


def test_other_keys_and_later_calls_are_made_anew() -> None:
    shared: SharedCalls[int] = SharedCalls("asking")

    assert [shared.run(key, lambda: 1) for key in ("a", "b", "a")] == [(1, True)] * 3


def test_a_failed_call_does_not_stand_in_the_way_of_the_next() -> None:
    shared: SharedCalls[int] = SharedCalls("asking")
    with pytest.raises(UnauthorisedError):
        shared.run("key", lambda: _raise(UnauthorisedError("over")))

    assert shared.run("key", lambda: 2) == (2, True)
