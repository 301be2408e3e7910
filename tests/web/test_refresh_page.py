"""The refresh page: the app's template in its place, the nonce, and the package in a zip file."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from jinja2 import DictLoader
from support.app_factory import AppFactory
from support.served_core import ServedCore

import flask_stsession
from flask_stsession.web.refresh_page import leaving_page, script, script_version

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
PACKAGE = Path(flask_stsession.__file__).parent


@pytest.fixture
def app(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app on a core whose access tokens have expired when they arrive."""
    served_core.makes_expired_tokens = True
    return make_app(connection_uri=served_core.url, login_url="/sign-in")


def refresh_page(app: Flask, url: str = "/user?a=1") -> str:
    client = app.test_client()
    client.post("/login", json={}, headers={"st-auth-mode": "cookie"})
    response = client.get(url, headers=NAVIGATES)
    assert (response.status_code, response.mimetype) == (401, "text/html")
    assert response.headers["Cache-Control"] == "no-store"
    return response.text


def test_a_template_of_the_app_replaces_the_page(app: Flask) -> None:
    app.jinja_env.loader = DictLoader(
        {
            "base.html": (
                "<title>Styled</title>{% block head %}{% endblock %}{% if current_session %}!{% endif %}"
            ),
            "stsession/refresh.html": (
                '{% extends "base.html" %}{% block head %}{{ stsession_head }}'
                '<a href="{{ continue_url }}">{{ login_url }}|{{ csp_nonce }}</a>{% endblock %}'
            ),
        }
    )
    page = refresh_page(app)
    assert page.startswith("<title>Styled</title><noscript><meta http-equiv=")
    assert re.search(r'<script src="/auth/session/refresh\.js\?v=[0-9a-f]{16}" data-continue="', page)
    assert page.endswith(
        '<a href="/auth/session/refresh/continue?next=%2Fuser%3Fa%3D1">/sign-in?next=%2Fuser%3Fa%3D1|None</a>'
    )


def test_an_error_in_the_template_of_the_app_is_not_hidden(app: Flask) -> None:
    templates = {"stsession/refresh.html": '{% extends "missing.html" %}'}
    app.jinja_env.loader = DictLoader(templates)
    client = app.test_client()
    client.post("/login", json={}, headers={"st-auth-mode": "cookie"})
    assert client.get("/user", headers=NAVIGATES).status_code == 500


def test_our_page_does_not_depend_on_the_delimiters_of_the_apps_templates(app: Flask) -> None:
    app.jinja_options = {"variable_start_string": "[[", "variable_end_string": "]]"}
    assert '<a href="/auth/session/refresh/continue?next=%2Fuser">' in refresh_page(app, "/user")


@pytest.mark.parametrize("is_async", [False, True])
def test_the_script_has_the_nonce_of_its_request(app: Flask, is_async: bool) -> None:
    @app.before_request
    def set_nonce() -> None:
        g.nonce = 'of "this" request'

    async def nonce_later() -> Any:
        return g.nonce

    app.extensions["stsession"].csp_nonce(nonce_later if is_async else lambda: g.nonce)
    assert ' nonce="of &#34;this&#34; request" defer></script>' in refresh_page(app)


def test_without_a_nonce_there_is_no_attribute(app: Flask) -> None:
    assert "nonce" not in refresh_page(app)
    app.extensions["stsession"].csp_nonce(lambda: None)
    assert "nonce" not in refresh_page(app)


def test_the_leaving_page_redirects_turbo_and_unpoly(app: Flask) -> None:
    response = leaving_page(status=401, url='/sign-in?next=%2F&a="b"')
    assert (response.status_code, response.headers["X-Up-Target"]) == (401, "body")
    assert '<meta name="turbo-visit-control" content="reload">' in response.get_data(as_text=True)
    escaped = "/sign-in?next=%2F&amp;a=&#34;b&#34;"
    assert f'<meta http-equiv="refresh" content="0; url={escaped}">' in response.get_data(as_text=True)


def test_the_version_changes_with_the_script() -> None:
    assert script() == (PACKAGE / "web" / "static" / "refresh.js").read_bytes()
    assert re.fullmatch("[0-9a-f]{16}", script_version())


IN_A_ZIP = """
import sys
import flask_stsession
from flask import Flask

assert flask_stsession.__file__.startswith(sys.argv[1]), flask_stsession.__file__
app = Flask("app")
app.config.update(STSESSION_CONNECTION_URI="embedded::memory:", STSESSION_LOGIN_URL="/sign-in")
flask_stsession.STSession(app)
app.add_url_rule("/login", "login", lambda: flask_stsession.create_new_session("alice").get_handle())
app.add_url_rule("/page", "page", flask_stsession.verify_session()(lambda: "the page"))
client = app.test_client()
navigates = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
client.get("/login", headers=navigates)
assert client.get("/page", headers=navigates).text == "the page"
print(client.get("/auth/session/refresh.js").text[:2], end="")
"""


@pytest.mark.slow
def test_the_package_works_from_a_zip_file(tmp_path: Path) -> None:
    archive = tmp_path / "packages.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in PACKAGE.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                packed.write(file, file.relative_to(PACKAGE.parent))
    command = [sys.executable, "-c", IN_A_ZIP, str(archive)]
    run = subprocess.run(
        command,
        check=False,
        env={"PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (0, "/*"), run.stderr
