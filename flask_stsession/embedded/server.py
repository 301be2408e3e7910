"""Serve an embedded core over HTTP/1.1."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

from .app import EmbeddedCore
from .errors import EmbeddedCoreError
from .http_head import BadRequestError, Head, read_head
from .web_pages import is_loopback, refusal_of
from .wsgi import WSGIResponse, build_environ, run

logger: logging.Logger = logging.getLogger("flask_stsession.embedded")

#: Connections served at the same time, unless set.
MAX_CONNECTIONS: Final = 256
_MAX_BODY_BYTES: Final = 11 * 1024 * 1024
#: How long a client may take for one head, s; for the first one, counted from the start of the connection.
_HEAD_SECONDS: Final = 10.0
#: How long an idle connection is kept, s. Long: a client that sends just as the connection is closed cannot
#: know whether its request was carried out.
_IDLE_SECONDS: Final = 300.0
#: How long a client may take to send a body, or to accept a response, s.
_TRANSFER_SECONDS: Final = 60.0
#: How long a stopping server waits for the requests that it has begun to serve, s.
_STOP_SECONDS: Final = 10.0
#: The rest of a body that is read and dropped, so that the connection can be kept, bytes.
_DROPPED_BYTES: Final = 64 * 1024
#: How long a client may go on sending after a response that ends the connection, s. Closing at once would
#: reset the connection, and the client might never see the response.
_LINGER_SECONDS: Final = 1.0


class _GoneError(OSError):
    """The client has gone, or the server does not wait for it any longer."""


class _TimedStream(io.RawIOBase):
    """Read from a socket until a deadline.

    The timeout of a socket starts anew with each piece: a client that sends a byte now and then would never
    time out.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline, counted from now."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(max(self._deadline - time.monotonic(), 0.001))
        return self._connection.recv_into(buffer)


