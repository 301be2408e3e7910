"""Events: what the parser reads, and what it refuses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from support.lambda_events import GATEWAYS, gateway_event, json_values, spoilt_events

from flask_stsession.aws_lambda.events import EventError, EventRequest, parse_event
from flask_stsession.errors import Reason


def read_all(request: EventRequest) -> tuple[object, ...]:
    """Read every part of a request."""
    return (
        request.mount(),
        request.mount("/gateway"),
        request.query_string,
        request.body,
        request.origin,
        request.source_ip,
        request.protocol,
        request.is_of_socket,
    )


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_names_of_headers_are_read_in_any_case(gateway: str) -> None:
    request = parse_event(gateway_event(gateway, headers={"AuthoriZation": "Bearer x", "rid": "session"}))
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["rid"] == "session"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_each_cookie_is_read_once(gateway: str) -> None:
    request = parse_event(gateway_event(gateway, cookies={"a": "1", "b": "2"}))
    assert request.headers["cookie"] == "a=1; b=2"


def test_repeated_headers_are_joined_by_commas_and_cookies_by_semicolons() -> None:
    event = gateway_event("rest")
    event["multiValueHeaders"] = {"X": ["1", "2"], "x": ["3"], "Cookie": ["a=1", "b=2"]}
    event["headers"] = {"X": "2", "x": "3", "Cookie": "b=2", "Only-Here": "yes"}
    headers = parse_event(event).headers
    assert headers == {"x": "1,2,3", "cookie": "a=1; b=2", "only-here": "yes"}


def test_a_function_url_sends_cookies_twice_and_the_list_counts() -> None:
    event = gateway_event("function-url", cookies={"a": "1", "b": "2"})
    event["headers"]["cookie"] = "other=1"
    assert parse_event(event).headers["cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    ("forwarded", "scheme"), [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("", "http")]
)
def test_behind_a_load_balancer_the_scheme_is_the_one_that_it_names(forwarded: str, scheme: str) -> None:
    event = gateway_event("alb", headers={"x-forwarded-proto": forwarded})
    assert parse_event(event).scheme == scheme


def test_the_scheme_behind_a_gateway_is_always_https() -> None:
    event = gateway_event("http-2.0", headers={"x-forwarded-proto": "http"})
    assert parse_event(event).origin.startswith("https://")


def test_only_the_forwarded_address_that_the_load_balancer_adds_counts() -> None:
    event = gateway_event("alb", headers={"x-forwarded-for": "127.0.0.1, 203.0.113.9"})
    assert parse_event(event).source_ip == "203.0.113.9"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9:51234", "203.0.113.9"),
        ("10.0.0.1:80, 203.0.113.9:51234", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8::443", "2001:db8::443"),
        ("", ""),
    ],
)
def test_the_port_that_a_load_balancer_preserves_is_no_part_of_the_address(
    forwarded: str, address: str
) -> None:
    request = parse_event(gateway_event("alb", headers={"x-forwarded-for": forwarded}))
    assert (request.source_ip, request.environ()["REMOTE_ADDR"]) == (address, address)


@pytest.mark.parametrize(
    "context",
    [
        {"eventType": "CONNECT", "connectionId": "x"},
        {"routeKey": "$connect", "connectionId": "x"},
    ],
)
def test_the_handshake_of_a_websocket_needs_no_method(context: dict[str, str]) -> None:
    request = parse_event({"headers": {"Origin": "https://a.example"}, "requestContext": context})
    assert (request.method, request.is_of_socket) == ("GET", True)


def test_a_request_to_a_rest_api_is_not_a_handshake() -> None:
    assert not parse_event(gateway_event("rest")).is_of_socket


def test_a_gateway_path_of_a_stage_is_stripped_once() -> None:
    event = gateway_event("http-2.0", "/api/api/user")
    event["requestContext"]["stage"] = "api"
    assert parse_event(event).mount("/api") == ("/api", "/api/user")


def test_an_empty_gateway_path_says_that_clients_see_none() -> None:
    assert parse_event(gateway_event("rest")).mount("") == ("", "/user")


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/dev", "/"),
        ("/dev/", "/"),
        ("/dev/user/", "/user"),
        ("/dev/user", "/user/"),
        ("/dev/user/", "/user/"),
    ],
)
def test_the_stage_is_found_with_and_without_a_slash_at_the_end(asked: str, path: str) -> None:
    event = gateway_event("rest", path)
    event["requestContext"]["path"] = asked
    assert parse_event(event).mount() == ("/dev", path)


@pytest.mark.parametrize("path", ["/userdata", "/use", "/"])
def test_a_path_that_only_resembles_the_stage_keeps_its_beginning(path: str) -> None:
    event = gateway_event("http-2.0", path)
    event["requestContext"]["stage"] = "user"
    assert parse_event(event).mount() == ("", path)


#: What is wrong with an event, and the complaint.
WRONG: list[tuple[str, object, str]] = [
    ("requestContext", {"identity": 5}, "'requestContext.identity' of the event must be an object, not int."),
    ("requestContext", [], "'requestContext' of the event must be an object, not list."),
    ("httpMethod", None, "'httpMethod' of the event must be the method of an HTTP request, not NoneType."),
    ("httpMethod", 5, "'httpMethod' of the event must be the method of an HTTP request, not int."),
    ("headers", ["a"], "'headers' of the event must be an object, not list."),
    ("headers", {"a": 1}, "'headers' of the event must be text for names and values, not int."),
    ("multiValueHeaders", {"a": "x"}, "'multiValueHeaders' of the event must be a list, not str."),
    ("multiValueHeaders", {"a": [None]}, "'multiValueHeaders' of the event must be text for names and"),
    ("version", "3.0", "The event has the unknown version '3.0'; 1.0 and 2.0 are known."),
    ("version", 2, "The event has the unknown version '2'; 1.0 and 2.0 are known."),
    ("path", None, "'path' of the event must be text, not NoneType."),
    ("resource", 1, "'resource' of the event must be text, not int."),
    ("pathParameters", "x", "'pathParameters' of the event must be an object, not str."),
    ("multiValueQueryStringParameters", {"a": "x"}, "must be a list, not str."),
    ("queryStringParameters", {"a": 1}, "'queryStringParameters' of the event must be text, not int."),
    ("body", {"a": 1}, "'body' of the event must be text, not dict."),
    ("isBase64Encoded", "yes", "'isBase64Encoded' of the event must be true or false, not str."),
]


@pytest.mark.parametrize(("key", "value", "complaint"), WRONG)
def test_a_value_of_the_wrong_type_is_refused_with_its_key(key: str, value: object, complaint: str) -> None:
    event = {**gateway_event("rest"), key: value}
    with pytest.raises(EventError) as caught:
        read_all(parse_event(event))
    assert complaint in str(caught.value)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("event", [None, [], "text", 5, {}, {"version": "2.0"}, {"Records": []}, b""])
def test_what_no_gateway_sends_is_refused(event: object) -> None:
    with pytest.raises(EventError):
        parse_event(event)


@pytest.mark.parametrize("body", ["A", "not base64!", "AA=A", "ü"])
def test_a_body_that_should_be_base64_and_is_not_is_refused(body: str) -> None:
    event = {**gateway_event("http-2.0"), "body": body, "isBase64Encoded": True}
    with pytest.raises(EventError, match="body is not base64"):
        read_all(parse_event(event))


def test_an_error_shows_no_value_of_the_event() -> None:
    event = {**gateway_event("rest"), "headers": {"authorization": ["secret"]}}
    with pytest.raises(EventError) as caught:
        parse_event(event)
    assert "secret" not in str(caught.value)


def test_a_repr_shows_no_header() -> None:
    request = parse_event(gateway_event("rest", headers={"Authorization": "Bearer secret"}))
    assert "secret" not in repr(request)


@settings(max_examples=200, deadline=None)
@given(spoilt_events() | json_values)
def test_any_event_is_read_or_refused_and_nothing_else(event: object) -> None:
    with contextlib.suppress(EventError):
        read_all(parse_event(event))
