"""Cookies of our names that lie where we do not set them: a simulated browser gets rid of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from flask import Flask, Request
from support.answers import says
from support.app_factory import AppFactory
from support.cookie_jar import Browser
from support.patterns import decode_jwt
from werkzeug.test import TestResponse

from flask_stsession import STSession, current_session

LIMIT = 2048
#: nginx reads this much of a response's head, as it is installed.
NGINX = 4096


class Client:
    """A browser with a frontend SDK, as far as it refreshes.

    :param app: to which it is signed in.
    """

    def __init__(self, app: Flask, origin: str, base: str = "/auth") -> None:
        self.browser = Browser(app.test_client(use_cookies=False), origin)
        self.refresh_path = f"{base}/session/refresh"
        assert self.browser.send("POST", "/login").status_code == 200
        self.own = set(self.browser.jar)
        [token] = [value for (name, *_), value in self.browser.jar.items() if name.endswith("sAccessToken")]
        self.handle = decode_jwt(token)["payload"]["sessionHandle"]
        self.rounds = 0

    def plant(self, *cookies: str) -> None:
        """Put cookies into the jar, whether they are older than ours or not."""
        kept = dict(self.browser.jar)
        self.browser.jar.clear()
        for cookie in cookies:
            self.browser.keep(cookie)
        self.browser.jar |= kept

    def get(self, path: str) -> TestResponse:
        """Ask for a page, refreshing as long as the response says so."""
        self.rounds = 0
        while True:
            answer = self.send("GET", path)
            if answer.get_json() != {"message": "try refresh token"} or self.rounds > 12:
                return answer
            self.rounds += 1
            refreshed = self.send("POST", self.refresh_path)
            assert refreshed.status_code == 200, refreshed.text
            assert "front-token" in refreshed.headers

    def send(self, method: str, path: str) -> TestResponse:
        """Send a request, and look at the size of its response's head."""
        answer = self.browser.send(method, path)
        lines = answer.headers.getlist("Set-Cookie")
        cleared = sum(
            len(f"Set-Cookie: {line}\r\n") for line in lines if "Max-Age=0" in line or "1970" in line
        )
        assert cleared <= LIMIT
        assert sum(len(f"{name}: {value}\r\n") for name, value in answer.headers) < NGINX
        return answer

    def is_healed(self) -> bool:
        """Is the session the same, and nothing left but our cookies?"""
        refreshed = self.send("POST", self.refresh_path)
        while "message" in refreshed.get_json() and self.rounds < 12:
            assert "front-token" in refreshed.headers
            self.rounds += 1
            refreshed = self.send("POST", self.refresh_path)
        user = self.send("GET", "/user")
        assert says(refreshed) == (200, {})
        assert user.get_json()["payload"]["sessionHandle"] == self.handle
        return set(self.browser.jar) == self.own


def app_at(make_app: AppFactory, origin: str, **settings: Any) -> Flask:
    app = make_app(api_domain=origin, token_transfer_method="cookie", **settings)
    app.add_url_rule("/shop/orders/7", "orders", app.view_functions["user"])
    app.add_url_rule("/a/b/c/d/e/f/g/h", "deep", app.view_functions["user"])
    return app


def stale_token(app: Flask, origin: str) -> str:
    """Return an access token of another session."""
    client = app.test_client(use_cookies=False)
    line = client.post("/login", base_url=origin, json={"userId": "bob"}).headers.getlist("Set-Cookie")[0]
    return line.partition("=")[2].partition(";")[0]


ORDINARY = [
    ("https://example.com", [None, "example.com"]),
    ("https://www.example.com", [None, "example.com", "www.example.com"]),
    ("https://api.example.co.uk", [None, "example.co.uk", "api.example.co.uk"]),
]
PATHS = ["/", "/shop", "/shop/orders", "/shop/orders/7"]


