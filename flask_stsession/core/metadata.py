"""The core's calls about the metadata of users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .calls import CallGroup

_RID = "usermetadata"


class UserMetadataCalls(CallGroup):
    """Calls about the metadata of users: one JSON object for each."""

    def get_user_metadata(self, user_id: str) -> dict[str, Any]:
        """Return the metadata of a user; ``{}`` if there is none.

        :raises CoreUnavailableError: no response.
        """
        reply = self._client.get(_RID, "/recipe/user/metadata", {"userId": user_id})
        return reply.expect_ok().mapping("metadata")

    def update_user_metadata(self, user_id: str, update: Mapping[str, Any]) -> dict[str, Any]:
        """Replace top-level keys of a user's metadata, and return all of it; safe to send again.

        :param update: keys to replace; ``None`` removes a key.
        :raises CoreUnavailableError: no response.
        """
        body = {"userId": user_id, "metadataUpdate": dict(update)}
        return self._client.put(_RID, "/recipe/user/metadata", body).expect_ok().mapping("metadata")

    def clear_user_metadata(self, user_id: str) -> None:
        """Delete all metadata of a user; safe to send again.

        :raises CoreUnavailableError: no response.
        """
        body = {"userId": user_id}
        self._client.post(_RID, "/recipe/user/metadata/remove", body, repeatable=True).expect_ok()
