"""Fixtures for pytest, which finds them by an entry point; they import the rest of the package when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from .testing import STSessionClient, TestCore


@pytest.fixture
def stsession_client(app: Flask) -> STSessionClient:
    """Return a test client of the app that the fixture ``app`` returns, with ``client.login(user_id)``."""
    from .testing import STSessionClient

    own = app.test_client_class
    if own is not None and issubclass(own, STSessionClient):
        return own(app, app.response_class, use_cookies=True)
    return STSessionClient(app, app.response_class, use_cookies=True)


@pytest.fixture
def stsession_core(request: pytest.FixtureRequest) -> TestCore:
    """Return the core of the app that the fixture ``app`` returns, to simulate an outage.

    The fixture ``app`` may use this one: ``create_app(stsession_core.settings)`` keeps its core in memory.
    """
    from .testing import TestCore

    return TestCore(lambda: request.getfixturevalue("app"))
