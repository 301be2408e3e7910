"""A TTL cache for responses of the core."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from cachetools import TTLCache

from ..concurrency import PerProcess

T = TypeVar("T")

#: The key of an entry, from the general to the particular: a kind, then a name.
Key = tuple[Hashable, ...]

#: Stands for the entry of a key that has none. An entry is a result, and when it was asked for.
_ABSENT: Final[tuple[Any, float]] = (None, -math.inf)


class ReadCache:
    """Caches the results of reads, until a write through this process drops them or the TTL is over.

    The lock is held for look-ups only, never while the core is asked: readers do not wait for one
    another. Failures are not cached. Each process has its own entries.

    :param ttl_seconds: the life of an entry, in s; 0 caches nothing.
    :param timer: a clock for ages, in s.
    :param size: how many entries are kept at most; the least recently used one goes first.
    """

    def __init__(self, *, ttl_seconds: float, timer: Callable[[], float], size: int = 10_000) -> None:
        self._enabled = ttl_seconds > 0
        self._timer = timer
        self._entries = PerProcess(lambda: _Entries(ttl_seconds if self._enabled else 1, timer, size))

    def read(self, key: Key, ask: Callable[[], T], *, max_age: float) -> T:
        """Return the result of ``ask``, or a cached one.

        :param key: identifies the read.
        :param ask: makes the request to the core.
        :param max_age: how old (s) a cached result may be; 0 always asks the core.
        """
        if not self._enabled:
            return ask()
        entries = self._entries.get()
        with entries.lock:
            cached, asked_at = entries.values.get(key, _ABSENT)
            now = self._timer()
            if now - asked_at < max_age:
                known: T = cached
                return known
            writes = entries.writes
        result = ask()
        with entries.lock:
            # A write that overlapped with the read may have outdated its result already.
            if writes == entries.writes:
                # The age counts from the start of the request: the result may lack any later change.
                entries.values[key] = result, now
        return result

    @contextmanager
    def changing(self, *prefixes: Key) -> Iterator[None]:
        """Drop the entries that a write touches, before and after it, whether or not it seems to succeed.

        :param prefixes: the beginnings of the keys of these entries.
        """
        self.forget(*prefixes)
        try:
            yield
        finally:
            self.forget(*prefixes)

    def forget(self, *prefixes: Key) -> None:
        """Drop entries, and do not cache the results of reads in flight.

        :param prefixes: the beginnings of the keys of these entries.
        """
        self._entries.get().forget(prefixes)


class _Entries:
    """The entries of one process, with the lock that cachetools leaves to its users."""

    def __init__(self, ttl_seconds: float, timer: Callable[[], float], size: int) -> None:
        self.lock = threading.Lock()
        self.values: TTLCache[Key, tuple[Any, float]] = TTLCache(size, ttl_seconds, timer=timer)
        self.writes = 0

    def forget(self, prefixes: tuple[Key, ...]) -> None:
        with self.lock:
            self.writes += 1
            for key in list(self.values):
                if any(key[: len(prefix)] == prefix for prefix in prefixes):
                    self.values.pop(key, None)
