"""Why was I refused? What developers are told in the log and in a header, and users in production are not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_cors import CORS
from support.app_factory import NO_CORE, AppFactory
from werkzeug.test import TestResponse

from flask_stsession import STSession, UnauthorisedError, get_all_cors_headers

BY_COOKIE = {"st-auth-mode": "cookie"}
PAGE = "https://www.example.com"
FOREIGN = "https://evil.example.org"
NO_TOKEN = "401 for GET '/user': The request carries no access token. (no_token)"
WITHOUT_COOKIES = (
    "GET '/user': A page of 'https://www.example.com' sent a request without a session. fetch() sends and "
    "keeps cookies of another origin only with the option credentials: write "
    'fetch(url, {credentials: "include"}), also where the page signs in.'
)
SUPPORTED = (
    f"With Flask-CORS, write CORS(app, origins=['{PAGE}'], supports_credentials=True, "
    'allow_headers=["content-type", *get_all_cors_headers()]).'
)

DevApp = Callable[..., Flask]


@pytest.fixture
def make_dev_app(make_app: AppFactory) -> DevApp:
    """A factory of apps that are being developed or tested, with a website on another origin."""

    def make(flag: str = "testing", **settings: Any) -> Flask:
        settings = {"api_domain": "https://api.example.com", "website_domain": PAGE, **settings}
        app = make_app(**settings)
        setattr(app, flag, True)
        return app

    return make


def allow(app: Flask, **options: Any) -> None:
    defaults: dict[str, Any] = {
        "origins": [PAGE],
        "supports_credentials": True,
        "allow_headers": ["content-type", *get_all_cors_headers()],
    }
    CORS(app, **(defaults | options))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def exposed(response: TestResponse) -> set[str]:
    """Return the headers that scripts of another origin may read."""
    return set(response.headers.get("Access-Control-Expose-Headers", "").split(", ")) - {""}


# The reason of a refusal


@pytest.mark.parametrize("flag", ["debug", "testing"])
def test_in_development_the_reason_is_in_the_log_and_in_a_header(
    make_dev_app: DevApp, flag: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = make_dev_app(flag).test_client().get("/user")
    assert (response.status_code, response.json) == (401, {"message": "unauthorised"})
    assert response.headers["X-STSession-Reason"] == "no_token"
    assert exposed(response) == set()
    assert warnings(caplog) == [NO_TOKEN]


def test_in_production_the_reason_is_only_in_the_log_below_warnings(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="flask_stsession")
    app = make_app(api_domain="https://api.example.com", website_domain=PAGE)
    response = app.test_client().get("/user", headers={"Origin": PAGE})
    assert response.status_code == 401
    assert "X-STSession-Reason" not in response.headers
    assert exposed(response) == set()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", NO_TOKEN)]


@pytest.mark.parametrize(
    ("origin", "is_exposed"),
    [
        (PAGE, True),
        ("https://admin.example.com", True),  # of our site
        (FOREIGN, False),
        ("null", False),
        ("https://api.example.com", False),  # needs no permission
    ],
)
def test_scripts_of_our_origins_may_read_the_reason(
    make_dev_app: DevApp, origin: str, is_exposed: bool
) -> None:
    app = make_dev_app()
    allow(app)
    response = app.test_client().get("/user", headers={"Origin": origin})
    assert response.headers["X-STSession-Reason"] == "no_token"
    assert exposed(response) == ({"X-STSession-Reason"} if is_exposed else set())


def test_the_reason_is_exposed_beside_the_cleared_headers(make_dev_app: DevApp) -> None:
    app = make_dev_app()
    client = app.test_client(use_cookies=False)
    response = client.post("/auth/session/refresh", headers={"Origin": PAGE, "Cookie": "sRefreshToken=x"})
    assert response.headers["X-STSession-Reason"] == "malformed"
    assert exposed(response) >= {"X-STSession-Reason", "front-token"}


def test_every_kind_of_refusal_has_its_reason(make_dev_app: DevApp, make_app: AppFactory) -> None:
    app = make_dev_app()
    client = app.test_client()
    headers = {"Authorization": "Bearer x"}
    assert client.get("/user", headers=headers).headers["X-STSession-Reason"] == "malformed"
    foreign = {"Origin": FOREIGN, **BY_COOKIE}
    assert client.post("/login", headers=foreign).headers["X-STSession-Reason"] == "cross_site"
    token = app.test_client().post("/login", base_url="https://api.example.com").headers["st-access-token"]
    alone = make_app(name="alone", connection_uri=NO_CORE["STSESSION_CONNECTION_URI"])
    alone.testing = True
    response = alone.test_client().get("/user", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.headers["X-STSession-Reason"]) == (503, "keys_unavailable")


def test_a_handler_of_the_app_does_not_hide_the_reason(make_dev_app: DevApp) -> None:
    app = make_dev_app()
    app.register_error_handler(UnauthorisedError, lambda error: ("Please sign in.", 200))
    response = app.test_client().get("/user")
    assert (response.text, response.headers["X-STSession-Reason"]) == ("Please sign in.", "no_token")


def test_a_redirect_to_the_login_page_carries_the_reason_too(make_dev_app: DevApp) -> None:
    app = make_dev_app(login_url="/login", website_domain=None)
    response = app.test_client().get("/user", headers={"Sec-Fetch-Mode": "navigate"})
    assert (response.status_code, response.headers["X-STSession-Reason"]) == (302, "no_token")


def test_other_responses_carry_no_reason(make_dev_app: DevApp) -> None:
    client = make_dev_app().test_client()
    assert "X-STSession-Reason" not in client.post("/login", headers=BY_COOKIE).headers
    assert "X-STSession-Reason" not in client.get("/open").headers


# A fetch() that forgot something


@pytest.mark.parametrize("flag", ["debug", "testing"])
def test_a_fetch_without_credentials_gets_a_hint(
    make_dev_app: DevApp, flag: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_dev_app(flag)
    allow(app)
    client = app.test_client()
    for _ in range(2):
        client.get("/user", headers={"Origin": PAGE})
    assert warnings(caplog) == [NO_TOKEN, WITHOUT_COOKIES, NO_TOKEN]


@pytest.mark.parametrize("origin", [FOREIGN, "null", "https://api.example.com", None])
def test_requests_of_other_pages_get_no_hint(
    make_dev_app: DevApp, origin: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    make_dev_app().test_client().get("/user", headers=headers)
    assert warnings(caplog) == [NO_TOKEN]


def test_a_page_behind_the_proxy_of_a_development_server_is_on_the_same_origin(
    make_dev_app: DevApp, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Origin": PAGE, "Sec-Fetch-Site": "same-origin"}
    assert exposed(make_dev_app().test_client().get("/user", headers=headers)) == set()
    assert warnings(caplog) == [NO_TOKEN]


def test_a_fetch_with_cookies_but_no_session_gets_no_hint(
    make_dev_app: DevApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_dev_app()
    allow(app)
    app.test_client(use_cookies=False).get("/user", headers={"Origin": PAGE, "Cookie": "theme=dark"})
    assert warnings(caplog) == [NO_TOKEN]


def test_with_header_transfer_no_hint_mentions_cookies(
    make_dev_app: DevApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_dev_app(token_transfer_method="header")
    allow(app, supports_credentials=False)
    app.test_client().get("/user", headers={"Origin": PAGE})
    assert warnings(caplog) == [NO_TOKEN]


# CORS


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        (None, "have no Access-Control-Allow-Origin, so browsers do not let those pages read them"),
        (
            {"origins": "*", "supports_credentials": False, "send_wildcard": True},
            "have Access-Control-Allow-Origin: *, which browsers do not accept together with cookies",
        ),
        (
            {"supports_credentials": False},
            "have no Access-Control-Allow-Credentials: true, without which browsers send and keep no cookies",
        ),
    ],
)
def test_a_sign_in_blocked_by_cors_gets_a_hint(
    make_app: AppFactory,
    options: dict[str, Any] | None,
    lacks: str,
    is_before: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The headers count as they go out, whichever extension comes first."""
    app = make_app(init=False, api_domain="https://api.example.com", website_domain=PAGE)
    if is_before and options is not None:
        allow(app, **options)
    STSession(app)
    make_app.apps.append(app)
    if not is_before and options is not None:
        allow(app, **options)
    app.testing = True
    client = app.test_client()
    for _ in range(2):
        client.post("/login", base_url="https://api.example.com", headers={"Origin": PAGE, **BY_COOKIE})
    assert warnings(caplog) == [f"POST '/login': Responses to pages of '{PAGE}' {lacks}. {SUPPORTED}"]


