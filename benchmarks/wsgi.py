"""Requests to a WSGI app without a server: what is timed is the app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from .timing import Action


class Answer:
    """What an app answers, kept by its ``start_response``."""

    status = ""
    headers: list[tuple[str, str]] = []  # noqa: RUF012 - replaced, never changed

    def start_response(self, status: str, headers: list[tuple[str, str]], _error: object = None, /) -> Any:
        """Keep status and headers."""
        self.status = status
        self.headers = headers

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def environ_of(path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> dict[str, Any]:
    """The WSGI environment of a request to localhost."""
    builder = EnvironBuilder(
        path, base_url="http://localhost:8000", method=method, headers=list((headers or {}).items())
    )
    try:
        return builder.get_environ()
    finally:
        builder.close()


def send(app: Flask, environ: dict[str, Any]) -> Answer:
    """Send one request, and read the answer whole."""
    answer = Answer()
    body = app(environ.copy(), answer.start_response)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return answer


def repeated(app: Flask, environs: Iterable[dict[str, Any]]) -> Action:
    """Sends these requests in turn, over and over.

    :raises RuntimeError: at once, if the first is not answered with 200.
    """
    turn = cycle(environs)
    first = send(app, next(turn))
    if first.status != "200 OK":
        raise RuntimeError(f"{app.name} answers {first.status}")

    def action() -> None:
        answer = send(app, next(turn))
        if answer.status != "200 OK":
            raise RuntimeError(f"{app.name} answers {answer.status}")

    return action
