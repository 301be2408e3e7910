"""The how-to about impersonation (impersonation.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/impersonation.md")


def test_a_supporter_becomes_a_user_visibly_and_for_less(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "sue", roles=["support"])
    assert client.post("/impersonate/alice").status_code == 200
    assert client.get("/account").json == {"user": "alice", "impersonatedBy": "sue"}
    assert client.post("/password").status_code == 403
    client.post("/auth/session/refresh")
    assert client.get("/account").json == {"user": "alice", "impersonatedBy": "sue"}
    assert client.post("/impersonation/end").status_code == 200
    assert client.get("/account").json == {"user": "sue", "impersonatedBy": None}
    assert client.post("/password").status_code == 200
    steps = [entry for entry in namespace["audit"] if entry[1] in ("became", "left")]
    assert steps == [("sue", "became", "alice"), ("sue", "left", "alice")]
    assert ("sue", "GET", "/account") in namespace["audit"]


def test_others_cannot(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "mallory")
    assert client.post("/impersonate/alice").status_code == 403
    assert client.post("/impersonation/end").status_code == 409
    assert namespace["audit"] == []
