"""Apps behind a server, and people who visit them with a browser."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from support.served_core import ServedCore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Quiet(WSGIRequestHandler):
    """Log no request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do nothing."""


class Site:
    """An app behind a server, and what happened to its sessions.

    :param core: the core of the app.
    """

    def __init__(self, app: Flask, core: ServedCore) -> None:
        self.app = app
        self.core = core
        self.refreshed = 0
        #: Method and path of every request.
        self.asked: list[str] = []
        #: Headers of every response, for the app to send.
        self.headers: dict[str, str] = {}
        self._server: BaseWSGIServer = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def count(self, _sender: Flask, **_: object) -> None:
        """Count a refresh."""
        self.refreshed += 1

    def drop_cookies(self) -> None:
        """Set no cookie from now on, as if the browser did not keep any."""
        serve = self.app.wsgi_app

        def without_cookies(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                kept = [(name, value) for name, value in headers if name.lower() != "set-cookie"]
                return start_response(status, kept, *error)

            return serve(environ, start)

        self.app.wsgi_app = without_cookies  # type: ignore[method-assign]

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Visit:
    """A person who has signed in, and what went wrong on the pages."""

    def __init__(self, browser: Any, site: Site, **context: Any) -> None:
        self.site = site
        self.context = browser.new_context(**context)
        self.problems: list[str] = []
        self.context.on("page", self._watch)
        self.page = self.context.new_page()
        self.page.goto(f"{site.url}/page/first")
        assert self.page.url == f"{site.url}/login?next=%2Fpage%2Ffirst"
        self.click("Sign in")
        self.page.wait_for_url(f"{site.url}/page/first")

    def _watch(self, page: Any) -> None:
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A 401 or 503 is said there too, and is what the page is about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def click(self, name: str) -> None:
        """Press the button of the page with this very name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def expire_token(self) -> None:
        """Exchange the access token in the browser for one that has expired."""
        self.site.core.makes_expired_tokens = True
        refresh = f"{self.site.url}/auth/session/refresh"
        assert self.context.request.post(refresh, headers={"Origin": self.site.url}).ok
        self.site.core.makes_expired_tokens = False
        self.site.asked.clear()
        self.site.refreshed = 0

    def wait_for_title(self, title: str, page: Any = None) -> None:
        """Wait until a page has this title."""
        (page or self.page).wait_for_function("title => document.title === title", arg=title)

    def wait_for_login_url(self) -> None:
        """Wait until the address bar shows the login page; Turbo changes it after the title."""
        login = f"{self.site.url}/login?next=%2F"
        self.page.wait_for_url(lambda url: url.startswith(login))

    def close(self) -> None:
        """Close all pages, and fail if one of them had an error."""
        assert self.problems == []
        self.context.close()
