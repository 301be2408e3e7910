"""The examples for AWS Lambda behind MiniStack's gateways: an emulator by others, which deploys the template.

It evaluates policies and caches results as API Gateway does, by what it says of itself. Where it is known to
differ from API Gateway, a comment says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
import requests
import websocket
from support.ministack import Gateways, running_gateways
from support.served_core import ServedCore

WEBSITE = "https://www.example.com"
PASSWORD = "only for this test"

#: Where the Flask app is.
GATEWAYS = ("rest", "http-2.0", "custom-domain", "function-url", "alb", "alb-multi-value")

pytestmark = [pytest.mark.slow, pytest.mark.embedded_core]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory, core_template: Path) -> Iterator[ServedCore]:
    """The core of all functions here."""
    served = ServedCore(Path(shutil.copy(core_template, tmp_path_factory.mktemp("core") / "core.db")))
    yield served
    served.close()


@pytest.fixture(scope="module")
def gateways(core: ServedCore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    """The stack of the examples, deployed."""
    parameters = {
        "CoreUri": core.url,
        "CoreApiKey": "not-asked-for-by-this-core",
        "WebsiteDomain": WEBSITE,
        "DemoPassword": PASSWORD,
    }
    with running_gateways(tmp_path_factory.mktemp("ministack"), parameters) as running:
        yield running


def signed_in(gateways: Gateways, gateway: str = "http-2.0", mode: str = "header") -> requests.Response:
    """Sign alice in; return the response."""
    headers = {"st-auth-mode": mode, "origin": WEBSITE}
    login = {"userId": "alice", "password": PASSWORD}
    response = gateways.send("POST", gateway, "/login", json=login, headers=headers)
    assert response.status_code == 200, response.text
    return response


def bearer(gateways: Gateways) -> dict[str, str]:
    """Return the header of a new session."""
    return {"authorization": f"Bearer {signed_in(gateways).headers['st-access-token']}"}


def cookies_in(response: requests.Response) -> SimpleCookie:
    """Return the cookies that a response sets, each of which came in a header of its own."""
    found = SimpleCookie()
    for line in response.raw.headers.getlist("set-cookie"):
        found.load(line)
    return found


def cookie_header(cookies: SimpleCookie) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())


# The Flask app


@pytest.mark.parametrize("gateway", GATEWAYS[1:])
def test_a_session_by_cookie_lives_on_behind_each_gateway(gateways: Gateways, gateway: str) -> None:
    cookies = cookies_in(signed_in(gateways, "http-2.0" if gateway == "custom-domain" else gateway, "cookie"))
    assert set(cookies) >= {"sAccessToken", "sRefreshToken"}
    headers = {"cookie": cookie_header(cookies), "rid": "session", "origin": WEBSITE}
    user = gateways.send("GET", gateway, "/user", headers=headers)
    assert (user.status_code, user.json()["userId"]) == (200, "alice")
    assert user.headers["access-control-allow-origin"] == WEBSITE
    refreshed = gateways.send("POST", gateway, "/auth/session/refresh", headers=headers)
    assert refreshed.status_code == 200
    renewed = cookies_in(refreshed)
    assert renewed["sRefreshToken"].value != cookies["sRefreshToken"].value
    headers["cookie"] = cookie_header(renewed)
    assert gateways.send("POST", gateway, "/auth/signout", headers=headers).json() == {"status": "OK"}
    assert gateways.send("GET", gateway, "/user", headers={}).status_code == 401


def test_the_cookie_of_the_refresh_token_has_the_path_with_the_stage(gateways: Gateways) -> None:
    # MiniStack serves the stage below a path of its own, so the cookie is sent on by hand.
    cookies = cookies_in(signed_in(gateways, "rest", "cookie"))
    assert cookies["sRefreshToken"]["path"] == "/prod/auth/session/refresh"
    headers = {"cookie": cookie_header(cookies), "rid": "session"}
    refreshed = gateways.send("POST", "rest", "/auth/session/refresh", headers=headers)
    assert (refreshed.status_code, set(cookies_in(refreshed))) == (200, set(cookies))


def test_the_function_of_one_route_sends_a_session_with_cors(gateways: Gateways) -> None:
    refused = gateways.send("GET", "rest", "/user", headers={"origin": WEBSITE})
    assert (refused.status_code, refused.json()) == (401, {"message": "unauthorised"})
    user = gateways.send("GET", "rest", "/user", headers={**bearer(gateways), "origin": WEBSITE})
    assert (user.status_code, user.json()["userId"]) == (200, "alice")
    for response in (refused, user):
        assert response.headers["access-control-allow-origin"] == WEBSITE
        assert response.headers["access-control-allow-credentials"] == "true"
        assert "front-token" in response.headers["access-control-expose-headers"]
        assert "Origin" in response.headers["vary"]
    preflight = gateways.send("OPTIONS", "rest", "/user", headers={"origin": WEBSITE})
    assert preflight.status_code == 204
    assert "st-auth-mode" in preflight.headers["access-control-allow-headers"]


def test_the_cors_of_an_http_api_exposes_the_headers_of_frontend_sdks(gateways: Gateways) -> None:
    headers = signed_in(gateways).headers
    assert headers["access-control-allow-origin"] == WEBSITE
    exposed = {name.strip() for name in headers["access-control-expose-headers"].split(",")}
    assert exposed == {"front-token", "st-access-token", "st-refresh-token", "anti-csrf"}


# Lambda authorizers


@pytest.mark.parametrize(
    ("gateway", "path", "function"),
    [
        ("http-2.0", "/authorized", "HttpAuthorizerFunction"),
        ("rest", "/cached", "CachedRestAuthorizerFunction"),
    ],
)
def test_one_cached_result_allows_two_routes(
    gateways: Gateways, gateway: str, path: str, function: str
) -> None:
    token, before = bearer(gateways), gateways.calls_of(function)
    for route in ("user", "other", "user"):
        response = gateways.send("GET", gateway, f"{path}/{route}", headers=token)
        assert (response.status_code, response.json()["userId"]) == (200, "alice")
    assert gateways.calls_of(function) == before + 1
    # Another session is another key of the cache.
    assert gateways.send("GET", gateway, f"{path}/user", headers=bearer(gateways)).status_code == 200
    assert gateways.calls_of(function) == before + 2


def test_a_cached_policy_for_one_resource_would_refuse_the_next_route(gateways: Gateways) -> None:
    # The counterpart of the test above: this gateway does hold cached policies against each route.
    token = bearer(gateways)
    assert gateways.send("GET", "http-2.0", "/exact/user", headers=token).status_code == 200
    assert gateways.send("GET", "http-2.0", "/exact/other", headers=token).status_code == 403


def test_failed_claims_are_forbidden_on_all_routes_by_one_result(gateways: Gateways) -> None:
    token, before = bearer(gateways), gateways.calls_of("DenyingFunction")
    for route in ("user", "other"):
        response = gateways.send("GET", "http-2.0", f"/denying/{route}", headers=token)
        assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})
    assert gateways.calls_of("DenyingFunction") == before + 1


@pytest.mark.parametrize(("gateway", "path"), [("http-2.0", "/authorized/user"), ("rest", "/cached/user")])
def test_a_cached_authorizer_is_not_asked_about_requests_without_a_token(
    gateways: Gateways, gateway: str, path: str
) -> None:
    functions = ("HttpAuthorizerFunction", "CachedRestAuthorizerFunction")
    before = [gateways.calls_of(function) for function in functions]
    refused = gateways.send("GET", gateway, path, headers={"cookie": "sAccessToken=x"})
    assert refused.status_code == 401
    assert [gateways.calls_of(function) for function in functions] == before


def test_unauthorized_of_an_authorizer_is_a_401_with_cors(gateways: Gateways) -> None:
    token = {"authorization": "Bearer none"}
    refused = gateways.send("GET", "rest", "/cached/user", headers=token)
    assert (refused.status_code, refused.json()) == (401, {"message": "unauthorised"})
    assert refused.headers["access-control-allow-origin"] == WEBSITE
    # MiniStack knows this only of REST APIs; API Gateway says 401 here as well.
    assert gateways.send("GET", "http-2.0", "/authorized/user", headers=token).status_code in (401, 500)


def test_an_outage_is_a_503_with_cors_where_the_gateway_can_say_so(
    gateways: Gateways, core: ServedCore
) -> None:
    # The core is asked about a token that comes from a refresh, whatever keys the authorizer has.
    refresh = {"authorization": f"Bearer {signed_in(gateways).headers['st-refresh-token']}"}
    refreshed = gateways.send("POST", "http-2.0", "/auth/session/refresh", headers=refresh)
    token = {"authorization": f"Bearer {refreshed.headers['st-access-token']}"}
    core.kill()
    try:
        failed = gateways.send("GET", "rest", "/upstream", headers=token)
    finally:
        core.start()
    assert (failed.status_code, failed.json()) == (503, {"message": "session service unavailable"})
    assert failed.headers["access-control-allow-origin"] == WEBSITE


def test_the_authorizer_of_the_documents_serves_header_cookie_and_neither(
    gateways: Gateways, core: ServedCore
) -> None:
    cookies = cookies_in(signed_in(gateways, mode="cookie"))
    for headers in ({}, bearer(gateways), {"cookie": cookie_header(cookies)}):
        assert gateways.send("GET", "rest", "/upstream", headers=headers).status_code == 200
    core.makes_expired_tokens = True
    try:
        expired = bearer(gateways)
    finally:
        core.makes_expired_tokens = False
    assert gateways.send("GET", "rest", "/upstream", headers=expired).status_code == 401


# WebSocket


def test_a_socket_opens_for_a_session_by_cookie_from_our_website_only(gateways: Gateways) -> None:
    cookie = cookie_header(cookies_in(signed_in(gateways, mode="cookie")))
    socket = gateways.connect(cookie, WEBSITE)
    assert socket.connected
    socket.close()
    with pytest.raises(websocket.WebSocketBadStatusException):
        gateways.connect(cookie, "https://evil.example")
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        gateways.connect("", WEBSITE)
    assert refused.value.status_code == 401


# JWT authorizers


def test_a_jwt_authorizer_takes_our_tokens_by_their_issuer(gateways: Gateways) -> None:
    configuration = gateways.send("GET", "custom-domain", "/auth/.well-known/openid-configuration").json()
    assert configuration["issuer"] == f"{gateways.api_domain}/auth"
    before = gateways.calls_of("BehindJwtFunction")
    assert gateways.send("GET", "http-2.0", "/jwt/user").status_code == 401
    forged = {"authorization": bearer(gateways)["authorization"][:-8] + "AAAAAAAA"}
    assert gateways.send("GET", "http-2.0", "/jwt/user", headers=forged).status_code == 401
    assert gateways.calls_of("BehindJwtFunction") == before
    # The gateway lets a genuine token pass; the function checks what the gateway does not.
    response = gateways.send("GET", "http-2.0", "/jwt/user", headers=bearer(gateways))
    assert response.status_code == 403
    assert [each["id"] for each in response.json()["claimValidationErrors"]] == ["st-ev"]
