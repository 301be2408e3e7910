"""The cache for reads: how long entries live, what is never cached, and which reads wait for others."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest
from support.scripted_core import FakeClock

from flask_stsession.core.cache import ReadCache

FOREVER = math.inf


class Source:
    """A source that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.asked


def test_a_result_is_served_until_its_ttl_is_over(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock), Source()
    assert cache.read(("k",), source, max_age=FOREVER) == 1
    clock.now += 29.9
    assert cache.read(("k",), source, max_age=FOREVER) == 1
    clock.now += 0.2
    assert cache.read(("k",), source, max_age=FOREVER) == 2


def test_a_read_that_always_asks_the_core_is_cached_for_others(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock), Source()
    assert [cache.read(("k",), source, max_age=age) for age in (FOREVER, 0, FOREVER, FOREVER)] == [1, 2, 2, 2]


def test_a_result_older_than_the_maximal_age_is_not_served(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock), Source()
    cache.read(("k",), source, max_age=0)
    clock.now += 5
    assert cache.read(("k",), source, max_age=5.1) == 1
    assert cache.read(("k",), source, max_age=5) == 2


@pytest.mark.parametrize("ttl", [0, -1])
def test_without_a_ttl_nothing_is_cached(ttl: float, clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=ttl, timer=clock), Source()
    assert [cache.read(("k",), source, max_age=FOREVER) for _ in range(3)] == [1, 2, 3]
    with cache.changing(("k",)):
        pass


def test_none_is_cached_like_any_result(clock: FakeClock) -> None:
    cache, asked = ReadCache(ttl_seconds=30, timer=clock), []
    for _ in range(2):
        assert cache.read(("k",), lambda: asked.append(1), max_age=FOREVER) is None
    assert len(asked) == 1


def test_failures_are_not_cached(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock), Source()
    with pytest.raises(ZeroDivisionError):
        cache.read(("k",), lambda: 1 // 0, max_age=FOREVER)
    assert cache.read(("k",), source, max_age=FOREVER) == 1


def test_a_failure_leaves_what_was_cached(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock), Source()
    cache.read(("k",), source, max_age=FOREVER)
    with pytest.raises(ZeroDivisionError):
        cache.read(("k",), lambda: 1 // 0, max_age=0)
    assert cache.read(("k",), source, max_age=FOREVER) == 1


def test_a_write_drops_all_keys_that_begin_like_its_own(clock: FakeClock) -> None:
    cache = ReadCache(ttl_seconds=30, timer=clock)
    sources = {key: Source() for key in (("a", "1"), ("a", "2"), ("a", "1", "x"), ("b", "1"))}
    for key, source in sources.items():
        cache.read(key, source, max_age=FOREVER)
    with cache.changing(("a", "1"), ("c",)):
        pass
    for key, source in sources.items():
        cache.read(key, source, max_age=FOREVER)
    assert [source.asked for source in sources.values()] == [2, 1, 2, 1]


def test_a_write_that_fails_may_have_been_executed_and_drops_too(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock), Source()
    cache.read(("k",), source, max_age=FOREVER)

    def write() -> None:
        with cache.changing(("k",)):
            cache.read(("k",), source, max_age=FOREVER)
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        write()
    assert cache.read(("k",), source, max_age=FOREVER) == 3


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_result_that_a_write_overtook_is_not_cached(moment: str, clock: FakeClock) -> None:
    cache = ReadCache(ttl_seconds=30, timer=clock)

    def ask_while_it_changes() -> str:
        if moment == "before":
            with cache.changing(("k",)):
                pass
        else:
            cache.forget(("k",))
        return "old"

    if moment == "during":
        with cache.changing(("k",)):
            cache.read(("k",), lambda: "old", max_age=FOREVER)
    else:
        assert cache.read(("k",), ask_while_it_changes, max_age=FOREVER) == "old"
    assert cache.read(("k",), lambda: "new", max_age=FOREVER) == "new"


def test_the_least_recently_used_entry_goes_when_there_are_too_many(clock: FakeClock) -> None:
    cache, source = ReadCache(ttl_seconds=30, timer=clock, size=2), Source()
    for key in ("a", "b", "a", "c", "a", "b"):
        cache.read((key,), source, max_age=FOREVER)
    assert source.asked == 4


def test_cached_reads_do_not_wait_for_a_read_in_flight(clock: FakeClock) -> None:
    cache, asking, go_on = ReadCache(ttl_seconds=30, timer=clock), threading.Event(), threading.Event()
    cache.read(("known",), lambda: 1, max_age=FOREVER)

    def slow() -> int:
        asking.set()
        assert go_on.wait(10)
        return 2

    thread = threading.Thread(target=cache.read, args=(("slow",), slow), kwargs={"max_age": FOREVER})
    thread.start()
    try:
        assert asking.wait(10)
        assert cache.read(("known",), _never, max_age=FOREVER) == 1
        with cache.changing(("other",)):
            pass
    finally:
        go_on.set()
        thread.join(10)


def _never() -> int:
    raise AssertionError("asked although known")


def test_many_threads_may_read_and_write_at_once(clock: FakeClock) -> None:
    cache = ReadCache(ttl_seconds=30, timer=clock, size=5)
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(300):
                key = ("k", (number + turn) % 9)
                assert cache.read(key, lambda key=key: key, max_age=0 if turn % 3 == 0 else FOREVER) == key  # type: ignore[misc]
                with cache.changing(key):
                    pass
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    run_together([lambda number=number: work(number) for number in range(8)])  # type: ignore[misc]
    assert problems == []


def run_together(tasks: list[Callable[[], None]]) -> None:
    """Run each in a thread of its own."""
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
