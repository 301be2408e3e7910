"""Refreshing: what a failure clears, refreshes at once, and two cookies of one name."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from support.answers import cleared, cookie_header, cookies_of, is_untouched, says
from support.app_factory import AppFactory
from support.cookie_jar import Browser
from support.patterns import decode_jwt
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import STSession, refresh_session
from flask_stsession.errors import UnauthorisedError
from flask_stsession.signals import verification_failed

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}
REFRESH = "POST /recipe/session/refresh"
REMOVE = "POST /recipe/session/remove"
REFRESH_PATH = "/auth/session/refresh"


@pytest.fixture
def tokens(app: Flask) -> dict[str, str]:
    """The cookies of a good session."""
    return cookies_of(app.test_client().post("/login", headers=BY_COOKIE))


def test_a_refresh_without_a_token_clears_everything(app: Flask) -> None:
    answer = app.test_client().post(REFRESH_PATH)
    assert says(answer) == (401, {"message": "unauthorised"})
    assert cleared(answer) == {"cookie", "header"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer garbage"},
        cookie_header(sRefreshToken="garbage"),
        cookie_header(sRefreshToken=""),
        {"Authorization": "Bearer garbage", **cookie_header(sRefreshToken="garbage")},
    ],
)
def test_a_refresh_with_an_invalid_token_clears_everything(app: Flask, headers: dict[str, str]) -> None:
    answer = app.test_client(use_cookies=False).post(REFRESH_PATH, headers=headers)
    assert says(answer) == (401, {"message": "unauthorised"})
    assert cleared(answer) == {"cookie", "header"}


def test_refreshing_an_ended_session_clears_everything(
    app: Flask, stsession: STSession, tokens: dict[str, str]
) -> None:
    with app.app_context():
        assert len(stsession.revoke_all_sessions_for_user("alice")) == 1
    answer = app.test_client(use_cookies=False).post(REFRESH_PATH, headers=cookie_header(**tokens))
    assert says(answer) == (401, {"message": "unauthorised"})
    assert cleared(answer) == {"cookie", "header"}


@pytest.mark.parametrize(
    ("mode", "headers"),
    [
        ("VIA_CUSTOM_HEADER", {}),
        ("VIA_TOKEN", {}),
        ("VIA_TOKEN", {"anti-csrf": "wrong"}),
    ],
)
def test_a_refresh_without_anti_csrf_proof_clears_everything(
    make_app: AppFactory, mode: str, headers: dict[str, str]
) -> None:
    app = make_app(anti_csrf=mode)
    sent = cookies_of(app.test_client().post("/login", headers=BY_COOKIE))
    answer = app.test_client(use_cookies=False).post(
        REFRESH_PATH, headers={**headers, **cookie_header(**sent)}
    )
    assert says(answer) == (401, {"message": "unauthorised"})
    assert cleared(answer) == {"cookie", "header"}


@pytest.mark.parametrize("headers", [{}, {"Origin": "null"}])
def test_a_refresh_that_does_not_show_where_it_comes_from_clears_nothing_under_via_origin(
    make_app: AppFactory, headers: dict[str, str]
) -> None:
    app = make_app(anti_csrf="VIA_ORIGIN")
    sent = cookies_of(app.test_client().post("/login", headers=BY_COOKIE))
    client = app.test_client(use_cookies=False)
    answer = client.post(REFRESH_PATH, headers={**headers, **cookie_header(**sent)})
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_untouched(answer)


def test_a_refresh_by_cookie_clears_header_tokens_only_if_the_request_carries_them(
    make_app: AppFactory,
) -> None:
    app = make_app(token_transfer_method="cookie")
    client = app.test_client(use_cookies=False)
    sent = cookies_of(client.post("/login"))
    answer = client.post(REFRESH_PATH, headers={"Authorization": "Bearer x", **cookie_header(**sent)})
    assert says(answer) == (200, {})
    assert answer.headers["st-access-token"] == ""
    assert answer.headers["front-token"] != "remove"
    answer = client.post(REFRESH_PATH, headers=cookie_header(**cookies_of(answer)))
    assert says(answer) == (200, {})
    assert "st-access-token" not in answer.headers


def test_a_bearer_token_of_a_proxy_is_ignored_beside_a_refresh_cookie(
    app: Flask, tokens: dict[str, str]
) -> None:
    client = app.test_client(use_cookies=False)
    for bearer in ("x", "eyJhbGciOiJub25lIn0.e30.", "a.b.V2"):
        headers = {"Authorization": f"Bearer {bearer}", **cookie_header(**tokens)}
        assert client.get("/user", headers=headers).status_code == 200
        answer = client.post(REFRESH_PATH, headers=headers)
        assert says(answer) == (200, {})
        assert "st-access-token" not in answer.headers
        tokens = cookies_of(answer)


def test_a_bearer_refresh_token_takes_precedence_over_a_refresh_cookie(
    app: Flask, tokens: dict[str, str]
) -> None:
    client = app.test_client(use_cookies=False)
    sent = client.post("/login", headers=BY_HEADER, json={"userId": "bob"}).headers["st-refresh-token"]
    answer = client.post(REFRESH_PATH, headers={"Authorization": f"Bearer {sent}", **cookie_header(**tokens)})
    assert says(answer) == (200, {})
    assert answer.headers["st-refresh-token"]
    assert cookies_of(answer) == {"sAccessToken": "", "sRefreshToken": ""}


def test_an_access_cookie_without_a_refresh_cookie_is_logged_as_a_stripped_prefix(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(api_base_path="/v1")
    sent = cookies_of(app.test_client().post("/login", headers=BY_COOKIE))
    client = app.test_client(use_cookies=False)
    answer = client.post("/v1/session/refresh", headers=cookie_header(sAccessToken=sent["sAccessToken"]))
    assert says(answer) == (401, {"message": "unauthorised"})
    [logged] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert logged == (
        "A refresh at '/v1/session/refresh' came with the cookie sAccessToken, but without sRefreshToken, "
        "whose path is '/v1/session/refresh'. Unless it has expired, browsers see this route at another "
        "path: if a proxy strips a prefix, set STSESSION_API_GATEWAY_PATH to that prefix. Until then every "
        "refresh signs its user out."
    )


def test_the_legacy_cookie_is_cleared_by_a_refresh_that_works(app: Flask, tokens: dict[str, str]) -> None:
    client = app.test_client(use_cookies=False)
    sent = cookie_header(**tokens, sIdRefreshToken="")
    assert says(client.get("/user", headers=sent)) == (401, {"message": "try refresh token"})
    answer = client.post(REFRESH_PATH, headers=sent)
    assert says(answer) == (200, {})
    assert "sIdRefreshToken=; Path=/; Max-Age=0" in answer.headers.getlist("Set-Cookie")


@pytest.mark.parametrize("by", ["cookie", "header"])
def test_a_refresh_while_the_core_is_down_is_503_and_clears_nothing(
    make_app: AppFactory, served_core: ServedCore, by: str
) -> None:
    app = make_app(connection_uri=served_core.url)
    client = app.test_client(use_cookies=False)
    created = client.post("/login", headers={"st-auth-mode": by})
    if by == "cookie":
        sent = cookie_header(**cookies_of(created), sIdRefreshToken="")
    else:
        sent = {"Authorization": f"Bearer {created.headers['st-refresh-token']}"}
    served_core.kill()
    answer = client.post(REFRESH_PATH, headers=sent)
    assert says(answer) == (503, {"message": "session service unavailable"})
    assert answer.headers["Retry-After"] == "5"
    assert is_untouched(answer)
    served_core.start()
    assert says(client.post(REFRESH_PATH, headers=sent)) == (200, {})


def test_the_route_runs_an_overridden_refresh(make_app: AppFactory) -> None:
    class Strict(STSession):
        def refresh_session(self, request: Any = None) -> Any:
            raise UnauthorisedError("closed", clear_tokens=False)

    answer = make_app(extension=Strict).test_client().post(REFRESH_PATH)
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_untouched(answer)


def test_a_view_of_the_app_may_refresh(make_app: AppFactory) -> None:
    app = make_app(routes=False)

    @app.post(REFRESH_PATH)
    def refresh() -> dict[str, str]:
        return {"userId": refresh_session().get_user_id()}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert says(client.post(REFRESH_PATH)) == (200, {"userId": "alice"})
    assert client.get("/user").status_code == 200


def test_a_view_that_catches_a_failed_refresh_still_clears_the_client(make_app: AppFactory) -> None:
    app = make_app(routes=False)
    told: list[Any] = []

    @app.post(REFRESH_PATH)
    def refresh() -> dict[str, bool]:
        try:
            refresh_session()
        except UnauthorisedError:
            return {"refreshed": False}
        return {"refreshed": True}

    with verification_failed.connected_to(lambda _app, **sent: told.append(sent["error"]), app):
        answer = app.test_client().post(REFRESH_PATH)
    assert says(answer) == (200, {"refreshed": False})
    assert cleared(answer) == {"cookie", "header"}
    assert [type(error) for error in told] == [UnauthorisedError]


def test_a_legacy_cookie_alone_is_expired_by_a_refresh(app: Flask) -> None:
    answer = app.test_client(use_cookies=False).post(REFRESH_PATH, headers=cookie_header(sIdRefreshToken="x"))
    assert answer.status_code == 401
    assert "sIdRefreshToken=; Path=/; Max-Age=0" in answer.headers.getlist("Set-Cookie")


# Several refreshes at once


def all_at_once(clients: list[FlaskClient], headers: dict[str, str], count: int) -> list[TestResponse]:
    """The answers to so many refreshes that start together."""
    together = threading.Barrier(count)

    def refresh(number: int) -> TestResponse:
        together.wait(30)
        return clients[number % len(clients)].post(REFRESH_PATH, headers=headers)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(refresh, range(count)))


class Gate:
    """Holds the first refresh at the core until all have reached the app; made before its requests."""

    def __init__(self, app: Flask, core: ServedCore) -> None:
        self.arrived = threading.Semaphore(0)
        self.expected = 0
        app.before_request(self._arrive)
        core.core.before = self._hold

    def hold(self, expected: int) -> None:
        """From now on."""
        self.expected = expected

    def _arrive(self) -> None:
        if self.expected:
            self.arrived.release()

    def _hold(self, asked: str) -> None:
        if asked == REFRESH and self.expected:
            for _ in range(self.expected):
                assert self.arrived.acquire(timeout=30)
            self.expected = 0
            time.sleep(0.2)  # from the hook to the place where they wait for each other


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_fifty_refreshes_with_one_token_share_one_call_and_one_pair(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    app = make_app(connection_uri=served_core.url, cdi_version=version)
    gate = Gate(app, served_core)
    client = app.test_client(use_cookies=False)
    token = client.post("/login", headers=BY_HEADER).headers["st-refresh-token"]
    served_core.counted()
    gate.hold(50)
    answers = all_at_once([client], {"Authorization": f"Bearer {token}"}, 50)
    assert {answer.status_code for answer in answers} == {200}
    pairs = {(answer.headers["st-access-token"], answer.headers["st-refresh-token"]) for answer in answers}
    assert len(pairs) == 1
    assert served_core.counted()[REFRESH] == 1
    [(access, refresh)] = pairs
    assert client.get("/user", headers={"Authorization": f"Bearer {access}"}).status_code == 200
    assert client.post(REFRESH_PATH, headers={"Authorization": f"Bearer {refresh}"}).status_code == 200


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_refreshes_from_several_processes_all_succeed_and_revoke_nothing(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    apps = [make_app(connection_uri=served_core.url, cdi_version=version, name=f"app{i}") for i in range(4)]
    clients = [app.test_client(use_cookies=False) for app in apps]
    token = clients[0].post("/login", headers=BY_HEADER).headers["st-refresh-token"]
    answers = all_at_once(clients, {"Authorization": f"Bearer {token}"}, 24)
    assert {answer.status_code for answer in answers} == {200}
    assert not served_core.counted()[REMOVE]
    with apps[0].app_context():
        assert len(apps[0].extensions["stsession"].get_all_session_handles_for_user("alice")) == 1


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_refreshes_that_share_a_theft_each_report_it_and_clear_their_client(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    app = make_app(connection_uri=served_core.url, cdi_version=version)
    gate = Gate(app, served_core)
    client = app.test_client(use_cookies=False)
    stolen = client.post("/login", headers=BY_HEADER).headers["st-refresh-token"]
    renewed = client.post(REFRESH_PATH, headers={"Authorization": f"Bearer {stolen}"})
    client.get("/user", headers={"Authorization": f"Bearer {renewed.headers['st-access-token']}"})
    served_core.end_grace_period()
    served_core.counted()
    gate.hold(8)
    answers = all_at_once([client], {"Authorization": f"Bearer {stolen}"}, 8)
    assert served_core.counted()[REFRESH] == 1
    for answer in answers:
        assert says(answer) == (401, {"message": "token theft detected"})
        assert cleared(answer) == {"cookie", "header"}


# Two cookies of one name


API = "https://api.shop.example.com"
DUPLICATED = "The request contains multiple session cookies. "
OTHERS_ARE_CLEARED = (
    DUPLICATED
    + "All but those that this app sets now are being cleared; the next refresh will find one of each."
)


def browser_after_a_move(
    make_app: AppFactory, before: str | None, now: str | None, **settings: Any
) -> Browser:
    """Return a browser that signed in under one cookie domain, and again after it was changed."""
    common: dict[str, Any] = {"api_domain": API, "token_transfer_method": "cookie"}
    older = make_app(name="older", cookie_domain=before, **common)
    current = make_app(name="current", cookie_domain=now, **common, **settings)
    browser = Browser(older.test_client(use_cookies=False), API)
    assert browser.send("POST", "/login").status_code == 200
    browser.client = current.test_client(use_cookies=False)
    assert browser.send("POST", "/login").status_code == 200
    assert len(browser.jar) == 4
    return browser


MOVES = [
    (None, ".example.com", ""),
    (".example.com", None, ".example.com"),
    (".example.com", ".shop.example.com", ".example.com"),
]


@pytest.mark.parametrize(("before", "now", "older"), MOVES)
def test_with_the_older_domain_configured_two_round_trips_lead_to_a_working_session(
    make_app: AppFactory, before: str | None, now: str | None, older: str
) -> None:
    browser = browser_after_a_move(make_app, before, now, older_cookie_domain=older)
    handle = decode_jwt(newest_access_token(browser))["payload"]["sessionHandle"]
    assert says(browser.send("GET", "/user")) == (401, {"message": "try refresh token"})
    answer = browser.send("POST", REFRESH_PATH)
    assert says(answer) == (200, {"message": OTHERS_ARE_CLEARED})
    front = json.loads(base64.b64decode(answer.headers["front-token"]))
    assert front["up"]["sessionHandle"] == handle
    assert "front-token" in answer.headers["Access-Control-Expose-Headers"]
    assert browser.send("POST", REFRESH_PATH).status_code == 200
    assert browser.send("GET", "/user").get_json()["payload"]["sessionHandle"] == handle
    assert len(browser.jar) == 2


def newest_access_token(browser: Browser) -> str:
    """Return the access token that the browser got last."""
    return [value for (name, _, _), value in browser.jar.items() if name == "sAccessToken"][-1]


@pytest.mark.parametrize(("before", "now", "older"), MOVES)
def test_without_the_older_domain_configured_the_session_survives_too(
    make_app: AppFactory, before: str | None, now: str | None, older: str, caplog: pytest.LogCaptureFixture
) -> None:
    browser = browser_after_a_move(make_app, before, now)
    assert says(browser.send("GET", "/user")) == (401, {"message": "try refresh token"})
    answer = browser.send("POST", REFRESH_PATH)
    assert says(answer) == (200, {"message": OTHERS_ARE_CLEARED})
    assert answer.headers["front-token"] != "remove"
    assert says(browser.send("POST", REFRESH_PATH)) == (200, {})
    assert browser.send("GET", "/user").status_code == 200
    assert len(browser.jar) == 2
    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert logged == [
        f"A request carries cookies named {name} with a domain or path that this app does not use. They are "
        "being expired. If they belong to another app on this host name or a parent of it, its users are "
        "signed out: give each app its own STSESSION_COOKIE_PREFIX."
        for name in ("sAccessToken", "sRefreshToken")
    ]


def test_the_refresh_token_of_the_newest_access_token_is_used(
    make_app: AppFactory,
) -> None:
    app = make_app(token_transfer_method="cookie")
    client = app.test_client(use_cookies=False)
    alice, bob = (cookies_of(client.post("/login", json={"userId": user})) for user in ("alice", "bob"))
    for first, second in ((alice, bob), (bob, alice)):
        cookies = f"sRefreshToken={first['sRefreshToken']}; sRefreshToken={second['sRefreshToken']}"
        headers = {"Cookie": f"sAccessToken={bob['sAccessToken']}; {cookies}"}
        answer = client.post(REFRESH_PATH, headers=headers)
        assert says(answer) == (200, {})
        renewed = [
            line for line in answer.headers.getlist("Set-Cookie") if line.startswith("sAccessToken=ey")
        ]
        assert decode_jwt(renewed[0].partition("=")[2].partition(";")[0])["payload"]["sub"] == "bob"


def test_refresh_tokens_without_a_matching_access_token_are_cleared(
    make_app: AppFactory,
) -> None:
    app = make_app(token_transfer_method="cookie")
    client = app.test_client(use_cookies=False)
    alice, bob = (cookies_of(client.post("/login", json={"userId": user})) for user in ("alice", "bob"))
    refresh = f"sRefreshToken={alice['sRefreshToken']}; sRefreshToken={bob['sRefreshToken']}"
    answer = client.post(REFRESH_PATH, headers={"Cookie": refresh})
    message = DUPLICATED + "All of them are being cleared: please sign in again."
    assert says(answer) == (401, {"message": message})
    assert answer.headers["front-token"] == "remove"


def test_a_second_invalid_refresh_token_is_ignored(app: Flask, tokens: dict[str, str]) -> None:
    cookies = f"sRefreshToken=of-another-app; {cookie_header(**tokens)['Cookie']}"
    answer = app.test_client(use_cookies=False).post(REFRESH_PATH, headers={"Cookie": cookies})
    assert says(answer) == (200, {})


def test_with_header_transfer_duplicate_cookies_are_ignored(make_app: AppFactory) -> None:
    client = make_app(token_transfer_method="header").test_client(use_cookies=False)
    token = client.post("/login").headers["st-refresh-token"]
    cookies = {"Cookie": "sAccessToken=a; sAccessToken=b; sRefreshToken=c; sRefreshToken=d"}
    answer = client.post(REFRESH_PATH, headers={"Authorization": f"Bearer {token}", **cookies})
    assert says(answer) == (200, {})
    assert "Max-Age=0" not in str(answer.headers)


class ByHost(STSession):
    """An app whose tenants have hosts of their own."""

    def get_tenant_id(self) -> str | None:
        return request.host.partition(".")[0]


def test_a_refresh_that_is_repeated_for_another_tenant_asks_the_core_again(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    app = make_app(extension=ByHost, connection_uri=served_core.url, api_domain="http://localhost")
    client = app.test_client(use_cookies=False)
    login = client.post("/login", headers=BY_HEADER)
    headers = {"Authorization": f"Bearer {login.headers['st-refresh-token']}"}
    served_core.counted()
    for host, calls in (("one.localhost", 1), ("one.localhost", 0), ("two.localhost", 1)):
        answer = client.post(REFRESH_PATH, headers={**headers, "Host": host})
        assert answer.status_code == 200
        assert served_core.counted()[REFRESH] == calls
