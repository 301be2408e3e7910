"""The table of sessions: expired ones are not found, and are deleted little by little."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from flask_stsession.embedded.storage.schema import migrate
from flask_stsession.embedded.storage.session_records import SessionRecord, SessionTable, same_json

NOW = 1_800_000_000_000
RECORD = SessionRecord(
    handle="handle",
    tenant_id="public",
    user_id="user",
    current_hash2="current",
    previous_hash2=None,
    rotated_at=NOW - 1,
    data_in_jwt={"a": [1, None, "ä"]},
    data_in_database={"b": {}},
    dynamic_key=True,
    created_at=NOW - 2,
    expires_at=NOW + 1,
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, 0)
    yield connection
    connection.close()


@pytest.fixture
def table(connection: sqlite3.Connection) -> SessionTable:
    return SessionTable(connection, NOW)


def test_a_record_is_found_as_it_was_inserted(table: SessionTable) -> None:
    table.insert(RECORD)
    assert table.find("handle") == RECORD
    assert table.find("other") is None


def test_an_expired_session_counts_as_missing(table: SessionTable, connection: sqlite3.Connection) -> None:
    table.insert(RECORD)
    later = SessionTable(connection, RECORD.expires_at)
    assert later.find("handle") is None
    assert later.handles_of_user("user", None) == []
    assert later.of_user("user", None) == []
    assert not later.set_data_in_jwt("handle", {})
    assert not later.set_data_in_database("handle", {})


def test_an_expired_session_that_is_still_stored_can_be_deleted(
    table: SessionTable, connection: sqlite3.Connection
) -> None:
    table.insert(RECORD)
    assert SessionTable(connection, RECORD.expires_at).delete(["handle"]) == ["handle"]


def test_handles_are_listed_for_one_tenant_or_all(table: SessionTable) -> None:
    table.insert(RECORD)
    table.insert(replace(RECORD, handle="elsewhere", tenant_id="acme"))
    table.insert(replace(RECORD, handle="foreign", user_id="other"))
    assert table.handles_of_user("user", "acme") == ["elsewhere"]
    assert sorted(table.handles_of_user("user", None)) == ["elsewhere", "handle"]
    assert [record.handle for record in table.of_user("user", "acme")] == ["elsewhere"]
    assert table.of_user("user", "public") == [RECORD]


def test_deleting_returns_the_handles_that_existed(table: SessionTable) -> None:
    table.insert(RECORD)
    assert table.delete(["handle", "handle", "other"]) == ["handle"]


def test_a_rotated_token_becomes_the_previous_one(table: SessionTable) -> None:
    table.insert(RECORD)
    table.rotate(RECORD, "next", NOW + 9)
    assert table.find("handle") == replace(
        RECORD, current_hash2="next", previous_hash2="current", rotated_at=NOW, expires_at=NOW + 9
    )


def test_a_displaced_token_leaves_the_previous_one_as_it_is(table: SessionTable) -> None:
    record = replace(RECORD, previous_hash2="previous")
    table.insert(record)
    table.displace(record, "next", NOW + 9)
    assert table.find("handle") == replace(record, current_hash2="next", expires_at=NOW + 9)


def test_data_and_the_kind_of_key_are_replaced(table: SessionTable) -> None:
    table.insert(RECORD)
    assert table.set_data_in_jwt("handle", {"x": 1})
    assert table.set_data_in_database("handle", {"y": 2})
    table.use_dynamic_key(RECORD, False)
    assert table.find("handle") == replace(
        RECORD, data_in_jwt={"x": 1}, data_in_database={"y": 2}, dynamic_key=False
    )


def test_purging_deletes_a_hundred_expired_sessions_at_once(
    table: SessionTable, connection: sqlite3.Connection
) -> None:
    table.insert(RECORD)
    for number in range(150):
        table.insert(replace(RECORD, handle=str(number), expires_at=NOW))
    for left in (51, 1, 1):
        table.purge()
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (left,)
    assert table.find("handle") == RECORD


@pytest.mark.parametrize("other", [1.0, True, "1", [1], None])
def test_values_that_are_equal_in_python_may_be_different_json(other: object) -> None:
    assert same_json({"a": 1}, {"a": 1})
    assert not same_json({"a": 1}, {"a": other})
