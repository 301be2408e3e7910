"""Requests to a WSGI app without a server, so that only the app is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from .timing import Action


class Response:
    """Status and headers of a response, kept by its ``start_response``."""

    status = ""
    headers: list[tuple[str, str]] = []  # noqa: RUF012 - replaced, never changed

    def start_response(self, status: str, headers: list[tuple[str, str]], _error: object = None, /) -> Any:
        """Keep status and headers."""
        self.status = status
        self.headers = headers

    def header(self, name: str) -> str | None:
        """Return the value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def environ_of(path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> dict[str, Any]:
    """Return the WSGI environment of a request to localhost."""
    builder = EnvironBuilder(
        path, base_url="http://localhost:8000", method=method, headers=list((headers or {}).items())
    )
    try:
        return builder.get_environ()
    finally:
        builder.close()


def send(app: Flask, environ: dict[str, Any]) -> Response:
    """Send one request, and read the whole response.

    :raises RuntimeError: the status is not 200.
    """
    response = Response()
    body = app(environ.copy(), response.start_response)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()
    if response.status != "200 OK":
        raise RuntimeError(f"{app.name} responds {response.status} to {environ['PATH_INFO']}")
    return response


def repeated(app: Flask, environs: Iterable[dict[str, Any]]) -> Action:
    """Return an action that sends one of these requests after the other, over and over."""
    turn = cycle(environs)
    return lambda: send(app, next(turn))


def by_header(token: str) -> dict[str, str]:
    """Return request headers that carry a token by header."""
    return {"Authorization": f"Bearer {token}"}


def by_cookie(token: str) -> dict[str, str]:
    """Return request headers that carry an access token by cookie."""
    return {"Cookie": f"sAccessToken={token}"}
