"""What a token is, and why a guard would refuse it, in words."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from support.app_factory import NO_CORE, AppFactory
from support.commands import json_of, run_on
from support.signing import ABSENT, Signer

from flask_stsession import STSession
from flask_stsession.claims import BooleanClaim, ClaimValidationResult, SessionClaimValidator
from flask_stsession.sessions.session import Session

SecondFactor = BooleanClaim(key="2fa", fetch_value=lambda user_id, tenant_id, context: False)


def new_session(app: Flask, user_id: str = "alice", **options: Any) -> Session:
    """Create a session without a request."""
    stsession: Any = app.extensions["stsession"]
    assert isinstance(stsession, STSession)
    with app.app_context():
        return stsession.create_new_session_without_request_response(user_id, **options)


def inspected(app: Flask, token: str, *, accepted: bool = False) -> dict[str, Any]:
    """Return what the command says of a token, as JSON."""
    found: dict[str, Any] = json_of(
        run_on(app, "token", "inspect", "--json", given=token), exit_code=0 if accepted else 1
    )
    assert found["accepted"] is accepted
    return found


def refusal_of(app: Flask, token: str) -> tuple[str, int, str]:
    """Return reason, status and message of a refused token."""
    found = inspected(app, token)
    return found["reason"], found["status"], found["message"]


def test_a_good_token_is_decoded_and_accepted(app: Flask) -> None:
    session = new_session(app, access_token_payload={"plan": "pro"})
    found = inspected(app, session.get_access_token(), accepted=True)
    assert (found["kind"], found["reason"], found["status"]) == ("access_token", None, None)
    assert found["session_handle"] == session.get_handle()
    assert (found["user_id"], found["recipe_user_id"], found["tenant_id"]) == ("alice", "alice", "public")
    assert found["payload"]["plan"] == "pro"
    assert found["header"]["alg"] == "RS256"
    assert found["issued_at"] < found["expires_at"]


def test_inspecting_leaves_a_refresh_as_it_is(app: Flask) -> None:
    """Verifying a new token at the core would make the refresh final; the old refresh token still works."""
    stsession: Any = app.extensions["stsession"]
    session = new_session(app)
    old = session.get_all_session_tokens_dangerously()["refreshToken"]
    with app.app_context():
        refreshed = stsession.refresh_session_without_request_response(old)
    inspected(app, refreshed.get_access_token(), accepted=True)
    with app.app_context():
        assert stsession.manager.client.refresh_session(old).session.handle == session.get_handle()


def test_a_changed_token_is_not_genuine(app: Flask) -> None:
    token = new_session(app).get_access_token()
    reason, status, message = refusal_of(app, token[:-8] + "AAAAAAAA")
    assert (reason, status) == ("bad_signature", 401)
    assert message.startswith("The signature of the access token is not that of key d-")


def test_a_token_of_another_core_is_signed_with_an_unknown_key(make_app: AppFactory) -> None:
    app, other = make_app(), make_app(name="other", connection_uri="embedded::memory:")
    reason, status, message = refusal_of(app, new_session(other).get_access_token())
    assert (reason, status) == ("unknown_kid", 401)
    assert message.startswith("The core has no signing key d-")


def test_the_wrong_kind_of_key_is_named(make_app: AppFactory) -> None:
    app = make_app()
    static = make_app(name="static", use_dynamic_access_token_signing_key=False)
    reason, _, message = refusal_of(static, new_session(app).get_access_token())
    assert reason == "key_type_mismatch"
    assert "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY" in message


def test_an_expired_token_is_refreshed_where_the_app_has_the_route(make_app: AppFactory) -> None:
    app = make_app(api_base_path="/st", session_expired_status_code=440)
    expired = Signer().token(exp=1)
    found = inspected(app, expired)
    assert (found["reason"], found["status"]) == ("expired", 440)
    assert found["remedy"] == "Refresh the session: POST /st/session/refresh with its refresh token."
    assert found["expires_at"] == "1970-01-01T00:00:01+00:00"


@pytest.mark.parametrize("by_this_process", [True, False])
def test_the_token_of_a_revoked_session_is_refused(app: Flask, by_this_process: bool) -> None:
    session = new_session(app)
    stsession: Any = app.extensions["stsession"]
    with app.app_context():
        if by_this_process:
            stsession.revoke_session(session.get_handle())
        else:
            stsession.manager.client.revoke_sessions([session.get_handle()])
    reason, status, message = refusal_of(app, session.get_access_token())
    assert (reason, status) == ("session_ended", 401)
    assert message.startswith("The session has ended: ")


def test_global_validators_count_where_they_need_not_fetch(make_app: AppFactory) -> None:
    fetched: list[str] = []

    def fetch(user_id: str, tenant_id: str, context: object) -> bool:
        fetched.append(user_id)
        return False

    missing = BooleanClaim(key="missing", fetch_value=fetch)
    app = make_app(
        claims=[SecondFactor],
        global_claim_validators=[SecondFactor.validators.is_true(), missing.validators.is_true()],
        invalid_claim_status_code=420,
    )
    reason, status, message = refusal_of(app, new_session(app).get_access_token())
    assert (reason, status) == ("claims_invalid", 420)
    assert message == (
        'The session fails global validators (2fa: {"message": "wrong value", "expectedValue": true, '
        '"actualValue": false}).'
    )
    assert fetched == []


def test_an_override_of_the_validators_may_look_at_the_request(make_app: AppFactory) -> None:
    class Strict(STSession):
        def get_global_claim_validators(self, **options: Any) -> list[Any]:
            return [SecondFactor.validators.is_true()] if request.path == "/" else []

    app = make_app(extension=Strict, claims=[SecondFactor])
    assert refusal_of(app, new_session(app).get_access_token())[0] == "claims_invalid"


def test_an_unreachable_core_is_not_the_fault_of_the_token(make_app: AppFactory) -> None:
    app = make_app()
    token = new_session(app).get_access_token()
    alone = make_app(name="alone", connection_uri=NO_CORE["STSESSION_CONNECTION_URI"])
    found = inspected(alone, token)
    assert (found["reason"], found["status"], found["user_id"]) == ("keys_unavailable", 503, "alice")
    assert NO_CORE["STSESSION_CONNECTION_URI"] in found["message"]


NOT_A_JWT = (
    "This is not a JWT. A JWT is three parts of base64url with dots between them, the first two of them JSON."
)
NO_VERSION = (
    "This JWT has no version in its header, so no core made it for a session. The tokens of identity "
    "providers and of create_jwt() are not session tokens."
)
OTHER_FORM = (
    "This JWT is not the access token of a session: a field of its header or payload has the wrong form."
)
SIGNER = Signer()


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        pytest.param("abc", "unknown", NOT_A_JWT, id="text"),
        pytest.param("\xff.\xff.x", "unknown", NOT_A_JWT, id="not ASCII"),
        pytest.param("e30.W10.x", "unknown", NOT_A_JWT, id="a list as payload"),
        pytest.param(f"{'W' * 3000}.e30.x", "unknown", NOT_A_JWT, id="too many brackets"),
        pytest.param(SIGNER.token(header={"version": ABSENT}), "jwt", NO_VERSION, id="no version"),
        pytest.param(SIGNER.token(header={"kid": 5}), "jwt", OTHER_FORM, id="a number as kid"),
        pytest.param(SIGNER.token(sub=5), "jwt", OTHER_FORM, id="a number as sub"),
        pytest.param(
            SIGNER.token(stt=1),
            "jwt",
            "This is an access token of the core's OAuth2 provider, not of a session.",
            id="OAuth2",
        ),
        pytest.param(
            SIGNER.token(sessionHandle=ABSENT, rsub=ABSENT),
            "jwt",
            "This JWT lacks sessionHandle, rsub in its payload, which the token of a session has.",
            id="missing fields",
        ),
    ],
)
def test_what_is_not_the_token_of_a_session_is_malformed(
    app: Flask, value: str, kind: str, message: str
) -> None:
    assert refusal_of(app, value) == ("malformed", 401, message)
    assert inspected(app, value)["kind"] == kind


def test_a_refresh_token_is_recognised(make_app: AppFactory) -> None:
    app = make_app(cookie_prefix="shop_")
    token = new_session(app).get_all_session_tokens_dangerously()["refreshToken"]
    found = inspected(app, token)
    assert (found["kind"], found["reason"]) == ("refresh_token", "malformed")
    assert found["message"] == "This is a refresh token, which only the core can read."
    assert found["remedy"] == (
        "Guards take access tokens: the header st-access-token, or the cookie shop_sAccessToken."
    )


def test_a_jwt_of_the_app_itself_is_not_a_session_token(app: Flask) -> None:
    stsession: Any = app.extensions["stsession"]
    with app.app_context():
        token = stsession.create_jwt({"sub": "alice"})
    assert refusal_of(app, token) == ("malformed", 401, NO_VERSION)


def test_a_missing_token_is_refused_with_a_message(app: Flask) -> None:
    assert refusal_of(app, " \n") == ("no_token", 401, "There is no token.")


@pytest.mark.parametrize("expiry", [1e300, -1e300, True])
def test_times_that_are_out_of_range_are_left_out(app: Flask, expiry: Any) -> None:
    assert inspected(app, SIGNER.token(exp=expiry))["expires_at"] is None


def test_a_token_that_is_too_long_is_malformed(app: Flask, make_app: AppFactory) -> None:
    long = SIGNER.token(more="x" * 20_000)
    assert refusal_of(app, long) == (
        "malformed",
        401,
        f"This JWT has {len(long)} characters, more than STSESSION_MAX_ACCESS_TOKEN_BYTES allows.",
    )
    patient = make_app(name="patient", max_access_token_bytes=100_000)
    assert refusal_of(patient, long)[0] == "expired"
    malformed = SIGNER.token(more="x" * 20_000, sessionHandle=5)
    assert "wrong form" in refusal_of(patient, malformed)[2]


def test_validators_may_be_asynchronous(make_app: AppFactory) -> None:
    class Asynchronous(SessionClaimValidator):
        claim = SecondFactor

        async def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
            return self.id == "fetched"

        async def validate(
            self, payload: dict[str, Any], user_context: dict[str, Any]
        ) -> ClaimValidationResult:
            return ClaimValidationResult(False, self.id)

    validators = [Asynchronous("fetched"), Asynchronous("checked")]
    app = make_app(global_claim_validators=validators)
    _, _, message = refusal_of(app, new_session(app).get_access_token())
    assert message == 'The session fails global validators (checked: "checked").'
