"""How long an invocation of a function may wait for the core."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

#: The time (s) that an invocation keeps to respond that the core is down.
_RESERVE_SECONDS: Final = 0.5


def time_for_core(context: object, *, limit_seconds: float = math.inf) -> float:
    """Return how long (s) an invocation may wait for the core in all, so that it responds in time.

    :param context: of the invocation, as the runtime passes it to a handler; without the remaining time it
        sets no limit.
    :param limit_seconds: the gateway's own limit (s).
    """
    tell: Callable[[], object] | None = getattr(context, "get_remaining_time_in_millis", None)
    left = None if tell is None else tell()
    # The context of a test may be a mock, which returns another.
    seconds = left / 1000 if isinstance(left, int | float) else math.inf
    return min(seconds, limit_seconds) - _RESERVE_SECONDS
