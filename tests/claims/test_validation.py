"""Validation of a session's claims: refetching, storing, and the response to the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, strategies as st
from support.app_factory import AppFactory
from support.guarded_app import (
    Client,
    Source,
    add_guard,
    add_payload_views,
    brings_token,
    refused,
    seconds_ago,
)
from support.served_core import ServedCore

from flask_stsession import (
    STSession,
    revoke_all_sessions_for_user,
    userroles,
    validate_claims_for_session_handle,
    verify_session,
)
from flask_stsession.claims import (
    BooleanClaim,
    PermissionClaim,
    PrimitiveArrayClaim,
    PrimitiveClaim,
    SessionClaimValidator,
    UserRoleClaim,
)
from flask_stsession.claims.base import NOW_MS, VALID
from flask_stsession.claims.validation import overridden, quick_checks, surely_pass

REGENERATE = "POST /recipe/session/regenerate"
INFORMATION = "GET /recipe/session"
PLAN = PrimitiveClaim[str]("plan", lambda *_: "pro")
NOW = 1_700_000_000_000


@pytest.fixture
def app(make_app: AppFactory) -> Flask:
    return add_payload_views(make_app())


@pytest.fixture
def core(served_core: ServedCore) -> ServedCore:
    """Return a core over HTTP that counts its requests, and can be stopped."""
    return served_core


@pytest.fixture
def app_on_core(core: ServedCore) -> Iterator[Flask]:
    """Provide an app on that core."""
    factory = AppFactory({"STSESSION_CONNECTION_URI": core.url})
    yield add_payload_views(factory(core_timeout_seconds=(0.5, 2)))
    factory.close()


# When a value is fetched again


def test_a_missing_claim_is_fetched_once_and_sent_with_the_200(app: Flask) -> None:
    source = Source("pro")
    add_guard(app, "/pro", PrimitiveClaim[str]("plan", source).validators.has_value("pro"))
    client = Client(app)
    first = client.get("/pro")
    assert first.status_code == 200
    assert brings_token(first)
    assert first.get_json()["payload"]["plan"]["v"] == "pro"
    assert client.payload()["plan"]["v"] == "pro"
    again = client.get("/pro")
    assert again.status_code == 200
    assert not brings_token(again)
    assert source.asked == [("alice", "public")]


@pytest.mark.parametrize(("age", "times_asked"), [(50, 0), (70, 1)])
def test_a_claim_is_fetched_again_when_it_is_older_than_the_maximal_age(
    app: Flask, age: int, times_asked: int
) -> None:
    source = Source("pro")
    add_guard(app, "/pro", PrimitiveClaim[str]("plan", source).validators.has_value("pro", 60))
    client = Client(app, access_token_payload={"plan": {"v": "pro", "t": seconds_ago(age)}})
    response = client.get("/pro")
    assert response.status_code == 200
    assert len(source.asked) == times_asked
    assert brings_token(response) is bool(times_asked)


def test_a_claim_that_has_grown_old_is_fetched_again(app: Flask) -> None:
    source = Source("pro")
    add_guard(app, "/pro", PrimitiveClaim[str]("plan", source, 60).validators.has_value("pro"))
    client = Client(app)
    client.get("/pro")
    client.post("/merge", {"plan": {"v": "pro", "t": seconds_ago(61)}})
    source.answer = "free"
    (failed,) = refused(client.get("/pro"))
    assert failed["reason"] == {"message": "wrong value", "expectedValue": "pro", "actualValue": "free"}
    assert len(source.asked) == 2


def test_a_claim_of_unknown_age_is_fetched_again_where_age_matters(app: Flask) -> None:
    source = Source("pro")
    claim = PrimitiveClaim[str]("plan", source)
    add_guard(app, "/young", claim.validators.has_value("pro", 3600))
    add_guard(app, "/any-age", claim.validators.has_value("pro"))
    client = Client(app, access_token_payload={"plan": {"v": "pro"}})
    assert client.get("/any-age").status_code == 200
    assert len(source.asked) == 0
    assert client.get("/young").status_code == 200
    assert len(source.asked) == 1


def test_with_a_maximal_age_of_0_the_claim_is_fetched_every_time(app: Flask) -> None:
    source = Source("pro")
    add_guard(app, "/pro", PrimitiveClaim[str]("plan", source, 3600).validators.has_value("pro", 0))
    client = Client(app)
    for times in (1, 2, 3):
        response = client.get("/pro")
        assert response.status_code == 200
        assert brings_token(response)
        assert len(source.asked) == times
    source.answer = "free"
    assert refused(client.get("/pro"))[0]["id"] == "plan"


def test_without_a_maximal_age_only_a_missing_claim_is_fetched(app: Flask) -> None:
    source = Source("free")
    add_guard(app, "/pro", PrimitiveClaim[str]("plan", source).validators.has_value("pro"))
    client = Client(app, access_token_payload={"plan": {"v": "pro", "t": 1}})
    assert client.get("/pro").status_code == 200
    assert source.asked == []
    client.post("/merge", {"plan": None})
    refused(client.get("/pro"))
    assert len(source.asked) == 1


def test_a_fetch_that_returns_none_leaves_the_claim_missing(app_on_core: Flask, core: ServedCore) -> None:
    source = Source(None)
    add_guard(app_on_core, "/pro", PrimitiveClaim[str]("plan", source).validators.has_value("pro"))
    client = Client(app_on_core)
    core.counted()
    assert refused(client.get("/pro")) == [
        {"id": "plan", "reason": {"message": "value does not exist", "expectedValue": "pro"}}
    ]
    assert core.counted()[REGENERATE] == 0


def test_a_fetch_that_returns_none_does_not_renew_an_old_value(app: Flask) -> None:
    claim = PrimitiveClaim[str]("plan", Source(None))
    add_guard(app, "/pro", claim.validators.has_value("pro", 60))
    client = Client(app, access_token_payload={"plan": {"v": "pro", "t": seconds_ago(100)}})
    (failed,) = refused(client.get("/pro"))
    age = failed["reason"].pop("ageInSeconds")
    assert 100 <= age < 160
    assert failed == {"id": "plan", "reason": {"message": "expired", "maxAgeInSeconds": 60}}


def test_several_validators_of_a_claim_share_one_fetch(app: Flask) -> None:
    source = Source(["a", "b"])
    validators = PrimitiveArrayClaim[str]("teams", source).validators
    add_guard(
        app, "/team", validators.includes("a", 0), validators.includes("b", 0), validators.excludes("c")
    )
    assert Client(app).get("/team").status_code == 200
    assert len(source.asked) == 1


def test_of_several_validators_the_smallest_maximal_age_decides(make_app: AppFactory) -> None:
    app, other = add_payload_views(make_app()), make_app(name="other")
    validators = PermissionClaim.validators
    add_guard(app, "/remembered", validators.includes("write", 60))
    add_guard(app, "/now", validators.includes("write", 60), validators.excludes("banned", 0))
    old = {"st-perm": {"v": ["write"], "t": seconds_ago(61)}}
    with other.app_context():
        userroles.create_new_role_or_add_permissions("editor", "write")
        userroles.add_role_to_user("alice", "editor")
    client = Client(app, access_token_payload=old)
    assert client.get("/remembered").status_code == 200
    with other.app_context():
        userroles.remove_permissions_from_role("editor", "write")
    client.post("/merge", old)
    assert client.get("/remembered").status_code == 200
    client.post("/merge", old)
    assert refused(client.get("/now"))[0]["reason"]["actualValue"] == []


# Stored and sent claims


def test_any_number_of_refetched_claims_is_stored_in_one_call(app_on_core: Flask, core: ServedCore) -> None:
    claims = [BooleanClaim(f"claim-{number}", Source(True)) for number in range(5)]
    add_guard(app_on_core, "/all", *(claim.validators.is_true() for claim in claims))
    client = Client(app_on_core)
    client.payload()
    core.counted()
    response = client.get("/all")
    assert response.status_code == 200
    assert core.counted() == {INFORMATION: 1, REGENERATE: 1}
    assert {claim.key for claim in claims} <= set(client.payload())
    assert client.get("/all").status_code == 200
    assert core.counted() == {}


def test_with_a_403_the_fetched_claims_are_stored_but_not_sent(app_on_core: Flask, core: ServedCore) -> None:
    plan, member = PrimitiveClaim[str]("plan", Source("free")), BooleanClaim("member", Source(True))
    add_guard(app_on_core, "/pro", member.validators.is_true(), plan.validators.has_value("pro"))
    client = Client(app_on_core)
    client.payload()
    core.counted()
    response = client.get("/pro")
    assert refused(response) == [
        {
            "id": "plan",
            "reason": {"message": "wrong value", "expectedValue": "pro", "actualValue": "free"},
        }
    ]
    assert not brings_token(response)
    assert "Set-Cookie" not in response.headers
    assert core.counted() == {INFORMATION: 1, REGENERATE: 1}
    assert not {"plan", "member"} & set(client.payload())
    assert client.post("/auth/session/refresh").status_code == 200
    payload = client.payload()
    assert (payload["plan"]["v"], payload["member"]["v"]) == ("free", True)


def test_a_second_guard_that_refuses_withdraws_the_tokens_of_the_first(app: Flask) -> None:
    member = BooleanClaim("member", Source(True)).validators.is_true()
    plan = PrimitiveClaim[str]("plan", Source("free")).validators.has_value("pro")

    @app.get("/both")
    @verify_session(validators=[member])
    @verify_session(validators=[plan])
    def both() -> dict[str, Any]:
        raise AssertionError("the second guard refuses")

    client = Client(app)
    response = client.get("/both")
    assert [failed["id"] for failed in refused(response)] == ["plan"]
    assert not brings_token(response)


def test_a_session_that_was_revoked_meanwhile_is_401(app: Flask) -> None:
    def fetch(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> bool:
        return bool(revoke_all_sessions_for_user(user_id))

    add_guard(app, "/member", BooleanClaim("member", fetch).validators.is_true())
    response = Client(app).get("/member")
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})
    assert response.headers["front-token"] == "remove"


# Failures


def test_every_validator_that_failed_is_listed_in_the_order_in_which_they_were_given(app: Flask) -> None:
    plan = PrimitiveClaim[str]("plan", Source("free"))
    teams = PrimitiveArrayClaim[str]("teams", Source(["a"]))
    add_guard(
        app,
        "/much",
        teams.validators.includes("b", id_="team-b"),
        plan.validators.has_value("free"),
        plan.validators.has_value("pro"),
        teams.validators.includes("a"),
        teams.validators.excludes("a"),
    )
    assert refused(Client(app).get("/much")) == [
        {
            "id": "team-b",
            "reason": {"message": "wrong value", "expectedToInclude": "b", "actualValue": ["a"]},
        },
        {
            "id": "plan",
            "reason": {"message": "wrong value", "expectedValue": "pro", "actualValue": "free"},
        },
        {
            "id": "teams",
            "reason": {"message": "wrong value", "expectedToNotInclude": "a", "actualValue": ["a"]},
        },
    ]


class OutOfOrderError(Exception):
    """The error of an app's own source."""


