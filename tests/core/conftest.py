"""Fixtures of the tests of the core client: scripted servers, a clock, and transports to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.scripted_core import FakeClock, ScriptedCore

from flask_stsession.core.client import CoreClient
from flask_stsession.core.http import CoreCall, CoreTransport
from flask_stsession.errors import STSessionError

ASK = CoreCall("GET", "/recipe/roles", repeatable=True)
ACT = CoreCall("POST", "/recipe/session", content=b'{"secret": "sent"}')
API_KEY = "an-api-key-of-27-characters"
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImQtMSJ9." + "x" * 300 + "." + "y" * 342

MakeCore = Callable[[], ScriptedCore]
MakeTransport = Callable[..., CoreTransport]
MakeClient = Callable[..., CoreClient]


def refusal(transport: CoreTransport, request: CoreCall = ASK) -> str:
    """Send a request that is refused, and return the message of the error."""
    with pytest.raises(STSessionError) as caught:
        transport.send(request)
    return str(caught.value)


@pytest.fixture
def make_core() -> Iterator[Callable[[], ScriptedCore]]:
    """Return a maker of servers that stop with the test."""
    cores: list[ScriptedCore] = []

    def make() -> ScriptedCore:
        cores.append(ScriptedCore())
        return cores[-1]

    yield make
    for core in cores:
        core.stop()


@pytest.fixture
def core(make_core: Callable[[], ScriptedCore]) -> ScriptedCore:
    """Return one server."""
    return make_core()


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


@pytest.fixture
def make_transport(core: ScriptedCore, clock: FakeClock) -> Iterator[MakeTransport]:
    """Return a maker of transports, by default to ``core``, with the fake clock; closed with the test."""
    transports: list[CoreTransport] = []

    def make(**options: Any) -> CoreTransport:
        options = {"hosts": [core.url], "clock": clock, "sleep": clock.sleep, **options}
        transports.append(CoreTransport(**options))
        return transports[-1]

    yield make
    for transport in transports:
        transport.close()


@pytest.fixture
def make_client(make_transport: MakeTransport, clock: FakeClock) -> MakeClient:
    """Return a maker of clients, by default of ``core`` and with CDI 5.4."""

    def make(*, transport: CoreTransport | None = None, **options: Any) -> CoreClient:
        options = {"cdi_version": "5.4", "timer": clock, **options}
        return CoreClient(transport=transport or make_transport(), **options)

    return make
