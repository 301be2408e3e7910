"""Roles, their permissions, and the users who have them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore


@pytest.fixture(scope="module")
def core() -> Iterator[EmbeddedCore]:
    with EmbeddedCore(":memory:") as core:
        yield core


@pytest.fixture
def client(core: EmbeddedCore) -> Iterator[Client]:
    with client_of(core) as client:
        yield client


def test_roles_are_assigned_in_one_tenant_only(client: Client) -> None:
    client.call("PUT", "/recipe/multitenancy/tenant/v2", {"tenantId": "acme"})
    client.call("PUT", "/recipe/role", {"role": "boss", "permissions": ["fire", "hire"]})
    client.call("PUT", "/acme/recipe/user/role", {"userId": "u", "role": "boss"})
    assert client.call("GET", "/acme/recipe/user/roles", userId="u")["roles"] == ["boss"]
    assert client.call("GET", "/recipe/user/roles", userId="u")["roles"] == []
    assert client.call("GET", "/recipe/role/users", role="boss")["users"] == []
    assert client.call("GET", "/acme/recipe/role/users", role="boss")["users"] == ["u"]


def test_a_deleted_role_is_removed_from_all_users(client: Client) -> None:
    client.call("PUT", "/recipe/role", {"role": "temp"})
    client.call("PUT", "/recipe/user/role", {"userId": "u2", "role": "temp"})
    client.call("POST", "/recipe/role/remove", {"role": "temp"})
    client.call("PUT", "/recipe/role", {"role": "temp"})
    assert client.call("GET", "/recipe/user/roles", userId="u2")["roles"] == []


def test_without_a_list_all_permissions_are_removed(client: Client) -> None:
    client.call("PUT", "/recipe/role", {"role": "all", "permissions": ["a", "b"]})
    client.call("POST", "/recipe/role/permissions/remove", {"role": "all"})
    assert client.call("GET", "/recipe/role/permissions", role="all")["permissions"] == []


@pytest.mark.parametrize(
    "user_id", ["root ", " root", "root\t", "\nroot", "\u00a0root", "root\u3000", "   ", ""]
)
def test_a_user_id_is_never_trimmed(client: Client, user_id: str) -> None:
    client.call("PUT", "/recipe/role", {"role": "superuser"})
    client.call("PUT", "/recipe/user/role", {"userId": "root", "role": "superuser"})
    assert client.call("GET", "/recipe/user/roles", userId=user_id)["roles"] == []
    given = client.call("PUT", "/recipe/user/role", {"userId": user_id, "role": "superuser"})
    assert given == {"status": "OK", "didUserAlreadyHaveRole": False}
    assert client.call("GET", "/recipe/role/users", role="superuser")["users"] == sorted(["root", user_id])
    taken = client.call("POST", "/recipe/user/role/remove", {"userId": user_id, "role": "superuser"})
    assert taken == {"status": "OK", "didUserHaveRole": True}
    assert client.call("GET", "/recipe/role/users", role="superuser")["users"] == ["root"]


def test_names_of_roles_and_permissions_are_trimmed_as_a_core_trims_them(client: Client) -> None:
    role = {"role": " trim\n", "permissions": ["\tread ", "\u00a0read"]}
    client.call("PUT", "/recipe/role", role)
    permissions = client.call("GET", "/recipe/role/permissions", role="trim ")["permissions"]
    assert sorted(permissions) == ["read", "\u00a0read"]
    assert client.call("GET", "/recipe/permission/roles", permission=" read ")["roles"] == ["trim"]


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\x01"])
def test_a_blank_name_is_refused(client: Client, blank: str) -> None:
    for response, field in (
        (client.send("PUT", "/recipe/role", json={"role": blank}), "role"),
        (client.send("GET", "/recipe/permission/roles", params={"permission": blank}), "permission"),
    ):
        assert (response.status_code, response.text) == (
            400,
            f"Field name '{field}' cannot be an empty String",
        )
    response = client.send("PUT", "/recipe/role", json={"role": "r", "permissions": [blank]})
    assert (response.status_code, response.text) == (
        400,
        "Field name 'permissions' is invalid in JSON input: a permission is empty",
    )


@pytest.mark.parametrize("permissions", [None, "read", [1]])
def test_permissions_are_a_list_of_strings(client: Client, permissions: object) -> None:
    for method, path in (("PUT", "/recipe/role"), ("POST", "/recipe/role/permissions/remove")):
        response = client.send(method, path, json={"role": "r", "permissions": permissions})
        assert (response.status_code, response.text) == (
            400,
            "Field name 'permissions' is invalid in JSON input",
        )
