"""The page for those who come from Flask-JWT-Extended: the client of one app is served by the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.documentation import page
from werkzeug.test import TestResponse

pytestmark = pytest.mark.embedded_core  # the page configures no core

PAGE = page("coming-from/flask-jwt-extended.md")
BEFORE, AFTER = PAGE.blocks()


@pytest.fixture(params=[BEFORE, AFTER], ids=["before", "after"])
def either(request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    """The app before it is ported and after."""
    with PAGE.running(request.param) as namespace:
        yield namespace["app"].test_client()


@pytest.fixture
def ported() -> Iterator[FlaskClient]:
    """The app after porting."""
    with PAGE.running(AFTER) as namespace:
        yield namespace["app"].test_client()


def call(client: FlaskClient, method: str, path: str, token: str) -> TestResponse:
    return client.open(path, method=method, headers={"Authorization": f"Bearer {token}"})


def sign_in(client: FlaskClient) -> dict[str, Any]:
    tokens: dict[str, Any] | None = client.post("/login", json={"user": "alice"}).json
    assert tokens is not None
    return tokens


def test_a_client_signs_in_refreshes_and_signs_out(either: FlaskClient) -> None:
    assert either.get("/user").status_code == 401
    assert either.get("/greeting").json == {"hello": "you"}
    tokens = sign_in(either)
    assert call(either, "GET", "/user", tokens["access_token"]).json == {"user": "alice", "plan": "pro"}
    assert call(either, "GET", "/greeting", tokens["access_token"]).json == {"hello": "alice"}
    assert call(either, "POST", "/password", tokens["access_token"]).json == {"changed": True}

    renewed = call(either, "POST", "/refresh", tokens["refresh_token"]).json
    assert renewed is not None
    tokens |= renewed
    assert call(either, "GET", "/user", tokens["access_token"]).json == {"user": "alice", "plan": "pro"}

    assert call(either, "POST", "/logout", tokens["access_token"]).json == {"signed_out": True}
    assert call(either, "GET", "/user", tokens["access_token"]).status_code == 401


def test_a_client_that_reuses_its_first_refresh_token_is_reported_as_theft(ported: FlaskClient) -> None:
    tokens = sign_in(ported)
    second = call(ported, "POST", "/refresh", tokens["refresh_token"]).json
    assert second is not None
    assert call(ported, "GET", "/user", second["access_token"]).status_code == 200
    theft = call(ported, "POST", "/refresh", tokens["refresh_token"])
    assert (theft.status_code, theft.json) == (401, {"message": "token theft detected"})
    assert call(ported, "GET", "/user", second["access_token"]).status_code == 401


def test_a_recent_login_outlives_a_refresh(either: FlaskClient, request: pytest.FixtureRequest) -> None:
    tokens = sign_in(either)
    renewed = call(either, "POST", "/refresh", tokens["refresh_token"]).json
    assert renewed is not None
    is_fresh = call(either, "POST", "/password", renewed["access_token"]).status_code == 200
    assert is_fresh == ("after" in request.node.name)


def test_tokens_of_the_other_package_are_refused() -> None:
    with PAGE.running(BEFORE) as before, PAGE.running(AFTER) as after:
        old, new = before["app"].test_client(), after["app"].test_client()
        refused = call(new, "GET", "/user", sign_in(old)["access_token"])
        assert (refused.status_code, refused.json) == (401, {"message": "unauthorised"})
        assert call(old, "GET", "/user", sign_in(new)["access_token"]).status_code in (401, 422)
