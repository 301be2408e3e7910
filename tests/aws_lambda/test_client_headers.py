"""What a response of a function without Flask tells clients, caches and browsers."""

from __future__ import annotations

from typing import Any

import pytest
from support.lambda_events import GATEWAYS, cookies_of, gateway_event, header_of

from flask_stsession.aws_lambda.client_headers import token_headers, with_client_headers
from flask_stsession.aws_lambda.events import parse_event
from flask_stsession.config import load
from flask_stsession.sessions.client_changes import ClientChanges
from flask_stsession.web.transport import Turns

CONFIG = load(
    {"STSESSION_API_DOMAIN": "https://api.example.com", "STSESSION_CONNECTION_URI": "http://core.example.com"}
)


def finished(gateway: str, changes: ClientChanges | None, response: dict[str, Any]) -> dict[str, Any]:
    request = parse_event(gateway_event(gateway))
    return with_client_headers(CONFIG, request, changes, response, turns=Turns())


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_tokens_are_cleared_and_the_handlers_own_headers_stay(gateway: str) -> None:
    changes = ClientChanges()
    changes.end_session()
    key = "multiValueHeaders" if gateway == "alb-multi-value" else "headers"
    written: dict[str, Any] = {"X-Mine": "1", "cache-control": "max-age=60"}
    if gateway == "alb-multi-value":
        written = {name: [value] for name, value in written.items()}
    response = finished(gateway, changes, {"statusCode": 200, "body": "hi", key: written})
    assert response["body"] == "hi"
    assert header_of(response, "X-Mine") == "1"
    assert header_of(response, "Cache-Control") == "no-store"
    assert header_of(response, "front-token") == "remove"
    assert header_of(response, "st-access-token") == ""
    assert [line.partition(";")[0] for line in cookies_of(response)] == ["sAccessToken=", "sRefreshToken="]
    assert header_of(response, "Content-Type") is None


def test_a_response_that_depends_on_who_asks_is_kept_out_of_shared_caches() -> None:
    response = finished("rest", None, {"statusCode": 200, "body": ""})
    assert response["headers"] == {"Vary": "Cookie, Authorization, Origin", "Cache-Control": "private"}


def test_the_handlers_own_cache_control_stays_where_no_tokens_change() -> None:
    response = finished("rest", None, {"statusCode": 200, "headers": {"Cache-Control": "public"}})
    assert header_of(response, "Cache-Control") == "public"


def test_without_an_api_domain_the_origin_of_the_request_decides_whether_cookies_are_secure() -> None:
    config = load({"STSESSION_CONNECTION_URI": "http://core.example.com"})
    changes = ClientChanges()
    changes.end_session()
    request = parse_event(gateway_event("rest"))
    assert request.origin.startswith("https://")
    headers = token_headers(config, request, changes, turns=Turns())
    lines = [value for name, value in headers if name == "Set-Cookie"]
    assert len(lines) == 2
    assert all("; Secure" in line for line in lines)


def test_the_cookie_of_the_refresh_token_has_the_path_that_clients_see() -> None:
    changes = ClientChanges()
    changes.end_session()
    lines = [
        value
        for name, value in token_headers(CONFIG, parse_event(gateway_event("rest")), changes, turns=Turns())
        if name == "Set-Cookie"
    ]
    assert "; Path=/;" in lines[0] + ";"
    assert "Path=/dev/auth/session/refresh" in lines[1]