def test_an_error_of_fetch_value_is_the_apps_own_and_nothing_is_stored(
    app_on_core: Flask, core: ServedCore
) -> None:
    member, plan = (
        BooleanClaim("member", Source(True)),
        BooleanClaim("plan", Source(OutOfOrderError("table"))),
    )
    add_guard(app_on_core, "/plan", member.validators.is_true(), plan.validators.is_true(0))
    client = Client(app_on_core)
    client.payload()
    core.counted()
    response = client.get("/plan")
    assert response.status_code == 500
    assert not brings_token(response)
    assert core.counted() == {}
    app_on_core.testing = True
    with pytest.raises(OutOfOrderError, match=r"^table$"):
        client.get("/plan")


def test_the_app_may_handle_an_error_of_fetch_value(app: Flask) -> None:
    add_guard(app, "/plan", BooleanClaim("plan", Source(OutOfOrderError("table"))).validators.is_true())

    @app.errorhandler(OutOfOrderError)
    def out_of_order(error: OutOfOrderError) -> tuple[dict[str, str], int]:
        return {"failed": str(error)}, 502

    response = Client(app).get("/plan")
    assert (response.status_code, response.get_json()) == (502, {"failed": "table"})


def test_a_core_that_cannot_store_a_fetched_claim_is_503(app_on_core: Flask, core: ServedCore) -> None:
    add_guard(app_on_core, "/plan", BooleanClaim("plan", Source(True)).validators.is_true())
    client = Client(app_on_core)
    client.payload()
    core.kill()
    response = client.get("/plan")
    assert (response.status_code, response.get_json()) == (503, {"message": "session service unavailable"})
    assert response.headers["Retry-After"] == "5"
    assert not brings_token(response)
    core.start()
    assert client.get("/plan").status_code == 200


