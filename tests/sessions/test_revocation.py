"""The memory of a process for revoked and for confirmed sessions."""

from __future__ import annotations

import os
import time

import pytest

from flask_stsession.sessions.revocation import ConfirmedTokens, RevokedHandles

DAY = 24 * 3600.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_000_000) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Clock:
    return Clock()


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
def revoked(monotonic: Clock, wall: Clock) -> RevokedHandles:
    """Return a memory with room for two."""
    return RevokedHandles(size=2, monotonic=monotonic, wall=wall)


def known(revoked: RevokedHandles, handles: str) -> str:
    return "".join(handle for handle in handles if handle in revoked.handles)


def test_revoked_handles_are_known_and_no_others(revoked: RevokedHandles) -> None:
    revoked.add(["a", "b"])
    assert known(revoked, "abc") == "ab"


def test_no_handle_is_forgotten_while_a_token_of_its_session_may_be_alive(revoked: RevokedHandles) -> None:
    revoked.add("abcdef")
    assert known(revoked, "abcdef") == "abcdef"


def test_the_oldest_handles_are_forgotten_once_their_tokens_have_expired(
    revoked: RevokedHandles, monotonic: Clock, wall: Clock
) -> None:
    revoked.add("abc")
    monotonic.now += DAY + 1
    wall.now += DAY + 1
    revoked.add("d")
    assert known(revoked, "abcd") == "cd"


def test_a_handle_is_remembered_for_the_longest_life_of_a_token(
    revoked: RevokedHandles, monotonic: Clock, wall: Clock
) -> None:
    revoked.note_life(10 * DAY)
    revoked.note_life(60)
    revoked.add("abc")
    monotonic.now += 9 * DAY
    wall.now += 9 * DAY
    revoked.add("d")
    assert known(revoked, "abcd") == "abcd"


@pytest.mark.parametrize("which", ["monotonic", "wall"])
def test_one_clock_that_jumps_does_not_end_a_revocation(
    revoked: RevokedHandles, monotonic: Clock, wall: Clock, which: str
) -> None:
    revoked.add("abc")
    {"monotonic": monotonic, "wall": wall}[which].now += 2 * DAY
    revoked.add("d")
    assert known(revoked, "abcd") == "abcd"


def test_a_handle_that_is_revoked_again_counts_as_new(
    revoked: RevokedHandles, monotonic: Clock, wall: Clock
) -> None:
    revoked.add("abc")
    monotonic.now += DAY + 1
    wall.now += DAY + 1
    revoked.add("a")
    assert known(revoked, "abc") == "ca" or known(revoked, "abc") == "ac"


def test_a_confirmation_counts_for_its_time_to_live() -> None:
    clock = Clock()
    confirmed = ConfirmedTokens(5, clock)
    confirmed.add(b"digest")
    clock.now += 4
    assert b"digest" in confirmed
    clock.now += 2
    assert b"digest" not in confirmed


@pytest.mark.parametrize(("monotonic", "wall"), [(0, 6), (6, 0), (6, -3600)])
def test_a_confirmation_ages_by_the_faster_of_two_clocks(
    monkeypatch: pytest.MonkeyPatch, monotonic: float, wall: float
) -> None:
    """The monotonic clock stands still in a frozen process; the wall clock may be set back."""
    confirmed = ConfirmedTokens(5)
    confirmed.add(b"digest")
    assert b"digest" in confirmed
    later = (time.monotonic() + monotonic, time.time() + wall)
    monkeypatch.setattr(time, "monotonic", lambda: later[0])
    monkeypatch.setattr(time, "time", lambda: later[1])
    assert b"digest" not in confirmed


def test_no_confirmation_counts_without_a_time_to_live() -> None:
    confirmed = ConfirmedTokens(0)
    confirmed.add(b"digest")
    assert b"digest" not in confirmed


def test_a_revocation_forgets_all_confirmations() -> None:
    confirmed = ConfirmedTokens(5, Clock())
    confirmed.add(b"digest")
    confirmed.clear()
    assert b"digest" not in confirmed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_confirmations_belong_to_one_process_and_revocations_are_inherited(
    monkeypatch: pytest.MonkeyPatch, revoked: RevokedHandles
) -> None:
    confirmed = ConfirmedTokens(5, Clock())
    confirmed.add(b"digest")
    revoked.add("a")
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a child process
    assert b"digest" not in confirmed
    assert "a" in revoked.handles
