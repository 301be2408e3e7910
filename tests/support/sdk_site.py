"""The app of an example behind a server, and people who visit it with a frontend SDK."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request, send_file
from werkzeug.serving import BaseWSGIServer, make_server

from flask_stsession import STSession, session_exempt, signals
from support.browser_site import Quiet
from support.served_core import ServedCore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PASSWORD = "demo"
#: Long enough for the slowest machine (ms).
TIMEOUT = 60_000


class SdkSite:
    """The example's app, with a page that only loads the SDKs: ``/sdk``.

    :param example: the module of ``examples/web`` or ``examples/react``, which makes the app.
    :param core: the app's core.
    :param script: the bundled SDKs.
    :param website_host: the host of the pages where it differs from the API's.
    :param api_host: the host of the API.
    :param tls: for https.
    :param settings: of the app, without their prefix.
    """

    def __init__(
        self,
        example: ModuleType,
        core: ServedCore,
        script: Path,
        *,
        website_host: str | None = None,
        api_host: str | None = None,
        tls: ssl.SSLContext | None = None,
        **settings: Any,
    ) -> None:
        self.core = core
        self._example = example
        self._script = script
        #: Method, path and status of every request for the API, in the order of the responses.
        self.asked: list[str] = []
        self._responded = threading.Condition()
        #: How often the session was refreshed.
        self.refreshed = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{website_host or '127.0.0.1'}:{port}"
        self.api = f"{scheme}://{api_host}:{port}" if api_host else self.url
        self._apps: list[Flask] = []
        self.configure(**settings)
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1",
            port,
            self._serve,
            threaded=True,
            request_handler=Quiet,
            ssl_context=tls,
            fd=self._listening.fileno(),
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)

    @property
    def app(self) -> Flask:
        """The app, as it was last configured."""
        return self._apps[-1]

    def configure(self, **settings: Any) -> None:
        """Serve a new app with these settings from now on, as after a deployment."""
        origins = {"website": self.url, "api": self.api} if self.api != self.url else {}
        app: Flask = self._example.create_app(
            {
                "STSESSION_CONNECTION_URI": self.core.url,
                "STSESSION_EMBEDDED_CORE": {},
                **{f"STSESSION_{name.upper()}": value for name, value in settings.items()},
            },
            **origins,
        )
        self._add_page(app)
        signals.session_refreshed.connect(self._count, app)
        self._apps.append(app)

    def _add_page(self, app: Flask) -> None:
        @app.get("/sdk")
        @session_exempt
        def sdk_page() -> str:
            return "<!doctype html><title>SDKs</title><script src=/sdk.js></script>"

        @app.get("/sdk.js")
        @session_exempt
        def sdk_script() -> Response:
            return send_file(self._script)

        @app.after_request
        def note(response: Response) -> Response:
            if request.path.startswith(("/api", "/auth")):
                with self._responded:
                    self.asked.append(f"{request.method} {request.path} {response.status_code}")
                    self._responded.notify_all()
            return response

    def _count(self, _sender: Flask, **_: object) -> None:
        self.refreshed += 1

    @property
    def stsession(self) -> STSession:
        """The extension object of the app."""
        extension: STSession = self.app.extensions["stsession"]
        return extension

    def counted(self) -> Counter[str]:
        """Return how often each request came with each status since the last call."""
        asked = Counter(self.asked)
        self.asked.clear()
        return asked

    @contextlib.contextmanager
    def tokens_have_expired(self) -> Iterator[None]:
        """Issue access tokens that have expired when they arrive."""
        self.core.makes_expired_tokens = True
        yield
        self.core.makes_expired_tokens = False

    def hold_refreshes_until(self, asked: str, times: int) -> None:
        """Have the core refresh no session before a request came so often with this status."""

        def hold(asked_of_the_core: str) -> None:
            if asked_of_the_core == "POST /recipe/session/refresh":
                with self._responded:
                    came = self._responded.wait_for(lambda: self.asked.count(asked) >= times, TIMEOUT / 1000)
                assert came, f"{asked} came {self.asked.count(asked)} times, not {times}"

        self.core.core.before = hold

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._listening.close()
        for app in self._apps:
            with app.app_context():
                app.extensions["stsession"].close()


class Tab:
    """A page with an SDK on it.

    :param page: of Playwright.
    :param site: the site.
    :param sdk: ``website`` (supertokens-website) or ``web-js`` (supertokens-web-js).
    :param options: of the SDK.
    """

    def __init__(self, page: Any, site: SdkSite, sdk: str, options: dict[str, Any]) -> None:
        self.page = page
        self.site = site
        self._sdk = sdk
        self._options = options
        page.set_default_timeout(TIMEOUT)
        self.load()

    def load(self) -> None:
        """Load the page, or load it again."""
        self.page.goto(f"{self.site.url}/sdk")
        self.run("start(...argument)", [self._sdk, {"apiDomain": self.site.api, **self._options}])

    def run(self, script: str, argument: object = None) -> Any:
        """Return the value of an expression, awaited; ``argument`` is its only variable."""
        return self.page.evaluate(f"async (argument) => ({script})", argument)

    def begin(self, script: str, argument: object = None) -> None:
        """Evaluate an expression without waiting for its value: :meth:`finish` does."""
        self.page.evaluate(f"(argument) => {{ window.begun = (async () => ({script}))(); }}", argument)

    def finish(self) -> Any:
        """Return the value of what has begun."""
        return self.page.evaluate("() => window.begun")

    def call(
        self, path: str, method: str = "GET", body: object = None, client: str = "fetch"
    ) -> tuple[int, Any]:
        """Call the API; return status and body of the response that the page gets in the end."""
        answer = self.run("await call(...argument)", [client, method, path, body])
        return answer["status"], answer["body"]

    def sign_in(self, user_id: str = "alice") -> None:
        """Sign in."""
        status, body = self.call("/api/login", "POST", {"userId": user_id, "password": PASSWORD})
        assert (status, body) == (200, {"status": "OK"})

    def sign_in_with_an_expired_token(self, user_id: str = "alice") -> None:
        """Sign in; the access token has expired when it arrives."""
        with self.site.tokens_have_expired():
            self.sign_in(user_id)
        self.site.asked.clear()

    def events(self) -> list[str]:
        """Return the SDK's events since the last call."""
        events: list[str] = self.run("events.splice(0).map((event) => event.action)")
        return events

    def is_signed_in(self) -> bool:
        """Return what the SDK says."""
        exists: bool = self.run("await sdk.doesSessionExist()")
        return exists

    def payload(self) -> dict[str, Any]:
        """Return the payload of the access token, as the SDK gives it."""
        payload: dict[str, Any] = self.run("await sdk.getAccessTokenPayloadSecurely()")
        return payload


class Visitor:
    """A person with a browser profile of their own.

    :param browser: of Playwright.
    :param transfer: how the SDK is to keep the session: ``cookie`` or ``header``.
    :param options: further options of the SDK.
    """

    def __init__(
        self, browser: Any, site: SdkSite, *, transfer: str = "cookie", sdk: str = "website", **options: Any
    ) -> None:
        self.site = site
        self._sdk = sdk
        self._options = {"tokenTransferMethod": transfer, **options}
        self.context = browser.new_context()
        self.tab = self.new_tab()

    def new_tab(self) -> Tab:
        """Open a tab."""
        return Tab(self.context.new_page(), self.site, self._sdk, self._options)

    def cookies(self) -> dict[str, str]:
        """Return the cookies in the browser: those of the API, and those of the SDK's own."""
        return {each["name"]: each["value"] for each in self.context.cookies()}

    def close(self) -> None:
        """Close all tabs."""
        self.context.close()
