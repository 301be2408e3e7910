"""A server on 127.0.0.1 that passes every request on to another one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import requests

#: Headers of one connection (RFC 9110, 7.6.1), and those that requests sets itself.
_NOT_FORWARDED = {
    "connection",
    "content-length",
    "content-encoding",
    "host",
    "keep-alive",
    "transfer-encoding",
}
_TIMEOUT_SECONDS = 60


class Listener(Protocol):
    """What is called for each request."""

    after: Callable[[bytes], None]

    def arrived(self, method: str, target: str) -> None:
        """Take note of a request before it is passed on."""
        ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one segment
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.upstream = requests.Session()
        self.upstream.trust_env = False

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""

    def _pass_on(self) -> None:
        assert isinstance(self.server, ForwardingServer)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.listener.arrived(self.command, self.path)
        sent = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_FORWARDED}
        try:
            response = self.upstream.request(
                self.command,
                self.server.target + self.path,
                data=body or None,
                headers={**sent, **self.server.headers},
                allow_redirects=False,
                timeout=_TIMEOUT_SECONDS,
            )
        except requests.RequestException:
            self.close_connection = True
            return
        self.server.listener.after(response.content)
        self.send_response_only(response.status_code)
        for name, value in response.headers.items():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815


class ForwardingServer(ThreadingHTTPServer):
    """Passes requests on, and tells a listener of each.

    :param port: to listen on; 0 takes a free one.
    :param target: the URL to which paths are appended.
    :param headers: sent with every request.
    :param listener: is called for each request.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, target: str, headers: Mapping[str, str], listener: Listener) -> None:
        self.target = target
        self.headers = headers
        self.listener = listener
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def stop(self) -> None:
        """Close all connections and stop."""
        self.shutdown()
        self.server_close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):  # the client may have gone
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin to serve a connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        self._open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore that a connection broke: clients close theirs in the middle of tests."""
