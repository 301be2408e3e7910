"""An app with pages under test: its test client is taken for a browser, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, redirect
from flask.testing import FlaskClient
from support.app_factory import AppFactory

from flask_stsession import create_new_session, current_session, verify_session
from flask_stsession.testing import expire, login

pytestmark = pytest.mark.embedded_core

URL = "https://shop.example.com"


@pytest.fixture(params=[None, URL], ids=["development", "configured"])
def app(make_app: AppFactory, request: pytest.FixtureRequest) -> Flask:
    app = make_app(login_url="/sign-in", api_domain=request.param)
    app.testing = True

    @app.route("/sign-in", methods=["GET", "POST"])
    def sign_in() -> Any:
        if current_session:
            return redirect("/account")
        create_new_session("alice")
        return redirect("/account")

    @app.route("/account", methods=["GET", "POST"])
    @verify_session()
    def account() -> str:
        return "the account"

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_a_page_without_a_session_redirects_to_the_login(client: FlaskClient) -> None:
    response = client.get("/account")
    assert (response.status_code, response.location) == (302, "/sign-in?next=%2Faccount")
    response = client.post("/account", data={"name": "Alice"})
    assert (response.status_code, response.location) == (303, "/sign-in?next=%2Faccount")


def test_a_login_form_and_a_form_behind_it_pass(client: FlaskClient) -> None:
    assert client.post("/sign-in", data={"user": "alice"}).location == "/account"
    assert client.get("/account").text == "the account"
    assert client.post("/account", data={"name": "Alice"}).text == "the account"
    assert client.post("/auth/signout").location == "/sign-in"
    assert client.get("/account").status_code == 302


def test_the_client_can_follow_the_redirects(client: FlaskClient) -> None:
    response = client.get("/account", follow_redirects=True)
    assert (response.status_code, response.text, response.request.path) == (200, "the account", "/account")


def test_a_form_with_an_expired_token_is_carried_through_the_refresh(client: FlaskClient) -> None:
    login(client, "alice")
    expire(client)
    response = client.post("/account", data={"name": "Alice"}, follow_redirects=True)
    assert (response.status_code, response.text) == (200, "the account")


def test_the_session_can_be_refreshed(client: FlaskClient) -> None:
    login(client, "alice")
    expire(client)
    assert client.post("/auth/session/refresh").get_json() == {}
    assert client.get("/account").text == "the account"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"},
    ],
)
def test_a_forged_form_is_refused_in_a_test_as_well(client: FlaskClient, headers: dict[str, str]) -> None:
    login(client, "alice")
    response = client.post("/account", data={"name": "Eve"}, headers=headers)
    assert (response.status_code, response.text) != (200, "the account")
    assert response.status_code in (303, 401)
    assert client.get("/account").text == "the account"


@pytest.mark.parametrize(
    "options",
    [
        {"json": {}},
        {"headers": {"Sec-Fetch-Mode": "cors"}},
        {"headers": {"X-Requested-With": "XMLHttpRequest"}},
        {"headers": {"Accept": "application/json"}},
        {"headers": {"Authorization": "Bearer of-a-script"}},
    ],
)
def test_a_request_of_a_script_gets_json(client: FlaskClient, options: dict[str, Any]) -> None:
    response = client.post("/account", **options)
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})


def test_outside_of_a_test_requests_without_fetch_metadata_are_refused(
    app: Flask, client: FlaskClient
) -> None:
    login(client, "alice")
    app.testing = False
    assert client.get("/account").text == "the account"
    response = client.post("/account", data={"name": "Eve"})
    assert (response.status_code, response.get_json()) == (401, {"message": "try refresh token"})
    assert client.post("/account", data={}, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    response = app.test_client().get("/account")
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})


@pytest.mark.parametrize(("testing", "has_cookie"), [(True, True), (False, False)])
def test_a_login_form_gives_a_test_client_cookies_without_a_login_page(
    make_app: AppFactory, testing: bool, has_cookie: bool
) -> None:
    app = make_app()
    app.testing = testing
    client = app.test_client()
    assert client.post("/login", data={"user": "alice"}).status_code == 200
    assert client.get("/user").status_code == (200 if has_cookie else 401)


def test_a_login_by_json_follows_the_interface_in_a_test_as_well(make_app: AppFactory) -> None:
    app = make_app()
    app.testing = True
    assert "st-access-token" in app.test_client().post("/login", json={}).headers


@pytest.mark.parametrize(("testing", "has_cookie"), [(True, True), (False, False)])
def test_the_callback_of_another_provider_gives_a_test_client_cookies(
    make_app: AppFactory, testing: bool, has_cookie: bool
) -> None:
    app = make_app()
    app.testing = testing

    @app.get("/callback")
    def callback() -> Any:
        create_new_session("alice")
        return redirect("/user")

    client = app.test_client()
    client.get("/callback?code=1")
    assert client.get("/user").status_code == (200 if has_cookie else 401)
