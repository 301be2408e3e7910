"""The how-to about verified e-mail addresses (email-verification.md)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from support.documentation import Namespace, page_fixture

from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/email-verification.md")


def test_a_link_opens_the_view_that_needs_a_verified_address(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "1")
    assert client.post("/comments").status_code == 403
    client.post("/send-link")
    ((address, link),) = namespace["outbox"]
    assert address == "alice@example.com"
    assert client.get(link).headers["Location"] == "/welcome"
    assert client.post("/comments").json == {"status": "OK"}
    assert client.get(link).headers["Location"] == "/link-is-too-old"
    client.post("/send-link")
    assert len(namespace["outbox"]) == 1


def test_the_routes_for_frontend_sdks_send_the_link_of_the_app(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "1")
    assert client.post("/auth/user/email/verify/token").json == {"status": "OK"}
    ((address, link),) = namespace["outbox"]
    assert address == "alice@example.com"
    (token,) = parse_qs(urlsplit(link).query)["token"]
    body = {"method": "token", "token": token}
    answer = client.post("/auth/user/email/verify", json=body).json
    assert answer is not None
    assert answer["status"] == "OK"
    assert client.post("/comments").json == {"status": "OK"}
