"""The how-to about pages with htmx (htmx.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core  # the page configures no core

#: What htmx sends.
HTMX = {
    "HX-Request": "true",
    "HX-Current-URL": "http://localhost/?done=1",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}

namespace = page_fixture("howto/htmx.md")


def test_a_part_of_the_page_is_replaced(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "alice")
    assert "<h1>Tasks of alice</h1>" in client.get("/").text
    assert client.post("/tasks", data={"text": "<milk>"}, headers=HTMX).text == "<li>&lt;milk&gt;</li>"


def test_without_a_session_the_whole_page_goes_to_the_login_page_and_back(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    refused = client.post("/tasks", data={"text": "milk"}, headers=HTMX)
    assert refused.headers["HX-Redirect"] == "/login?next=%2F%3Fdone%3D1"
    assert namespace["tasks"] == []
    back = client.post("/login?next=%2F%3Fdone%3D1", data={"name": "alice"})
    assert back.headers["Location"] == "/?done=1"
