"""Tabs of one browser that refresh at the same time, without a lock between them."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import urlsplit


class CookieJar:
    """The cookies of a browser: each response that arrives replaces what it sets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cookies: dict[str, str] = {}

    def header(self, *, refreshing: bool) -> str:
        """Return the cookies that a request would carry now."""
        with self._lock:
            names = ("sAccessToken", "sRefreshToken") if refreshing else ("sAccessToken",)
            return "; ".join(f"{name}={self._cookies[name]}" for name in names if self._cookies.get(name))

    def keep(self, lines: list[str]) -> None:
        """Take over what a response sets or clears."""
        with self._lock:
            for line in lines:
                for name, morsel in SimpleCookie(line).items():
                    self._cookies[name] = morsel.value


class Tabs:
    """Several tabs that share a cookie jar; each has a connection of its own.

    :param address: of the app, which has ``/login`` and ``/page``.
    :param count: the number of tabs.
    """

    def __init__(self, address: str, count: int) -> None:
        self._host = urlsplit(address).netloc
        self._count = count
        self._jar = CookieJar()
        #: How often each kind of response came, by its message or status.
        self.seen: Counter[str] = Counter()

    def sign_in(self) -> None:
        """Start a session by cookie."""
        connection = http.client.HTTPConnection(self._host, timeout=60)
        connection.request("POST", "/login", headers={"st-auth-mode": "cookie"})
        self._receive(connection, "login")
        connection.close()

    def burst(self, pool: ThreadPoolExecutor) -> None:
        """Let all tabs refresh at once, and all load a page when the last of them has its tokens."""
        together = threading.Barrier(self._count, timeout=60)
        for tab in [pool.submit(self._refresh_and_go_on, together) for _ in range(self._count)]:
            tab.result(120)

    def _refresh_and_go_on(self, together: threading.Barrier) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        cookies = self._jar.header(refreshing=True)
        together.wait()
        connection.request("POST", "/auth/session/refresh", headers={"Cookie": cookies})
        self._receive(connection, "refresh")
        together.wait()
        connection.request("GET", "/page", headers={"Cookie": self._jar.header(refreshing=False)})
        self._receive(connection, "page")
        connection.close()

    def _receive(self, connection: http.client.HTTPConnection, what: str) -> None:
        response = connection.getresponse()
        body = response.read().decode()
        self._jar.keep(response.headers.get_all("Set-Cookie") or [])
        self.seen[f"{what} {response.status}" + (f" {body.strip()}" if response.status != 200 else "")] += 1
