"""Read the rest of a request's body, so that its client can read the response."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

from .context import this_app

if TYPE_CHECKING:
    from flask import Request

_CHUNK_BYTES = 65536
#: The maximum number of bytes to read of the body of a refused request.
REFUSED_BYTES = 16 * 1024 * 1024


def read_body(request: Request, limit: int | None = None) -> None:
    """Read the rest of the request's body, and drop it.

    A server that closes a connection with unread data resets it (RFC 1122, 4.2.2.13), and the client never
    sees the response. Gunicorn does so with larger bodies.

    :param limit: the maximum number of bytes to read; ``None``: only ``MAX_CONTENT_LENGTH`` counts.
    :raises RequestEntityTooLarge: the body is larger than ``MAX_CONTENT_LENGTH``.
    :raises ClientDisconnected: the client has closed the connection.
    """
    left = limit
    while left is None or left > 0:
        chunk = request.stream.read(_CHUNK_BYTES)
        if not chunk:
            break
        left = None if left is None else left - len(chunk)
    if this_app().testing:
        # Werkzeug's test client sends this very stream again when it follows a 307.
        with suppress(AttributeError, OSError):
            request.environ["wsgi.input"].seek(0)


def read_refused_body(request: Request) -> None:
    """Read the body of a refused request, up to 16 MiB."""
    if request.method in ("GET", "HEAD", "OPTIONS") or (request.content_length or 0) > REFUSED_BYTES:
        return
    with suppress(HTTPException, OSError):
        read_body(request, REFUSED_BYTES)
