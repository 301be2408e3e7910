"""The sessions that this process has revoked, so that their tokens are refused here at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable

#: How many are remembered. An access token that outlives its session's place here would have to be older
#: than that many revocations.
MOST_HANDLES = 100_000


class RevokedHandles:
    """The handles revoked last; asked at every verification, so without a lock.

    :param size: how many are remembered.
    """

    def __init__(self, size: int = MOST_HANDLES) -> None:
        self._size = size
        self._lock = threading.Lock()
        # A dict keeps the order in which they came.
        self._handles: dict[str, None] = {}

    def __contains__(self, handle: str) -> bool:
        return handle in self._handles

    def add(self, handles: Iterable[str]) -> None:
        """Remember these, and forget the oldest where there are too many."""
        with self._lock:
            self._handles.update(dict.fromkeys(handles))
            while len(self._handles) > self._size:
                del self._handles[next(iter(self._handles))]
