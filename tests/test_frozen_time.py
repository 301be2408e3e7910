"""Tests that freeze or move the time see it pass on both sides of the wire, with either library.

time-machine replaces the clocks of the interpreter. freezegun replaces attributes of modules, and so misses a
clock that somebody has bound before, by a default argument for example.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import freezegun
import pytest
import time_machine
from flask.testing import FlaskClient
from support.app_factory import AppFactory

import flask_stsession

#: Returns a context in which the time stands still.
Freeze = Callable[[datetime], AbstractContextManager[object]]

CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "gmtime", "now", "utcnow", "today"}
TRY_REFRESH = (401, {"message": "try refresh token"})
UNAUTHORISED = (401, {"message": "unauthorised"})

pytestmark = pytest.mark.embedded_core


def _travel(to: datetime) -> AbstractContextManager[object]:
    return time_machine.travel(to, tick=False)


@pytest.fixture(params=[freezegun.freeze_time, _travel], ids=["freezegun", "time-machine"])
def freeze(request: pytest.FixtureRequest) -> Freeze:
    freeze: Freeze = request.param
    return freeze


@pytest.fixture
def client(make_app: AppFactory) -> FlaskClient:
    """Return a client that is signed in, now."""
    client = make_app(token_transfer_method="cookie").test_client()
    assert client.post("/login").status_code == 200
    return client


def in_time(**later: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(**later)


def get(client: FlaskClient) -> tuple[int, object]:
    response = client.get("/user")
    return response.status_code, response.get_json()


def refresh(client: FlaskClient) -> tuple[int, object]:
    response = client.post("/auth/session/refresh")
    return response.status_code, response.get_json()


def test_two_hours_later_the_access_token_has_expired_and_can_be_refreshed(
    client: FlaskClient, freeze: Freeze
) -> None:
    assert get(client)[0] == 200
    with freeze(in_time(hours=2)):
        assert get(client) == TRY_REFRESH
        assert refresh(client) == (200, {})
        assert get(client)[0] == 200
    with freeze(in_time(hours=2, minutes=45)):
        assert get(client)[0] == 200
    with freeze(in_time(hours=3, minutes=1)):
        assert get(client) == TRY_REFRESH


def test_a_year_later_the_session_has_ended(client: FlaskClient, freeze: Freeze) -> None:
    with freeze(in_time(days=365)):
        assert get(client) == TRY_REFRESH
        assert refresh(client) == UNAUTHORISED
        assert get(client) == UNAUTHORISED


@pytest.mark.parametrize("days", [-3650, 3650])
def test_one_app_serves_before_within_and_after_the_time_of_a_test(
    make_app: AppFactory, freeze: Freeze, days: float
) -> None:
    app = make_app(token_transfer_method="cookie", check_database=True)
    for time in (None, in_time(days=days), None):
        client = app.test_client()
        if time is None:
            assert (client.post("/login").status_code, get(client)[0]) == (200, 200)
            assert (refresh(client), get(client)[0]) == ((200, {}), 200)
        else:
            with freeze(time):
                assert (client.post("/login").status_code, get(client)[0]) == (200, 200)
                assert (refresh(client), get(client)[0]) == ((200, {}), 200)


def test_a_session_of_the_frozen_past_has_expired_once_the_time_goes_on(
    make_app: AppFactory, freeze: Freeze
) -> None:
    client = make_app(token_transfer_method="cookie").test_client()
    with freeze(in_time(days=-365)):
        assert client.post("/login").status_code == 200
        assert get(client)[0] == 200
    assert get(client) == TRY_REFRESH
    assert refresh(client) == UNAUTHORISED


def test_the_time_of_a_session_is_the_frozen_one(make_app: AppFactory, freeze: Freeze) -> None:
    app = make_app(token_transfer_method="header")
    noon = datetime(2031, 5, 4, 12, tzinfo=timezone.utc)
    with freeze(noon), app.app_context():
        handle = app.test_client().post("/login").get_json()["handle"]
        found = flask_stsession.get_session_information(handle)
        assert found is not None
        assert found.created_at == noon
        assert found.expires_at == noon + timedelta(days=100)


def test_signing_keys_rotate_in_frozen_time(make_app: AppFactory, freeze: Freeze) -> None:
    app = make_app(token_transfer_method="cookie")
    before = {key["kid"] for key in app.extensions["stsession"].get_jwks()["keys"]}
    for days in (8, 16):
        client = app.test_client()
        with freeze(in_time(days=days)):
            assert (client.post("/login").status_code, get(client)[0]) == (200, 200)
            assert not {key["kid"] for key in app.extensions["stsession"].get_jwks()["keys"]} <= before


def test_no_clock_is_bound_before_it_is_read() -> None:
    """A clock may be named where it is called: ``time.time()``, or ``(self._clock or time.time)()``."""
    bound = []
    for path in sorted(Path(flask_stsession.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {
            id(each)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for each in (node.func, *(node.func.values if isinstance(node.func, ast.BoolOp) else ()))
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                bound.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
            elif isinstance(node, ast.Attribute) and node.attr in CLOCKS and id(node) not in called:
                owner = node.value
                if isinstance(owner, ast.Name) and owner.id in ("time", "datetime", "date"):
                    bound.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert bound == []
