"""The tables of the embedded core, and the steps that bring an earlier release's file up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from ..errors import EmbeddedCoreError

#: Marks a file as this package's, in SQLite's header ("stse" in ASCII).
APPLICATION_ID: Final = 0x73747365

_FIRST_RELEASE: Final = (
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
#: A random id, so that a process notices if its database has been replaced by another one.
_IDENTITY: Final = (
    "CREATE TABLE identity (id BLOB NOT NULL)",
    "INSERT INTO identity (id) VALUES (randomblob(16))",
)

#: ``STEPS[n]`` leads from ``user_version`` n to n + 1. A step that was released never changes; a new one is
#: appended. A step only adds, since processes of the previous release may still be using the file.
#: All times are ms since the epoch, unless the column's name says otherwise.
STEPS: Final[Sequence[Sequence[str]]] = (_FIRST_RELEASE, _IDENTITY)


def read_version(connection: sqlite3.Connection, name: str, steps: Sequence[Sequence[str]] = STEPS) -> int:
    """Return the ``user_version`` of a database; 0 if it is empty.

    :param name: the database, for messages.
    :raises EmbeddedCoreError: it belongs to another application or a newer release.
    """
    # In one statement: another process may be creating the tables at this moment.
    version, mark, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if mark != APPLICATION_ID and (tables or mark or version):
        raise EmbeddedCoreError(f"{name} is the database of another application: name another file")
    if version > len(steps):
        raise EmbeddedCoreError(
            f"{name} was made by a newer flask-stsession (schema {version}, this one knows {len(steps)}):"
            " update flask-stsession, or name another file"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, version: int, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Bring the tables from ``version`` up to date, in the caller's transaction."""
    for step in steps[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={len(steps)}")


def read_identity(connection: sqlite3.Connection) -> bytes:
    """Return the random id that distinguishes this database from any other."""
    return bytes(connection.execute("SELECT id FROM identity").fetchone()[0])
