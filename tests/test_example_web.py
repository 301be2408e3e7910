"""The example of a single-page app: its API, and what its page relies on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.example_modules import BAD_FIELDS, BAD_LOGINS, EXAMPLES, import_example

SOURCES = EXAMPLES / "web" / "src"
WEBSITE, API = "http://www.harbour.localhost:5000", "http://api.harbour.localhost:5000"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the example, imported afresh."""
    return import_example("web/app", monkeypatch)


@pytest.fixture
def app(example: ModuleType, core_config: dict[str, Any]) -> Iterator[Flask]:
    """Return the example's app, with a database of this test's own."""
    app: Flask = example.create_app({**core_config, "STSESSION_EMBEDDED_CORE": {}})
    yield app
    app.extensions["stsession"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a browser that is signed in."""
    client = app.test_client()
    signed_in = client.post(
        "/api/login", json={"userId": " alice ", "password": "demo"}, headers={"st-auth-mode": "cookie"}
    )
    assert signed_in.json == {"status": "OK"}
    return client


def test_a_role_opens_what_it_guards(client: FlaskClient) -> None:
    assert client.post("/api/reports/publish").status_code == 403
    assert client.post("/api/role", json={"admin": True}).json == {"roles": ["admin"]}
    assert client.post("/api/reports/publish").status_code == 200
    assert client.post("/api/role", json={"admin": False}).json == {"roles": []}
    assert client.post("/api/reports/publish").status_code == 403


def test_a_second_factor_opens_the_vault(client: FlaskClient) -> None:
    assert client.get("/api/vault").status_code == 403
    assert client.post("/api/second-factor", json={"code": "1"}).json == {"message": "wrong code"}
    assert client.post("/api/second-factor", json={"code": "123456"}).status_code == 200
    assert client.get("/api/vault").status_code == 200


def test_signing_out_everywhere_ends_all_sessions_of_the_user(client: FlaskClient) -> None:
    assert client.post("/api/sign-out-everywhere").json == {"ended": 1}
    assert client.get("/api/me").status_code == 401


def test_a_wrong_password_creates_no_session(app: Flask) -> None:
    answer = app.test_client().post("/api/login", json={"userId": "alice", "password": "guess"})
    assert (answer.status_code, answer.json) == (401, {"message": "wrong password"})
    assert "front-token" not in answer.headers


@pytest.mark.parametrize(("body", "missing"), BAD_LOGINS)
def test_a_login_without_a_name_or_a_password_is_a_bad_request(app: Flask, body: Any, missing: str) -> None:
    answer = app.test_client().post("/api/login", json=body)
    assert (answer.status_code, answer.json) == (400, {"message": f"{missing} is missing"})


@pytest.mark.parametrize(("path", "body", "message"), BAD_FIELDS)
def test_a_request_without_its_field_is_a_bad_request(
    client: FlaskClient, path: str, body: Any, message: str
) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json) == (400, {"message": message})


def test_a_page_on_another_origin_may_call_the_api(example: ModuleType, core_config: dict[str, Any]) -> None:
    app: Flask = example.create_app({**core_config, "STSESSION_EMBEDDED_CORE": {}}, website=WEBSITE, api=API)
    client = app.test_client()
    asked = {
        "Origin": WEBSITE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "rid,st-auth-mode",
    }
    preflight = client.options("/auth/session/refresh", headers=asked, base_url=API)
    assert preflight.headers["Access-Control-Allow-Origin"] == WEBSITE
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    assert client.get("/settings.json", base_url=WEBSITE).json == {"apiDomain": API}
    with client.get("/") as page:
        assert f"connect-src 'self' {API};" in page.headers["Content-Security-Policy"]
    app.extensions["stsession"].close()


def test_the_page_requests_nothing_from_other_hosts() -> None:
    page = (SOURCES / "index.html").read_text(encoding="utf-8")
    linked = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {each for each in linked if not each.startswith("data:")} == {"", "/style.css", "/app.js"}
    style = (SOURCES / "style.css").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|https?:", style)


def test_every_label_and_reference_of_the_page_finds_its_element() -> None:
    page = (SOURCES / "index.html").read_text(encoding="utf-8")
    script = (SOURCES / "main.js").read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    wanted = re.findall(r' (?:for|aria-labelledby|aria-describedby)="([^"]+)"', page)
    wanted += re.findall(r'(?:byId|on)\("([^"]+)"', script)
    assert set(wanted) <= set(ids)


def test_an_example_that_is_not_built_says_how_to_build_it(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "HERE", tmp_path)
    with pytest.raises(SystemExit):
        example.main([])
    assert (
        f"the page has not been built; in {tmp_path}, run: npm install && npm run build"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        example.main(["--api", API])
    assert "--website and --api go together" in capsys.readouterr().err
