"""How long a request may wait for locks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator


class Patience:
    """One busy timeout that all the waits of a request share, however many locks it needs.

    :param seconds: the busy timeout.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._thread = threading.local()

    @property
    def left(self) -> float:
        """How long this thread may still wait, s."""
        return float(getattr(self._thread, "left", self._seconds))

    @property
    def left_ms(self) -> int:
        """How long this thread may still wait, ms."""
        return round(self.left * 1000)

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Let all waits of this thread in the block share one busy timeout, also with an outer block."""
        if hasattr(self._thread, "left"):
            yield
            return
        self._thread.left = self._seconds
        try:
            yield
        finally:
            del self._thread.left

    @contextlib.contextmanager
    def waiting(self) -> Iterator[float]:
        """Yield the seconds left, and subtract the time spent in the block."""
        left, began = self.left, time.monotonic()
        try:
            yield left
        finally:
            if hasattr(self._thread, "left"):
                self._thread.left = max(left - (time.monotonic() - began), 0.0)
