"""Access tokens of the core's OAuth2 provider: which are genuine, and what may be asked of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.signing import ABSENT, Keys, Signer, hmac_token

from flask_stsession.errors import InvalidClaimsError, Reason, UnauthorisedError
from flask_stsession.tokens.oauth2 import check_requirements, verified_payload

NOW = 1_500
PAYLOAD: dict[str, Any] = {
    "iss": "http://localhost:8080/auth",
    "sub": "user-1",
    "aud": ["https://api.example.com", "other"],
    "client_id": "stcl_one",
    "scp": ["profile", "email"],
    "stt": 1,
    "iat": 1_000,
    "nbf": 1_000,
    "exp": 2_000,
    "jti": "1c229efe",
}
STATIC = Signer("s-one", name="two")
DYNAMIC = Signer()


def signed(signer: Signer = DYNAMIC, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a token of the provider, with these changes to its payload."""
    payload = {key: value for key, value in {**PAYLOAD, **changes}.items() if value is not ABSENT}
    whole = {"alg": "RS256", "typ": "JWT", "kid": signer.kid, **(header or {})}
    return signer.sign(whole, json.dumps(payload).encode())


def payload_of(token: str, now: float = NOW) -> dict[str, Any]:
    """Return the verified payload of a token."""
    return verified_payload(token, Keys(DYNAMIC, STATIC), now=now)


def reason_of(token: str, now: float = NOW) -> Reason:
    """Return why a token is refused; it clears nothing on the client."""
    with pytest.raises(UnauthorisedError) as caught:
        payload_of(token, now)
    assert caught.value.clear_tokens is False
    assert token not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("signer", [DYNAMIC, STATIC])
def test_a_genuine_token_yields_its_payload_whichever_kind_of_key_signed_it(signer: Signer) -> None:
    assert payload_of(signed(signer)) == PAYLOAD


@pytest.mark.parametrize("stt", [0, 2, True, "1", 1.0, None, ABSENT])
def test_a_token_of_another_kind_is_refused(stt: Any) -> None:
    assert reason_of(signed(stt=stt)) is Reason.MALFORMED


def test_the_access_token_of_a_session_is_refused() -> None:
    assert reason_of(DYNAMIC.token()) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({}, 2_000),
        ({}, 3_000),
        ({"exp": ABSENT}, NOW),
        ({"exp": "2000"}, NOW),
        ({"exp": True}, 0),
        ({"exp": None}, NOW),
        ({"exp": 10**400}, NOW),
        ({"nbf": NOW + 61}, NOW),
    ],
)
def test_a_token_passes_within_its_times_only(changes: dict[str, Any], now: float) -> None:
    assert reason_of(signed(**changes), now) is Reason.EXPIRED


def test_a_clock_that_is_a_little_behind_does_no_harm() -> None:
    assert payload_of(signed(nbf=NOW + 60))["sub"] == "user-1"
    assert payload_of(signed(nbf=ABSENT), 1_999.9)["sub"] == "user-1"


def test_a_token_of_an_unknown_key_is_refused() -> None:
    assert reason_of(signed(Signer("d-unknown"))) is Reason.UNKNOWN_KID


@pytest.mark.parametrize(
    "token",
    [
        signed(Signer(DYNAMIC.kid, name="another")),
        signed()[:-4],
        signed() + "A",
        signed(header={"alg": "none"}),
        signed(header={"alg": "RS512"}),
        signed().rpartition(".")[0] + ".",
        hmac_token({"alg": "HS256", "typ": "JWT", "kid": DYNAMIC.kid}, b"public", PAYLOAD),
    ],
)
def test_a_token_that_is_not_genuine_is_refused(token: str) -> None:
    assert reason_of(token) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "token",
    [
        "",
        "made up",
        "a.b",
        "é.b.c",
        signed() + ".e",
        signed(header={"kid": None}),
        signed(header={"kid": "a/b"}),
        signed(header={"crit": ["exp"], "exp": 1}),
        "a" * 20_000,
        f"{'a' * 20_000}.b.c",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(UnauthorisedError) as caught:
        payload_of(token)
    assert caught.value.reason is Reason.MALFORMED


# Requirements


def check(payload: dict[str, Any] | None = None, **asked: Any) -> None:
    """Check requirements of a payload."""
    wanted: dict[str, Any] = {"audience": None, "client_id": None, "scopes": (), **asked}
    check_requirements(PAYLOAD if payload is None else payload, **wanted)


def test_a_token_with_all_that_is_asked_for_passes() -> None:
    check()
    check(audience="other", client_id="stcl_one", scopes=["email", "profile"])
    check({"aud": "other"}, audience="other")
    check({"aud": "two words"}, audience="two words")
    check({"scp": "profile email"}, scopes=["email"])


@pytest.mark.parametrize(
    "asked",
    [{"audience": "https://api"}, {"client_id": "stcl_two"}, {"audience": "https://api.example.com other"}],
)
def test_a_token_for_somebody_else_is_refused(asked: Any) -> None:
    with pytest.raises(UnauthorisedError) as caught:
        check(**asked)
    assert (caught.value.reason, caught.value.clear_tokens) == (Reason.CLAIMS_INVALID, False)


@pytest.mark.parametrize(
    ("scp", "granted"),
    [
        (["profile"], ["profile"]),
        ("profile", ["profile"]),
        (None, []),
        ({"email": 1}, []),
        ("emails", ["emails"]),
    ],
)
def test_missing_scopes_are_a_403_that_names_them(scp: Any, granted: list[str]) -> None:
    with pytest.raises(InvalidClaimsError) as caught:
        check({"scp": scp}, scopes=["email"])
    assert caught.value.code == 403
    assert caught.value.data["claimValidationErrors"] == [
        {
            "id": "scp",
            "reason": {"message": "wrong value", "expectedToInclude": ["email"], "actualValue": granted},
        }
    ]


def test_a_token_without_audience_and_client_is_for_nobody() -> None:
    with pytest.raises(UnauthorisedError):
        check({}, audience="other")
    with pytest.raises(UnauthorisedError):
        check({}, client_id="stcl_one")
