"""Time contestants side by side.

Shared machines have moods: another process wakes up, the clock slows down. So contestants take turns,
a short batch each, again and again. Computation is timed by the processor time of this thread, which
leaves out what other processes do meanwhile; waiting for another process is timed by the wall clock.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import perf_counter, thread_time

Action = Callable[[], object]

_LOWEST_SHARE = 0.05


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

    def lowest(self, name: str) -> float:
        """Return the mean of the lowest 5 %, in s."""
        return lowest(self._per_round[name])

    def median(self, name: str) -> float:
        """Return the median, in s."""
        return median(self._per_round[name])

    def above(self, name: str, reference: str) -> float:
        """Return the difference of the lowest 5 %, in s."""
        return self.lowest(name) - self.lowest(reference)

    def median_above(self, name: str, reference: str) -> float:
        """Return the median difference to the reference in the same round, in s."""
        pairs = zip(self._per_round[name], self._per_round[reference], strict=True)
        return median(mine - other for mine, other in pairs)


def lowest(values: Sequence[float]) -> float:
    """Return the mean of the lowest 5 %: the cost on a machine that does nothing else."""
    return fmean(sorted(values)[: max(1, round(len(values) * _LOWEST_SHARE))])


def take_turns(contestants: Mapping[str, Action], effort: Effort, *, waits: bool = False) -> Timings:
    """Time every contestant in turn, round after round.

    The garbage collector runs between batches, not during them, as with :mod:`timeit`.

    :param waits: whether contestants wait for other processes, so that the wall clock counts.
    """
    clock = perf_counter if waits else thread_time
    per_round: dict[str, list[float]] = {name: [] for name in contestants}
    for action in contestants.values():
        for _ in range(effort.batch):  # fills caches
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
