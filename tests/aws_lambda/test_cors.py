"""CORS headers of functions without Flask."""

from __future__ import annotations

from typing import Any

import pytest
from support.lambda_events import GATEWAYS, gateway_event, header_of

from flask_stsession import STSession
from flask_stsession.aws_lambda.cors import add_cors, add_to_list, preflight_response, replace
from flask_stsession.aws_lambda.events import EventRequest, parse_event
from flask_stsession.config import load

CONFIG = load(
    {
        "STSESSION_API_DOMAIN": "https://api.example.com",
        "STSESSION_WEBSITE_DOMAIN": ["https://www.example.com", "https://admin.example.com"],
        "STSESSION_CONNECTION_URI": "http://core.example.com",
    }
)


def asked_from(origin: str | None, gateway: str = "rest", **options: Any) -> EventRequest:
    return parse_event(gateway_event(gateway, headers={"Origin": origin} if origin else {}, **options))


@pytest.mark.parametrize("origin", ["https://www.example.com", "https://admin.example.com"])
def test_our_websites_may_read_a_response(origin: str) -> None:
    headers: list[tuple[str, str]] = [("Access-Control-Allow-Origin", "*"), ("vary", "Accept")]
    add_cors(CONFIG, asked_from(origin), headers)
    assert dict(headers) == {
        "Vary": "Accept, Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "front-token, st-access-token, st-refresh-token, anti-csrf",
    }


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "https://www.example.com.evil.example", "x"]
)
def test_other_sites_may_not_read_a_response(origin: str | None) -> None:
    headers: list[tuple[str, str]] = []
    add_cors(CONFIG, asked_from(origin), headers)
    assert headers == [("Vary", "Origin")]


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_preflight_is_told_what_frontend_sdks_send(gateway: str) -> None:
    request = asked_from("https://www.example.com", gateway, method="OPTIONS")
    response = preflight_response(CONFIG, request)
    assert response["statusCode"] == 204
    assert header_of(response, "Access-Control-Allow-Origin") == "https://www.example.com"
    assert header_of(response, "Access-Control-Allow-Credentials") == "true"
    allowed = (header_of(response, "Access-Control-Allow-Headers") or "").split(", ")
    assert allowed == ["content-type", *STSession.get_all_cors_headers()]
    assert "DELETE" in (header_of(response, "Access-Control-Allow-Methods") or "")


def test_a_preflight_from_elsewhere_is_told_nothing() -> None:
    response = preflight_response(CONFIG, asked_from("https://evil.example", method="OPTIONS"))
    assert response["statusCode"] == 204
    assert set(response["headers"]) == {"Vary"}


def test_a_header_is_replaced_whatever_its_case() -> None:
    headers = [("x-a", "1"), ("B", "2"), ("X-A", "3")]
    replace(headers, "X-a", "4")
    assert headers == [("B", "2"), ("X-a", "4")]


def test_a_value_is_added_to_a_list_once() -> None:
    headers = [("vary", "Cookie"), ("Vary", "ORIGIN")]
    add_to_list(headers, "Vary", ("Origin", "Accept"))
    assert headers == [("Vary", "Cookie, ORIGIN, Accept")]
