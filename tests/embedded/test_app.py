"""Paths, versions, tenants and bad input: what the embedded core answers before and around its operations."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from support.running_cores import Client, Clock, client_of

from flask_stsession.constants import CDI_VERSIONS
from flask_stsession.embedded.app import EmbeddedCore

TEXT = "text/plain; charset=utf-8"


@pytest.fixture(scope="module")
def core() -> Iterator[EmbeddedCore]:
    with EmbeddedCore(":memory:") as core:
        yield core


@pytest.fixture
def client(core: EmbeddedCore) -> Iterator[Client]:
    with client_of(core) as client:
        yield client


def not_found(app_id: str, tenant_id: str) -> str:
    return (
        "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId and"
        f" tenantId combination not found: (, {app_id}, {tenant_id})"
    )


# Paths


def test_every_version_of_the_interface_is_listed(client: Client) -> None:
    assert client.call("GET", "/apiversion", websiteDomain="x") == {"versions": list(CDI_VERSIONS)}


def test_without_a_version_the_newest_is_spoken(core: EmbeddedCore, client: Client) -> None:
    body = {
        "accessToken": client.create()["accessToken"]["token"],
        "doAntiCsrfCheck": False,
        "enableAntiCsrf": False,
        "checkDatabase": True,
    }
    response = client.session.post(client.url + "/recipe/session/verify", json=body)
    assert "payloadUpdateAvailable" in response.json()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/hello", "/appid-public/hello", "/public/hello"])
def test_hello_needs_nothing(client: Client, method: str, path: str) -> None:
    response = client.send(method, path)
    assert (response.status_code, response.text) == (200, "Hello")
    assert response.headers["Content-Type"] == TEXT


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/recipe/session"),
        ("PATCH", "/hello"),
        ("POST", "/.well-known/jwks.json"),
        ("PUT", "/apiversion"),
        ("HEAD", "/recipe/session/user"),
    ],
)
def test_a_method_that_a_path_does_not_know_is_405(client: Client, method: str, path: str) -> None:
    response = client.send(method, path)
    assert (response.status_code, response.text) == (405, "Method not supported")


@pytest.mark.parametrize("path", ["/nothing", "/a/b/recipe/session", "/%2e%2e/recipe/session", "/public/x"])
def test_a_path_that_there_is_not_is_404(client: Client, path: str) -> None:
    response = client.send("GET", path)
    assert (response.status_code, response.text) == (404, "Not found")


@pytest.mark.parametrize(
    "path", ["/recipe/roles", "/appid-public/recipe/roles", "/appid-public/public/recipe/roles"]
)
def test_the_public_application_and_tenant_may_be_named(client: Client, path: str) -> None:
    assert client.call("GET", path)["status"] == "OK"


def test_other_applications_do_not_exist(client: Client) -> None:
    response = client.send("GET", "/appid-shop/recipe/roles")
    assert (response.status_code, response.text) == (400, not_found("shop", "public"))


def test_a_wrong_key_is_401_whatever_the_path() -> None:
    with EmbeddedCore(":memory:", {"api_keys": "k" * 20}) as core, client_of(core) as client:
        for headers in ({}, {"api-key": "k" * 19}, {"api-key": "é" * 20}):
            response = client.send("GET", "/nothing", headers=headers)
            assert (response.status_code, response.text) == (401, "Invalid API key")
        assert client.send("GET", "/nothing", headers={"api-key": "k" * 20}).status_code == 404


# Tenants


@pytest.fixture
def acme(client: Client) -> str:
    client.call("PUT", "/recipe/multitenancy/tenant/v2", {"tenantId": "acme"})
    return "/acme"


@pytest.mark.parametrize(
    "path", ["/recipe/session/verify", "/recipe/session/refresh", "/recipe/session/regenerate", "/recipe/jwt"]
)
def test_what_belongs_to_the_application_is_403_under_a_tenant(client: Client, acme: str, path: str) -> None:
    response = client.send("POST", acme + path, json={})
    assert (response.status_code, response.text) == (
        403,
        "Only public tenantId can call this app specific API",
    )


def test_a_tenant_may_not_touch_the_sessions_of_all_tenants(client: Client, acme: str) -> None:
    listing = client.send("GET", acme + "/recipe/session/user", params={"userId": "u"})
    removing = client.send("POST", acme + "/recipe/session/remove", json={"userId": "u"})
    for response in (listing, removing):
        assert (response.status_code, response.text) == (
            403,
            "Only the public tenant may act on the sessions of all tenants",
        )


def test_across_all_tenants_is_true_or_false(client: Client) -> None:
    response = client.send(
        "GET", "/recipe/session/user", params={"userId": "u", "fetchAcrossAllTenants": "maybe"}
    )
    assert (response.status_code, response.text) == (
        400,
        "Field name 'fetchAcrossAllTenants' is invalid in JSON input",
    )


def test_a_tenants_settings_are_kept_until_they_are_unset(client: Client) -> None:
    path = "/recipe/multitenancy/tenant/v2"
    made = {
        "tenantId": "Blue",
        "firstFactors": ["otp-email"],
        "requiredSecondaryFactors": ["totp"],
        "coreConfig": {"a": 1, "b": 2},
    }
    assert client.call("PUT", path, made) == {"status": "OK", "createdNew": True}
    changed = {"tenantId": "blue", "firstFactors": None, "coreConfig": {"a": None}}
    assert client.call("PUT", path, changed) == {"status": "OK", "createdNew": False}
    blue: dict[str, Any] = {
        "tenantId": "blue",
        "thirdParty": {"providers": []},
        "firstFactors": None,
        "requiredSecondaryFactors": ["totp"],
        "coreConfig": {"b": 2},
    }
    assert client.call("GET", "/blue" + path) == {"status": "OK", **blue}
    assert blue in client.call("GET", "/recipe/multitenancy/tenant/list/v2")["tenants"]


def test_the_older_path_shows_ways_to_log_in_as_on_or_off(client: Client) -> None:
    path, older = "/recipe/multitenancy/tenant", client.speaking("4.0")
    older.call("PUT", path, {"tenantId": "red", "emailPasswordEnabled": True})
    red = older.call("GET", "/red" + path)
    assert (red["emailPassword"], red["passwordless"]) == ({"enabled": True}, {"enabled": False})
    assert red["thirdParty"] == {"providers": [], "enabled": False}
    listed = older.call("GET", path + "/list")["tenants"]
    assert {"status": "OK", **next(found for found in listed if found["tenantId"] == "red")} == red


def test_the_public_tenant_is_there_from_the_start(client: Client) -> None:
    assert client.call("GET", "/recipe/multitenancy/tenant/v2")["tenantId"] == "public"


def test_asking_for_a_tenant_that_there_is_not(client: Client) -> None:
    assert client.call("GET", "/none/recipe/multitenancy/tenant/v2") == {"status": "TENANT_NOT_FOUND_ERROR"}


def test_deleting_a_tenant_takes_its_sessions_along(client: Client) -> None:
    client.call("PUT", "/recipe/multitenancy/tenant/v2", {"tenantId": "gone"})
    client.create("gone-user", tenant="/gone")
    kept = client.create("gone-user")["session"]["handle"]
    path = "/recipe/multitenancy/tenant/remove"
    assert client.call("POST", path, {"tenantId": "gone"}) == {"status": "OK", "didExist": True}
    assert client.call("POST", path, {"tenantId": "gone"}) == {"status": "OK", "didExist": False}
    assert client.handles("gone-user") == {kept}
    response = client.send("POST", "/gone/recipe/session", json={})
    assert (response.status_code, response.text) == (400, not_found("public", "gone"))


def test_the_public_tenant_stays(client: Client) -> None:
    response = client.send("POST", "/recipe/multitenancy/tenant/remove", json={"tenantId": "public"})
    assert (response.status_code, response.text) == (403, "The public tenant cannot be deleted")


@pytest.mark.parametrize("name", ["a_b", "recipe", "appid-x", "ä"])
def test_a_tenants_name_must_fit_into_a_path(client: Client, name: str) -> None:
    response = client.send("PUT", "/recipe/multitenancy/tenant/v2", json={"tenantId": name})
    assert (response.status_code, response.text) == (
        400,
        "tenantId may have letters, digits and hyphens in it, must not be 'recipe' nor begin with 'appid-'",
    )


def test_no_required_factors_are_said_by_null(client: Client) -> None:
    body = {"tenantId": "acme", "requiredSecondaryFactors": []}
    response = client.send("PUT", "/recipe/multitenancy/tenant/v2", json=body)
    assert (response.status_code, response.text) == (
        400,
        "Field name 'requiredSecondaryFactors' is invalid in JSON input",
    )


def test_roles_are_given_in_one_tenant_only(client: Client, acme: str) -> None:
    client.call("PUT", "/recipe/role", {"role": "boss", "permissions": ["fire", "hire"]})
    client.call("PUT", acme + "/recipe/user/role", {"userId": "u", "role": "boss"})
    assert client.call("GET", acme + "/recipe/user/roles", userId="u")["roles"] == ["boss"]
    assert client.call("GET", "/recipe/user/roles", userId="u")["roles"] == []
    assert client.call("GET", "/recipe/role/users", role="boss")["users"] == []
    assert client.call("GET", acme + "/recipe/role/users", role="boss")["users"] == ["u"]


def test_a_role_that_is_deleted_is_taken_from_everybody(client: Client) -> None:
    client.call("PUT", "/recipe/role", {"role": "temp"})
    client.call("PUT", "/recipe/user/role", {"userId": "u2", "role": "temp"})
    client.call("POST", "/recipe/role/remove", {"role": "temp"})
    client.call("PUT", "/recipe/role", {"role": "temp"})
    assert client.call("GET", "/recipe/user/roles", userId="u2")["roles"] == []


def test_without_a_list_all_permissions_are_removed(client: Client) -> None:
    client.call("PUT", "/recipe/role", {"role": "all", "permissions": ["a", "b"]})
    client.call("POST", "/recipe/role/permissions/remove", {"role": "all"})
    assert client.call("GET", "/recipe/role/permissions", role="all")["permissions"] == []


def test_an_empty_permission_is_refused(client: Client) -> None:
    response = client.send("PUT", "/recipe/role", json={"role": "r", "permissions": [" "]})
    assert (response.status_code, response.text) == (
        400,
        "Field name 'permissions' is invalid in JSON input: a permission is empty",
    )


def test_an_empty_query_parameter_is_refused_where_a_name_is_needed(client: Client) -> None:
    response = client.send("GET", "/recipe/user/roles", params={"userId": " "})
    assert (response.status_code, response.text) == (400, "Field name 'userId' cannot be an empty String")


def test_an_email_token_expires() -> None:
    clock = Clock()
    lifetime = {"email_verification_token_lifetime": 5000}
    with EmbeddedCore(":memory:", lifetime, clock=clock) as core, client_of(core) as client:
        address = {"userId": "u", "email": " Mixed@Example.com "}
        for waited, status in ((4.9, "OK"), (5.0, "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR")):
            client.call("POST", "/recipe/user/email/verify/remove", address)
            token = client.call("POST", "/recipe/user/email/verify/token", address)["token"]
            clock.advance(waited)
            body = {"method": "token", "token": token}
            assert client.call("POST", "/recipe/user/email/verify", body)["status"] == status


# Bad input

SIGNABLE = {"payload": {}, "algorithm": "RS256", "jwksDomain": "x"}


def ask(core: EmbeddedCore, environ: dict[str, Any]) -> tuple[int, bytes]:
    """Call the core with nothing between."""
    got: list[int] = []

    def start_response(status: str, _headers: list[tuple[str, str]], _: object = None, /) -> Any:
        got.append(int(status[:3]))

    body = b"".join(core(environ, start_response))
    return got[0], body


def environ_of(method: str, path: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'"text"',
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"userId": "\\ud800"}',
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=repr,
)
def test_what_is_no_json_object_is_refused(core: EmbeddedCore, body: bytes) -> None:
    assert ask(core, environ_of("POST", "/recipe/session", body)) == (400, b"Invalid Json Input")


def test_a_nesting_that_can_be_read_but_not_written_is_refused(core: EmbeddedCore) -> None:
    # Close to the interpreter's own limit the one may work and the other fail; either answer will do.
    for depth in range(900, 1000, 10):
        nested = b"[" * depth + b"]" * depth
        body = (
            b'{"userId": "u", "enableAntiCsrf": false, "userDataInDatabase": {}, "userDataInJWT": {"a": '
            + nested
            + b"}}"
        )
        assert ask(core, environ_of("POST", "/recipe/session", body))[0] in (200, 400)


def test_a_body_that_is_too_large_is_413(core: EmbeddedCore) -> None:
    environ = environ_of("POST", "/recipe/session", b"{}") | {"CONTENT_LENGTH": str(11 * 1024 * 1024)}
    assert ask(core, environ) == (413, b"The body is larger than 10485760 bytes")


def test_a_body_that_is_cut_short_is_400(core: EmbeddedCore) -> None:
    environ = environ_of("POST", "/recipe/session", b"{}") | {"CONTENT_LENGTH": "100"}
    assert ask(core, environ) == (400, b"The body is shorter than announced")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/recipe/session/remove", {"sessionHandles": "x"}, "sessionHandles"),
        ("/recipe/session/remove", {"sessionHandles": [1]}, "sessionHandles"),
        (
            "/recipe/jwt",
            {**SIGNABLE, "validity": "1"},
            "validity",
        ),
        (
            "/recipe/jwt",
            {**SIGNABLE, "validity": True},
            "validity",
        ),
        ("/recipe/session/regenerate", {"accessToken": "x", "userDataInJWT": []}, "userDataInJWT"),
        ("/recipe/session/refresh", {"refreshToken": "x", "enableAntiCsrf": 1}, "enableAntiCsrf"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(client: Client, path: str, body: Any, field: str) -> None:
    response = client.send("POST", path, json=body)
    assert (response.status_code, response.text) == (400, f"Field name '{field}' is invalid in JSON input")


def test_a_failure_of_our_own_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    broken: list[bool] = []

    def clock() -> float:
        if broken:
            raise ArithmeticError("the secret is 42")
        return time.time()

    with EmbeddedCore(":memory:", clock=clock) as core, client_of(core) as client:
        broken.append(True)
        response = client.send("GET", "/recipe/session/user", params={"userId": "u"})
        assert (response.status_code, response.text) == (500, "Internal Error")
        broken.clear()
        assert client.create()["status"] == "OK"
    assert caplog.messages == ["the embedded core failed"]


PATHS = sorted(
    {
        "/recipe/session",
        "/recipe/session/verify",
        "/recipe/session/refresh",
        "/recipe/session/regenerate",
        "/recipe/session/remove",
        "/recipe/session/user",
        "/recipe/session/data",
        "/recipe/jwt",
        "/recipe/jwt/data",
        "/recipe/jwt/jwks",
        "/recipe/role",
        "/recipe/role/remove",
        "/recipe/roles",
        "/recipe/role/users",
        "/recipe/role/permissions",
        "/recipe/role/permissions/remove",
        "/recipe/permission/roles",
        "/recipe/user/role",
        "/recipe/user/role/remove",
        "/recipe/user/roles",
        "/recipe/user/email/verify",
        "/recipe/user/email/verify/token",
        "/recipe/user/email/verify/token/remove",
        "/recipe/user/email/verify/remove",
        "/recipe/user/metadata",
        "/recipe/user/metadata/remove",
        "/recipe/multitenancy/tenant",
        "/recipe/multitenancy/tenant/v2",
        "/recipe/multitenancy/tenant/remove",
        "/.well-known/jwks.json",
        "/apiversion",
    }
)
FIELDS = """
    userId enableAntiCsrf userDataInJWT userDataInDatabase useDynamicSigningKey accessToken doAntiCsrfCheck
    checkDatabase antiCsrfToken refreshToken sessionHandle sessionHandles revokeAcrossAllTenants payload
    algorithm jwksDomain validity useStaticSigningKey role permissions email method token metadataUpdate
    tenantId firstFactors requiredSecondaryFactors coreConfig accessTokenValidity emailPasswordEnabled