def test_sufficient_cors_headers_are_not_warned_of(
    make_dev_app: DevApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_dev_app()
    allow(app)
    client = app.test_client()
    here: dict[str, Any] = {"base_url": "https://api.example.com"}
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, st-auth-mode",
    }
    assert client.options("/login", headers=asked, **here).status_code == 200
    assert client.post("/login", headers={"Origin": PAGE, **BY_COOKIE}, **here).status_code == 200
    assert client.get("/user", headers={"Origin": PAGE}, **here).status_code == 200
    assert client.get("/open", headers={"Origin": PAGE}, **here).status_code == 200
    assert warnings(caplog) == []


@pytest.mark.parametrize("mode", ["navigate", "websocket", "no-cors"])
def test_requests_to_which_cors_does_not_apply_are_not_warned_of(
    make_dev_app: DevApp, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Origin": PAGE, "Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "same-site", **BY_COOKIE}
    client = make_dev_app().test_client()
    assert client.post("/login", base_url="https://api.example.com", headers=headers).status_code == 200
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("asked", "lacks"),
    [
        (
            "rid, st-auth-mode",
            "do not allow the request headers st-auth-mode in Access-Control-Allow-Headers",
        ),
        ("authorization", "do not allow the request headers authorization in Access-Control-Allow-Headers"),
        ("rid", None),
        ("x-of-the-app", None),
        ("", None),
    ],
)
def test_a_preflight_that_forbids_our_headers_gets_a_hint(
    make_dev_app: DevApp, asked: str, lacks: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_dev_app()
    allow(app, allow_headers=["rid"])
    headers = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked,
    }
    app.test_client().options("/login", headers=headers)
    supported = (
        SUPPORTED if asked != "authorization" else SUPPORTED.replace("supports_credentials=True, ", "")
    )
    expected = f"OPTIONS '/login': Responses to pages of '{PAGE}' {lacks}. {supported}"
    assert warnings(caplog) == ([] if lacks is None else [expected])


