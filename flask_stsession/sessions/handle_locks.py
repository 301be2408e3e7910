"""A lock for each session whose payload is being changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..concurrency import PerProcess


class HandleLocks:
    """Let one thread at a time read, merge and write the payload of a session.

    The core has no operation that merges, so two writers that read the same payload would each undo the
    other's change. Only writers of the same session in this process wait for each other; writers in other
    processes are not blocked.
    """

    def __init__(self) -> None:
        self._process = PerProcess(_Locks)

    @contextmanager
    def hold(self, handle: str) -> Iterator[None]:
        """Hold the lock of a session, which exists only while a thread holds or awaits it."""
        process = self._process.get()
        with process.guard:
            lock = process.locks.setdefault(handle, _CountedLock())
            lock.users += 1
        try:
            with lock.lock:
                yield
        finally:
            with process.guard:
                lock.users -= 1
                if not lock.users:
                    del process.locks[handle]


class _CountedLock:
    """A lock, and the number of threads that hold or await it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0


class _Locks:
    """The locks of one process."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.locks: dict[str, _CountedLock] = {}
