"""A ``requests`` transport that calls the embedded core in this process instead of a socket."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from requests.adapters import BaseAdapter
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from .app import EmbeddedCore, send_unavailable
from .errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class EmbeddedAdapter(BaseAdapter):
    """Send requests to an embedded core: ``session.mount("http://embedded", EmbeddedAdapter(core))``.

    Nothing goes over the network, so timeouts, proxies and certificates have no meaning here, and
    none of the exceptions of ``requests`` is raised.

    :param core: the core, or a callable without arguments that makes it when the first request is sent.
    """

    def __init__(self, core: EmbeddedCore | Callable[[], EmbeddedCore]) -> None:
        super().__init__()
        self._making = threading.Lock()
        self._failure: DatabaseUnavailableError | None = None
        self._core = core if isinstance(core, EmbeddedCore) else None
        self._make: Callable[[], EmbeddedCore] = (lambda: core) if isinstance(core, EmbeddedCore) else core

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the core's response: 503 while its database cannot be used, also while it is being made.

        :raises EmbeddedCoreError: there can be no core, or it is in the memory of another process.
        """
        response = Response()
        response.request = request
        response.url = request.url or ""

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None, /) -> Any:
            code, _, response.reason = status.partition(" ")
            response.status_code = int(code)
            response.headers = CaseInsensitiveDict(headers)

        try:
            content = self._embedded_core()(_environ(request), start_response)
        except DatabaseUnavailableError as error:  # while the core was being made
            content = send_unavailable(error, start_response)
        body = b"".join(content)
        response.raw = io.BytesIO(body)
        response.encoding = get_encoding_from_headers(response.headers)
        return response

    def close(self) -> None:
        """Do nothing: the core belongs to whoever made it, and the next request needs it again."""

    def _embedded_core(self) -> EmbeddedCore:
        if self._core is None:
            last_failure = self._failure
            with self._making:
                if self._core is None:
                    self._core = self._made_after(last_failure)
        return self._core

    def _made_after(self, last_failure: DatabaseUnavailableError | None) -> EmbeddedCore:
        """Make the core, unless that has failed while this thread waited for its turn.

        Else threads would wait for a locked database one after the other, each for a busy timeout more.
        """
        if self._failure is not None and self._failure is not last_failure:
            raise type(self._failure)(*self._failure.args)
        try:
            return self._make()
        except DatabaseUnavailableError as error:
            self._failure = error
            raise


def _environ(request: PreparedRequest) -> WSGIEnvironment:
    url = urlsplit(request.url or "")
    raw = _whole_body(request)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method or "GET",
        "SCRIPT_NAME": "",
        # WSGI wants the bytes of the path, one character each (PEP 3333).
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname or "embedded",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(raw)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(raw),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        environ.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
    return environ


def _whole_body(request: PreparedRequest) -> bytes:
    body = request.body or b""
    if isinstance(body, str):
        return body.encode("utf-8")
    if not isinstance(body, bytes):
        raise TypeError(
            f"the embedded core takes a whole body, not a {type(body).__name__}: use json= or data="
        )
    return body
