"""Timing of contestants side by side.

Machines have moods: another process wakes up, the clock slows down. So contestants take turns,
a short batch each, again and again. What is compared was measured in the same round, and of all
rounds the median counts. What only computes is timed by the processor time of this thread, which
leaves out what other processes did meanwhile; what waits for another process, by the clock.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter, thread_time

Action = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    :param rounds: how often every contestant has its turn.
    :param batch: calls in one turn.
    """

    rounds: int
    batch: int


class Timings:
    """Seconds per call of each contestant, one figure for each round."""

    def __init__(self, per_round: Mapping[str, list[float]]) -> None:
        self._per_round = per_round

    def __contains__(self, name: str) -> bool:
        return name in self._per_round

    def typical(self, name: str) -> float:
        """The median, in s."""
        return median(self._per_round[name])

    def above(self, name: str, reference: str) -> float:
        """How much longer it takes than the reference did in the same round: the median, in s."""
        pairs = zip(self._per_round[name], self._per_round[reference], strict=True)
        return median(mine - other for mine, other in pairs)


def take_turns(contestants: Mapping[str, Action], effort: Effort, *, waits: bool = False) -> Timings:
    """Time every contestant in turn, round after round.

    The collector of garbage runs between batches and not within, as with :mod:`timeit`.

    :param waits: for other processes, so that the clock is what counts.
    """
    clock = perf_counter if waits else thread_time
    per_round: dict[str, list[float]] = {name: [] for name in contestants}
    for action in contestants.values():
        for _ in range(effort.batch):  # warms caches up
            action()
    collects = gc.isenabled()
    try:
        for _ in range(effort.rounds):
            gc.enable()
            gc.collect(1)
            gc.disable()
            for name, action in contestants.items():
                per_round[name].append(_timed(action, effort.batch, clock))
    finally:
        if collects:
            gc.enable()
    return Timings(per_round)


def _timed(action: Action, batch: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(batch):
        action()
    return (clock() - started) / batch
