"""The how-to about several APIs behind one session (several-apis.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from support.documentation import Block, Namespace, page
from support.socket_server import serving

pytestmark = pytest.mark.embedded_core

PAGE = page("howto/several-apis.md")


@pytest.fixture
def namespace(core_file: Path) -> Iterator[Namespace]:
    """What the page defines, with the core of this test."""
    blocks = [
        Block(
            each.language,
            each.caption,
            each.code.replace("/var/lib/example/core.db", str(core_file)),
            each.line,
        )
        for each in PAGE.blocks()
    ]
    with PAGE.running(*blocks) as made:
        made["accounts"], made["orders"] = made["create_accounts"](), made["create_orders"]()
        yield made
        for app in (made["accounts"], made["orders"]):
            app.extensions["stsession"].close()


def test_an_app_on_the_same_core_accepts_the_session(namespace: Namespace) -> None:
    signed_in = namespace["accounts"].test_client().post("/login", json={"userId": "alice"})
    bearer = {"Authorization": f"Bearer {signed_in.headers['st-access-token']}"}
    orders = namespace["orders"].test_client()
    assert orders.get("/orders", headers=bearer).json == {"orders_of": "alice"}
    assert orders.get("/orders").status_code == 401
    assert orders.post("/auth/session/refresh", headers=bearer).status_code == 404


def test_a_service_with_the_keys_alone_accepts_the_session_and_nothing_else(namespace: Namespace) -> None:
    accounts = namespace["accounts"]
    with serving(accounts) as origin:
        signed_in = accounts.test_client().post("/login", base_url=origin, json={"userId": "alice"})
        invoices = namespace["Invoices"](f"{origin}/auth/jwt/jwks.json", f"{origin}/auth")
        token = signed_in.headers["st-access-token"]
        assert invoices.user_of(token) == "alice"
        with accounts.test_request_context(base_url=origin):
            other = accounts.extensions["stsession"].create_jwt({"sub": "alice", "aud": "invoices"}, 60)
        with pytest.raises(PermissionError):
            invoices.user_of(other)
        with pytest.raises(jwt.InvalidSignatureError):
            invoices.user_of(f"{token[:-4]}AAAA")
        elsewhere = namespace["Invoices"](f"{origin}/auth/jwt/jwks.json", "https://other.example/auth")
        with pytest.raises(jwt.InvalidIssuerError):
            elsewhere.user_of(token)


def test_partners_call_the_api_with_tokens_of_the_oauth2_provider(namespace: Namespace) -> None:
    accounts = namespace["accounts"]
    namespace["add_partner_api"](accounts)
    partner = {"stt": 1, "sub": "alice", "client_id": "partner", "scp": ["orders:read"]}
    client = accounts.test_client()
    for changed, status in (({}, 200), ({"client_id": "other"}, 401), ({"scp": []}, 403), ({"stt": 0}, 401)):
        with accounts.test_request_context():
            token = accounts.extensions["stsession"].create_jwt({**partner, **changed}, 60)
        answer = client.get("/partner/orders", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status
    assert client.get("/partner/orders").status_code == 401
