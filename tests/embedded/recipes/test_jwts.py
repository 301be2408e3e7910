"""JWTs for any purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.patterns import decode_jwt
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore

NOW = 1_800_000_000


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:", clock=Clock(NOW)) as core, client_of(core) as client:
        yield client


def body(**fields: Any) -> dict[str, Any]:
    return {
        "payload": {},
        "algorithm": "RS256",
        "jwksDomain": "https://api.example",
        "validity": 60,
        **fields,
    }


def payload_of(client: Client, **fields: Any) -> Any:
    return decode_jwt(client.call("POST", "/recipe/jwt", body(**fields))["jwt"])["payload"]


def test_issuer_and_times_are_added_to_the_payload(client: Client) -> None:
    assert payload_of(client, payload={"a": 1}) == {
        "a": 1,
        "iss": "https://api.example",
        "iat": NOW,
        "exp": NOW + 60,
    }


@pytest.mark.parametrize(
    "payload", [{"iss": "me", "iat": 5, "exp": 7}, {"iss": 5, "iat": "x", "exp": "y"}, {"exp": None}]
)
def test_the_payloads_own_issuer_and_times_take_precedence(client: Client, payload: dict[str, Any]) -> None:
    assert payload_of(client, payload=payload).items() >= payload.items()


def test_a_fraction_of_a_second_is_cut_off(client: Client) -> None:
    assert payload_of(client, validity=1.7)["exp"] == NOW + 1


def test_an_endless_validity_ends_where_json_numbers_stop_being_exact(client: Client) -> None:
    assert payload_of(client, validity=10**18, useStaticSigningKey=False)["exp"] == 2**53 - 1


@pytest.mark.parametrize("validity", [0, -1, 0.5, 2**63, 1e308])
def test_a_validity_out_of_range_is_refused(client: Client, validity: float) -> None:
    response = client.send("POST", "/recipe/jwt", json=body(validity=validity))
    assert (response.status_code, response.text) == (400, "validity must be greater than or equal to 0")


@pytest.mark.parametrize("field", ["payload", "algorithm", "jwksDomain", "validity"])
def test_a_missing_field_is_named(client: Client, field: str) -> None:
    incomplete = {name: value for name, value in body().items() if name != field}
    response = client.send("POST", "/recipe/jwt", json=incomplete)
    assert (response.status_code, response.text) == (400, f"Field name '{field}' is invalid in JSON input")


def test_integers_beyond_64_bits_cannot_be_signed(client: Client) -> None:
    assert payload_of(client, payload={"a": 2**63 - 1})["a"] == 2**63 - 1
    response = client.send("POST", "/recipe/jwt", json=body(payload={"a": [{"b": 2**63}]}))
    assert (response.status_code, response.text) == (
        400,
        "Field name 'payload' has an integer of more than 64 bits",
    )


def test_the_name_of_the_algorithm_is_case_insensitive(client: Client) -> None:
    assert client.call("POST", "/recipe/jwt", body(algorithm="rs256"))["status"] == "OK"
    assert client.call("POST", "/recipe/jwt", body(algorithm="HS256")) == {
        "status": "UNSUPPORTED_ALGORITHM_ERROR"
    }


def test_no_token_of_an_oauth2_provider_is_active_here(client: Client) -> None:
    signed = client.call("POST", "/recipe/jwt", body(payload={"stt": 1}))["jwt"]
    for token in (signed, "made up", ""):
        assert client.call("POST", "/recipe/oauth/introspect", {"token": token}) == {
            "status": "OK",
            "active": False,
        }
