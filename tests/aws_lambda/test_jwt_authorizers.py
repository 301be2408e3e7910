"""Behind the JWT authorizer of an HTTP API: which claims are trusted, and checked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask
from hypothesis import given, settings
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from support.app_factory import AppFactory
from support.lambda_events import gateway_event, header_of, json_values, spoilt
from support.signing import Signer

from flask_stsession.aws_lambda import (
    assert_jwt_authorizer_claims,
    claims_from_jwt_authorizer,
    error_response,
    make_handler,
)
from flask_stsession.aws_lambda.events import EventError
from flask_stsession.claims import BooleanClaim, EmailVerificationClaim, PrimitiveClaim, UserRoleClaim
from flask_stsession.errors import InvalidClaimsError, Reason, UnauthorisedError

PAYLOAD: dict[str, Any] = {
    "sub": "alice",
    "sessionHandle": "one",
    "exp": 1_764_115_200,
    "st-ev": {"v": True, "t": 1_764_111_600_000},
    "st-role": {"v": ["admin"], "t": 1_764_111_600_000},
    "aud": "jwtAuthorizers",
    "nested": {"list": [1, {"a": None}]},
}
TOKEN = Signer().token(**PAYLOAD)


def flattened(payload: dict[str, Any]) -> dict[str, str]:
    """Return a payload as API Gateway hands it on: strings, as Go prints them."""

    def go(value: Any) -> str:
        if isinstance(value, dict):
            return "map[" + " ".join(f"{key}:{go(value[key])}" for key in sorted(value)) + "]"
        if isinstance(value, list):
            return "[" + " ".join(map(go, value)) + "]"
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {key: go(value) for key, value in payload.items() if value is not None}


def jwt_event(
    token: str | None = TOKEN,
    claims: dict[str, Any] | None = None,
    *,
    version: str = "2.0",
    scheme: str = "Bearer ",
) -> dict[str, Any]:
    """Return an event from a route with a JWT authorizer."""
    headers = {} if token is None else {"Authorization": scheme + token}
    event = gateway_event(f"http-{version}", headers=headers)
    held = {"claims": flattened(PAYLOAD) if claims is None else claims, "scopes": None}
    event["requestContext"]["authorizer"] = {"jwt": held} if version == "2.0" else held
    return event


@pytest.mark.parametrize("version", ["2.0", "1.0"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", ""])
def test_the_claims_come_from_the_token_that_the_gateway_has_verified(version: str, scheme: str) -> None:
    claims = claims_from_jwt_authorizer(jwt_event(version=version, scheme=scheme))
    assert {key: claims[key] for key in PAYLOAD} == PAYLOAD


@pytest.mark.parametrize(
    "exp", ["1764115200", "1.7641152e+09", "1764115200.0", 1_764_115_200, 1_764_115_200.0]
)
def test_the_expiry_is_compared_however_the_gateway_writes_numbers(exp: object) -> None:
    claims = claims_from_jwt_authorizer(jwt_event(claims={**flattened(PAYLOAD), "exp": exp}))
    assert claims["sub"] == "alice"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sub", "bob"),
        ("sub", None),
        ("sub", ["alice"]),
        ("sessionHandle", "two"),
        ("sessionHandle", None),
        ("exp", "1764115201"),
        ("exp", "1.7641152e+10"),
        ("exp", "NaN"),
        ("exp", "٣"),
        ("exp", True),
        ("exp", None),
        ("exp", ""),
    ],
)
def test_a_token_is_refused_if_the_gateway_verified_a_different_one(key: str, value: object) -> None:
    with pytest.raises(UnauthorisedError, match=f"different {key} from the one that the gateway") as caught:
        claims_from_jwt_authorizer(jwt_event(claims={**flattened(PAYLOAD), key: value}))
    assert caught.value.reason is Reason.MALFORMED
    assert not caught.value.clear_tokens


def test_without_the_header_claims_are_refused_rather_than_guessed() -> None:
    with pytest.raises(UnauthorisedError, match=r"\$request.header.Authorization") as caught:
        claims_from_jwt_authorizer(jwt_event(None))
    assert caught.value.reason is Reason.NO_TOKEN


@pytest.mark.parametrize("token", ["x", "a.b.c", f"{TOKEN},Bearer {TOKEN}", "Bearer"])
def test_a_header_that_holds_no_session_token_is_refused(token: str) -> None:
    with pytest.raises(UnauthorisedError, match="not a session token"):
        claims_from_jwt_authorizer(jwt_event(token))


@pytest.mark.parametrize(
    ("gateway", "authorizer"),
    [
        ("http-2.0", None),
        ("http-2.0", {}),
        ("http-2.0", {"lambda": {"claims": flattened(PAYLOAD)}}),
        ("http-2.0", {"claims": flattened(PAYLOAD)}),
        ("http-2.0", {"jwt": {"claims": None}}),
        ("http-2.0", {"jwt": {"claims": "x"}}),
        ("http-1.0", {"jwt": {"claims": flattened(PAYLOAD)}}),
        ("rest", {"claims": flattened(PAYLOAD)}),
        ("alb", {"jwt": {"claims": flattened(PAYLOAD)}}),
    ],
)
def test_without_a_jwt_authorizer_no_token_is_trusted(gateway: str, authorizer: object) -> None:
    event = gateway_event(gateway, headers={"Authorization": f"Bearer {TOKEN}"})
    event["requestContext"]["authorizer"] = authorizer
    with pytest.raises(UnauthorisedError, match="No JWT authorizer has verified this request"):
        claims_from_jwt_authorizer(event)


def test_changing_a_result_does_not_change_the_next_one() -> None:
    event = jwt_event()
    claims_from_jwt_authorizer(event)["st-ev"]["v"] = False
    assert claims_from_jwt_authorizer(event)["st-ev"]["v"] is True


def test_satisfied_validators_pass() -> None:
    validators = [
        EmailVerificationClaim.validators.is_verified(),
        UserRoleClaim.validators.includes("admin"),
    ]
    assert_jwt_authorizer_claims(jwt_event(), validators)


@pytest.mark.parametrize(
    "validator",
    [
        UserRoleClaim.validators.includes("owner"),
        UserRoleClaim.validators.includes("admin", max_age_in_sec=60),
        BooleanClaim(key="2fa", fetch_value=lambda *_: True).validators.is_true(),
        PrimitiveClaim("aud", lambda *_: "x").validators.has_value("jwtAuthorizers"),
    ],
)
def test_failed_validators_are_listed_and_nothing_is_fetched(validator: Any) -> None:
    with pytest.raises(InvalidClaimsError) as caught:
        assert_jwt_authorizer_claims(jwt_event(), [validator, EmailVerificationClaim.validators.is_false()])
    assert [error.id for error in caught.value.payload] == [validator.id, "st-ev"]
    assert error_response(jwt_event(), caught.value)["statusCode"] == 403


def test_the_argument_must_be_validators() -> None:
    with pytest.raises(TypeError, match=r"assert_jwt_authorizer_claims\(\)"):
        assert_jwt_authorizer_claims(jwt_event(), [UserRoleClaim])  # type: ignore[list-item]


@settings(max_examples=150, deadline=None)
@given(event=spoilt([jwt_event(), jwt_event(version="1.0")]) | json_values)
def test_any_event_is_trusted_or_refused_and_nothing_else(event: object) -> None:
    try:
        claims = claims_from_jwt_authorizer(event)
    except (EventError, UnauthorisedError):
        return
    assert (claims["sub"], claims["sessionHandle"]) == ("alice", "one")


# What API Gateway and any other client of OpenID Connect find out from the issuer alone


@pytest.fixture
def issuer_app(make_app: AppFactory) -> Flask:
    """An app whose tokens are for JWT authorizers, behind the gateway path that clients see."""
    return make_app(
        api_domain="https://api.example.com",
        api_gateway_path="/prod",
        audience="jwtAuthorizers",
        use_dynamic_access_token_signing_key=False,
        expose_access_token_to_frontend_in_cookie_based_auth=True,
        token_transfer_method="cookie",
    )


@pytest.fixture
def fetch(issuer_app: Flask) -> Callable[[str], Any]:
    """Fetch a URL of the API through the gateway, as JSON."""
    handler = make_handler(issuer_app)

    def get(url: str) -> Any:
        path = url.removeprefix("https://api.example.com")
        event = gateway_event("http-2.0", path)
        event["requestContext"]["stage"] = "prod"
        event["headers"]["host"] = "api.example.com"
        response = handler(event, None)
        assert response["statusCode"] == 200, url
        return json.loads(response["body"])

    return get


def test_a_generic_client_verifies_our_tokens_from_the_issuer_alone(
    issuer_app: Flask, fetch: Callable[[str], Any]
) -> None:
    login = make_handler(issuer_app)(gateway_event("http-2.0", "/login", method="POST"), None)
    token = header_of(login, "st-access-token")
    assert token, "a session by cookie exposes its token to the frontend, which sends it to the gateway"
    issuer = "https://api.example.com/prod/auth"
    metadata = fetch(f"{issuer}/.well-known/openid-configuration")
    OpenIDProviderMetadata(metadata).validate()
    assert metadata["issuer"] == issuer, "no doubled slash, and the same to the letter"
    keys = KeySet.import_key_set(fetch(metadata["jwks_uri"]))
    # Unknown parameters of a header must be ignored (RFC 7515, 4); this library refuses them by default.
    registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    decoded = jwt.decode(token, keys, registry=registry)
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": "jwtAuthorizers"},
        sub={"essential": True, "value": "alice"},
        exp={"essential": True},
    )
    rules.validate(decoded.claims)
    assert str(decoded.header["kid"]).startswith("s-"), "the gateway may keep keys for two hours"


def test_the_claims_of_a_real_token_are_read_behind_the_gateway(issuer_app: Flask) -> None:
    login = make_handler(issuer_app)(gateway_event("http-2.0", "/login", method="POST"), None)
    token = header_of(login, "st-access-token") or ""
    part = token.split(".")[1]
    payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    claims = claims_from_jwt_authorizer(jwt_event(token, flattened(payload)))
    assert claims == payload
