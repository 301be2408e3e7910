"""One exchange with a backend, as the recordings describe them: send a request, read all that came back."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from support.patterns import decode_jwt

#: The headers of the interface; a recording lists all of them that were sent.
HEADERS: Final = ("st-access-token", "st-refresh-token", "front-token", "anti-csrf")
EXPOSED: Final = "access-control-expose-headers"


def exchange(
    base_url: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> dict[str, Any]:
    """Send a request; return status, body, cookies, headers, tokens, and what is wrong with any response."""
    address = urllib.parse.urlsplit(base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=dict(headers))
        response = connection.getresponse()
        raw = response.read()
        return read_response(response.status, response.getheaders(), raw)
    finally:
        connection.close()


def read_response(status: int, lines: Iterable[tuple[str, str]], raw: bytes) -> dict[str, Any]:
    """A response in the terms of the recordings."""
    problems: list[str] = []
    cookies: dict[str, dict[str, Any]] = {}
    headers: dict[str, Any] = {}
    others: dict[str, str] = {}
    for name, value in ((name.lower(), value.strip()) for name, value in lines):
        if name == "set-cookie":
            key, cookie = parse_set_cookie(value)
            if key in cookies and any(cookies[key][each] != cookie[each] for each in ("domain", "path")):
                key = f"{key} (domain {cookie['domain']}, path {cookie['path']})"
            if key in cookies:
                problems.append(f"{key} is set more than once")
            cookies[key] = cookie
        elif name == EXPOSED:
            exposed = {each.strip().lower() for each in value.split(",") if each.strip()}
            headers[name] = sorted(exposed.union(headers.get(name, ())))
        elif name in HEADERS:
            if name in headers:
                problems.append(f"header {name} is sent more than once")
            headers[name] = value
        else:
            others[name] = value
    if "front-token" in headers:
        headers["front-token"] = decode_front_token(headers["front-token"])
    result: dict[str, Any] = {
        "status": status,
        "body": _read_body(raw),
        "cookies": cookies,
        "headers": headers,
        "extra": others,
        "problems": problems,
    }
    for short, cookie_name, header in (
        ("access", "sAccessToken", "st-access-token"),
        ("refresh", "sRefreshToken", "st-refresh-token"),
    ):
        token = headers.get(header) or cookies.get(cookie_name, {}).get("value")
        if token:
            result[short] = token
    problems += _broken_rules(result)
    return result


def parse_set_cookie(line: str) -> tuple[str, dict[str, Any]]:
    """Name and attributes of a cookie; ``expires`` in s since the epoch."""
    first, *attributes = line.split(";")
    name, _, raw = first.strip().partition("=")
    value = raw
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        value = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), raw[1:-1])
    cookie: dict[str, Any] = {
        "value": urllib.parse.unquote(value),
        "raw": raw,
        "path": None,
        "domain": None,
        "secure": False,
        "httponly": False,
        "samesite": None,
        "expires": None,
    }
    for attribute in attributes:
        key, _, said = attribute.strip().partition("=")
        match key.lower():
            case "path":
                cookie["path"] = said
            case "domain":
                cookie["domain"] = said.lower().lstrip(".") or None
            case "secure" | "httponly" as flag:
                cookie[flag] = True
            case "samesite":
                cookie["samesite"] = said.lower()
            case "expires":
                cookie["expires"] = parsedate_to_datetime(said).timestamp()
            case "max-age":
                cookie["expires"] = time.time() + int(said) if int(said) > 0 else 0
    return name, cookie


def decode_front_token(value: str) -> Any:
    """What a frontend reads: standard base64 of UTF-8 JSON, or ``remove``."""
    return value if value == "remove" else json.loads(base64.b64decode(value, validate=True))


def _read_body(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace").strip()


def _broken_rules(result: Mapping[str, Any]) -> list[str]:
    """What holds for every response, whatever was asked."""
    headers = result["headers"]
    hidden = [name for name in HEADERS if name in headers and name not in headers.get(EXPOSED, ())]
    problems = [f"header {name} is not in Access-Control-Expose-Headers" for name in hidden]
    token = result.get("access")
    if token:
        front = headers.get("front-token")
        payload = decode_jwt(token)["payload"]
        expected = {"uid": payload["sub"], "ate": payload["exp"] * 1000, "up": payload}
        if front != expected:
            problems.append(f"the front-token {front!r} does not tell of the access token {expected!r}")
    return problems
