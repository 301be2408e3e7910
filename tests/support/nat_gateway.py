"""A NAT gateway before a server: connections go through it until it has forgotten them.

As AWS's does after 350 s of silence, it tells neither side of that: it answers the next bytes with a reset.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class NatGateway:
    """Forwards connections to a port of 127.0.0.1, and can forget them."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._forgotten: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        #: The bytes that were sent over connections that were forgotten.
        self.lost: list[bytes] = []
        self.port: int = self._listener.getsockname()[1]

    def forget(self) -> int:
        """Forget all connections; return how many there were."""
        with self._lock:
            self._forgotten |= self._open
            return len(self._forgotten)

    def accept(self) -> None:
        """Accept connections until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            with self._lock:
                self._open.add(client)
            back = threading.Thread(target=self._back, args=(server, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if client in self._forgotten:
                        self.lost.append(data)
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                        break
                    server.sendall(data)
            with self._lock:
                self._open.discard(client)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        # What the server says at the end of a forgotten connection does not reach the client.
        if client not in self._forgotten:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Accept no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def running_nat_gateway(target: int) -> Iterator[NatGateway]:
    """Forward connections to a port of 127.0.0.1."""
    gateway = NatGateway(target)
    thread = threading.Thread(target=gateway.accept, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        gateway.close()
        thread.join()
