"""The page about server-rendered pages: its app redirects to the login page and back."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page, page_fixture

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


def test_the_template_of_the_refresh_page_has_all_that_its_script_looks_for() -> None:
    (template,) = page("server-rendered-pages.md").blocks("html")
    for part in ("{{ stsession_head }}", 'id="message"', 'id="retry"', 'id="back"', 'id="carry"'):
        assert part in template.code
