"""The core's signing keys while it is slow or unreachable, and many threads need them."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.signing import COOLDOWN, MAX_STALE, REFRESH, Clock, Core, Hanging, key_set, known_to

from flask_stsession.errors import CoreError, CoreUnavailableError, Reason
from flask_stsession.tokens.jwks import KeySet

from .conftest import NEW, OLD

DOWN = CoreUnavailableError("http://core:3567: connection refused")


@pytest.fixture
def outages() -> list[tuple[Exception, float]]:
    return []


@pytest.fixture
def keys(core: Core, clock: Clock, outages: list[tuple[Exception, float]]) -> KeySet:
    return key_set(core, clock, on_stale=lambda error, age: outages.append((error, age)))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def renewed(keys: KeySet) -> None:
    """Use a known key, and wait for the renewal that this may have started."""
    assert keys.get(OLD.kid) is not None
    for thread in threading.enumerate():
        if thread.name == "flask-stsession: fetching the signing keys":
            thread.join(10)


def unavailable(keys: KeySet, kid: str = OLD.kid) -> str:
    with pytest.raises(CoreUnavailableError) as caught:
        keys.get(kid)
    assert caught.value.reason is Reason.KEYS_UNAVAILABLE
    return str(caught.value)


def test_an_outage_before_the_first_fetch_is_reported_and_ends_at_once(keys: KeySet, core: Core) -> None:
    core.error = DOWN
    for _ in range(2):
        assert unavailable(keys) == (
            "No signing keys have been fetched yet, and the core is unreachable: "
            "http://core:3567: connection refused"
        )
    with pytest.raises(CoreUnavailableError):
        keys.raw()
    core.error = None
    assert keys.get(OLD.kid) is not None


def test_a_core_that_hangs_is_not_asked_again_for_as_long_as_it_took(
    keys: KeySet, core: Core, clock: Clock
) -> None:
    core.error = DOWN

    def hang() -> None:
        clock.now += 4

    core.takes = hang
    unavailable(keys)
    unavailable(keys)
    clock.now += 3.9
    unavailable(keys)
    assert core.fetches == 1
    clock.now += 0.1
    unavailable(keys)
    assert core.fetches == 2


def test_known_keys_stay_in_use_while_the_core_is_down(
    keys: KeySet, core: Core, clock: Clock, outages: list[tuple[Exception, float]]
) -> None:
    key = keys.get(OLD.kid)
    core.error = DOWN
    clock.now += REFRESH
    renewed(keys)
    assert outages == [(DOWN, REFRESH)]
    while clock.now + 300 <= 1_000 + MAX_STALE:
        clock.now += 300
        assert keys.get(OLD.kid) is key
        assert keys.raw() == [OLD.jwk()]
    assert len(outages) == 1, "told once per outage"
    clock.now = 1_000 + MAX_STALE + 1
    assert unavailable(keys) == (
        "The signing keys are too old to be used, and the core is unreachable: "
        "http://core:3567: connection refused"
    )
    core.error = None
    assert keys.get(OLD.kid) is key


def test_a_core_that_is_down_is_asked_after_longer_and_longer_pauses(
    keys: KeySet, core: Core, clock: Clock
) -> None:
    keys.get(OLD.kid)
    core.error = DOWN
    clock.now += REFRESH
    asked_at: list[float] = []
    while len(asked_at) < 7:
        before = core.fetches
        renewed(keys)
        if core.fetches > before:
            asked_at.append(clock.now)
        clock.now += 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert pauses == [COOLDOWN, 2 * COOLDOWN, 4 * COOLDOWN, REFRESH, REFRESH, REFRESH]
    core.error = None
    clock.now += REFRESH
    renewed(keys)
    core.error = DOWN
    clock.now += REFRESH
    renewed(keys)
    fetches = core.fetches
    clock.now += COOLDOWN
    renewed(keys)
    assert core.fetches == fetches + 1, "the pauses begin anew"


def test_every_outage_is_reported_anew(
    keys: KeySet,
    core: Core,
    clock: Clock,
    outages: list[tuple[Exception, float]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = CoreError("http://core:3567 answered 401: Invalid API key", status=401)
    caplog.set_level(logging.INFO)
    error: Exception | None
    for error in (None, DOWN, None, refused):
        core.error = error
        renewed(keys)
        clock.now += REFRESH
        renewed(keys)
    assert outages == [(DOWN, REFRESH), (refused, REFRESH)]
    assert [record.getMessage() for record in caplog.records] == [
        "The core's signing keys could not be renewed; those fetched 60 s ago stay in use until they are "
        "86400 s old (STSESSION_JWKS_MAX_STALE_SECONDS): http://core:3567: connection refused",
        "The core returns its signing keys again.",
        "The core's signing keys could not be renewed; those fetched 60 s ago stay in use until they are "
        "86400 s old (STSESSION_JWKS_MAX_STALE_SECONDS): http://core:3567 answered 401: Invalid API key",
    ]


def test_an_unknown_key_is_our_outage_if_the_core_could_not_be_asked(
    keys: KeySet, core: Core, clock: Clock
) -> None:
    keys.get(OLD.kid)
    core.error = DOWN
    for _ in range(50):
        assert unavailable(keys, NEW.kid) == (
            "The signing key 'd-1700000099999' is not known, and the core is unreachable: "
            "http://core:3567: connection refused"
        )
    assert core.fetches == 2, "one for the cooldown"
    assert keys.get(OLD.kid) is not None


@pytest.mark.parametrize("is_warm", [True, False])
def test_after_an_outage_is_forgotten_the_next_request_asks_at_once(
    keys: KeySet, core: Core, clock: Clock, is_warm: bool
) -> None:
    if is_warm:
        keys.get(OLD.kid)
    core.takes = lambda: setattr(clock, "now", clock.now + 4)
    core.error = DOWN
    unavailable(keys, NEW.kid)
    core.error = None
    core.jwks.append(NEW.jwk())
    unavailable(keys, NEW.kid)
    keys.forget_outage()
    assert keys.get(NEW.kid) is not None
    fetches = core.fetches
    keys.forget_outage()
    assert keys.get(NEW.kid) is not None
    assert core.fetches == fetches, "there is none"


def test_an_unexpected_error_is_not_taken_for_an_outage(keys: KeySet, core: Core) -> None:
    core.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        keys.get(OLD.kid)
    core.error = None
    assert keys.get(OLD.kid) is not None, "and no lock was left locked"


# Threads and processes


def test_threads_that_need_the_first_keys_share_one_fetch(
    keys: KeySet, core: Core, threads: ThreadPoolExecutor
) -> None:
    core.takes = hanging = Hanging()
    found = [threads.submit(keys.get, OLD.kid) for _ in range(20)]
    assert hanging.started.wait(10)
    hanging.released.set()
    assert all(future.result(10) is not None for future in found)
    assert core.fetches == 1


def test_no_request_with_a_known_key_waits_for_a_fetch(
    keys: KeySet, core: Core, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    key = keys.get(OLD.kid)
    core.takes = hanging = Hanging()
    clock.now += REFRESH
    refresher = threads.submit(keys.get, OLD.kid)
    assert hanging.started.wait(10)
    assert [threads.submit(keys.get, OLD.kid).result(5) for _ in range(50)] == [key] * 50
    assert keys.raw() == [OLD.jwk()]
    assert not refresher.done()
    hanging.released.set()
    assert refresher.result(10) is key
    assert core.fetches == 2


def test_the_request_that_has_keys_renewed_goes_on_after_a_moment(core: Core, clock: Clock) -> None:
    keys = key_set(core, clock, patience_seconds=0.01)
    key = keys.get(OLD.kid)
    core.takes = hanging = Hanging()
    clock.now += REFRESH
    assert keys.get(OLD.kid) is key
    assert hanging.started.wait(10)
    core.jwks = [NEW.jwk()]
    hanging.released.set()
    renewed_at = time.monotonic()
    while NEW.kid not in known_to(keys):  # never fetches: to ask for the old key by now may
        assert time.monotonic() - renewed_at < 10
    assert core.fetches == 2


def test_an_unexpected_error_of_a_renewal_is_logged_and_the_keys_stay(
    keys: KeySet, core: Core, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    key = keys.get(OLD.kid)
    core.error = ZeroDivisionError("oh")
    clock.now += REFRESH
    for _ in range(5):
        assert keys.get(OLD.kid) is key
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "The signing keys could not be renewed.")
    assert record.exc_info is not None
    assert core.fetches == 2


def test_an_expected_key_waits_for_a_renewal_under_way(
    keys: KeySet, core: Core, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    keys.get(OLD.kid)
    core.jwks.append(NEW.jwk())
    core.takes = hanging = Hanging()
    clock.now += REFRESH
    refresher = threads.submit(keys.get, OLD.kid)
    assert hanging.started.wait(10)
    keys.expect(NEW.kid)
    threading.Timer(0.5, hanging.released.set).start()
    assert keys.get(NEW.kid) is not None
    refresher.result(10)


def test_an_unknown_key_waits_only_briefly_for_a_fetch_under_way_and_is_our_outage(
    keys: KeySet, core: Core, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    """It may be made up, so it must not tie up a thread; it may be the core's newest, so it is no 401."""
    keys.get(OLD.kid)
    core.takes = hanging = Hanging()
    clock.now += REFRESH
    refresher = threads.submit(keys.get, OLD.kid)
    assert hanging.started.wait(10)
    for _ in range(3):
        assert threads.submit(unavailable, keys, NEW.kid).result(5) == (
            "The signing key 'd-1700000099999' is not known, and the core is unreachable: no response "
            "within 0.25 s"
        )
    core.jwks.append(NEW.jwk())
    hanging.released.set()
    refresher.result(10)
    assert keys.get(NEW.kid) is not None
    assert core.fetches == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unknown_key_is_our_outage_if_the_thread_that_asks_for_it_is_stopped(
    keys: KeySet, core: Core
) -> None:
    keys.get(OLD.kid)

    def stop() -> None:
        raise SystemExit(1)

    core.takes = stop
    assert unavailable(keys, NEW.kid).endswith("unreachable: the thread that asked it was stopped")
    renewed(keys)  # its thread has ended


