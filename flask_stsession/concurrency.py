"""Values per process, shared calls, locks by key, time limits, ages.

All are safe with threads, forks and frozen processes.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextvars import Context, ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import CoreUnavailableError, STSessionError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

#: A smaller change (s) of the difference between the two clocks is ignored: a thread may have been
#: interrupted between reading the one and the other.
_TOLERANCE_SECONDS = 0.1


class PerProcess(Generic[T]):
    """A value that each process creates when it first needs it.

    Sockets shared with a parent would mix up responses, and a lock that another thread of the parent
    held while forking stays locked in the child for good. Takes no lock itself: ``dict.setdefault``
    decides which of two threads' values is kept.

    :param make: creates the value; may be called more often than needed, so it must do no I/O.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's value."""
        pid = os.getpid()
        try:
            return self._made[pid]
        except KeyError:
            return self._made.setdefault(pid, self._make())

    def discard(self) -> T | None:
        """Remove and return this process's value; the next caller of :meth:`get` makes another."""
        return self._made.pop(os.getpid(), None)


class Flight(Generic[T]):
    """A call that one thread makes, while others wait for its result.

    A future without its states and callbacks: those of the standard library take as long to import as half
    a dozen of our modules.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        #: What the call returned, once it has ended without an error.
        self.result: T
        #: What the call raised, once it has ended.
        self.error: BaseException | None = None

    def make(self, call: Callable[[], T], keep: Callable[[T], None] | None = None) -> T:
        """Make the call, and wake the threads that wait for it.

        :param keep: called with the result before those threads are woken.
        :raises BaseException: whatever the call raises.
        """
        try:
            self.result = call()
            if keep is not None:
                keep(self.result)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._ended.set()
        return self.result

    def cut_short(self, error: BaseException) -> None:
        """End a call that may never be made, and wake the threads that wait for it.

        :param error: what stopped the thread that was to make it.
        """
        self.error = error
        self._ended.set()

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait for the end of the call, and return whether it has ended.

        :param seconds: the longest wait, in s; by default until it ends.
        """
        return self._ended.wait(min(seconds, threading.TIMEOUT_MAX))

    def join(self, what: str, patience: float = math.inf) -> T:
        """Wait for the end of the call, which another thread makes, and return its result.

        :param what: describes the call, for errors.
        :param patience: the longest wait, in s.
        :raises CoreUnavailableError: the thread that makes the call was stopped, or has not ended it in time.
        :raises STSessionError: the call raised it; each caller is given a copy of its own.
        """
        if not self.wait(patience):
            raise CoreUnavailableError(
                f"Another thread is {what}, and has not ended within {patience:.3g} s."
            )
        error = self.error
        if error is None:
            return self.result
        if isinstance(error, STSessionError):
            raise copy.copy(error) from error  # each request's verdict is its own
        # A worker that is told to stop, or a greenlet's timeout, ends the other request, not this one.
        raise CoreUnavailableError(f"Another thread was {what}, and was cut short.") from error