def test_in_production_no_response_is_checked(make_app: AppFactory, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(api_domain="https://api.example.com", website_domain=PAGE)
    client = app.test_client()
    client.post("/login", base_url="https://api.example.com", headers={"Origin": PAGE, **BY_COOKIE})
    client.get("/user", headers={"Origin": PAGE})
    assert warnings(caplog) == []


def test_a_page_on_another_port_of_localhost_counts_as_ours(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.debug = True
    page = {"Origin": "http://localhost:5173"}
    response = app.test_client().get("/user", base_url="http://localhost:5000", headers=page)
    assert exposed(response) == {"X-STSession-Reason"}
    assert "write CORS(app, origins=['http://localhost:5173'], " in warnings(caplog)[-1]


# Pages without a login page


LOGIN_PAGE_HINT = (
    "GET '/user': A browser was refused a page. To redirect browsers to a login page, and back after "
    'signing in, set its endpoint or path: app.config["STSESSION_LOGIN_URL"] = "login".'
)


@pytest.mark.parametrize(
    "headers", [{"Accept": "text/html"}, {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}]
)
def test_a_page_refused_to_a_browser_hints_at_the_login_page_once(
    make_dev_app: DevApp, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    app = make_dev_app()
    for _ in range(2):
        assert app.test_client().get("/user", headers=headers).status_code == 401
    assert warnings(caplog).count(LOGIN_PAGE_HINT) == 1


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"login_url": "/login"}, {"Accept": "text/html"}),
        ({}, {"Accept": "application/json"}),
        ({}, {}),  # of a test client
        ({}, {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}),
    ],
)
def test_other_refusals_do_not_hint_at_the_login_page(
    make_dev_app: DevApp, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    make_dev_app(**settings).test_client().get("/user", headers=headers)
    assert LOGIN_PAGE_HINT not in warnings(caplog)
