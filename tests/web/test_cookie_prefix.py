"""``STSESSION_COOKIE_PREFIX``: two apps on one host name."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support.answers import cookies_of
from support.app_factory import AppFactory, NewCore
from support.cookie_jar import Browser

from flask_stsession import openapi_security_schemes

BY_COOKIE = {"st-auth-mode": "cookie"}
REFRESH_PATH = "/auth/session/refresh"


def app_on(core: dict[str, Any], name: str, **settings: Any) -> Flask:
    return AppFactory(core)(name=name, **settings)


def test_both_names_have_the_prefix_wherever_they_are_read_written_or_cleared(make_app: AppFactory) -> None:
    app = make_app(cookie_prefix="shop_")
    client = app.test_client()
    both = {"shop_sAccessToken", "shop_sRefreshToken"}
    assert set(cookies_of(client.post("/login", headers=BY_COOKIE))) == both
    assert client.get("/user").status_code == 200
    assert set(cookies_of(client.post(REFRESH_PATH))) == both
    assert client.get("/user").status_code == 200
    signed_out = client.post("/auth/signout")
    assert cookies_of(signed_out) == dict.fromkeys(both, "")
    assert client.get("/user").status_code == 401


def test_the_openapi_scheme_has_the_prefix(make_app: AppFactory) -> None:
    app = make_app(cookie_prefix="shop_")
    with app.app_context():
        assert openapi_security_schemes()["stsessionCookie"]["name"] == "shop_sAccessToken"
    assert app.extensions["stsession"].openapi_security_schemes() == {
        "stsessionBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "stsessionCookie": {"type": "apiKey", "in": "cookie", "name": "shop_sAccessToken"},
    }
    assert openapi_security_schemes()["stsessionCookie"]["name"] == "sAccessToken"


@pytest.mark.parametrize("prefixes", [("", "two_"), ("one_", "two_")])
def test_the_prefix_separates_two_apps_on_one_host_name(new_core: NewCore, prefixes: tuple[str, str]) -> None:
    with new_core() as first, new_core() as second:
        one = app_on(first, "one", cookie_prefix=prefixes[0], token_transfer_method="cookie")
        two = app_on(second, "two", cookie_prefix=prefixes[1], token_transfer_method="cookie")
        clients = [app.test_client(use_cookies=False) for app in (one, two)]
        browser = Browser(clients[0], "http://localhost")  # browsers tell no ports apart
        for client, user in zip(clients, ("alice", "bob"), strict=True):
            browser.client = client
            assert browser.send("POST", "/login", json={"userId": user}).status_code == 200
        for client, user in zip(clients * 2, ("alice", "bob") * 2, strict=True):
            browser.client = client
            assert browser.send("POST", REFRESH_PATH).status_code == 200
            assert browser.send("GET", "/user").get_json()["userId"] == user
        browser.client = clients[0]
        assert browser.send("POST", "/auth/signout").status_code == 200
        browser.client = clients[1]
        assert browser.send("GET", "/user").status_code == 200
        close(one, two)


def test_without_a_prefix_the_log_explains_the_conflict(
    new_core: NewCore, caplog: pytest.LogCaptureFixture
) -> None:
    with new_core() as first, new_core() as second:
        one = app_on(first, "one", token_transfer_method="cookie")
        two = app_on(second, "two", token_transfer_method="cookie")
        browser = Browser(one.test_client(use_cookies=False), "http://localhost:5000")
        assert browser.send("POST", "/login").status_code == 200
        browser.client, browser.origin = two.test_client(use_cookies=False), "http://localhost:5001"
        browser.jar = {
            (name, "localhost:5001", path): value for (name, _, path), value in browser.jar.items()
        }
        browser.host = "localhost:5001"
        assert browser.send("POST", REFRESH_PATH).status_code == 401
        close(one, two)
    [logged] = [record.getMessage() for record in caplog.records if "PREFIX" in record.getMessage()]
    assert logged == (
        "A refresh token that belongs to no session here came with an access token of the issuer "
        "'http://localhost:5000/auth'; ours is 'http://localhost:5001/auth'. If that is another app on this "
        "host name, its cookies and ours replace each other: give each of the two its own "
        "STSESSION_COOKIE_PREFIX."
    )


def test_an_ended_session_is_not_logged_as_that_of_another_app(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    with app.app_context():
        app.extensions["stsession"].revoke_all_sessions_for_user("alice")
    assert client.post(REFRESH_PATH).status_code == 401
    assert "PREFIX" not in caplog.text


def close(*apps: Flask) -> None:
    for app in apps:
        app.extensions["stsession"].close()
