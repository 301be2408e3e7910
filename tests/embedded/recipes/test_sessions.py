"""Sessions beyond the recordings: reuse of refresh tokens, mixed versions, expiry and concurrency."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.patterns import decode_jwt
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore

ENDED = {"status": "UNAUTHORISED", "message": "Either the session has ended or has been blacklisted"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Iterator[Client]:
    with EmbeddedCore(":memory:", clock=clock) as core, client_of(core) as client:
        yield client


def reuse(pair: Any, subtype: str) -> dict[str, Any]:
    session = {name: pair["session"][name] for name in ("handle", "userId", "recipeUserId")}
    return {"status": "TOKEN_THEFT_DETECTED", "session": session, "recentTokenReuseSubtype": subtype}


# Reuse, CDI 5.6


def test_the_previous_refresh_token_can_be_reused_within_the_grace_period(
    client: Client, clock: Clock
) -> None:
    first = client.create()
    client.refresh(first)
    clock.advance(29.9)
    assert client.refresh(first)["status"] == "OK"


def test_reuse_does_not_extend_the_grace_period(client: Client, clock: Clock) -> None:
    first = client.create()
    client.refresh(first)
    clock.advance(20)
    assert client.refresh(first)["status"] == "OK"
    clock.advance(20)
    assert client.refresh(first) == reuse(first, "RECENT_PREV")


def test_the_previous_refresh_token_after_the_grace_period_is_theft(client: Client, clock: Clock) -> None:
    first = client.create()
    client.refresh(first)
    clock.advance(30)
    assert client.refresh(first) == reuse(first, "RECENT_PREV")
    assert client.handles("user") == set()


def test_a_child_displaced_by_reuse_of_its_parent_is_an_orphaned_branch(client: Client) -> None:
    first = client.create()
    displaced = client.refresh(first)
    client.refresh(first)
    assert client.refresh(displaced) == reuse(first, "ORPHANED_BRANCH")
    assert client.handles("user") == set()


def test_a_token_from_before_the_previous_is_stale_lineage(client: Client) -> None:
    first = client.create()
    client.refresh(client.refresh(first))
    assert client.refresh(first) == reuse(first, "STALE_LINEAGE")
    assert client.handles("user") == set()


@pytest.mark.parametrize("forgiven", ["RECENT_PREV", "ORPHANED_BRANCH"])
def test_reuse_configured_as_harmless_is_unauthorised_and_still_ends_the_session(forgiven: str) -> None:
    settings = {"recent_token_reuse_behaviour": forgiven, "refresh_token_rotation_grace_period": 30}
    clock = Clock()
    with EmbeddedCore(":memory:", settings, clock=clock) as core, client_of(core) as client:
        first = client.create()
        child = client.refresh(first)
        if forgiven == "ORPHANED_BRANCH":
            client.refresh(first)
            answer = client.refresh(child)
        else:
            clock.advance(31)
            answer = client.refresh(first)
        assert answer == {
            "status": "UNAUTHORISED",
            "message": "The refresh token was used before; the session has ended",
            "recentTokenReuseSubtype": forgiven,
        }
        assert client.handles("user") == set()


def test_without_a_grace_period_the_previous_token_is_theft_at_once() -> None:
    settings = {"refresh_token_rotation_grace_period": 0}
    with EmbeddedCore(":memory:", settings, clock=Clock()) as core, client_of(core) as client:
        first = client.create()
        client.refresh(first)
        assert client.refresh(first) == reuse(first, "RECENT_PREV")


# The database check, CDI 5.6


def test_the_database_check_accepts_only_the_current_and_the_previous_token(client: Client) -> None:
    first = client.create()
    second = client.refresh(first)
    assert client.verify(first, check_database=True)["status"] == "OK"
    third = client.refresh(second)
    assert client.verify(first, check_database=True) == ENDED
    assert client.verify(second, check_database=True)["status"] == "OK"
    assert client.verify(third, check_database=True)["status"] == "OK"


def test_the_database_check_refuses_the_access_token_of_a_displaced_child(client: Client) -> None:
    first = client.create()
    displaced = client.refresh(first)
    client.refresh(first)
    assert client.verify(displaced, check_database=True) == ENDED
    assert client.verify(displaced)["status"] == "OK"


def test_a_payload_that_differs_in_type_only_counts_as_an_update(client: Client) -> None:
    pair = client.create(userDataInJWT={"n": 1})
    body = {"sessionHandle": pair["session"]["handle"], "userDataInJWT": {"n": True}}
    client.call("PUT", "/recipe/jwt/data", body)
    assert client.verify(pair, check_database=True)["payloadUpdateAvailable"] is True


# Sessions that cross interfaces


def test_an_unpromoted_child_of_an_older_interface_is_promoted_and_rotated(client: Client) -> None:
    first = client.create()
    child = client.speaking("5.4").refresh(first)
    grandchild = client.refresh(child)
    assert grandchild["status"] == "OK"
    # The child was promoted, so it is the previous token now, with its grace period.
    assert client.refresh(child)["status"] == "OK"
    assert client.refresh(first) == reuse(first, "STALE_LINEAGE")


def test_the_database_check_accepts_an_unpromoted_child_and_writes_nothing(client: Client) -> None:
    older = client.speaking("5.4")
    first = client.create()
    child = older.refresh(first)
    assert client.verify(child, check_database=True)["status"] == "OK"
    # Still not promoted: the parent may be refreshed again.
    assert older.refresh(first)["status"] == "OK"


def test_a_child_whose_parent_was_rotated_by_the_newer_interface_is_an_orphan(client: Client) -> None:
    first = client.create()
    child = client.speaking("5.4").refresh(first)
    client.refresh(first)
    assert client.refresh(child) == reuse(first, "ORPHANED_BRANCH")


def test_after_a_promotion_the_parent_is_theft_for_an_older_interface_and_leaves_the_session(
    client: Client,
) -> None:
    older = client.speaking("5.5")
    first = client.create()
    child = older.refresh(first)
    assert older.verify(child)["accessToken"]["expiry"] == child["accessToken"]["expiry"]
    answer = older.refresh(first)
    assert answer["status"] == "TOKEN_THEFT_DETECTED"
    assert "recentTokenReuseSubtype" not in answer
    assert client.handles("user") == {first["session"]["handle"]}


def test_using_a_childs_refresh_token_promotes_it_for_an_older_interface(client: Client) -> None:
    older = client.speaking("5.0")
    first = client.create()
    child = older.refresh(first)
    assert older.refresh(child)["status"] == "OK"
    assert older.refresh(first)["status"] == "TOKEN_THEFT_DETECTED"


# Many at once


@pytest.mark.parametrize("cdi", ["5.4", "5.6"])
def test_fifty_threads_refresh_with_one_token_and_nothing_is_revoked(cdi: str, tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as core, client_of(core) as client:
        first = client.create()

        def refresh(_: int) -> str:
            with client_of(core) as own:
                return str(own.speaking(cdi).refresh(first)["status"])

        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(refresh, range(50))) == ["OK"] * 50
        assert client.handles("user") == {first["session"]["handle"]}


# Expiry


def test_a_token_lives_until_the_next_whole_second_at_least(client: Client, clock: Clock) -> None:
    pair = client.create(accessTokenValidity=1)
    assert client.verify(pair)["status"] == "OK"
    clock.advance(1)
    assert client.verify(pair) == {"status": "TRY_REFRESH_TOKEN", "message": "Access token expired"}


def test_a_token_expires_at_the_second_of_its_expiry(client: Client, clock: Clock) -> None:
    pair = client.create()
    clock.now = pair["accessToken"]["expiry"] / 1000 - 0.001
    assert client.verify(pair)["status"] == "OK"
    clock.now = pair["accessToken"]["expiry"] / 1000
    assert client.verify(pair)["status"] == "TRY_REFRESH_TOKEN"


def test_an_expired_session_is_gone_for_every_operation(client: Client, clock: Clock) -> None:
    gone = {"status": "UNAUTHORISED", "message": "Session does not exist."}
    pair = client.create(accessTokenValidity=3_600_000)
    handle = pair["session"]["handle"]
    clock.advance(144_000 * 60)
    assert client.handles("user") == set()
    for path in ("/recipe/session", "/recipe/session/data", "/recipe/jwt/data"):
        assert client.call("GET", path, sessionHandle=handle) == gone
    body = {"sessionHandle": handle, "userDataInJWT": {}, "userDataInDatabase": {}}
    assert client.call("PUT", "/recipe/session/data", body) == gone
    assert client.call("PUT", "/recipe/jwt/data", body) == gone
    assert client.refresh(pair)["status"] == "UNAUTHORISED"
    regenerated = client.call(
        "POST", "/recipe/session/regenerate", {"accessToken": pair["accessToken"]["token"]}
    )
    assert regenerated == gone


def test_a_refresh_of_cdi_4_0_keeps_the_kind_of_key_by_default(client: Client) -> None:
    older = client.speaking("4.0")
    pair = older.create(useDynamicSigningKey=False)
    body = {"refreshToken": pair["refreshToken"]["token"], "enableAntiCsrf": False}
    refreshed = older.call("POST", "/recipe/session/refresh", body)
    assert decode_jwt(refreshed["accessToken"]["token"])["header"]["kid"].startswith("s-")
    response = client.speaking("5.0").send("POST", "/recipe/session/refresh", json=body)
    assert (response.status_code, response.text) == (
        400,
        "Field name 'useDynamicSigningKey' is invalid in JSON input",
    )


def test_refreshing_extends_the_session(client: Client, clock: Clock) -> None:
    pair = client.create()
    for _ in range(3):
        clock.advance(100_000 * 60)
        pair = client.refresh(pair)
        assert pair["status"] == "OK"


def test_expired_sessions_are_purged_when_new_ones_are_created(tmp_path: Path) -> None:
    clock = Clock()
    with EmbeddedCore(tmp_path / "core.db", clock=clock) as core, client_of(core) as client:
        for _ in range(20):
            client.create()
        clock.advance(144_001 * 60)
        client.create("late")
        clock.now -= 144_001 * 60  # back to when they were alive: they are really gone
        assert client.handles("user") == set()


# Changing


@pytest.mark.parametrize("path", ["/recipe/jwt/data", "/recipe/session/regenerate"])
def test_protected_claims_cannot_be_changed_later(client: Client, path: str) -> None:
    pair = client.create()
    body = {
        "sessionHandle": pair["session"]["handle"],
        "accessToken": pair["accessToken"]["token"],
        "userDataInJWT": {"sub": "somebody else"},
    }
    response = client.send("PUT" if path == "/recipe/jwt/data" else "POST", path, json=body)
    assert (response.status_code, response.text) == (400, "The user payload contains protected field")


def test_regenerating_with_a_token_of_another_core_is_unauthorised(client: Client) -> None:
    with EmbeddedCore(":memory:", clock=Clock()) as other, client_of(other) as elsewhere:
        token = elsewhere.create()["accessToken"]["token"]
    answer = client.call("POST", "/recipe/session/regenerate", {"accessToken": token})
    assert answer == {
        "status": "UNAUTHORISED",
        "message": "The signature of the token is not by a key of this core",
    }


def test_a_refresh_changes_the_kind_of_key_for_later_tokens(client: Client) -> None:
    pair = client.create()
    static = client.refresh(pair, useDynamicSigningKey=False)
    again = client.call("POST", "/recipe/session/regenerate", {"accessToken": static["accessToken"]["token"]})
    assert decode_jwt(static["accessToken"]["token"])["header"]["kid"].startswith("s-")
    assert decode_jwt(again["accessToken"]["token"])["header"]["kid"].startswith("s-")
