"""Replays recorded conversations between clients and the reference backend SDKs against a backend.

Every file in ``data/fdi`` is one conversation, recorded from supertokens-node (and, where it differs,
supertokens-python) in front of a real core. ``${step.path}`` in a request and ``{"$same": …}`` in a pattern
stand for what an earlier step of the same run received; ``#payload.x`` looks into a JWT, ``|filter`` spoils
a token. What a pattern does not list must be absent.
"""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from support.cdi_replay import decode_jwt
from support.fdi_wire import exchange

CASES: Final = Path(__file__).parents[1] / "data" / "fdi"

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
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
_NEAR: Final = 3e8
_EXPIRES_SLACK: Final = 20
_DEFAULT_REFRESH_MINUTES: Final = 144000
_REFERENCE: Final = re.compile(r"\$\{([^}]+)\}")
_RECEIVED_COOKIE: Final = re.compile(r"\$\{([^}|#]+\.cookies\.[^.}]+)\.value\}")


def _part(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _encoded(value: Any) -> str:
    raw = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _with_header(token: str, **changes: Any) -> str:
    header, payload, signature = token.split(".")
    return f"{_encoded({**_part(header), **changes})}.{payload}.{signature}"


def _with_payload(token: str, **changes: Any) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{_encoded({**_part(payload), **changes})}.{signature}"


def _bad_signature(token: str) -> str:
    start, _, signature = token.rpartition(".")
    return f"{start}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def _unsigned(token: str) -> str:
    return token.rpartition(".")[0] + "."


_FILTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "bad_signature": _bad_signature,
    "no_signature": _unsigned,
    "wrong_dynamic_kid": lambda token: _with_header(token, kid="d-1000000000000"),
    "wrong_static_kid": lambda token: _with_header(token, kid="s-00000000-0000-4000-8000-000000000000"),
    "alg_none": lambda token: _unsigned(_with_header(token, alg="none")),
    "alg_hs256": lambda token: _with_header(token, alg="HS256"),
    "old_version": lambda token: _with_header(token, version="1"),
    "other_sub": lambda token: _with_payload(token, sub="mallory", rsub="mallory"),
    "stt_1": lambda token: _with_payload(token, stt=1),
    "stt_0": lambda token: _with_payload(token, stt=0),
    "no_session_handle": lambda token: _with_payload(token, sessionHandle=None),
    "no_rsub": lambda token: _with_payload(token, rsub=None),
    "no_tenant": lambda token: _with_payload(token, tId=None),
    "later_exp": lambda token: _with_payload(token, exp=int(time.time()) + 86400),
    "two_parts": lambda token: token.rpartition(".")[0],
    "cut": lambda token: token[: len(token) // 2],
}


def load_cases() -> list[dict[str, Any]]:
    """All conversations, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CASES.glob("*.json"))]


def acceptable(case: Mapping[str, Any], step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The responses that a careful SDK may give at a step, the preferred one first."""
    recorded = step["response"]
    patterns = [_varied(recorded, each["response"]) for each in step.get("judged", ())] or [recorded]
    for difference in case.get("python_differs", ()):
        if difference["step"] == step["id"] and difference["verdict"] == "python":
            patterns = [difference["response"]]
        elif difference["step"] == step["id"] and difference["verdict"] == "either":
            patterns.append(difference["response"])
    return patterns + [_varied(recorded, each["response"]) for each in step.get("accept", ())]


def _varied(recorded: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    special = ("add_headers", "drop_headers")
    varied = {**recorded, **{key: value for key, value in change.items() if key not in special}}
    if any(key in change for key in special):
        dropped = change.get("drop_headers", ())
        kept = {key: value for key, value in varied["headers"].items() if key not in dropped}
        varied["headers"] = {**kept, **change.get("add_headers", {})}
    if "tolerates" not in change:
        varied.pop("tolerates", None)
    return varied


class Conversation:
    """One run of one conversation with the backend at ``base_url``."""

    def __init__(self, case: Mapping[str, Any], base_url: str) -> None:
        self._case = case
        self._base_url = base_url
        self._received: dict[str, Any] = {"run": {"id": uuid.uuid4().hex[:10]}}

    def run(self) -> list[str]:
        """Go through the steps and return what did not match; nothing, if all did."""
        problems: list[str] = []
        for step in self._case["steps"]:
            if "sleep" in step:
                time.sleep(step["sleep"])
                continue
            name = step["id"]
            self._received[name] = actual = self._send(step["request"])
            found = [self._compare(each, actual, name) for each in acceptable(self._case, step)]
            if all(found):
                problems += sorted(found, key=len)[0]
            for rule in step.get("checks", ()):
                problems += self._check(rule, name)
        return problems

    def _send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        headers = {name: str(self._fill(value)) for name, value in request.get("headers", {}).items()}
        if request.get("cookies"):
            headers["Cookie"] = self._cookie_header(request["cookies"])
        body = None
        if "json" in request:
            body = json.dumps(self._fill(request["json"])).encode()
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        elif "raw" in request:
            body = request["raw"].encode()
        return exchange(self._base_url, request["method"], self._fill(request["path"]), headers, body)

    def _cookie_header(self, template: Any) -> str:
        """A cookie that a response set goes back exactly as it came."""
        pairs = template.items() if isinstance(template, dict) else template
        parts = []
        for name, value in pairs:
            received = _RECEIVED_COOKIE.fullmatch(value)
            if received is not None:
                parts.append(f"{name}={self._look_up(received[1])['raw']}")
            else:
                octets = urllib.parse.quote(str(self._fill(value)), safe="!#$%&'()*+-./:<=>?@[]^_`{|}~")
                parts.append(f"{name}={octets}")
        return "; ".join(parts)

    def _look_up(self, reference: str) -> Any:
        reference, *filters = reference.split("|")
        path, _, inside = reference.partition("#")
        node = _walk(self._received, path)
        if inside:
            node = _walk(decode_jwt(node), inside)
        for name in filters:
            node = _FILTERS[name](node)
        return node

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

    def _compare(self, expected: Mapping[str, Any], actual: Mapping[str, Any], where: str) -> list[str]:
        problems = self._match(expected["status"], actual["status"], f"{where}: status")
        problems += self._match(expected["body"], actual["body"], f"{where}: body")
        if expected["cookies"] != {"$any": True}:
            problems += self._compare_cookies(expected["cookies"], actual["cookies"], where)
        if expected["headers"] != {"$any": True}:
            problems += self._match(expected["headers"], actual["headers"], f"{where}: headers")
        for name, pattern in expected.get("extra_headers", {}).items():
            problems += self._match(pattern, actual["extra"].get(name), f"{where}: header {name}")
        tolerated = tuple(expected.get("tolerates", ()))
        return problems + [
            f"{where}: {each}" for each in actual["problems"] if not each.startswith(tolerated)
        ]

    def _compare_cookies(
        self, expected: Mapping[str, Any], actual: Mapping[str, Any], where: str
    ) -> list[str]:
        problems = [f"{where}: cookie {name} is not set" for name in expected.keys() - actual.keys()]
        problems += [f"{where}: cookie {name} is set" for name in actual.keys() - expected.keys()]
        for name in expected.keys() & actual.keys():
            at = f"{where}: cookie {name}"
            for attribute in ("value", "path", "domain", "secure", "httponly", "samesite"):
                pattern, value = expected[name][attribute], actual[name][attribute]
                problems += self._match(pattern, value, f"{at} {attribute}")
            problems += self._match_expiry(expected[name]["expires"], actual[name]["expires"], at)
        return problems

    def _match_expiry(self, expected: str, actual: float | None, where: str) -> list[str]:
        now = time.time()
        if expected == "session" or actual is None:
            return [] if expected == "session" and actual is None else [f"{where} expires: {actual}"]
        if expected == "past":
            return [] if actual < now - 60 else [f"{where} expires at {actual}, not in the past"]
        core = self._case.get("config", {}).get("core", {})
        minutes = float(core.get("refresh_token_validity", _DEFAULT_REFRESH_MINUTES))
        wanted = {"about 1 year": 365 * 86400, "about refresh validity": minutes * 60}[expected]
        if abs(actual - now - wanted) <= _EXPIRES_SLACK:
            return []
        return [f"{where} expires in {actual - now:.0f} s, not {expected}"]

    def _match(self, pattern: Any, actual: Any, where: str) -> list[str]:
        if isinstance(pattern, dict):
            if len(pattern) == 1 and next(iter(pattern)).startswith("$"):
                ((kind, argument),) = pattern.items()
                return self._match_special(kind, argument, actual, where)
            if not isinstance(actual, dict):
                return [f"{where}: {actual!r} is not an object"]
            problems = [f"{where}.{key}: missing" for key in pattern.keys() - actual.keys()]
            problems += [
                f"{where}.{key}: unexpected {actual[key]!r}" for key in actual.keys() - pattern.keys()
            ]
            for key in pattern.keys() & actual.keys():
                problems += self._match(pattern[key], actual[key], f"{where}.{key}")
            return problems
        if isinstance(pattern, list):
            if not isinstance(actual, list) or len(actual) != len(pattern):
                return [f"{where}: {actual!r} is not {pattern!r}"]
            pairs = enumerate(zip(pattern, actual, strict=True))
            return [each for place, pair in pairs for each in self._match(*pair, f"{where}[{place}]")]
        if isinstance(pattern, str):
            pattern = self._fill(pattern)
        numbers = all(isinstance(each, int | float) and type(each) is not bool for each in (pattern, actual))
        same = pattern == actual and (numbers or type(pattern) is type(actual))
        return [] if same else [f"{where}: {actual!r} is not {pattern!r}"]

    def _match_special(self, kind: str, argument: Any, actual: Any, where: str) -> list[str]:
        match kind:
            case "$any":
                return []
            case "$same":
                expected = self._look_up(argument)
                return (
                    [] if actual == expected else [f"{where}: {actual!r} is not {expected!r} of {argument}"]
                )
            case "$type":
                return [] if _has_type(argument, actual) else [f"{where}: {actual!r} is no {argument}"]
            case "$re":
                fits = isinstance(actual, str) and re.match(argument, actual) is not None
                return [] if fits else [f"{where}: {actual!r} does not match {argument}"]
            case "$jwt":
                if not isinstance(actual, str) or actual.count(".") != 2:
                    return [f"{where}: {actual!r} is no JWT"]
                return self._match(argument, decode_jwt(actual), f"{where}#")
            case "$each":
                if not isinstance(actual, list) or not actual:
                    return [f"{where}: {actual!r} is no list with items"]
                return [each for item in actual for each in self._match(argument, item, where)]
            case "$oneOf":
                fits = any(not self._match(option, actual, where) for option in argument)
                return [] if fits else [f"{where}: {actual!r} is none of {argument!r}"]
            case "$set":
                return self._match_set(argument, actual, where)
        raise ValueError(f"{where}: unknown pattern {kind}")

    def _match_set(self, patterns: list[Any], actual: Any, where: str) -> list[str]:
        if not isinstance(actual, list) or len(actual) != len(patterns):
            return [f"{where}: {actual!r} does not have {len(patterns)} items"]
        left = list(actual)
        for pattern in patterns:
            fitting = [item for item in left if not self._match(pattern, item, where)]
            if not fitting:
                return [f"{where}: nothing in {actual!r} is {pattern!r}"]
            left.remove(fitting[0])
        return []

    def _check(self, rule: Mapping[str, Any], where: str) -> list[str]:
        if "differ" in rule:
            one, other = (self._look_up(each) for each in rule["differ"])
            return [f"{where}: {rule['differ']} are the same"] if one == other else []
        if "kid_of" in rule:
            kid = decode_jwt(self._look_up(rule["kid_of"]))["header"]["kid"]
            known = [key["kid"] for key in self._look_up(rule["in"])]
            return [] if kid in known else [f"{where}: no key {kid} in {known}"]
        value = self._look_up(rule["value"]) - (self._look_up(rule["minus"]) if "minus" in rule else 0)
        return [] if rule["min"] <= value <= rule["max"] else [f"{where}: {value} is not as {rule} says"]


def _walk(node: Any, path: str) -> Any:
    for part in path.split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def _has_type(name: str, actual: Any) -> bool:
    is_number = isinstance(actual, int | float) and type(actual) is not bool
    if name == "number":
        return is_number
    if name in ("ms", "s"):
        return is_number and abs(actual / (1000 if name == "ms" else 1) - time.time()) < _NEAR
    return isinstance(actual, str) and re.fullmatch(_SHAPES[name], actual) is not None
