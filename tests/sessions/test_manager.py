"""The manager of sessions: the sessions that it creates, and how seldom it asks the core."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import pytest
from flask import Flask, g
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import STSession
from flask_stsession.claims import PrimitiveClaim
from flask_stsession.config.config import Config
from flask_stsession.errors import (
    ConfigError,
    CoreUnavailableError,
    MismatchedUserError,
    TokenTheftError,
    UnauthorisedError,
)
from flask_stsession.sessions.manager import SessionManager
from flask_stsession.sessions.session import Session
from flask_stsession.sessions.sizes import TokenSizes
from flask_stsession.signals import session_created, session_refreshed, token_theft_detected

REFRESH = "POST /recipe/session/refresh"
VERIFY = "POST /recipe/session/verify"
BY_COOKIE = {"st-auth-mode": "cookie"}
REFRESH_TOKEN = f"content.{'ab' * 32}.V2"
BY_HEADER = {"st-auth-mode": "header"}


@pytest.fixture
def core(served_core: ServedCore) -> ServedCore:
    return served_core


@pytest.fixture
def watched(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """Return an app on the core that counts."""
    return make_app(connection_uri=served_core.url)


@pytest.fixture
def ext(watched: Flask) -> Iterator[STSession]:
    """Provide its extension object, in an app context."""
    with watched.app_context():
        yield watched.extensions["stsession"]


@pytest.mark.parametrize("text", ["é", "漢字 😀", 'quote " backslash \\ \x00'])
def test_any_text_survives_in_payload_and_data(ext: STSession, text: str) -> None:
    session = ext.create_new_session_without_request_response(
        "alice", access_token_payload={text: text}, session_data_in_database={text: text}
    )
    assert ext.verify_access_token(session.get_access_token()).get_access_token_payload()[text] == text
    assert session.get_session_data_from_database() == {text: text}


@pytest.mark.parametrize("user_id", ["é", "漢字 😀", "a" * 128, "a/b?c&d=../..", "a b", "\u200b"])
def test_any_user_id_survives(ext: STSession, user_id: str) -> None:
    session = ext.create_new_session_without_request_response(user_id)
    assert ext.verify_access_token(session.get_access_token()).get_user_id() == user_id
    assert ext.get_all_session_handles_for_user(user_id) == [session.get_handle()]


# Refreshes in flight


class Interrupted:
    """A core client whose call is cut short by the end of the worker that makes it."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def refresh_session(self, refresh_token: str, **_options: Any) -> Any:
        self.asked.set()
        assert self.go_on.wait(30)
        raise SystemExit(1)


def test_a_request_that_waits_for_a_refresh_that_is_cut_short_gets_an_outage() -> None:
    client = Interrupted()
    nothing: Any = None
    stub: Any = client
    manager = SessionManager(
        client=stub,
        verifier=nothing,
        keys=nothing,
        config=Config(),
        sizes=TokenSizes(),
        sender=None,
        extension=None,
    )
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(manager.refresh, REFRESH_TOKEN)
        assert client.asked.wait(30)
        second = pool.submit(manager.refresh, REFRESH_TOKEN)
        while not second.running():
            time.sleep(0.001)
        time.sleep(0.05)  # until it waits for the first
        client.go_on.set()
        assert isinstance(first.exception(30), SystemExit)
        error = second.exception(30)
    assert isinstance(error, CoreUnavailableError)
    assert str(error) == "Another thread was refreshing with this token, and was cut short."


# Refreshing again, and the first use of what a refresh returned


@pytest.fixture
def by_token(make_app: AppFactory, served_core: ServedCore) -> Iterator[STSession]:
    """Provide an extension object with anti-CSRF tokens, in an app context."""
    app = make_app(connection_uri=served_core.url, anti_csrf="VIA_TOKEN")
    with app.app_context():
        yield app.extensions["stsession"]


def pair_of(session: Session) -> tuple[str, str]:
    """Return the access token and the refresh token of a new pair."""
    tokens = session.get_all_session_tokens_dangerously()
    return tokens["accessToken"], tokens["refreshToken"]


def test_a_refresh_whose_response_was_lost_gets_the_same_pair_again(ext: STSession, core: ServedCore) -> None:
    _, lost = pair_of(ext.create_new_session_without_request_response("alice"))
    core.counted()
    first = pair_of(ext.refresh_session_without_request_response(lost))
    assert pair_of(ext.refresh_session_without_request_response(lost)) == first
    assert core.counted() == Counter({REFRESH: 1})


