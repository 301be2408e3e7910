"""Verifying access tokens: which are genuine, and which are cached."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings, strategies as st
from jwt.algorithms import RSAAlgorithm
from support.plain_data import as_data
from support.signing import ABSENT, PAYLOAD, Clock, Keys, Signer, base64url, hmac_token

from flask_stsession.errors import CoreUnavailableError, Reason, TryRefreshTokenError
from flask_stsession.tokens.access_token import parse
from flask_stsession.tokens.verifier import TokenVerifier

SIGNER = Signer()
STATIC = Signer("s-6f1c1f4e-0000-4000-8000-000000000000", name="two")
GOOD = SIGNER.token()
HEAD, BODY, SIGNATURE = GOOD.split(".")


@pytest.fixture
def keys() -> Keys:
    return Keys(SIGNER, STATIC)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_500.0)


@pytest.fixture
def verifier(keys: Keys, clock: Clock) -> TokenVerifier:
    return TokenVerifier(keys, cache_size=100, clock=clock)


@pytest.fixture
def signatures(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the texts whose signature PyJWT checks from now on."""
    checked: list[str] = []
    original = RSAAlgorithm.verify

    def counting(self: RSAAlgorithm, signed: bytes, key: Any, signature: bytes) -> bool:
        checked.append(f"{signed.decode()}.{base64url(signature)}")
        return original(self, signed, key, signature)

    monkeypatch.setattr(RSAAlgorithm, "verify", counting)
    return checked


def refused(verifier: TokenVerifier, raw: str) -> Reason:
    with pytest.raises(TryRefreshTokenError) as caught:
        verifier.verify(raw)
    return caught.value.reason


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "version", "crit", "b64", "jwk", "x"]), JSON_VALUES
    ),
    st.dictionaries(st.sampled_from([*PAYLOAD, "stt", "nbf", "aud", "jti", "x"]), JSON_VALUES),
)
@settings(max_examples=300, deadline=None)
def test_any_json_in_header_and_payload_has_an_expected_outcome(
    header: dict[str, Any], payload: dict[str, Any]
) -> None:
    raw = SIGNER.sign({**SIGNER.header(), **header}, json.dumps({**PAYLOAD, **payload}).encode())
    try:
        token = TokenVerifier(Keys(SIGNER), clock=lambda: 1_500.0).verify(raw)
    except TryRefreshTokenError:
        return
    if token is not None:
        assert token.payload()["sub"] == token.user_id
        assert token.expires_at > 1_500


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="latin-1"))
@settings(max_examples=300, deadline=None)
def test_a_token_with_one_character_changed_is_never_accepted(position: int, character: str) -> None:
    raw = GOOD[:position] + character + GOOD[position + 1 :]
    verifier = TokenVerifier(Keys(SIGNER), clock=lambda: 1_500.0)
    try:
        token = verifier.verify(raw)
    except TryRefreshTokenError:
        return
    assert token is None or raw == GOOD


def test_a_genuine_token_is_verified(verifier: TokenVerifier) -> None:
    token = verifier.verify(GOOD)
    assert token is not None
    assert as_data(token) == as_data(parse(GOOD))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(f"{HEAD}.{BODY}.", Reason.BAD_SIGNATURE, id="no signature"),
        pytest.param(f"{HEAD}.{BODY}.{SIGNATURE[:-40]}", Reason.BAD_SIGNATURE, id="short signature"),
        pytest.param(f"{HEAD}.{BODY}.{SIGNATURE[:-1]}", Reason.BAD_SIGNATURE, id="cut signature"),
        pytest.param(
            f"{HEAD}.{SIGNER.token(sub='mallory').split('.')[1]}.{SIGNATURE}",
            Reason.BAD_SIGNATURE,
            id="other sub",
        ),
        pytest.param(
            f"{HEAD}.{SIGNER.token(exp=9_000).split('.')[1]}.{SIGNATURE}",
            Reason.BAD_SIGNATURE,
            id="later exp",
        ),
        pytest.param(
            f"{base64url(json.dumps(SIGNER.header(alg='none')).encode())}.{BODY}.",
            Reason.BAD_SIGNATURE,
            id="none",
        ),
        pytest.param(SIGNER.token(header={"alg": "None"}), Reason.BAD_SIGNATURE, id="None"),
        pytest.param(SIGNER.token(header={"alg": ABSENT}), Reason.BAD_SIGNATURE, id="no alg"),
        pytest.param(SIGNER.token(header={"alg": ["RS256"]}), Reason.BAD_SIGNATURE, id="alg list"),
        pytest.param(SIGNER.token(header={"alg": "RS512"}), Reason.BAD_SIGNATURE, id="RS512"),
        pytest.param(SIGNER.token(header={"alg": "PS256"}), Reason.BAD_SIGNATURE, id="PS256"),
        pytest.param(Signer(name="two").token(), Reason.BAD_SIGNATURE, id="another's key"),
        pytest.param(Signer("d-1000000000000").token(), Reason.UNKNOWN_KID, id="unknown dynamic kid"),
        pytest.param(Signer("anything-else").token(), Reason.UNKNOWN_KID, id="opaque kid"),
        pytest.param(STATIC.token(), Reason.KEY_TYPE_MISMATCH, id="static key"),
        pytest.param(SIGNER.token(exp=1_500), Reason.EXPIRED, id="expired this second"),
        pytest.param(SIGNER.token(exp=0), Reason.EXPIRED, id="expired long ago"),
    ],
)
def test_a_refused_session_token_raises_try_refresh_token(
    verifier: TokenVerifier, raw: str, reason: Reason
) -> None:
    assert refused(verifier, raw) is reason


