"""The page for those who come from Flask-Login: both of its apps do the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.documentation import Namespace, page

from flask_stsession.signals import session_revoked

pytestmark = pytest.mark.embedded_core  # the page configures no core

PAGE = page("coming-from/flask-login.md")
BEFORE, AFTER = PAGE.blocks()


@pytest.fixture(params=[BEFORE, AFTER], ids=["before", "after"])
def either(request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    """A browser, on the app before it is ported and after."""
    with PAGE.running(request.param) as namespace:
        yield namespace["app"].test_client()


@pytest.fixture
def ported() -> Iterator[Namespace]:
    """What the app after porting defines."""
    with PAGE.running(AFTER) as namespace:
        yield namespace


def test_a_person_is_sent_to_the_login_and_back_and_signs_out(either: FlaskClient) -> None:
    assert either.get("/about").text == "nobody"
    assert either.get("/").headers["Location"] == "/login?next=%2F"
    assert either.post("/login?next=%2F", data={"id": "1"}).headers["Location"] == "/"
    assert either.get("/").text == "Hello alice"
    assert either.get("/about").text == "alice"
    assert either.get("/password").text == "Choose a new password"
    assert either.post("/logout").headers["Location"] == "/login"
    assert either.get("/").status_code == 302
    assert either.get("/about").text == "nobody"


def test_whether_a_session_outlives_the_browser_is_chosen_by_the_form(ported: Namespace) -> None:
    app: Flask = ported["app"]
    for form, lasts in (({"id": "1"}, False), ({"id": "1", "remember": "on"}, True)):
        signed_in = app.test_client().post("/login", data=form)
        cookies = signed_in.headers.getlist("Set-Cookie")
        assert cookies
        assert ["Expires=" in cookie for cookie in cookies] == [lasts] * len(cookies)


def test_a_next_of_another_site_is_not_followed(ported: Namespace) -> None:
    client = ported["app"].test_client()
    away = client.post("/login?next=https://evil.example/", data={"id": "1"})
    assert away.headers["Location"] == "/"


def test_the_session_of_a_user_who_is_gone_is_ended(ported: Namespace) -> None:
    app: Flask = ported["app"]
    client = app.test_client()
    client.post("/login", data={"id": "1"})
    ended: list[str] = []
    with session_revoked.connected_to(lambda _, session_handles, **__: ended.extend(session_handles), app):
        del ported["USERS"]["1"]
        assert client.get("/").status_code == 302
    assert len(ended) == 1
