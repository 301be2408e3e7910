"""A browser's cookie jar, as far as it matters to sessions (RFC 6265): which cookies go where."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http.cookies import Morsel, SimpleCookie
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Browser:
    """Sends requests with the cookies of its jar.

    :param client: made with ``use_cookies=False``.
    :param origin: of the API.
    """

    def __init__(self, client: FlaskClient, origin: str) -> None:
        self.client = client
        self.origin = origin
        self.host = origin.partition("://")[2]
        #: By name, domain (with a dot where subdomains see it) and path.
        self.jar: dict[tuple[str, str, str], str] = {}

    def send(self, method: str, path: str, **more: Any) -> TestResponse:
        """Send a request and keep the cookies of its answer."""
        headers = {**more.pop("headers", {})}
        cookie = self.cookie_header(path)
        if cookie:
            headers["Cookie"] = cookie
        answer = self.client.open(path, method=method, base_url=self.origin, headers=headers, **more)
        for line in answer.headers.getlist("Set-Cookie"):
            self.keep(line)
        return answer

    def cookie_header(self, path: str) -> str:
        """What goes along to this path: longer cookie paths first (RFC 6265, 5.4)."""
        fitting = [
            (key, value) for key, value in self.jar.items() if self._fits(key[1]) and _is_below(path, key[2])
        ]
        fitting.sort(key=lambda item: -len(item[0][2]))
        return "; ".join(f"{key[0]}={value}" for key, value in fitting)

    def keep(self, line: str) -> None:
        """Do what a ``Set-Cookie`` says."""
        for name, morsel in SimpleCookie(line).items():
            domain = "." + morsel["domain"].lstrip(".") if morsel["domain"] else self.host
            if not self._fits(domain):
                continue  # a browser takes cookies for its own host and its parents only
            key = (name, domain, morsel["path"] or "/")
            if is_expired(morsel):
                self.jar.pop(key, None)
            else:
                self.jar[key] = morsel.value

    def _fits(self, domain: str) -> bool:
        return self.host == domain or f".{self.host}".endswith(domain)


def is_expired(morsel: Morsel[str]) -> bool:
    """Does it tell the browser to forget the cookie?"""
    if morsel["max-age"]:
        return int(morsel["max-age"]) <= 0
    expires = morsel["expires"]
    return bool(expires) and parsedate_to_datetime(expires).timestamp() < time.time()


def _is_below(path: str, cookie_path: str) -> bool:
    return path == cookie_path or path.startswith(cookie_path.rstrip("/") + "/")
