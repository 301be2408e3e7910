"""User metadata: one JSON object per user."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from ..crypto import compact_json
from ..request import Answer, CoreRequest, Route
from ..storage.store import Store


class MetadataOperations:
    """Read, merge and remove the metadata of users."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Return the operations."""
        return [
            Route("GET", "/recipe/user/metadata", self.get),
            Route("PUT", "/recipe/user/metadata", self.merge),
            Route("POST", "/recipe/user/metadata/remove", self.remove),
        ]

    def get(self, request: CoreRequest) -> Answer:
        """Return the metadata of a user."""
        user_id = request.parameter("userId")
        with self._store.read() as connection:
            return {"metadata": _find(connection, user_id), "status": "OK"}

    def merge(self, request: CoreRequest) -> Answer:
        """Replace top-level keys of the metadata of a user; ``null`` removes a key."""
        user_id, update = request.text("userId"), request.object("metadataUpdate")
        with self._store.write() as connection:
            merged = {**_find(connection, user_id), **update}
            metadata = {key: value for key, value in merged.items() if value is not None}
            connection.execute(
                "INSERT OR REPLACE INTO user_metadata (user_id, metadata) VALUES (?, ?)",
                (user_id, compact_json(metadata)),
            )
        return {"metadata": metadata, "status": "OK"}

    def remove(self, request: CoreRequest) -> Answer:
        """Delete the metadata of a user."""
        user_id = request.text("userId")
        with self._store.write() as connection:
            connection.execute("DELETE FROM user_metadata WHERE user_id = ?", (user_id,))
        return {"status": "OK"}


def _find(connection: sqlite3.Connection, user_id: str) -> dict[str, Any]:
    row = connection.execute("SELECT metadata FROM user_metadata WHERE user_id = ?", (user_id,)).fetchone()
    found: dict[str, Any] = {} if row is None else json.loads(row[0])
    return found
