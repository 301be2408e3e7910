"""The built-in claims: the sources of their values, how soon a change counts, and outages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask, g, request
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import (
    ConfigError,
    InvalidClaimsError,
    STSession,
    create_new_session_without_request_response,
    emailverification,
    fetch_and_set_claim,
    sync_get_claim_value,
    userroles,
    validate_claims_for_session_handle,
    verify_session,
)
from flask_stsession.claims import (
    AllowedDomainsClaim,
    AuthTimeClaim,
    ClaimValidationResult,
    EmailVerificationClaim,
    PermissionClaim,
    PrimitiveClaim,
    SessionClaim,
    UserRoleClaim,
)
from flask_stsession.claims.base import NOW_MS
from flask_stsession.claims.validation import quick_checks, surely_pass
from flask_stsession.multitenancy import create_or_update_tenant
from flask_stsession.signals import claims_invalid

ROLES: tuple[SessionClaim[Any], ...] = (UserRoleClaim, PermissionClaim)
ALL: tuple[SessionClaim[Any], ...] = (AuthTimeClaim, EmailVerificationClaim, *ROLES)
CLAIMS = {claim.key: claim for claim in ALL}


@pytest.fixture
def core(served_core: ServedCore) -> ServedCore:
    """Return a core over HTTP that counts its requests, and can be stopped."""
    return served_core


def prepared(make_app: AppFactory, **keywords: Any) -> Flask:
    """Return an app with two more views: ``/merge`` into the payload, and ``/again`` fetches a claim."""
    app = make_app(token_transfer_method="cookie", **keywords)

    @app.post("/merge")
    @verify_session()
    def merge() -> dict[str, str]:
        g.session.merge_into_access_token_payload(request.get_json())
        return {}

    @app.post("/again/<key>")
    @verify_session(override_global_claim_validators=lambda *_: [])
    def again(key: str) -> dict[str, str]:
        fetch_and_set_claim(CLAIMS[key])
        return {}

    return app


def guarded(app: Flask, **options: Any) -> None:
    """Add a view ``/guarded``."""

    @app.get("/guarded")
    @verify_session(**options)
    def view() -> dict[str, str]:
        return {"status": "OK"}


def signed_in(app: Flask, **options: Any) -> FlaskClient:
    """Return a client with a session of alice."""
    client = app.test_client()
    assert client.post("/login", json=options).status_code == 200
    return client


def give(app: Flask, role: str = "admin", *permissions: str) -> None:
    """Let alice have a role."""
    with app.app_context():
        userroles.create_new_role_or_add_permissions(role, permissions)
        userroles.add_role_to_user("alice", role)


def elsewhere(make_app: AppFactory, change: Callable[[], Any]) -> None:
    """Change something in the core behind the back of the app: by another one, with caches of its own."""
    with make_app(name="elsewhere").app_context():
        change()


def verify_address(user_id: str, email: str) -> None:
    """Have a user prove the address."""
    token = emailverification.create_email_verification_token(user_id, email=email)
    assert token is not None
    assert emailverification.verify_email_using_token(token) is not None


def payload_of(client: FlaskClient) -> dict[str, Any]:
    """Return the payload of the client's session."""
    payload: dict[str, Any] = client.get("/user").get_json()["payload"]
    return payload


def make_older(client: FlaskClient, seconds: int) -> None:
    """Put the time at which all claims of the client's session were fetched back."""
    aged = {
        key: {**value, "t": value["t"] - seconds * 1000}
        for key, value in payload_of(client).items()
        if key in CLAIMS
    }
    assert client.post("/merge", json=aged).status_code == 200


# The sources of the values


def test_roles_and_permissions_are_built_into_a_new_session_from_the_core(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES)
    give(app, "admin", "read", "delete")
    give(app, "editor", "read", "write")
    payload = payload_of(signed_in(app))
    assert sorted(payload["st-role"]["v"]) == ["admin", "editor"]
    assert sorted(payload["st-perm"]["v"]) == ["delete", "read", "write"]


def test_a_user_without_roles_has_empty_claims(make_app: AppFactory) -> None:
    payload = payload_of(signed_in(prepared(make_app, claims=ROLES)))
    assert (payload["st-role"]["v"], payload["st-perm"]["v"]) == ([], [])


def test_roles_are_those_of_the_tenant_of_the_session(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES)
    give(app, "admin")
    with app.app_context():
        create_or_update_tenant("customer1")
    assert payload_of(signed_in(app, tenant_id="customer1"))["st-role"]["v"] == []
    assert payload_of(signed_in(app))["st-role"]["v"] == ["admin"]


