"""Signing in, refreshing and signing out: what goes to the client, and what never must."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from app_factory import AppFactory
from cookie_jar import Browser
from flask import Flask, g
from flask.testing import FlaskClient
from served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import (
    STSession,
    create_new_session,
    current_session,
    refresh_session,
    sign_out,
    verify_session,
)
from flask_stsession.claims import BooleanClaim
from flask_stsession.errors import ConfigError, UnauthorisedError

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}
REFRESH = "POST /recipe/session/refresh"
REMOVE = "POST /recipe/session/remove"
REFRESH_PATH = "/auth/session/refresh"
USAGE = (
    "create_new_session(user_id, *, tenant_id=None, recipe_user_id=None, access_token_payload=None, "
    "session_data_in_database=None, disable_anti_csrf=None, remember=True)"
)
OURS = ("st-access-token", "st-refresh-token", "front-token", "anti-csrf", "Set-Cookie")


def says(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.get_json()


def set_cookies(answer: TestResponse) -> dict[str, str]:
    """The lines by which cookies are set, by name; one for each."""
    lines = answer.headers.getlist("Set-Cookie")
    named = {line.partition("=")[0]: line for line in lines}
    assert len(named) == len(lines)
    return named


def is_untouched(answer: TestResponse) -> bool:
    """Was nothing set or cleared?"""
    return not any(name in answer.headers for name in OURS)


def cleared(answer: TestResponse) -> set[str]:
    """The transfer methods that the answer clears, with the front token."""
    methods = set()
    if answer.headers.get("st-access-token") == answer.headers.get("st-refresh-token") == "":
        methods.add("header")
    lines = {name: line for name, line in set_cookies(answer).items() if "Expires=Thu, 01 Jan 1970" in line}
    if {"sAccessToken", "sRefreshToken"} <= set(lines):
        methods.add("cookie")
    assert bool(methods) == (answer.headers.get("front-token") == "remove")
    return methods


def cookies_of(answer: TestResponse) -> dict[str, str]:
    return {name: line.partition("=")[2].partition(";")[0] for name, line in set_cookies(answer).items()}


def cookie_header(**cookies: str) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


# Creating


@pytest.mark.parametrize("user_id", [None, 7, "", b"alice", ["alice"]])
def test_a_user_id_that_is_no_text_is_refused_with_the_remedy(stsession: STSession, user_id: Any) -> None:
    for create in (stsession.create_new_session, stsession.create_new_session_without_request_response):
        with pytest.raises(TypeError) as caught:
            create(user_id)
        assert str(caught.value) == (
            f"user_id must be a non-empty str, not {user_id!r}: write {USAGE}, with str(user.id) for a "
            "number."
        )


def test_arguments_in_another_sdks_order_are_refused_with_our_spelling(stsession: STSession) -> None:
    supertokens_python: Any = stsession.create_new_session
    with pytest.raises(TypeError) as caught:
        supertokens_python("request", "public", "alice", {}, {})
    assert str(caught.value) == (
        f"Only user_id goes by position: {USAGE}. The request is found by itself, unlike in "
        "supertokens-python."
    )


def test_only_the_current_request_can_be_answered(app: Flask, stsession: STSession) -> None:
    wrong: Any = {"my": "request"}
    with app.test_request_context(), pytest.raises(TypeError) as caught:
        stsession.refresh_session(wrong)
    assert str(caught.value) == (
        "{'my': 'request'} is not the current request, the only one that can be answered. Leave the argument "
        "away: the current request is found by itself."
    )


def test_an_unconfigured_app_on_a_public_host_refuses_its_first_session_with_the_line_to_add(
    app: Flask,
) -> None:
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login", base_url="http://shop.example.com")
    assert str(caught.value) == (
        "A session was asked for on the public host 'shop.example.com', but STSESSION_API_DOMAIN is not set, "
        "which is for local development only. Add this line before init_app: "
        'app.config["STSESSION_API_DOMAIN"] = "https://shop.example.com"'
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:5000",
        "https://app.localhost",
        "http://127.0.0.1:5000",
        "http://[::1]:5000",
        "http://192.168.1.7",
        "http://10.0.0.3:8080",
    ],
)
def test_an_unconfigured_app_works_where_only_its_own_network_reaches_it(app: Flask, origin: str) -> None:
    answer = app.test_client().post("/login", base_url=origin, headers=BY_COOKIE)
    assert answer.status_code == 200
    assert ("Secure" in set_cookies(answer)["sAccessToken"]) == origin.startswith("https")


def test_the_line_to_add_is_enough(make_app: AppFactory) -> None:
    app = make_app(api_domain="https://shop.example.com")
    answer = app.test_client().post("/login", base_url="https://shop.example.com", headers=BY_COOKIE)
    assert answer.status_code == 200


def test_cookies_that_browsers_would_not_keep_are_refused_and_headers_are_fine(make_app: AppFactory) -> None:
    app = make_app(api_domain="http://api.example.com", website_domain="http://www.example.org")
    app.testing = True
    client = app.test_client()
    with pytest.raises(ConfigError) as caught:
        client.post("/login", headers=BY_COOKIE)
    assert str(caught.value) == (
        "The session's cookies would be SameSite none without Secure, which browsers do not keep (API: "
        "http://api.example.com, website: http://www.example.org). Serve both by https and say so in "
        "STSESSION_API_DOMAIN and STSESSION_WEBSITE_DOMAIN, or put both on one site, or write "
        'STSESSION_TOKEN_TRANSFER_METHOD = "header".'
    )
    assert client.post("/login", headers=BY_HEADER).status_code == 200


def test_header_tokens_for_a_client_that_wants_pages_are_a_warning(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answer = app.test_client().post("/login", headers={"Accept": "text/html,*/*"})
    assert "st-access-token" in answer.headers
    assert caplog.messages == [
        "A new session's tokens go by header to a client that accepts text/html, which will not keep them. "
        "If it is a browser without a SuperTokens SDK, set STSESSION_TOKEN_TRANSFER_METHOD = 'cookie'."
    ]


@pytest.mark.parametrize("remember", [True, False])
def test_cookies_that_end_with_the_browser_stay_so_across_refreshes_and_changes(
    app: Flask, remember: bool
) -> None:
    @app.post("/merge")
    @verify_session()
    def merge() -> dict[str, str]:
        g.session.merge_into_access_token_payload({"a": 1})
        return {}

    client = app.test_client()
    answers = [client.post("/login", headers=BY_COOKIE, json={"remember": remember})]
    answers.append(client.post(REFRESH_PATH))
    answers.append(client.post("/merge"))
    answers.append(client.post(REFRESH_PATH))
    for answer in answers:
        assert answer.status_code == 200
        for line in set_cookies(answer).values():
            assert ("Expires=" in line) == remember
            assert "Max-Age" not in line


def test_a_view_that_signs_in_anew_and_then_ends_the_old_session_keeps_the_new_one(app: Flask) -> None:
    @app.post("/again")
    @verify_session()
    def again() -> dict[str, str]:
        old = g.session
        new = create_new_session("bob")
        old.merge_into_access_token_payload({"late": True})
        old.revoke_session()
        return {"handle": new.get_handle()}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    new = client.post("/again", headers=BY_COOKIE)
    assert new.status_code == 200
    assert client.get("/user").get_json()["payload"]["sessionHandle"] == new.get_json()["handle"]
    assert client.post(REFRESH_PATH).status_code == 200


@pytest.mark.parametrize(("mode", "other"), [(BY_COOKIE, "header"), (BY_HEADER, "cookie")])
def test_a_new_session_clears_the_tokens_of_the_other_method(
    app: Flask, mode: dict[str, str], other: str
) -> None:
    client = app.test_client(use_cookies=False)
    old = {"Authorization": "Bearer x"} if other == "header" else cookie_header(sAccessToken="x")
    answer = client.post("/login", headers={**mode, **old})
    assert answer.headers["front-token"] != "remove"
    if other == "header":
        assert answer.headers["st-access-token"] == answer.headers["st-refresh-token"] == ""
    else:
        assert cookies_of(answer) == {"sAccessToken": "", "sRefreshToken": ""}


# Refreshing


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
def test_a_refresh_with_a_token_that_is_none_clears_everything(app: Flask, headers: dict[str, str]) -> None:
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
        ("VIA_ORIGIN", {}),
        ("VIA_ORIGIN", {"Origin": "https://evil.example.org"}),
    ],
)
def test_a_refresh_that_another_site_may_have_sent_clears_everything(
    make_app: AppFactory, mode: str, headers: dict[str, str]
) -> None:
    app = make_app(anti_csrf=mode)
    sent = cookies_of(app.test_client().post("/login", headers=BY_COOKIE))
    answer = app.test_client(use_cookies=False).post(
        REFRESH_PATH, headers={**headers, **cookie_header(**sent)}
    )
    assert says(answer) == (401, {"message": "unauthorised"})
    assert cleared(answer) == {"cookie", "header"}


def test_a_refresh_by_cookie_clears_header_tokens_that_came_along_only_if_they_did(
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


def test_the_legacy_cookie_is_cleared_by_a_refresh_that_works(app: Flask, tokens: dict[str, str]) -> None:
    client = app.test_client(use_cookies=False)
    sent = cookie_header(**tokens, sIdRefreshToken="")
    assert says(client.get("/user", headers=sent)) == (401, {"message": "try refresh token"})
    answer = client.post(REFRESH_PATH, headers=sent)
    assert says(answer) == (200, {})
    assert cookies_of(answer)["sIdRefreshToken"] == ""


@pytest.mark.parametrize("by", ["cookie", "header"])
def test_a_refresh_while_the_core_is_down_is_503_and_loses_nothing(
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


def test_an_overridden_refresh_is_what_the_route_runs(make_app: AppFactory) -> None:
    class Strict(STSession):
        def refresh_session(self, request: Any = None) -> Any:
            raise UnauthorisedError("closed", clear_tokens=False)

    answer = make_app(extension=Strict).test_client().post(REFRESH_PATH)
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_untouched(answer)


def test_a_view_of_ones_own_may_refresh(make_app: AppFactory) -> None:
    app = make_app(routes=False)

    @app.post(REFRESH_PATH)
    def refresh() -> dict[str, str]:
        return {"userId": refresh_session().get_user_id()}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert says(client.post(REFRESH_PATH)) == (200, {"userId": "alice"})
    assert client.get("/user").status_code == 200


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
def test_refreshes_that_share_a_theft_are_each_told_and_cleared(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    app = make_app(connection_uri=served_core.url, cdi_version=version)
    gate = Gate(app, served_core)
    client = app.test_client(use_cookies=False)
    stolen = client.post("/login", headers=BY_HEADER).headers["st-refresh-token"]
    renewed = client.post(REFRESH_PATH, headers={"Authorization": f"Bearer {stolen}"})
    client.get("/user", headers={"Authorization": f"Bearer {renewed.headers['st-access-token']}"})
    served_core.core.offset = 3600.0
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


def browser_after_a_move(
    make_app: AppFactory, before: str | None, now: str | None, **settings: Any
) -> Browser:
    """A browser that signed in under one cookie domain, and again after it was changed."""
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
    assert says(browser.send("GET", "/user")) == (401, {"message": "try refresh token"})
    answer = browser.send("POST", REFRESH_PATH)
    assert says(answer) == (
        200,
        {
            "message": DUPLICATED
            + "Those of the older cookie domain are being cleared; the next refresh will find one of each."
        },
    )
    assert "front-token" not in answer.headers
    assert browser.send("POST", REFRESH_PATH).status_code == 200
    assert browser.send("GET", "/user").status_code == 200
    assert len(browser.jar) == 2


@pytest.mark.parametrize(("before", "now", "older"), MOVES)
def test_without_it_one_refresh_leads_to_a_clean_logged_out_state(
    make_app: AppFactory,
    before: str | None,
    now: str | None,
    older: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    browser = browser_after_a_move(make_app, before, now)
    assert says(browser.send("GET", "/user")) == (401, {"message": "try refresh token"})
    answer = browser.send("POST", REFRESH_PATH)
    assert says(answer) == (
        401,
        {"message": DUPLICATED + "All of them are being cleared: please sign in again."},
    )
    assert browser.jar == {}
    assert says(browser.send("GET", "/user")) == (401, {"message": "unauthorised"})
    assert browser.send("POST", "/login").status_code == 200
    assert browser.send("GET", "/user").status_code == 200
    [logged] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert logged == (
        "A request carries several cookies named sAccessToken and sRefreshToken, left over from another "
        "cookie domain. All of them are being cleared, which may end the session. Set "
        "STSESSION_OLDER_COOKIE_DOMAIN to the domain that STSESSION_COOKIE_DOMAIN had before ('' if it had "
        "none) to keep such sessions."
    )


def test_what_is_expired_is_every_place_where_a_cookie_of_ours_may_lie(make_app: AppFactory) -> None:
    app = make_app(api_domain=API, cookie_domain=".example.com")
    headers = {"Cookie": "sRefreshToken=a; sRefreshToken=b; sAccessToken=c", "Host": "evil.example.org"}
    answer = app.test_client(use_cookies=False).post(REFRESH_PATH, headers=headers)
    places: Counter[tuple[str | None, str]] = Counter()
    for line in answer.headers.getlist("Set-Cookie"):
        attributes = dict(part.strip().partition("=")[::2] for part in line.split(";"))
        assert attributes["Expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"
        assert attributes["sRefreshToken"] == ""
        places[attributes.get("Domain"), attributes["Path"]] += 1
    assert places == Counter(
        {
            (domain, path): 1
            for domain in (None, "example.com", "shop.example.com", "api.shop.example.com")
            for path in ("/", "/auth", "/auth/session", "/auth/session/refresh")
        }
    )


# Signing out


@pytest.fixture
def leaving(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app with a view that signs out whoever asks."""
    app = make_app(connection_uri=served_core.url)

    @app.post("/leave")
    def leave() -> dict[str, str]:
        sign_out()
        return {"status": "bye"}

    return app


