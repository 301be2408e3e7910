"""The validators of plain JSON values, and the JSON of their failures."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from flask_stsession.claims import (
    BooleanClaim,
    EmailVerificationClaim,
    PrimitiveArrayClaim,
    PrimitiveClaim,
    SessionClaimValidator,
)
from flask_stsession.claims.base import NOW_MS, VALID

NOW = 1_700_000_000_000


class Clock:
    """A clock that the test moves, in ms."""

    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plan(clock: Clock) -> PrimitiveClaim[str]:
    return PrimitiveClaim("plan", lambda *_: "pro", clock=clock)


@pytest.fixture
def roles(clock: Clock) -> PrimitiveArrayClaim[str]:
    return PrimitiveArrayClaim("st-role", lambda *_: ["editor", "author"], clock=clock)


SecondFactorClaim = BooleanClaim(key="2fa-completed", fetch_value=lambda _, __, ___: False)


def reason(validator: SessionClaimValidator, payload: dict[str, Any]) -> Any:
    """Return the reason of the refusal; ``None`` if the validator passes."""
    result: Any = validator.validate(payload, {})
    assert (result is VALID) is result.is_valid
    return result.reason


def refetches(validator: SessionClaimValidator, payload: dict[str, Any]) -> Any:
    return validator.should_refetch(payload, {})


def stored(key: str, value: Any, age_in_sec: float = 0) -> dict[str, Any]:
    return {key: {"v": value, "t": NOW - age_in_sec * 1000}}


def test_has_value_passes_for_the_value_and_else_reports_the_value_found(plan: PrimitiveClaim[str]) -> None:
    validator = plan.validators.has_value("pro")
    assert reason(validator, stored("plan", "pro")) is None
    assert reason(validator, stored("plan", "free")) == {
        "message": "wrong value",
        "expectedValue": "pro",
        "actualValue": "free",
    }


def test_an_absent_claim_is_refetched_and_refused(plan: PrimitiveClaim[str]) -> None:
    validator = plan.validators.has_value("pro")
    assert refetches(validator, {})
    assert reason(validator, {}) == {"message": "value does not exist", "expectedValue": "pro"}


@pytest.mark.parametrize("value", ["pro", ["pro"], {}, True, 7, None, {"t": NOW}, {"v": None, "t": NOW}])
def test_a_malformed_value_is_as_good_as_absent(plan: PrimitiveClaim[str], value: Any) -> None:
    validator = plan.validators.has_value("pro")
    assert refetches(validator, {"plan": value})
    assert reason(validator, {"plan": value}) == {"message": "value does not exist", "expectedValue": "pro"}


def test_a_value_without_a_time_counts_where_there_is_no_maximal_age(plan: PrimitiveClaim[str]) -> None:
    validator = plan.validators.has_value("pro")
    assert not refetches(validator, {"plan": {"v": "pro"}})
    assert reason(validator, {"plan": {"v": "pro"}}) is None


@pytest.mark.parametrize("time", [None, "now", True, float("nan"), float("inf"), -(10**400)])
def test_a_value_of_unknown_age_is_too_old_for_any_maximal_age(plan: PrimitiveClaim[str], time: Any) -> None:
    validator = plan.validators.has_value("pro", 3600)
    payload = {"plan": {"v": "pro", "t": time}}
    assert refetches(validator, payload)
    assert reason(validator, payload) == {"message": "expired", "maxAgeInSeconds": 3600}


def test_a_value_is_valid_up_to_its_maximal_age(plan: PrimitiveClaim[str], clock: Clock) -> None:
    validator = plan.validators.has_value("pro", 10)
    payload = plan.build("alice")
    clock.ms += 10_000
    assert not refetches(validator, payload)
    assert reason(validator, payload) is None
    clock.ms += 1
    assert refetches(validator, payload)
    assert reason(validator, payload) == {
        "message": "expired",
        "ageInSeconds": 10.001,
        "maxAgeInSeconds": 10,
    }


def test_a_value_from_a_clock_that_is_ahead_is_not_too_old(plan: PrimitiveClaim[str]) -> None:
    assert reason(plan.validators.has_value("pro", 10), stored("plan", "pro", age_in_sec=-60)) is None


def test_a_maximal_age_of_0_always_refetches_and_accepts_the_fetched_value(
    plan: PrimitiveClaim[str], clock: Clock
) -> None:
    validator = plan.validators.has_value("pro", max_age_in_sec=0)
    context = {NOW_MS: clock()}
    assert validator.should_refetch(plan.build("alice", "public", context), context)
    clock.ms += 5_000  # the source was slow
    payload = plan.build("alice", "public", context)
    assert validator.validate(payload, context) is VALID
    assert reason(validator, payload) == {"message": "expired", "ageInSeconds": 5.0, "maxAgeInSeconds": 0}


def test_the_default_of_the_claim_is_the_maximal_age_of_validators_without_one(clock: Clock) -> None:
    claim = PrimitiveClaim("plan", lambda *_: "pro", 300, clock=clock)
    old = stored("plan", "pro", age_in_sec=301)
    assert refetches(claim.validators.has_value("pro"), old)
    assert not refetches(claim.validators.has_value("pro", 600), old)
    assert refetches(claim.validators.has_value("pro", 0), stored("plan", "pro"))


def test_the_default_may_be_a_function_of_the_user_context(clock: Clock) -> None:
    claim = PrimitiveArrayClaim("roles", lambda *_: ["a"], lambda context: context.get("age"), clock=clock)
    validator = claim.validators.includes("a")
    old = stored("roles", ["a"], age_in_sec=100)
    assert validator.should_refetch(old, {"age": 99})
    assert not validator.should_refetch(old, {"age": 100})
    assert not validator.should_refetch(old, {})
    assert validator.validate(old, {"age": 100}) is VALID
    assert validator.validate(old, {"age": 99}) != VALID


def test_a_maximal_age_may_be_a_fraction_of_a_second(plan: PrimitiveClaim[str]) -> None:
    validator = plan.validators.has_value("pro", 0.5)
    assert not refetches(validator, stored("plan", "pro", age_in_sec=0.5))
    assert refetches(validator, stored("plan", "pro", age_in_sec=0.501))


@pytest.mark.parametrize(
    ("value", "found", "same"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1.0, 1, True),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (False, 0, False),
        (0, False, False),
        ("1", 1, False),
        ("a", ["a"], False),
        (1, float("nan"), False),
        (1.5, 10**400, False),
    ],
)
def test_values_are_compared_as_json(value: Any, found: Any, same: bool) -> None:
    has_value = PrimitiveClaim[Any]("x", lambda *_: None).validators.has_value(value)
    array = PrimitiveArrayClaim[Any]("x", lambda *_: None).validators
    assert (reason(has_value, stored("x", found)) is None) is same
    assert (reason(array.includes(value), stored("x", [None, found])) is None) is same
    assert (reason(array.excludes(value), stored("x", [None, found])) is None) is not same


def test_includes_names_the_missing_value(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.includes("admin")
    assert reason(validator, stored("st-role", ["editor", "admin"])) is None
    assert reason(validator, stored("st-role", [])) == {
        "message": "wrong value",
        "expectedToInclude": "admin",
        "actualValue": [],
    }


def test_includes_all_names_all_expected_values(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.includes_all(["editor", "admin"])
    assert reason(validator, stored("st-role", ["admin", "author", "editor"])) is None
    assert reason(validator, stored("st-role", ["editor"])) == {
        "message": "wrong value",
        "expectedToInclude": ["editor", "admin"],
        "actualValue": ["editor"],
    }


def test_includes_any_needs_only_one(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.includes_any(["editor", "admin"])
    assert reason(validator, stored("st-role", ["admin"])) is None
    assert reason(validator, stored("st-role", ["author"])) == {
        "message": "wrong value",
        "expectedToIncludeAtLeastOneOf": ["editor", "admin"],
        "actualValue": ["author"],
    }


def test_excludes_names_the_excluded_value(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.excludes("banned")
    assert reason(validator, stored("st-role", ["editor"])) is None
    assert reason(validator, stored("st-role", ["banned"])) == {
        "message": "wrong value",
        "expectedToNotInclude": "banned",
        "actualValue": ["banned"],
    }


def test_excludes_all_refuses_any_of_them(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.excludes_all(["banned", "muted"])
    assert reason(validator, stored("st-role", [])) is None
    assert reason(validator, stored("st-role", ["muted", "editor"])) == {
        "message": "wrong value",
        "expectedToNotInclude": ["banned", "muted"],
        "actualValue": ["muted", "editor"],
    }


def test_an_empty_list_of_values_passes_includes_all_and_excludes_all_but_not_includes_any(
    roles: PrimitiveArrayClaim[str],
) -> None:
    payload = stored("st-role", ["editor"])
    assert reason(roles.validators.includes_all([]), payload) is None
    assert reason(roles.validators.excludes_all([]), payload) is None
    assert reason(roles.validators.includes_any([]), payload) is not None


@pytest.mark.parametrize("value", ["administrator", {"admin": 1}, 7, True])
def test_a_value_that_is_not_a_list_is_as_good_as_absent(roles: PrimitiveArrayClaim[str], value: Any) -> None:
    payload = stored("st-role", value)
    assert refetches(roles.validators.includes("admin"), payload)
    assert reason(roles.validators.includes("admin"), payload) == {
        "message": "value does not exist",
        "expectedToInclude": "admin",
    }
    assert reason(roles.validators.excludes("banned"), payload) == {
        "message": "value does not exist",
        "expectedToNotInclude": "banned",
    }


def test_with_an_absent_list_each_validator_names_its_expected_values(
    roles: PrimitiveArrayClaim[str],
) -> None:
    of = roles.validators
    absent = {"message": "value does not exist"}
    assert reason(of.includes_all(["a"]), {}) == {**absent, "expectedToInclude": ["a"]}
    assert reason(of.includes_any(["a"]), {}) == {**absent, "expectedToIncludeAtLeastOneOf": ["a"]}
    assert reason(of.excludes_all(["a"]), {}) == {**absent, "expectedToNotInclude": ["a"]}


def test_a_list_expires_like_any_value(roles: PrimitiveArrayClaim[str]) -> None:
    assert reason(roles.validators.includes("admin", 60), stored("st-role", ["admin"], age_in_sec=61)) == {
        "message": "expired",
        "ageInSeconds": 61.0,
        "maxAgeInSeconds": 60,
    }


def test_the_validators_of_a_boolean_claim_need_a_value() -> None:
    is_true = SecondFactorClaim.validators.is_true(None)
    is_false = SecondFactorClaim.validators.is_false()
    assert reason(is_true, stored("2fa-completed", True)) is None
    assert reason(is_false, stored("2fa-completed", False)) is None
    assert reason(is_true, SecondFactorClaim.build("alice")) == {
        "message": "wrong value",
        "expectedValue": True,
        "actualValue": False,
    }
    assert reason(is_false, {}) == {"message": "value does not exist", "expectedValue": False}


def test_a_boolean_claim_takes_ages_and_ids_like_the_others() -> None:
    validator = SecondFactorClaim.validators.is_true(0, "second factor")
    assert validator.id == "second factor"
    assert validator.claim is SecondFactorClaim
    assert refetches(validator, SecondFactorClaim.build("alice"))
    assert SecondFactorClaim.validators.has_value(True).id == "2fa-completed"


def test_a_validator_has_its_claim_and_the_claims_key_as_id(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.includes("admin")
    assert validator.claim is roles
    assert validator.id == "st-role"
    assert roles.validators.includes("admin", id_="is admin").id == "is admin"


def test_the_spelling_of_supertokens_python_is_accepted(roles: PrimitiveArrayClaim[str]) -> None:
    of = roles.validators
    for validator in (
        of.includes("admin", max_age_in_seconds=0),
        of.includes_all(["admin"], max_age_in_seconds=0),
        of.includes_any(["admin"], max_age_in_seconds=0),
        of.excludes("admin", max_age_in_seconds=0),
        of.excludes_all(["admin"], max_age_in_seconds=0),
        SecondFactorClaim.validators.is_true(max_age_in_seconds=0),
        SecondFactorClaim.validators.is_false(max_age_in_seconds=0),
    ):
        assert refetches(validator, stored(validator.id, ["admin"]))


def test_both_spellings_of_the_maximal_age_at_once_are_refused(plan: PrimitiveClaim[str]) -> None:
    with pytest.raises(TypeError) as caught:
        plan.validators.has_value("pro", 0, max_age_in_seconds=0)
    assert str(caught.value) == "max_age_in_sec and max_age_in_seconds are the same: pass one of them."


@pytest.mark.parametrize("age", [-1, -0.5, float("nan"), float("inf")])
def test_an_impossible_maximal_age_is_refused(plan: PrimitiveClaim[str], age: float) -> None:
    message = f" must be finite and at least 0, not {age!r}; 0 refetches the value at every check."
    with pytest.raises(ValueError, match="max_age_in_sec") as caught:
        plan.validators.has_value("pro", age)
    assert str(caught.value) == f"max_age_in_sec{message}"
    with pytest.raises(ValueError, match="max_age_in_sec") as caught:
        plan.validators.has_value("pro", max_age_in_seconds=age)
    assert str(caught.value) == f"max_age_in_seconds{message}"
    with pytest.raises(ValueError, match="max_age_in_sec") as caught:
        EmailVerificationClaim.validators.is_verified(max_age_in_seconds=age)
    assert str(caught.value) == f"max_age_in_seconds{message}"
    with pytest.raises(ValueError, match="max_age_in_sec") as caught:
        BooleanClaim("x", lambda *_: True, default_max_age_in_sec=age)
    assert str(caught.value) == f"default_max_age_in_sec{message}"


@pytest.mark.parametrize("age", ["300", True, [300]])
def test_a_maximal_age_that_is_not_a_number_is_refused(plan: PrimitiveClaim[str], age: Any) -> None:
    with pytest.raises(TypeError) as caught:
        plan.validators.has_value("pro", age)
    assert str(caught.value) == f"max_age_in_sec must be a number of seconds or None, not {age!r}."


@pytest.mark.parametrize("value", [None, ["pro"], {"v": "pro"}, b"pro", float("nan"), float("inf")])
def test_an_expected_value_of_a_wrong_type_is_refused(
    plan: PrimitiveClaim[str], roles: PrimitiveArrayClaim[str], value: Any
) -> None:
    message = (
        "{} compares with a string, a finite number or a boolean, not with {!r}. "
        "For anything else, subclass SessionClaimValidator."
    )
    with pytest.raises(TypeError) as caught:
        plan.validators.has_value(value)
    assert str(caught.value) == message.format("has_value", value)
    with pytest.raises(TypeError) as caught:
        roles.validators.includes_all(["admin", value])
    assert str(caught.value) == message.format("includes_all", value)


@pytest.mark.parametrize("values", ["admin", {"admin": 1}, b"admin", 7])
def test_several_values_are_given_as_a_list(roles: PrimitiveArrayClaim[str], values: Any) -> None:
    with pytest.raises(TypeError) as caught:
        roles.validators.includes_all(values)
    assert str(caught.value) == f"includes_all takes a list of values, not {values!r}; write [{values!r}]."


def test_several_values_may_be_a_tuple_or_a_set(roles: PrimitiveArrayClaim[str]) -> None:
    payload = stored("st-role", ["a", "b"])
    assert reason(roles.validators.includes_all(("a", "b")), payload) is None
    assert reason(roles.validators.includes_any({"b", "c"}), payload) is None


def test_members_of_enumerations_count_as_their_values() -> None:
    class Role(str, enum.Enum):
        ADMIN = "admin"

    class Level(enum.IntEnum):
        HIGH = 3

    validator = PrimitiveArrayClaim[str]("roles", lambda *_: []).validators.includes(Role.ADMIN)
    assert reason(validator, stored("roles", ["admin"])) is None
    assert type(reason(validator, stored("roles", []))["expectedToInclude"]) is str
    level = PrimitiveClaim[int]("level", lambda *_: 1).validators.has_value(Level.HIGH)
    assert reason(level, stored("level", 3)) is None
    assert type(reason(level, stored("level", 1))["expectedValue"]) is int


def test_validators_read_the_storage_of_a_subclass(clock: Clock) -> None:
    class Scopes(PrimitiveArrayClaim[str]):
        """As in OAuth: one string, blanks in between."""

        def get_value_from_payload(
            self, payload: dict[str, Any], user_context: dict[str, Any] | None = None
        ) -> list[str] | None:
            scope = payload.get(self.key)
            return scope.split() if isinstance(scope, str) else None

    claim = Scopes("scope", lambda *_: [], clock=clock)
    assert reason(claim.validators.includes("read"), {"scope": "write read"}) is None
    assert not refetches(claim.validators.includes("read"), {"scope": "write read"})


def test_a_failure_holds_a_copy_of_the_validators_list(roles: PrimitiveArrayClaim[str]) -> None:
    validator = roles.validators.includes_all(["admin"])
    reason(validator, {})["expectedToInclude"].clear()
    assert reason(validator, stored("st-role", [])) is not None
