"""The claim about login factors: what completes one, which are needed, and what a refusal says."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.clients import signed_in

from flask_stsession import (
    ConfigError,
    STSession,
    create_new_session_without_request_response,
    verify_session,
)
from flask_stsession.claims import ClaimValidationResult, MFAClaimValue, MultiFactorAuthClaim
from flask_stsession.claims.base import NOW_MS, VALID

NOW = 1_700_000_000_000
BY_LIST = MultiFactorAuthClaim.validators.has_completed_requirement_list
FOR_AUTH = MultiFactorAuthClaim.validators.has_completed_mfa_requirements_for_auth


#: What a list of requirements holds, as messages say it.
KINDS = 'ids of factors, {"oneOf": [ids]} and {"allOfInAnyOrder": [ids]}'
WRONG: tuple[Any, ...] = (
    "",
    7,
    {},
    {"oneof": ["a"]},
    {"oneOf": []},
    {"oneOf": "ab"},
    {"oneOf": [7]},
    {"oneOf": ["a"], "allOfInAnyOrder": ["b"]},
)


def stored(*factors: str, v: bool = False) -> dict[str, Any]:
    """Return a payload of a session that has completed these factors."""
    return {"st-mfa": {"c": dict.fromkeys(factors, 1), "v": v}}


def guarded(make_app: AppFactory, requirements: Any = None, **keywords: Any) -> Flask:
    """Return an app that needs these factors: ``/complete/<factor>``, ``/for-auth`` and ``/by-list``."""
    app = make_app(token_transfer_method="cookie", **keywords)
    ext: STSession = app.extensions["stsession"]
    if requirements is not None:
        ext.mfa_requirements(requirements if callable(requirements) else lambda *_: requirements)

    @app.post("/complete/<factor>")
    @verify_session(override_global_claim_validators=lambda *_: [])
    def complete(factor: str) -> dict[str, Any]:
        g.session.complete_factor(factor)
        return {"value": g.session.get_claim_value(MultiFactorAuthClaim)}

    @app.get("/for-auth")
    @verify_session(validators=[FOR_AUTH()])
    def for_auth() -> dict[str, str]:
        return {"status": "OK"}

    @app.get("/by-list")
    @verify_session(validators=[BY_LIST(["totp"])])
    def by_list() -> dict[str, str]:
        return {"status": "OK"}

    return app


def claim_of(client: FlaskClient) -> Any:
    """Return the claim in the client's access token."""
    return client.get("/user").get_json()["payload"].get("st-mfa")


# Completing factors


def test_a_completed_factor_is_stored_with_its_time_in_seconds(make_app: AppFactory) -> None:
    client = signed_in(guarded(make_app, ["totp"]))
    before = int(time.time())
    value = client.post("/complete/totp").get_json()["value"]
    assert before <= value["c"]["totp"] <= time.time()
    assert claim_of(client) == value == {"c": {"totp": value["c"]["totp"]}, "v": True}


def test_factors_add_up_until_the_requirements_are_satisfied(make_app: AppFactory) -> None:
    app = guarded(make_app, ["password", {"oneOf": ["totp", "otp-email"]}], claims=[MultiFactorAuthClaim])
    client = signed_in(app, access_token_payload={"st-mfa": {"c": {"password": 7}, "v": True}})
    assert claim_of(client) == {"c": {"password": 7}, "v": False}
    refused = client.get("/for-auth")
    assert (refused.status_code, refused.get_json()) == (
        403,
        {
            "message": "invalid claim",
            "claimValidationErrors": [
                {"id": "st-mfa", "reason": {"message": "MFA requirement for auth is not satisfied"}}
            ],
        },
    )
    value = client.post("/complete/otp-email").get_json()["value"]
    assert (value["c"].keys(), value["v"]) == ({"password", "otp-email"}, True)
    assert client.get("/for-auth").get_json() == {"status": "OK"}


def test_a_factor_that_another_request_completed_meanwhile_is_kept(make_app: AppFactory) -> None:
    app = guarded(make_app, ["totp", "otp-email"])
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        first = create_new_session_without_request_response("alice")
        second = ext.verify_access_token(first.get_access_token())
        first.complete_factor("totp")
        second.complete_factor("otp-email")
        value = second.get_claim_value(MultiFactorAuthClaim)
    assert (value.c.keys(), value.v) == ({"totp", "otp-email"}, True)