class SingleFlight(Generic[T]):
    """Coalesce concurrent calls: callers with an equal key share the result of the call in flight.

    An exception is shared like a result. Nothing is remembered once the call has ended, and nothing
    crosses a fork.

    :param what: describes the call, for the error of callers whose shared call is cut short.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        # By process: no thread of this one completes a call that was in flight in its parent. Each step on it
        # is one operation on a dict, which the GIL and free-threaded builds make atomic.
        self._in_flight: dict[tuple[int, Hashable], Flight[T]] = {}

    def run(self, key: Hashable, call: Callable[[], T], *, patience: float = math.inf) -> tuple[T, bool]:
        """Make the call, or wait for the one in flight with an equal key.

        :param patience: the longest wait for another's call, in s.
        :returns: the result, and whether this caller made the call.
        :raises CoreUnavailableError: the thread that made the call was stopped before it ended, or has not
            ended it in time.
        """
        place = (os.getpid(), key)
        own: Flight[T] = Flight()
        flight = self._in_flight.setdefault(place, own)
        if flight is not own:
            return flight.join(self._what, patience), False
        try:
            return own.make(call), True
        finally:
            del self._in_flight[place]

    def start(self, key: Hashable, call: Callable[[], T]) -> tuple[Flight[T], bool]:
        """Make the call in its own thread, unless one with an equal key is in flight.

        A process that can start no more threads makes the call in the current one.

        :returns: the flight of the call, and whether this caller started it.
        """
        place = (os.getpid(), key)
        own: Flight[T] = Flight()
        flight = self._in_flight.setdefault(place, own)
        if flight is own:
            name = f"flask-stsession: {self._what}"
            # A context of its own: a free-threaded build hands on the caller's, and with it a time limit.
            fly, arguments = Context().run, (self._fly, place, own, call)
            try:
                threading.Thread(target=fly, args=arguments, name=name, daemon=True).start()
            except (RuntimeError, MemoryError):
                self._fly(place, own, call)
            except BaseException as error:  # a worker that is told to stop, or a greenlet's timeout
                own.cut_short(error)
                self._in_flight.pop(place, None)
                raise
        return flight, flight is own

    def _fly(self, place: tuple[int, Hashable], flight: Flight[T], call: Callable[[], T]) -> None:
        try:
            with contextlib.suppress(Exception):  # the flight holds it for the threads that wait
                flight.make(call)
        finally:
            self._in_flight.pop(place, None)  # start() may have removed it already, if it was interrupted


def thread_pool(size: int, purpose: str) -> ThreadPoolExecutor:
    """Return a pool of threads, whose module is imported when one is first needed: most processes need none.

    :param size: the most threads.
    :param purpose: names the threads.
    """
    pool: ThreadPoolExecutor = import_module("concurrent.futures").ThreadPoolExecutor(
        size, f"flask-stsession: {purpose}"
    )
    return pool


class KeyedLocks:
    """A lock for each key, which exists only while a thread holds or awaits it.

    Only threads of one process wait for each other.
    """

    def __init__(self) -> None:
        self._process = PerProcess(_Locks)

    @contextlib.contextmanager
    def hold(self, key: Hashable) -> Iterator[None]:
        """Hold the lock of a key while the block runs."""
        process = self._process.get()
        with process.guard:
            lock = process.locks.setdefault(key, _CountedLock())
            lock.users += 1
        try:
            with lock.lock:
                yield
        finally:
            with process.guard:
                lock.users -= 1
                if not lock.users:
                    del process.locks[key]


class _CountedLock:
    """A lock, and the number of threads that hold or await it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0


class _Locks:
    """The locks of one process."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.locks: dict[Hashable, _CountedLock] = {}


class TimeLimit:
    """The time by which the current thread or task must end its work, if there is one."""

    def __init__(self) -> None:
        self._clock = AgeClock()
        self._end: ContextVar[float] = ContextVar("flask_stsession.time_limit", default=math.inf)

    def set(self, seconds: float) -> None:
        """Set the limit to this many seconds from now."""
        self._end.set(self._clock() + seconds)

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Set the limit for a block."""
        before = self._end.set(self._clock() + seconds)
        try:
            yield
        finally:
            self._end.reset(before)

    def left(self) -> float:
        """Return how much time is left, in s: negative once it is over, infinite without a limit."""
        return self._end.get() - self._clock()


class AgeClock:
    """A clock for ages: it advances with the faster of the monotonic clock and the wall clock.

    The monotonic clock stands still while a process is frozen (a suspended laptop, AWS Lambda between
    two invocations); the wall clock may be set back. With either one alone, an old value could pass as
    fresh. A wall clock that is set forward makes values look older than they are: they are fetched
    again, which does no harm.

    The clock counts monotonic time and adds what the wall clock gains on it. It takes no lock: its state
    is one tuple, replaced as a whole, and correct whichever thread wrote it last.
    """

    def __init__(self) -> None:
        self._state = (time.time() - time.monotonic(), 0.0)

    def __call__(self) -> float:
        """Return the time in s, from an arbitrary start."""
        lead, gained = self._state
        # Looked up at each call, so that libraries that freeze or move the time in tests are seen.
        now = time.monotonic()
        change = time.time() - now - lead
        if change > _TOLERANCE_SECONDS or change < -_TOLERANCE_SECONDS:
            gained += max(change, 0.0)
            self._state = (lead + change, gained)
        return now + gained