# Requests that run no validators


def test_refresh_and_sign_out_run_no_validators(make_app: AppFactory) -> None:
    source = Source(False)
    validator = BooleanClaim("2fa-completed", source).validators.is_true(0)
    client = Client(make_app(global_claim_validators=[validator]))
    assert client.post("/auth/session/refresh").status_code == 200
    assert source.asked == []
    assert [failed["id"] for failed in refused(client.get("/user"))] == ["2fa-completed"]
    assert len(source.asked) == 1
    response = client.post("/auth/signout")
    assert (response.status_code, response.get_json()) == (200, {"status": "OK"})
    assert len(source.asked) == 1


@pytest.mark.parametrize("returned", [None, 5, [5], [PLAN], [None]])
def test_an_override_that_returns_no_validators_is_refused_with_the_remedy(returned: object) -> None:
    with pytest.raises(TypeError) as caught:
        overridden((), lambda *_: returned, None, {}, ensure_sync=None)
    assert str(caught.value) == (
        "The function given as override_global_claim_validators must return a list of validators, such as "
        f"[*global_validators, claim.validators.is_true()]; it returned {returned!r}."
    )


def test_an_override_with_other_parameters_is_refused_with_the_right_ones() -> None:
    with pytest.raises(TypeError) as caught:
        overridden((), lambda validators: validators, None, {}, ensure_sync=None)
    assert str(caught.value) == (
        "The function given as override_global_claim_validators takes (validators). Give it the parameters "
        "(global_validators, session, user_context)."
    )