@pytest.mark.parametrize("by", ["cookie", "header"])
@pytest.mark.parametrize("is_expired", [False, True])
def test_signing_out_ends_the_session_even_if_its_token_has_expired(
    leaving: Flask, served_core: ServedCore, by: str, is_expired: bool
) -> None:
    client = leaving.test_client(use_cookies=False)
    served_core.core.offset = -7200.0 if is_expired else 0.0
    created = client.post("/login", headers={"st-auth-mode": by})
    served_core.core.offset = 0.0
    if by == "cookie":
        sent = cookie_header(**cookies_of(created))
    else:
        sent = {"Authorization": f"Bearer {created.headers['st-access-token']}"}
    assert client.get("/user", headers=sent).status_code == (401 if is_expired else 200)
    answer = client.post("/leave", headers=sent)
    assert says(answer) == (200, {"status": "bye"})
    assert cleared(answer) == {by}
    with leaving.app_context():
        assert leaving.extensions["stsession"].get_all_session_handles_for_user("alice") == []


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer garbage"}, cookie_header(sAccessToken="x")]
)
def test_signing_out_when_nobody_is_signed_in_clears_everything_and_is_no_error(
    leaving: Flask, served_core: ServedCore, headers: dict[str, str]
) -> None:
    answer = leaving.test_client(use_cookies=False).post("/leave", headers=headers)
    assert says(answer) == (200, {"status": "bye"})
    assert cleared(answer) == {"cookie", "header"}
    assert not served_core.counted()


