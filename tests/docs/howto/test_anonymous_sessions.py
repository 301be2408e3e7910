"""The how-to about anonymous sessions (anonymous-sessions.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

pytestmark = pytest.mark.embedded_core  # the page configures no core

AS_A_FRONTEND = {"st-auth-mode": "cookie"}

namespace = page_fixture("howto/anonymous-sessions.md")


def test_the_cart_of_a_visitor_becomes_the_users(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    client.post("/cart", json={"item": "tea"}, headers=AS_A_FRONTEND)
    assert client.post("/cart", json={"item": "cups"}).json == {"cart": ["tea", "cups"]}
    (visitor,) = namespace["carts"]
    assert visitor.startswith("anonymous-")
    assert client.post("/order").status_code == 403

    signed_in = client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
    assert signed_in.json == {"cart": ["tea", "cups"]}
    with namespace["app"].app_context():
        assert namespace["stsession"].list_sessions(visitor) == []
    assert client.post("/order").json == {"ordered": ["tea", "cups"]}


def test_another_visitor_has_another_cart(namespace: Namespace) -> None:
    for _ in range(2):
        client = namespace["app"].test_client()
        answer = client.post("/cart", json={"item": "tea"}, headers=AS_A_FRONTEND)
        assert answer.json == {"cart": ["tea"]}
