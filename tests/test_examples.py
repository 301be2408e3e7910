"""The quickstart: what its page relies on, and that it runs as the README says."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from support.example_modules import import_example
from support.quickstart_server import running_quickstart
from werkzeug.test import TestResponse

AS_A_FRONTEND = {"st-auth-mode": "cookie", "rid": "anti-csrf"}


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, imported afresh."""
    return import_example("quickstart", monkeypatch)


@pytest.fixture
def app(quickstart: ModuleType, core_config: dict[str, Any]) -> Iterator[Flask]:
    """The example's app, with a database of this test's own."""
    app: Flask = quickstart.create_app(core_config)
    yield app
    app.extensions["stsession"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser."""
    return app.test_client()


def sign_in(client: FlaskClient, user_id: str = "alice") -> TestResponse:
    return client.post("/api/login", json={"userId": user_id}, headers=AS_A_FRONTEND)


def wire(response: TestResponse) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads(response.headers["X-Wire"])
    return noted


def test_the_page_requests_nothing_from_other_hosts(client: FlaskClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    linked = re.findall(r"""(?:src|href)=["']([^"']*)""", page.text)
    assert {each.partition("#")[0] for each in linked if not each.startswith("data:")} == {
        "/style.css",
        "/app.js",
        "/code",
    }
    assert "<script>" not in page.text
    assert "style=" not in page.text
    for path in ("/style.css", "/app.js"):
        assert client.get(path).status_code == 200
        assert not re.search(r"url\(|@import|https?:", client.get(path).text)


def test_the_page_works_under_a_strict_content_security_policy(client: FlaskClient) -> None:
    assert client.get("/").headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def test_every_label_and_reference_of_the_page_finds_its_element(client: FlaskClient) -> None:
    page, script = client.get("/").text, client.get("/app.js").text
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    wanted = re.findall(r' (?:for|aria-labelledby|aria-describedby)="([^"]+)"', page)
    wanted += re.findall(r'(?:byId|on)\("([^"]+)"', script)
    assert set(wanted) <= set(ids)


def test_the_code_of_the_views_is_shown_with_a_mark_for_each_link(client: FlaskClient) -> None:
    code = client.get("/code")
    assert code.headers["Content-Security-Policy"] == client.get("/").headers["Content-Security-Policy"]
    linked = set(re.findall(r'href="/code#(\w+)"', client.get("/").text))
    assert linked == {"login", "me", "admin", "role", "routes"}
    assert linked <= set(re.findall(r'<span id="(\w+)">', code.text))
    assert "@verify_session(roles=&#34;admin&#34;, max_age_in_sec=0)" in code.text


def test_nobody_is_signed_in_at_first(client: FlaskClient) -> None:
    answer = client.get("/api/me")
    assert (answer.status_code, answer.json) == (401, {"message": "unauthorised"})
    assert wire(answer) == {"sent": [], "set": [], "cleared": []}


def test_signing_in_opens_the_protected_api(client: FlaskClient) -> None:
    assert sign_in(client, " alice ").json == {"status": "OK"}
    answer = client.get("/api/me").json
    assert answer is not None
    assert answer["userId"] == "alice"
    assert answer["accessTokenPayload"]["sessionHandle"] == answer["sessionHandle"]


@pytest.mark.embedded_core
def test_an_access_token_of_the_example_lives_30_seconds(client: FlaskClient) -> None:
    front = json.loads(base64.b64decode(sign_in(client).headers["front-token"]))
    assert front["ate"] == front["up"]["exp"] * 1000
    assert front["up"]["exp"] - front["up"]["iat"] == 30


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userId": ""},
        {"userId": " "},
        {"userId": 7},
        {"userId": "a" * 5000},
        {"userId": "a\0"},
        [],
        "alice",
        None,
    ],
)
def test_signing_in_without_a_name_is_a_bad_request(client: FlaskClient, body: Any) -> None:
    answer = client.post("/api/login", json=body)
    assert (answer.status_code, answer.json) == (
        400,
        {"message": "userId must be a name of up to 60 characters"},
    )


def test_a_refresh_replaces_both_tokens(client: FlaskClient) -> None:
    sign_in(client)
    before = (
        client.get_cookie("sAccessToken"),
        client.get_cookie("sRefreshToken", path="/auth/session/refresh"),
    )
    answer = client.post("/auth/session/refresh", headers={"rid": "anti-csrf"})
    assert answer.status_code == 200
    assert wire(answer) == {
        "sent": ["cookie sAccessToken", "cookie sRefreshToken", "header rid"],
        "set": ["cookie sAccessToken", "cookie sRefreshToken", "header front-token"],
        "cleared": [],
    }
    after = (
        client.get_cookie("sAccessToken"),
        client.get_cookie("sRefreshToken", path="/auth/session/refresh"),
    )
    assert all(before)
    assert all(after)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_admin_api_follows_the_role_at_once(client: FlaskClient) -> None:
    sign_in(client)
    refused = client.get("/api/admin")
    assert refused.status_code == 403
    assert refused.json == {
        "message": "invalid claim",
        "claimValidationErrors": [
            {
                "id": "st-role",
                "reason": {"message": "wrong value", "expectedToInclude": "admin", "actualValue": []},
            }
        ],
    }
    assert client.post("/api/role", json={"admin": True}).json == {"roles": ["admin"]}
    allowed = client.get("/api/admin")
    assert (allowed.status_code, allowed.json) == (200, {"secret": "Only an admin reads this."})
    assert wire(allowed)["set"] == ["cookie sAccessToken", "header front-token"]
    assert client.post("/api/role", json={"admin": False}).json == {"roles": []}
    assert client.get("/api/admin").status_code == 403


def test_signing_out_ends_the_session(client: FlaskClient) -> None:
    sign_in(client)
    answer = client.post("/auth/signout")
    assert (answer.status_code, answer.json) == (200, {"status": "OK"})
    assert wire(answer)["cleared"] == ["cookie sAccessToken", "cookie sRefreshToken", "header front-token"]
    assert client.get("/api/me").status_code == 401


def test_the_page_is_sent_the_names_of_tokens_and_never_their_values(client: FlaskClient) -> None:
    answer = sign_in(client)
    assert wire(answer) == {
        "sent": ["header rid", "header st-auth-mode"],
        "set": ["cookie sAccessToken", "cookie sRefreshToken", "header front-token"],
        "cleared": [],
    }
    cookie = client.get_cookie("sAccessToken")
    assert cookie is not None
    assert cookie.value not in answer.headers["X-Wire"]


def test_the_environment_may_add_settings(
    quickstart: ModuleType, core_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_STSESSION_ANTI_CSRF", "VIA_TOKEN")
    app = quickstart.create_app(core_config)
    assert sign_in(app.test_client()).headers["anti-csrf"]
    app.extensions["stsession"].close()


@pytest.mark.slow
def test_it_prints_its_address_and_stores_its_data_next_to_itself_when_run_as_a_program(
    tmp_path: Path,
) -> None:
    with running_quickstart(tmp_path) as url, requests.Session() as browser:
        assert "flask-stsession" in browser.get(url).text
        signed_in = browser.post(f"{url}/api/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
        assert signed_in.json() == {"status": "OK"}
        assert browser.get(f"{url}/api/me").json()["userId"] == "alice"
    database = tmp_path / "instance" / "stsession" / "core.db"
    assert database.stat().st_mode & 0o777 == 0o600
    with running_quickstart(tmp_path) as url:
        cookies = dict(browser.cookies)
        assert requests.get(f"{url}/api/me", cookies=cookies, timeout=10).json()["userId"] == "alice"
