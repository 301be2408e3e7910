"""Golden events of gateways, and small ones made for a test."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

GOLDEN = Path(__file__).parents[1] / "data" / "lambda"

REST_HOST = "abc123defg.execute-api.eu-west-1.amazonaws.com"
HTTP_HOST = "hij456klmn.execute-api.eu-west-1.amazonaws.com"
ALB_HOST = "lb-1.eu-west-1.elb.amazonaws.com"


@dataclass(frozen=True)
class Golden:
    """A golden file: an event, and what an app sees of it."""

    name: str
    event: dict[str, Any]
    app_sees: dict[str, Any]
    gateway_path: str | None


def golden_files() -> list[Golden]:
    """Return all golden files of requests."""
    found = []
    for path in sorted(GOLDEN.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["source"], f"{path} does not say where its shape comes from"
        found.append(Golden(path.stem, content["event"], content["app_sees"], content.get("gateway_path")))
    return found


#: The gateways and payload formats, as the fixtures and tests name them.
GATEWAYS = ("rest", "http-1.0", "http-2.0", "function-url", "alb", "alb-multi-value")


def gateway_event(
    gateway: str,
    path: str = "/user",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    cookies: dict[str, str] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    """Return an event of a gateway.

    :param gateway: one of :data:`GATEWAYS`.
    """
    headers = dict(headers or {})
    pairs = [f"{name}={value}" for name, value in (cookies or {}).items()]
    if gateway in ("http-2.0", "function-url"):
        host = HTTP_HOST if gateway == "http-2.0" else "opq789.lambda-url.eu-west-1.on.aws"
        lowered = {name.lower(): value for name, value in headers.items()}
        if pairs and gateway == "function-url":
            lowered["cookie"] = "; ".join(pairs)
        http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"}
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            **({"cookies": pairs} if pairs else {}),
            "headers": {"host": host, **lowered},
            "requestContext": {"http": http, "domainName": host, "stage": "$default", "apiId": "hij456klmn"},
            "body": body,
            "isBase64Encoded": False,
        }
    if pairs:
        headers["Cookie"] = "; ".join(pairs)
    if gateway.startswith("alb"):
        headers = {"host": ALB_HOST, "x-forwarded-proto": "https", **headers}
        headers = {name.lower(): value for name, value in headers.items()}
        multiple = {name: [value] for name, value in headers.items()}
        return {
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:t/a/6d"}},
            "httpMethod": method,
            "path": path,
            **({"multiValueHeaders": multiple} if gateway == "alb-multi-value" else {"headers": headers}),
            "body": body or "",
            "isBase64Encoded": False,
        }
    headers = {"Host": REST_HOST, **headers}
    return {
        **({"version": "1.0"} if gateway == "http-1.0" else {}),
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {
            "path": f"/dev{path}" if gateway == "rest" else path,
            "stage": "dev" if gateway == "rest" else "$default",
            "domainName": REST_HOST,
            "identity": {"sourceIp": "203.0.113.9"},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def response_headers(response: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the headers that a gateway would send to the client, in lower case."""
    single = [(name.lower(), value) for name, value in (response.get("headers") or {}).items()]
    multiple = [
        (name.lower(), value)
        for name, values in (response.get("multiValueHeaders") or {}).items()
        for value in values
    ]
    return single + multiple + [("set-cookie", cookie) for cookie in response.get("cookies", ())]


def header_of(response: dict[str, Any], name: str) -> str | None:
    """Return the only value of a header of a response; ``None`` without one."""
    values = [value for each, value in response_headers(response) if each == name.lower()]
    assert len(values) < 2, f"{name} came {len(values)} times"
    return values[0] if values else None


def cookies_of(response: dict[str, Any]) -> list[str]:
    """Return the lines of ``Set-Cookie`` of a response."""
    return [value for name, value in response_headers(response) if name == "set-cookie"]


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places_in(value: object) -> list[tuple[object, ...]]:
    """Return the paths to all values within a JSON value."""
    if isinstance(value, dict):
        items: list[tuple[object, object]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    return [(key, *rest) for key, inner in items for rest in [(), *places_in(inner)]]


@st.composite
def spoilt(draw: st.DrawFn, events: list[dict[str, Any]]) -> object:
    """One of these events with any JSON in some of its places."""
    event: Any = copy.deepcopy(draw(st.sampled_from(events)))
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(event)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        place = event
        for key in way:
            place = place[key]
        place[last] = draw(json_values)
    return event


def spoilt_events() -> st.SearchStrategy[object]:
    """An event of a gateway with any JSON in some of its places."""
    return spoilt([gateway_event(each, cookies={"a": "1"}, body="x") for each in GATEWAYS])