def test_the_message_names_the_setting_if_the_kind_of_key_is_not_the_configured_one(keys: Keys) -> None:
    verifier = TokenVerifier(keys, use_dynamic_signing_key=False, clock=Clock(1_500.0))
    assert verifier.verify(STATIC.token()) is not None
    with pytest.raises(TryRefreshTokenError) as caught:
        verifier.verify(GOOD)
    assert caught.value.reason is Reason.KEY_TYPE_MISMATCH
    assert str(caught.value) == (
        "The access token was signed with key d-1700000000000, which is of the kind that "
        "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY does not allow."
    )


def test_a_token_is_valid_until_its_expiry_to_the_second(verifier: TokenVerifier, clock: Clock) -> None:
    clock.now = 1_999.999
    assert verifier.verify(GOOD) is not None
    clock.now = 2_000.0
    assert refused(verifier, GOOD) is Reason.EXPIRED


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": 99_999},
        {"iat": "yesterday"},
        {"iat": ABSENT},
        {"nbf": 99_999},
        {"nbf": {}},
        {"aud": "https://elsewhere"},
        {"aud": 7},
        {"iss": "https://elsewhere"},
        {"iss": 7},
        {"iss": ABSENT},
        {"jti": 7},
    ],
    ids=str,
)
def test_registered_claims_other_than_the_expiry_are_data(
    verifier: TokenVerifier, changes: dict[str, Any]
) -> None:
    assert verifier.verify(SIGNER.token(**changes)) is not None


def test_an_expired_token_is_refused_without_asking_for_a_key(verifier: TokenVerifier, keys: Keys) -> None:
    assert refused(verifier, Signer("d-1").token(exp=1)) is Reason.EXPIRED
    assert keys.asked == []


def test_an_expired_but_genuine_token_verifies_with_allow_expired(
    verifier: TokenVerifier, signatures: list[str]
) -> None:
    raw = SIGNER.token(exp=10)
    for _ in range(2):
        token = verifier.verify(raw, allow_expired=True)
        assert token is not None
        assert token.expires_at == 10
    assert signatures == [raw, raw], "an expired token is not worth remembering"
    assert refused(verifier, raw) is Reason.EXPIRED
    with pytest.raises(TryRefreshTokenError):
        verifier.verify(Signer(name="two").token(exp=10), allow_expired=True)


def test_an_outage_of_the_keys_is_raised(verifier: TokenVerifier, keys: Keys) -> None:
    keys.error = CoreUnavailableError("down", reason=Reason.KEYS_UNAVAILABLE)
    with pytest.raises(CoreUnavailableError, match="down"):
        verifier.verify(GOOD)


# Vulnerabilities of PyJWT and others


def test_the_public_key_is_never_used_as_an_hmac_secret(verifier: TokenVerifier) -> None:
    """CVE-2017-11424, CVE-2022-29217: HS256 with the public key, in any of its spellings."""
    spellings = [
        SIGNER.public.public_bytes(encoding, form)
        for encoding, form in (
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        )
    ]
    for secret in [*spellings, json.dumps(SIGNER.jwk()).encode(), b""]:
        assert refused(verifier, hmac_token(SIGNER.header(alg="HS256"), secret)) is Reason.BAD_SIGNATURE
        assert refused(verifier, hmac_token(SIGNER.header(), secret)) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("extension", [{"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": True}, {"crit": []}])
def test_a_token_with_critical_extensions_is_no_session_token(
    verifier: TokenVerifier, extension: dict[str, Any]
) -> None:
    """GHSA-752w-5fwx-jx9f (RFC 7515, 4.1.11): "crit" was passed over."""
    assert verifier.verify(SIGNER.token(header=extension)) is None


def test_a_token_with_a_detached_payload_is_no_session_token(verifier: TokenVerifier) -> None:
    """RFC 7797: with b64=false the payload is not the one in the token."""
    assert verifier.verify(SIGNER.token(header={"b64": False, "crit": ["b64"]})) is None
    assert verifier.verify(SIGNER.token(header={"b64": False})) is None


def test_the_issuer_is_not_compared_at_all(verifier: TokenVerifier) -> None:
    """CVE-2024-53861: "iss" was compared as a substring; to a session it is data."""
    assert verifier.verify(SIGNER.token(iss="a")) is not None


def test_a_key_in_the_token_itself_is_not_used(verifier: TokenVerifier) -> None:
    """CVE-2018-0114: a "jwk" header was trusted."""
    mallory = Signer(name="two")
    raw = mallory.token(header={"jwk": mallory.jwk(), "jku": "https://mallory.example/jwks.json"})
    assert refused(verifier, raw) is Reason.BAD_SIGNATURE