def test_loaders_take_the_place_of_the_core(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES)
    give(app, "admin", "delete")
    ext: STSession = app.extensions["stsession"]

    @ext.roles_loader
    def roles(user_id: str, tenant_id: str) -> tuple[str, ...]:
        return (f"{user_id} of {tenant_id}",)

    @ext.permissions_loader
    def permissions(user_id: str, tenant_id: str) -> set[str]:
        return {"knock"}

    payload = payload_of(signed_in(app))
    assert payload["st-role"]["v"] == ["alice of public"]
    assert payload["st-perm"]["v"] == ["knock"]


def test_permissions_follow_the_roles_that_a_loader_returns(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES)
    give(app, "admin", "delete")
    ext: STSession = app.extensions["stsession"]

    @ext.roles_loader
    async def roles(user_id: str, tenant_id: str) -> list[str]:
        return ["admin", "a role that the core does not know"]

    assert payload_of(signed_in(app))["st-perm"]["v"] == ["delete"]


def test_a_guard_fetches_claims_that_the_session_lacks(make_app: AppFactory) -> None:
    app = prepared(make_app)
    guarded(app, roles="admin")
    client = signed_in(app)
    assert client.get("/guarded").status_code == 403
    give(app, "admin")
    client = signed_in(app)
    response = client.get("/guarded")
    assert response.get_json() == {"status": "OK"}
    assert response.headers.get("front-token")
    assert payload_of(client)["st-role"]["v"] == ["admin"]


def test_a_built_in_claim_fetched_outside_of_an_app_names_the_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        UserRoleClaim.build("alice")
    assert str(caught.value) == (
        "A built-in claim was fetched outside of an app. Fetch it in a request, or in "
        "'with app.app_context():' of an app with STSession."
    )


def test_in_an_app_context_a_claim_can_be_built_by_hand(make_app: AppFactory) -> None:
    app = prepared(make_app)
    give(app, "admin", "delete")
    with app.app_context():
        assert UserRoleClaim.build("alice", "public")["st-role"]["v"] == ["admin"]
        assert PermissionClaim.build("alice")["st-perm"]["v"] == ["delete"]


# How soon a change counts


def test_with_a_maximal_age_of_0_a_removed_role_is_gone_on_the_next_request(
    make_app: AppFactory,
) -> None:
    app = prepared(make_app, claims=ROLES)
    guarded(app, roles="admin", max_age_in_sec=0)
    give(app, "admin")
    client = signed_in(app)
    assert client.get("/guarded").status_code == 200
    elsewhere(make_app, lambda: userroles.remove_user_role("alice", "admin"))
    response = client.get("/guarded")
    assert response.status_code == 403
    assert response.get_json() == {
        "message": "invalid claim",
        "claimValidationErrors": [
            {
                "id": "st-role",
                "reason": {"message": "wrong value", "expectedToInclude": "admin", "actualValue": []},
            }
        ],
    }


@pytest.mark.parametrize("through", ["roles", "permissions"])
def test_a_removed_role_is_gone_after_the_maximal_age_of_the_guard(
    make_app: AppFactory, through: str
) -> None:
    app = prepared(make_app, claims=ROLES)
    guarded(app, **{through: "admin" if through == "roles" else "delete"}, max_age_in_sec=60)
    give(app, "admin", "delete")
    client = signed_in(app)
    elsewhere(make_app, lambda: userroles.remove_user_role("alice", "admin"))
    assert client.get("/guarded").status_code == 200
    make_older(client, 50)
    assert client.get("/guarded").status_code == 200
    make_older(client, 11)
    assert client.get("/guarded").status_code == 403


def test_the_configured_maximal_age_counts_for_a_guard_without_one(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES, claim_max_age_seconds=60)
    guarded(app, roles="admin")
    give(app, "admin")
    client = signed_in(app)
    elsewhere(make_app, lambda: userroles.remove_user_role("alice", "admin"))
    make_older(client, 50)
    assert client.get("/guarded").status_code == 200
    make_older(client, 11)
    assert client.get("/guarded").status_code == 403


def test_without_a_maximal_age_only_a_missing_claim_is_fetched(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES, claim_max_age_seconds=None)
    guarded(app, roles="admin")
    give(app, "admin")
    client = signed_in(app)
    elsewhere(make_app, lambda: userroles.remove_user_role("alice", "admin"))
    make_older(client, 1000000)
    assert client.get("/guarded").status_code == 200


