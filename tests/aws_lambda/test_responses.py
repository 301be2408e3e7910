"""Responses in the shape that each gateway reads."""

from __future__ import annotations

import base64
import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings, strategies as st

from flask_stsession.aws_lambda.events import EventError, Format
from flask_stsession.aws_lambda.responses import (
    gateway_response,
    headers_of,
    laid_out,
    malformed_event,
    with_headers,
)

FORMATS: tuple[Format, ...] = get_args(Format)
HEADERS = [
    ("Content-Type", "text/plain"),
    ("Vary", "Cookie"),
    ("vary", "Origin"),
    ("Set-Cookie", "a=1; Path=/"),
    ("Set-Cookie", "b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
]


def test_payload_2_0_lists_cookies_and_joins_repeated_headers() -> None:
    assert gateway_response("2.0", 201, HEADERS, b"hi") == {
        "statusCode": 201,
        "headers": {"Content-Type": "text/plain", "Vary": "Cookie, Origin"},
        "cookies": ["a=1; Path=/", "b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        "body": "hi",
        "isBase64Encoded": False,
    }


def test_payload_1_0_lists_headers_that_come_several_times_and_all_cookies() -> None:
    assert gateway_response("1.0", 200, HEADERS) == {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain"},
        "multiValueHeaders": {
            "Vary": ["Cookie", "Origin"],
            "Set-Cookie": ["a=1; Path=/", "b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        },
        "body": "",
        "isBase64Encoded": False,
    }


def test_a_load_balancer_with_multi_value_headers_reads_only_these() -> None:
    response = gateway_response("alb multi-value", 200, HEADERS)
    assert response["statusDescription"] == "200 OK"
    assert "headers" not in response
    assert response["multiValueHeaders"] == {
        "Content-Type": ["text/plain"],
        "Vary": ["Cookie", "Origin"],
        "Set-Cookie": ["a=1; Path=/", "b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
    }


def test_a_load_balancer_with_single_headers_gets_cookies_under_names_that_differ_in_case() -> None:
    response = gateway_response("alb", 404, HEADERS)
    assert response["statusDescription"] == "404 Not Found"
    assert response["headers"].pop("Vary") == "Cookie, Origin"
    assert response["headers"].pop("Content-Type") == "text/plain"
    assert {name.lower() for name in response["headers"]} == {"set-cookie"}
    assert list(response["headers"].values()) == [value for name, value in HEADERS if name == "Set-Cookie"]


def test_twenty_cookies_all_get_a_spelling_of_their_own() -> None:
    cookies = [("Set-Cookie", f"c{number}=1") for number in range(20)]
    assert list(laid_out("alb", cookies)["headers"].values()) == [value for _, value in cookies]


def test_cookies_for_which_there_is_no_spelling_left_are_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cookies = [("Set-Cookie", f"c{number}=1") for number in range(600)]
    assert len(laid_out("alb", cookies)["headers"]) == 512
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()[:33]) == ("ERROR", "88 of 600 cookies are not sent: a")


def test_an_unknown_status_has_a_description_too() -> None:
    assert gateway_response("alb", 799, [])["statusDescription"] == "799 Unknown"


@settings(deadline=None)
@given(st.binary())
def test_a_body_arrives_as_it_was(body: bytes) -> None:
    response = gateway_response("2.0", 200, [], body)
    sent: str = response["body"]
    assert (base64.b64decode(sent) if response["isBase64Encoded"] else sent.encode()) == body


def test_text_is_not_encoded_because_a_rest_api_would_not_decode_it() -> None:
    response = gateway_response("1.0", 200, [("Content-Type", "application/json")], "é".encode())
    assert (response["body"], response["isBase64Encoded"]) == ("é", False)


@pytest.mark.parametrize("format_", FORMATS)
def test_headers_that_were_laid_out_are_read_back(format_: Format) -> None:
    found = sorted((name.lower(), value) for name, value in headers_of(laid_out(format_, HEADERS)))
    cookies = [(name.lower(), value) for name, value in HEADERS if name == "Set-Cookie"]
    assert [each for each in found if each[0] == "set-cookie"] == cookies
    assert ("content-type", "text/plain") in found


def test_if_a_header_is_under_both_keys_the_multi_value_one_counts() -> None:
    response = {"headers": {"x-a": "2", "X-B": 5, "x-c": True}, "multiValueHeaders": {"X-A": ["1", "2"]}}
    assert headers_of(response) == [("X-A", "1"), ("X-A", "2"), ("X-B", "5"), ("x-c", "true")]


@pytest.mark.parametrize(
    ("response", "complaint"),
    [
        ({"headers": ["x"]}, "The handler's response must have an object under 'headers', not ['x']."),
        ({"multiValueHeaders": {"x": "y"}}, "The handler's multiValueHeaders['x'] must be a list, not 'y'."),
        ({"headers": {"X": None}}, "The handler's header 'X' must be text, not None."),
        ({"headers": {"X": ["a", "b"]}}, "The handler's header 'X' must be text, not ['a', 'b']."),
        ({"multiValueHeaders": {"X": [None]}}, "The handler's header 'X' must be text, not None."),
        ({"cookies": "a=1"}, "The handler's response must have a list under 'cookies', not 'a=1'."),
    ],
)
def test_headers_in_the_wrong_shape_are_an_error(response: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TypeError) as caught:
        headers_of(response)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("response", "name"),
    [
        ({"headers": {"Location": "/\nSet-Cookie: a=1"}}, "Location"),
        ({"headers": {"X": "1\r"}}, "X"),
        ({"headers": {"X\n": "1"}}, "X\n"),
        ({"multiValueHeaders": {"X": ["1", "2\r\n"]}}, "X"),
        ({"cookies": ["a=1\nb"]}, "Set-Cookie"),
    ],
)
def test_a_header_with_a_line_break_is_an_error_that_names_it(response: dict[str, Any], name: str) -> None:
    message = f"The handler's header {name!r} must be one line: remove the line break from it."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        headers_of(response)


def test_other_keys_of_a_response_stay() -> None:
    response = {"statusCode": 201, "body": "x", "headers": {"A": "1"}, "cookies": ["c=1"]}
    assert with_headers(response, "2.0", [("B", "2")]) == {
        "statusCode": 201,
        "body": "x",
        "headers": {"B": "2"},
        "cookies": [],
    }


def test_an_event_that_no_gateway_sends_gets_a_400_that_names_the_key() -> None:
    response = malformed_event(EventError("'path' of the event must be text, not int."), None)
    assert response["statusCode"] == 400
    assert response["body"] == '{"message": "\'path\' of the event must be text, not int."}'
