"""Build a WSGI environ and collect the response (PEP 3333), without a WSGI server in between."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class WSGIResponse:
    """A complete response of a WSGI application.

    :param status: the status code.
    :param reason: the reason phrase.
    :param headers: the header fields, in order.
    :param body: the whole body.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


def build_environ(
    method: str,
    path: str,
    query: str,
    *,
    headers: Iterable[tuple[str, str]],
    body: IO[bytes] | io.RawIOBase,
    content_length: int,
    scheme: str = "http",
    server: tuple[str, str] = ("localhost", "0"),
    protocol: str = "HTTP/1.1",
) -> WSGIEnvironment:
    """Return the environ of a request.

    :param path: the path as in the request target, percent-encoded.
    :param query: the query string, without the question mark.
    :param headers: the header fields; those of equal name are joined with a comma (RFC 9110, 5.3).
    :param body: where the application reads the body.
    :param content_length: the length of the body, bytes.
    :param server: host and port.
    """
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        # WSGI wants the bytes of the path, one character each.
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "SERVER_PROTOCOL": protocol,
        "CONTENT_LENGTH": str(content_length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        # An environ cannot tell api_key from api-key; a proxy in front may have checked the latter only.
        if "_" not in name:
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def run(application: WSGIApplication, environ: WSGIEnvironment) -> WSGIResponse:
    """Call an application and return its complete response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None, /) -> Any:
        started.append((status, headers))

    chunks = application(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    code, _, reason = status.partition(" ")
    return WSGIResponse(int(code), reason, tuple(headers), body)
