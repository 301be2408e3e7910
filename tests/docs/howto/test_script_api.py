"""The how-to about an API for scripts beside pages (script-api.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask
from support.documentation import Namespace, page_fixture
from support.socket_server import serving

from flask_stsession.web.context import app_state_of

pytestmark = pytest.mark.embedded_core  # the page configures no core

NAVIGATES = {"Accept": "text/html"}

namespace = page_fixture("howto/script-api.md")


@pytest.fixture
def app(namespace: Namespace) -> Flask:
    app: Flask = namespace["app"]
    return app


@pytest.fixture
def api(namespace: Namespace, app: Flask) -> Iterator[Any]:
    """The script's client, signed in to the app, which is being served."""
    with serving(app) as url:
        yield namespace["Api"](url, "alice", "correct horse")


def test_a_script_signs_in_and_reads_by_header(api: Any) -> None:
    assert api.call("GET", "/api/notes") == {"notes": [], "of": "alice"}
    assert not api.http.cookies


def test_a_script_refreshes_an_expired_token_and_repeats_the_call(api: Any, app: Flask) -> None:
    core, before = app_state_of(app).core, api.refresh_token
    assert core is not None
    api.access_token = core.expired(api.access_token)
    assert api.call("GET", "/api/notes") == {"notes": [], "of": "alice"}
    assert api.refresh_token != before


def test_a_script_with_a_wrong_password_gets_a_403(namespace: Namespace, app: Flask) -> None:
    with serving(app) as url, pytest.raises(requests.HTTPError, match="403"):
        namespace["Api"](url, "alice", "wrong")


def test_a_browser_is_sent_to_the_login_page_and_a_script_gets_json(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/api/notes", headers=NAVIGATES).headers["Location"] == "/login?next=%2Fapi%2Fnotes"
    refused = client.get("/api/notes", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json) == (401, {"message": "unauthorised"})


def test_without_st_auth_mode_a_script_gets_cookies(app: Flask) -> None:
    signed_in = app.test_client().post("/api/login", json={"name": "alice", "password": "correct horse"})
    assert "st-access-token" not in signed_in.headers
    assert signed_in.headers.getlist("Set-Cookie")