def test_only_the_refresh_that_the_core_answered_sends_the_signal(ext: STSession) -> None:
    _, lost = pair_of(ext.create_new_session_without_request_response("alice"))
    heard: list[str] = []

    def hear(sender: Any, session: Session, **_: Any) -> None:
        heard.append(session.get_handle())

    with session_refreshed.connected_to(hear, ext.app):
        ext.refresh_session_without_request_response(lost)
        ext.refresh_session_without_request_response(lost)
    assert len(heard) == 1


def test_a_refresh_token_is_theft_as_soon_as_the_new_access_token_was_used(ext: STSession) -> None:
    _, stolen = pair_of(ext.create_new_session_without_request_response("alice"))
    access, _ = pair_of(ext.refresh_session_without_request_response(stolen))
    ext.verify_access_token(access)
    with pytest.raises(TokenTheftError):
        ext.refresh_session_without_request_response(stolen)


def test_a_refresh_token_is_theft_as_soon_as_the_new_refresh_token_was_used(ext: STSession) -> None:
    _, stolen = pair_of(ext.create_new_session_without_request_response("alice"))
    _, new = pair_of(ext.refresh_session_without_request_response(stolen))
    ext.refresh_session_without_request_response(new)
    with pytest.raises(TokenTheftError):
        ext.refresh_session_without_request_response(stolen)


def test_an_old_access_token_does_not_count_as_the_first_use_of_the_new_pair(ext: STSession) -> None:
    old_access, lost = pair_of(ext.create_new_session_without_request_response("alice"))
    first = pair_of(ext.refresh_session_without_request_response(lost))
    ext.verify_access_token(old_access)
    assert pair_of(ext.refresh_session_without_request_response(lost)) == first


def test_a_cached_pair_is_never_returned_for_another_anti_csrf_token(
    by_token: STSession, core: ServedCore
) -> None:
    created = by_token.create_new_session_without_request_response("alice", disable_anti_csrf=False)
    tokens = created.get_all_session_tokens_dangerously()
    refresh_token, anti_csrf = tokens["refreshToken"], tokens["antiCsrfToken"]
    assert anti_csrf is not None
    by_token.refresh_session_without_request_response(refresh_token, anti_csrf_token=anti_csrf)
    core.counted()
    for wrong in ("wrong", None):
        with pytest.raises(UnauthorisedError):
            by_token.refresh_session_without_request_response(refresh_token, anti_csrf_token=wrong)
    assert core.counted() == Counter({REFRESH: 2})


def test_a_call_in_flight_is_never_shared_with_another_anti_csrf_token(
    by_token: STSession, core: ServedCore
) -> None:
    created = by_token.create_new_session_without_request_response("alice", disable_anti_csrf=False)
    tokens = created.get_all_session_tokens_dangerously()
    both = threading.Barrier(2, timeout=30)
    core.core.before = lambda asked: None if asked != REFRESH else wait(both)
    refresh = by_token.manager.refresh
    with ThreadPoolExecutor(2) as pool:
        right = pool.submit(
            refresh, tokens["refreshToken"], anti_csrf_token=tokens["antiCsrfToken"], enable_anti_csrf=True
        )
        wrong = pool.submit(refresh, tokens["refreshToken"], anti_csrf_token="wrong", enable_anti_csrf=True)
        assert right.result(30).get_user_id() == "alice"
        assert isinstance(wrong.exception(30), UnauthorisedError)


def test_a_cached_pair_is_never_returned_for_another_tenant(ext: STSession, core: ServedCore) -> None:
    _, lost = pair_of(ext.create_new_session_without_request_response("alice"))
    ext.manager.refresh(lost, tenant_id="one")
    core.counted()
    ext.manager.refresh(lost, tenant_id="two")
    assert core.counted() == Counter({REFRESH: 1})


def test_a_cached_pair_of_a_revoked_session_is_not_returned(ext: STSession) -> None:
    created = ext.create_new_session_without_request_response("alice")
    _, lost = pair_of(created)
    ext.refresh_session_without_request_response(lost)
    ext.revoke_session(created.get_handle())
    with pytest.raises(UnauthorisedError):
        ext.refresh_session_without_request_response(lost)


@pytest.mark.parametrize("value", ["", "garbage", "é", "x" * 100_000, "a.b.c", f"a.{'ab' * 32}.V2 "])
def test_a_value_without_the_shape_of_a_refresh_token_is_refused_without_the_core(
    ext: STSession, core: ServedCore, value: str
) -> None:
    with pytest.raises(UnauthorisedError) as caught:
        ext.refresh_session_without_request_response(value)
    assert str(caught.value) == "The value sent as refresh token is not a refresh token."
    assert caught.value.reason == "malformed"
    assert not core.counted()


