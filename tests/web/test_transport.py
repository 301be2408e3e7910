"""Tokens on the wire: what is read from a request, how a new session travels, what a response carries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask, Response, g, make_response
from flask.testing import FlaskClient
from hypothesis import given, strategies as st
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import create_new_session, verify_session
from flask_stsession.config.config import CookieNames
from flask_stsession.errors import ConfigError
from flask_stsession.sessions.client_changes import ClientChanges, StrayCookie, StrayCookies, TokensToSend
from flask_stsession.tokens.access_token import parse
from flask_stsession.web.context import app_state_of
from flask_stsession.web.transport import RequestTokens, ResponseWriter, Turns, read_tokens

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}
NOTHING = RequestTokens(None, [], [], legacy=False)
YEAR = 365 * 24 * 3600


def read(cookie: str | None = None, authorization: str | None = None, *, prefix: str = "") -> RequestTokens:
    environ: dict[str, Any] = {}
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    return read_tokens(environ, CookieNames.with_prefix(prefix))


# Reading


@pytest.mark.parametrize(
    ("cookie", "access"),
    [
        ("sAccessToken=a.b.c", ["a.b.c"]),
        ("sAccessToken=a; sAccessToken=b", ["a", "b"]),
        ("sAccessToken=a; sAccessToken=a", ["a", "a"]),
        ("sAccessToken=", [""]),
        ("sAccessToken", [""]),
        ("sAccessToken=;", [""]),
        ("  sAccessToken  =  a.b.c  ", ["a.b.c"]),
        ("\tsAccessToken=a\t", ["a"]),
        ("other=1;sAccessToken=a;more=2", ["a"]),
        (";;;sAccessToken=a;;;", ["a"]),
        ('sAccessToken="a.b.c"', ["a.b.c"]),
        ('sAccessToken=""', [""]),
        ('sAccessToken="', ['"']),
        ("sAccessToken=a%2Bb%3D%3D", ["a+b=="]),
        ("sAccessToken=a%zz", ["a%zz"]),
        ("sAccessToken=a=b==", ["a=b=="]),
        ('sAccessToken="a%3D"', ["a="]),
        ("saccesstoken=a; SACCESSTOKEN=b", []),
        ("xsAccessToken=a; sAccessTokenx=b; sAccessToken-old=c; __Host-sAccessToken=d", []),
        ("other=sAccessToken=a", []),
        ("sAccessToken =a", ["a"]),
        ("", []),
    ],
)
def test_the_access_token_is_read_from_every_form_of_cookie(cookie: str, access: list[str]) -> None:
    assert read(cookie).access_cookies == access


def test_cookies_as_supertokens_node_sets_them_are_read() -> None:
    token = "abc+/==.0123.V2"
    assert read(f"sRefreshToken={quote(token, safe='')}").refresh_cookies == [token]


@pytest.mark.parametrize(
    ("cookie", "legacy"),
    [
        ("sIdRefreshToken=", True),
        ("sIdRefreshToken", True),
        ("sIdRefreshToken=x", True),
        ("sIdRefreshTokens=x", False),
        ("a=sIdRefreshToken", False),
    ],
)
def test_a_legacy_session_is_recognised_even_by_an_empty_cookie(cookie: str, legacy: bool) -> None:
    assert read(cookie) == RequestTokens(None, [], [], legacy=legacy)


@pytest.mark.parametrize(
    ("authorization", "bearer"),
    [
        ("Bearer a.b.c", "a.b.c"),
        ("Bearer   a.b.c  ", "a.b.c"),
        ("bearer a.b.c", "a.b.c"),
        ("BEARER a.b.c", "a.b.c"),
        ("bEaReR a.b.c", "a.b.c"),
        ("bearer ", None),
        ("Bearer ", None),
        ("Bearer", None),
        ("Bearer    ", None),
        ("Basic YTpi", None),
        ("Bearerx", None),
        ("", None),
        (None, None),
    ],
)
def test_the_header_carries_a_token_after_bearer(authorization: str | None, bearer: str | None) -> None:
    assert read(authorization=authorization).bearer == bearer


def test_a_request_without_headers_has_no_tokens() -> None:
    assert read() == NOTHING


@pytest.mark.parametrize(
    "cookie",
    [
        "sAccessToken=a,sRefreshToken=r",
        "other=1; more=2, sAccessToken=a,sRefreshToken=r",
        "other=1,2,sRefreshToken=r,sAccessToken=a",
        "sRefreshToken=r,other=1; sAccessToken=a,more=2",
        "x, sAccessToken = a ,sRefreshToken=r,",
    ],
)
def test_cookie_lines_that_a_server_joined_by_commas_are_read(cookie: str) -> None:
    assert read(cookie) == RequestTokens(None, ["a"], ["r"], legacy=False)


def test_a_legacy_cookie_is_found_between_commas() -> None:
    assert read("a=1, sIdRefreshToken=x").legacy


def test_text_like_a_cookie_in_the_value_of_another_is_ignored_beside_a_real_one() -> None:
    assert read("prefs=1,sAccessToken=b; sAccessToken=a").access_cookies == ["a"]


def test_with_a_prefix_only_cookies_with_that_prefix_are_read() -> None:
    cookies = "sAccessToken=a; sRefreshToken=b; sIdRefreshToken=c; shop_sAccessToken=d; shop_sRefreshToken=e"
    assert read(cookies, prefix="shop_") == RequestTokens(None, ["d"], ["e"], legacy=False)
    assert read(cookies) == RequestTokens(None, ["a"], ["b"], legacy=True)


def test_everything_is_read_in_one_pass() -> None:
    assert read("sRefreshToken=r; sIdRefreshToken=i; sAccessToken=a; sRefreshToken=s", "Bearer b") == (
        RequestTokens("b", ["a"], ["r", "s"], legacy=True)
    )


def test_a_huge_cookie_header_is_read_at_once() -> None:
    huge = "a=b; " * 200_000 + "sAccessToken=x"
    started = time.perf_counter()
    assert read(huge).access_cookies == ["x"]
    assert time.perf_counter() - started < 2


@given(st.text(), st.text())
def test_any_text_is_read_without_an_error(cookie: str, authorization: str) -> None:
    found = read(cookie, authorization)
    assert found.bearer is None or found.bearer in authorization


# How a new session travels

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html,application/xhtml+xml"}


def method_of(answer: TestResponse) -> str:
    """By which method the answer hands out a session."""
    by_header = bool(answer.headers.get("st-access-token"))
    by_cookie = any(line.startswith("sAccessToken=ey") for line in answer.headers.getlist("Set-Cookie"))
    assert by_header != by_cookie, answer.headers
    return "header" if by_header else "cookie"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "header"),
        ({"st-auth-mode": "cookie"}, "cookie"),
        ({"st-auth-mode": "header"}, "header"),
        ({"st-auth-mode": " COOKIE "}, "cookie"),
        ({"st-auth-mode": "nonsense"}, "header"),
        (NAVIGATION, "cookie"),
        ({**NAVIGATION, "Sec-Fetch-Site": "same-site"}, "cookie"),
        ({**NAVIGATION, "Sec-Fetch-Site": "none"}, "cookie"),
        ({**NAVIGATION, "Sec-Fetch-Site": "cross-site"}, "header"),
        ({**NAVIGATION, "st-auth-mode": "header"}, "header"),
        ({"Sec-Fetch-Mode": "navigate"}, "cookie"),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}, "header"),
        ({"Sec-Fetch-Mode": "cors", **FORM}, "header"),
        (FORM, "cookie"),
        ({**FORM, "Content-Type": "multipart/form-data; boundary=x"}, "cookie"),
        ({**FORM, "Accept": "application/json"}, "header"),
        ({**FORM, "Content-Type": "application/json"}, "header"),
        ({**FORM, "Content-Type": "text/plain"}, "header"),
        ({**FORM, "Sec-Fetch-Site": "cross-site"}, "header"),
        ({"Accept": "text/html"}, "header"),
    ],
)
def test_the_transfer_method_of_a_new_session_suits_the_client(
    app: Flask, headers: dict[str, str], expected: str
) -> None:
    answer = app.test_client(use_cookies=False).post("/login", headers=headers)
    assert method_of(answer) == expected


def test_the_callback_of_an_identity_provider_counts_as_our_own_navigation(
    app: Flask,
) -> None:
    @app.get("/callback")
    def callback() -> str:
        return create_new_session("alice").get_handle()

    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
    assert method_of(app.test_client(use_cookies=False).get("/callback", headers=headers)) == "cookie"


@pytest.mark.parametrize("headers", [{}, NAVIGATION, {"Accept": "application/json"}])
def test_with_a_login_page_a_new_session_is_sent_by_cookie(
    make_app: AppFactory, headers: dict[str, str]
) -> None:
    client = make_app(login_url="/login").test_client(use_cookies=False)
    assert method_of(client.post("/login", headers=headers)) == "cookie"
    assert method_of(client.post("/login", headers={**headers, **BY_HEADER})) == "header"


@pytest.mark.parametrize("setting", ["cookie", "header"])
@pytest.mark.parametrize("asked", [{}, BY_COOKIE, BY_HEADER, NAVIGATION])
def test_the_apps_setting_takes_precedence_over_the_client(
    make_app: AppFactory, setting: str, asked: dict[str, str]
) -> None:
    client = make_app(token_transfer_method=setting).test_client(use_cookies=False)
    assert method_of(client.post("/login", headers=asked)) == setting


def test_a_function_may_decide_by_the_request(make_app: AppFactory) -> None:
    asked: list[bool] = []

    def decide(request: Any, for_create_new_session: bool) -> str:
        asked.append(for_create_new_session)
        return "header" if request.headers.get("User-Agent") == "our-app" else "any"

    client = make_app(token_transfer_method=decide).test_client(use_cookies=False)
    assert method_of(client.post("/login", headers={**BY_COOKIE, "User-Agent": "our-app"})) == "header"
    created = client.post("/login", headers=BY_COOKIE)
    assert method_of(created) == "cookie"
    assert asked == [True, True]
    cookie = {"Cookie": created.headers.getlist("Set-Cookie")[0].partition(";")[0]}
    assert client.get("/user", headers=cookie).status_code == 200
    assert client.get("/user", headers={**cookie, "User-Agent": "our-app"}).status_code == 401
    assert asked == [True, True, False, False]


@pytest.mark.parametrize("answer", [None, "COOKIE", "both", 1, ["cookie"]])
def test_an_invalid_return_value_of_the_function_is_refused(make_app: AppFactory, answer: Any) -> None:
    app = make_app(token_transfer_method=lambda request, for_create_new_session: answer)
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login")
    assert str(caught.value) == (
        f"The function given as STSESSION_TOKEN_TRANSFER_METHOD returned {answer!r}, but must return one of "
        "any, cookie, header."
    )


# Which token counts

ABSENT, GOOD, EXPIRED, FOREIGN = "absent", "good", "expired", "foreign"


@pytest.mark.parametrize(
    ("header", "cookie", "expected"),
    [
        (ABSENT, ABSENT, "unauthorised"),
        (ABSENT, GOOD, "cookie"),
        (ABSENT, EXPIRED, "try refresh token"),
        (ABSENT, FOREIGN, "unauthorised"),
        (GOOD, ABSENT, "header"),
        (GOOD, GOOD, "header"),
        (GOOD, EXPIRED, "header"),
        (GOOD, FOREIGN, "header"),
        (EXPIRED, ABSENT, "try refresh token"),
        (EXPIRED, GOOD, "try refresh token"),
        (EXPIRED, EXPIRED, "try refresh token"),
        (EXPIRED, FOREIGN, "try refresh token"),
        (FOREIGN, ABSENT, "unauthorised"),
        (FOREIGN, GOOD, "cookie"),
        (FOREIGN, EXPIRED, "try refresh token"),
        (FOREIGN, FOREIGN, "unauthorised"),
    ],
)
def test_the_header_token_wins_if_it_is_a_session_token(
    make_app: AppFactory, served_core: Any, header: str, cookie: str, expected: str
) -> None:
    app = make_app(connection_uri=served_core.url)

    @app.get("/how")
    @verify_session()
    def how() -> dict[str, Any]:
        return {"message": g.session.transfer_method}

    client = app.test_client(use_cookies=False)
    token = {
        GOOD: client.post("/login", headers=BY_HEADER).headers["st-access-token"],
        FOREIGN: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    }
    served_core.makes_expired_tokens = True
    token[EXPIRED] = client.post("/login", headers=BY_HEADER).headers["st-access-token"]
    served_core.makes_expired_tokens = False
    headers = {}
    if header != ABSENT:
        headers["Authorization"] = f"Bearer {token[header]}"
    if cookie != ABSENT:
        headers["Cookie"] = f"sAccessToken={token[cookie]}"
    answer = client.get("/how", headers=headers)
    assert answer.get_json() == {"message": expected}
    assert "front-token" not in answer.headers


def test_a_proxy_that_drops_empty_headers_still_leaves_a_working_client(app: Flask) -> None:
    """A client that never sees the emptied header sends its dead header token beside a good cookie."""
    client = app.test_client(use_cookies=False)
    old = client.post("/login", headers=BY_HEADER).headers
    created = client.post(
        "/login", headers={**BY_COOKIE, "Authorization": f"Bearer {old['st-access-token']}"}
    )
    assert created.headers["st-access-token"] == ""
    cookie = created.headers.getlist("Set-Cookie")[0].partition(";")[0]
    answer = client.get(
        "/user", headers={"Cookie": cookie, "Authorization": f"Bearer {old['st-access-token']}"}
    )
    assert answer.status_code == 200


# Writing


def attributes(answer: TestResponse) -> dict[str, Mapping[str, Any]]:
    """Every cookie that is set, with its attributes."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in answer.headers.getlist("Set-Cookie"):
        for name, morsel in SimpleCookie(line).items():
            assert name not in found, "a cookie is set twice"
            found[name] = {**morsel, "value": morsel.value}
    return found


