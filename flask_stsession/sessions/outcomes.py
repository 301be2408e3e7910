"""A short-lived cache for the core's results about a session's tokens.

Requests that a browser sends together carry the same token. One call to the core serves all of them,
whether they arrive while it is in flight or just after.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, Generic, TypeVar

from ..concurrency import AgeClock, Flight, PerProcess

T = TypeVar("T")

#: For how long (s) a result is shared after its call.
OUTCOME_SECONDS: Final = 10.0
_MOST_OUTCOMES: Final = 10_000


class Outcome(Flight[T]):
    """A call about a session, in flight or landed."""

    #: When the call has landed, by the clock of its cache.
    landed_at: float = math.inf
    #: The process and the key of the call.
    place: tuple[int, Hashable]


class RecentOutcomes(Generic[T]):
    """Coalesce calls with an equal key, and cache their result for a short time.

    Errors are shared with calls in flight, and not cached. The cache holds at most one result per session,
    the latest. No result is shared across a fork. Each step is one operation on a dict, which the GIL and
    free-threaded builds make atomic; only dropping an outcome, and no other, takes a lock. Threads that race
    can at worst lose a result, and the core is asked again.

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
        self._what = what
        self._handle_of = handle_of
        self._seconds = seconds
        self._size = size
        self._timer = AgeClock() if timer is None else timer
        #: Calls in flight, and those that have landed and whose result is cached.
        self._outcomes: dict[tuple[int, Hashable], Outcome[T]] = {}
        #: The latest landed call about each session.
        self.latest: dict[str, Outcome[T]] = {}
        self._dropping = PerProcess(threading.Lock)

    def run(self, key: Hashable, call: Callable[[], T]) -> tuple[T, bool]:
        """Return the result of a call, made now unless an equal one is in flight or has just landed.

        :param key: callers with equal keys share a result.
        :returns: the result, and whether this caller made the call.
        """
        place = (os.getpid(), key)
        own: Outcome[T] = Outcome()
        own.place = place
        outcome = self._outcomes.setdefault(place, own)
        if outcome is not own and self._timer() - outcome.landed_at > self._seconds:
            self._drop(outcome)
            outcome = self._outcomes.setdefault(place, own)
        if outcome is not own:
            return outcome.join(self._what), False
        try:
            return own.make(call, partial(self._keep, own)), True
        except BaseException:
            self._drop(own)
            raise

    def forget(self, handle: str) -> None:
        """Drop the cached result about a session."""
        outcome = self.latest.pop(handle, None)
        if outcome is not None:
            self._drop(outcome)

    def _drop(self, outcome: Outcome[T]) -> None:
        with self._dropping.get():
            if self._outcomes.get(outcome.place) is outcome:  # and not that of a later call
                del self._outcomes[outcome.place]

    def _keep(self, outcome: Outcome[T], result: T) -> None:
        handle = self._handle_of(result)
        outcome.landed_at = now = self._timer()
        superseded = self.latest.pop(handle, None)
        self.latest[handle] = outcome
        if superseded is not None:
            self._drop(superseded)
        try:
            for oldest, kept in list(self.latest.items()):  # in the order in which they landed
                if len(self.latest) <= self._size and now - kept.landed_at <= self._seconds:
                    return
                self.forget(oldest)
        except RuntimeError:  # another thread is changing it, and drops old results as well
            return
