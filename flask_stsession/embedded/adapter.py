"""A transport adapter for ``requests`` that calls an embedded core in this process."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.adapters import BaseAdapter
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from .app import EmbeddedCore, send_unavailable
from .errors import DatabaseUnavailableError
from .wsgi import build_environ, run

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class EmbeddedAdapter(BaseAdapter):
    """Send requests to an embedded core: ``session.mount("http://embedded", EmbeddedAdapter(core))``.

    Nothing is sent over the network: timeouts, proxies and certificates have no effect, and no exception of
    ``requests`` is raised.

    :param core: the core, or a callable without arguments that creates it at the first request.
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
        """Return the response of the core: 503 while its database cannot be used or created.

        :raises EmbeddedCoreError: the core cannot be created, or is in the memory of another process.
        """
        url = urlsplit(request.url or "")
        body = _whole_body(request)
        environ = build_environ(
            request.method or "GET",
            url.path,
            url.query,
            headers=request.headers.items(),
            body=io.BytesIO(body),
            content_length=len(body),
            scheme=url.scheme,
            server=(url.hostname or "embedded", "0"),
        )
        answer = run(self._application, environ)
        response = Response()
        response.request = request
        response.url = request.url or ""
        response.status_code = answer.status
        response.reason = answer.reason
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.encoding = get_encoding_from_headers(response.headers)
        return response

    def close(self) -> None:
        """Do nothing: the core belongs to the caller, and the next request needs it again."""

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            core = self.core()
        except DatabaseUnavailableError as error:
            return send_unavailable(error, start_response)
        return core(environ, start_response)

    def core(self) -> EmbeddedCore:
        """Return the core, created on first use.

        :raises DatabaseUnavailableError: its database cannot be used or created.
        """
        if self._core is None:
            last_failure = self._failure
            with self._making:
                if self._core is None:
                    self._core = self._made_after(last_failure)
        return self._core

    def _made_after(self, last_failure: DatabaseUnavailableError | None) -> EmbeddedCore:
        """Create the core, unless an attempt failed while this thread waited for its turn.

        Otherwise threads would wait for a locked database one by one, each for one more busy timeout.
        """
        if self._failure is not None and self._failure is not last_failure:
            raise type(self._failure)(*self._failure.args)
        try:
            return self._make()
        except DatabaseUnavailableError as error:
            self._failure = error
            raise


def _whole_body(request: PreparedRequest) -> bytes:
    body = request.body or b""
    if isinstance(body, str):
        return body.encode("utf-8")
    if not isinstance(body, bytes):
        raise TypeError(
            f"the embedded core needs the whole body at once, not a {type(body).__name__}: use json= or data="
        )
    return body