@pytest.mark.parametrize(
    ("settings", "secure", "same_site", "domain"),
    [
        ({}, False, "Lax", ""),
        ({"api_domain": "http://localhost:5000"}, False, "Lax", ""),
        ({"api_domain": "https://api.example.com"}, True, "Lax", ""),
        (
            {"api_domain": "https://api.example.com", "website_domain": "https://www.example.com"},
            True,
            "Lax",
            "",
        ),
        (
            {"api_domain": "https://api.example.com", "website_domain": "https://example.org"},
            True,
            "None",
            "",
        ),
        (
            {"api_domain": "https://a.vercel.app", "website_domain": "https://b.vercel.app"},
            True,
            "None",
            "",
        ),
        ({"api_domain": "http://localhost:1", "website_domain": "http://127.0.0.1:2"}, False, "Lax", ""),
        ({"api_domain": "http://localhost:1", "website_domain": "https://localhost:2"}, False, "None", ""),
        ({"api_domain": "https://api.example.com", "cookie_same_site": "strict"}, True, "Strict", ""),
        ({"api_domain": "https://api.example.com", "cookie_secure": False}, False, "Lax", ""),
        (
            {"api_domain": "https://api.example.com", "cookie_domain": ".example.com"},
            True,
            "Lax",
            "example.com",
        ),
    ],
)
def test_the_attributes_of_cookies_follow_the_domains(
    make_app: AppFactory, settings: dict[str, Any], secure: bool, same_site: str, domain: str
) -> None:
    client = make_app(**settings).test_client(use_cookies=False)
    created = attributes(client.post("/login", headers=BY_COOKIE))
    cleared = attributes(client.post("/auth/session/refresh"))
    for answer in (created, cleared):
        assert set(answer) == {"sAccessToken", "sRefreshToken"}
        assert answer["sAccessToken"]["path"] == "/"
        assert answer["sRefreshToken"]["path"] == "/auth/session/refresh"
        for cookie in answer.values():
            assert cookie["httponly"] is True
            assert (cookie["secure"] or False) is secure
            assert cookie["samesite"] == same_site
            assert cookie["domain"].lstrip(".") == domain
    for cookie in cleared.values():
        assert cookie["value"] == ""
        assert cookie["expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    now = time.time()
    lives = {name: parsedate_to_datetime(c["expires"]).timestamp() - now for name, c in created.items()}
    assert lives["sAccessToken"] == pytest.approx(YEAR, abs=5)
    assert lives["sRefreshToken"] == pytest.approx(144_000 * 60, abs=5)


def written(app: Flask, **changes: Any) -> dict[str, str]:
    """Return the headers that a response with these changes gets."""
    record, response = ClientChanges(), Response()
    vars(record).update(changes)
    writer = ResponseWriter(
        app_state_of(app).config, origin=lambda: "https://api.example.com", script_root="", turns=Turns()
    )
    writer.write(record, response)
    return {name: value for name, value in response.headers if not name.startswith("Content-")}


def test_a_response_that_changes_nothing_on_the_client_gets_no_header(app: Flask) -> None:
    assert written(app) == {}
    assert written(app, keeps_cookies=True) == {}


def test_any_single_change_is_written_and_kept_out_of_caches(app: Flask) -> None:
    stray = StrayCookie("sAccessToken", "example.com", "/")
    cleared = written(app, cleared=frozenset(["header"]))
    assert (cleared["st-access-token"], cleared["front-token"]) == ("", "remove")
    strays = written(app, strays=StrayCookies((stray,)))
    assert strays["Set-Cookie"] == "sAccessToken=; Domain=example.com; Path=/; Max-Age=0"
    older = written(app, older_cookies=(stray,))
    assert older["Set-Cookie"].startswith("sAccessToken=; Domain=example.com; Expires=Thu, 01 Jan 1970")
    token = parse(app.test_client().post("/login", headers=BY_HEADER).headers["st-access-token"])
    assert token is not None
    issued = written(app, issued=TokensToSend("header", token))
    assert (issued["st-access-token"], "front-token" in issued) == (token.raw, True)
    assert {each["Cache-Control"] for each in (cleared, strays, older, issued)} == {"no-store"}


def exposed(answer: Response | TestResponse) -> list[str]:
    return [name.strip() for name in answer.headers.get("Access-Control-Expose-Headers", "").split(",")]


def test_headers_for_scripts_are_exposed_beside_those_of_the_app(app: Flask) -> None:
    def answer_with(*exposures: str) -> Response:
        create_new_session("alice")
        response = make_response({})
        for exposure in exposures:
            response.headers.add("Access-Control-Expose-Headers", exposure)
        return response

    app.add_url_rule("/one", view_func=lambda: answer_with("X-Mine, Front-Token"), endpoint="one")
    app.add_url_rule("/two", view_func=lambda: answer_with("X-Mine", "X-Other"), endpoint="two")
    app.add_url_rule("/star", view_func=lambda: answer_with("*"), endpoint="star")
    client = app.test_client(use_cookies=False)
    tokens = ["st-access-token", "st-refresh-token", "front-token"]
    assert exposed(client.get("/one", headers=BY_HEADER)) == [
        "X-Mine",
        "Front-Token",
        "st-access-token",
        "st-refresh-token",
    ]
    assert exposed(client.get("/two", headers=BY_HEADER)) == ["X-Mine", "X-Other", *tokens]
    # With credentials a star is no wildcard (Fetch standard), so the names are there as well.
    assert exposed(client.get("/star", headers=BY_HEADER)) == ["*", *tokens]
    assert exposed(client.get("/one", headers=BY_COOKIE)) == ["X-Mine", "Front-Token"]


def test_two_apps_on_one_host_keep_their_sessions_apart_by_a_prefix(make_app: AppFactory) -> None:
    jar: dict[str, str] = {}

    def ask(app: Flask, method: str, path: str) -> TestResponse:
        """Send a request with all cookies of the host, and keep those of the response."""
        cookie = "; ".join(f"{name}={value}" for name, value in jar.items())
        answer = app.test_client(use_cookies=False).open(
            path, method=method, headers={**BY_COOKIE, "Cookie": cookie}
        )
        jar.update({name: str(cookie["value"]) for name, cookie in attributes(answer).items()})
        return answer

    shop, mill = make_app(name="shop", cookie_prefix="shop_"), make_app(name="mill")
    ask(shop, "POST", "/login")
    assert set(jar) == {"shop_sAccessToken", "shop_sRefreshToken"}
    assert ask(mill, "GET", "/user").status_code == 401
    ask(mill, "POST", "/login")
    assert set(jar) == {"shop_sAccessToken", "shop_sRefreshToken", "sAccessToken", "sRefreshToken"}
    assert ask(shop, "POST", "/auth/session/refresh").status_code == 200
    assert ask(shop, "GET", "/user").status_code == ask(mill, "GET", "/user").status_code == 200
    assert ask(shop, "POST", "/auth/signout").status_code == 200
    assert jar["shop_sAccessToken"] == jar["shop_sRefreshToken"] == ""
    assert ask(shop, "GET", "/user").status_code == 401
    assert ask(mill, "GET", "/user").status_code == 200


def test_the_refresh_cookie_of_a_session_without_end_lasts_as_long_as_a_date_can_say(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    app = make_app(connection_uri=served_core.url)
    served_core.core.offset = 8000 * YEAR  # a core sets no limit to the validity of refresh tokens
    client = app.test_client()
    for path in ("/login", "/auth/session/refresh"):
        answer = client.post(path, headers=BY_COOKIE)
        assert answer.status_code == 200
        assert attributes(answer)["sRefreshToken"]["expires"] == "Fri, 31 Dec 9999 23:59:59 GMT"
    with app.app_context():
        [session] = app.extensions["stsession"].list_sessions("alice")
        assert session.expires_at.year == 9999


def test_partitioned_cookies_are_set_and_cleared_as_such(make_app: AppFactory) -> None:
    app = make_app(
        api_domain="https://api.example.com", website_domain="https://shop.test", cookie_partitioned=True
    )
    client = app.test_client()
    base = "https://api.example.com"
    headers = {**BY_COOKIE, "rid": "session"}
    created = client.post("/login", base_url=base, headers=headers)
    ended = client.post("/auth/signout", base_url=base, headers=headers)
    for answer in (created, ended):
        lines = answer.headers.getlist("Set-Cookie")
        assert len(lines) == 2
        assert all({"Secure", "SameSite=None", "Partitioned"} <= set(line.split("; ")) for line in lines)


def test_the_access_token_of_a_cookie_session_is_exposed_only_if_the_app_says_so(
    make_app: AppFactory,
) -> None:
    app = make_app(expose_access_token_to_frontend_in_cookie_based_auth=True)
    answer = app.test_client().post("/login", headers=BY_COOKIE)
    assert answer.headers["st-access-token"] == attributes(answer)["sAccessToken"]["value"]
    assert "st-refresh-token" not in answer.headers
    assert exposed(answer) == ["st-access-token", "front-token"]


def test_a_response_with_tokens_is_kept_out_of_caches_whatever_the_app_says(app: Flask) -> None:
    @app.post("/mine")
    def mine() -> Response:
        create_new_session("alice")
        response = make_response({})
        response.headers.add("Cache-Control", "private, max-age=5")
        response.headers.add("Cache-Control", "public")
        return response

    client = app.test_client()
    assert client.post("/login", headers=BY_COOKIE).headers["Cache-Control"] == "no-store"
    answer = client.post("/mine", headers=BY_COOKIE)
    assert answer.headers.getlist("Cache-Control") == ["no-store"]
    verified = client.get("/user")
    assert verified.headers.getlist("Cache-Control") == ["private"]
    assert "Set-Cookie" not in verified.headers
    assert set(verified.vary) == {"Cookie", "Authorization"}


def test_a_response_without_use_of_a_session_stays_cacheable(app: Flask) -> None:
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    for path in ("/open", "/static/none.css", "/nowhere"):
        answer = client.get(path)
        assert not answer.vary
        assert "Cache-Control" not in answer.headers
        assert "Set-Cookie" not in answer.headers


def test_the_apps_own_vary_is_kept(app: Flask) -> None:
    @app.get("/varied")
    @verify_session(session_required=False)
    def varied() -> Response:
        response = make_response({})
        response.vary.add("Accept-Language")
        return response

    assert set(app.test_client().get("/varied").vary) == {"Accept-Language", "Cookie", "Authorization"}


# Below a path


def refresh_path_and_issuer(client: FlaskClient, **environ: str) -> tuple[str, str]:
    created = client.post("/login", headers=BY_COOKIE, environ_overrides=environ)
    handed = attributes(created)
    sent = {"Cookie": f"sAccessToken={handed['sAccessToken']['value']}"}
    payload = client.get("/user", headers=sent).get_json()["payload"]
    return handed["sRefreshToken"]["path"], payload["iss"]


@pytest.mark.parametrize(
    ("settings", "script_name", "path", "issuer"),
    [
        ({}, "", "/auth", "http://localhost/auth"),
        ({}, "/app", "/app/auth", "http://localhost/app/auth"),
        ({"api_gateway_path": "/gw"}, "", "/gw/auth", "http://localhost/gw/auth"),
        ({"api_gateway_path": "/gw"}, "/app", "/gw/auth", "http://localhost/gw/auth"),
        ({"api_gateway_path": "/"}, "/app", "/auth", "http://localhost/auth"),
        ({"api_base_path": "/"}, "", "", "http://localhost"),
        ({"api_base_path": "/api/auth"}, "/app", "/app/api/auth", "http://localhost/app/api/auth"),
        (
            {"api_domain": "https://api.example.com", "api_gateway_path": "/gw"},
            "",
            "/gw/auth",
            "https://api.example.com/gw/auth",
        ),
    ],
)
def test_the_refresh_cookie_and_the_issuer_follow_the_path_that_clients_see(
    make_app: AppFactory, settings: dict[str, Any], script_name: str, path: str, issuer: str
) -> None:
    client = make_app(**settings).test_client(use_cookies=False)
    found = refresh_path_and_issuer(client, SCRIPT_NAME=script_name)
    assert found == (f"{path}/session/refresh", issuer)


def test_a_client_below_a_path_can_refresh_there(app: Flask) -> None:
    client = app.test_client()
    client.post("/login", base_url="http://localhost/app/", headers=BY_COOKIE)
    answer = client.post("/auth/session/refresh", base_url="http://localhost/app/")
    assert answer.status_code == 200
    assert attributes(answer)["sRefreshToken"]["path"] == "/app/auth/session/refresh"