def test_permissions_of_a_role_may_come_from_the_cache_except_with_a_maximal_age_of_0(
    make_app: AppFactory,
) -> None:
    app = prepared(make_app, claims=ROLES)
    guarded(app, permissions="delete", max_age_in_sec=60)

    @app.get("/now")
    @verify_session(permissions="delete", max_age_in_sec=0)
    def now() -> dict[str, str]:
        return {}

    give(app, "admin", "delete")
    client = signed_in(app)
    elsewhere(make_app, lambda: userroles.remove_permissions_from_role("admin", "delete"))
    make_older(client, 61)
    assert client.get("/guarded").status_code == 200
    assert client.get("/now").status_code == 403


def test_a_change_by_this_app_is_never_hidden_by_the_cache(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=ROLES)
    guarded(app, permissions="delete", max_age_in_sec=60)
    give(app, "admin", "delete")
    client = signed_in(app)
    with app.app_context():
        userroles.remove_permissions_from_role("admin", "delete")
    make_older(client, 61)
    assert client.get("/guarded").status_code == 403


# The calls that it takes


def test_all_refetched_claims_are_stored_in_one_call(make_app: AppFactory, core: ServedCore) -> None:
    app = prepared(
        make_app,
        connection_uri=core.url,
        claims=[*ROLES, EmailVerificationClaim],
        get_email=lambda *_: "alice@example.com",
    )
    guarded(
        app,
        roles="admin",
        permissions="delete",
        validators=[EmailVerificationClaim.validators.is_false(0)],
        max_age_in_sec=0,
    )
    give(app, "admin", "delete")
    client = signed_in(app)
    payload_of(client)
    core.counted()
    assert client.get("/guarded").status_code == 200
    # Each claim makes its own requests: the permissions start from the roles.
    assert core.counted() == {
        "GET /recipe/user/roles": 2,
        "GET /recipe/role/permissions": 1,
        "GET /recipe/user/email/verify": 1,
        "GET /recipe/session": 1,
        "POST /recipe/session/regenerate": 1,
    }


def test_claims_that_are_young_enough_cost_no_call(make_app: AppFactory, core: ServedCore) -> None:
    app = prepared(make_app, connection_uri=core.url, claims=ROLES)
    guarded(app, roles="admin", permissions="delete")
    give(app, "admin", "delete")
    client = signed_in(app)
    client.get("/guarded")
    core.counted()
    assert client.get("/guarded").status_code == 200
    assert core.counted() == {}


# A source that fails is an outage


def test_an_unreachable_core_is_503_and_never_403(make_app: AppFactory, core: ServedCore) -> None:
    app = prepared(make_app, connection_uri=core.url, claims=ROLES, jwks_cooldown_seconds=0)
    guarded(app, roles="admin", max_age_in_sec=0)
    give(app, "admin")
    client = signed_in(app)
    core.kill()
    response = client.get("/guarded")
    assert response.status_code == 503
    assert response.get_json() == {"message": "session service unavailable"}
    assert "Set-Cookie" not in response.headers
    core.start()
    assert client.get("/guarded").status_code == 200


def test_a_loader_that_fails_is_the_apps_own_error(make_app: AppFactory) -> None:
    app = prepared(make_app)
    guarded(app, roles="admin")
    ext: STSession = app.extensions["stsession"]

    class DatabaseDownError(Exception):
        pass

    @ext.roles_loader
    def roles(user_id: str, tenant_id: str) -> list[str]:
        raise DatabaseDownError

    client = signed_in(app)
    assert client.get("/guarded").status_code == 500


def test_the_app_may_handle_the_errors_of_its_own_loader(make_app: AppFactory) -> None:
    app = prepared(make_app)
    guarded(app, roles="admin")
    ext: STSession = app.extensions["stsession"]

    @ext.roles_loader
    def roles(user_id: str, tenant_id: str) -> list[str]:
        raise TimeoutError

    @app.errorhandler(TimeoutError)
    def tell(error: TimeoutError) -> tuple[dict[str, str], int]:
        return {"message": "try later"}, 504

    response = signed_in(app).get("/guarded")
    assert (response.status_code, response.get_json()) == (504, {"message": "try later"})


# Verified e-mail


