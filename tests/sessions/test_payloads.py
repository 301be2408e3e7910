"""Payloads that are not JSON serializable, hold too large a number, or a key of the session's own."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import STSession
from flask_stsession.claims import PrimitiveClaim
from flask_stsession.constants import PROTECTED_CLAIMS
from flask_stsession.errors import ProtectedClaimError

NOT_JSON = [
    (
        {"tags": {"a"}},
        TypeError,
        "{}['tags'] is of type set, which JSON does not have: write sorted(...) for a list.",
    ),
    (
        {"tags": frozenset()},
        TypeError,
        "{}['tags'] is of type frozenset, which JSON does not have: write sorted(...) for a list.",
    ),
    (
        {"at": datetime(2026, 1, 1, tzinfo=timezone.utc)},
        TypeError,
        "{}['at'] is of type datetime, which JSON does not have: write .isoformat(), or .timestamp() of a "
        "datetime.",
    ),
    (
        {"on": date(2026, 1, 1)},
        TypeError,
        "{}['on'] is of type date, which JSON does not have: write .isoformat(), or .timestamp() of a "
        "datetime.",
    ),
    (
        {"raw": b"x"},
        TypeError,
        "{}['raw'] is of type bytes, which JSON does not have: write text, by base64 for example.",
    ),
    (
        {"price": Decimal(1)},
        TypeError,
        "{}['price'] is of type Decimal, which JSON does not have: write str(...) to keep every digit.",
    ),
    ({"id": UUID(int=1)}, TypeError, "{}['id'] is of type UUID, which JSON does not have: write str(...)."),
    (
        {"user": Flask("x")},
        TypeError,
        "{}['user'] is of type Flask, which JSON does not have: write its data as JSON types.",
    ),
    (
        {"a": {"b": [1, math.nan]}},
        ValueError,
        "{}['a']['b'][1] is nan, a number that JSON does not have: write None.",
    ),
    ({"a": -math.inf}, ValueError, "{}['a'] is -inf, a number that JSON does not have: write None."),
    (
        {"a": {1: "b"}},
        TypeError,
        "{}['a'] has the key 1 of type int, but keys of JSON objects are text: write str(...).",
    ),
    (
        {None: "b"},
        TypeError,
        "{} has the key None of type NoneType, but keys of JSON objects are text: write str(...).",
    ),
]


def endless() -> dict[str, Any]:
    """Return a dict that contains itself."""
    made: dict[str, Any] = {}
    made["me"] = made
    return made


@pytest.fixture
def core(served_core: ServedCore) -> ServedCore:
    return served_core


@pytest.fixture
def ext(make_app: AppFactory, served_core: ServedCore) -> Iterator[STSession]:
    """Provide an extension object on a core that counts, in an app context."""
    app = make_app(connection_uri=served_core.url)
    with app.app_context():
        yield app.extensions["stsession"]


@pytest.mark.parametrize(("payload", "kind", "message"), NOT_JSON)
def test_a_payload_that_is_not_json_is_refused_before_anything_is_written(
    ext: STSession, core: ServedCore, payload: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        ext.create_new_session_without_request_response("alice", access_token_payload=payload)
    assert str(caught.value) == message.format("access_token_payload")
    with pytest.raises(kind) as caught:
        ext.create_new_session_without_request_response("alice", session_data_in_database=payload)
    assert str(caught.value) == message.format("session_data_in_database")
    assert not core.counted()


@pytest.mark.parametrize(("payload", "kind", "message"), NOT_JSON)
def test_a_change_that_is_not_json_is_refused_before_anything_is_written(
    ext: STSession, core: ServedCore, payload: Any, kind: type[Exception], message: str
) -> None:
    session = ext.create_new_session_without_request_response(
        "alice", access_token_payload={"kept": 1}, session_data_in_database={"kept": 2}
    )
    handle = session.get_handle()
    core.counted()
    with pytest.raises(kind) as caught:
        session.merge_into_access_token_payload(payload)
    assert str(caught.value) == message.format("access_token_payload")
    with pytest.raises(kind) as caught:
        session.update_session_data_in_database(payload)
    assert str(caught.value) == message.format("session_data_in_database")
    with pytest.raises(kind) as caught:
        ext.update_session_data_in_database(handle, payload)
    assert str(caught.value) == message.format("session_data_in_database")
    with pytest.raises(kind) as caught:
        ext.merge_into_access_token_payload(handle, payload)
    assert str(caught.value) == message.format("access_token_payload")
    assert not core.counted()
    found = ext.get_session_information(handle)
    assert found is not None
    assert found.custom_claims_in_access_token_payload == {"kept": 1}
    assert found.session_data_in_database == {"kept": 2}


def test_a_payload_that_contains_itself_is_refused(ext: STSession) -> None:
    with pytest.raises(ValueError, match="contains itself") as caught:
        ext.create_new_session_without_request_response("alice", access_token_payload=endless())
    place = "access_token_payload" + "['me']" * 100
    assert str(caught.value) == (
        place[:200] + " is nested too deeply: it has over 100 levels, or contains itself."
    )


def test_a_payload_that_is_not_a_mapping_is_refused(ext: STSession) -> None:
    wrong: Any = ["admin"]
    with pytest.raises(TypeError) as caught:
        ext.create_new_session_without_request_response("alice", access_token_payload=wrong)
    assert str(caught.value) == "access_token_payload must be a dict, not list."


def test_tuples_become_lists_and_later_changes_by_the_caller_do_not_matter(ext: STSession) -> None:
    inner = {"pair": (1, 2)}
    session = ext.create_new_session_without_request_response("alice", access_token_payload={"inner": inner})
    inner["pair"] = (3, 4)
    assert session.get_access_token_payload()["inner"] == {"pair": [1, 2]}


def test_protected_keys_are_dropped_at_creation_and_named_in_the_log(
    ext: STSession, caplog: pytest.LogCaptureFixture
) -> None:
    session = ext.create_new_session_without_request_response(
        "alice", access_token_payload={"sub": "mallory", "tId": "evil", "plan": "pro"}
    )
    payload = session.get_access_token_payload()
    assert (payload["sub"], payload["tId"], payload["plan"]) == ("alice", "public", "pro")
    assert caplog.messages == [
        "Keys of access_token_payload that belong to the session itself were dropped: sub, tId."
    ]


@pytest.mark.parametrize("key", PROTECTED_CLAIMS)
@pytest.mark.parametrize("value", ["x", None])
def test_protected_keys_are_refused_in_a_merge(
    ext: STSession, core: ServedCore, key: str, value: Any
) -> None:
    session = ext.create_new_session_without_request_response("alice")
    core.counted()
    with pytest.raises(ProtectedClaimError) as caught:
        session.merge_into_access_token_payload({key: value})
    assert str(caught.value) == (
        f"The key {key!r} of the access token payload belongs to the session itself and cannot be set or "
        "removed; choose another key."
    )
    assert not core.counted()


# Whole numbers


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400])
def test_a_whole_number_that_no_core_can_hold_is_refused(
    ext: STSession, core: ServedCore, number: int
) -> None:
    session = ext.create_new_session_without_request_response("alice")
    core.counted()
    deep = {"a": [{"b": number}]}
    message = "{}['a'][0]['b'] is a whole number of over 64 bits, too large for a core: write str(...)."
    with pytest.raises(ValueError, match="over 64 bits") as caught:
        ext.create_new_session_without_request_response("alice", access_token_payload=deep)
    assert str(caught.value) == message.format("access_token_payload")
    with pytest.raises(ValueError, match="over 64 bits") as caught:
        ext.create_new_session_without_request_response("alice", session_data_in_database=deep)
    assert str(caught.value) == message.format("session_data_in_database")
    with pytest.raises(ValueError, match="over 64 bits"):
        session.merge_into_access_token_payload(deep)
    with pytest.raises(ValueError, match="over 64 bits"):
        ext.merge_into_access_token_payload(session.get_handle(), deep)
    with pytest.raises(ValueError, match="over 64 bits"):
        ext.update_session_data_in_database(session.get_handle(), deep)
    assert not core.counted()


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_a_whole_number_that_a_browser_would_change_is_a_warning(
    ext: STSession, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    session = ext.create_new_session_without_request_response(
        "alice", access_token_payload={"id": {"deep": [number]}}, session_data_in_database={"id": number}
    )
    assert session.get_access_token_payload()["id"] == {"deep": [number]}
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "The key 'id' of access_token_payload holds a whole number beyond 2**53. JavaScript cannot represent "
        "it, so a browser reads another number: write str(...)."
    ]


def test_every_change_of_a_payload_warns_of_such_numbers(
    ext: STSession, caplog: pytest.LogCaptureFixture
) -> None:
    session = ext.create_new_session_without_request_response("alice")
    handle = session.get_handle()
    number = PrimitiveClaim("number", lambda *_: 2**53 + 1)
    changes: list[Callable[[], object]] = [
        lambda: session.merge_into_access_token_payload({"number": 2**53 + 1}),
        lambda: session.set_claim_value(number, 2**53 + 1),
        lambda: session.fetch_and_set_claim(number),
        lambda: ext.merge_into_access_token_payload(handle, {"number": 2**53 + 1}),
        lambda: ext.set_claim_value(number, 2**53 + 1, session_handle=handle),
        lambda: ext.fetch_and_set_claim(number, session_handle=handle),
    ]
    for change in changes:
        caplog.clear()
        change()
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
            "The key 'number' of access_token_payload holds a whole number beyond 2**53. JavaScript cannot "
            "represent it, so a browser reads another number: write str(...)."
        ]


def test_a_claim_of_a_new_session_warns_of_such_numbers(
    ext: STSession, caplog: pytest.LogCaptureFixture
) -> None:
    ext.session_claims = (PrimitiveClaim("number", lambda *_: 2**53 + 1),)
    ext.create_new_session_without_request_response("alice")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "The key 'number' of access_token_payload holds a whole number beyond 2**53. JavaScript cannot "
        "represent it, so a browser reads another number: write str(...)."
    ]


def test_whole_numbers_up_to_2_to_the_53_pass_without_a_warning(
    ext: STSession, caplog: pytest.LogCaptureFixture
) -> None:
    payload = {"a": 2**53, "b": [-(2**53)], "c": 1e300, "d": True}
    ext.create_new_session_without_request_response("alice", access_token_payload=payload)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
