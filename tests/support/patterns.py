"""Patterns that responses must match, and references to what was received before.

Both kinds of recorded conversations are written in them. ``${step.path}`` in a request, and ``{"$same": …}``
in a pattern, stand for what an earlier step of the same run received; ``#payload.x`` and ``#header.x`` behind
a path look into a JWT, ``|filter`` changes the value. What a pattern does not list must be absent.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: Values that are new in every run and have a known shape.
_SHAPES: Final[Mapping[str, str]] = {
    "uuid": _UUID,
    "session_handle": _UUID + "(_[a-z0-9-]+)?",
    "sha256hex": "[0-9a-f]{64}",
    "refresh_token": r"[^.]+\.[0-9a-f]{64}\.V2",
    "dynamic_kid": r"d-\d{13}",
    "static_kid": "s-[0-9a-f-]{36}",
    "kid": r"d-\d{13}|s-[0-9a-f-]{36}",
    "base64url": "[A-Za-z0-9_-]+",
    "opaque": ".+",
    "text": "(?s:.*)",
}
#: Times must be of these years: about ten around now, in s.
_NEAR: Final = 3e8
_REFERENCE: Final = re.compile(r"\$\{([^}]+)\}")


class Run:
    """One run of a conversation: what its steps have received so far.

    :param received: what is known at the beginning, by step.
    :param filters: changes to values, by name.
    """

    def __init__(
        self,
        received: Mapping[str, Any] | None = None,
        filters: Mapping[str, Callable[[str], str]] | None = None,
    ) -> None:
        self.received: dict[str, Any] = dict(received or {})
        self._filters = filters or {}

    def look_up(self, reference: str) -> Any:
        """Return what a reference stands for.

        :raises LookupError: no step has received it.
        """
        reference, *filters = reference.split("|")
        path, _, inside = reference.partition("#")
        found = _walk(self.received, path)
        if inside:
            found = _walk(decode_jwt(found), inside)
        for name in filters:
            found = self._filters[name](found)
        return found

    def fill(self, template: Any) -> Any:
        """Return a template with its references replaced."""
        if isinstance(template, dict):
            return {key: self.fill(value) for key, value in template.items()}
        if isinstance(template, list):
            return [self.fill(item) for item in template]
        if not isinstance(template, str):
            return template
        whole = _REFERENCE.fullmatch(template)
        if whole is not None:
            return self.look_up(whole[1])
        return _REFERENCE.sub(lambda found: str(self.look_up(found[1])), template)

    def match(self, pattern: Any, actual: Any, where: str) -> list[str]:
        """Return how a value does not match a pattern; nothing if it does.

        :param where: begins every line.
        """
        if isinstance(pattern, dict):
            if len(pattern) == 1 and next(iter(pattern)).startswith("$"):
                ((kind, argument),) = pattern.items()
                return self._match_special(kind, argument, actual, where)
            return self._match_object(pattern, actual, where)
        if isinstance(pattern, list):
            if not isinstance(actual, list) or len(actual) != len(pattern):
                return [f"{where}: {actual!r} is not {pattern!r}"]
            pairs = enumerate(zip(pattern, actual, strict=True))
            return [found for place, pair in pairs for found in self.match(*pair, f"{where}[{place}]")]
        expected = self.fill(pattern)
        is_same = type(expected) is type(actual) and expected == actual
        return [] if is_same else [f"{where}: {actual!r} is not {expected!r}"]

    def _match_object(self, pattern: Mapping[str, Any], actual: Any, where: str) -> list[str]:
        if not isinstance(actual, dict):
            return [f"{where}: {actual!r} is not an object"]
        problems = [f"{where}.{key}: missing" for key in pattern.keys() - actual.keys()]
        problems += [f"{where}.{key}: unexpected {actual[key]!r}" for key in actual.keys() - pattern.keys()]
        for key in pattern.keys() & actual.keys():
            problems += self.match(pattern[key], actual[key], f"{where}.{key}")
        return problems

    def _match_special(self, kind: str, argument: Any, actual: Any, where: str) -> list[str]:
        match kind:
            case "$any":
                return []
            case "$same":
                expected = self.look_up(argument)
                is_same = actual == expected
                return [] if is_same else [f"{where}: {actual!r} is not {expected!r} of {argument}"]
            case "$type":
                return (
                    [] if _has_type(argument, actual) else [f"{where}: {actual!r} is not of type {argument}"]
                )
            case "$re":
                fits = isinstance(actual, str) and re.match(argument, actual) is not None
                return [] if fits else [f"{where}: {actual!r} does not match {argument}"]
            case "$jwt":
                try:
                    decoded = decode_jwt(actual)
                except (ValueError, AttributeError) as error:
                    return [f"{where}: {actual!r} is not a JWT ({error})"]
                return self.match(argument, decoded, f"{where}#")
            case "$each":
                if not isinstance(actual, list) or not actual:
                    return [f"{where}: {actual!r} is not a list with items"]
                return [found for item in actual for found in self.match(argument, item, where)]
            case "$oneOf":
                fits = any(not self.match(option, actual, where) for option in argument)
                return [] if fits else [f"{where}: {actual!r} is none of {argument!r}"]
            case "$set":
                return self._match_in_any_order(argument, actual, where)
        raise ValueError(f"{where}: unknown pattern {kind}")

    def _match_in_any_order(self, patterns: list[Any], actual: Any, where: str) -> list[str]:
        if not isinstance(actual, list) or len(actual) != len(patterns):
            return [f"{where}: {actual!r} does not have {len(patterns)} items"]
        left = list(actual)
        for pattern in patterns:
            fitting = [item for item in left if not self.match(pattern, item, where)]
            if not fitting:
                return [f"{where}: nothing in {actual!r} is {pattern!r}"]
            left.remove(fitting[0])
        return []

    def check_range(self, rule: Mapping[str, Any], where: str) -> list[str]:
        """Return what is wrong with a number, or the difference of two, that has to be in a range."""
        value = self.look_up(rule["value"]) - (self.look_up(rule["minus"]) if "minus" in rule else 0)
        return [] if rule["min"] <= value <= rule["max"] else [f"{where}: {value} is not as {rule} says"]


def decode_jwt(token: str) -> dict[str, Any]:
    """Return ``header`` and ``payload`` of a JWT without checking its signature."""
    header, payload, _ = token.split(".")
    return {"header": decode_part(header), "payload": decode_part(payload)}


def decode_part(part: str) -> Any:
    """Return the JSON in one part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _walk(node: Any, path: str) -> Any:
    for part in path.split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def _has_type(name: str, actual: Any) -> bool:
    if name == "number":
        return type(actual) in (int, float)
    if name in ("ms", "s"):
        seconds = 1000 if name == "ms" else 1
        return type(actual) is int and abs(actual / seconds - time.time()) < _NEAR
    return isinstance(actual, str) and re.fullmatch(_SHAPES[name], actual) is not None
