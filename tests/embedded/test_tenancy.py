"""Tenants and applications in paths and session handles, as measured at a SuperTokens core 12.1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore

PUBLIC_ONLY = (403, "Only public tenantId can call this app specific API")
TENANTS = "/recipe/multitenancy/tenant"
USER = {"userId": "u", "email": "a@b.c", "role": "r"}
SIGNABLE = {"payload": {}, "algorithm": "RS256", "jwksDomain": "x", "validity": 60}


def not_found(app_id: str, tenant_id: str) -> tuple[int, str]:
    return (
        400,
        "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId and"
        f" tenantId combination not found: (, {app_id}, {tenant_id})",
    )


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        client.call("PUT", f"{TENANTS}/v2", {"tenantId": "acme"})
        client.call("PUT", "/recipe/role", {"role": "r"})
        yield client


def send(client: Client, method: str, path: str, fields: dict[str, Any]) -> requests.Response:
    if method == "GET":
        return client.send(method, path, params=fields)
    return client.send(method, path, json=fields)


def refusal(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.text


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/apiversion", {}),
        ("GET", "/recipe/jwt/jwks", {}),
        ("POST", "/recipe/jwt", SIGNABLE),
        ("PUT", "/recipe/role", {"role": "r"}),
        ("GET", "/recipe/roles", {}),
        ("GET", "/recipe/user/metadata", {"userId": "u"}),
        ("GET", "/recipe/user/email/verify", {"userId": "u", "email": "a@b.c"}),
        ("GET", "/recipe/session/user", {"userId": "u"}),
        ("POST", "/recipe/session/remove", {"userId": "u"}),
        ("GET", "/user/id", {"userId": "u"}),
    ],
)
def test_an_operation_of_the_application_is_refused_under_a_tenant_from_5_0_on(
    client: Client, method: str, path: str, fields: dict[str, Any]
) -> None:
    for cdi in ("5.0", "5.6"):
        for tenant in ("/acme", "/unknown"):
            assert refusal(send(client.speaking(cdi), method, tenant + path, fields)) == PUBLIC_ONLY
    for tenant in ("/acme", "/unknown", "/public", ""):
        assert send(client.speaking("4.0"), method, tenant + path, fields).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/recipe/user/roles", {"userId": "u"}),
        ("GET", "/recipe/role/users", {"role": "r"}),
        ("PUT", "/recipe/user/role", USER),
        ("POST", "/recipe/user/role/remove", USER),
        ("POST", "/recipe/user/email/verify/token", USER),
        ("POST", "/recipe/user/email/verify/token/remove", USER),
        ("GET", "/recipe/session/user", {"userId": "u", "fetchAcrossAllTenants": "false"}),
        ("POST", "/recipe/session/remove", {"userId": "u", "revokeAcrossAllTenants": False}),
        ("POST", f"{TENANTS}/user", {"recipeUserId": "u"}),
        ("PUT", f"{TENANTS}/v2", {"tenantId": "acme"}),
        ("PUT", TENANTS, {"tenantId": "acme"}),
    ],
)
@pytest.mark.parametrize("cdi", ["4.0", "5.6"])
def test_an_operation_of_a_tenant_needs_one_that_exists(
    client: Client, method: str, path: str, fields: dict[str, Any], cdi: str
) -> None:
    older = client.speaking(cdi)
    for tenant in ("/acme", "/ACME", "/public", ""):
        assert send(older, method, tenant + path, fields).status_code == 200
    assert refusal(send(older, method, "/unknown" + path, fields)) == not_found("public", "unknown")


@pytest.mark.parametrize("path", [f"{TENANTS}/list", f"{TENANTS}/list/v2"])
def test_only_the_public_tenant_lists_the_tenants(client: Client, path: str) -> None:
    for cdi in ("4.0", "5.6"):
        assert refusal(client.speaking(cdi).send("GET", "/acme" + path)) == PUBLIC_ONLY
        assert refusal(client.speaking(cdi).send("GET", "/unknown" + path)) == not_found("public", "unknown")


@pytest.mark.parametrize("tenant", ["", "/public", "/acme", "/unknown"])
@pytest.mark.parametrize("cdi", ["4.0", "5.5", "5.6"])
def test_an_operation_by_handle_or_token_is_served_under_any_tenant(
    client: Client, tenant: str, cdi: str
) -> None:
    client = client.speaking(cdi)
    pair = client.create()
    handle, token = pair["session"]["handle"], pair["accessToken"]["token"]
    for path in ("/recipe/session", "/recipe/session/data", "/recipe/jwt/data"):
        assert client.call("GET", tenant + path, sessionHandle=handle)["status"] == "OK"
    body = {"sessionHandle": handle, "userDataInDatabase": {}, "userDataInJWT": {}}
    for path in ("/recipe/session/data", "/recipe/jwt/data"):
        assert client.call("PUT", tenant + path, body) == {"status": "OK"}
    regenerated = client.call("POST", tenant + "/recipe/session/regenerate", {"accessToken": token})
    assert regenerated["status"] == "OK"
    checks = dict.fromkeys(("enableAntiCsrf", "doAntiCsrfCheck", "checkDatabase"), False)
    verified = client.send("POST", tenant + "/recipe/session/verify", json={"accessToken": token, **checks})
    assert verified.status_code == (403 if cdi == "5.6" and tenant in ("/acme", "/unknown") else 200)
    removed = client.call("POST", tenant + "/recipe/session/remove", {"sessionHandles": [handle]})
    assert removed["sessionHandlesRevoked"] == [handle]


@pytest.mark.parametrize("cdi", ["4.0", "5.5", "5.6"])
def test_a_refresh_is_served_under_any_tenant_that_exists(client: Client, cdi: str) -> None:
    client = client.speaking(cdi)
    body = {
        "refreshToken": client.create()["refreshToken"]["token"],
        "enableAntiCsrf": False,
        "useDynamicSigningKey": True,
    }
    assert client.call("POST", "/acme/recipe/session/refresh", body)["status"] == "OK"
    response = client.send("POST", "/unknown/recipe/session/refresh", json=body)
    assert refusal(response) == not_found("public", "unknown")


@pytest.mark.parametrize("cdi", ["4.0", "5.5", "5.6"])
def test_the_sessions_of_a_deleted_tenant_are_400_for_every_operation(client: Client, cdi: str) -> None:
    client = client.speaking(cdi)
    pair, kept = client.create("u", tenant="/acme"), client.create("u")["session"]["handle"]
    handle, token = pair["session"]["handle"], pair["accessToken"]["token"]
    assert handle.endswith("_acme")
    client.call("POST", f"{TENANTS}/remove", {"tenantId": "acme"})
    by_handle = {"sessionHandle": handle, "userDataInDatabase": {}, "userDataInJWT": {}}
    by_token = {"accessToken": token, "enableAntiCsrf": False, "doAntiCsrfCheck": False}
    refresh = {
        "refreshToken": pair["refreshToken"]["token"],
        "enableAntiCsrf": False,
        "useDynamicSigningKey": True,
    }
    for method, path, fields in (
        ("GET", "/recipe/session", {"sessionHandle": handle}),
        ("GET", "/recipe/session/data", {"sessionHandle": handle}),
        ("PUT", "/recipe/session/data", by_handle),
        ("PUT", "/recipe/jwt/data", by_handle),
        ("POST", "/recipe/session/verify", {**by_token, "checkDatabase": True}),
        ("POST", "/recipe/session/verify", {**by_token, "checkDatabase": False}),
        ("POST", "/recipe/session/regenerate", {"accessToken": token}),
        ("POST", "/recipe/session/refresh", refresh),
        ("POST", "/recipe/session/remove", {"sessionHandles": [kept, handle]}),
    ):
        assert refusal(send(client, method, path, fields)) == not_found("public", "acme"), path
    # As in a core, the session of the other tenant has ended all the same.
    assert client.handles("u") == set()


@pytest.mark.parametrize("cdi", ["4.0", "5.5", "5.6"])
def test_a_deleted_tenant_is_reported_before_a_wrong_anti_csrf_token(client: Client, cdi: str) -> None:
    client = client.speaking(cdi)
    pair = client.create("u", tenant="/acme", enableAntiCsrf=True)
    client.call("POST", f"{TENANTS}/remove", {"tenantId": "acme"})
    body = {"accessToken": pair["accessToken"]["token"], "antiCsrfToken": "another"}
    for check_database in (False, True):
        flags = {"enableAntiCsrf": True, "doAntiCsrfCheck": True, "checkDatabase": check_database}
        response = client.send("POST", "/recipe/session/verify", json={**body, **flags})
        assert refusal(response) == not_found("public", "acme")


@pytest.mark.parametrize("handle", ["x_acme", "X_ACME", "x_acme_y"])
def test_the_tenant_of_a_handle_is_read_as_a_core_reads_it(client: Client, handle: str) -> None:
    client.create("u", tenant="/acme")
    answer = client.call("GET", "/recipe/session", sessionHandle=handle)
    assert answer["status"] == "UNAUTHORISED"


def test_a_handle_without_a_tenant_belongs_to_the_public_one(client: Client) -> None:
    for handle in ("", "x", "x_"):
        answer = client.call("GET", "/recipe/session", sessionHandle=handle)
        assert answer == {"status": "UNAUTHORISED", "message": "Session does not exist."}
    for handle, tenant in (("x_unknown", "unknown"), ("x_a_b", "a"), ("x_NOPE", "nope")):
        response = client.send("GET", "/recipe/session", params={"sessionHandle": handle})
        assert refusal(response) == not_found("public", tenant)


@pytest.mark.parametrize(
    "path",
    [
        "/recipe/user/roles",
        "/recipe/user/roles/",
        "/public/recipe/user/roles",
        "/PUBLIC/recipe/user/roles",
        "/appid-public/recipe/user/roles",
        "/appid-PUBLIC/public/recipe/user/roles",
        "/%61cme/recipe/user/roles",
    ],
)
def test_application_and_tenant_may_be_named(client: Client, path: str) -> None:
    assert client.call("GET", path, userId="u")["status"] == "OK"


@pytest.mark.parametrize(
    "tenant",
    [
        "/recipe",
        "/hello",
        "/config",
        "/users",
        "/Recipe",
        "/a_b",
        "/a.b",
        "/%20",
        "/a%20b",
        "/%C3%A9",
        "/",
        "/acme/",
        "/acme/acme",
        "/..",
        "/%2e%2e",
        "/acme%2f..",
        "/acme/appid-x",
        "/acme;x",
    ],
)
def test_an_odd_tenant_in_a_path_is_404(client: Client, tenant: str) -> None:
    url = client.url + tenant + "/recipe/user/roles?userId=u"
    request = requests.Request("GET", url, headers={"cdi-version": "5.4"}).prepare()
    request.url = url  # as it is: requests resolves dot segments
    response = client.session.send(request)
    assert refusal(response) == (404, "Not found")


@pytest.mark.parametrize(
    "path",
    [
        "/hello",
        "/apiversion",
        "/.well-known/jwks.json",
        "/recipe/roles",
        "/recipe/session?sessionHandle=x",
        "/recipe/user/roles?userId=u",
    ],
)
def test_other_applications_do_not_exist(client: Client, path: str) -> None:
    assert refusal(client.send("GET", "/appid-shop" + path)) == not_found("shop", "public")
