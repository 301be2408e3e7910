"""The arguments of a new session."""

from __future__ import annotations

import math
from typing import Any

import pytest

from flask_stsession.sessions.new_session import NewSession


def test_a_repr_shows_no_payload() -> None:
    new = NewSession(
        user_id="alice", access_token_payload={"a": "secret"}, session_data_in_database={"b": "secret"}
    )
    assert "secret" not in repr(new)


@pytest.mark.parametrize("seconds", [0, 0.999, -5, math.nan, math.inf])
def test_a_token_lives_for_a_second_at_least(seconds: float) -> None:
    with pytest.raises(ValueError, match="it must be finite and 1 or more, since a token's times are whole"):
        NewSession(user_id="alice", access_token_validity_seconds=seconds)


@pytest.mark.parametrize("seconds", ["60", True, [60]])
def test_a_token_lifetime_that_is_not_a_number_is_refused(seconds: Any) -> None:
    with pytest.raises(TypeError) as caught:
        NewSession(user_id="alice", access_token_validity_seconds=seconds)
    assert str(caught.value) == (
        f"access_token_validity_seconds must be a number of seconds, not {seconds!r}."
    )
