"""The core's signing keys: fetched seldom, read with care, and never at the will of strangers."""

from __future__ import annotations

from typing import Any

import pytest
from support.signing import ABSENT, COOLDOWN, REFRESH, Clock, Core, Signer, key_set, known_to

from flask_stsession.tokens.jwks import KeySet

from .conftest import NEW, OLD


@pytest.fixture
def keys(core: Core, clock: Clock) -> KeySet:
    return key_set(core, clock)


def test_nothing_is_fetched_before_a_key_is_needed(keys: KeySet, core: Core) -> None:
    assert OLD.kid not in known_to(keys)
    assert core.fetches == 0


def test_a_key_is_fetched_once_and_then_found(keys: KeySet, core: Core) -> None:
    first = keys.get(OLD.kid)
    assert first is not None
    assert first.public_numbers() == OLD.public.public_numbers()
    assert all(keys.get(OLD.kid) is first for _ in range(100))
    assert OLD.kid in known_to(keys)
    assert core.fetches == 1


def test_raw_returns_the_keys_as_the_core_sent_them(keys: KeySet, core: Core) -> None:
    core.jwks.append({"kty": "EC", "kid": "other"})
    given = keys.raw()
    assert given == [OLD.jwk(), {"kty": "EC", "kid": "other"}]
    given[0]["kid"] = "changed"
    assert keys.raw()[0] == OLD.jwk()
    assert core.fetches == 1


def test_old_keys_are_fetched_again_and_an_unchanged_one_stays_the_same_object(
    keys: KeySet, core: Core, clock: Clock
) -> None:
    first = keys.get(OLD.kid)
    clock.now += REFRESH - 0.1
    keys.get(OLD.kid)
    assert core.fetches == 1
    clock.now += 0.1
    assert keys.get(OLD.kid) is first
    assert core.fetches == 2


def test_a_key_that_is_replaced_under_its_id_is_another_object(
    keys: KeySet, core: Core, clock: Clock
) -> None:
    first = keys.get(OLD.kid)
    core.jwks = [Signer(OLD.kid, name="two").jwk()]
    clock.now += REFRESH
    second = keys.get(OLD.kid)
    assert second is not None
    assert second is not first
    assert second.public_numbers() == NEW.public.public_numbers()


def test_a_rotation_needs_no_unknown_key_to_be_noticed(keys: KeySet, core: Core, clock: Clock) -> None:
    assert keys.get(OLD.kid) is not None
    core.jwks = [NEW.jwk()]
    clock.now += REFRESH
    assert keys.get(OLD.kid) is None
    assert NEW.kid in known_to(keys)
    assert OLD.kid not in known_to(keys)


def test_a_new_key_is_picked_up_at_its_first_use(keys: KeySet, core: Core, clock: Clock) -> None:
    assert keys.get(OLD.kid) is not None
    core.jwks.append(NEW.jwk())
    clock.now += 1
    assert keys.get(NEW.kid) is not None
    assert keys.get(OLD.kid) is not None
    assert core.fetches == 2


# Made-up keys


@pytest.mark.parametrize("warm", [True, False])
def test_ten_thousand_made_up_keys_cause_one_fetch_per_cooldown(
    keys: KeySet, core: Core, clock: Clock, warm: bool
) -> None:
    if warm:
        keys.get(OLD.kid)
    before = core.fetches
    for number in range(10_000):
        assert keys.get(f"d-{number}") is None
    assert core.fetches - before == 1
    clock.now += COOLDOWN - 0.1
    assert keys.get("d-1") is None
    assert core.fetches - before == 1
    clock.now += 0.1
    for number in range(100):
        assert keys.get(f"d-{number}") is None
    assert core.fetches - before == 2


def test_the_cooldown_counts_from_unknown_keys_not_from_any_fetch(
    keys: KeySet, core: Core, clock: Clock
) -> None:
    keys.get(OLD.kid)
    clock.now += REFRESH
    keys.get(OLD.kid)
    core.jwks.append(NEW.jwk())
    assert keys.get(NEW.kid) is not None
    assert core.fetches == 3


def test_a_due_refetch_counts_as_the_fetch_for_an_unknown_key(keys: KeySet, core: Core, clock: Clock) -> None:
    keys.get(OLD.kid)
    clock.now += REFRESH
    assert keys.get("d-1") is None
    assert keys.get("d-2") is None
    assert core.fetches == 2


