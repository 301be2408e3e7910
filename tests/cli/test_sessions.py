"""``flask stsession sessions``: list, show and revoke sessions."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from flask import Flask
from support.app_factory import AppFactory
from support.commands import error_of, json_of, output_of, run_on

from flask_stsession import STSession
from flask_stsession.multitenancy import create_or_update_tenant

TIMES = {"time_created", "expiry", "created_at", "expires_at"}


def start_session(stsession: STSession, user_id: str = "alice", **options: Any) -> str:
    """Create a session, and return its handle."""
    with stsession.app.app_context():
        return stsession.create_new_session_without_request_response(user_id, **options).get_handle()


@pytest.fixture
def with_tenant(app: Flask) -> str:
    """The id of a tenant other than the default one."""
    with app.app_context():
        create_or_update_tenant("customer1")
    return "customer1"


def test_sessions_of_a_user_are_listed_oldest_first(app: Flask, stsession: STSession) -> None:
    handles = [start_session(stsession) for _ in range(2)]
    start_session(stsession, "bob")
    found = json_of(run_on(app, "sessions", "list", "alice", "--json"))
    assert [each["session_handle"] for each in found] == handles
    heads, *lines = [
        line.split() for line in output_of(run_on(app, "sessions", "list", "alice")).splitlines()
    ]
    assert heads == ["HANDLE", "TENANT", "CREATED", "EXPIRES"]
    assert [line[:2] for line in lines] == [[handle, "public"] for handle in handles]
    assert lines[0][4] == "UTC"


def test_the_json_of_a_session_has_what_the_core_stores(app: Flask, stsession: STSession) -> None:
    handle = start_session(
        stsession, access_token_payload={"plan": "pro"}, session_data_in_database={"note": 1}
    )
    found = json_of(run_on(app, "sessions", "show", handle, "--json"))
    assert {key: value for key, value in found.items() if key not in TIMES} == {
        "session_handle": handle,
        "user_id": "alice",
        "recipe_user_id": "alice",
        "tenant_id": "public",
        "session_data_in_database": {"note": 1},
        "custom_claims_in_access_token_payload": {"plan": "pro"},
    }
    created = datetime.fromtimestamp(found["time_created"] / 1000, timezone.utc)
    assert datetime.fromisoformat(found["created_at"]) == created
    assert found["expiry"] > found["time_created"]
    assert json_of(run_on(app, "sessions", "list", "alice", "--json")) == [found]


def test_a_session_is_shown_field_by_field(app: Flask, stsession: STSession) -> None:
    handle = start_session(stsession, session_data_in_database={"note": "\x1b[2J"})
    lines = output_of(run_on(app, "sessions", "show", handle)).splitlines()
    assert lines[0] == f"Handle        {handle}"
    assert lines[1] == "User          alice"
    assert lines[-1] == 'Data          {"note": "\\u001b[2J"}'


def test_a_session_is_revoked_once(app: Flask, stsession: STSession) -> None:
    handle, other = start_session(stsession), start_session(stsession)
    assert output_of(run_on(app, "sessions", "revoke", handle)) == f"Revoked the session {handle!r}.\n"
    expected = f"There is no session with the handle {handle!r}: it has ended or never existed."
    assert error_of(run_on(app, "sessions", "revoke", handle)) == expected
    assert error_of(run_on(app, "sessions", "show", handle)) == expected
    assert json_of(run_on(app, "sessions", "revoke", other, "--json")) == {
        "session_handle": other,
        "revoked": True,
    }
    assert json_of(run_on(app, "sessions", "list", "alice", "--json")) == []


def test_all_sessions_of_a_user_are_revoked(app: Flask, stsession: STSession) -> None:
    handles = [start_session(stsession) for _ in range(2)]
    assert output_of(run_on(app, "sessions", "revoke-all", "alice")) == "Revoked 2 sessions of 'alice'.\n"
    assert output_of(run_on(app, "sessions", "revoke-all", "alice")) == "Revoked no session of 'alice'.\n"
    handles = [start_session(stsession) for _ in range(2)]
    assert json_of(run_on(app, "sessions", "revoke-all", "alice", "--json")) == sorted(handles)


def test_a_tenant_narrows_the_choice(app: Flask, stsession: STSession, with_tenant: str) -> None:
    public = start_session(stsession)
    inner = start_session(stsession, tenant_id=with_tenant)
    found = json_of(run_on(app, "sessions", "list", "alice", "--json"))
    assert {each["session_handle"] for each in found} == {public, inner}
    found = json_of(run_on(app, "sessions", "list", "alice", "--tenant", with_tenant, "--json"))
    assert [each["session_handle"] for each in found] == [inner]
    assert output_of(run_on(app, "sessions", "revoke-all", "alice", "--tenant", with_tenant)) == (
        "Revoked 1 session of 'alice' in the tenant 'customer1'.\n"
    )
    assert output_of(run_on(app, "sessions", "list", "alice", "--tenant", with_tenant)) == (
        "'alice' has no sessions in the tenant 'customer1'.\n"
    )
    found = json_of(run_on(app, "sessions", "list", "alice", "--tenant", "public", "--json"))
    assert [each["session_handle"] for each in found] == [public]


def test_commands_call_overridden_methods(make_app: AppFactory) -> None:
    class Kept(STSession):
        def revoke_session(self, handle: str) -> bool:
            return False

    app = make_app(extension=Kept)
    stsession: Any = app.extensions["stsession"]
    handle = start_session(stsession)
    assert handle in error_of(run_on(app, "sessions", "revoke", handle))
    assert output_of(run_on(app, "sessions", "show", handle))
