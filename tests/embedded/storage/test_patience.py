"""All waits of a request together take no longer than one busy timeout."""

from __future__ import annotations

import threading
import time

import pytest

from flask_stsession.embedded.storage.patience import Patience


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, which stands still."""
    times = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: times[0])
    return times


def test_each_wait_leaves_less_for_the_next(now: list[float]) -> None:
    patience = Patience(5)
    with patience.shared():
        for left in (5, 3, 1, 0, 0):
            with patience.waiting() as seconds:
                assert (seconds, patience.left_ms) == (left, left * 1000)
                now[0] += 2


def test_the_next_request_has_the_whole_timeout_again(now: list[float]) -> None:
    patience = Patience(5)
    with patience.shared(), patience.waiting():
        now[0] += 4
    assert patience.left == 5


def test_time_outside_of_waits_does_not_count(now: list[float]) -> None:
    patience = Patience(5)
    with patience.shared():
        now[0] += 60
        assert patience.left == 5


def test_a_block_inside_another_shares_its_timeout(now: list[float]) -> None:
    patience = Patience(5)
    with patience.shared():
        with patience.shared(), patience.waiting():
            now[0] += 4
        assert patience.left == 1


def test_threads_do_not_share_their_timeouts(now: list[float]) -> None:
    patience = Patience(5)
    seen: list[float] = []
    with patience.shared(), patience.waiting():
        now[0] += 4
    with patience.shared(), patience.waiting():
        thread = threading.Thread(target=lambda: seen.append(patience.left))
        now[0] += 4
        thread.start()
        thread.join()
    assert seen == [5]
