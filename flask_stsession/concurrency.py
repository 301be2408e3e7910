"""Values that belong to one process: each fork makes its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value made at first need in each process.

    Sockets shared with a parent would mix up answers, and a lock that another thread of the parent
    held while forking stays locked in the child for good. Takes no lock itself: ``dict.setdefault``
    decides which of two threads' values is kept.

    :param make: makes the value; may be called once more than needed, so it must do no I/O.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """This process's value."""
        pid = os.getpid()
        try:
            return self._made[pid]
        except KeyError:
            return self._made.setdefault(pid, self._make())

    def discard(self) -> T | None:
        """Give this process's value away; the next who needs one makes another."""
        return self._made.pop(os.getpid(), None)
