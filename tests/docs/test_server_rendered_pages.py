"""The page about server-rendered pages: its app redirects to the login page and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import FileSystemLoader
from support.documentation import Namespace, page, page_fixture

from flask_stsession.testing import expire, login

pytestmark = pytest.mark.embedded_core  # the page configures no core

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}

namespace = page_fixture("server-rendered-pages.md")


def test_pages_redirect_to_the_login_page_and_back(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    to_login = client.get("/account?tab=2", headers=NAVIGATES)
    assert (to_login.status_code, to_login.headers["Location"]) == (302, "/login?next=%2Faccount%3Ftab%3D2")
    back = client.post(to_login.headers["Location"], data={"name": "alice"}, headers=NAVIGATES)
    assert (back.status_code, back.headers["Location"]) == (303, "/account?tab=2")
    assert client.get("/account", headers=NAVIGATES).text == "<h1>alice</h1>"
    assert client.post("/auth/signout", headers=NAVIGATES).headers["Location"] == "/login"
    api_call = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/account", headers=api_call).json == {"message": "unauthorised"}


def test_the_template_is_the_page_that_refreshes(namespace: Namespace, tmp_path: Path) -> None:
    (template,) = page("server-rendered-pages.md").blocks("html")
    (tmp_path / "stsession").mkdir()
    (tmp_path / "stsession" / "refresh.html").write_text(template.code, encoding="utf-8")
    app = namespace["app"]
    app.jinja_loader = FileSystemLoader(tmp_path)
    client = app.test_client()
    login(client, "alice")
    expire(client)
    shown = client.get("/account", headers=NAVIGATES)
    assert shown.mimetype == "text/html"
    assert "Die Sitzung wird erneuert." in shown.text
    assert '<script src="/auth/session/refresh.js' in shown.text
    assert 'href="/auth/session/refresh/continue?next=%2Faccount' in shown.text
    for part in ("message", "retry", "back", "carry"):
        assert f'id="{part}"' in shown.text
