"""Signing keys: how they rotate, how long they stay published, and which signatures are accepted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from jwt.types import Options
from support.patterns import decode_jwt
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.crypto import new_private_key_pem

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Iterator[Client]:
    settings = {"access_token_dynamic_signing_key_update_interval": 1, "access_token_validity": 600}
    with EmbeddedCore(":memory:", settings, clock=clock) as core, client_of(core) as client:
        yield client


def kid_of(token: str) -> str:
    return str(decode_jwt(token)["header"]["kid"])


def signs_with(client: Client) -> str:
    return kid_of(client.create()["accessToken"]["token"])


def make_jwt(client: Client, **fields: object) -> str:
    body = {
        "payload": {},
        "algorithm": "RS256",
        "jwksDomain": "https://api.example",
        "validity": 60,
        **fields,
    }
    return str(client.call("POST", "/recipe/jwt", body)["jwt"])


def static_kid(client: Client) -> str:
    return next(kid for kid in client.kids() if kid.startswith("s-"))


def test_a_new_core_publishes_one_dynamic_and_one_static_key(client: Client) -> None:
    assert sorted(kid[:2] for kid in client.kids()) == ["d-", "s-"]


def test_every_token_verifies_with_a_published_key(client: Client) -> None:
    keys = jwt.PyJWKSet.from_dict(client.call("GET", "/.well-known/jwks.json"))
    options: Options = {"verify_exp": False, "verify_iat": False}
    for dynamic in (True, False):
        token = client.create(useDynamicSigningKey=dynamic)["accessToken"]["token"]
        claims = jwt.decode(token, keys[kid_of(token)], algorithms=["RS256"], options=options)
        assert claims["sub"] == "user"


def test_a_new_key_is_published_a_minute_before_it_signs(client: Client, clock: Clock) -> None:
    first = signs_with(client)
    clock.advance(HOUR - 60.001)
    assert len(client.kids()) == 2
    clock.advance(0.002)
    newest = client.kids()[0]
    assert newest != first
    assert signs_with(client) == first
    clock.advance(59.9)
    assert signs_with(client) == first
    clock.advance(0.2)
    assert signs_with(client) == newest


def test_with_a_short_interval_a_new_key_is_published_half_of_it_before(clock: Clock) -> None:
    settings = {"access_token_dynamic_signing_key_update_interval": 10 / 3600}
    with EmbeddedCore(":memory:", settings, clock=clock) as core, client_of(core) as client:
        clock.advance(4.9)
        assert len(client.kids()) == 2
        clock.advance(0.2)
        assert len(client.kids()) == 3


def test_a_core_that_missed_a_rotation_still_publishes_a_key_before_it_signs(
    client: Client, clock: Clock
) -> None:
    first = signs_with(client)
    clock.advance(100 * HOUR)
    assert signs_with(client) == first
    clock.advance(59)
    assert signs_with(client) == first
    clock.advance(1)
    assert signs_with(client) != first


def test_an_old_key_stays_published_until_its_last_token_has_expired(client: Client, clock: Clock) -> None:
    first = signs_with(client)
    clock.advance(HOUR - 60)
    client.kids()
    clock.advance(59)
    last = client.create()
    clock.advance(1)
    assert signs_with(client) != first
    clock.now = last["accessToken"]["expiry"] / 1000 - 1
    assert first in client.kids()
    assert client.verify(last)["status"] == "OK"
    clock.advance(602)
    assert first not in client.kids()


def test_a_jwt_that_lives_longer_keeps_its_dynamic_key_published(client: Client, clock: Clock) -> None:
    token = make_jwt(client, validity=10 * HOUR, useStaticSigningKey=False)
    for _ in range(9):
        clock.advance(HOUR)
        assert kid_of(token) in client.kids()
    clock.advance(2 * HOUR)
    assert kid_of(token) not in client.kids()


def test_keys_without_valid_tokens_are_deleted(client: Client, clock: Clock) -> None:
    for _ in range(8):
        clock.advance(HOUR)
        signs_with(client)
    assert len(client.kids()) <= 4


def test_the_static_key_never_changes(client: Client, clock: Clock) -> None:
    before = static_kid(client)
    for _ in range(5):
        clock.advance(24 * HOUR)
        signs_with(client)
    assert static_kid(client) == before
    assert kid_of(make_jwt(client)) == before


def test_the_key_set_may_be_cached_no_longer_than_a_new_key_is_published_unused(client: Client) -> None:
    response = client.send("GET", "/.well-known/jwks.json")
    assert response.headers["Cache-Control"] == "max-age=60, must-revalidate"


def test_older_sdks_find_the_keys_under_the_older_path(client: Client) -> None:
    answer = client.call("GET", "/recipe/jwt/jwks")
    assert answer == {"status": "OK", **client.call("GET", "/.well-known/jwks.json")}


def test_two_cores_on_one_file_rotate_together(clock: Clock, tmp_path: Path) -> None:
    settings = {"access_token_dynamic_signing_key_update_interval": 1}
    file = tmp_path / "core.db"
    with (
        EmbeddedCore(file, settings, clock=clock) as one,
        EmbeddedCore(file, settings, clock=clock) as two,
        client_of(one) as first,
        client_of(two) as second,
    ):
        for _ in range(4):
            clock.advance(HOUR / 2)
            assert signs_with(first) == signs_with(second)
            assert first.kids() == second.kids()
            assert second.verify(first.create())["status"] == "OK"


def test_a_copy_of_the_main_file_alone_has_the_newest_key(clock: Clock, tmp_path: Path) -> None:
    settings = {"access_token_dynamic_signing_key_update_interval": 1}
    with EmbeddedCore(tmp_path / "core.db", settings, clock=clock) as core, client_of(core) as client:
        client.create()
        clock.advance(HOUR - 59)
        keys = client.call("GET", "/.well-known/jwks.json")
        shutil.copy(tmp_path / "core.db", tmp_path / "copy.db")
    with EmbeddedCore(tmp_path / "copy.db", settings, clock=clock) as core, client_of(core) as client:
        assert len(keys["keys"]) == 3
        assert client.call("GET", "/.well-known/jwks.json") == keys


def test_cores_with_one_private_key_do_not_accept_tokens_of_each_other(clock: Clock) -> None:
    pem = new_private_key_pem()
    with (
        EmbeddedCore(":memory:", clock=clock, private_key=pem) as one,
        EmbeddedCore(":memory:", clock=clock, private_key=pem) as other,
        client_of(one) as first,
        client_of(other) as second,
    ):
        assert set(first.kids()) & set(second.kids()) == set()
        moduli = {
            key["n"]
            for client in (first, second)
            for key in client.call("GET", "/.well-known/jwks.json")["keys"]
        }
        assert len(moduli) == 1
        token = first.create()["accessToken"]["token"]
        body = {
            "accessToken": token,
            "doAntiCsrfCheck": False,
            "enableAntiCsrf": False,
            "checkDatabase": False,
        }
        assert first.call("POST", "/recipe/session/verify", body)["status"] == "OK"
        assert second.call("POST", "/recipe/session/verify", body)["status"] == "TRY_REFRESH_TOKEN"


def test_a_given_private_key_also_signs_after_a_rotation(clock: Clock) -> None:
    settings = {"access_token_dynamic_signing_key_update_interval": 1}
    pem = new_private_key_pem()
    with (
        EmbeddedCore(":memory:", settings, clock=clock, private_key=pem) as core,
        client_of(core) as client,
    ):
        before = signs_with(client)
        clock.advance(HOUR - 30)
        client.kids()
        clock.advance(60)
        assert signs_with(client) != before
        keys = client.call("GET", "/.well-known/jwks.json")["keys"]
        assert len({key["n"] for key in keys}) == 1
