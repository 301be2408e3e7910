"""Claims of plain JSON values: their storage, and the defaults of their validators."""

from __future__ import annotations

import pytest

from flask_stsession.claims import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim


def test_a_value_is_stored_with_the_time_at_which_it_was_fetched() -> None:
    claim = PrimitiveClaim("plan", lambda user_id, *_: f"plan of {user_id}", clock=lambda: 1_000)
    assert claim.build("alice") == {"plan": {"v": "plan of alice", "t": 1_000}}
    boolean = BooleanClaim("2fa", lambda *_: False, clock=lambda: 1_000)
    assert boolean.build("alice") == {"2fa": {"v": False, "t": 1_000}}


def test_a_tuple_or_a_set_from_the_source_becomes_a_list() -> None:
    assert PrimitiveArrayClaim("x", lambda *_: ("b", "a")).build("alice")["x"]["v"] == ["b", "a"]
    assert PrimitiveArrayClaim("x", lambda *_: {"b", "c", "a"}).build("alice")["x"]["v"] == ["a", "b", "c"]
    assert PrimitiveArrayClaim("x", lambda *_: frozenset({2, 1})).build("alice")["x"]["v"] == [1, 2]


@pytest.mark.parametrize("kind", [PrimitiveClaim, BooleanClaim, PrimitiveArrayClaim])
def test_an_impossible_default_age_is_refused(kind: type[PrimitiveClaim[str]]) -> None:
    with pytest.raises(ValueError, match="default_max_age_in_sec must be finite and at least 0, not -1;"):
        kind("plan", lambda *_: None, -1)
