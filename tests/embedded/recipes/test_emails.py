"""E-mail verification."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore

PATH = "/recipe/user/email/verify"
INVALID_TOKEN = {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        yield client


def token_for(client: Client, email: str, *, tenant: str = "", user_id: str = "u") -> str:
    body = {"userId": user_id, "email": email}
    return str(client.call("POST", f"{tenant}{PATH}/token", body)["token"])


def redeem(client: Client, token: str, *, tenant: str = "") -> object:
    return client.call("POST", tenant + PATH, {"method": "token", "token": token})


def is_verified(client: Client, email: str, *, user_id: str = "u") -> object:
    return client.call("GET", PATH, userId=user_id, email=email)["isVerified"]


@pytest.mark.parametrize("email", ["Alice@Example.com", " alice@example.com ", "alice@example.com"])
def test_a_core_normalises_an_address_when_it_is_verified_and_not_when_it_is_asked_about(
    client: Client, email: str
) -> None:
    answer = redeem(client, token_for(client, email))
    assert answer == {"status": "OK", "userId": "u", "email": "alice@example.com"}
    assert is_verified(client, "alice@example.com") is True
    assert is_verified(client, "Alice@Example.com") is False
    assert is_verified(client, " alice@example.com ") is False
    assert client.call("POST", PATH + "/token", {"userId": "u", "email": email}) == {
        "status": "EMAIL_ALREADY_VERIFIED_ERROR"
    }
    client.call("POST", PATH + "/remove", {"userId": "u", "email": email})
    assert is_verified(client, "alice@example.com") is False


def test_a_user_id_is_never_trimmed(client: Client) -> None:
    redeem(client, token_for(client, "a@b.c", user_id="u "))
    assert is_verified(client, "a@b.c", user_id="u ") is True
    assert is_verified(client, "a@b.c", user_id="u") is False


def test_a_token_expires() -> None:
    clock = Clock()
    lifetime = {"email_verification_token_lifetime": 5000}
    with EmbeddedCore(":memory:", lifetime, clock=clock) as core, client_of(core) as client:
        for waited, status in ((4.9, "OK"), (5.0, "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR")):
            client.call("POST", PATH + "/remove", {"userId": "u", "email": "a@b.c"})
            token = token_for(client, "a@b.c")
            clock.advance(waited)
            assert client.call("POST", PATH, {"method": "token", "token": token})["status"] == status


def test_verifying_an_address_uses_up_the_tokens_of_its_tenant_only(client: Client) -> None:
    client.call("PUT", "/recipe/multitenancy/tenant/v2", {"tenantId": "acme"})
    first, second = token_for(client, "a@b.c"), token_for(client, "a@b.c")
    elsewhere = token_for(client, "a@b.c", tenant="/acme")
    redeem(client, first)
    assert redeem(client, first) == redeem(client, second) == INVALID_TOKEN
    assert redeem(client, elsewhere) == INVALID_TOKEN
    assert redeem(client, elsewhere, tenant="/acme") == {"status": "OK", "userId": "u", "email": "a@b.c"}


def test_tokens_can_be_removed(client: Client) -> None:
    token = token_for(client, "a@b.c")
    client.call("POST", PATH + "/token/remove", {"userId": "u", "email": " A@B.C"})
    assert redeem(client, token) == INVALID_TOKEN


def test_only_the_method_token_is_supported(client: Client) -> None:
    response = client.send("POST", PATH, json={"method": "x", "token": "t"})
    assert (response.status_code, response.text) == (400, "Unsupported method for email verification")
