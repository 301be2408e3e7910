"""A circuit breaker: a host that timed out gets no requests for a while.

Waiting for a host that hangs ties up the threads of the app: a core that accepts connections and never
responds would stop even requests that do not need it. A host that refuses connections does no such
harm, and needs no circuit breaker.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from ..concurrency import PerProcess

#: The first pause after a time-out (s), and the longest: each further time-out doubles it.
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 30.0


class Open(NamedTuple):
    """An open circuit; times are those of the clock, in s.

    :param since: when it was opened.
    :param probe_at: when the next probe may be sent.
    :param pause: the length of the current pause.
    :param prober: the thread that has claimed the probe, if one has.
    """

    since: float
    probe_at: float
    pause: float
    prober: int | None = None


class Circuit:
    """The circuit breaker of one host.

    Closed: requests are sent. Open, after a time-out: none is, for a pause. Half-open, when the pause is
    over: one request is sent as a probe, and all others still fail at once. If the probe comes back, whatever
    the response says, the circuit is closed; if it times out as well, the next pause is twice as long.

    The probe is claimed by putting off the next one, not by a flag: a thread that is killed, frozen or
    left in the parent of a fork while it probes leaves nothing behind that would have to be undone.

    :param clock: a clock for ages, in s.
    :param probe_seconds: how long a probe takes at most.
    """

    def __init__(self, *, clock: Callable[[], float], probe_seconds: float) -> None:
        self._clock = clock
        self._probe_seconds = probe_seconds
        self._lock = PerProcess(threading.Lock)
        #: Set from a time-out until the host comes back.
        self.opened: Open | None = None
        self._came_back_at = -math.inf

    @property
    def pause_left(self) -> float:
        """The time in s until a request may be sent."""
        opened = self.opened
        return 0.0 if opened is None else max(opened.probe_at - self._clock(), 0.0)

    def admits(self) -> bool:
        """Return whether a request may be sent; while the circuit is half-open, claim the probe."""
        if self.opened is None:
            return True
        with self._lock.get():
            now = self._clock()
            opened = self.opened
            if opened is not None and now < opened.probe_at:
                return False
            if opened is not None:
                probe_at = now + self._probe_seconds
                self.opened = opened._replace(probe_at=probe_at, prober=threading.get_ident())
            return True

    def give_back(self) -> None:
        """Give back the probe that this thread has claimed, if it has: it shows nothing about the host."""
        with self._lock.get():
            opened = self.opened
            if opened is not None and opened.prober == threading.get_ident():
                self.opened = opened._replace(probe_at=self._clock(), prober=None)

    def came_back(self) -> bool:
        """Close the circuit: a request came back, with a response or with a quick failure.

        :returns: whether it was open.
        """
        self._came_back_at = self._clock()
        if self.opened is None:
            return False
        with self._lock.get():
            was_open = self.opened is not None
            self.opened = None
        return was_open

    def timed_out(self, sent_at: float) -> float | None:
        """Open the circuit, unless the time-out shows nothing new.

        One slow request among others that come back does not show that the host hangs, and neither do
        those that were waiting already when the circuit was opened.

        :param sent_at: when the request was sent, by the clock.
        :returns: the pause in s, if this time-out has opened the circuit.
        """
        with self._lock.get():
            opened = self.opened
            if self._came_back_at >= sent_at or (opened is not None and sent_at < opened.since):
                return None
            pause = FIRST_PAUSE_SECONDS if opened is None else min(2 * opened.pause, LONGEST_PAUSE_SECONDS)
            now = self._clock()
            self.opened = Open(now, now + pause, pause)
            return pause
