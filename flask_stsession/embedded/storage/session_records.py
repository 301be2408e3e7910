"""The table of sessions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from ..crypto import compact_json

#: Expired sessions deleted with each new one: more than one, so that they never pile up, and few enough to
#: cost little.
_PURGED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session; a row of the table, whose columns are these fields. Times in ms.

    :param current_hash2: SHA-256 of SHA-256 of the current refresh token.
    :param previous_hash2: the same of the refresh token before it; None if it never rotated.
    :param rotated_at: when the previous refresh token stopped being current.
    :param dynamic_key: whether a dynamic key signs the session's access tokens.
    """

    handle: str
    tenant_id: str
    user_id: str
    current_hash2: str
    previous_hash2: str | None
    rotated_at: int
    data_in_jwt: dict[str, Any]
    data_in_database: dict[str, Any]
    dynamic_key: bool
    created_at: int
    expires_at: int

    def with_key(self, dynamic: bool) -> SessionRecord:
        """Return the record with the given kind of signing key."""
        return replace(self, dynamic_key=dynamic)

    def with_current(self, hash2: str) -> SessionRecord:
        """Return the record with the given current refresh token."""
        return replace(self, current_hash2=hash2)


_COLUMNS: Final = tuple(each.name for each in fields(SessionRecord))
_JSON_COLUMNS: Final = frozenset({"data_in_jwt", "data_in_database"})
_INSERT: Final = f"INSERT INTO sessions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM sessions"  # noqa: S608


class SessionTable:
    """Reads and writes sessions in the caller's transaction. An expired session counts as missing.

    :param now: the time now, ms.
    """

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self.now = now

    def insert(self, record: SessionRecord) -> None:
        """Store a new session."""
        values = {name: getattr(record, name) for name in _COLUMNS}
        values.update((name, compact_json(values[name])) for name in _JSON_COLUMNS)
        self._connection.execute(_INSERT, tuple(values.values()))

    def find(self, handle: str) -> SessionRecord | None:
        """Return a session, or None if there is none."""
        row = self._connection.execute(
            f"{_SELECT} WHERE handle = ? AND expires_at > ?", (handle, self.now)
        ).fetchone()
        return None if row is None else _record(row)

    def of_user(self, user_id: str, tenant_id: str | None) -> list[SessionRecord]:
        """Return a user's sessions, in one tenant or (None) in all."""
        rows = self._connection.execute(
            f"{_SELECT} WHERE user_id = ? AND expires_at > ? AND (? IS NULL OR tenant_id = ?)",
            (user_id, self.now, tenant_id, tenant_id),
        )
        return [_record(row) for row in rows]

    def handles_of_user(self, user_id: str, tenant_id: str | None) -> list[str]:
        """Return the handles of a user's sessions, in one tenant or (None) in all."""
        rows = self._connection.execute(
            "SELECT handle FROM sessions WHERE user_id = ? AND expires_at > ?"
            " AND (? IS NULL OR tenant_id = ?)",
            (user_id, self.now, tenant_id, tenant_id),
        )
        return [str(row[0]) for row in rows]

    def delete(self, handles: Iterable[str]) -> list[str]:
        """Delete sessions, including expired ones still stored; return the handles of those deleted."""
        return [
            handle for handle in handles if self._changes_one("DELETE FROM sessions WHERE handle = ?", handle)
        ]

    def rotate(self, record: SessionRecord, new_hash2: str, expires_at: int) -> None:
        """Make another refresh token current; the current one becomes the previous one."""
        self._connection.execute(
            "UPDATE sessions SET current_hash2 = ?, previous_hash2 = ?, rotated_at = ?, expires_at = ?"
            " WHERE handle = ?",
            (new_hash2, record.current_hash2, self.now, expires_at, record.handle),
        )

    def displace(self, record: SessionRecord, new_hash2: str, expires_at: int) -> None:
        """Make another refresh token current; the previous one and its grace period stay as they are."""
        self._connection.execute(
            "UPDATE sessions SET current_hash2 = ?, expires_at = ? WHERE handle = ?",
            (new_hash2, expires_at, record.handle),
        )

    def use_dynamic_key(self, record: SessionRecord, dynamic: bool) -> None:
        """Change the kind of key that signs a session's access tokens."""
        self._connection.execute(
            "UPDATE sessions SET dynamic_key = ? WHERE handle = ?", (dynamic, record.handle)
        )

    def set_data_in_jwt(self, handle: str, data: dict[str, Any]) -> bool:
        """Replace the user's data in the access token; return whether the session exists."""
        return self._changes_one(
            "UPDATE sessions SET data_in_jwt = ? WHERE handle = ? AND expires_at > ?",
            compact_json(data),
            handle,
            self.now,
        )

    def set_data_in_database(self, handle: str, data: dict[str, Any]) -> bool:
        """Replace the user's data in the database; return whether the session exists."""
        return self._changes_one(
            "UPDATE sessions SET data_in_database = ? WHERE handle = ? AND expires_at > ?",
            compact_json(data),
            handle,
            self.now,
        )

    def purge(self) -> None:
        """Delete some expired sessions."""
        self._connection.execute(
            "DELETE FROM sessions WHERE handle IN"
            " (SELECT handle FROM sessions WHERE expires_at <= ? LIMIT ?)",
            (self.now, _PURGED_AT_ONCE),
        )

    def _changes_one(self, statement: str, *values: object) -> bool:
        return self._connection.execute(statement, values).rowcount > 0


def _record(row: tuple[Any, ...]) -> SessionRecord:
    values = dict(zip(_COLUMNS, row, strict=True))
    values.update((name, json.loads(values[name])) for name in _JSON_COLUMNS)
    return SessionRecord(**{**values, "dynamic_key": bool(values["dynamic_key"])})


def same_json(one: object, other: object) -> bool:
    """Return whether two values are the same JSON; to Python, 1, 1.0 and True are equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