def test_a_request_that_starts_a_renewal_to_find_its_own_key_waits_for_it(core: Core, clock: Clock) -> None:
    keys = key_set(core, clock, patience_seconds=0.01)
    keys.get(OLD.kid)
    core.jwks.append(NEW.jwk())
    core.takes = hanging = Hanging()
    clock.now += REFRESH
    threading.Timer(0.5, hanging.released.set).start()
    assert keys.get(NEW.kid) is not None


def test_a_request_whose_time_is_limited_waits_no_longer_than_that(
    core: Core, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    left = [30.0]
    keys = key_set(core, clock, time_left=lambda: left[0])
    key = keys.get(OLD.kid)
    core.takes = hanging = Hanging()
    clock.now += REFRESH
    left[0] = 0.05
    assert keys.get(OLD.kid) is key
    assert unavailable(keys, NEW.kid).endswith("no response within 0.05 s")
    left[0] = -1.0
    assert unavailable(keys, NEW.kid).endswith("no response within 0 s")
    clock.now += MAX_STALE
    with pytest.raises(CoreUnavailableError) as caught:
        keys.get(OLD.kid)
    assert str(caught.value) == "Another thread is fetching the signing keys, and has not ended within 0 s."
    hanging.released.set()
    left[0] = 30.0
    assert keys.get(OLD.kid) is not None


def test_threads_that_wait_for_a_fetch_that_fails_share_its_failure(
    keys: KeySet, core: Core, clock: Clock, threads: ThreadPoolExecutor
) -> None:
    core.error = DOWN
    core.takes = hanging = Hanging()
    failed = [threads.submit(unavailable, keys) for _ in range(10)]
    assert hanging.started.wait(10)
    while clock.reads < 11:  # each thread reads it once before it waits, the one that fetches twice
        time.sleep(0.001)
    hanging.released.set()
    assert len({future.result(10) for future in failed}) == 1
    assert core.fetches == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_fetch_leaves_the_child_able_to_fetch(
    keys: KeySet, core: Core, threads: ThreadPoolExecutor
) -> None:
    core.takes = hanging = Hanging()
    fetching = threads.submit(keys.get, OLD.kid)
    assert hanging.started.wait(10)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)
            core.takes = lambda: None
            found = keys.get(OLD.kid)
            os._exit(0 if found is not None else 1)
        finally:
            os._exit(2)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        hanging.released.set()
    assert fetching.result(10) is not None
