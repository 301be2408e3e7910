"""The processor time of a request behind a real server: gunicorn with one gthread worker.

gunicorn serves ``benchmarks.serving:app()``; the environment names the contestant.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from .apps import BARE, CONTESTANTS, OURS, Contestant
from .core import Core
from .report import BESIDE_PEERS, Part, Row, beside_peers, microseconds, percent
from .timing import lowest
from .wsgi import by_header

_NAME, _CORE_URL, _PUBLIC_KEY = "BENCHMARK_APP", "BENCHMARK_CORE_URL", "BENCHMARK_PUBLIC_KEY"
_THREADS = 4
_CONNECTIONS = (1, 8, 64)
_AIM = 0.9
_START_SECONDS = 20.0


def app() -> Flask:
    """Return the app that the environment names."""
    contestant = next(each for each in (BARE, *CONTESTANTS) if each.name == os.environ[_NAME])
    return contestant.make(os.environ[_CORE_URL], os.environ[_PUBLIC_KEY])


@dataclass(frozen=True)
class _Server:
    """A running server.

    :param port: on which it listens.
    :param worker: the process id of its worker.
    """

    port: int
    worker: int

    def processor_seconds(self) -> float:
        """Return the processor time of the worker so far."""
        # proc(5): fields 14 and 15, user and system time in ticks; the name, field 2, may hold blanks.
        fields = Path(f"/proc/{self.worker}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(core: Core, *, rounds: int, seconds: float) -> Part:
    """Measure the worker's processor time for a request to a protected view.

    :param rounds: how often each server has its turn.
    :param seconds: the length of a turn.
    """
    token = core.create_session().access
    key = core.public_key_of(token)
    competing = [each for each in (BARE, *CONTESTANTS) if each.version is not None]
    with ExitStack() as opened:
        servers = {each.name: opened.enter_context(_served(each, core.url, key)) for each in competing}
        for server in servers.values():
            _ask(server.port, token, max(_CONNECTIONS), 0.5)  # fills caches
        rows = []
        for connections in _CONNECTIONS:
            costs: dict[str, list[float]] = {name: [] for name in servers}
            for _ in range(rounds):
                for name, server in servers.items():
                    before = server.processor_seconds()
                    asked = _ask(server.port, token, connections, seconds)
                    costs[name].append((server.processor_seconds() - before) / asked)
            rows.append(_row(connections, {name: lowest(values) for name, values in costs.items()}))
    note = (
        f"gunicorn ran one gthread worker of {_THREADS} threads. The shares compare the worker's processor "
        "time for a request."
    )
    return Part(BESIDE_PEERS, rows, [note])


def _row(connections: int, costs: dict[str, float]) -> Row:
    shares = {name: costs[BARE.name] / cost for name, cost in costs.items()}
    what = f"gunicorn, {connections} connection{'s' if connections > 1 else ''}: share of bare Flask's speed"
    figures = {name: percent(share) for name, share in shares.items()}
    bare = microseconds(costs[BARE.name], signed=False)
    return beside_peers(what, bare, figures, percent(_AIM), shares[OURS.name] >= _AIM)


@contextmanager
def _served(contestant: Contestant, core_url: str, public_key: str) -> Iterator[_Server]:
    """Run a server with the contestant's app."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port: int = listener.getsockname()[1]
        environment = {**os.environ, _NAME: contestant.name, _CORE_URL: core_url, _PUBLIC_KEY: public_key}
        options = ["--bind", f"fd://{listener.fileno()}", "--worker-class", "gthread"]
        options += ["--threads", str(_THREADS), "--log-level", "error", "--keep-alive", "60"]
        command = [sys.executable, "-m", "gunicorn", *options, f"{__name__}:app()"]
        with subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()]) as process:
            try:
                _wait_for(port)
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                yield _Server(port, int(children.read_text(encoding="ascii").split()[0]))
            finally:
                process.terminate()


def _wait_for(port: int) -> None:
    """Wait for the app. Its socket listens already, and responds once the app is loaded."""
    with socket.create_connection(("127.0.0.1", port), timeout=_START_SECONDS) as connection:
        connection.sendall(b"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = connection.recv(4096).split(b"\r\n", 1)[0]
    if b"200" not in status:
        raise RuntimeError(f"the server responds {status!r}")


def _ask(port: int, token: str, connections: int, seconds: float) -> int:
    """Send requests over some connections, one at a time over each; return their number."""
    headers = {"Host": "localhost", **by_header(token)}
    lines = ["GET /user HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    request = "\r\n".join(lines).encode("ascii")
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
        answered = 0
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            for key, _ in selector.select(1):
                ready: socket.socket = key.fileobj  # type: ignore[assignment]
                # Responses are short: head and body come in one piece or two.
                response = ready.recv(4096)
                while not response.endswith(b"ok"):
                    more = ready.recv(4096)
                    if not more:
                        raise RuntimeError(f"the server responds {response[:100]!r}")
                    response += more
                if not response.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"the server responds {response[:100]!r}")
                answered += 1
                ready.sendall(request)
        return answered
