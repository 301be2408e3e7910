"""One call for all who want the same at the same time."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from ..concurrency import PerProcess
from ..errors import CoreUnavailableError, STSessionError

T = TypeVar("T")


class _InFlight:
    """The calls that are under way in one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: dict[Hashable, Future[Any]] = {}


class SharedCalls(Generic[T]):
    """Lets those who come while a call is under way share what comes of it, failure included.

    Nothing is remembered once the call has ended, and nothing crosses a fork.

    :param what: the call in words, for those who wait for one that is cut short.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._in_flight = PerProcess(_InFlight)

    def run(self, key: Hashable, call: Callable[[], T]) -> tuple[T, bool]:
        """Make the call, or wait for the same one of another thread.

        :param key: calls with equal keys are the same.
        :returns: what came of it, and whether it was made here.
        :raises CoreUnavailableError: the other thread was stopped before its call had ended.
        """
        in_flight = self._in_flight.get()
        future: Future[T] = Future()
        with in_flight.lock:
            current: Future[T] = in_flight.calls.setdefault(key, future)
        if current is not future:
            return self._landed(current), False
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
            raise
        else:
            future.set_result(result)
        finally:
            with in_flight.lock:
                del in_flight.calls[key]
        return result, True

    def _landed(self, current: Future[T]) -> T:
        error = current.exception()
        if error is None:
            return current.result()
        if isinstance(error, STSessionError):
            raise copy.copy(error) from error  # each request's verdict is its own
        # A worker that is told to stop, a greenlet's timeout: the other's end, not ours.
        raise CoreUnavailableError(f"Another thread was {self._what}, and was cut short.") from error
