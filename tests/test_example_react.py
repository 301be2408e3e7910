"""The React example: its API, and what its page relies on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.example_modules import BAD_FIELDS, BAD_LOGINS, EXAMPLES, import_example

SOURCES = EXAMPLES / "react" / "src"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the example, imported afresh."""
    return import_example("react/app", monkeypatch)


@pytest.fixture
def app(example: ModuleType, core_config: dict[str, Any]) -> Iterator[Flask]:
    """Return the example's app, with a database of this test's own."""
    app: Flask = example.create_app(core_config)
    yield app
    app.extensions["stsession"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a browser that is signed in."""
    client = app.test_client()
    client.post(
        "/api/login", json={"userId": "alice", "password": "demo"}, headers={"st-auth-mode": "cookie"}
    )
    return client


def test_a_permission_opens_what_it_guards(client: FlaskClient) -> None:
    assert client.post("/api/publish").status_code == 403
    assert client.post("/api/role", json={"admin": True}).status_code == 200
    assert client.post("/api/publish").status_code == 200
    assert client.post("/api/role", json={"admin": False}).status_code == 200
    assert client.post("/api/publish").status_code == 403


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


def test_a_link_in_the_mailbox_verifies_the_address(client: FlaskClient) -> None:
    assert client.get("/api/outbox").json == {"link": None}
    assert client.post("/auth/user/email/verify/token").json == {"status": "OK"}
    link = client.get("/api/outbox").json
    assert link is not None
    address = urlsplit(link["link"])
    with client.get(address.path) as page:
        assert page.status_code == 200
    token = parse_qs(address.query)["token"][0]
    used = client.post("/auth/user/email/verify", json={"method": "token", "token": token})
    assert used.json == {"status": "OK"}
    assert client.get("/auth/user/email/verify").json == {"status": "OK", "isVerified": True}


def test_every_page_of_the_script_is_served(client: FlaskClient) -> None:
    script = (SOURCES / "main.jsx").read_text(encoding="utf-8")
    paths = re.findall(r'path="([^"]+)"', script)
    assert len(paths) == 8
    for path in paths:
        with client.get(path) as page:
            assert (page.status_code, page.mimetype) == (200, "text/html")


def test_an_example_that_is_not_built_says_how_to_build_it(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "HERE", tmp_path)
    with pytest.raises(SystemExit):
        example.main([])
    assert f"in {tmp_path}, run: npm install && npm run build" in capsys.readouterr().err
