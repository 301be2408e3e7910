"""Connections that are never reused when stale, and never read for longer than asked.

urllib3 notices when a kept-alive connection was closed before it is used again. What it cannot see
is a close that crosses our request on the way: that request may have been executed, so it would
fail where it must not be sent twice. Servers close connections that were idle for a fixed time (5 s
is common), so one that comes near that is replaced instead.

The timeout of a socket starts anew with every piece that arrives: an answer that comes in drops
would never time out. Here it bounds the answer as a whole.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: Connections that were idle for longer (s) are replaced.
MAX_IDLE_SECONDS = 4.0
#: Connections kept alive to each host: more than the threads that a worker usually has.
POOL_SIZE = 64


class CoreAdapter(HTTPAdapter):
    """A pool of such connections for ``requests``; retries nothing, that is decided above it.

    :param clock: seconds from a clock that only goes forward.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools, of our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _careful(HTTPConnectionPool, HTTPConnection, self._clock),
            "https": _careful(HTTPSConnectionPool, HTTPSConnection, self._clock),
        }


def _careful(pool: type, connection: type, clock: Callable[[], float]) -> type:
    """A pool class whose connections look after themselves, by this clock."""
    ours = type(connection.__name__, (_CarefulConnection, connection), {"clock": staticmethod(clock)})
    return type(pool.__name__, (pool,), {"ConnectionCls": ours})


class _CarefulConnection:
    """Goes before one of urllib3's connections in the order of bases."""

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
    """As much of a socket as a response needs: a file to read, until the timeout has passed."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._clock = clock

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file to read the answer from, as ``http.client`` asks for it."""
        return io.BufferedReader(_BoundedReader(self._sock, self._clock))


class _BoundedReader(io.RawIOBase):
    """Reads from a socket for as long as its timeout says, all in all."""

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
