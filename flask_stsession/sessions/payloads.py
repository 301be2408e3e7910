"""Check the data that apps put into sessions: it must be JSON serializable, without the session's own keys.

All checks run before anything is written.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

from ..constants import PROTECTED_CLAIMS
from ..errors import ProtectedClaimError
from .ids import utf8_text

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Deeper than real data. The nesting of a value that contains itself never ends.
_MAX_DEPTH = 100
#: The whole numbers that a core's database can store (64 bits).
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**63 - 1
#: Beyond this, JavaScript, and so a browser, skips whole numbers (RFC 8259, 6, stops one before it).
_LARGEST_EXACT = 2**53

#: Types that apps often put into a session although they are not JSON, and what to write instead. By name,
#: since importing ``uuid`` takes longer than any module of ours.
_REMEDIES: Final = {
    "set": "write sorted(...) for a list",
    "frozenset": "write sorted(...) for a list",
    "date": "write .isoformat(), or .timestamp() of a datetime",
    "bytes": "write text, by base64 for example",
    "bytearray": "write text, by base64 for example",
    "memoryview": "write text, by base64 for example",
    "Decimal": "write str(...) to keep every digit",
    "UUID": "write str(...)",
}


def json_object(value: Mapping[str, Any], *, argument: str) -> dict[str, Any]:
    """Return a JSON serializable copy of a mapping; tuples become lists.

    :param argument: the name of the argument, for messages.
    :raises TypeError: a value is not JSON serializable; the message says which, and what to write instead.
    :raises ValueError: it has a number that JSON or a core cannot represent, text that UTF-8 cannot encode,
        or more than 100 levels of nesting.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument} must be a dict, not {type(value).__name__}.")
    copied: dict[str, Any] = _json_value(value, argument, _MAX_DEPTH) if value else {}
    return copied


def _json_value(value: Any, place: str, depth: int) -> Any:
    if isinstance(value, str):
        return utf8_text(value, place)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
            return value
        raise ValueError(f"{place} is a whole number of over 64 bits, too large for a core: write str(...).")
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
    names = [each.__name__ for each in type(value).__mro__]
    remedy = next((_REMEDIES[name] for name in names if name in _REMEDIES), "write its data as JSON types")
    raise TypeError(f"{place} is of type {type(value).__name__}, which JSON does not have: {remedy}.")


def _checked_key(key: object, place: str) -> str:
    if isinstance(key, str):
        return utf8_text(key, f"a key of {place}")
    raise TypeError(
        f"{place} has the key {key!r:.100} of type {type(key).__name__}, but keys of JSON objects are text: "
        "write str(...)."
    )


def warn_of_inexact_integers(payload: Mapping[str, Any]) -> None:
    """Warn of whole numbers that a browser cannot read exactly."""
    for key, value in payload.items():
        if not isinstance(value, str) and _holds_inexact_integer(value):
            logger.warning(
                "The key %r of access_token_payload holds a whole number beyond 2**53. JavaScript cannot "
                "represent it, so a browser reads another number: write str(...).",
                key,
            )


def _holds_inexact_integer(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_inexact_integer, value.values()))
    if isinstance(value, list):
        return any(map(_holds_inexact_integer, value))
    return isinstance(value, int) and abs(value) > _LARGEST_EXACT


def checked_update(update: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked copy of the keys to merge into a payload; warn of what a browser cannot read.

    :raises ProtectedClaimError: a key belongs to the session itself.
    :raises TypeError: a value is not JSON serializable.
    """
    update = json_object(update, argument="access_token_payload")
    for key in update:
        if key in PROTECTED_CLAIMS:
            raise ProtectedClaimError(key)
    warn_of_inexact_integers(update)
    return update


def merged(payload: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``payload`` without the session's own keys, with ``update`` in it; ``None`` removes a key."""
    kept = {key: value for key, value in payload.items() if key not in PROTECTED_CLAIMS and key not in update}
    kept.update((key, value) for key, value in update.items() if value is not None)
    return kept


def without_protected(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``payload`` without the session's own keys, and name those in the log."""
    if not any(map(payload.__contains__, PROTECTED_CLAIMS)):
        return dict(payload)
    logger.warning(
        "Keys of access_token_payload that belong to the session itself were dropped: %s.",
        ", ".join(key for key in payload if key in PROTECTED_CLAIMS),
    )
    return {key: value for key, value in payload.items() if key not in PROTECTED_CLAIMS}
