"""Cores behind an address of their own: they record their requests, and can be stopped and started again."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import pytest

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.server import CoreServer
from support.forwarding import ForwardingServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from support.given_core import GivenApp

#: Longer ago than any access token of the tests lives, and than any grace period lasts (s).
LONG: float = 7200.0


class Server(Protocol):
    """What serves a core."""

    def serve_forever(self, poll_interval: float = ...) -> None:
        """Serve until stopped."""
        ...

    def stop(self) -> None:
        """Close all connections and stop."""
        ...


class Watched(Protocol):
    """What a test may see and set of a core."""

    asked: list[str]
    #: Runs before each request is answered.
    before: Callable[[str], None]

    @property
    def offset(self) -> float:
        """How far (s) the core's clock is ahead."""
        ...

    @offset.setter
    def offset(self, seconds: float) -> None: ...

    def close(self) -> None:
        """Close what the core has open."""
        ...


class WatchedCore(EmbeddedCore):
    """An embedded core that records every request, and whose clock can be moved."""

    def __init__(self, database: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.asked: list[str] = []
        self.offset = 0.0
        self.before: Callable[[str], None] = lambda _asked: None
        super().__init__(database, settings, clock=lambda: time.time() + self.offset)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.asked.append(asked)
        self.before(asked)
        return super().__call__(environ, start_response)


class ServedCore:
    """A :class:`WatchedCore` that listens on a free port of 127.0.0.1.

    :param database: its file.
    :param settings: keys of a core's config.yaml.
    """

    core: Watched
    _makes_expired_tokens = False

    def __init__(self, database: Path, settings: Mapping[str, Any] | None = None) -> None:
        embedded = WatchedCore(database, settings)
        self.core = embedded
        self._start_serving(lambda port: CoreServer(embedded, "127.0.0.1", port))

    def _start_serving(self, listen: Callable[[int], CoreServer | ForwardingServer]) -> None:
        self._listen = listen
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        """Its address, the same after it was stopped and started again."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen."""
        server = self._listen(self._port)
        self._port = int(server.server_address[1])
        self._thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        self._thread.start()
        self._server = server

    def kill(self) -> None:
        """Refuse connections until started again."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
        self._server = self._thread = None

    def close(self) -> None:
        """Stop for good."""
        self.kill()
        self.core.close()

    def counted(self) -> Counter[str]:
        """Return how often each request came since the last call, the one for versions left out."""
        asked = Counter(self.core.asked)
        self.core.asked.clear()
        asked.pop("GET /apiversion", None)
        return asked

    @property
    def makes_expired_tokens(self) -> bool:
        """Have the access tokens that the core makes expired when they arrive?"""
        return self._makes_expired_tokens

    @makes_expired_tokens.setter
    def makes_expired_tokens(self, expired: bool) -> None:
        self._makes_expired_tokens = expired
        self._expire_tokens(expired)

    def _expire_tokens(self, expired: bool) -> None:
        self.core.offset = -LONG if expired else 0.0

    def end_grace_period(self) -> None:
        """Have the core take the reuse of a refresh token that has been replaced for theft."""
        self.core.offset = LONG


class ForwardedCore(ServedCore):
    """An app of the core that ``--core-uri`` names, behind a server that can be watched and stopped.

    Its clock cannot be moved: what needs that is skipped, unless settings of the core have the same effect.

    :param app: the app.
    """

    def __init__(self, app: GivenApp) -> None:
        self._app = app
        self.core = self._requests = ForwardedRequests()
        self._start_serving(lambda port: ForwardingServer(port, app.url, app.headers, self._requests))

    def _expire_tokens(self, expired: bool) -> None:
        # Tokens that live for a second, in responses that are held for as long.
        validity = {"access_token_validity": 1, "access_token_validity_jitter": 0}
        self._app.configure(validity if expired else dict.fromkeys(validity))
        self._requests.after = wait_for_expiry if expired else lambda _body: None

    def end_grace_period(self) -> None:
        """Set the grace period of the core to 0."""
        self._app.configure({"refresh_token_rotation_grace_period": 0})


class ForwardedRequests:
    """What a test may see of the requests to a core that is not the embedded one."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda _asked: None
        self.after: Callable[[bytes], None] = lambda _body: None

    @property
    def offset(self) -> float:
        """How far (s) the core's clock is ahead."""
        return 0.0

    @offset.setter
    def offset(self, seconds: float) -> None:
        if seconds:
            pytest.skip("the clock of the core that --core-uri names cannot be moved")

    def close(self) -> None:
        """Do nothing: the core goes on."""

    def arrived(self, method: str, target: str) -> None:
        """Record a request."""
        asked = f"{method} {unquote(urlsplit(target).path)}"
        self.asked.append(asked)
        self.before(asked)


def wait_for_expiry(body: bytes) -> None:
    """Wait until the access token in a response has expired."""
    with contextlib.suppress(ValueError):
        token = json.loads(body).get("accessToken") or {}
        if "expiry" in token:
            time.sleep(max(0.0, token["expiry"] / 1000 - time.time()) + 0.01)
