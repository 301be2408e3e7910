"""The messages of failed attempts: which host, what happened, which setting to check, and no secret."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
import requests
from hypothesis import given, strategies as st
from urllib3.exceptions import ProtocolError

from flask_stsession.core.failures import excerpt, failure_of, shown


@pytest.mark.parametrize(
    ("error", "text", "not_sent", "timed_out"),
    [
        (requests.ConnectTimeout(), "no connection within 2 s", True, True),
        (requests.ReadTimeout(), "no whole response within 10 s", False, True),
        (ProtocolError(TimeoutError()), "no whole response within 10 s", False, True),
        (requests.ConnectionError(ConnectionRefusedError()), "connection refused", False, False),
        (requests.ConnectionError(socket.gaierror()), "the name of the host is not known", False, False),
        (requests.exceptions.SSLError(ssl.SSLError("x")), "the TLS connection failed", False, False),
        (
            ProtocolError(ConnectionResetError()),
            "the connection was cut before there was a whole response",
            False,
            False,
        ),
    ],
)
def test_an_error_becomes_a_failure_that_tells_whether_the_request_was_sent(
    error: Any, text: str, not_sent: bool, timed_out: bool
) -> None:
    failure = failure_of(error, "http://core", (2.0, 10.0), (2.0, 10.0))
    assert (failure.text, failure.not_sent, failure.timed_out) == (text, not_sent, timed_out)
    assert failure.cause is error


@pytest.mark.parametrize(
    ("error", "share"), [(requests.ConnectTimeout(), 0.5), (requests.ReadTimeout(), 0.2)]
)
def test_a_failure_records_the_share_of_the_usual_timeout_that_the_host_had(error: Any, share: float) -> None:
    assert failure_of(error, "http://core", (1.0, 2.0), (2.0, 10.0)).share == share


@pytest.mark.parametrize(
    ("address", "as_shown"),
    [
        ("http://core:3567", "http://core:3567"),
        ("https://me:hidden@core/appid-x?key=hidden", "https://core/appid-x"),
        ("/path?token=hidden", "/path"),
        ("http://[::", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, as_shown: str) -> None:
    assert shown(address) == as_shown


def test_a_text_of_a_host_is_quoted_in_one_line() -> None:
    assert excerpt(b"broken\r\n2026-01-01 WARNING forged line\x1b[2J") == (
        "'broken 2026-01-01 WARNING forged line [2J'"
    )
    assert excerpt(b" \n") == ""


@given(
    text=st.text(max_size=50), token=st.from_regex(r"[A-Za-z0-9_-]{40,80}", fullmatch=True), key=st.uuids()
)
def test_an_excerpt_is_short_printable_and_without_tokens(text: str, token: str, key: object) -> None:
    told = excerpt(f"{text} {token}{text}{key} {token}".encode(), str(key))
    assert len(told) <= 410
    assert told.isprintable()
    assert token not in told
    assert str(key) not in told
