"""A core at an address of its own: it counts what it is asked, and can be killed and brought back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.server import CoreServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class WatchedCore(EmbeddedCore):
    """An embedded core that notes every request, and whose clock can be moved."""

    def __init__(self, database: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.asked: list[str] = []
        #: How far (s) its clock is off the real one.
        self.offset = 0.0
        #: Runs before each request is answered.
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

    def __init__(self, database: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.core = WatchedCore(database, settings)
        self._server: CoreServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        """Its address, the same after it was killed and started again."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen."""
        self._server = CoreServer(self.core, "127.0.0.1", self._port)
        self._port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))
        self._thread.start()

    def kill(self) -> None:
        """Be gone: connections are refused."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
        self._server = self._thread = None

    def close(self) -> None:
        """Be gone for good."""
        self.kill()
        self.core.close()

    def counted(self) -> Counter[str]:
        """What was asked since the last time, the question for its versions left out."""
        asked = Counter(self.core.asked)
        self.core.asked.clear()
        asked.pop("GET /apiversion", None)
        return asked
