"""The database of the embedded core: one SQLite file, or memory.

A committed transaction is on the disk (write-ahead log, ``synchronous=FULL``), so that acknowledged writes
survive if the process is killed. Every writer begins with the write lock (``BEGIN
IMMEDIATE``), so that its reads are still true when it writes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from ..errors import DatabaseBusyError, EmbeddedCoreError
from .files import IN_MEMORY, DatabaseFile, lost
from .patience import Patience
from .pool import ConnectionPool
from .schema import STEPS, migrate, read_identity, read_version

#: How long a checkpoint waits for readers, during which it blocks writers.
_CHECKPOINT_PATIENCE_MS: Final = 250
#: The pause between two attempts to switch the write-ahead log on.
_PAUSE_SECONDS: Final = 0.01


class Store:
    """Transactions on the database.

    :param database: a file, created with its folder if missing, or ``:memory:``.
    :param first_rows: writes the rows of a new database, in the transaction that creates the tables.
    :param busy_timeout: how long to wait for locks, in all, s.
    :raises DatabaseBusyError: the database stayed locked for that long.
    :raises EmbeddedCoreError: the database cannot be used.
    """

    #: The file, or ``:memory:``.
    name: str
    #: Whether this object created the tables.
    created: bool

    def __init__(
        self,
        database: str | os.PathLike[str],
        first_rows: Callable[[sqlite3.Connection], None],
        *,
        busy_timeout: float,
    ) -> None:
        name = os.fspath(database)
        self._file = None if name == IN_MEMORY else DatabaseFile(name)
        self.name = str(self._file.path) if self._file else name
        self._patience = Patience(busy_timeout)
        self._writing = threading.Lock()
        self._identity: bytes | None = None
        self._pool = ConnectionPool(self._connect, single=self._file is None, on_empty=self._note_all_closed)
        try:
            with self._lend() as connection:
                self.created: bool = self._prepare(connection, first_rows)
                self._identity = read_identity(connection)
                if self._file:
                    self._file.note_opened()
        except sqlite3.Error as error:
            self._pool.close()
            raise EmbeddedCoreError(
                f"the embedded core's database {self.name} cannot be used ({error}): make it readable and"
                " writable for this user, move it away, or name another file"
            ) from error
        except BaseException:
            self._pool.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._pool.close()

    def one_patience(self) -> contextlib.AbstractContextManager[None]:
        """Limit all waits of this thread for locks in the block to one busy timeout in total."""
        return self._patience.shared()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to read with; each statement sees the last commit.

        :raises DatabaseBusyError: the database stayed locked for longer than the busy timeout.
        :raises DatabaseLostError: a file of the database was deleted or replaced.
        """
        with self._lend() as connection, self._patience.waiting():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a transaction that holds the write lock; committed at the end.

        :raises DatabaseBusyError: the database stayed locked for longer than the busy timeout; nothing was
            written.
        :raises DatabaseLostError: a file of the database was deleted or replaced; what was written may be
            lost.
        """
        # The connection comes before the lock: a fork waits until none is lent, so it never finds the lock
        # taken.
        with self._lend() as connection:
            with self._transaction(connection):
                yield connection
            # A commit into a file that is no longer there must not be acknowledged.
            self._check_files()

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the main file, so that a copy of that file alone has everything.

        Readers of an older state may prevent it; the next checkpoint then makes up for it.
        """
        if self._file:
            with self._lend() as connection:
                connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_PATIENCE_MS}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextlib.contextmanager
    def _lend(self) -> Iterator[sqlite3.Connection]:
        try:
            with self.one_patience(), self._pool.connection(timeout=self._patience.left) as connection:
                # Only while a connection is lent: when the last one closes, SQLite rightly deletes the log.
                self._check_files()
                connection.execute(f"PRAGMA busy_timeout={self._patience.left_ms}")
                yield connection
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise self._busy(str(error)) from error
            raise

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        # Threads queue here, which is fair and wakes them at once; SQLite's own waiting is for other
        # processes.
        with self._patience.waiting() as seconds:
            if not self._writing.acquire(timeout=seconds):
                raise self._busy("another thread is writing")
        try:
            connection.execute(f"PRAGMA busy_timeout={self._patience.left_ms}")
            with self._patience.waiting():
                connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        finally:
            self._writing.release()

    def _connect(self) -> sqlite3.Connection:
        if self._file is None:
            return sqlite3.connect(IN_MEMORY, isolation_level=None, check_same_thread=False)
        self._check_files()
        connection = self._open(self._file)
        if self._identity is None:  # it is still being prepared
            return connection
        try:
            # A file that was deleted while no connection was open may have given its inode number to
            # another, so that only the identity differs. Reading it also opens the log.
            if read_identity(connection) != self._identity:
                raise lost(self._file.path, "was replaced")
            self._file.note_opened()
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, file: DatabaseFile) -> sqlite3.Connection:
        connection = sqlite3.connect(
            file.uri, uri=True, timeout=self._patience.left, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(
        self, connection: sqlite3.Connection, first_rows: Callable[[sqlite3.Connection], None]
    ) -> bool:
        """Create the tables or bring them up to date; return whether the database was empty."""
        version = read_version(connection, self.name)
        if self._file:
            self._file.make_private()
        if version < len(STEPS):
            with self._transaction(connection):
                # Read again under the write lock: if several processes start at once, one creates the tables
                # and keys, and the others find them.
                version = read_version(connection, self.name)
                if version < len(STEPS):
                    migrate(connection, version)
                if version == 0:
                    first_rows(connection)
        if self._file:
            # The log is switched on only now, so that a new database was committed to the main file itself:
            # there is never a main file with tables and keys in the log alone.
            self._use_write_ahead_log(connection)
            # An earlier process may have left data in the log. PASSIVE does not wait.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return version == 0

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        # SQLite ignores the busy timeout here: the switch needs exclusive access to the file for a moment,
        # and processes that start at once would block each other.
        with self._patience.waiting() as left:
            # Pauses are counted, not timed: a test may have frozen the clocks.
            while True:
                try:
                    connection.execute("PRAGMA journal_mode=WAL")
                    return
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or left <= 0:
                        raise
                    time.sleep(_PAUSE_SECONDS)
                    left -= _PAUSE_SECONDS  # noqa: PLW2901

    def _check_files(self) -> None:
        if self._file:
            self._file.check(self._is_same_database)

    def _is_same_database(self) -> bool:
        # Through a new connection, which has nothing cached.
        assert self._file is not None
        try:
            with contextlib.closing(self._open(self._file)) as connection:
                return read_identity(connection) == self._identity
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise
            return False  # it has no such table
        except sqlite3.DatabaseError:
            return False

    def _note_all_closed(self) -> None:
        # A thread of the parent may have held the lock when a fork stopped waiting for it.
        self._writing = threading.Lock()
        if self._file:
            self._file.note_all_closed()

    def _busy(self, why: str) -> DatabaseBusyError:
        return DatabaseBusyError(
            f"the embedded core's database {self.name} stayed locked for longer than the busy timeout"
            f" ({why}): see which process keeps a transaction open"
        )


def _is_busy(error: sqlite3.OperationalError) -> bool:
    # Python has the numeric code from 3.11 on. "locking protocol": too many processes raced for the log.
    return any(word in str(error) for word in ("locked", "busy", "locking protocol"))
