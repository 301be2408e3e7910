"""Which revoked sessions a process remembers."""

from __future__ import annotations

from flask_stsession.sessions.revocation import RevokedHandles


def test_what_was_revoked_is_known_and_nothing_else() -> None:
    revoked = RevokedHandles()
    revoked.add(["a", "b"])

    assert "a" in revoked
    assert "b" in revoked
    assert "c" not in revoked


def test_the_oldest_is_forgotten_where_there_are_too_many() -> None:
    revoked = RevokedHandles(size=2)
    revoked.add(["a", "b"])
    revoked.add(["c"])

    assert [handle in revoked for handle in "abc"] == [False, True, True]
