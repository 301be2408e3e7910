"""The page about guards: its views do what their comments say."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

from flask_stsession import userroles

AS_A_FRONTEND = {"st-auth-mode": "cookie"}

pytestmark = pytest.mark.embedded_core  # the page configures no core

page = page_fixture("views.md")


def test_views_for_everybody_know_who_is_signed_in(page: Namespace) -> None:
    client = page["app"].test_client()
    assert client.get("/hello").text == "Hello"
    assert client.post("/like").json == {"anonymous": True}
    assert client.post("/leave").json == {"status": "OK"}
    client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
    assert client.get("/hello").text == "Hello alice"
    assert client.post("/like").json == {"anonymous": False}
    client.post("/leave")
    assert client.get("/hello").text == "Hello"


def test_claims_and_permissions_open_the_views_that_ask_for_them(page: Namespace) -> None:
    client = page["app"].test_client()
    client.post("/login", json={"userId": "bob"}, headers=AS_A_FRONTEND)
    assert client.get("/drafts").status_code == 403
    with page["app"].app_context():
        userroles.add_role_to_user("bob", "editor")
    client.post("/login", json={"userId": "bob"}, headers=AS_A_FRONTEND)
    assert client.get("/drafts").json == {"drafts": []}
    assert client.get("/vault").status_code == 403
    client.post("/second-factor")
    assert client.get("/vault").json == {"gold": 7}


def test_the_blueprint_is_guarded_but_for_one_view(page: Namespace) -> None:
    client = page["app"].test_client()
    assert client.get("/admin/help").text == "Ask an admin."
    assert client.get("/admin/users").status_code == 401
    client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
    assert client.get("/admin/users").status_code == 403
    with page["app"].app_context():
        userroles.create_new_role_or_add_permissions("admin", [])
        userroles.add_role_to_user("alice", "admin")
    assert client.get("/admin/users").json == {"users": []}


def test_tokens_are_verified_without_a_request(page: Namespace) -> None:
    signed_in = page["app"].test_client().post("/login", json={"userId": "alice"})
    with page["app"].app_context():
        assert page["on_socket_message"](signed_in.headers["st-access-token"]) == "alice"
