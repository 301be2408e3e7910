"""Tenants and their settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore

OLDER = "/recipe/multitenancy/tenant"
PATH = f"{OLDER}/v2"


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        yield client


def test_an_id_is_stored_in_lower_case_and_without_blanks(client: Client) -> None:
    assert client.call("PUT", PATH, {"tenantId": " Blue "}) == {"status": "OK", "createdNew": True}
    assert client.call("PUT", PATH, {"tenantId": "blue"}) == {"status": "OK", "createdNew": False}
    for path in ("/blue", "/BLUE"):
        assert client.call("GET", path + PATH)["tenantId"] == "blue"
    handle = client.create(tenant="/BLUE")["session"]["handle"]
    assert handle.endswith("_blue")


def test_without_an_id_the_tenant_in_the_path_is_used(client: Client) -> None:
    client.call("PUT", PATH, {"tenantId": "blue"})
    client.call("PUT", "/blue" + PATH, {"firstFactors": ["x"]})
    assert client.call("GET", "/blue" + PATH)["firstFactors"] == ["x"]
    assert client.call("PUT", PATH, {}) == {"status": "OK", "createdNew": False}


def test_settings_are_kept_until_they_are_unset(client: Client) -> None:
    created = {
        "tenantId": "blue",
        "firstFactors": ["otp-email"],
        "requiredSecondaryFactors": ["totp"],
        "coreConfig": {"email_verification_token_lifetime": 1000, "totp_max_attempts": 3},
    }
    client.call("PUT", PATH, created)
    changed = {"tenantId": "blue", "firstFactors": None, "coreConfig": {"totp_max_attempts": None}}
    client.call("PUT", PATH, changed)
    blue: dict[str, Any] = {
        "tenantId": "blue",
        "thirdParty": {"providers": []},
        "requiredSecondaryFactors": ["totp"],
        "coreConfig": {"email_verification_token_lifetime": 1000},
    }
    assert client.call("GET", "/blue" + PATH) == {"status": "OK", **blue}
    assert blue in client.call("GET", OLDER + "/list/v2")["tenants"]


def test_the_public_tenant_exists_from_the_start_and_stays(client: Client) -> None:
    public = {"tenantId": "public", "thirdParty": {"providers": []}, "coreConfig": {}}
    assert client.call("GET", PATH) == {"status": "OK", **public}
    response = client.send("POST", OLDER + "/remove", json={"tenantId": "public"})
    assert (response.status_code, response.text) == (
        403,
        "Cannot delete public tenant, use remove app API instead",
    )


@pytest.mark.parametrize("path", [OLDER, PATH])
def test_an_unknown_tenant_has_no_settings(client: Client, path: str) -> None:
    assert client.call("GET", "/none" + path) == {"status": "TENANT_NOT_FOUND_ERROR"}


def test_deleting_a_tenant_deletes_its_sessions(client: Client) -> None:
    client.call("PUT", PATH, {"tenantId": "gone"})
    client.create("u", tenant="/gone")
    kept = client.create("u")["session"]["handle"]
    assert client.call("POST", OLDER + "/remove", {"tenantId": " GONE"}) == {"status": "OK", "didExist": True}
    assert client.call("POST", OLDER + "/remove", {"tenantId": "gone"}) == {"status": "OK", "didExist": False}
    assert client.handles("u") == {kept}


@pytest.mark.parametrize(
    "tenant_id", ["", " ", "a_b", "a b", "ä", "recipe", "config", "users", "Hello", "appid-x", "a/b", "."]
)
@pytest.mark.parametrize("path", [OLDER, PATH])
def test_an_id_that_would_be_ambiguous_in_a_path_is_refused(
    client: Client, path: str, tenant_id: str
) -> None:
    response = client.send("PUT", path, json={"tenantId": tenant_id})
    assert (response.status_code, response.text) == (
        400,
        "tenantId can only contain letters, numbers and hyphens, must not start with 'appid-' and must"
        " not be 'recipe', 'config', 'users' or 'hello'",
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"nonsense": 1}, "Invalid config key: nonsense"),
        ({"nonsense": None}, "Invalid config key: nonsense"),
        (
            {"access_token_validity": 60},
            "You cannot set different values for access_token_validity for the same appId",
        ),
        ({"totp_max_attempts": "many"}, "'totp_max_attempts' has a value of the wrong type"),
        ({"totp_max_attempts": True}, "'totp_max_attempts' has a value of the wrong type"),
    ],
)
def test_a_configuration_that_a_core_refuses_is_not_stored(
    client: Client, config: dict[str, Any], message: str
) -> None:
    response = client.send("PUT", PATH, json={"tenantId": "blue", "coreConfig": config})
    assert (response.status_code, response.text) == (400, f"Invalid core config: {message}")
    assert client.call("GET", "/blue" + PATH) == {"status": "TENANT_NOT_FOUND_ERROR"}


def test_a_value_that_is_also_the_applications_may_be_repeated(client: Client) -> None:
    config = {"access_token_validity": 3600}
    client.call("PUT", PATH, {"tenantId": "blue", "coreConfig": config})
    assert client.call("GET", "/blue" + PATH)["coreConfig"] == config
