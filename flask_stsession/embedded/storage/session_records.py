"""The table of sessions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..crypto import compact_json

#: Expired sessions deleted along with one write: more than can be made by it, so that they never pile up,
#: and few enough not to be felt.
_PURGED_AT_ONCE: Final = 100

_COLUMNS: Final = (
    "handle, tenant_id, user_id, current_hash2, previous_hash2, rotated_at, data_in_jwt, data_in_database,"
    " dynamic_key, created_at, expires_at"
)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session; times in ms.

    :param current_hash2: SHA-256 of SHA-256 of the current refresh token.
    :param previous_hash2: the same of the one before it, if it was ever rotated.
    :param rotated_at: when the previous one stopped being current.
    :param dynamic_key: whether a dynamic key signs its access tokens.
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
        """Return the record with the other kind of key."""
        return replace(self, dynamic_key=dynamic)

    def with_current(self, hash2: str) -> SessionRecord:
        """Return the record with another current refresh token."""
        return replace(self, current_hash2=hash2)


class SessionTable:
    """Reads and writes sessions in a transaction of the caller's; expired ones are not there.

    :param now: the time now, ms.
    """

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self.now = now

    def insert(self, record: SessionRecord) -> None:
        """Store a new session."""
        self._connection.execute(
            f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                record.handle,
                record.tenant_id,
                record.user_id,
                record.current_hash2,
                record.previous_hash2,
                record.rotated_at,
                compact_json(record.data_in_jwt),
                compact_json(record.data_in_database),
                record.dynamic_key,
                record.created_at,
                record.expires_at,
            ),
        )

    def find(self, handle: str) -> SessionRecord | None:
        """Return a session, if there is one."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM sessions WHERE handle = ? AND expires_at > ?",  # noqa: S608
            (handle, self.now),
        ).fetchone()
        if row is None:
            return None
        return SessionRecord(
            handle=row[0],
            tenant_id=row[1],
            user_id=row[2],
            current_hash2=row[3],
            previous_hash2=row[4],
            rotated_at=row[5],
            data_in_jwt=json.loads(row[6]),
            data_in_database=json.loads(row[7]),
            dynamic_key=bool(row[8]),
            created_at=row[9],
            expires_at=row[10],
        )

    def handles_of_user(self, user_id: str, tenant_id: str | None) -> list[str]:
        """Return a user's sessions, of one tenant or (None) of all."""
        rows = self._connection.execute(
            "SELECT handle FROM sessions WHERE user_id = ? AND expires_at > ?"
            " AND (? IS NULL OR tenant_id = ?)",
            (user_id, self.now, tenant_id, tenant_id),
        )
        return [str(row[0]) for row in rows]

    def delete(self, handles: Iterable[str]) -> list[str]:
        """Delete sessions and return those that were there."""
        deleted = []
        for handle in handles:
            cursor = self._connection.execute(
                "DELETE FROM sessions WHERE handle = ? AND expires_at > ?", (handle, self.now)
            )
            if cursor.rowcount:
                deleted.append(handle)
        return deleted

    def rotate(self, record: SessionRecord, new_hash2: str, expires_at: int) -> None:
        """Make another refresh token current; the one in the record becomes the previous."""
        self._connection.execute(
            "UPDATE sessions SET current_hash2 = ?, previous_hash2 = ?, rotated_at = ?, expires_at = ?"
            " WHERE handle = ?",
            (new_hash2, record.current_hash2, self.now, expires_at, record.handle),
        )

    def displace(self, record: SessionRecord, new_hash2: str, expires_at: int) -> None:
        """Make another refresh token current; the previous one stays, and so does its grace period."""
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
        """Replace the user's data for the access token; False: no such session."""
        return self._set(handle, "data_in_jwt", data)

    def set_data_in_database(self, handle: str, data: dict[str, Any]) -> bool:
        """Replace the user's data that stay in the database; False: no such session."""
        return self._set(handle, "data_in_database", data)

    def purge(self) -> None:
        """Delete some expired sessions."""
        self._connection.execute(
            "DELETE FROM sessions WHERE handle IN"
            " (SELECT handle FROM sessions WHERE expires_at <= ? LIMIT ?)",
            (self.now, _PURGED_AT_ONCE),
        )

    def _set(self, handle: str, column: str, data: dict[str, Any]) -> bool:
        cursor = self._connection.execute(
            f"UPDATE sessions SET {column} = ? WHERE handle = ? AND expires_at > ?",  # noqa: S608
            (compact_json(data), handle, self.now),
        )
        return cursor.rowcount > 0


def same_json(one: object, other: object) -> bool:
    """Tell whether two values are the same JSON; Python alone would take 1, 1.0 and True for equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
