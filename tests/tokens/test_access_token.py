"""Parsing access tokens: which values are session tokens, and the front token for the frontend."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from support.signing import ABSENT, PAYLOAD, Clock, Keys, Signer, base64url

from flask_stsession.tokens.access_token import (
    MAX_TOKEN_LENGTH,
    TokenHeader,
    base64url_decode,
    front_token,
    is_canonical_base64url,
    parse,
)
from flask_stsession.tokens.verifier import TokenVerifier

SIGNER = Signer()


@pytest.fixture
def keys() -> Keys:
    return Keys(SIGNER)


@pytest.fixture
def verifier(keys: Keys) -> TokenVerifier:
    return TokenVerifier(keys, clock=Clock(1_500.0))


def test_a_token_is_read_into_its_fields() -> None:
    raw = SIGNER.token(antiCsrfToken="csrf-1", parentRefreshTokenHash1="cd" * 32, exp=2000.5, role="admin")
    token = parse(raw)
    assert token is not None
    assert token.raw == raw
    assert token.header == TokenHeader(algorithm="RS256", kid=SIGNER.kid, version=5)
    assert (token.user_id, token.recipe_user_id, token.tenant_id) == ("user-1", "recipe-user-1", "tenant-1")
    assert token.session_handle == PAYLOAD["sessionHandle"]
    assert (token.expires_at, token.expiry_ms) == (2000.5, 2_000_500)
    assert (token.refresh_token_hash1, token.parent_refresh_token_hash1) == ("ab" * 32, "cd" * 32)
    assert token.anti_csrf_token == "csrf-1"
    assert token.payload()["role"] == "admin"


def test_a_token_of_version_3_has_the_public_tenant_and_one_user_id() -> None:
    token = parse(SIGNER.token(header={"version": "3"}, tId=ABSENT, rsub=ABSENT))
    assert token is not None
    assert (token.header.version, token.tenant_id, token.recipe_user_id) == (3, "public", "user-1")


def test_a_token_of_version_4_has_a_tenant_and_one_user_id() -> None:
    token = parse(SIGNER.token(header={"version": "4"}, rsub=ABSENT))
    assert token is not None
    assert (token.header.version, token.tenant_id, token.recipe_user_id) == (4, "tenant-1", "user-1")


@pytest.mark.parametrize(
    "changes", [{"stt": 0}, {"antiCsrfToken": ABSENT}, {"parentRefreshTokenHash1": ABSENT}]
)
def test_optional_fields_of_a_token_may_be_present_or_absent(changes: dict[str, Any]) -> None:
    assert parse(SIGNER.token(**changes)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": ABSENT},
        {"sub": 1},
        {"sessionHandle": None},
        {"refreshTokenHash1": None},
        {"refreshTokenHash1": ["ab"]},
        {"parentRefreshTokenHash1": 1},
        {"antiCsrfToken": 1},
        {"rsub": None},
        {"tId": None},
        {"exp": ABSENT},
        {"exp": "2000"},
        {"exp": True},
        {"exp": -1},
        {"exp": 1e300},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"stt": 1},
        {"stt": None},
        {"stt": False},
        {"extra": float("nan")},
    ],
    ids=str,
)
def test_a_token_with_another_kind_of_payload_counts_as_absent(
    verifier: TokenVerifier, keys: Keys, changes: dict[str, Any]
) -> None:
    assert verifier.verify(SIGNER.token(**changes)) is None
    assert keys.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"version": ABSENT},
        {"version": "2"},
        {"version": "1"},
        {"version": "0"},
        {"version": "-5"},
        {"version": "05"},
        {"version": "5.0"},
        {"version": "5\n"},
        {"version": "\N{ARABIC-INDIC DIGIT FIVE}"},
        {"version": "100"},
        {"version": 5},
        {"version": None},
        {"typ": ABSENT},
        {"typ": "at+jwt"},
        {"kid": ABSENT},
        {"kid": None},
        {"kid": 7},
        {"kid": ""},
        {"kid": "d-1\n"},
        {"kid": "../../etc/passwd"},
        {"kid": "d-\N{ARABIC-INDIC DIGIT ONE}"},
        {"kid": "x" * 65},
    ],
    ids=str,
)
def test_a_token_with_another_kind_of_header_counts_as_absent(
    verifier: TokenVerifier, keys: Keys, changes: dict[str, Any]
) -> None:
    assert verifier.verify(SIGNER.token(header=changes)) is None
    assert keys.asked == []


GOOD = SIGNER.token()
HEAD, BODY, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        ".",
        "..",
        "...",
        "garbage",
        f"{HEAD}.{BODY}",
        f"{HEAD}..{SIGNATURE}",
        f".{BODY}.{SIGNATURE}",
        f"{GOOD}.{SIGNATURE}",
        f"{GOOD}.",
        GOOD[: len(GOOD) // 4],
        f"{GOOD}\n",
        f" {GOOD}",
        f"{HEAD}\n.{BODY}.{SIGNATURE}",
        f"{HEAD}=.{BODY}.{SIGNATURE}",
        f"{HEAD}.{BODY}==.{SIGNATURE}",
        f"{GOOD}==",
        f"{HEAD[:5]}!!!!{HEAD[5:]}.{BODY}.{SIGNATURE}",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}+",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}é",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}\ud800",
        f"A.{BODY}.{SIGNATURE}",
        f"{HEAD}.{base64url(b'null')}.{SIGNATURE}",
        f"{HEAD}.{base64url(b'[]')}.{SIGNATURE}",
        f"{base64url(b'[1]')}.{BODY}.{SIGNATURE}",
        f"{base64url(json.dumps(SIGNER.header()).encode('utf-16'))}.{BODY}.{SIGNATURE}",
        f"{HEAD}.{base64url(b'[' * 6000)}.{SIGNATURE}",
        base64url(b'{"a":' * 2000) + f".{BODY}.{SIGNATURE}",
        "a" * (MAX_TOKEN_LENGTH + 1),
        SIGNER.token(big="x" * MAX_TOKEN_LENGTH),
    ],
    ids=range(30),
)
def test_a_value_without_the_shape_of_a_token_counts_as_absent(
    verifier: TokenVerifier, keys: Keys, raw: str
) -> None:
    assert parse(raw) is None
    assert verifier.verify(raw) is None
    assert keys.asked == []


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
@settings(max_examples=200, deadline=None)
def test_any_text_sent_as_token_counts_as_absent(raw: str) -> None:
    assert TokenVerifier(Keys(SIGNER)).verify(raw) is None


@given(st.binary(max_size=200), st.binary(max_size=400), st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_in_the_three_parts_have_an_expected_outcome(
    header: bytes, payload: bytes, signature: bytes
) -> None:
    raw = ".".join(map(base64url, (header, payload, signature)))
    assert TokenVerifier(Keys(SIGNER)).verify(raw) is None


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_the_repr_of_a_token_shows_neither_the_token_nor_its_payload(show: Callable[[object], str]) -> None:
    token = parse(SIGNER.token(secret="s3cret"))
    assert token is not None
    assert show(token) == f"<AccessToken version 5 of session {PAYLOAD['sessionHandle']}>"


# The front token


def test_a_front_token_is_base64_of_compact_json() -> None:
    front = front_token({"sub": "ünïcode-名", "exp": 2_000, "st-role": {"v": ["admin"], "t": 5}})
    assert base64.b64decode(front, validate=True).decode() == (
        '{"uid":"ünïcode-名","ate":2000000,"up":{"sub":"ünïcode-名","exp":2000,'
        '"st-role":{"v":["admin"],"t":5}}}'
    )


def test_a_front_token_survives_half_a_surrogate_pair() -> None:
    front = front_token({"sub": "u", "exp": 1, "odd": "\ud800"})
    assert base64.b64decode(front).decode("ascii") == (
        '{"uid":"u","ate":1000,"up":{"sub":"u","exp":1,"odd":"\\ud800"}}'
    )


@pytest.mark.parametrize("length", range(13))
def test_base64url_is_decoded_whatever_its_length(length: int) -> None:
    data = bytes(range(250, 256)) * 2 + b"?>"
    encoded = base64.urlsafe_b64encode(data[:length]).rstrip(b"=").decode()
    assert base64url_decode(encoded) == data[:length]


def test_only_one_spelling_of_some_bytes_is_canonical_base64url() -> None:
    letters = string.ascii_letters + string.digits + "-_"
    for start in ("", "A", "AA", "AAAA", "AAAAA", "AAAAAA"):
        for end in letters:
            data = base64url_decode(start + end)
            spelling = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
            assert is_canonical_base64url(start + end) == (spelling == start + end)
