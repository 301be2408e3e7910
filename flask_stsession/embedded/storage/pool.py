"""A pool of SQLite connections: each is lent to one thread at a time, and none crosses a fork."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Final

from ..errors import DatabaseBusyError, EmbeddedCoreError

_IDLE_CONNECTIONS: Final = 8
#: How long a fork waits for running operations before it goes ahead, s.
_FORK_PATIENCE: Final = 5.0


class ConnectionPool:
    """The connections of one process to one database.

    SQLite keeps its view of the file locks in process memory. A child that inherits an open connection
    believes that it holds locks that it does not hold, even in its own new connections, and data is lost
    when another process then deletes the write-ahead log. So no connection may be open during a fork:
    the fork waits for running operations, and idle connections are closed before it.

    :param connect: opens a connection that any thread may use.
    :param single: keep one connection for the life of the pool, as a private in-memory database needs;
        threads take turns, and other processes are refused.
    :param on_empty: called when this process has no open connection left.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        single: bool,
        on_empty: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        self._single = single
        self._on_empty = on_empty
        self._changed = threading.Condition(threading.Lock())
        self._idle: list[sqlite3.Connection] = []
        self._inherited: list[sqlite3.Connection] = []
        self._lent = 0
        self._forking = False
        self._closed = False
        self._pid = os.getpid()
        if not single:
            _close_before_forks(self)

    @contextlib.contextmanager
    def connection(self, *, timeout: float) -> Iterator[sqlite3.Connection]:
        """Lend a connection.

        :param timeout: how long to wait for the only connection of an in-memory database, s.
        :raises DatabaseBusyError: another thread used it for longer than that.
        :raises EmbeddedCoreError: the pool is closed, or belongs to another process and is in memory.
        :raises sqlite3.Error: no connection could be opened.
        """
        connection = self._take(timeout)
        try:
            yield connection
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close every connection; lent ones are closed when they are returned."""
        if self._single and self._pid != os.getpid():
            return
        with self._changed:
            self._closed = True
            if self._pid == os.getpid():
                self._close_idle()

    def _take(self, timeout: float) -> sqlite3.Connection:
        if self._single and self._pid != os.getpid():
            # Before the lock, which another thread of the parent may have held when it forked.
            raise EmbeddedCoreError(
                f"the in-memory database belongs to process {self._pid} and this is process {os.getpid()}:"
                " several processes need a file"
            )
        with self._changed:
            # Otherwise a fork could wait for ever while threads take turns.
            self._changed.wait_for(lambda: not self._forking, timeout)
            self._notice_other_process()
            if self._single and not self._changed.wait_for(lambda: self._lent == 0, timeout):
                raise DatabaseBusyError(
                    "another thread used the in-memory database for longer than the busy timeout:"
                    " name a file, which several threads can use at once"
                )
            if self._closed:
                raise EmbeddedCoreError("this embedded core was closed: make another EmbeddedCore")
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._connect()
        except BaseException:
            with self._changed:
                self._lent -= 1
                self._changed.notify_all()
            raise

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._changed:
            self._lent -= 1
            if self._closed or (len(self._idle) >= _IDLE_CONNECTIONS and not self._single):
                connection.close()
            else:
                self._idle.append(connection)
            self._changed.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
        if not self._lent:
            self._on_empty()

    def _notice_other_process(self) -> None:
        if self._pid == os.getpid():
            return
        # The process was forked without Python's knowledge, so the hooks below did not run. The connections
        # are the parent's: even closing them here would be unsafe.
        self._inherited += self._idle
        self._idle = []
        self._lent = 0
        self._pid = os.getpid()
        self._on_empty()

    def before_fork(self) -> None:
        """Wait for running operations, close idle connections, and lend none until :meth:`after_fork`."""
        self._changed.acquire()
        self._forking = True
        self._changed.wait_for(lambda: self._lent == 0, timeout=_FORK_PATIENCE)
        if self._pid == os.getpid():
            self._close_idle()

    def after_fork(self) -> None:
        """Lend connections again, in the parent and in the child alike."""
        if not self._lent:
            self._pid = os.getpid()
        self._forking = False
        self._changed.notify_all()
        self._changed.release()


def _close_before_forks(pool: ConnectionPool) -> None:
    # Hooks cannot be unregistered, so they must not keep the pool alive.
    reference = weakref.ref(pool)
    held: list[ConnectionPool] = []

    def before() -> None:
        pool = reference()
        if pool is not None:
            pool.before_fork()
            held.append(pool)

    def after() -> None:
        while held:
            held.pop().after_fork()

    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)
