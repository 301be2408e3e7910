"""The database of the embedded core: one SQLite file, or memory.

What a transaction committed is on the disk (write-ahead log, ``synchronous=FULL``), so what was
acknowledged survives the process being killed. Every writer begins with the write lock (``BEGIN
IMMEDIATE``), so that what it read is still true when it writes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ..errors import DatabaseBusyError, EmbeddedCoreError
from .pool import ConnectionPool

IN_MEMORY: Final = ":memory:"
#: Marks a file as ours, in SQLite's header ("stse" in ASCII).
_APPLICATION_ID: Final = 0x73747365
_SCHEMA_VERSION: Final = 1
#: All times are ms since the epoch, but for names that say otherwise.
_SCHEMA: Final = (
    """CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE signing_keys (
        kid TEXT PRIMARY KEY,
        dynamic INTEGER NOT NULL,
        private_pem TEXT NOT NULL,
        signs_from INTEGER NOT NULL,
        keep_until INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE tenants (
        tenant_id TEXT PRIMARY KEY,
        config TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE sessions (
        handle TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        current_hash2 TEXT NOT NULL,
        previous_hash2 TEXT,
        rotated_at INTEGER NOT NULL,
        data_in_jwt TEXT NOT NULL,
        data_in_database TEXT NOT NULL,
        dynamic_key INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX sessions_of_user ON sessions (user_id)",
    "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
    "CREATE TABLE roles (role TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE role_permissions (
        role TEXT NOT NULL,
        permission TEXT NOT NULL,
        PRIMARY KEY (role, permission)) WITHOUT ROWID""",
    """CREATE TABLE user_roles (
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        role TEXT NOT NULL,
        PRIMARY KEY (tenant_id, user_id, role)) WITHOUT ROWID""",
    "CREATE INDEX users_with_role ON user_roles (role)",
    """CREATE TABLE email_tokens (
        token_hash TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        email TEXT NOT NULL,
        expires_at INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX email_tokens_by_expiry ON email_tokens (expires_at)",
    """CREATE TABLE verified_emails (
        user_id TEXT NOT NULL,
        email TEXT NOT NULL,
        PRIMARY KEY (user_id, email)) WITHOUT ROWID""",
    """CREATE TABLE user_metadata (
        user_id TEXT PRIMARY KEY,
        metadata TEXT NOT NULL) WITHOUT ROWID""",
)


class Store:
    """Transactions on the database.

    :param database: a file, made with its folder where missing, or ``:memory:``.
    :param first_rows: writes what an empty database starts with, in the transaction that makes the tables.
    :param busy_timeout: how long to wait for others that write, seconds.
    :raises EmbeddedCoreError: there can be no such database there.
    """

    def __init__(
        self,
        database: str | os.PathLike[str],
        first_rows: Callable[[sqlite3.Connection], None],
        *,
        busy_timeout: float,
    ) -> None:
        self._name = os.fspath(database)
        self._in_memory = self._name == IN_MEMORY
        self._busy_timeout = busy_timeout
        self._writing = threading.Lock()
        if not self._in_memory:
            _make_private_file(self._name)
        self._pool = ConnectionPool(self._connect, single=self._in_memory)
        try:
            #: Whether this object made the tables.
            self.created = self._prepare(first_rows)
        except (sqlite3.Error, DatabaseBusyError) as error:
            self._pool.close()
            raise EmbeddedCoreError(
                f"the embedded core's database {self._name} cannot be used ({error}): make it readable and"
                " writable for this user, move it away, or name another file"
            ) from error
        except BaseException:
            self._pool.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._pool.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to read with; each statement sees the last commit.

        :raises DatabaseBusyError: the database could not be had in time.
        """
        with self._pool.connection() as connection, _busy_is_ours():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a transaction that holds the write lock; committed at the end.

        :raises DatabaseBusyError: the database could not be had in time; nothing was written.
        """
        # Threads queue here, which is fair and wakes them at once; SQLite's own waiting is for other
        # processes. The connection comes first: a fork waits until none is lent, so it never finds
        # this lock taken.
        with self._pool.connection() as connection, _busy_is_ours():
            if not self._writing.acquire(timeout=self._busy_timeout):
                raise DatabaseBusyError("another thread is writing")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            finally:
                self._writing.release()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._name, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, first_rows: Callable[[sqlite3.Connection], None]) -> bool:
        with self.read() as connection:
            version = self._refuse_what_is_not_ours(connection)
            self._use_write_ahead_log(connection)
        if version == _SCHEMA_VERSION:
            return False
        with self.write() as connection:
            # Looked at again under the write lock: of several processes that start at once, one makes
            # the tables and keys and the others find them.
            if self._refuse_what_is_not_ours(connection) == _SCHEMA_VERSION:
                return False
            for statement in _SCHEMA:
                connection.execute(statement)
            first_rows(connection)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
            return True

    def _refuse_what_is_not_ours(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if mark != _APPLICATION_ID and (tables or mark):
            raise EmbeddedCoreError(f"{self._name} is the database of another application: name another file")
        if version > _SCHEMA_VERSION:
            raise EmbeddedCoreError(
                f"{self._name} was made by a newer flask-stsession (schema {version}, this one knows"
                f" {_SCHEMA_VERSION}): update flask-stsession, or name another file"
            )
        return version

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        # SQLite does not wait its busy timeout here: the switch needs the file for itself for a moment,
        # and those who start at once would block each other.
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)


def _make_private_file(name: str) -> None:
    path = Path(name)
    if not name or path.is_dir():
        raise EmbeddedCoreError(
            f"{name!r} is not a file: name a file for the embedded core's database, or {IN_MEMORY}"
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It holds private keys. SQLite gives the files it makes beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EmbeddedCoreError(
            f"the embedded core's database {name} cannot be made or written ({reason}):"
            " make its folder writable for this user, or name another file"
        ) from error


def _is_busy(error: sqlite3.OperationalError) -> bool:
    # The numeric code is known from Python 3.11 on.
    return "locked" in str(error) or "busy" in str(error)


@contextlib.contextmanager
def _busy_is_ours() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise DatabaseBusyError(str(error)) from error
        raise
