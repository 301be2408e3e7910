"""The how-to about background jobs (background-jobs.md)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from support.documentation import Namespace, page_fixture

from flask_stsession.testing import end, login

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/background-jobs.md")


def test_a_job_acts_on_a_session_by_its_handle(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "alice")
    assert client.post("/reports").status_code == 202
    job, *arguments = namespace["queue"].pop()
    assert job(*arguments) == "a report for alice"
    with namespace["app"].app_context():
        (session,) = namespace["list_sessions"]("alice")
    assert session.custom_claims_in_access_token_payload["reports"] == 1
    end(client)
    assert job(*arguments) == "alice has signed out meanwhile"


def test_a_message_is_handled_for_the_user_whose_token_it_carries(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    session = login(client, "alice")
    assert namespace["on_message"](session.get_access_token()) == "done for alice"
    end(client)
    assert namespace["on_message"](session.get_access_token()) == "refused: session_ended"
    assert namespace["on_message"](None) == "refused: no_token"


def test_old_sessions_are_ended(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    handle = login(client, "alice").get_handle()
    now = datetime.now(timezone.utc)
    assert namespace["end_sessions_older_than"]("alice", 30, now) == []
    assert namespace["end_sessions_older_than"]("alice", 30, now + timedelta(days=31)) == [handle]
