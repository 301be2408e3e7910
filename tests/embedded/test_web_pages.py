"""Requests that a web page may have sent."""

from __future__ import annotations

import pytest

from flask_stsession.embedded.http_head import Head
from flask_stsession.embedded.web_pages import is_loopback, refusal_of


def head(*, length: int = 0, **fields: str) -> Head:
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return Head("POST", "/", "", named, length, is_1_0=False)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost:3567",
        "a.localhost",
        "localhost.",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]:1",
    ],
)
def test_a_client_on_this_host_is_served(host: str) -> None:
    assert refusal_of(head(host=host)) is None
    assert refusal_of(head(host=host, user_agent="node", sec_fetch_mode="cors")) is None
    assert refusal_of(head(length=2, host=host, content_type="Application/JSON; charset=utf-8")) is None


def test_the_headers_that_browsers_add_are_refused() -> None:
    for header, value in (("origin", "null"), ("origin", "http://localhost"), ("sec-fetch-site", "none")):
        refused = Head("GET", "/", "", (("host", "localhost"), (header, value)), 0, is_1_0=False)
        assert refusal_of(refused) == (
            403,
            f"The header {header} says that a web page sent this request: set api_keys and send one of them",
        )


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3567",
        "localhost.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "",
        "[::2]",
        "127.0.0.1.evil.example",
    ],
)
def test_a_name_that_may_have_been_rebound_is_refused(host: str) -> None:
    assert refusal_of(head(host=host)) == (
        403,
        f"The host {host!r} is not a loopback address: set api_keys and send one of them, or use 127.0.0.1",
    )


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"]
)
def test_a_body_that_a_form_can_send_is_refused(media_type: str) -> None:
    assert refusal_of(head(length=2, host="localhost", content_type=media_type)) == (
        415,
        "The body is not application/json: send that content-type, or set api_keys and send one of them",
    )
    assert refusal_of(head(length=2, host="localhost")) is not None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
    ],
)
def test_loopback_addresses_are_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
