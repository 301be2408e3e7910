"""The first page: its example signs in."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

pytestmark = pytest.mark.embedded_core  # the page configures no core

page = page_fixture("index.md")


def test_the_example_signs_in_and_guards(page: Namespace) -> None:
    client = page["app"].test_client()
    assert client.get("/user").json == {"message": "unauthorised"}
    client.post("/login", json={"userId": "alice"}, headers={"st-auth-mode": "cookie"})
    assert client.get("/user").json == {"userId": "alice"}
