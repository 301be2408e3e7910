"""Replays recorded conversations between clients and the reference backend SDKs against a backend.

Every file in ``data/fdi`` is one conversation, recorded from supertokens-node (and, where it differs,
supertokens-python) in front of a real core, with the patterns of ``support.patterns``. A filter behind a
reference spoils a token.
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

from support.fdi_wire import exchange
from support.patterns import Run, decode_jwt, decode_part

CASES: Final = Path(__file__).parents[1] / "data" / "fdi"

_EXPIRES_SLACK: Final = 20
_DEFAULT_REFRESH_MINUTES: Final = 144000
_RECEIVED_COOKIE: Final = re.compile(r"\$\{([^}|#]+\.cookies\.[^.}]+)\.value\}")


def _encoded(value: Any) -> str:
    raw = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _with_header(token: str, **changes: Any) -> str:
    header, payload, signature = token.split(".")
    return f"{_encoded({**decode_part(header), **changes})}.{payload}.{signature}"


def _with_payload(token: str, **changes: Any) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{_encoded({**decode_part(payload), **changes})}.{signature}"


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
        self._run = Run({"run": {"id": uuid.uuid4().hex[:10]}}, _FILTERS)

    def run(self) -> list[str]:
        """Go through the steps and return what did not match; nothing, if all did."""
        problems: list[str] = []
        for step in self._case["steps"]:
            if "sleep" in step:
                time.sleep(step["sleep"])
                continue
            name = step["id"]
            self._run.received[name] = actual = self._send(step["request"])
            found = [self._compare(each, actual, name) for each in acceptable(self._case, step)]
            if all(found):
                problems += sorted(found, key=len)[0]
            for rule in step.get("checks", ()):
                problems += self._check(rule, name)
        return problems

    def _send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        headers = {name: str(self._run.fill(value)) for name, value in request.get("headers", {}).items()}
        if request.get("cookies"):
            headers["Cookie"] = self._cookie_header(request["cookies"])
        body = None
        if "json" in request:
            body = json.dumps(self._run.fill(request["json"])).encode()
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        elif "raw" in request:
            body = request["raw"].encode()
        return exchange(self._base_url, request["method"], self._run.fill(request["path"]), headers, body)

    def _cookie_header(self, template: Any) -> str:
        """A cookie that a response set goes back exactly as it came."""
        pairs = template.items() if isinstance(template, dict) else template
        parts = []
        for name, value in pairs:
            received = _RECEIVED_COOKIE.fullmatch(value)
            if received is not None:
                parts.append(f"{name}={self._run.look_up(received[1])['raw']}")
            else:
                octets = urllib.parse.quote(str(self._run.fill(value)), safe="!#$%&'()*+-./:<=>?@[]^_`{|}~")
                parts.append(f"{name}={octets}")
        return "; ".join(parts)

    def _compare(self, expected: Mapping[str, Any], actual: Mapping[str, Any], where: str) -> list[str]:
        problems = self._run.match(expected["status"], actual["status"], f"{where}: status")
        problems += self._run.match(expected["body"], actual["body"], f"{where}: body")
        if expected["cookies"] != {"$any": True}:
            problems += self._compare_cookies(expected["cookies"], actual["cookies"], where)
        if expected["headers"] != {"$any": True}:
            problems += self._run.match(expected["headers"], actual["headers"], f"{where}: headers")
        for name, pattern in expected.get("extra_headers", {}).items():
            problems += self._run.match(pattern, actual["extra"].get(name), f"{where}: header {name}")
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
                problems += self._run.match(pattern, value, f"{at} {attribute}")
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

    def _check(self, rule: Mapping[str, Any], where: str) -> list[str]:
        if "differ" in rule:
            one, other = (self._run.look_up(each) for each in rule["differ"])
            return [f"{where}: {rule['differ']} are the same"] if one == other else []
        if "kid_of" in rule:
            kid = decode_jwt(self._run.look_up(rule["kid_of"]))["header"]["kid"]
            known = [key["kid"] for key in self._run.look_up(rule["in"])]
            return [] if kid in known else [f"{where}: no key {kid} in {known}"]
        return self._run.check_range(rule, where)
