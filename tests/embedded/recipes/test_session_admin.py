"""Sessions read, changed, listed and revoked by handle or by user."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.running_cores import Client, Clock, client_of

from flask_stsession.embedded.app import EmbeddedCore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Iterator[Client]:
    with EmbeddedCore(":memory:", clock=clock) as core, client_of(core) as client:
        yield client


def test_the_data_of_a_session_are_read_and_changed_by_handle(client: Client) -> None:
    handle = client.create(userDataInJWT={"a": 1}, userDataInDatabase={"b": 2})["session"]["handle"]
    database = client.call("GET", "/recipe/session/data", sessionHandle=handle)
    assert database == {"status": "OK", "userDataInDatabase": {"b": 2}}
    in_jwt = client.call("GET", "/recipe/jwt/data", sessionHandle=handle)
    assert in_jwt == {"status": "OK", "userDataInJWT": {"a": 1}}


def test_removing_needs_either_a_user_or_handles(client: Client) -> None:
    body = {"userId": "user", "sessionHandles": []}
    response = client.send("POST", "/recipe/session/remove", json=body)
    assert (response.status_code, response.text) == (
        400,
        "Invalid JSON input - use one of userId or sessionHandles array",
    )


def test_an_expired_session_that_is_still_stored_counts_as_revoked(client: Client, clock: Clock) -> None:
    handle = client.create()["session"]["handle"]
    clock.advance(144_000 * 60)
    body = {"sessionHandles": [handle]}
    assert client.call("POST", "/recipe/session/remove", body)["sessionHandlesRevoked"] == [handle]
    assert client.call("POST", "/recipe/session/remove", body)["sessionHandlesRevoked"] == []


def test_the_flag_for_all_tenants_must_be_true_or_false(client: Client) -> None:
    response = client.send(
        "GET", "/recipe/session/user", params={"userId": "u", "fetchAcrossAllTenants": "maybe"}
    )
    assert (response.status_code, response.text) == (
        400,
        "Field name 'fetchAcrossAllTenants' is invalid in JSON input",
    )


def test_a_list_may_include_the_session_information(client: Client) -> None:
    handles = [client.create("u", userDataInJWT={"n": n})["session"]["handle"] for n in range(3)]
    client.create("somebody else")
    listed = client.call("GET", "/recipe/session/user", userId="u", informationBytes="4000000")
    assert sorted(listed["sessionHandles"]) == sorted(handles)
    assert [described["sessionHandle"] for described in listed["sessions"]] == listed["sessionHandles"]
    for described in listed["sessions"]:
        single = client.call("GET", "/recipe/session", sessionHandle=described["sessionHandle"])
        assert {"status": "OK", **described} == single
    plain = client.call("GET", "/recipe/session/user", userId="u")
    assert "sessions" not in plain


def test_a_list_includes_as_much_information_as_fits(client: Client) -> None:
    for _ in range(3):
        client.create("u", userDataInDatabase={"x": "y" * 1_900_000})
    listed = client.call("GET", "/recipe/session/user", userId="u", informationBytes="4000000")
    assert (len(listed["sessionHandles"]), len(listed["sessions"])) == (3, 2)
    nothing = client.call("GET", "/recipe/session/user", userId="u", informationBytes="0")
    assert (len(nothing["sessionHandles"]), nothing["sessions"]) == (3, [])


@pytest.mark.parametrize("room", ["", "-1", "x", "1" * 10])
def test_a_size_that_is_not_a_number_is_refused(client: Client, room: str) -> None:
    response = client.send("GET", "/recipe/session/user", params={"userId": "u", "informationBytes": room})
    assert (response.status_code, response.text) == (
        400,
        "Field name 'informationBytes' is invalid in JSON input",
    )