def test_a_key_that_the_core_just_used_is_fetched_whatever_the_cooldown(keys: KeySet, core: Core) -> None:
    keys.get(OLD.kid)
    assert keys.get("d-1") is None
    core.jwks.append(NEW.jwk())
    assert keys.get(NEW.kid) is None, "within the cooldown"
    keys.expect(NEW.kid)
    assert keys.get(NEW.kid) is not None
    assert core.fetches == 3


def test_an_expected_key_causes_only_one_fetch(keys: KeySet, core: Core) -> None:
    keys.get(OLD.kid)
    assert keys.get("d-1") is None
    keys.expect(NEW.kid)
    for _ in range(10):
        assert keys.get(NEW.kid) is None
    assert core.fetches == 3


def test_expecting_a_known_key_fetches_nothing(keys: KeySet, core: Core) -> None:
    keys.get(OLD.kid)
    keys.expect(OLD.kid)
    keys.get(OLD.kid)
    assert core.fetches == 1


# Key sets that a core may send


@pytest.mark.parametrize(
    ("jwk", "why"),
    [
        (None, "it is not a JSON object"),
        ([], "it is not a JSON object"),
        ({}, "it has no kid"),
        (NEW.jwk(kid=7), "it has no kid"),
        (NEW.jwk(kty="EC"), "'d-1700000099999' is not an RSA key for RS256 signatures"),
        (NEW.jwk(kty="oct", k="c2VjcmV0"), "'d-1700000099999' is not an RSA key for RS256 signatures"),
        (NEW.jwk(use="enc"), "'d-1700000099999' is not an RSA key for RS256 signatures"),
        (NEW.jwk(alg="RS512"), "'d-1700000099999' is not an RSA key for RS256 signatures"),
        (NEW.jwk(n=ABSENT), "'d-1700000099999' has no modulus and exponent"),
        (NEW.jwk(e=65537), "'d-1700000099999' has no modulus and exponent"),
        (Signer("short", name="short", bits=1024).jwk(), "'short' is shorter than 2048 bits"),
    ],
    ids=range(11),
)
def test_a_key_that_cannot_be_used_is_skipped_and_logged_once(
    keys: KeySet, core: Core, clock: Clock, caplog: pytest.LogCaptureFixture, jwk: Any, why: str
) -> None:
    core.jwks = [jwk, OLD.jwk()]
    for _ in range(2):
        assert keys.get(OLD.kid) is not None
        clock.now += REFRESH
    assert keys.get(NEW.kid) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"A signing key of the core is not used: {why}"
    ]


@pytest.mark.parametrize(
    "changes", [{"n": "!"}, {"n": "é"}, {"n": ""}, {"e": ""}, {"e": "Ag"}, {"n": "AQAB"}]
)
def test_numbers_that_make_no_key_are_skipped(
    keys: KeySet, core: Core, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    core.jwks = [NEW.jwk(**changes), OLD.jwk()]
    assert keys.get(OLD.kid) is not None
    assert NEW.kid not in known_to(keys)
    assert "A signing key of the core is not used: 'd-1700000099999'" in caplog.text


def test_a_key_without_use_and_algorithm_is_taken(keys: KeySet, core: Core) -> None:
    core.jwks = [OLD.jwk(use=ABSENT, alg=ABSENT)]
    assert keys.get(OLD.kid) is not None


def test_a_private_key_in_the_set_is_read_as_a_public_one(keys: KeySet, core: Core) -> None:
    core.jwks = [OLD.jwk(d="AQAB")]
    key = keys.get(OLD.kid)
    assert key is not None
    assert key.public_numbers() == OLD.public.public_numbers()


@pytest.mark.parametrize("jwks", [[], [NEW.jwk(kty="EC")]])
def test_a_key_set_without_a_usable_key_is_an_outage_not_a_verdict(
    keys: KeySet, core: Core, clock: Clock, jwks: list[Any]
) -> None:
    key = keys.get(OLD.kid)
    core.jwks = jwks
    clock.now += REFRESH
    assert keys.get(OLD.kid) is key


def test_of_two_keys_with_one_id_the_first_counts(keys: KeySet, core: Core) -> None:
    core.jwks = [OLD.jwk(), Signer(OLD.kid, name="two").jwk()]
    key = keys.get(OLD.kid)
    assert key is not None
    assert key.public_numbers() == OLD.public.public_numbers()