def test_a_user_who_verifies_the_address_passes_after_the_next_fetch(make_app: AppFactory) -> None:
    app = prepared(
        make_app, claims=[EmailVerificationClaim], get_email=lambda user_id, _tenant: f"{user_id}@example.com"
    )
    guarded(app, validators=[EmailVerificationClaim.validators.is_true()])
    client = signed_in(app)
    response = client.get("/guarded")
    assert response.status_code == 403
    assert response.get_json()["claimValidationErrors"] == [
        {"id": "st-ev", "reason": {"message": "wrong value", "expectedValue": True, "actualValue": False}}
    ]
    with app.app_context():
        verify_address("alice", "alice@example.com")
    client.post("/again/st-ev")
    assert client.get("/guarded").status_code == 200


@pytest.mark.parametrize(
    ("value", "age", "arguments", "setting", "due"),
    [
        (True, 11, {}, 300, False),
        (True, 301, {}, 300, True),
        (True, 301, {}, None, False),
        (True, 301, {"max_age_in_seconds": 400}, 300, False),
        (True, 0, {"max_age_in_seconds": 0}, 300, True),
        (False, 10, {}, 300, False),
        (False, 10.001, {}, 300, True),
        (False, 10.001, {}, None, True),
        (False, 11, {"refetch_time_on_false_in_seconds": 20}, 300, False),
        (False, 0, {"refetch_time_on_false_in_seconds": 0}, 300, True),
        (False, 301, {"refetch_time_on_false_in_seconds": None}, 300, True),
        (False, 299, {"refetch_time_on_false_in_seconds": None}, 300, False),
        (False, None, {}, None, True),
        (None, 0, {}, None, True),
        ("yes", 11, {}, None, True),
    ],
)
def test_an_address_that_is_not_verified_is_asked_about_sooner_than_one_that_is(
    value: Any, age: float | None, arguments: dict[str, Any], setting: float | None, due: bool
) -> None:
    now = 1_700_000_000_000
    context = {"stsession": SimpleNamespace(claim_max_age_seconds=setting), NOW_MS: now}
    stored = {"v": value} if age is None else {"v": value, "t": now - age * 1000}
    validator = EmailVerificationClaim.validators.is_verified(**arguments)
    assert validator.should_refetch({"st-ev": stored}, context) is due
    checks = quick_checks([validator], setting)
    assert checks is not None
    assert surely_pass(checks, {"st-ev": stored}, now) is (value is True and not due)


def test_is_verified_takes_its_arguments_in_supertokens_pythons_order() -> None:
    validator = EmailVerificationClaim.validators.is_verified(5, 60, "verified")
    assert validator.id == "verified"
    assert EmailVerificationClaim.validators.is_verified().id == "st-ev"
    assert validator.validate({}, {}) == ClaimValidationResult(
        False, {"message": "value does not exist", "expectedValue": True}
    )
    wrong: Any = "10"
    with pytest.raises(TypeError) as caught:
        EmailVerificationClaim.validators.is_verified(wrong)
    assert str(caught.value) == (
        "refetch_time_on_false_in_seconds must be a number of seconds or None, not '10'."
    )


def test_a_guard_lets_a_user_pass_soon_after_the_link_was_followed(make_app: AppFactory) -> None:
    app = prepared(
        make_app, claims=[EmailVerificationClaim], get_email=lambda user_id, _tenant: f"{user_id}@example.com"
    )
    guarded(app, validators=[EmailVerificationClaim.validators.is_verified()])
    client = signed_in(app)
    elsewhere(make_app, lambda: verify_address("alice", "alice@example.com"))
    assert client.get("/guarded").get_json()["claimValidationErrors"] == [
        {"id": "st-ev", "reason": {"message": "wrong value", "expectedValue": True, "actualValue": False}}
    ]
    make_older(client, 11)
    assert client.get("/guarded").status_code == 200


def test_a_user_without_an_address_has_nothing_to_verify(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[EmailVerificationClaim], get_email=lambda *_: None)
    assert payload_of(signed_in(app))["st-ev"]["v"] is True


# The domains of a tenant


def test_the_domains_of_a_tenant_come_from_the_apps_loader(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AllowedDomainsClaim])
    ext: STSession = app.extensions["stsession"]
    ext.allowed_domains_loader(lambda tenant_id: {f"{tenant_id}.example", "example.com"})
    guarded(app, validators=[AllowedDomainsClaim.validators.includes("other.example")])
    client = signed_in(app)
    assert payload_of(client)["st-t-dmns"]["v"] == ["example.com", "public.example"]
    assert client.get("/guarded").get_json()["claimValidationErrors"] == [
        {
            "id": "st-t-dmns",
            "reason": {
                "message": "wrong value",
                "expectedToInclude": "other.example",
                "actualValue": ["example.com", "public.example"],
            },
        }
    ]


