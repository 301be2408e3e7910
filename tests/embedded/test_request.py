"""The fields of requests: types, null and what is required."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore

CREATE = {"userId": "u", "enableAntiCsrf": False, "userDataInJWT": {}, "userDataInDatabase": {}}
JWT = {"payload": {}, "algorithm": "RS256", "jwksDomain": "x", "validity": 60}
VERIFY = {"accessToken": "x", "enableAntiCsrf": False, "doAntiCsrfCheck": False, "checkDatabase": False}
REFRESH = {"refreshToken": "x", "enableAntiCsrf": False, "useDynamicSigningKey": True}


@pytest.fixture(scope="module")
def core() -> Iterator[EmbeddedCore]:
    with EmbeddedCore(":memory:") as core:
        yield core


@pytest.fixture
def client(core: EmbeddedCore) -> Iterator[Client]:
    with client_of(core) as client:
        yield client


@pytest.mark.parametrize("value", [None, "text", 1, []])
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", CREATE, "enableAntiCsrf"),
        ("", CREATE, "useDynamicSigningKey"),
        ("", CREATE, "userDataInJWT"),
        ("", CREATE, "userDataInDatabase"),
        ("/verify", VERIFY, "checkDatabase"),
        ("/refresh", REFRESH, "useDynamicSigningKey"),
        ("/regenerate", {"accessToken": "x"}, "userDataInJWT"),
        ("/remove", {"userId": "u"}, "revokeAcrossAllTenants"),
        ("/remove", {"userId": "u"}, "revokeSessionsForLinkedAccounts"),
        ("/remove", {"sessionHandles": []}, "revokeSessionsForLinkedAccounts"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_null_is_one(
    client: Client, path: str, body: dict[str, Any], field: str, value: object
) -> None:
    response = client.send("POST", "/recipe/session" + path, json={**body, field: value})
    assert (response.status_code, response.text) == (400, f"Field name '{field}' is invalid in JSON input")


@pytest.mark.parametrize(
    ("path", "body", "field", "value"),
    [
        ("/recipe/session/verify", VERIFY, "antiCsrfToken", None),
        ("/recipe/session/refresh", REFRESH, "antiCsrfToken", None),
        ("/recipe/session/refresh", REFRESH, "accessTokenValidity", None),
        ("/recipe/session/remove", {}, "sessionHandles", None),
        ("/recipe/session/remove", {}, "sessionHandles", "x"),
        ("/recipe/session/remove", {}, "sessionHandles", [1]),
        ("/recipe/session/remove", {"sessionHandles": []}, "userId", None),
        ("/recipe/jwt", JWT, "validity", "1"),
        ("/recipe/jwt", JWT, "validity", True),
        ("/recipe/jwt", JWT, "useStaticSigningKey", None),
    ],
)
def test_the_field_at_fault_is_named(
    client: Client, path: str, body: dict[str, Any], field: str, value: object
) -> None:
    response = client.send("POST", path, json={**body, field: value})
    assert (response.status_code, response.text) == (400, f"Field name '{field}' is invalid in JSON input")


@pytest.mark.parametrize("integer", [2**63, -(2**63) - 1])
def test_a_payload_that_a_core_could_not_sign_is_refused(client: Client, integer: int) -> None:
    payload = {"list": [{"n": integer}]}
    text = "Field name 'userDataInJWT' has an integer of more than 64 bits"
    response = client.send("POST", "/recipe/session", json={**CREATE, "userDataInJWT": payload})
    assert (response.status_code, response.text) == (400, text)
    handle = client.create()["session"]["handle"]
    response = client.send(
        "PUT", "/recipe/jwt/data", json={"sessionHandle": handle, "userDataInJWT": payload}
    )
    assert (response.status_code, response.text) == (400, text)
    # The data in the database are never signed.
    assert client.create(userDataInDatabase=payload)["status"] == "OK"