def test_factors_completed_at_the_same_time_are_all_kept(make_app: AppFactory) -> None:
    app = guarded(make_app, [])
    names = [f"factor-{number}" for number in range(8)]
    with app.app_context():
        token = create_new_session_without_request_response("alice").get_access_token()

    def complete(name: str) -> None:
        with app.app_context():
            app.extensions["stsession"].verify_access_token(token).complete_factor(name)

    threads = [threading.Thread(target=complete, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        handle = ext.list_sessions("alice")[0].session_handle
        value = ext.get_claim_value(MultiFactorAuthClaim, session_handle=handle)
    assert sorted(value.c) == names


@pytest.mark.parametrize("factor", [None, "", 7])
def test_a_factor_is_named_by_text(make_app: AppFactory, factor: Any) -> None:
    with guarded(make_app, []).app_context():
        session = create_new_session_without_request_response("alice")
        with pytest.raises(TypeError) as caught:
            session.complete_factor(factor)
    assert str(caught.value) == f"factor_id must be a non-empty str, not {factor!r}."


def test_the_requirements_may_be_fetched_asynchronously_and_depend_on_user_and_tenant(
    make_app: AppFactory,
) -> None:
    async def requirements(user_id: str, tenant_id: str) -> list[str]:
        return [user_id, tenant_id]

    client = signed_in(guarded(make_app, requirements))
    assert client.post("/complete/alice").get_json()["value"]["v"] is False
    assert client.post("/complete/public").get_json()["value"]["v"] is True


def test_none_as_requirements_means_that_no_factor_is_needed(make_app: AppFactory) -> None:
    client = signed_in(guarded(make_app, lambda _user, _tenant: None, claims=[MultiFactorAuthClaim]))
    assert claim_of(client) == {"c": {}, "v": True}
    assert client.get("/for-auth").status_code == 200


# A claim that is missing


def test_a_session_without_the_claim_is_checked_as_one_that_has_completed_nothing(
    make_app: AppFactory,
) -> None:
    client = signed_in(guarded(make_app, ["totp"]))
    assert client.get("/for-auth").status_code == 403
    refused = client.get("/by-list")
    assert refused.get_json()["claimValidationErrors"] == [
        {
            "id": "st-mfa",
            "reason": {"message": "Factor validation failed: totp not completed", "factorId": "totp"},
        }
    ]


def test_a_list_needs_no_requirements_of_the_app(make_app: AppFactory) -> None:
    client = signed_in(guarded(make_app))
    assert client.get("/by-list").status_code == 403
    client.post("/complete/totp")
    assert client.get("/by-list").status_code == 200


def test_requirements_for_auth_that_the_app_does_not_define_are_an_error_rather_than_a_pass(
    make_app: AppFactory,
) -> None:
    app = guarded(make_app)
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        signed_in(app).get("/for-auth")
    assert str(caught.value) == (
        "has_completed_mfa_requirements_for_auth() would let every session pass, since the app does not say "
        "which factors a login needs: write @stsession.mfa_requirements above a function of (user_id, "
        "tenant_id) that returns them."
    )


@pytest.mark.parametrize(
    "value", [None, "x", [], {}, {"v": True}, {"c": [], "v": True}, {"c": "totp", "v": True}]
)
@pytest.mark.parametrize("validator", [FOR_AUTH(), BY_LIST(["totp"])])
def test_a_malformed_claim_counts_as_missing(value: Any, validator: Any) -> None:
    payload = {"st-mfa": value}
    assert validator.should_refetch(payload, {}) is True
    assert validator.validate(payload, {}).is_valid is False
    assert MultiFactorAuthClaim.get_value_from_payload(payload) is None


# The validators


@pytest.mark.parametrize(
    ("requirements", "completed", "reason"),
    [
        ([], (), None),
        (["totp"], ("totp",), None),
        (["password", "totp"], ("password",), "totp"),
        (["password", "totp"], ("totp",), "password"),
        ([{"oneOf": ["totp", "otp-email"]}], ("otp-email",), None),
        ([{"allOfInAnyOrder": ["totp", "otp-email"]}], ("otp-email", "totp"), None),
        (("a", {"oneOf": ("b", "c")}, "d"), ("a", "c", "d"), None),
    ],
)
def test_the_first_requirement_that_is_not_satisfied_decides(
    requirements: Any, completed: tuple[str, ...], reason: str | None
) -> None:
    result: Any = BY_LIST(requirements).validate(stored(*completed), {})
    assert (result is VALID) is (reason is None)
    assert (result.reason or {}).get("factorId") == reason


def test_a_group_is_reported_with_the_factors_that_are_missing() -> None:
    both: Any = BY_LIST(["password", {"allOfInAnyOrder": ["totp", "otp-email", "totp"]}])
    assert both.validate(stored("password"), {}) == ClaimValidationResult(
        False,
        {
            "message": "Some of the factors are not complete in the session: totp, otp-email",
            "allOfInAnyOrder": ["totp", "otp-email"],
        },
    )
    assert both.validate(stored("password", "totp"), {}).reason["allOfInAnyOrder"] == ["otp-email"]
    one: Any = BY_LIST([{"oneOf": ["totp", "otp-email"]}])
    assert one.validate(stored("password"), {}) == ClaimValidationResult(
        False,
        {
            "message": "None of these factors are complete in the session: totp, otp-email",
            "oneOf": ["totp", "otp-email"],
        },
    )


def test_only_true_satisfies_the_requirements_for_auth() -> None:
    assert FOR_AUTH().validate(stored(v=True), {}) is VALID
    for v in (False, 1, "true", None):
        payload: dict[str, Any] = {"st-mfa": {"c": {}, "v": v}}
        result: Any = FOR_AUTH().validate(payload, {})
        assert result.is_valid is False
        assert FOR_AUTH().should_refetch(payload, {}) is False


def test_the_id_of_a_validator_is_the_claims_key_unless_it_is_given() -> None:
    assert (FOR_AUTH().id, BY_LIST([]).id) == ("st-mfa", "st-mfa")
    assert (FOR_AUTH("second-factor").id, BY_LIST([], claim_key="list").id) == ("second-factor", "list")


@pytest.mark.parametrize(
    ("requirements", "message"),
    [
        ("totp", "a list of requirements, such as [\"totp\"], not 'totp'."),
        (True, 'a list of requirements, such as ["totp"], not True.'),
        *[([wrong], f"{KINDS} as requirements, not {wrong!r}.") for wrong in WRONG],
    ],
)
def test_requirements_that_would_ask_for_nothing_are_refused(requirements: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        BY_LIST(requirements)
    assert str(caught.value) == f"has_completed_requirement_list takes {message}"
    returned = SimpleNamespace(mfa_requirements_of=lambda *_: requirements)
    with pytest.raises(TypeError) as caught:
        MultiFactorAuthClaim.build("alice", "public", {"stsession": returned})
    assert str(caught.value) == f"mfa_requirements must return {message}"


def test_where_no_app_says_what_a_login_needs_the_token_alone_counts() -> None:
    context = {"stsession": SimpleNamespace()}
    assert FOR_AUTH().validate(stored("totp", v=True), context) is VALID
    assert MultiFactorAuthClaim.build("alice", "public", context) == {}


# The value


def test_the_value_is_json_with_the_attributes_of_supertokens_python() -> None:
    value = MFAClaimValue(c={"totp": 7}, v=True)
    assert (value.c, value.v) == ({"totp": 7}, True)
    assert json.dumps(value) == '{"c": {"totp": 7}, "v": true}'
    copied = copy.deepcopy(value)
    assert copied == value == {"c": {"totp": 7}, "v": True}
    assert copied.c is not value.c


def test_a_value_that_is_added_keeps_the_factors_of_the_payload() -> None:
    added = MultiFactorAuthClaim.add_to_payload_(stored("password"), {"c": {"totp": 2}, "v": True})
    assert added == {"st-mfa": {"c": {"password": 1, "totp": 2}, "v": True}}
    assert MultiFactorAuthClaim.get_last_refetch_time(added, {NOW_MS: NOW}) is None
    assert MultiFactorAuthClaim.remove_from_payload(added) == {}
    assert MultiFactorAuthClaim.remove_from_payload_by_merge_({}) == {"st-mfa": None}


@pytest.mark.parametrize("make", [dict, lambda value: MFAClaimValue(**value)])
def test_a_view_may_set_the_claim_itself(
    make_app: AppFactory, make: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    with guarded(make_app).app_context():
        session = create_new_session_without_request_response("alice")
        session.set_claim_value(MultiFactorAuthClaim, make({"c": {"totp": 7}, "v": True}))
        assert session.get_access_token_payload()["st-mfa"] == {"c": {"totp": 7}, "v": True}
