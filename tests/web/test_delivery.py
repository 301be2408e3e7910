"""Responses that depend on who asks: who may keep them, and warnings of cookies that browsers drop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, send_file
from support.app_factory import AppFactory

from flask_stsession import current_session, verify_session

BY_COOKIE = {"st-auth-mode": "cookie"}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.fixture
def files(app: Flask, tmp_path: Path) -> Flask:
    """An app with a guarded download that says that caches may keep it."""
    (tmp_path / "report.txt").write_text("secret")

    @app.get("/report")
    @verify_session()
    def report() -> Response:
        return send_file(tmp_path / "report.txt", max_age=60)

    @app.get("/kept")
    @verify_session()
    def kept() -> tuple[str, dict[str, str]]:
        return "ok", {"Cache-Control": "private, max-age=60"}

    @app.get("/peek")
    def peek() -> tuple[str, dict[str, str]]:
        return str(bool(current_session)), {"Cache-Control": "public, max-age=60"}

    return app


def test_a_guarded_response_is_private_unless_the_app_sets_cache_control(files: Flask) -> None:
    client = files.test_client()
    assert client.get("/user").headers["Cache-Control"] == "private"
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/user").headers["Cache-Control"] == "private"
    assert client.get("/kept").headers["Cache-Control"] == "private, max-age=60"
    assert "Cache-Control" not in client.get("/open").headers


def test_a_public_guarded_response_is_warned_of_once(files: Flask, caplog: pytest.LogCaptureFixture) -> None:
    client = files.test_client()
    client.post("/login", headers=BY_COOKIE)
    for _ in range(2):
        answer = client.get("/report")
        assert answer.get_data(as_text=True) == "secret"
        said = answer.headers["Cache-Control"]
        answer.close()
        assert "public" in said
    [logged] = warnings(caplog)
    assert re.sub("Cache-Control: .*max-age=60", "Cache-Control: ...", logged) == (
        "The endpoint 'report' responds to signed-in users with Cache-Control: ..., so a shared cache may "
        "serve that response to other users. Leave out public and s-maxage. send_file(max_age=...) sets "
        "public: write response.cache_control.public = False."
    )


@pytest.mark.parametrize(
    ("cache_control", "is_warned_of"),
    [
        ("s-maxage=600", True),
        ('max-age=60, S-MaxAge="60"', True),
        ("Public, max-age=60", True),
        ("s-maxage=0", False),
        ("private, max-age=60", False),
        ("no-store", False),
    ],
)
def test_a_guarded_response_for_shared_caches_is_warned_of(
    app: Flask, caplog: pytest.LogCaptureFixture, cache_control: str, is_warned_of: bool
) -> None:
    @app.get("/shared")
    @verify_session()
    def shared() -> tuple[str, dict[str, str]]:
        return "ok", {"Cache-Control": cache_control}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/shared").headers["Cache-Control"] == cache_control
    assert bool(warnings(caplog)) is is_warned_of


def test_a_public_page_is_not_warned_of_without_a_session(
    files: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client = files.test_client()
    client.get("/peek")
    assert not warnings(caplog)
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/peek").text == "True"
    assert "'peek'" in warnings(caplog)[0]


SECURE: dict[str, Any] = {"api_domain": "https://api.example.com"}


def test_secure_cookies_over_http_are_warned_of_once(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(**SECURE).test_client()
    for _ in range(2):
        client.post("/login", base_url="http://api.example.com", headers=BY_COOKIE)
    assert warnings(caplog) == [
        "Cookies with the attribute Secure are being sent over http to 'api.example.com', where browsers "
        "drop them: a login seems to do nothing. Open the website by https. If a proxy speaks https for this "
        "app, make it send X-Forwarded-Proto, and use werkzeug.middleware.proxy_fix.ProxyFix."
    ]


@pytest.mark.parametrize(
    ("base_url", "headers"),
    [
        ("https://api.example.com", {}),
        ("http://localhost:5000", {}),
        ("http://127.0.0.1", {}),
        ("http://api.localhost", {}),
        ("http://api.example.com", {"X-Forwarded-Proto": "https"}),
        ("http://api.example.com", {"Forwarded": 'for=203.0.113.7; proto="https"'}),
        ("http://api.example.com", {"st-auth-mode": "header"}),
    ],
)
def test_cookies_that_browsers_keep_are_not_warned_of(
    make_app: AppFactory, base_url: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(**SECURE).test_client()
    assert client.post("/login", base_url=base_url, headers={**BY_COOKIE, **headers}).status_code == 200
    assert not warnings(caplog)


CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "http://localhost:3000"}
LOST = (
    "Cookies with SameSite lax are being sent to a page of http://localhost:3000, which is another site to "
    "browsers: they drop them. Open the page and this app under one host name (localhost and 127.0.0.1 are "
    "two), or write the page's origin in STSESSION_WEBSITE_DOMAIN and serve both by https."
)
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


@pytest.mark.parametrize(
    ("headers", "is_lost"),
    [
        ({}, True),
        (FRAME, True),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"st-auth-mode": "header"}, False),
    ],
)
def test_cookies_for_a_page_of_another_site_are_warned_of_once(
    make_app: AppFactory, headers: dict[str, str], is_lost: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(website_domain="http://localhost:3000").test_client()
    for _ in range(2):
        sent = {**BY_COOKIE, **CROSS_SITE, **headers}
        assert client.post("/login", base_url="http://127.0.0.1:5000", headers=sent).status_code == 200
    assert warnings(caplog) == ([LOST] if is_lost else [])


def test_cookies_for_a_configured_website_of_another_site_are_not_warned_of(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    page = "https://www.example.org"
    client = make_app(**SECURE, website_domain=page).test_client()
    sent = {**BY_COOKIE, **CROSS_SITE, "Origin": page}
    assert client.post("/login", base_url="https://api.example.com", headers=sent).status_code == 200
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("host", "is_covered"),
    [
        ("api.example.com", True),
        ("example.com", True),
        ("example.com:8443", True),
        ("api.example.net", False),
        ("notexample.com", False),
        ("10.0.0.7", False),
    ],
)
def test_a_cookie_domain_that_does_not_cover_the_host_is_warned_of(
    make_app: AppFactory, host: str, is_covered: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(**SECURE, cookie_domain=".example.com").test_client()
    for _ in range(2):
        client.post("/login", base_url=f"https://{host}", headers=BY_COOKIE)
    expected = (
        f"STSESSION_COOKIE_DOMAIN = '.example.com' is neither {host!r}, to which cookies are being sent, nor "
        "a parent of it: browsers drop them. Set it to the domain of the host that browsers request. If a "
        "proxy replaces that host, make it send X-Forwarded-Host, and use "
        "werkzeug.middleware.proxy_fix.ProxyFix."
    )
    assert warnings(caplog) == ([] if is_covered else [expected])


def test_the_host_reported_by_a_proxy_is_checked(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(**SECURE, cookie_domain=".example.com").test_client()
    forwarded = {**BY_COOKIE, "X-Forwarded-Host": "api.example.com, web", "X-Forwarded-Proto": "https"}
    client.post("/login", base_url="http://web:8000", headers=forwarded)
    assert not warnings(caplog)


def new_key_every(hours: float) -> dict[str, Any]:
    return {"embedded_core": {"access_token_dynamic_signing_key_update_interval": hours}}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 60),
        ({"jwks_refresh_seconds": 3600}, 60),
        pytest.param(new_key_every(0.001), 1, marks=pytest.mark.embedded_core),
        pytest.param(new_key_every(1), 60, marks=pytest.mark.embedded_core),
    ],
)
def test_caches_keep_the_key_set_no_longer_than_a_new_key_is_unused(
    make_app: AppFactory, settings: dict[str, Any], expected: int
) -> None:
    answer = make_app(**settings).test_client().get("/auth/jwt/jwks.json")
    assert answer.headers["Cache-Control"] == f"max-age={expected}, must-revalidate"