def test_the_loader_of_domains_may_take_the_user_context_and_be_asynchronous(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AllowedDomainsClaim])
    ext: STSession = app.extensions["stsession"]

    @ext.allowed_domains_loader
    async def load(tenant_id: str, user_context: dict[str, Any]) -> list[str]:
        return [tenant_id, str(user_context["stsession"] is ext)]

    assert payload_of(signed_in(app))["st-t-dmns"]["v"] == ["public", "True"]


def test_without_a_loader_no_domain_is_allowed(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AllowedDomainsClaim])
    guarded(app, validators=[AllowedDomainsClaim.validators.includes("example.com")])
    client = signed_in(app)
    assert "st-t-dmns" not in payload_of(client)
    assert client.get("/guarded").get_json()["claimValidationErrors"] == [
        {
            "id": "st-t-dmns",
            "reason": {"message": "value does not exist", "expectedToInclude": "example.com"},
        }
    ]


def test_where_no_app_says_which_domains_are_allowed_the_claim_is_missing() -> None:
    assert AllowedDomainsClaim.build("alice", "public", {"stsession": SimpleNamespace()}) == {}


# The time of the login


def test_a_login_that_is_too_old_is_403_with_its_age(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AuthTimeClaim])
    guarded(app, max_auth_age=60)
    client = signed_in(app)
    assert client.get("/guarded").status_code == 200
    sign_in_earlier(client, 100)
    errors: list[InvalidClaimsError] = []

    def hear(sender: Flask, error: InvalidClaimsError, **_: Any) -> None:
        errors.append(error)

    with claims_invalid.connected_to(hear, app):
        response = client.get("/guarded")
    assert response.status_code == 403
    [failure] = response.get_json()["claimValidationErrors"]
    assert failure["id"] == "st-auth-time"
    assert failure["reason"].pop("ageInSeconds") in range(100, 110)
    assert failure["reason"] == {"message": "expired", "maxAgeInSeconds": 60}
    assert [error.reason for error in errors] == ["auth_too_old"]


def test_a_login_that_is_too_old_is_listed_beside_the_other_failures(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AuthTimeClaim, UserRoleClaim])
    guarded(app, max_auth_age=60, roles="admin")
    client = signed_in(app)
    sign_in_earlier(client, 100)
    reasons: list[str] = []

    def hear(sender: Flask, error: InvalidClaimsError, **_: Any) -> None:
        reasons.append(error.reason)

    with claims_invalid.connected_to(hear, app):
        response = client.get("/guarded")
    assert response.status_code == 403
    failed = [failure["id"] for failure in response.get_json()["claimValidationErrors"]]
    assert sorted(failed) == ["st-auth-time", "st-role"]
    assert reasons == ["claims_invalid"]


@pytest.mark.parametrize("stored", [None, True, "1000", -1, 10**400, float("nan")])
def test_a_time_of_login_that_is_not_a_time_does_not_pass_as_a_fresh_login(stored: Any) -> None:
    validator = AuthTimeClaim.validators.max_auth_age(60)
    result = validator.validate({"st-auth-time": {"v": stored, "t": 0}}, {})
    assert result == ClaimValidationResult(False, {"message": "value does not exist"})


def test_max_auth_age_counts_from_the_time_of_the_verification() -> None:
    validator = AuthTimeClaim.validators.max_auth_age(60)
    payload = {"st-auth-time": {"v": 1_000, "t": 0}}
    assert validator.validate(payload, {NOW_MS: 1_060_000}) == ClaimValidationResult(True)
    assert validator.validate(payload, {NOW_MS: 1_060_001}) == ClaimValidationResult(
        False, {"message": "expired", "maxAgeInSeconds": 60, "ageInSeconds": 60}
    )
    assert validator.should_refetch(payload, {}) is False


@pytest.mark.parametrize("seconds", [None, True, "60"])
def test_a_max_auth_age_that_is_not_a_number_is_refused(seconds: Any) -> None:
    with pytest.raises(TypeError) as caught:
        AuthTimeClaim.validators.max_auth_age(seconds)
    assert str(caught.value) == f"max_auth_age must be a number of seconds, not {seconds!r}."


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_an_impossible_max_auth_age_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="max_auth_age must be") as caught:
        AuthTimeClaim.validators.max_auth_age(seconds)
    assert str(caught.value) == (
        f"max_auth_age must be finite and at least 0, not {seconds!r}; 300 for example, in seconds."
    )


