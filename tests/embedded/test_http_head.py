"""Heads of requests, read strictly."""

from __future__ import annotations

import io
from http import HTTPStatus

import pytest

from flask_stsession.embedded.http_head import MAX_HEAD_BYTES, BadRequestError, Head, read_head

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


def test_a_request_head_is_parsed() -> None:
    stream = io.BytesIO(
        b"\r\nPOST /a%20b?c=d?e HTTP/1.1\r\nHost:x\r\nX-Two:  a \t b \t\r\nContent-Length: 3\r\n\r\n{}!"
    )
    assert read_head(stream) == Head(
        "POST",
        "/a%20b",
        "c=d?e",
        (("host", "x"), ("x-two", "a \t b"), ("content-length", "3")),
        3,
        is_1_0=False,
    )
    assert stream.read() == b"{}!"


def test_the_end_of_a_connection_yields_no_request() -> None:
    assert read_head(io.BytesIO(b"")) is None
    assert read_head(io.BytesIO(b"\r\n")) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://x/hello?a", "/hello"), (b"HTTPS://x:1", "/"), (b"//x", "//x")],
)
def test_a_target_may_be_absolute(target: bytes, path: str) -> None:
    head = read_head(io.BytesIO(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert head is not None
    assert head.path == path


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"G\xc3\xa9T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (GET + b"Host: y\r\n\r\n", 400),
        (GET + b"A : b\r\n\r\n", 400),
        (GET + b"A b: c\r\n\r\n", 400),
        (GET + b": b\r\n\r\n", 400),
        (GET + b"no colon\r\n\r\n", 400),
        (GET + b"A: b\r\n c\r\n\r\n", 400),
        (GET + b"A: b\x00c\r\n\r\n", 400),
        (GET + b"A: b\rc\r\n\r\n", 400),
        (GET + b"A: b\n\r\n", 400),
        (GET + b"A: b", 400),
        (GET, 400),
        (GET + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n", 400),
        (GET + b"Content-Length: 2, 2\r\n\r\n", 400),
        (GET + b"Content-Length: +2\r\n\r\n", 400),
        (GET + b"Content-Length: \r\n\r\n", 400),
        (GET + b"Content-Length: \xb2\r\n\r\n", 400),
        (GET + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n", 414),
        (GET + b"A: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (GET + b"A: b\r\n" * 100 + b"\r\n", 431),
    ],
)
def test_malformed_and_ambiguous_heads_are_refused(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_head(io.BytesIO(raw))
    assert caught.value.status == status
    assert str(caught.value) == HTTPStatus(status).phrase


def test_a_length_of_thousands_of_digits_is_only_a_large_one() -> None:
    head = read_head(io.BytesIO(GET + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"))
    assert head is not None
    assert head.content_length == 10**18 - 1


@pytest.mark.parametrize(
    ("version", "fields", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: keep-alive, Close\r\n", False),
        (b"1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_the_client_decides_whether_the_connection_is_kept(
    version: bytes, fields: bytes, keeps: bool
) -> None:
    head = read_head(io.BytesIO(b"GET / HTTP/" + version + b"\r\nHost: x\r\n" + fields + b"\r\n"))
    assert head is not None
    assert head.keeps_connection is keeps
