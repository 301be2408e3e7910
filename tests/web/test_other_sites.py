"""Requests that another site made the browser send: they set, replace and clear no cookies of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from support.answers import cookie_header, cookies_of, is_untouched, says
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import STSession, UnauthorisedError, create_new_session, sign_out, signals

API = "https://api.example.com"
BY_COOKIE = {"st-auth-mode": "cookie"}
UNAUTHORISED = (401, {"message": "unauthorised"})

#: What browsers send for another site.
FOREIGN: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://api.example.com"},
    {"Origin": "https://example.com.evil.example"},
    {"Origin": "https://203.0.113.7"},
)
#: What they send for pages of ours, and what others send.
OURS_OR_UNKNOWN: tuple[dict[str, str], ...] = (
    {},
    {"Origin": "null"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    {"Origin": API},
    {"Origin": "https://www.example.org", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "capacitor://localhost", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
)
SAME_SITE: tuple[dict[str, str], ...] = (
    {"Origin": "https://shop.example.com"},
    {"Origin": "https://api.example.com:8443"},
    {"Origin": "https://shop.example.com", "Sec-Fetch-Site": "same-site"},
)
PATHS = ("/login", "/leave", "/auth/signout", "/auth/session/refresh")


@pytest.fixture
def site(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app with a website elsewhere, and with a view that signs out."""
    app = make_app(
        connection_uri=served_core.url,
        api_domain=API,
        website_domain=["https://www.example.org", "capacitor://localhost"],
        anti_csrf="NONE",
    )

    @app.route("/leave", methods=["GET", "POST"])
    def leave() -> dict[str, str]:
        sign_out()
        return {}

    return app


@pytest.fixture
def reasons(site: Flask) -> Iterator[list[str]]:
    """The reasons of all verdicts."""
    heard: list[str] = []

    def hear(sender: Flask, reason: str, **_: Any) -> None:
        heard.append(str(reason))

    with signals.verification_failed.connected_to(hear, site):
        yield heard


def send(app: Flask, path: str, headers: dict[str, str], method: str = "POST") -> TestResponse:
    client = app.test_client(use_cookies=False)
    return client.open(path, method=method, base_url=API, headers={**BY_COOKIE, **headers})


def cookies_of_session(app: Flask) -> dict[str, str]:
    return cookie_header(**cookies_of(send(app, "/login", {})))


@pytest.mark.parametrize("is_signed_in", [True, False])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_site_can_neither_sign_in_nor_refresh_nor_sign_out(
    site: Flask,
    served_core: ServedCore,
    reasons: list[str],
    headers: dict[str, str],
    path: str,
    is_signed_in: bool,
) -> None:
    cookies = cookies_of_session(site) if is_signed_in else {}
    served_core.counted()
    answer = send(site, path, {**headers, **cookies})
    assert says(answer) == UNAUTHORISED
    assert is_untouched(answer)
    assert reasons == ["cross_site"]
    assert not served_core.counted()
    if is_signed_in:
        assert send(site, "/user", cookies, "GET").status_code == 200


def test_the_log_says_why_another_site_is_refused(site: Flask, caplog: pytest.LogCaptureFixture) -> None:
    send(site, "/auth/session/refresh", {"Origin": "https://evil.example"})
    [logged] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert logged == (
        "POST '/auth/session/refresh' is refused. The request comes from 'https://evil.example', another "
        "site, and would change the cookies of its client. If it is a website of yours, add it to "
        "STSESSION_WEBSITE_DOMAIN; if it is the form post of an identity provider, use "
        "create_new_session(..., allow_cross_site=True)."
    )