class _Body(io.RawIOBase):
    """The body of one request, read when the core asks for it: not before the API key has been checked.

    :param before: called before the first byte is read.
    :param after: called when the whole body has been read.
    """

    def __init__(
        self,
        stream: io.BufferedReader[_TimedStream],
        length: int,
        *,
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        self.left = length
        self._stream = stream
        self._before: Callable[[], None] | None = before
        self._after = after

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._before is not None:
            self._before()
            self._before = None
        piece = self._stream.read1(min(len(buffer), self.left)) if self.left else b""
        if self.left and not piece:
            raise _GoneError
        self.left -= len(piece)
        if not self.left:
            self._after()
        buffer[: len(piece)] = piece
        return len(piece)

    def drop(self) -> None:
        """Read and discard the rest, as far as the client sends it."""
        self._before = None
        with contextlib.suppress(OSError):
            while self.left:
                self.read(self.left)


class _Handler(socketserver.BaseRequestHandler):
    """Serve the requests of one connection."""

    request: socket.socket

    def setup(self) -> None:
        assert isinstance(self.server, CoreServer)
        self._server = self.server
        # The response leaves in one segment. Sent as two, the second would wait some 40 ms for the client's
        # delayed acknowledgement of the first (RFC 896; RFC 1122, 4.2.3.2).
        with contextlib.suppress(OSError):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timed = _TimedStream(self.request)
        self._stream = io.BufferedReader(self._timed)

    def handle(self) -> None:
        self._timed.allow(_HEAD_SECONDS)
        with contextlib.suppress(_GoneError, OSError):
            while self._serve_one():
                self._timed.allow(_IDLE_SECONDS)
                if not self._stream.peek(1):
                    return
                self._timed.allow(_HEAD_SECONDS)

    def _serve_one(self) -> bool:
        """Serve the next request; return whether the connection can be used for another one."""
        try:
            head = read_head(self._stream)
        except BadRequestError as error:
            self._send_and_close(_plain(error.status, error.status.phrase))
            return False
        if head is None:
            return False
        with self._server.serving() as is_served:
            # A stopping server executes no request to which it may be unable to respond.
            return is_served and self._respond(head)

    def _respond(self, head: Head) -> bool:
        refusal = self._refusal(head)
        if refusal is not None:
            self._send_and_close(refusal, with_body=head.method != "HEAD")
            return False
        body = _Body(
            self._stream,
            head.content_length,
            before=lambda: self._begin_body(head),
            after=self._server.refuse_if_cut_off,
        )
        response = self._run_core(head, body)
        if body.left <= _DROPPED_BYTES and not head.expects_continue:
            self._timed.allow(_LINGER_SECONDS)
            body.drop()
        with_body = head.method != "HEAD"
        if body.left or not head.keeps_connection or self._server.is_stopping:
            self._send_and_close(response, with_body=with_body)
            return False
        self._send(response, with_body=with_body, close=False)
        return True

    def _refusal(self, head: Head) -> WSGIResponse | None:
        if head.content_length > _MAX_BODY_BYTES:
            return _plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large")
        refusal = refusal_of(head) if self._server.refuses_web_pages else None
        return refusal and _plain(HTTPStatus(refusal[0]), refusal[1])

    def _begin_body(self, head: Head) -> None:
        self._timed.allow(_TRANSFER_SECONDS)
        if head.expects_continue:
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _run_core(self, head: Head, body: _Body) -> WSGIResponse:
        host, port = self._server.server_address[:2]
        environ = build_environ(
            head.method,
            head.path,
            head.query,
            headers=head.fields,
            body=body,
            content_length=head.content_length,
            server=(str(host), str(port)),
        )
        try:
            return run(self._server.core, environ)
        except EmbeddedCoreError:
            logger.exception("the embedded core cannot respond")
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Error")

    def _send(self, response: WSGIResponse, *, with_body: bool, close: bool) -> None:
        lines = [f"HTTP/1.1 {response.status} {response.reason}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if close:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.request.settimeout(_TRANSFER_SECONDS)
        self.request.sendall(head + response.body if with_body else head)

    def _send_and_close(self, response: WSGIResponse, *, with_body: bool = True) -> None:
        self._send(response, with_body=with_body, close=True)
        self.request.shutdown(socket.SHUT_WR)
        self._timed.allow(_LINGER_SECONDS)
        while self._stream.read(_DROPPED_BYTES):
            pass


class CoreServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serve one embedded core over HTTP/1.1, with a thread for each connection.

    It listens as soon as it is created. The caller closes the core. On a loopback address and without API
    keys, requests that a web page may have sent are refused.

    :param core: the core.
    :param host: the address to listen on.
    :param port: the port; 0 for any free one.
    :param max_connections: connections served at the same time; further ones get 503.
    :raises OSError: it cannot listen on that address and port.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    address_family: int = socket.AF_INET

    def __init__(
        self, core: EmbeddedCore, host: str, port: int, *, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self.core = core
        self.is_stopping: bool = False
        self._host = host
        self._max_connections = max_connections
        self._changed = threading.Condition()
        self._serving = 0
        self._is_cut_off = False
        self._open: set[socket.socket] = set()
        self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        super().__init__((str(address[0]), int(address[1])), _Handler)
        self.refuses_web_pages: bool = not core.settings.api_keys and is_loopback(str(address[0]))

    @property
    def url(self) -> str:
        """The URL that it listens at."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_address[1]}"

    @property
    def is_serving(self) -> bool:
        """Whether a request is being served."""
        return self._serving > 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[bool]:
        """Count a request, so that stopping waits for it; yield False if it must not be served any more."""
        with self._changed:
            is_served = not self.is_stopping
            self._serving += is_served
        try:
            yield is_served
        finally:
            with self._changed:
                self._serving -= is_served
                self._changed.notify_all()

    def refuse_if_cut_off(self) -> None:
        """Raise an error once the response to a request can no longer be sent.

        :raises _GoneError: it cannot; the request must not be carried out.
        """
        if self._is_cut_off:
            raise _GoneError

    def stop(self) -> None:
        """Accept no more connections and requests, wait for those being served, and close the connections.

        Do not call this in the thread that runs :meth:`serve_forever` before that method has returned.
        """
        with self._changed:
            self.is_stopping = True
        self.shutdown()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._serving == 0, timeout=_STOP_SECONDS)
            self._is_cut_off = True
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client may have gone
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=1)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin to serve a connection, or reject it with 503."""
        with self._changed:
            if is_full := len(self._open) >= self._max_connections:
                logger.warning("the embedded core rejected a connection: %s are open", self._max_connections)
            else:
                self._open.add(request)
        if is_full:
            with contextlib.suppress(OSError):
                request.settimeout(0)
                request.sendall(
                    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
                    b"Connection: close\r\n\r\n"
                )
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log that a connection failed."""
        logger.debug("a connection to the embedded core ended early", exc_info=True)


def _plain(status: HTTPStatus, text: str) -> WSGIResponse:
    body = text.encode("utf-8")
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))))
    return WSGIResponse(status, status.phrase, headers, body)
