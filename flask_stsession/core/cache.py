"""Answers of a core that may be given again for a short while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cachetools import TTLCache

from ..concurrency import PerProcess

T = TypeVar("T")

#: What is asked about, from the general to the particular: a kind, then whose.
Key = tuple[Hashable, ...]


class ReadCache:
    """Remembers what reads answered, until a write through this process, or the TTL, ends it.

    The lock is held for look-ups only, never while the core is asked: readers do not wait for one
    another. What failed is not remembered. Each process has its own entries.

    :param ttl_seconds: the life of an entry, in s; 0 remembers nothing.
    :param timer: seconds from a clock that only goes forward.
    :param size: how many entries are kept at most; the least recently used one goes first.
    """

    def __init__(self, *, ttl_seconds: float, timer: Callable[[], float], size: int = 10_000) -> None:
        self._enabled = ttl_seconds > 0
        self._timer = timer
        self._entries = PerProcess(lambda: _Entries(ttl_seconds if self._enabled else 1, timer, size))

    def read(self, key: Key, ask: Callable[[], T], *, max_age: float) -> T:
        """What ``ask`` answers, or answered lately.

        :param key: identifies the question.
        :param ask: asks the core.
        :param max_age: how old (s) a remembered answer may be; 0 asks in any case.
        """
        if not self._enabled:
            return ask()
        entries = self._entries.get()
        with entries.lock:
            known: _Remembered[T] | None = entries.values.get(key)
            now = self._timer()
            if known is not None and now - known.asked_at < max_age:
                return known.answer
            writes = entries.writes
        answer = ask()
        with entries.lock:
            # A write that overlapped with the question may have made the answer old already.
            if writes == entries.writes:
                # As of when it was asked for: no later change can be in it.
                entries.values[key] = _Remembered(answer, now)
        return answer

    @contextmanager
    def changing(self, *prefixes: Key) -> Iterator[None]:
        """Forget what a write touches, before and after it, whether or not it seems to succeed.

        :param prefixes: how the keys of the entries concerned begin.
        """
        self.forget(*prefixes)
        try:
            yield
        finally:
            self.forget(*prefixes)

    def forget(self, *prefixes: Key) -> None:
        """Forget entries, and do not remember what is being asked at this moment.

        :param prefixes: how the keys of the entries begin.
        """
        self._entries.get().forget(prefixes)


@dataclass(frozen=True)
class _Remembered(Generic[T]):
    answer: T
    asked_at: float


class _Entries:
    """The entries of one process, with the lock that cachetools leaves to its users."""

    def __init__(self, ttl_seconds: float, timer: Callable[[], float], size: int) -> None:
        self.lock = threading.Lock()
        self.values: TTLCache[Key, Any] = TTLCache(size, ttl_seconds, timer=timer)
        self.writes = 0

    def forget(self, prefixes: tuple[Key, ...]) -> None:
        with self.lock:
            self.writes += 1
            for key in list(self.values):
                if any(key[: len(prefix)] == prefix for prefix in prefixes):
                    self.values.pop(key, None)
