"""Metadata of users, kept in the core of the current app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from support.app_factory import NO_CORE, AppFactory

from flask_stsession import CoreUnavailableError
from flask_stsession.usermetadata import clear_user_metadata, get_user_metadata, update_user_metadata


@pytest.fixture
def in_app(app: Flask) -> Iterator[None]:
    """The context of an app."""
    with app.app_context():
        yield


@pytest.mark.usefixtures("in_app")
def test_metadata_is_kept_for_each_user() -> None:
    assert get_user_metadata("alice") == {}
    assert update_user_metadata("alice", {"theme": "dark", "seen": [1, 2]}) == {
        "theme": "dark",
        "seen": [1, 2],
    }
    assert get_user_metadata("alice") == {"theme": "dark", "seen": [1, 2]}
    assert get_user_metadata("bob") == {}


@pytest.mark.usefixtures("in_app")
def test_an_update_replaces_its_keys_and_none_removes_one() -> None:
    update_user_metadata("alice", {"theme": "dark", "address": {"city": "Rome", "zip": "00100"}})
    assert update_user_metadata("alice", {"theme": None, "address": {"city": "Bonn"}, "age": 7}) == {
        "address": {"city": "Bonn"},
        "age": 7,
    }


@pytest.mark.usefixtures("in_app")
def test_cleared_metadata_is_gone_and_clearing_twice_is_no_error() -> None:
    update_user_metadata("alice", {"theme": "dark"})
    clear_user_metadata("alice")
    clear_user_metadata("alice")
    assert get_user_metadata("alice") == {}


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"tags": {"a"}},
            "metadata_update['tags'] is of type set, which JSON does not have: write sorted(...) for a list.",
        ),
        ("dark", "metadata_update must be a dict, not str."),
    ],
)
def test_metadata_that_json_does_not_have_is_refused(metadata: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        update_user_metadata("alice", metadata)
    assert str(caught.value) == message
    assert get_user_metadata("alice") == {}


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize(
    "call", [get_user_metadata, clear_user_metadata, lambda user_id: update_user_metadata(user_id, {})]
)
def test_a_user_id_that_is_no_string_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        call(7)
    assert str(caught.value) == "user_id must be a non-empty str, not 7: write str(user.id) for a number."


def test_an_outage_of_the_core_is_said(make_app: AppFactory) -> None:
    app = make_app(connection_uri=NO_CORE["STSESSION_CONNECTION_URI"])
    with app.app_context(), pytest.raises(CoreUnavailableError):
        get_user_metadata("alice")


def test_outside_of_an_app_context_there_is_no_core_to_ask() -> None:
    with pytest.raises(RuntimeError, match="outside of an app context"):
        get_user_metadata("alice")
