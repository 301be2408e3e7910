"""Questions of SDKs about users of login recipes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore

UNKNOWN = {"status": "UNKNOWN_USER_ID_ERROR"}


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        yield client


def test_every_user_is_unknown(client: Client) -> None:
    assert client.call("GET", "/user/id", userId="alice") == UNKNOWN
    for path in ("/recipe/multitenancy/tenant/user", "/recipe/multitenancy/tenant/user/remove"):
        assert client.call("POST", path, {"recipeUserId": "alice"}) == UNKNOWN


def test_a_request_without_a_user_is_refused(client: Client) -> None:
    response = client.send("GET", "/user/id")
    assert (response.status_code, response.text) == (400, "Field name 'userId' is missing in GET request")
    response = client.send("POST", "/recipe/multitenancy/tenant/user", json={})
    assert (response.status_code, response.text) == (
        400,
        "Field name 'recipeUserId' is invalid in JSON input",
    )
