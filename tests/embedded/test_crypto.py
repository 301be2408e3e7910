"""Forged and damaged tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest
from support.patterns import decode_jwt
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:", clock=Clock()) as core, client_of(core) as client:
        yield client


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(client: Client) -> None:
    head, body, _ = client.create()["accessToken"]["token"].split(".")
    header = {**decode_jwt(f"{head}.{body}.")["header"], "alg": "HS256"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    public = json.dumps(client.call("GET", "/.well-known/jwks.json")["keys"][0]).encode()
    mac = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert client.verify({"accessToken": {"token": forged}}) == {
        "status": "TRY_REFRESH_TOKEN",
        "message": "The token is not signed with RS256 by a key of this core",
    }


def test_a_token_without_object_parts_is_refused(client: Client) -> None:
    answer = client.verify({"accessToken": {"token": "W10.W10.W10"}})
    assert answer == {"status": "TRY_REFRESH_TOKEN", "message": "The token is not a JWT"}


@pytest.mark.parametrize("foreign", ["!", "=", "\n", " "])
def test_a_token_with_a_foreign_character_is_refused(client: Client, foreign: str) -> None:
    token = client.create()["accessToken"]["token"] + foreign
    answer = client.verify({"accessToken": {"token": token}})
    assert answer == {"status": "TRY_REFRESH_TOKEN", "message": "The token is not a JWT"}


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_refresh_token_with_a_changed_part_is_refused(client: Client, part: int) -> None:
    pair = client.create()
    parts = pair["refreshToken"]["token"].split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    answer = client.refresh({"refreshToken": {"token": ".".join(parts)}})
    assert answer == {"status": "UNAUTHORISED", "message": "The refresh token is not one of this core's"}


def test_a_refresh_token_of_another_core_is_unauthorised(client: Client) -> None:
    with EmbeddedCore(":memory:") as other, client_of(other) as elsewhere:
        foreign = elsewhere.create()
    answer = client.refresh(foreign)
    assert answer == {"status": "UNAUTHORISED", "message": "The refresh token is not one of this core's"}