@pytest.mark.parametrize("own_domain", [None, "registrable"])
@pytest.mark.parametrize("name", ["sAccessToken", "sIdRefreshToken"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("origin", "domains"), ORDINARY)
def test_a_stray_cookie_is_gone_within_two_round_trips_at_any_domain_and_path(
    make_app: AppFactory, origin: str, domains: list[str | None], path: str, name: str, own_domain: str | None
) -> None:
    app = app_at(make_app, origin, cookie_domain=None if own_domain is None else domains[1])
    token = stale_token(app, origin)
    for domain in domains:
        client = Client(app, origin)
        client.plant(f"{name}={token}; Path={path}" + (f"; Domain={domain}" if domain else ""))
        if set(client.browser.jar) == client.own:
            continue  # it lies where ours do, and is replaced
        assert client.get("/shop/orders/7").status_code == 200
        assert client.rounds <= 2
        assert client.is_healed(), client.browser.jar


@pytest.mark.parametrize("path", ["/", "/auth", "/auth/session", "/auth/session/refresh"])
@pytest.mark.parametrize(("origin", "domains"), ORDINARY)
def test_a_stray_cookie_at_a_parent_path_of_the_refresh_route_ends_no_session(
    make_app: AppFactory, origin: str, domains: list[str | None], path: str
) -> None:
    app = app_at(make_app, origin)
    access = stale_token(app, origin)
    refresh = f"c3RhbGU=.{'0' * 64}.V2"
    for domain in domains:
        suffix = f"; Path={path}" + (f"; Domain={domain}" if domain else "")
        client = Client(app, origin)
        client.plant(f"sAccessToken={access}{suffix}", f"sRefreshToken={refresh}{suffix}")
        client.rounds = 0
        assert client.is_healed(), client.browser.jar
        assert client.rounds <= 1


def test_strays_at_every_domain_and_path_take_two_round_trips_on_an_ordinary_host(
    make_app: AppFactory,
) -> None:
    app = app_at(make_app, "https://www.example.com")
    client = Client(app, "https://www.example.com")
    token = stale_token(app, "https://www.example.com")
    for domain in ("", "; Domain=example.com", "; Domain=www.example.com"):
        for path in ("/", "/user"):
            client.plant(
                f"sAccessToken={token}; Path={path}{domain}", f"sIdRefreshToken=x; Path={path}{domain}"
            )
    assert client.get("/user").status_code == 200
    assert client.rounds <= 2
    assert client.is_healed()


def test_a_deep_host_and_a_deep_path_take_a_few_more_round_trips(make_app: AppFactory) -> None:
    origin = "https://api.eu.cloud.example.com"
    app = app_at(make_app, origin, api_base_path="/api/v1/auth")
    client = Client(app, origin, "/api/v1/auth")
    token = stale_token(app, origin)
    domains = [origin.partition("://")[2].split(".", count)[-1] for count in range(4)]
    for domain in ("", *(f"; Domain={each}" for each in domains)):
        for path in ("/", "/a/b/c/d/e/f/g/h", "/a/b", "/a/", "/api/v1", "/api/v1/auth/session/refresh"):
            client.plant(f"sAccessToken={token}; Path={path}{domain}")
            client.plant(f"sRefreshToken=c3RhbGU=.{'0' * 64}.V2; Path={path}{domain}")
    assert client.get("/a/b/c/d/e/f/g/h").status_code == 200
    assert client.rounds <= 6
    for _ in range(8):
        client.send("POST", client.refresh_path)
    assert client.is_healed(), client.browser.jar


def test_the_401_expires_every_cookie_but_ours(make_app: AppFactory) -> None:
    app = app_at(make_app, "https://api.example.com", cookie_domain=".example.com")
    client = Client(app, "https://api.example.com")
    client.plant(f"sAccessToken={stale_token(app, 'https://api.example.com')}; Path=/")
    answer = client.send("GET", "/shop/orders/7")
    assert says(answer) == (401, {"message": "try refresh token"})
    places: Counter[tuple[str, str | None, str]] = Counter()
    for line in answer.headers.getlist("Set-Cookie"):
        parts = [part.strip().partition("=") for part in line.split(";")]
        attributes = {name: value for name, _, value in parts}
        places[parts[0][0], attributes.get("Domain"), attributes["Path"]] += 1
    domains = (None, "example.com", "api.example.com")
    expected: Counter[tuple[str, str | None, str]] = Counter(
        {("sAccessToken", domain, path): 1 for domain in domains for path in PATHS}
    )
    del expected["sAccessToken", "example.com", "/"]
    assert set(places) >= set(expected)
    assert ("sAccessToken", "example.com", "/") not in places
    assert set(places.values()) == {1}
    assert {name for name, *_ in places} >= {"sAccessToken", "sIdRefreshToken"}


@pytest.mark.parametrize("path", ["/", "/auth", "/auth/session/refresh"])
@pytest.mark.parametrize("domain", ["", "; Domain=example.com", "; Domain=www.example.com"])
def test_an_older_domain_without_the_stray_cookie_does_not_matter(
    make_app: AppFactory, domain: str, path: str
) -> None:
    app = app_at(make_app, "https://www.example.com", older_cookie_domain=".example.com")
    client = Client(app, "https://www.example.com")
    client.plant(f"sRefreshToken=c3RhbGU=.{'0' * 64}.V2; Path={path}{domain}")
    client.rounds = 0
    assert client.is_healed(), client.browser.jar
    assert client.rounds <= 2


@pytest.mark.parametrize("domain", ["example.com", "www.example.com"])
def test_a_session_that_has_ended_leaves_nothing_on_a_parent_domain(
    make_app: AppFactory, domain: str
) -> None:
    app = app_at(make_app, "https://www.example.com")
    token = stale_token(app, "https://www.example.com")
    client = Client(app, "https://www.example.com")
    client.browser.jar.clear()
    client.browser.keep(f"sAccessToken={token}; Path=/; Domain={domain}")
    assert client.send("POST", client.refresh_path).status_code == 401
    assert client.browser.jar == {}


def test_current_session_expires_stray_cookies_too(make_app: AppFactory) -> None:
    app = app_at(make_app, "https://www.example.com")

    @app.get("/peek")
    def peek() -> dict[str, bool]:
        return {"is_signed_in": bool(current_session)}

    client = Client(app, "https://www.example.com")
    client.plant(f"sAccessToken={stale_token(app, 'https://www.example.com')}; Path=/; Domain=example.com")
    assert client.send("GET", "/peek").get_json() == {"is_signed_in": False}
    assert client.send("GET", "/peek").get_json() == {"is_signed_in": True}


def test_another_site_cannot_expire_cookies(make_app: AppFactory) -> None:
    app = app_at(make_app, "https://www.example.com")
    token = stale_token(app, "https://www.example.com")
    headers = {"Cookie": f"sAccessToken={token}; sAccessToken={token}"}
    client = app.test_client(use_cookies=False)
    for site, expires in (("cross-site", False), ("same-origin", True)):
        answer = client.get(
            "/user",
            base_url="https://www.example.com",
            headers={**headers, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"},
        )
        assert says(answer) == (401, {"message": "try refresh token"})
        assert ("Set-Cookie" in answer.headers) == expires


def test_cookies_that_hold_no_tokens_are_left_alone(make_app: AppFactory) -> None:
    app = app_at(make_app, "https://www.example.com")
    client = app.test_client(use_cookies=False)
    answer = client.get("/user", headers={"Cookie": "sAccessToken=x; sAccessToken=y"})
    assert says(answer) == (401, {"message": "unauthorised"})
    assert "Set-Cookie" not in answer.headers


def test_with_a_configured_domain_the_host_header_is_ignored(make_app: AppFactory) -> None:
    app = app_at(make_app, "https://www.example.com")
    token = stale_token(app, "https://www.example.com")
    headers = {"Cookie": f"sAccessToken={token}; sAccessToken={token}", "Host": "evil.example.org"}
    answer = app.test_client(use_cookies=False).get("/user", headers=headers)
    assert "evil" not in str(answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("path", ["/%3Bx/x", "/" + "a/" * 2000, "/" + "a" * 3000])
def test_no_request_path_breaks_the_head_of_the_response(make_app: AppFactory, path: str) -> None:
    app = app_at(make_app, "https://www.example.com")
    app.add_url_rule("/<path:anything>", "any", lambda anything: user(), methods=["GET"])
    user: Any = app.view_functions["user"]
    token = stale_token(app, "https://www.example.com")
    headers = {"Cookie": f"sAccessToken={token}; sAccessToken={token}"}
    answer = app.test_client(use_cookies=False).get(path, headers=headers)
    assert says(answer) == (401, {"message": "try refresh token"})
    lines = answer.headers.getlist("Set-Cookie")
    assert sum(map(len, lines)) < LIMIT
    assert lines
    assert all(line.count(";") == 2 + ("Domain=" in line) for line in lines)


def by_header(request: Request, for_create_new_session: bool) -> str:
    return "header"


@pytest.mark.parametrize("allowed", ["header", by_header])
@pytest.mark.parametrize("path", ["/user", "/auth/session/refresh"])
@pytest.mark.parametrize("is_good", [True, False])
def test_where_only_headers_are_allowed_the_cookies_of_another_app_are_left_alone(
    make_app: AppFactory, allowed: Any, path: str, is_good: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(token_transfer_method=allowed, api_domain="https://api.example.com")
    client = app.test_client(use_cookies=False)
    login = client.post("/login", base_url="https://api.example.com")
    token = login.headers["st-access-token" if path == "/user" else "st-refresh-token"]
    headers = {"Cookie": "sAccessToken=a; sAccessToken=b; sRefreshToken=c; sRefreshToken=d"}
    if is_good:
        headers["Authorization"] = f"Bearer {token}"
    answer = client.post(path, base_url="https://api.example.com", headers=headers)
    assert answer.status_code == (200 if is_good else 401)
    # A refresh clears our own cookies; those of another domain or path are not ours.
    assert not [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert "They are being expired" not in caplog.text


@pytest.mark.parametrize("name", ["sAccessToken", "sRefreshToken", "sIdRefreshToken"])
def test_a_refresh_by_header_expires_stray_cookies_of_any_name(app: Flask, name: str) -> None:
    client = app.test_client(use_cookies=False)
    token = client.post("/login").headers["st-refresh-token"]
    headers = {"Authorization": f"Bearer {token}", "Cookie": f"{name}=a; {name}=b"}
    answer = client.post("/auth/session/refresh", headers=headers)
    assert answer.status_code == 200
    expired = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert {line.partition("=")[0] for line in expired} >= {name}


def test_a_refresh_cookie_that_reaches_a_refresh_at_another_path_is_a_stray(app: Flask) -> None:
    ext: STSession = app.extensions["stsession"]

    @app.post("/renew")
    def renew() -> dict[str, str]:
        ext.refresh_session()
        return {}

    client = app.test_client(use_cookies=False)
    token = client.post("/login", headers={"st-auth-mode": "header"}).headers["st-refresh-token"]
    answer = client.post("/renew", headers={"Cookie": f"sRefreshToken={token}"})
    assert answer.status_code == 200
    expired = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert "sRefreshToken=; Path=/; Max-Age=0" in expired
    assert not [line for line in expired if "Path=/auth/session/refresh" in line]


@pytest.mark.parametrize("allowed", ["header", by_header])
def test_where_only_headers_are_allowed_a_legacy_cookie_alone_is_expired(
    make_app: AppFactory, allowed: Any
) -> None:
    client = make_app(token_transfer_method=allowed).test_client(use_cookies=False)
    token = client.post("/login").headers["st-access-token"]
    cookies = "sIdRefreshToken=x; sAccessToken=a; sAccessToken=b; sRefreshToken=c"
    answer = client.get("/user", headers={"Authorization": f"Bearer {token}", "Cookie": cookies})
    assert answer.status_code == 401
    expired = {line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie")}
    assert expired == {"sIdRefreshToken"}