def test_requests_that_use_a_refreshed_token_together_ask_the_core_once(
    ext: STSession, core: ServedCore
) -> None:
    _, refresh_token = pair_of(ext.create_new_session_without_request_response("alice"))
    access, _ = pair_of(ext.refresh_session_without_request_response(refresh_token))
    token = ext.manager.verifier.verify(access)
    assert token is not None
    core.counted()
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda _: ext.manager.verify(token), range(20)))
    later = ext.manager.verify(token)
    assert {session.get_access_token() for session in together} == {later.get_access_token()}
    assert later.get_access_token() != access
    assert core.counted() == Counter({VERIFY: 1})


def test_a_refreshed_token_asks_again_where_the_database_is_to_be_checked(
    ext: STSession, core: ServedCore
) -> None:
    _, refresh_token = pair_of(ext.create_new_session_without_request_response("alice"))
    access, _ = pair_of(ext.refresh_session_without_request_response(refresh_token))
    core.counted()
    for _ in range(2):
        ext.verify_access_token(access)
        ext.verify_access_token(access, check_database=True)
    assert core.counted()[VERIFY] == 3


def test_a_refreshed_token_of_a_revoked_session_is_refused(ext: STSession) -> None:
    created = ext.create_new_session_without_request_response("alice")
    access, _ = pair_of(ext.refresh_session_without_request_response(pair_of(created)[1]))
    ext.verify_access_token(access)
    ext.revoke_session(created.get_handle())
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_access_token(access)
    assert str(caught.value) == "The session was revoked through this process."


def wait(barrier: threading.Barrier) -> None:
    barrier.wait()


# The user who is signed in


def test_claims_get_the_login_method_or_the_user_where_there_is_only_one(ext: STSession) -> None:
    fetched: list[str] = []

    def fetch(user_id: str, recipe_user_id: str, *_: object) -> str:
        fetched.append(recipe_user_id)
        return user_id

    ext.session_claims = (PrimitiveClaim("who", fetch),)
    ext.create_new_session_without_request_response("alice")
    ext.create_new_session_without_request_response("alice", recipe_user_id="alice")
    with pytest.raises(MismatchedUserError):
        ext.create_new_session_without_request_response("alice", recipe_user_id="by-phone")
    assert fetched == ["alice", "alice", "by-phone"]


class OtherUser:
    """A core whose account linking knows ``by-phone`` as a login method of bob."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def create_session(self, user_id: str, *, recipe_user_id: str | None, **options: Any) -> Any:
        created = self.client.create_session(user_id, recipe_user_id=recipe_user_id, **options)
        return replace(created, session=created.session._replace(user_id="bob"))


@pytest.mark.parametrize("in_request", [True, False])
def test_a_login_method_of_another_user_is_refused_and_its_session_ended(
    watched: Flask, in_request: bool
) -> None:
    ext: STSession = watched.extensions["stsession"]
    ext.manager.client = cast("Any", OtherUser(ext.manager.client))
    heard: list[Any] = []

    def hear(sender: Any, **_: Any) -> None:
        heard.append(sender)

    with watched.test_request_context("/login", method="POST"), session_created.connected_to(hear, watched):
        create = ext.create_new_session if in_request else ext.create_new_session_without_request_response
        with pytest.raises(MismatchedUserError) as caught:
            create("alice", recipe_user_id="by-phone")
        assert g.session is None
        response = watched.process_response(watched.make_response("no"))
        assert "st-access-token" not in response.headers
        assert "Set-Cookie" not in response.headers
        assert ext.get_all_session_handles_for_user("by-phone") == []
    assert heard == []
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == (
        "recipe_user_id is 'by-phone', but the core says that it is a login method of 'bob', not of user_id "
        "'alice'. No session was started. Pass the user that the login method belongs to."
    )


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_a_theft_error_and_its_signal_name_the_reused_token_if_the_core_does(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    app = make_app(connection_uri=served_core.url, cdi_version=version)
    ext: STSession = app.extensions["stsession"]
    heard: list[Any] = []

    def hear(sender: Any, *, subtype: str | None, error: TokenTheftError, **_: Any) -> None:
        heard.extend((subtype, error))

    with app.app_context(), token_theft_detected.connected_to(hear, app):
        _, stolen = pair_of(ext.create_new_session_without_request_response("alice"))
        access, new = pair_of(ext.refresh_session_without_request_response(stolen))
        ext.verify_access_token(access)
        ext.refresh_session_without_request_response(new)
        served_core.core.offset = 3600
        with pytest.raises(TokenTheftError) as caught:
            ext.refresh_session_without_request_response(stolen)
    assert heard == [caught.value.subtype, caught.value]
    if version == "5.6":
        assert caught.value.subtype in ("RECENT_PREV", "ORPHANED_BRANCH", "STALE_LINEAGE")
    else:
        assert caught.value.subtype is None
