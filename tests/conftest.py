"""Fixtures for all tests: a core that costs nothing to start, and apps on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, has_app_context, has_request_context

pytest.register_assert_rewrite("support")  # before it is imported, so that its assertions explain themselves

from support.app_factory import AppFactory
from support.chromium_browser import running_chromium
from support.served_core import ServedCore

from flask_stsession import STSession
from flask_stsession.embedded.app import EmbeddedCore


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("flask-stsession")
    group.addoption("--core-uri", default=None, help="run against this SuperTokens core as well")
    group.addoption("--core-api-key", default=None, help="its API key")


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """No test may leave an app context or a request context behind."""
    yield
    assert not has_request_context(), "a request context was left behind"
    assert not has_app_context(), "an app context was left behind"


@pytest.fixture(scope="session")
def core_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with signing keys in it: making them is what takes the time of a first start."""
    path = tmp_path_factory.mktemp("core") / "core.db"
    EmbeddedCore(path).close()
    return path


@pytest.fixture
def core_file(core_template: Path, tmp_path: Path) -> Path:
    """The database of an embedded core, this test's own."""
    return Path(shutil.copy(core_template, tmp_path / "core.db"))


@pytest.fixture
def served_core(core_file: Path) -> Iterator[ServedCore]:
    """A core on 127.0.0.1 that can be watched and killed; on the database that ``make_app`` uses."""
    served = ServedCore(core_file)
    yield served
    served.close()


@pytest.fixture
def make_app(core_file: Path) -> Iterator[AppFactory]:
    """Makes apps with ``STSession`` on the embedded core; settings without their prefix, as keywords."""
    factory = AppFactory(f"embedded:{core_file}")
    yield factory
    factory.close()


@pytest.fixture
def app(make_app: AppFactory) -> Flask:
    """An app with nothing configured but its core."""
    return make_app()


@pytest.fixture
def stsession(app: Flask) -> STSession:
    """The extension object of ``app``."""
    ext: Any = app.extensions["stsession"]
    assert isinstance(ext, STSession)
    return ext


@pytest.fixture
def chromium() -> Iterator[Any]:
    """A browser, for the tests marked ``browser``."""
    with running_chromium() as browser:
        yield browser
