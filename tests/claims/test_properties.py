"""Properties of claims and validators that hold for any payload."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from flask_stsession.claims import (
    BooleanClaim,
    PrimitiveArrayClaim,
    PrimitiveClaim,
    SessionClaim,
    SessionClaimValidator,
)
from flask_stsession.claims.base import VALID

primitives = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
json_values = st.recursive(
    primitives | st.sampled_from(["a", "admin", 1, 0, True, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
stored = json_values | st.fixed_dictionaries({}, optional={"v": json_values, "t": json_values})
payloads = st.dictionaries(st.sampled_from(["c", "other"]), stored)
ages = st.none() | st.sampled_from([0, 1, 0.5, 10**400, 1e308])
wanted = st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["a", "admin", 1, 1.0, True])


def nothing(*_: Any) -> Any:
    return None


def validators_for(value: Any, max_age: float | None) -> Iterator[SessionClaimValidator]:
    yield PrimitiveClaim[Any]("c", nothing).validators.has_value(value, max_age)
    yield BooleanClaim("c", nothing).validators.is_true(max_age)
    yield BooleanClaim("c", nothing).validators.is_false(max_age)
    of = PrimitiveArrayClaim[Any]("c", nothing).validators
    yield of.includes(value, max_age)
    yield of.excludes(value, max_age)
    for values in ([value], [value, "admin"], []):
        yield of.includes_all(values, max_age)
        yield of.includes_any(values, max_age)
        yield of.excludes_all(values, max_age)


@settings(deadline=None)
@given(payload=payloads, value=wanted, max_age=ages)
def test_validators_never_raise_nor_change_the_payload(payload: Any, value: Any, max_age: Any) -> None:
    before = copy.deepcopy(payload)
    for validator in validators_for(value, max_age):
        refetch: Any = validator.should_refetch(payload, {})
        result: Any = validator.validate(payload, {})
        assert type(refetch) is bool
        assert (result is VALID) or (result.is_valid is False and "message" in result.reason)
        if max_age == 0:
            assert refetch
    assert repr(payload) == repr(before)


@settings(deadline=None)
@given(payload=payloads, value=wanted)
def test_a_value_is_absent_or_too_old_exactly_when_it_is_refetched(payload: Any, value: Any) -> None:
    for validator in validators_for(value, 3600):
        result: Any = validator.validate(payload, {})
        refused = not result.is_valid and result.reason["message"] in ("value does not exist", "expired")
        assert refused is validator.should_refetch(payload, {})


@settings(deadline=None)
@given(items=st.lists(json_values), value=wanted)
def test_includes_and_excludes_are_opposites_and_agree_with_json(items: Any, value: Any) -> None:
    of = PrimitiveArrayClaim[Any]("c", nothing).validators
    payload = {"c": {"v": items}}
    included: Any = of.includes(value).validate(payload, {})
    excluded: Any = of.excludes(value).validate(payload, {})
    assert included.is_valid is not excluded.is_valid
    one_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    same = [
        item == value
        if one_number and isinstance(item, (int, float))
        else json.dumps(item) == json.dumps(value)
        for item in items
        if not (one_number and isinstance(item, bool))
    ]
    assert included.is_valid is any(same)


@settings(deadline=None)
@pytest.mark.parametrize("kind", [SessionClaim, PrimitiveClaim, PrimitiveArrayClaim, BooleanClaim])
@given(value=json_values, payload=payloads)
def test_build_get_and_remove_round_trip(kind: Any, value: Any, payload: Any) -> None:
    before = copy.deepcopy(payload)
    claim = kind("c", lambda *_: value)
    built = claim.build("alice")
    if value is None:
        assert built == {}
        return
    assert repr(claim.get_value_from_payload(built)) == repr(value)
    assert claim.remove_from_payload(built) == {}
    assert claim.remove_from_payload_by_merge_(built) == {"c": None}

    added = claim.add_to_payload_(payload, value)
    assert repr(claim.get_value_from_payload(added)) == repr(value)
    assert claim.get_last_refetch_time(added) == added["c"]["t"]
    others = {key: value for key, value in payload.items() if key != "c"}
    assert repr(claim.remove_from_payload(added)) == repr(others)
    assert claim.get_value_from_payload(claim.remove_from_payload_by_merge_(added)) is None
    assert repr(payload) == repr(before)


def test_values_nested_deeper_than_the_recursion_limit_are_handled() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for payload in ({"c": deep}, {"c": {"v": deep, "t": deep}}, {"c": {"v": [deep], "t": 1}}):
        for validator in validators_for("admin", 60):
            validator.should_refetch(payload, {})
            validator.validate(payload, {})
