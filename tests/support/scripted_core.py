"""A server on 127.0.0.1 that answers, cuts and resets as it is told, and remembers what it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Received:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ConnectionEndError(Exception):
    """The connection is to be closed."""


class Link:
    """One connection, as a behaviour sees it."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.sock = sock
        self.stopping = stopping

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


Behaviour = Callable[[Link], None]


def reply(
    body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None, raw: bytes | None = None
) -> Behaviour:
    """Answer, and keep the connection."""
    content = json.dumps(body).encode() if raw is None else raw

    def answer(link: Link) -> None:
        link.send(_head(status, len(content), headers) + content)

    return answer


def reply_and_close(body: Any) -> Behaviour:
    """Answer as if the connection were kept, then close it, as servers do with idle ones."""

    def answer(link: Link) -> None:
        reply(body)(link)
        raise ConnectionEndError

    return answer


def close(_link: Link) -> None:
    """Close the connection without a word."""
    raise ConnectionEndError


def reset(link: Link) -> None:
    """Reset the connection."""
    link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionEndError


def hang(link: Link) -> None:
    """Say nothing until the test is over."""
    link.stopping.wait(30)
    raise ConnectionEndError


def cut(link: Link) -> None:
    """Announce more than is sent, as when a process dies in between."""
    link.send(_head(200, 500, None) + b'{"status": "OK", "accessToken": {"token": "eyJhbGciOiJSUzI1NiJ9')
    raise ConnectionEndError


def drip(link: Link) -> None:
    """Send an answer one byte at a time, slowly."""
    content = b'{"status": "OK"}' * 1000
    link.send(_head(200, len(content), None))
    for position in range(len(content)):
        if link.stopping.wait(0.01):
            break
        link.send(content[position : position + 1])
    raise ConnectionEndError


def say(data: bytes) -> Behaviour:
    """Send these bytes, whatever they are, and close the connection."""

    def answer(link: Link) -> None:
        link.send(data)
        raise ConnectionEndError

    return answer


def nonsense(link: Link) -> None:
    """Answer with something that is not HTTP."""
    link.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    raise ConnectionEndError


def _head(status: int, length: int, headers: Mapping[str, str] | None) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass
class ScriptedCore:
    """The server. What is in ``script`` is done first, one for each request; then ``answers``, by path."""

    script: deque[Behaviour] = field(default_factory=deque)
    answers: dict[str, Behaviour] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    connections: int = 0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def will(self, *behaviours: Behaviour) -> None:
        """Do these with the next requests, one each."""
        self.script.extend(behaviours)

    def always(self, body: Any) -> None:
        """Answer everything with this."""
        self.answers[""] = reply(body)

    @property
    def requests(self) -> list[str]:
        """What was received, in short."""
        return [f"{request.method} {request.path}" for request in self.received]

    def wait_until_closed(self) -> None:
        """Wait until no connection is open."""
        with self._lock:
            threads = self._threads[1:]
        for thread in threads:
            thread.join(10)

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(sock)
                self.connections += 1
                self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls is not None:
                # The handshake may fail, and is slow: not in the thread that accepts.
                with self._lock:
                    self._open.discard(sock)
                    sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                    self._open.add(sock)
            link = Link(sock, self._stopping)
            for request in _read_requests(sock, number):
                with self._lock:
                    self.received.append(request)
                    behaviour = self.script.popleft() if self.script else None
                if behaviour is None:
                    behaviour = (
                        self.answers.get(request.path) or self.answers.get("") or reply({"status": "OK"})
                    )
                behaviour(link)
        except (OSError, ConnectionEndError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()


def _read_requests(sock: socket.socket, connection: int) -> Iterator[Received]:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            data = sock.recv(65536)
            if not data:
                return
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(buffer) < length:
            data = sock.recv(65536)
            if not data:
                return
            buffer += data
        body, buffer = buffer[:length], buffer[length:]
        method, target, _ = first.split(" ")
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        yield Received(method, url.path, query, headers, body, connection)


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """The address of a port that refuses connections, and is nobody else's meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


class FakeClock:
    """A clock that moves when told, or when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
