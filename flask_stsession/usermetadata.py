"""Store metadata about users: one JSON object per user, kept in the core.

::

    from flask_stsession import usermetadata

    usermetadata.update_user_metadata("alice", {"theme": "dark", "newsletter": None})
    usermetadata.get_user_metadata("alice")  # {"theme": "dark"}

The names are those of supertokens-python. Unlike there, plain values are returned. The metadata belongs to
the user in all tenants. All functions ask the core of the current app at once, without any cache.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses, and ``RuntimeError`` outside of an app context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .arguments import checked_user_id
from .core.metadata import UserMetadataCalls
from .sessions.payloads import json_object
from .web.context import current_app_state

__all__ = ["clear_user_metadata", "get_user_metadata", "update_user_metadata"]


def get_user_metadata(user_id: str) -> dict[str, Any]:
    """Return the metadata of a user; ``{}`` if there is none."""
    return _metadata().get_user_metadata(checked_user_id(user_id))


def update_user_metadata(user_id: str, metadata_update: Mapping[str, Any]) -> dict[str, Any]:
    """Replace top-level keys of a user's metadata, and return all of it.

    :param metadata_update: JSON object; ``None`` as a value removes the key. Nested objects are replaced as
        a whole, not merged.
    :raises TypeError: a value is not JSON serializable; the message says which, and what to write instead.
    :raises ValueError: a number that JSON or a core cannot represent.
    """
    update = json_object(metadata_update, argument="metadata_update")
    return _metadata().update_user_metadata(checked_user_id(user_id), update)


def clear_user_metadata(user_id: str) -> None:
    """Delete all metadata of a user."""
    _metadata().clear_user_metadata(checked_user_id(user_id))


def _metadata() -> UserMetadataCalls:
    return UserMetadataCalls(current_app_state().manager.client)
