"""Embedded cores for tests: in this process, served by a thread, and as processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore, EmbeddedCoreError
from flask_stsession.embedded.server import CoreServer

IN_PROCESS_URL = "http://embedded"


class Clock:
    """A clock that goes when told to.

    :param now: seconds since the epoch.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class Client:
    """Speaks to a core as an SDK does, and fails on anything but a verdict.

    :param session: sends the requests.
    :param url: the core's address.
    :param cdi: the version of the interface to speak.
    """

    def __init__(self, session: requests.Session, url: str = IN_PROCESS_URL, cdi: str = "5.6") -> None:
        self.session = session
        self.url = url
        self.cdi = cdi

    def speaking(self, cdi: str) -> Client:
        return Client(self.session, self.url, cdi)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"cdi-version": self.cdi, **options.pop("headers", {})}
        return self.session.request(method, self.url + path, headers=headers, timeout=30, **options)

    def call(self, method: str, path: str, json: Any = None, **query: str) -> Any:
        response = self.send(method, path, json=json, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, user_id: str = "user", *, tenant: str = "", **fields: Any) -> Any:
        body = {"userId": user_id, "enableAntiCsrf": False, "userDataInJWT": {}, "userDataInDatabase": {}}
        return self.call("POST", f"{tenant}/recipe/session", {**body, **fields})

    def refresh(self, pair: Any, **fields: Any) -> Any:
        body = {"refreshToken": pair["refreshToken"]["token"], "enableAntiCsrf": False}
        return self.call("POST", "/recipe/session/refresh", {**body, "useDynamicSigningKey": True, **fields})

    def verify(self, pair: Any, *, check_database: bool = False) -> Any:
        body = {"accessToken": pair["accessToken"]["token"], "enableAntiCsrf": False}
        body |= {"doAntiCsrfCheck": False, "checkDatabase": check_database}
        return self.call("POST", "/recipe/session/verify", body)

    def handles(self, user_id: str) -> set[str]:
        return set(self.call("GET", "/recipe/session/user", userId=user_id)["sessionHandles"])

    def kids(self) -> list[str]:
        return [key["kid"] for key in self.call("GET", "/.well-known/jwks.json")["keys"]]


@contextlib.contextmanager
def client_of(core: EmbeddedCore) -> Iterator[Client]:
    """A client that calls a core in this process."""
    with requests.Session() as session:
        session.mount(IN_PROCESS_URL, EmbeddedAdapter(core))
        yield Client(session)


@contextlib.contextmanager
def client_at(url: str) -> Iterator[Client]:
    """A client that calls a core over HTTP."""
    with requests.Session() as session:
        yield Client(session, url)


@contextlib.contextmanager
def served(core: EmbeddedCore, **options: Any) -> Iterator[str]:
    """Serve a core over HTTP from a thread, and give its address."""
    server = CoreServer(core, "127.0.0.1", 0, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


def refusal_of(database: str | Path) -> str:
    """Return why there can be no embedded core on a database."""
    with pytest.raises(EmbeddedCoreError) as raised:
        EmbeddedCore(database)
    return str(raised.value)


def in_forked_child(work: Callable[[], str]) -> str:
    """Fork, run ``work`` in the child, and return its result, or its error as text."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is the point
        pid = os.fork()
    if pid == 0:
        said = "something that was not foreseen"
        try:
            said = work()
        except EmbeddedCoreError as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(write_end, said.encode())
            os._exit(0)
    os.close(write_end)
    os.waitpid(pid, 0)
    with os.fdopen(read_end, "rb") as pipe:
        return pipe.read().decode()


class CoreProcess:
    """``python -m flask_stsession.embedded`` as a process of its own, listening.

    :param database: the file, or ``:memory:``.
    :param settings: for ``--set``.
    """

    def __init__(self, database: str | Path, settings: Mapping[str, object] | None = None) -> None:
        assignments = [f"--set={key}={value}" for key, value in (settings or {}).items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flask_stsession.embedded", "--port=0", f"--db={database}", *assignments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.url = self.first_line.removeprefix("Listening on ").strip()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what was still printed, to stdout and stderr."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@contextlib.contextmanager
def core_process(database: str | Path, settings: Mapping[str, object] | None = None) -> Iterator[CoreProcess]:
    """Run a core as a process of its own."""
    running = CoreProcess(database, settings)
    try:
        yield running
    finally:
        running.end()