def test_signing_out_by_a_forged_token_ends_no_session(leaving: Flask, served_core: ServedCore) -> None:
    client = leaving.test_client(use_cookies=False)
    token = client.post("/login", headers=BY_HEADER).headers["st-access-token"]
    signed, _, signature = token.rpartition(".")
    forged = f"{signed}.{signature[::-1]}"
    answer = client.post("/leave", headers={"Authorization": f"Bearer {forged}"})
    assert says(answer) == (200, {"status": "bye"})
    assert client.get("/user", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert not served_core.counted()[REMOVE]


def test_signing_out_while_the_core_is_down_is_503_and_clears_nothing(
    leaving: Flask, served_core: ServedCore
) -> None:
    client = leaving.test_client()
    client.post("/login", headers=BY_COOKIE)
    client.get("/user")
    served_core.kill()
    for path in ("/leave", "/auth/signout"):
        answer = client.post(path)
        assert says(answer) == (503, {"message": "session service unavailable"})
        assert is_untouched(answer)
    served_core.start()
    assert says(client.post("/auth/signout")) == (200, {"status": "OK"})


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_after_signing_out_the_rest_of_the_request_has_no_session(make_app: AppFactory, version: str) -> None:
    leaving = make_app(cdi_version=version)

    @leaving.post("/leave-and-look")
    @verify_session()
    def leave_and_look() -> dict[str, Any]:
        sign_out()
        return {
            "g": g.session is not None,
            "current": bool(current_session),
            "again": create_new_session("bob").get_user_id(),
        }

    client = leaving.test_client()
    client.post("/login", headers=BY_COOKIE)
    answer = client.post("/leave-and-look", headers=BY_COOKIE)
    assert answer.status_code == 200
    assert answer.get_json() == {"g": False, "current": False, "again": "bob"}
    assert client.get("/user").get_json()["userId"] == "bob"


def test_the_route_of_signing_out_wants_a_session(app: Flask) -> None:
    answer = app.test_client().post("/auth/signout")
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_untouched(answer)


def test_the_route_of_signing_out_runs_no_claims(make_app: AppFactory) -> None:
    claim = BooleanClaim("2fa", lambda *_: False)
    app = make_app(global_claim_validators=[claim.validators.is_true()])
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/user").status_code == 403
    answer = client.post("/auth/signout")
    assert says(answer) == (200, {"status": "OK"})
    assert cleared(answer) == {"cookie"}
