"""Keys of the session's own: dropped when a session is made, refused in every later change."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, g
from hypothesis import HealthCheck, given, settings, strategies as st
from support.app_factory import AppFactory
from support.guarded_app import Client

from flask_stsession import (
    ProtectedClaimError,
    Session,
    create_new_session_without_request_response,
    fetch_and_set_claim,
    get_session_information,
    merge_into_access_token_payload,
    remove_claim,
    set_claim_value,
    sync_get_claim_value,
    validate_claims_for_session_handle,
    verify_session,
)
from flask_stsession.claims import ClaimValidationResult, PrimitiveClaim, SessionClaim, SessionClaimValidator
from flask_stsession.constants import PROTECTED_CLAIMS

LOGGER = "flask_stsession"


class Forger(SessionClaim[str]):
    """A claim that writes where it should not.

    :param victim: the key that it really writes to.
    """

    def __init__(self, victim: str) -> None:
        super().__init__("forger", lambda *_: "mallory")
        self.victim = victim

    def add_to_payload_(
        self, payload: dict[str, Any], value: str, user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {**payload, self.victim: value}


class Forged(SessionClaimValidator):
    """Always has its claim fetched."""

    def __init__(self, claim: SessionClaim[Any]) -> None:
        super().__init__("forged")
        self.claim = claim

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        return True

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(True)


def refusal(key: str) -> str:
    return "^" + re.escape(
        f"The key {key!r} of the access token payload belongs to the session itself and cannot be set or "
        "removed; choose another key."
    )


def dropped(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the keys that the one log record names."""
    (message,) = (record.getMessage() for record in caplog.records if record.name == LOGGER)
    beginning = "Keys of access_token_payload that belong to the session itself were dropped: "
    assert message.startswith(beginning)
    assert message.endswith(".")
    return message[len(beginning) : -1].split(", ")


def test_protected_keys_are_dropped_at_creation_and_named_in_the_log(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    given_keys = dict.fromkeys(PROTECTED_CLAIMS, "forged")
    with caplog.at_level(logging.WARNING, LOGGER):
        client = Client(app, "alice", access_token_payload={**given_keys, "theme": "dark"})
    payload = client.get("/user").get_json()["payload"]
    assert "forged" not in payload.values()
    assert (payload["sub"], payload["theme"]) == ("alice", "dark")
    assert sorted(dropped(caplog)) == sorted(PROTECTED_CLAIMS)


@pytest.mark.parametrize("key", PROTECTED_CLAIMS)
def test_a_claim_built_at_creation_cannot_set_a_protected_key(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        client = Client(make_app(claims=[Forger(key)]))
    assert client.get("/user").get_json()["payload"].get(key) != "mallory"
    assert dropped(caplog) == [key]


CHANGES: dict[str, Callable[[Session, str], object]] = {
    "merge": lambda session, key: session.merge_into_access_token_payload({"a": 1, key: "mallory"}),
    "removal": lambda session, key: session.merge_into_access_token_payload({key: None}),
    "set": lambda session, key: session.set_claim_value(Forger(key), "mallory"),
    "fetch": lambda session, key: session.fetch_and_set_claim(Forger(key)),
    "validator": lambda session, key: session.assert_claims([Forged(Forger(key))]),
    "merge by handle": lambda session, key: merge_into_access_token_payload(
        session.get_handle(), {"a": 1, key: "mallory"}
    ),
    "set by handle": lambda session, key: set_claim_value(
        Forger(key), "mallory", session_handle=session.get_handle()
    ),
    "fetch by handle": lambda session, key: fetch_and_set_claim(
        Forger(key), session_handle=session.get_handle()
    ),
    "validator by handle": lambda session, key: validate_claims_for_session_handle(
        session.get_handle(), override_global_claim_validators=lambda *_: [Forged(Forger(key))]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_later_change_of_a_protected_key_is_refused_by_its_name(
    app: Flask, change: Callable[[Session, str], object]
) -> None:
    refused: list[str] = []

    @app.get("/change")
    @verify_session()
    def change_all() -> dict[str, Any]:
        before = g.session.get_access_token_payload()
        for key in PROTECTED_CLAIMS:
            with pytest.raises(ProtectedClaimError, match=refusal(key)):
                change(g.session, key)
            refused.append(key)
        assert g.session.get_access_token_payload() == before
        found = get_session_information(g.session.get_handle())
        assert found is not None
        assert "mallory" not in found.custom_claims_in_access_token_payload.values()
        return {}

    app.testing = True
    response = Client(app).get("/change")
    assert response.status_code == 200
    assert "st-access-token" not in response.headers
    assert refused == list(PROTECTED_CLAIMS)


@pytest.mark.parametrize("key", PROTECTED_CLAIMS)
def test_no_claim_has_a_protected_key(key: str) -> None:
    with pytest.raises(ProtectedClaimError, match=refusal(key)):
        PrimitiveClaim(key, lambda *_: "mallory")


# Whatever values there are

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(
    texts.filter(lambda key: key not in (*PROTECTED_CLAIMS, "claim", "iss")),
    json_values.filter(lambda value: value is not None),
    max_size=4,
)
claim_values = json_values.filter(lambda value: value is not None)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=payloads, value=claim_values, other=claim_values)
def test_a_claim_is_set_and_removed_without_a_trace(
    app: Flask, payload: dict[str, Any], value: Any, other: Any
) -> None:
    claim: SessionClaim[Any] = SessionClaim("claim", lambda *_: value)
    with app.app_context():
        session = create_new_session_without_request_response("alice", access_token_payload=payload)
        bare = session.get_access_token_payload()
        assert {key: bare[key] for key in payload} == payload
        session.fetch_and_set_claim(claim)
        assert session.get_claim_value(claim) == value
        session.set_claim_value(claim, other)
        assert session.get_claim_value(claim) == other
        session.remove_claim(claim)
        assert session.get_claim_value(claim) is None
        assert own(session.get_access_token_payload()) == own(bare) == payload
        handle = session.get_handle()
        assert fetch_and_set_claim(claim, session_handle=handle)
        assert sync_get_claim_value(claim, session_handle=handle) == value
        assert remove_claim(claim, session_handle=handle)
        found = get_session_information(handle)
        assert found is not None
        assert own(found.custom_claims_in_access_token_payload) == payload


def own(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key not in PROTECTED_CLAIMS}
