"""The how-to about sessions that outlive the browser (remember-me.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture
from werkzeug.test import TestResponse

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/remember-me.md")


def last(response: TestResponse) -> set[bool]:
    """Return whether the cookies that a response sets outlive the browser."""
    return {"Expires=" in cookie for cookie in response.headers.getlist("Set-Cookie")}


@pytest.mark.parametrize("form", [{"name": "alice", "remember": "on"}, {"name": "alice"}])
def test_the_form_decides_whether_cookies_outlive_the_browser(
    namespace: Namespace, form: dict[str, str]
) -> None:
    remembers = "remember" in form
    client = namespace["app"].test_client()
    assert last(client.post("/login", data=form)) == {remembers}
    assert client.get("/").text == f"alice, remembered: {remembers}"
    assert last(client.post("/auth/session/refresh")) == {remembers}
    assert client.get("/").text == f"alice, remembered: {remembers}"


def test_a_session_lasts_30_days(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    client.post("/login", data={"name": "alice"})
    with namespace["app"].app_context():
        (session,) = namespace["stsession"].list_sessions("alice")
    assert session.expiry - session.time_created == 30 * 24 * 3600 * 1000
