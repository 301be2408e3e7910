"""The lock of a session whose payload is being changed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_stsession.sessions.handle_locks import HandleLocks


def test_writers_of_one_session_take_turns_and_leave_nothing_behind() -> None:
    locks = HandleLocks()
    inside: list[int] = []
    together: list[int] = []

    def write(number: int) -> None:
        with locks.hold("session"):
            inside.append(number)
            together.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
    assert set(together) == {1}
    assert locks._process.get().locks == {}


def test_writers_of_different_sessions_do_not_wait_for_each_other() -> None:
    locks = HandleLocks()
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
    locks = HandleLocks()
    with pytest.raises(ValueError, match="no"), locks.hold("session"):
        raise ValueError("no")
    with locks.hold("session"):
        pass


def test_a_child_process_does_not_inherit_a_held_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    locks = HandleLocks()
    with locks.hold("session"), monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        with locks.hold("session"):
            pass