@pytest.mark.parametrize("headers", [*OURS_OR_UNKNOWN, *SAME_SITE], ids=str)
def test_our_own_pages_and_clients_without_a_browser_sign_in_refresh_and_sign_out(
    site: Flask, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    login = send(site, "/login", headers)
    assert login.status_code == 200
    refreshed = send(site, "/auth/session/refresh", {**headers, **cookie_header(**cookies_of(login))})
    assert says(refreshed) == (200, {})
    answer = send(site, "/auth/signout", {**headers, **cookie_header(**cookies_of(refreshed))})
    assert says(answer) == (200, {"status": "OK"})
    assert cookies_of(answer) == {"sAccessToken": "", "sRefreshToken": ""}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    if headers in SAME_SITE:
        assert warnings == [
            f"POST {path!r} comes from {headers['Origin']!r}, an origin of our site that is not configured. "
            "If it is a website of yours, add it to STSESSION_WEBSITE_DOMAIN."
            for path in ("/login", "/auth/session/refresh", "/auth/signout")
        ]
    else:
        assert not warnings


def test_a_link_that_a_person_follows_may_sign_out(site: Flask) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = send(site, "/leave", {**headers, **cookies_of_session(site)}, "GET")
    assert says(answer) == (200, {})
    assert cookies_of(answer) == {"sAccessToken": "", "sRefreshToken": ""}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_sessions_by_header_work_on_any_site_and_leave_cookies_alone(
    site: Flask, headers: dict[str, str]
) -> None:
    stale = cookie_header(sAccessToken="x", sRefreshToken="y")
    login = send(site, "/login", {**headers, **stale, "st-auth-mode": "header"})
    assert login.status_code == 200
    for path, name in (("/auth/session/refresh", "st-refresh-token"), ("/leave", "st-access-token")):
        bearer = {"Authorization": f"Bearer {login.headers[name]}"}
        answer = send(site, path, {**headers, **stale, **bearer})
        assert says(answer) == (200, {})
        assert "Set-Cookie" not in answer.headers
    assert login.headers["front-token"] != "remove"
    assert "Set-Cookie" not in login.headers
    failed = send(site, "/auth/session/refresh", {**headers, "Authorization": f"Bearer a.{'0' * 64}.V2"})
    assert says(failed) == UNAUTHORISED
    assert failed.headers["front-token"] == "remove"
    assert "Set-Cookie" not in failed.headers


@pytest.mark.parametrize("settings", [{}, {"login_url": "/login"}, {"token_transfer_method": "cookie"}])
def test_the_form_post_of_an_identity_provider_signs_in_where_the_view_allows_it(
    make_app: AppFactory, settings: dict[str, Any]
) -> None:
    app = make_app(api_domain=API, **settings)

    @app.post("/callback")
    def callback() -> str:
        return create_new_session("alice", allow_cross_site=True).get_handle()

    client = app.test_client(use_cookies=False)
    form = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "https://id.example"}
    answer = client.post("/callback", base_url=API, headers=form, data={"code": "1"})
    assert answer.status_code == 200
    assert set(cookies_of(answer)) == {"sAccessToken", "sRefreshToken"}


@pytest.mark.parametrize("bearer", ["of-a-proxy", "eyJhbGciOiJub25lIn0.e30."])
def test_a_bearer_token_of_a_proxy_is_not_a_session_by_header(site: Flask, bearer: str) -> None:
    headers = {**FOREIGN[2], "Authorization": f"Bearer {bearer}", **cookies_of_session(site)}
    for path in ("/leave", "/auth/signout", "/auth/session/refresh"):
        answer = send(site, path, headers)
        assert says(answer) == UNAUTHORISED
        assert is_untouched(answer)


def test_a_view_that_ignores_the_refusal_cannot_sign_out_by_trying_again(site: Flask) -> None:
    @site.post("/insist")
    def insist() -> dict[str, str]:
        with contextlib.suppress(UnauthorisedError):
            sign_out()
        sign_out()
        return {}

    answer = send(site, "/insist", {**FOREIGN[2], **cookies_of_session(site)})
    assert says(answer) == UNAUTHORISED
    assert is_untouched(answer)


def test_a_form_of_another_site_is_not_redirected_to_the_login_page(make_app: AppFactory) -> None:
    app = make_app(api_domain=API, login_url="/login")
    form = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
    answer = app.test_client().post("/login", base_url=API, headers=form, data={"next": "/"})
    assert answer.status_code == 401
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_an_overridden_refresh_or_sign_out_is_not_called_for_another_site(make_app: AppFactory) -> None:
    class Mine(STSession):
        def sign_out(self) -> bool:
            raise AssertionError("asked")

    app = make_app(extension=Mine, api_domain=API)
    answer = send(app, "/auth/signout", {"Origin": "https://evil.example"})
    assert says(answer) == UNAUTHORISED
    assert is_untouched(answer)


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        ("http://192.168.1.7", True),
        ("http://192.168.1.7:3000", True),
        ("http://192.168.1.8", False),
        ("http://203.0.113.7", False),
        ("http://localhost:3000", False),
    ],
)
def test_an_ip_address_is_a_site_of_its_own(make_app: AppFactory, origin: str, passes: bool) -> None:
    client = make_app().test_client()
    headers = {**BY_COOKIE, "Origin": origin}
    answer = client.post("/login", base_url="http://192.168.1.7", headers=headers)
    assert answer.status_code == (200 if passes else 401)


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:3000"])
def test_in_development_everything_on_this_machine_is_one_site(app: Flask, origin: str) -> None:
    answer = app.test_client().post("/login", headers={**BY_COOKIE, "Origin": origin})
    assert answer.status_code == 200
