"""Fixtures for all tests: a core, and apps on it.

The core is the embedded one, with a new database for each test. With ``--core-uri http://host:3567
[--core-api-key KEY]`` it is the SuperTokens core there, with a new app of that core for each test. Tests that
use no core, and tests of the embedded one (marked ``embedded_core``, or using the fixture ``core_file``), are
then left out.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, has_app_context, has_request_context

pytest.register_assert_rewrite("support")  # before it is imported, so that its assertions explain themselves

from support.addresses import get_email
from support.app_factory import AppFactory, NewCore
from support.chromium_browser import running_chromium
from support.given_core import GivenApp, GivenCore
from support.served_core import ForwardedCore, ServedCore

from flask_stsession import STSession
from flask_stsession.embedded.app import EmbeddedCore


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("flask-stsession")
    group.addoption(
        "--core-uri",
        action="append",
        help="run all tests against this SuperTokens core; given again, each worker of -n takes one",
    )
    group.addoption("--core-api-key", default=None, help="the API key of that core")
    group.addoption(
        "--differential-calls",
        type=int,
        default=1000,
        help="how many random calls to compare between that core and the embedded one",
    )
    group.addoption(
        "--differential-seed",
        type=int,
        default=0,
        help="the seed of those calls: the same seed makes the same calls; another one hunts for differences",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests for the core in use."""
    is_given = config.getoption("--core-uri") is not None
    left_out = dict.fromkeys(item for item in items if is_left_out(item, is_given=is_given))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def is_left_out(item: pytest.Item, *, is_given: bool) -> bool:
    """Does a test not touch the core that is given, or does it need one though none is?"""
    if not is_given:
        return item.get_closest_marker("given_core") is not None
    fixtures = getattr(item, "fixturenames", ())
    is_of_the_embedded = item.get_closest_marker("embedded_core") is not None or "core_file" in fixtures
    return is_of_the_embedded or "given_core" not in fixtures


def worker_number(config: pytest.Config) -> int:
    """Return which worker of ``-n`` this process is; 0 without workers."""
    worker: dict[str, str] = getattr(config, "workerinput", {"workerid": "gw0"})
    return int(worker["workerid"].removeprefix("gw"))


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """No test may leave an app context or a request context behind."""
    yield
    assert not has_request_context(), "a request context was left behind"
    assert not has_app_context(), "an app context was left behind"


@pytest.fixture(scope="session")
def given_core(pytestconfig: pytest.Config) -> Iterator[GivenCore | None]:
    """The core that ``--core-uri`` names, or ``None``."""
    uris = pytestconfig.getoption("--core-uri")
    if uris is None:
        yield None
        return
    uri = uris[worker_number(pytestconfig) % len(uris)]
    core = GivenCore(uri, pytestconfig.getoption("--core-api-key"))
    yield core
    core.close()


@pytest.fixture(scope="session")
def core_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with signing keys in it, which take longest to make."""
    path = tmp_path_factory.mktemp("core") / "core.db"
    EmbeddedCore(path).close()
    return path


@pytest.fixture
def core_file(core_template: Path, tmp_path: Path) -> Path:
    """The database of this test's embedded core. Whoever uses it is left out with ``--core-uri``."""
    return Path(shutil.copy(core_template, tmp_path / "core.db"))


@pytest.fixture(scope="session")
def new_core(request: pytest.FixtureRequest, given_core: GivenCore | None) -> NewCore:
    """A factory of cores: a context manager that gives the settings which connect an app to a new core."""

    @contextlib.contextmanager
    def make(**settings: Any) -> Iterator[dict[str, Any]]:
        if given_core is None:
            template = request.getfixturevalue("core_template")
            folder = request.getfixturevalue("tmp_path_factory").mktemp("core")
            uri = f"embedded:{shutil.copy(template, folder / 'core.db')}"
            yield {"STSESSION_CONNECTION_URI": uri, "STSESSION_EMBEDDED_CORE": settings}
        else:
            with given_core.app(settings) as app:
                yield app.config

    return make


@pytest.fixture
def core_config(request: pytest.FixtureRequest, given_core: GivenCore | None) -> Iterator[dict[str, Any]]:
    """The ``STSESSION_CONNECTION_URI`` (and the API key, if any) of this test's core."""
    if given_core is None:
        yield {"STSESSION_CONNECTION_URI": f"embedded:{request.getfixturevalue('core_file')}"}
    else:
        yield request.getfixturevalue("given_app").config


@pytest.fixture
def mail_app(make_app: AppFactory) -> Flask:
    """An app that knows the addresses of its users."""
    return make_app(get_email=get_email, token_transfer_method="cookie")


@pytest.fixture
def given_app(given_core: GivenCore | None) -> Iterator[GivenApp]:
    """This test's app of the core that ``--core-uri`` names."""
    assert given_core is not None
    with given_core.app() as app:
        yield app


@pytest.fixture
def served_core(request: pytest.FixtureRequest, given_core: GivenCore | None) -> Iterator[ServedCore]:
    """This test's core on 127.0.0.1, where it can be watched and stopped; the one that ``make_app`` uses."""
    if given_core is None:
        served = ServedCore(request.getfixturevalue("core_file"))
    else:
        served = ForwardedCore(request.getfixturevalue("given_app"))
    yield served
    served.close()


@pytest.fixture
def make_app(core_config: dict[str, Any]) -> Iterator[AppFactory]:
    """A factory of apps on this test's core; takes settings as keywords, without their prefix."""
    factory = AppFactory(core_config)
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