"""
#: Right values, so that wrong ones are also met behind the first field.
FITTING: st.SearchStrategy[Any] = st.sampled_from(
    ["user", "token", "RS256", "a.b.c", "a." + "0" * 64 + ".V2", True, False, 1, {}, [], None]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "", "é", "OPTIONS"])
FUZZING = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZING
@given(
    method=st.sampled_from(["POST", "PUT"]),
    path=st.sampled_from(PATHS),
    body=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, FITTING | ANY_JSON)),
    cdi=st.sampled_from(CDI_VERSIONS),
)
@example(
    "POST", "/recipe/jwt", {"payload": {}, "algorithm": "RS256", "jwksDomain": "x", "validity": 1e308}, "5.4"
)
def test_no_values_of_any_fields_fail(
    core: EmbeddedCore, method: str, path: str, body: dict[str, Any], cdi: str
) -> None:
    raw = json.dumps(body).encode()
    status, _ = ask(core, environ_of(method, path, raw, HTTP_CDI_VERSION=cdi))
    assert status in (200, 400, 403, 405)


@FUZZING
@given(
    method=METHODS,
    path=st.sampled_from(PATHS) | st.text(),
    body=st.binary(),
    query=st.text(),
    header=st.text(),
)
def test_no_bytes_anywhere_fail(
    core: EmbeddedCore, method: str, path: str, body: bytes, query: str, header: str
) -> None:
    environ = environ_of(
        method,
        # As a WSGI server would give them: one character for each byte (PEP 3333).
        path.encode("utf-8", "surrogatepass").decode("latin-1"),
        body,
        QUERY_STRING=query.encode("utf-8", "surrogatepass").decode("latin-1"),
        HTTP_API_KEY=header.encode("utf-8", "surrogatepass").decode("latin-1"),
    )
    status, _ = ask(core, environ)
    assert status in (200, 400, 404, 405)
    environ |= {"HTTP_CDI_VERSION": header.encode("utf-8", "surrogatepass").decode("latin-1")}
    status, _ = ask(core, environ | {"wsgi.input": io.BytesIO(body)})
    assert status in (200, 400, 404, 405)
