"""Access tokens: their life, and JWTs that are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.patterns import decode_jwt
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:", clock=Clock()) as core, client_of(core) as client:
        yield client


def test_an_access_token_lives_up_to_five_percent_shorter_than_configured(client: Client) -> None:
    lives = {
        pair["accessToken"]["expiry"] - pair["accessToken"]["createdTime"]
        for pair in (client.create() for _ in range(30))
    }
    assert min(lives) >= 3_419_000
    assert max(lives) <= 3_600_000
    assert len(lives) > 10


def test_the_token_and_the_response_agree_on_the_expiry(client: Client) -> None:
    pair = client.create()
    payload = decode_jwt(pair["accessToken"]["token"])["payload"]
    assert payload["exp"] * 1000 == pair["accessToken"]["expiry"]
    assert payload["iat"] * 1000 == pair["accessToken"]["createdTime"]


def test_a_jwt_made_for_another_purpose_is_not_an_access_token(client: Client) -> None:
    payload = decode_jwt(client.create()["accessToken"]["token"])["payload"]
    body = {
        "payload": {**payload, "sub": "somebody else"},
        "algorithm": "RS256",
        "jwksDomain": "https://api.example",
        "validity": 60,
        "useStaticSigningKey": False,
    }
    forged = client.call("POST", "/recipe/jwt", body)["jwt"]
    assert client.verify({"accessToken": {"token": forged}}) == {
        "status": "TRY_REFRESH_TOKEN",
        "message": "The token is not a session's access token",
    }
