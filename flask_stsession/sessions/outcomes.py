"""A short-lived cache for the core's results about a session's tokens.

Requests that a browser sends together carry the same token. One call to the core serves all of them,
whether they arrive while it is in flight or just after.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from ..concurrency import AgeClock, SingleFlight

T = TypeVar("T")

#: For how long (s) a result is cached.
OUTCOME_SECONDS: Final = 10.0
_MOST_OUTCOMES: Final = 10_000


class Outcome(Generic[T]):
    """A result, and the key of the call that returned it."""

    __slots__ = ("handle", "key", "landed_at", "result")

    def __init__(self, key: Hashable, handle: str, result: T, landed_at: float) -> None:
        self.key: Hashable = key
        self.handle: str = handle
        self.result: T = result
        self.landed_at: float = landed_at


class RecentOutcomes(Generic[T]):
    """Coalesce calls with an equal key, and cache their result for a short time.

    Errors are shared with calls in flight, and not cached. The cache holds at most one result per session,
    the latest. It takes no lock: each step is one operation on a dict, which the GIL and free-threaded builds
    make atomic; threads that race can at worst lose a result, and the core is asked again.

    :param what: describes the call, for the error of callers whose shared call is cut short.
    :param handle_of: returns the handle of the session that a result belongs to.
    :param seconds: for how long a result is cached, in s.
    :param size: the most results to cache.
    :param timer: a clock for ages, in s.
    """

    def __init__(
        self,
        what: str,
        *,
        handle_of: Callable[[T], str],
        seconds: float = OUTCOME_SECONDS,
        size: int = _MOST_OUTCOMES,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self._flights: SingleFlight[tuple[T, bool]] = SingleFlight(what)
        self._handle_of = handle_of
        self._seconds = seconds
        self._size = size
        self._timer = AgeClock() if timer is None else timer
        self._by_key: dict[Hashable, Outcome[T]] = {}
        #: The latest result about each session.
        self.latest: dict[str, Outcome[T]] = {}

    def run(self, key: Hashable, call: Callable[[], T]) -> tuple[T, bool]:
        """Return the result of a call, made now unless an equal one is in flight or has just landed.

        :param key: callers with equal keys share a result.
        :returns: the result, and whether this caller made the call.
        """

        def call_and_keep() -> tuple[T, bool]:
            kept = self._by_key.get(key)
            if kept is not None and self._timer() - kept.landed_at <= self._seconds:
                return kept.result, False
            result = call()
            self._keep(Outcome(key, self._handle_of(result), result, self._timer()))
            return result, True

        (result, was_made), is_ours = self._flights.run(key, call_and_keep)
        return result, was_made and is_ours

    def forget(self, handle: str) -> None:
        """Drop the cached result about a session."""
        kept = self.latest.pop(handle, None)
        if kept is not None:
            self._by_key.pop(kept.key, None)

    def _keep(self, outcome: Outcome[T]) -> None:
        self.forget(outcome.handle)
        self._by_key[outcome.key] = outcome
        self.latest[outcome.handle] = outcome
        try:
            for handle, kept in list(self.latest.items()):  # the oldest first
                is_old = outcome.landed_at - kept.landed_at > self._seconds
                if len(self.latest) <= self._size and not is_old:
                    return
                self.forget(handle)
        except RuntimeError:  # another thread is changing it, and drops old results as well
            return
