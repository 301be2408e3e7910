"""Values that a fork makes anew."""

from __future__ import annotations

import os
import threading

import pytest

from flask_stsession.concurrency import PerProcess


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
