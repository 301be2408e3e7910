"""Replays recorded conversations with a SuperTokens core against any core.

Every file in ``data/cdi`` is one conversation, recorded from a SuperTokens core 12: its steps are a
request and the pattern that the response must match. ``${step.path}`` in a request, and ``{"$same": …}``
in a pattern, stand for what an earlier step of the same run received; ``#payload.x`` and ``#header.x``
behind a path look into a JWT.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import requests

CASES: Final = Path(__file__).parents[1] / "data" / "cdi"

_TIMEOUT_SECONDS: Final = 20
#: Values that are new in every run and have a known shape.
_SHAPES: Final[Mapping[str, str]] = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "session_handle": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(_[a-z0-9-]+)?",
    "sha256hex": r"[0-9a-f]{64}",
    "refresh_token": r"[^.]+\.[0-9a-f]{64}\.V2",
    "dynamic_kid": r"d-\d{13}",
    "static_kid": r"s-[0-9a-f-]{36}",
    "base64url": r"[A-Za-z0-9_-]+",
    "opaque": r".+",
}
#: Times must be of these years: about ten around now, seconds.
_NEAR: Final = 3e8
_REFERENCE: Final = re.compile(r"\$\{([^}]+)\}")


class Replay:
    """One run of one conversation.

    :param session: sends the requests; a transport for the core's address may be mounted on it.
    :param core: the core's address.
    :param api_key: shown with every request that brings none of its own.
    :param sleep: lets so many seconds pass for the core.
    """

    def __init__(
        self,
        session: requests.Session,
        core: str,
        api_key: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._core = core.rstrip("/")
        self._api_key = api_key
        self._sleep = sleep
        self._received: dict[str, Any] = {}
        self._problems: list[str] = []

    def run(self, case: Mapping[str, Any]) -> list[str]:
        """Go through the steps and return what did not match; nothing, if all did."""
        for step in case["steps"]:
            if "sleep" in step:
                self._sleep(step["sleep"])
                continue
            name, expected = step["id"], step["response"]
            try:
                status, body = self._send(step["request"])
            except (KeyError, IndexError, TypeError, ValueError) as error:
                self._problems.append(f"{name}: an earlier response lacks {error!r}")
                break
            self._received[name] = body
            if status != expected["status"]:
                self._problems.append(f"{name}: HTTP {status} instead of {expected['status']}: {body!r:.200}")
                continue
            self._problems += self._match(expected["body"], body, name)
            for rule in step.get("checks", []):
                self._check_difference(rule, name)
        return self._problems

    def _send(self, request: Mapping[str, Any]) -> tuple[int, Any]:
        headers = dict(request.get("headers") or {})
        if request.get("cdi"):
            headers["cdi-version"] = request["cdi"]
        if self._api_key is not None:
            headers.setdefault("api-key", self._api_key)
        body: bytes | None = None
        if "json" in request:
            body = json.dumps(self._fill(request["json"])).encode()
        elif "raw" in request:
            body = request["raw"].encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        response = self._session.request(
            request["method"],
            self._core + self._fill(request["path"]),
            params=self._fill(request.get("query") or {}),
            data=body,
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
        )
        try:
            return response.status_code, response.json()
        except ValueError:
            return response.status_code, response.text.strip()

    # References to what was received

    def _look_up(self, reference: str) -> Any:
        path, _, inside = reference.partition("#")
        found = _walk(self._received, path)
        return _walk(decode_jwt(found), inside) if inside else found

    def _fill(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {key: self._fill(value) for key, value in template.items()}
        if isinstance(template, list):
            return [self._fill(item) for item in template]
        if not isinstance(template, str):
            return template
        whole = _REFERENCE.fullmatch(template)
        if whole is not None:
            return self._look_up(whole[1])
        return _REFERENCE.sub(lambda found: str(self._look_up(found[1])), template)

    # Patterns

    def _match(self, pattern: Any, actual: Any, where: str) -> list[str]:
        if isinstance(pattern, dict):
            if len(pattern) == 1 and next(iter(pattern)).startswith("$"):
                ((kind, argument),) = pattern.items()
                return self._match_special(kind, argument, actual, where)
            return self._match_object(pattern, actual, where)
        if isinstance(pattern, list):
            if not isinstance(actual, list) or len(actual) != len(pattern):
                return [f"{where}: {actual!r} is not {pattern!r}"]
            pairs = enumerate(zip(pattern, actual, strict=True))
            return [found for place, pair in pairs for found in self._match(*pair, f"{where}[{place}]")]
        if type(pattern) is not type(actual) or pattern != actual:
            return [f"{where}: {actual!r} is not {pattern!r}"]
        return []

    def _match_object(self, pattern: Mapping[str, Any], actual: Any, where: str) -> list[str]:
        if not isinstance(actual, dict):
            return [f"{where}: {actual!r} is not an object"]
        problems = [f"{where}.{key}: missing" for key in pattern.keys() - actual.keys()]
        problems += [f"{where}.{key}: unexpected {actual[key]!r}" for key in actual.keys() - pattern.keys()]
        for key in pattern.keys() & actual.keys():
            problems += self._match(pattern[key], actual[key], f"{where}.{key}")
        return problems

    def _match_special(self, kind: str, argument: Any, actual: Any, where: str) -> list[str]:
        if kind == "$any":
            return []
        if kind == "$same":
            expected = self._look_up(argument)
            return [] if actual == expected else [f"{where}: {actual!r} is not {expected!r} of {argument}"]
        if kind == "$type":
            return [] if _has_type(argument, actual) else [f"{where}: {actual!r} is not of type {argument}"]
        if kind == "$jwt":
            try:
                decoded = decode_jwt(actual)
            except (ValueError, AttributeError) as error:
                return [f"{where}: {actual!r} is not a JWT ({error})"]
            return self._match(argument, decoded, f"{where}#")
        if kind == "$set":
            return self._match_in_any_order(argument, actual, where)
        raise ValueError(f"{where}: unknown pattern {kind}")

    def _match_in_any_order(self, patterns: list[Any], actual: Any, where: str) -> list[str]:
        if not isinstance(actual, list) or len(actual) != len(patterns):
            return [f"{where}: {actual!r} does not have {len(patterns)} items"]
        left = list(actual)
        for pattern in patterns:
            fitting = [item for item in left if not self._match(pattern, item, where)]
            if not fitting:
                return [f"{where}: nothing in {actual!r} is {pattern!r}"]
            left.remove(fitting[0])
        return []

    def _check_difference(self, rule: Mapping[str, Any], where: str) -> None:
        try:
            value = self._look_up(rule["value"])
            if "minus" in rule:
                value -= self._look_up(rule["minus"])
        except (KeyError, IndexError, TypeError) as error:
            self._problems.append(f"{where}: cannot check {rule}: {error!r}")
            return
        if not rule["min"] <= value <= rule["max"]:
            self._problems.append(f"{where}: {value} is not as {rule} says")


def decode_jwt(token: str) -> dict[str, Any]:
    """Return ``header`` and ``payload`` of a JWT; its signature is not looked at."""
    header, payload, _ = token.split(".")
    return {"header": _decode_part(header), "payload": _decode_part(payload)}


def load_case(name: str) -> dict[str, Any]:
    """Read a conversation."""
    case: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    return case


def _decode_part(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _walk(node: Any, path: str) -> Any:
    for part in path.split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def _has_type(name: str, actual: Any) -> bool:
    if name in ("ms", "s"):
        seconds = 1000 if name == "ms" else 1
        return type(actual) is int and abs(actual / seconds - time.time()) < _NEAR
    return isinstance(actual, str) and re.fullmatch(_SHAPES[name], actual) is not None
