"""Remember the sessions that this process has revoked, and the tokens that the core has just confirmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from cachetools import TTLCache

from ..concurrency import AgeClock, PerProcess

#: This many handles are remembered whatever their age.
_FEWEST_HANDLES: Final = 100_000
#: In s. A handle is forgotten only when it is older than this, and than the longest life of a token seen.
_SHORTEST_MEMORY: Final = 24 * 3600
_MOST_CONFIRMED: Final = 10_000


class RevokedHandles:
    """The sessions that were revoked through this process, whose tokens it refuses from then on.

    Every verification looks here, so it takes no lock: each step is one operation on a dict, which the GIL
    and free-threaded builds make atomic. A child process inherits the handles that its parent knew at the
    fork.

    :param size: the number of handles to remember whatever their age.
    :param monotonic: returns seconds from a clock that only goes forward; by default ``time.monotonic``.
    :param wall: returns seconds since 1970; by default ``time.time``. Both are looked up at each call, so
        that libraries that freeze the time in tests are seen.
    """

    def __init__(
        self,
        *,
        size: int = _FEWEST_HANDLES,
        monotonic: Callable[[], float] | None = None,
        wall: Callable[[], float] | None = None,
    ) -> None:
        self._size = size
        self._monotonic = monotonic
        self._wall = wall
        self._longest_life: float = _SHORTEST_MEMORY
        #: When each was revoked, by both clocks. A dict keeps the order of insertion: the oldest is first.
        self.handles: dict[str, tuple[float, float]] = {}

    def add(self, handles: Iterable[str]) -> None:
        """Remember handles until the last token of their sessions has expired."""
        now = ((self._monotonic or time.monotonic)(), (self._wall or time.time)())
        for handle in handles:
            self.handles.pop(handle, None)
            self.handles[handle] = now
        while len(self.handles) > self._size and self._forget_oldest(now):
            pass

    def note_life(self, seconds: float) -> None:
        """Note the life of an access token, in s: no handle is forgotten sooner."""
        self._longest_life = max(self._longest_life, seconds)

    def _forget_oldest(self, now: tuple[float, float]) -> bool:
        try:
            oldest = next(iter(self.handles))
            monotonic, wall = self.handles[oldest]
        except (RuntimeError, StopIteration, KeyError):  # another thread is changing it
            return False
        # The smaller of the two ages: one clock that was set forward must not end a revocation.
        if min(now[0] - monotonic, now[1] - wall) <= self._longest_life:
            return False
        self.handles.pop(oldest, None)
        return True


class ConfirmedTokens:
    """The access tokens whose sessions the core confirmed lately (``STSESSION_CHECK_DATABASE``).

    :param ttl_seconds: for how long a confirmation counts; 0: never.
    :param timer: seconds from a clock for ages.
    """

    def __init__(self, ttl_seconds: float, timer: Callable[[], float] | None = None) -> None:
        self._ttl_seconds = ttl_seconds
        self._timer = AgeClock() if timer is None else timer
        self._memory = PerProcess(self._make_memory)

    def _make_memory(self) -> _Confirmed:
        return _Confirmed(TTLCache(_MOST_CONFIRMED, self._ttl_seconds, timer=self._timer))

    def __contains__(self, digest: bytes) -> bool:
        if not self._ttl_seconds:
            return False
        memory = self._memory.get()
        with memory.lock:
            return digest in memory.tokens

    def add(self, digest: bytes) -> None:
        """Remember that the core has confirmed the session of a token."""
        if not self._ttl_seconds:
            return
        memory = self._memory.get()
        with memory.lock:
            memory.tokens[digest] = True

    def clear(self) -> None:
        """Forget all confirmations, since sessions were revoked through this process."""
        memory = self._memory.get()
        with memory.lock:
            memory.tokens.clear()


class _Confirmed:
    """The memory of one process."""

    def __init__(self, tokens: TTLCache[bytes, bool]) -> None:
        self.lock = threading.Lock()
        self.tokens = tokens
