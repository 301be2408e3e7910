"""Requests per second behind a real server: gunicorn with one gthread worker.

``benchmarks.serving:app()`` is what gunicorn serves; which app that is, the environment says.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from statistics import median

from flask import Flask

from .apps import BARE, CONTESTANTS, OURS, Contestant
from .core import Core
from .report import Part, Row
from .verifying import by_header

_NAME, _CORE_URL, _PUBLIC_KEY = "BENCHMARK_APP", "BENCHMARK_CORE_URL", "BENCHMARK_PUBLIC_KEY"
_THREADS = 4
_CONNECTIONS = 8
_START_SECONDS = 20.0


def app() -> Flask:
    """The app that the environment names."""
    contestant = next(each for each in (BARE, *CONTESTANTS) if each.name == os.environ[_NAME])
    return contestant.make(os.environ[_CORE_URL], os.environ[_PUBLIC_KEY])


def measure(core: Core, *, rounds: int, seconds: float) -> Part:
    """Warm requests per second to a protected view, against the same view of a bare app.

    :param rounds: how often each server has its turn.
    :param seconds: how long a turn is.
    """
    token = core.create_session().access
    key = core.public_key_of(token)
    competing = [each for each in (BARE, *CONTESTANTS) if each.version is not None]
    rates: dict[str, list[float]] = {each.name: [] for each in competing}
    with ExitStack() as servers:
        ports = {each.name: servers.enter_context(_served(each, core.url, key)) for each in competing}
        for port in ports.values():
            _requests_per_second(port, token, 0.5)  # warms up
        for _ in range(rounds):
            for name, port in ports.items():
                rates[name].append(_requests_per_second(port, token, seconds))
    share = {
        name: median(mine / bare for mine, bare in zip(values, rates[BARE.name], strict=True))
        for name, values in rates.items()
    }
    row = Row(
        "gunicorn, gthread, warm: share of a bare app's requests/s",
        f"{median(rates[BARE.name]):.0f}/s",
        _figures(share, rates),
        "90 %",
        share[OURS.name] >= 0.9,
    )
    return Part(
        "gunicorn", [row], [f"One worker of {_THREADS} threads, {_CONNECTIONS} connections kept alive."]
    )


def _figures(share: Mapping[str, float], rates: Mapping[str, list[float]]) -> dict[str, str]:
    return {name: f"{share[name]:.0%} ({median(rates[name]):.0f}/s)".replace("%", " %") for name in share}


@contextmanager
def _served(contestant: Contestant, core_url: str, public_key: str) -> Iterator[int]:
    """A server with the contestant's app; gives its port."""
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
                yield port
            finally:
                process.terminate()


def _wait_for(port: int) -> None:
    """The socket listens already: it answers once the app is there."""
    with socket.create_connection(("127.0.0.1", port), timeout=_START_SECONDS) as connection:
        connection.sendall(b"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = connection.recv(4096).split(b"\r\n", 1)[0]
    if b"200" not in status:
        raise RuntimeError(f"the server answers {status!r}")


def _requests_per_second(port: int, token: str, seconds: float) -> float:
    """Ask over some connections, each of which sends its next request when it has its answer."""
    headers = {"Host": "localhost", **by_header(token)}
    lines = ["GET /user HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    request = "\r\n".join(lines).encode("ascii")
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for _ in range(_CONNECTIONS):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
        answered = 0
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            for key, _ in selector.select(1):
                ready: socket.socket = key.fileobj  # type: ignore[assignment]
                # The answers are short: head and body come in one piece or two.
                answer = ready.recv(4096)
                while not answer.endswith(b"ok"):
                    more = ready.recv(4096)
                    if not more:
                        raise RuntimeError(f"the server answers {answer[:100]!r}")
                    answer += more
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"the server answers {answer[:100]!r}")
                answered += 1
                ready.sendall(request)
        return answered / (time.perf_counter() - started)
