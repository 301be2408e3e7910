"""Paths, versions, API keys and bad input: what the embedded core checks before its operations."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from support.running_cores import Client, client_of

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


# Paths


def test_every_version_of_the_interface_is_listed(client: Client) -> None:
    assert client.call("GET", "/apiversion", websiteDomain="x") == {"versions": list(CDI_VERSIONS)}


def test_a_request_without_a_version_is_served_with_the_newest(core: EmbeddedCore, client: Client) -> None:
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
def test_an_unsupported_method_is_405(client: Client, method: str, path: str) -> None:
    response = client.send(method, path)
    assert (response.status_code, response.text) == (405, "Method not supported")


@pytest.mark.parametrize("path", ["/nothing", "/a/b/recipe/session", "/%2e%2e/recipe/session", "/public/x"])
def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    response = client.send("GET", path)
    assert (response.status_code, response.text) == (404, "Not found")


@pytest.mark.parametrize(
    "path", ["/hello", "/apiversion", "/.well-known/jwks.json", "/recipe/roles", "/nothing"]
)
def test_an_unsupported_version_is_refused_on_every_path(client: Client, path: str) -> None:
    response = client.speaking("9.9").send("GET", path)
    assert (response.status_code, response.text) == (400, "cdi-version 9.9 not supported")


# API keys

KEY = "k" * 20


@pytest.fixture
def guarded() -> Iterator[Client]:
    """A core that asks for an API key."""
    with EmbeddedCore(":memory:", {"api_keys": KEY}) as core, client_of(core) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"api-key": "k" * 19},
        {"api-key": "é" * 20},
        {"Authorization": f"Basic {KEY}"},
        {"api-key": "wrong", "Authorization": f"Bearer {KEY}"},
    ],
)
def test_a_wrong_api_key_is_401_whatever_the_path(guarded: Client, headers: dict[str, str]) -> None:
    response = guarded.send("GET", "/nothing", headers=headers)
    assert (response.status_code, response.text) == (401, "Invalid API key")


@pytest.mark.parametrize(
    "headers",
    [
        {"api-key": KEY},
        {"api-key": f"{KEY}  "},
        {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer   {KEY}"},
        {"api-key": KEY, "Authorization": "wrong"},
    ],
)
def test_an_api_key_is_accepted_in_either_header(guarded: Client, headers: dict[str, str]) -> None:
    assert guarded.send("GET", "/nothing", headers=headers).status_code == 404


# Bad input


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
def test_a_body_that_is_not_a_json_object_is_refused(core: EmbeddedCore, body: bytes) -> None:
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
    assert ask(core, environ) == (400, b"The body is shorter than its Content-Length")


def test_an_internal_error_reveals_nothing(caplog: pytest.LogCaptureFixture) -> None:
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
        "/recipe/multitenancy/tenant/user",
        "/user/id",
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
def test_no_field_values_cause_an_internal_error(
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
def test_no_bytes_cause_an_internal_error(
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