def test_an_error_of_an_override_is_raised_as_it_is() -> None:
    def fail(*_: object) -> None:
        raise TypeError("its own")

    with pytest.raises(TypeError, match=r"^its own$"):
        overridden((), fail, None, {}, ensure_sync=None)


def test_get_global_claim_validators_is_refused_alike(make_app: AppFactory) -> None:
    class Returning(STSession):
        def get_global_claim_validators(self, **_: Any) -> Any:
            return None

    app = make_app(extension=Returning)
    app.testing = True
    add_guard(app, "/guarded")
    client = Client(app)
    with pytest.raises(TypeError, match=r"^get_global_claim_validators\(\) must return a list of validators"):
        client.get("/guarded")
    with app.app_context(), pytest.raises(TypeError, match=r"^get_global_claim_validators\(\) must return"):
        validate_claims_for_session_handle(client.handle)


# Quick checks


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["a", "b", "ab", ""]), st.floats(0, 1)
)
STORED = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "v": st.one_of(VALUES, st.lists(VALUES, max_size=3)),
            "t": st.one_of(
                st.none(), st.sampled_from([-1, 0, 1.5, NOW, NOW - 4_000, NOW - 6_000, NOW + 1, True])
            ),
        },
    ),
)
ARRAY: PrimitiveArrayClaim[Any] = PrimitiveArrayClaim("k", lambda *_: [], 5)
SINGLE: PrimitiveClaim[Any] = PrimitiveClaim("k", lambda *_: 1)
CHECKS = [
    ARRAY.validators.includes("a"),
    ARRAY.validators.includes(1, 0),
    ARRAY.validators.includes_all(["a", "b"], 5),
    ARRAY.validators.includes_all(["a", 1]),
    ARRAY.validators.includes_any(["a", 0]),
    ARRAY.validators.excludes("a"),
    ARRAY.validators.excludes_all(["a", True], 5),
    SINGLE.validators.has_value("a"),
    SINGLE.validators.has_value(1, 5),
    SINGLE.validators.has_value(True),
]


@given(st.fixed_dictionaries({}, optional={"k": STORED}), st.sampled_from(CHECKS))
def test_a_payload_that_passes_quickly_passes_the_validators_and_needs_no_refetch(
    payload: dict[str, Any], validator: SessionClaimValidator
) -> None:
    checks = quick_checks([validator], None)
    assert checks is not None
    if surely_pass(checks, payload, NOW):
        assert validator.should_refetch(payload, {NOW_MS: NOW}) is False
        assert validator.validate(payload, {NOW_MS: NOW}) is VALID


def test_the_usual_case_passes_quickly() -> None:
    payload = {"k": {"v": ["a", "b"], "t": NOW - 4_000}}
    assert surely_pass(quick_checks(CHECKS[:1] + CHECKS[2:3], None) or (), payload, NOW)
    assert not surely_pass(quick_checks(CHECKS[:1], None) or (), payload, NOW + 2_000)


def test_the_apps_setting_decides_for_built_in_claims() -> None:
    payload = {"st-role": {"v": ["admin"], "t": NOW - 60_000}}
    check = UserRoleClaim.validators.includes("admin")
    assert [surely_pass(quick_checks([check], age) or (), payload, NOW) for age in (None, 61, 59, 0)] == [
        True,
        True,
        False,
        False,
    ]


def test_the_apps_own_code_is_never_skipped() -> None:
    class OwnClaim(PrimitiveClaim[str]):
        def get_value_from_payload(self, payload: Any, user_context: Any = None) -> Any:
            return "pro"

    class OwnValidator(SessionClaimValidator):
        def validate(self, payload: Any, user_context: Any) -> Any:
            return VALID

    own_age: PrimitiveClaim[str] = PrimitiveClaim("k", lambda *_: "a", lambda context: 5)
    for validator in (
        OwnClaim("k", lambda *_: "a").validators.has_value("a"),
        OwnValidator("k"),
        own_age.validators.has_value("a"),
    ):
        assert quick_checks([CHECKS[0], validator], None) is None