def test_a_duplicate_key_in_a_payload_counts_the_same_everywhere(verifier: TokenVerifier) -> None:
    body = json.dumps(PAYLOAD)[:-1].encode() + b', "sub": "the-last-one"}'
    token = verifier.verify(SIGNER.sign(SIGNER.header(), body))
    assert token is not None
    assert token.user_id == token.payload()["sub"] == "the-last-one"


# The cache


def test_a_token_seen_before_is_not_checked_for_its_signature_again(
    verifier: TokenVerifier, signatures: list[str]
) -> None:
    first, second = verifier.verify(GOOD), verifier.verify(GOOD)
    assert first is second
    assert signatures == [GOOD]


def test_a_token_seen_before_is_checked_for_its_expiry(verifier: TokenVerifier, clock: Clock) -> None:
    assert verifier.verify(GOOD) is not None
    clock.now = 2_000
    assert refused(verifier, GOOD) is Reason.EXPIRED


def test_a_token_seen_before_is_refused_when_its_key_is_gone(verifier: TokenVerifier, keys: Keys) -> None:
    assert verifier.verify(GOOD) is not None
    del keys.known[SIGNER.kid]
    assert refused(verifier, GOOD) is Reason.UNKNOWN_KID


def test_a_token_seen_before_is_refused_when_its_kid_has_another_key(
    verifier: TokenVerifier, keys: Keys
) -> None:
    assert verifier.verify(GOOD) is not None
    keys.known[SIGNER.kid] = STATIC.public
    assert refused(verifier, GOOD) is Reason.BAD_SIGNATURE


def test_a_token_right_after_a_refresh_is_cached_like_any_other(
    verifier: TokenVerifier, signatures: list[str]
) -> None:
    raw = SIGNER.token(parentRefreshTokenHash1="cd" * 32)
    assert verifier.verify(raw) is not None
    assert verifier.verify(raw) is not None
    assert signatures == [raw]


def test_a_token_that_was_refused_is_not_cached(verifier: TokenVerifier, signatures: list[str]) -> None:
    bad = Signer(name="two").token()
    for _ in range(2):
        assert refused(verifier, bad) is Reason.BAD_SIGNATURE
    assert signatures == [bad, bad]


@pytest.mark.parametrize("size", [0, 1])
def test_with_a_cache_size_below_2_nothing_is_cached(keys: Keys, signatures: list[str], size: int) -> None:
    verifier = TokenVerifier(keys, cache_size=size, clock=Clock(1_500.0))
    assert verifier.verify(GOOD) is not None
    assert verifier.verify(GOOD) is not None
    assert signatures == [GOOD, GOOD]


def test_tokens_in_use_stay_cached_and_the_cache_is_bounded(keys: Keys, signatures: list[str]) -> None:
    verifier = TokenVerifier(keys, cache_size=8, clock=Clock(1_500.0))
    busy = SIGNER.token(n="busy")
    others = [SIGNER.token(n=number) for number in range(40)]
    for other in others:
        assert verifier.verify(busy) is not None
        assert verifier.verify(other) is not None
    assert signatures.count(busy) == 1, "what is used stays"
    signatures.clear()
    for other in others:
        assert verifier.verify(other) is not None
    assert len(signatures) >= 40 - 8, "what is not used goes"


def test_threads_that_share_a_verifier_get_their_own_results(keys: Keys) -> None:
    verifier = TokenVerifier(keys, cache_size=6, clock=Clock(1_500.0))
    raws = {f"user-{number}": SIGNER.token(sub=f"user-{number}") for number in range(10)}
    wrong: list[object] = []

    def hammer(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(150):
            user_id = choose.choice(list(raws))
            token = verifier.verify(raws[user_id])
            if token is None or token.user_id != user_id:
                wrong.append(token)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_forged_token_with_the_header_of_a_genuine_one_is_refused(verifier: TokenVerifier) -> None:
    assert verifier.verify(GOOD) is not None
    header, payload, signature = GOOD.split(".")
    other = base64url(json.dumps({**PAYLOAD, "sub": "user-2"}).encode())
    assert refused(verifier, f"{header}.{other}.{signature}") is Reason.BAD_SIGNATURE
    assert verifier.verify(f"{header}x.{payload}.{signature}") is None


def test_headers_of_forged_tokens_are_not_remembered(verifier: TokenVerifier) -> None:
    refused(verifier, Signer(name="two").token(header={"x": 1}))
    assert verifier._headers == {}


def test_the_number_of_remembered_headers_is_bounded(verifier: TokenVerifier) -> None:
    for number in range(200):
        assert verifier.verify(SIGNER.token(header={"x": number})) is not None
    assert 0 < len(verifier._headers) <= 64


def test_a_caller_cannot_change_the_payload_of_others(verifier: TokenVerifier) -> None:
    token = verifier.verify(SIGNER.token(roles=["user"]))
    assert token is not None
    token.payload()["roles"].append("admin")
    assert token.payload()["roles"] == ["user"]
