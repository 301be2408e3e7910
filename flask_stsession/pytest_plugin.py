"""Fixtures for pytest, which finds them by an entry point; they import the rest of the package when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from .testing import STSessionClient, TestCore


@pytest.fixture
def stsession_client(app: Flask) -> STSessionClient:
    """Return a test client of the app that the fixture ``app`` returns, with ``client.login(user_id)``.

    It is of the app's own ``test_client_class``, with the methods added if that class lacks them.

    :raises TypeError: ``test_client_class`` is a function, and its client lacks the methods.
    """
    from .testing import STSessionClient, STSessionClientMixin

    own: Any = app.test_client_class or STSessionClient
    if isinstance(own, type) and not issubclass(own, STSessionClientMixin):
        own = type(own.__name__, (STSessionClient, own), {})
    make = cast("Callable[..., Any]", own)
    client = make(app, app.response_class, use_cookies=True)
    if not isinstance(client, STSessionClientMixin):
        raise TypeError(
            f"app.test_client_class returns {client!r}, which cannot sign in. Let it return one of a class "
            "with STSessionClientMixin: class Client(STSessionClientMixin, FlaskClient)."
        )
    return cast("STSessionClient", client)


@pytest.fixture
def stsession_core(request: pytest.FixtureRequest) -> TestCore:
    """Return the core of the app that the fixture ``app`` returns, to simulate an outage.

    The fixture ``app`` may use this one: ``create_app(stsession_core.settings)`` keeps its core in memory.
    """
    from .testing import TestCore

    return TestCore(lambda: request.getfixturevalue("app"))
