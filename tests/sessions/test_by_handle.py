"""Sessions of which only the handle is known: reading, changing and validating them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import STSession
from flask_stsession.claims import BooleanClaim, PrimitiveClaim, SessionClaimValidator
from flask_stsession.errors import ClaimValidationError, SessionDoesNotExistError

NO_SESSION = "no-such-session"

plan: PrimitiveClaim[str] = PrimitiveClaim("plan", lambda user_id, *_: f"plan of {user_id}")
second_factor = BooleanClaim("2fa", lambda *_: False)


@pytest.fixture
def ext(make_app: AppFactory, served_core: ServedCore) -> Iterator[STSession]:
    """Provide an extension object whose core counts, in an app context."""
    app = make_app(connection_uri=served_core.url, api_domain="https://api.example.com")
    with app.app_context():
        yield app.extensions["stsession"]


@pytest.fixture
def handle(ext: STSession, served_core: ServedCore) -> str:
    """Return the handle of a session of alice."""
    created = ext.create_new_session_without_request_response("alice", access_token_payload={"kept": 1})
    served_core.counted()
    return created.get_handle()


def stored(ext: STSession, handle: str) -> dict[str, Any]:
    """Return the payload that the core holds, without the issuer."""
    found = ext.get_session_information(handle)
    assert found is not None
    payload = dict(found.custom_claims_in_access_token_payload)
    del payload["iss"]
    return payload


def test_a_merge_by_handle_keeps_what_it_does_not_name(ext: STSession, handle: str) -> None:
    assert ext.merge_into_access_token_payload(handle, {"plan": "pro"}) is True
    assert stored(ext, handle) == {"kept": 1, "plan": "pro"}
    assert ext.merge_into_access_token_payload(handle, {"plan": None}) is True
    assert stored(ext, handle) == {"kept": 1}


def test_a_claim_is_fetched_set_and_removed_by_handle(ext: STSession, handle: str) -> None:
    assert ext.fetch_and_set_claim(plan, session_handle=handle) is True
    assert ext.get_claim_value(plan, session_handle=handle) == "plan of alice"
    assert ext.set_claim_value(plan, "pro", session_handle=handle) is True
    assert ext.get_claim_value(plan, session_handle=handle) == "pro"
    assert ext.set_claim_value(plan, None, session_handle=handle) is True
    assert ext.get_claim_value(plan, session_handle=handle) is None
    assert stored(ext, handle) == {"kept": 1}


def test_validation_by_handle_fetches_what_is_missing_and_stores_it_in_one_call(
    ext: STSession, handle: str, served_core: ServedCore
) -> None:
    asked: list[str] = []

    def override(
        validators: list[SessionClaimValidator], session: Any, context: dict[str, Any]
    ) -> list[SessionClaimValidator]:
        asked.append(session.user_id)
        assert context["stsession"] is not None
        return [*validators, plan.validators.has_value("other"), second_factor.validators.is_false()]

    failed = ext.validate_claims_for_session_handle(handle, override_global_claim_validators=override)
    assert failed == [
        ClaimValidationError(
            "plan",
            {"message": "wrong value", "expectedValue": "other", "actualValue": "plan of alice"},
        )
    ]
    assert asked == ["alice"]
    assert served_core.counted()["PUT /recipe/jwt/data"] == 1
    assert set(stored(ext, handle)) == {"kept", "plan", "2fa"}


def test_a_handle_without_a_session_is_false_for_changes_and_an_error_for_reads(ext: STSession) -> None:
    assert ext.get_session_information(NO_SESSION) is None
    assert ext.update_session_data_in_database(NO_SESSION, {}) is False
    assert ext.merge_into_access_token_payload(NO_SESSION, {"x": 1}) is False
    assert ext.fetch_and_set_claim(plan, session_handle=NO_SESSION) is False
    assert ext.set_claim_value(plan, "pro", session_handle=NO_SESSION) is False
    assert ext.remove_claim(plan, session_handle=NO_SESSION) is False
    with pytest.raises(SessionDoesNotExistError) as caught:
        ext.get_claim_value(plan, session_handle=NO_SESSION)
    assert str(caught.value) == (
        "There is no session with the handle 'no-such-session': it has ended or never existed."
    )
    with pytest.raises(SessionDoesNotExistError):
        ext.validate_claims_for_session_handle(NO_SESSION)


# Several writers


def test_an_administrators_change_is_not_undone_by_the_users_next_request(
    ext: STSession,
) -> None:
    session = ext.create_new_session_without_request_response("alice", access_token_payload={"kept": 1})
    ext.merge_into_access_token_payload(session.get_handle(), {"banned": True, "kept": None})
    session.merge_into_access_token_payload({"colour": "red"})
    assert stored(ext, session.get_handle()) == {"banned": True, "colour": "red"}
    payload = session.get_access_token_payload()
    assert (payload["banned"], payload["colour"]) == (True, "red")
    assert "kept" not in payload


def test_a_refetched_claim_does_not_undo_what_another_request_has_set(ext: STSession) -> None:
    session = ext.create_new_session_without_request_response("alice")
    ext.set_claim_value(second_factor, True, session_handle=session.get_handle())
    session.assert_claims([plan.validators.has_value("plan of alice")])
    assert session.get_claim_value(second_factor) is True
    assert ext.get_claim_value(second_factor, session_handle=session.get_handle()) is True


def test_validation_by_handle_does_not_undo_what_was_set_while_it_fetched(
    ext: STSession, handle: str
) -> None:
    slow: PrimitiveClaim[str] = PrimitiveClaim(
        "slow", lambda *_: str(ext.merge_into_access_token_payload(handle, {"banned": True}))
    )
    ext.validate_claims_for_session_handle(
        handle, override_global_claim_validators=lambda *_: [slow.validators.has_value("True")]
    )
    assert stored(ext, handle)["banned"] is True


def test_of_fifty_concurrent_writers_of_different_keys_none_loses_a_change(ext: STSession) -> None:
    created = ext.create_new_session_without_request_response("alice")
    handle, access_token = created.get_handle(), created.get_access_token()
    token = ext.manager.verifier.verify(access_token)
    assert token is not None

    def write(number: int) -> None:
        if number % 2:
            ext.manager.by_handle.merge_payload(handle, {f"key-{number}": number})
        else:
            ext.manager.verify(token).merge_into_access_token_payload({f"key-{number}": number})

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(write, range(50)))
    assert stored(ext, handle) == {f"key-{number}": number for number in range(50)}