def test_signing_in_again_renews_the_time_of_the_login(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AuthTimeClaim])
    guarded(app, max_auth_age=60)
    client = signed_in(app)
    sign_in_earlier(client, 100)
    client.post("/again/st-auth-time")
    assert client.get("/guarded").status_code == 200


def test_the_time_of_the_login_is_that_of_signing_in_again_not_of_the_requests_first_check(
    make_app: AppFactory,
) -> None:
    app = prepared(make_app, claims=[AuthTimeClaim])
    with time_machine.travel(datetime.now(timezone.utc), tick=False) as clock:

        @app.post("/password")
        @verify_session()
        def password() -> dict[str, int]:
            before = g.session.get_claim_value(AuthTimeClaim)
            clock.shift(100)  # while the password is checked
            g.session.fetch_and_set_claim(AuthTimeClaim)
            return {"later": g.session.get_claim_value(AuthTimeClaim) - before}

        assert signed_in(app).post("/password").get_json() == {"later": 100}


def test_a_refresh_does_not_renew_the_time_of_the_login(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AuthTimeClaim])
    guarded(app, max_auth_age=60)
    client = signed_in(app)
    sign_in_earlier(client, 100)
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/guarded").status_code == 403


def test_no_validator_refetches_the_time_of_the_login(make_app: AppFactory) -> None:
    app = prepared(make_app, claims=[AuthTimeClaim])
    guarded(
        app,
        override_global_claim_validators=lambda _validators, session, _context: [
            AuthTimeClaim.validators.has_value(session.get_claim_value(AuthTimeClaim), 60)
        ],
    )
    client = signed_in(app)
    signed_in_at = payload_of(client)["st-auth-time"]["v"]
    make_older(client, 100)
    response = client.get("/guarded")
    assert response.status_code == 403
    [failure] = response.get_json()["claimValidationErrors"]
    assert failure["reason"].pop("ageInSeconds") == pytest.approx(100, abs=10)
    assert failure == {"id": "st-auth-time", "reason": {"message": "expired", "maxAgeInSeconds": 60}}
    assert payload_of(client)["st-auth-time"]["v"] == signed_in_at


def test_the_time_of_the_login_must_be_among_the_claims(make_app: AppFactory) -> None:
    app = prepared(make_app)
    app.testing = True
    guarded(app, max_auth_age=60)
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/guarded")
    assert str(caught.value) == (
        "max_auth_age= needs the time of the login in the session: STSession(claims=[AuthTimeClaim])."
    )


def sign_in_earlier(client: FlaskClient, seconds: int) -> None:
    """Put the login of the client's session that long ago."""
    claim = payload_of(client)["st-auth-time"]
    earlier = {**claim, "v": claim["v"] - seconds}
    assert client.post("/merge", json={"st-auth-time": earlier}).status_code == 200


# Asynchronous sources, and sessions without a request


def test_a_custom_claim_may_be_asynchronous_beside_the_built_in_ones(make_app: AppFactory) -> None:
    async def fetch(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return f"plan of {user_id} in {tenant_id}"

    plan = PrimitiveClaim[str]("plan", fetch)
    app = prepared(make_app, claims=[plan, UserRoleClaim])
    guarded(app, validators=[plan.validators.has_value("plan of alice in public", 0)])
    client = signed_in(app)
    assert payload_of(client)["plan"]["v"] == "plan of alice in public"
    assert client.get("/guarded").status_code == 200


def test_built_in_claims_of_a_session_can_be_read_and_fetched_by_its_handle(make_app: AppFactory) -> None:
    app = make_app(claims=ROLES, api_domain="http://localhost")
    give(app, "admin", "delete")
    with app.app_context():
        handle = create_new_session_without_request_response("alice").get_handle()
        assert sync_get_claim_value(UserRoleClaim, session_handle=handle) == ["admin"]
        userroles.remove_user_role("alice", "admin")
        assert fetch_and_set_claim(UserRoleClaim, session_handle=handle) is True
        assert sync_get_claim_value(UserRoleClaim, session_handle=handle) == []
        assert sync_get_claim_value(PermissionClaim, session_handle=handle) == ["delete"]
        [failure] = validate_claims_for_session_handle(
            handle,
            override_global_claim_validators=lambda *_: [PermissionClaim.validators.includes("delete", 0)],
        )
        assert failure.to_json() == {
            "id": "st-perm",
            "reason": {"message": "wrong value", "expectedToInclude": "delete", "actualValue": []},
        }
        assert sync_get_claim_value(PermissionClaim, session_handle=handle) == []
