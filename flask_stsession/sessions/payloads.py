"""What users put into sessions: is it JSON, is it theirs to set, and does it fit into a cookie?

All of it is checked before anything is written.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from ..constants import ACCESS_TOKEN_COOKIE, LARGE_TOKEN_BYTES, MAX_COOKIE_BYTES, PROTECTED_CLAIMS
from ..errors import ConfigError, ProtectedClaimError

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Deeper than anybody's data; what contains itself has no depth at all.
_MAX_DEPTH = 100
#: Bytes of an access token beside its payload: header, RS256 signature (RSA-2048), dots.
_JWT_BYTES = 450
#: Bytes of the payload that are the session's own, beside its ids: keys, times, hashes, anti-CSRF token.
_OWN_BYTES = 360

#: What is often put into a session and is not JSON, and what to write instead.
_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((set, frozenset), "write sorted(...) for a list"),
    (date, "write .isoformat(), or .timestamp() of a datetime"),
    ((bytes, bytearray, memoryview), "write text, by base64 for example"),
    (Decimal, "write str(...) to keep every digit"),
    (UUID, "write str(...)"),
)


def json_object(value: Mapping[str, Any], *, argument: str) -> dict[str, Any]:
    """A copy of a mapping in which everything is JSON; tuples become lists.

    :param argument: what the caller calls it, for messages.
    :raises TypeError: something in it is not JSON; the message says where, and what to write instead.
    :raises ValueError: a number that JSON does not have, or no end to the nesting.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument} must be a dict, not {type(value).__name__}.")
    copied: dict[str, Any] = _json_value(value, argument, _MAX_DEPTH)
    return copied


def _json_value(value: Any, place: str, depth: int) -> Any:
    if isinstance(value, str):
        return _checked_text(value, place)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise ValueError(f"{place} is {value!r}, a number that JSON does not have: write None.")
    if isinstance(value, Mapping | list | tuple):
        if not depth:
            raise ValueError(
                f"{place:.200} is nested too deeply: it has over {_MAX_DEPTH} levels, or contains itself."
            )
        if isinstance(value, Mapping):
            return {
                _checked_key(key, place): _json_value(item, f"{place}[{key!r}]", depth - 1)
                for key, item in value.items()
            }
        return [_json_value(item, f"{place}[{index}]", depth - 1) for index, item in enumerate(value)]
    remedy = next(
        (words for types, words in _REMEDIES if isinstance(value, types)), "write what it consists of"
    )
    raise TypeError(f"{place} is of type {type(value).__name__}, which JSON does not have: {remedy}.")


def _checked_text(text: str, place: str) -> str:
    # JSON can escape half a surrogate pair; UTF-8, and so the core's database, has no such thing.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            f"{place} is text with half a surrogate pair in it, which UTF-8 does not have: write "
            'text.encode("utf-8", "replace").decode().'
        )
    return text


def _checked_key(key: object, place: str) -> str:
    if isinstance(key, str):
        return _checked_text(key, f"a key of {place}")
    raise TypeError(
        f"{place} has the key {key!r:.100} of type {type(key).__name__}, but keys of JSON objects are text: "
        "write str(...)."
    )


def merged(payload: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """``payload`` without the session's own keys, with ``update`` in it; ``None`` removes a key.

    :raises ProtectedClaimError: when ``update`` names a key of the session's own.
    :raises TypeError: ``update`` is not JSON.
    """
    update = json_object(update, argument="access_token_payload")
    for key in update:
        if key in PROTECTED_CLAIMS:
            raise ProtectedClaimError(key)
    kept = {key: value for key, value in payload.items() if key not in PROTECTED_CLAIMS and key not in update}
    kept.update((key, value) for key, value in update.items() if value is not None)
    return kept


def without_protected(payload: Mapping[str, Any]) -> dict[str, Any]:
    """``payload`` without the session's own keys, which are named in the log."""
    dropped = [key for key in payload if key in PROTECTED_CLAIMS]
    if dropped:
        logger.warning(
            "Keys of access_token_payload that belong to the session itself were dropped: %s.",
            ", ".join(dropped),
        )
    return {key: value for key, value in payload.items() if key not in PROTECTED_CLAIMS}


def refuse_oversize(payload: Mapping[str, Any], *, user_id: str, recipe_user_id: str, tenant_id: str) -> None:
    """Warn of an access token that is about to outgrow a cookie; refuse one that does.

    Before the core makes the token, so that nothing is written. An estimate therefore, by a few dozen bytes
    on the safe side.

    :param payload: the user's keys.
    :raises ConfigError: the cookie would have more bytes than browsers keep.
    """
    sizes = {key: _json_bytes({key: value}) - 1 for key, value in payload.items()}
    own = _OWN_BYTES + _json_bytes([user_id, recipe_user_id, tenant_id, tenant_id])
    estimate = _JWT_BYTES + (sum(sizes.values()) + own) * 4 // 3  # base64 makes 4 of 3
    if estimate <= LARGE_TOKEN_BYTES:
        return
    largest = sorted(sizes, key=lambda key: sizes[key], reverse=True)[:3]
    named = ", ".join(f"{key!r} ({sizes[key]} bytes)" for key in largest)
    if estimate + len(ACCESS_TOKEN_COOKIE) + 1 > MAX_COOKIE_BYTES:
        raise ConfigError(
            f"The access token would have about {estimate} bytes, more than browsers keep in a cookie "
            f"({MAX_COOKIE_BYTES}). Nothing was written. Largest keys of its payload: {named}. Keep "
            "large values in session_data_in_database, or send tokens by header."
        )
    logger.warning(
        "An access token of about %d bytes comes close to what browsers keep in a cookie (%d). "
        "Largest keys of its payload: %s.",
        estimate,
        MAX_COOKIE_BYTES,
        named,
    )


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
