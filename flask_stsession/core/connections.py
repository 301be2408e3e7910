"""Connections that are never reused when stale, and never read for longer than the timeout.

urllib3 notices when a kept-alive connection was closed before it is used again. It cannot see a close
that crosses our request on the way: that request may have been executed, so it would fail where it
must not be repeated. Servers close connections that were idle for a fixed time (5 s is common), so a
connection that has been idle for almost as long is replaced instead.

The timeout of a socket starts anew with every piece that arrives: a response that trickles in would
never time out. Here the timeout bounds the response as a whole, and a limit bounds its size.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any

from requests import Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

#: Connections that were idle for longer (s) are replaced.
MAX_IDLE_SECONDS = 4.0
#: Connections kept alive to each host: more than the threads that a worker usually has.
POOL_SIZE = 64


class CoreAdapter(HTTPAdapter):
    """An adapter for ``requests`` with such connections. It retries nothing; the transport does.

    :param clock: a clock for ages, in s.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools with our connection classes."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools for a proxy, with our connection classes."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, Any]:
        return {
            "http": _careful(HTTPConnectionPool, HTTPConnection, self._clock),
            "https": _careful(HTTPSConnectionPool, HTTPSConnection, self._clock),
        }


def read_at_most(response: Response, limit: int) -> bytes | None:
    """Read the body of a response as it was sent, without undoing a content encoding.

    :param limit: the most bytes to read.
    :returns: the body; ``None`` if it is larger, and then the connection is closed.
    """
    if not isinstance(response.raw, BaseHTTPResponse):
        content = response.content  # of a core in this process
        return content if len(content) <= limit else None
    try:
        content = response.raw.read(limit + 1, decode_content=False)
    except BaseException:
        response.close()
        raise
    if len(content) > limit:
        response.close()
        return None
    return content


def _careful(pool: type, connection: type, clock: Callable[[], float]) -> type:
    """Return a pool class whose connections are careful ones that use this clock."""
    ours = type(connection.__name__, (_CarefulConnection, connection), {"clock": staticmethod(clock)})
    return type(pool.__name__, (pool,), {"ConnectionCls": ours})


class _CarefulConnection:
    """A mix-in for one of urllib3's connections; comes first in the bases."""

    clock: Callable[[], float]
    sock: socket.socket | None
    _used_at = 0.0

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._used_at = self.clock()

    def request(self, *args: Any, **kwargs: Any) -> None:
        now = self.clock()
        if self.sock is not None and now - self._used_at > MAX_IDLE_SECONDS:
            self.close()  # http.client opens it again
        self._used_at = now
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        bounded: Any = BoundedSocket(sock, self.clock)
        return http.client.HTTPResponse(bounded, *args, **kwargs)


class BoundedSocket:
    """The part of a socket that a response needs: a file that can be read until the timeout has passed."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._clock = clock

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a file to read the response from, as ``http.client`` asks for it."""
        return io.BufferedReader(_BoundedReader(self._sock, self._clock))


class _BoundedReader(io.RawIOBase):
    """A raw file over a socket, whose timeout bounds all reads together."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._clock = clock
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else clock() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - self._clock()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
