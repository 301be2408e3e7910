"""The arguments of a new session."""

from __future__ import annotations

from flask_stsession.sessions.new_session import NewSession


def test_the_login_method_is_the_user_where_there_is_only_one() -> None:
    assert NewSession(user_id="alice").login_method == "alice"
    assert NewSession(user_id="alice", recipe_user_id="by-phone").login_method == "by-phone"


def test_a_repr_shows_no_payload() -> None:
    new = NewSession(
        user_id="alice", access_token_payload={"a": "secret"}, session_data_in_database={"b": "secret"}
    )
    assert "secret" not in repr(new)
