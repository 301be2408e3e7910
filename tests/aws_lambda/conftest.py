"""Fixtures for functions without Flask: settings that lead to this test's core, and signed-in users."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from support.served_core import ServedCore

from flask_stsession.aws_lambda.settings import read_settings
from flask_stsession.aws_lambda.verification import FunctionSessions
from flask_stsession.sessions.new_session import NewSession
from flask_stsession.sessions.session import Session

API = "https://api.example.com"
WEBSITE = "https://example.com"


@pytest.fixture
def function(served_core: ServedCore) -> dict[str, Any]:
    """Settings of a function: this test's core, an API and a website of one site."""
    return {
        "STSESSION_CONNECTION_URI": served_core.url,
        "STSESSION_API_DOMAIN": API,
        "STSESSION_WEBSITE_DOMAIN": WEBSITE,
    }


@pytest.fixture
def sessions(function: dict[str, Any]) -> FunctionSessions:
    """The sessions of a function other than the one under test."""
    return FunctionSessions(read_settings(function))


class SignIn(Protocol):
    """Creates a session in the core."""

    def __call__(
        self, user_id: str = ..., *, anti_csrf: bool = ..., tenant_id: str = ..., **payload: Any
    ) -> Session: ...


@pytest.fixture
def sign_in(sessions: FunctionSessions) -> SignIn:
    """Create a session; further keywords are its payload."""

    def create(
        user_id: str = "alice", *, anti_csrf: bool = False, tenant_id: str = "public", **payload: Any
    ) -> Session:
        new = NewSession(user_id=user_id, tenant_id=tenant_id, access_token_payload=payload)
        return sessions.manager.create(new, enable_anti_csrf=anti_csrf)

    return create


def with_time_left(milliseconds: int) -> SimpleNamespace:
    """Return the context of an invocation that has so much time left."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds)


@contextmanager
def hanging(core: ServedCore) -> Iterator[None]:
    """Let a core take requests and answer none while the block runs."""
    released = threading.Event()

    def hang(asked: str) -> None:
        released.wait(30)

    core.core.before = hang
    try:
        yield
    finally:
        released.set()


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("STSESSION_", "FLASK_STSESSION_")):
            monkeypatch.delenv(name)
