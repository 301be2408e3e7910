"""The manager of sessions: payloads that do not fit or are not JSON, and what is kept in this process."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, g
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import STSession, create_new_session, verify_session
from flask_stsession.constants import PROTECTED_CLAIMS
from flask_stsession.errors import (
    ConfigError,
    CoreUnavailableError,
    ProtectedClaimError,
    TokenTheftError,
    UnauthorisedError,
)
from flask_stsession.sessions.manager import ManagerSettings, SessionManager
from flask_stsession.sessions.session import Session
from flask_stsession.signals import session_refreshed

REFRESH = "POST /recipe/session/refresh"
VERIFY = "POST /recipe/session/verify"
BY_COOKIE = {"st-auth-mode": "cookie"}
REFRESH_TOKEN = f"content.{'ab' * 32}.V2"
BY_HEADER = {"st-auth-mode": "header"}

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
        "{}['user'] is of type Flask, which JSON does not have: write what it consists of.",
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
    """A dict that contains itself."""
    made: dict[str, Any] = {}
    made["me"] = made
    return made


@pytest.fixture
def core(served_core: ServedCore) -> ServedCore:
    return served_core


@pytest.fixture
def watched(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app on the core that counts."""
    return make_app(connection_uri=served_core.url)


@pytest.fixture
def ext(watched: Flask) -> Iterator[STSession]:
    """Its extension object, in an app context."""
    with watched.app_context():
        yield watched.extensions["stsession"]


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
    assert not core.counted()
    with pytest.raises(kind) as caught:
        ext.merge_into_access_token_payload(handle, payload)
    assert str(caught.value) == message.format("access_token_payload")
    assert set(core.counted()) == {"GET /recipe/session"}
    found = ext.get_session_information(handle)
    assert found is not None
    assert found.custom_claims_in_access_token_payload == {"kept": 1}
    assert found.session_data_in_database == {"kept": 2}


def test_what_contains_itself_is_refused(ext: STSession) -> None:
    with pytest.raises(ValueError, match="contains itself") as caught:
        ext.create_new_session_without_request_response("alice", access_token_payload=endless())
    place = "access_token_payload" + "['me']" * 100
    assert str(caught.value) == (
        place[:200] + " is nested too deeply: it has over 100 levels, or contains itself."
    )


def test_a_payload_that_is_no_mapping_is_refused(ext: STSession) -> None:
    wrong: Any = ["admin"]
    with pytest.raises(TypeError) as caught:
        ext.create_new_session_without_request_response("alice", access_token_payload=wrong)
    assert str(caught.value) == "access_token_payload must be a dict, not list."


def test_tuples_become_lists_and_later_changes_by_the_caller_do_not_matter(ext: STSession) -> None:
    inner = {"pair": (1, 2)}
    session = ext.create_new_session_without_request_response("alice", access_token_payload={"inner": inner})
    inner["pair"] = (3, 4)
    assert session.get_access_token_payload()["inner"] == {"pair": [1, 2]}


@pytest.mark.parametrize("text", ["é", "漢字 😀", 'quote " backslash \\ \x00'])
def test_any_text_survives_in_payload_and_data(ext: STSession, text: str) -> None:
    session = ext.create_new_session_without_request_response(
        "alice", access_token_payload={text: text}, session_data_in_database={text: text}
    )
    assert ext.verify_access_token(session.get_access_token()).get_access_token_payload()[text] == text
    assert session.get_session_data_from_database() == {text: text}


@pytest.mark.parametrize("user_id", ["é", "漢字 😀", "a" * 128, "a/b?c&d=../..", " "])
def test_any_user_id_survives(ext: STSession, user_id: str) -> None:
    session = ext.create_new_session_without_request_response(user_id)
    assert ext.verify_access_token(session.get_access_token()).get_user_id() == user_id
    assert ext.get_all_session_handles_for_user(user_id) == [session.get_handle()]


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


# The size of a token in a cookie


def add_growing_views(app: Flask) -> None:
    @app.post("/create/<int:size>")
    def create(size: int) -> dict[str, str]:
        create_new_session(
            "alice", access_token_payload={"little": 1, "large": "x" * size, "larger": "y" * size}
        )
        return {}

    @app.post("/merge/<int:size>")
    @verify_session()
    def merge(size: int) -> dict[str, str]:
        g.session.merge_into_access_token_payload({"large": "x" * size})
        return {}

    app.testing = True


def test_a_token_close_to_the_limit_of_cookies_is_a_warning_that_names_the_largest_keys(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    add_growing_views(app)
    answer = app.test_client().post("/create/1000", headers=BY_COOKIE)
    assert answer.status_code == 200
    [message] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and "bytes" in r.msg]
    assert message == (
        "An access token of about 3728 bytes comes close to what browsers keep in a cookie (4096). "
        "Largest keys of its payload: 'larger' (1012 bytes), 'large' (1011 bytes), 'iss' (30 bytes)."
    )


def test_a_token_by_header_may_have_any_size(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    add_growing_views(app)
    answer = app.test_client().post("/create/2500", headers=BY_HEADER)
    assert answer.status_code == 200
    assert len(answer.headers["st-access-token"]) > 4096
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_session_whose_token_fits_into_no_cookie_is_not_created(watched: Flask, core: ServedCore) -> None:
    add_growing_views(watched)
    with pytest.raises(ConfigError) as caught:
        watched.test_client().post("/create/1500", headers=BY_COOKIE)
    assert str(caught.value) == (
        "The access token would have about 5062 bytes, more than browsers keep in a cookie (4096). Nothing "
        "was written. Largest keys of its payload: 'larger' (1512 bytes), 'large' (1511 bytes), "
        "'iss' (30 bytes). Keep large values in session_data_in_database, or send tokens by header."
    )
    assert not core.counted()


def test_a_merge_after_which_the_token_fits_into_no_cookie_changes_nothing(
    watched: Flask, core: ServedCore, ext: STSession
) -> None:
    add_growing_views(watched)
    client = watched.test_client()
    handle = client.post("/login", headers=BY_COOKIE, json={"userId": "alice"}).get_json()["handle"]
    core.counted()
    with pytest.raises(ConfigError, match="Nothing was written"):
        client.post("/merge/3000")
    assert set(core.counted()) <= {"GET /.well-known/jwks.json"}
    found = ext.get_session_information(handle)
    assert found is not None
    assert found.custom_claims_in_access_token_payload == {"iss": "http://localhost/auth"}
    assert "large" not in client.get("/user").get_json()["payload"]


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀", '"'])
@pytest.mark.parametrize("user_id", ["a", "a" * 128])
def test_no_cookie_that_browsers_would_drop_is_ever_sent(app: Flask, letter: str, user_id: str) -> None:
    """Grow the payload until it is refused: the last that passed must fit."""

    @app.post("/grow/<int:size>")
    def grow(size: int) -> dict[str, str]:
        create_new_session(user_id, access_token_payload={"text": letter * size})
        return {}

    app.testing = True
    client = app.test_client()
    width = len(f"{letter}".encode()) + (letter == '"')
    passed, refused = 0, 4096 // width
    longest = ""
    while refused - passed > 4:
        middle = (passed + refused) // 2
        try:
            answer = client.post(f"/grow/{middle}", headers=BY_COOKIE)
        except ConfigError:
            refused = middle
            continue
        passed = middle
        longest = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith("sAccessToken="))
    assert 3850 < len(longest.partition(";")[0]) <= 4096


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


def test_who_waits_for_a_refresh_that_is_cut_short_gets_an_outage_not_its_end() -> None:
    client = Interrupted()
    nothing: Any = None
    stub: Any = client
    manager = SessionManager(
        client=stub, verifier=nothing, keys=nothing, settings=ManagerSettings(), sender=None, extension=None
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
    """An extension object with anti-CSRF tokens, in an app context."""
    app = make_app(connection_uri=served_core.url, anti_csrf="VIA_TOKEN")
    with app.app_context():
        yield app.extensions["stsession"]


def pair_of(session: Session) -> tuple[str, str]:
    """The access token and the refresh token of a new pair."""
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


def test_a_pair_is_never_handed_to_another_anti_csrf_token(by_token: STSession, core: ServedCore) -> None:
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


def test_a_pair_is_never_handed_to_another_tenant(ext: STSession, core: ServedCore) -> None:
    _, lost = pair_of(ext.create_new_session_without_request_response("alice"))
    ext.manager.refresh(lost, tenant_id="one")
    core.counted()
    ext.manager.refresh(lost, tenant_id="two")
    assert core.counted() == Counter({REFRESH: 1})


def test_a_pair_of_a_revoked_session_is_not_handed_out_again(ext: STSession) -> None:
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
    assert str(caught.value) == "The value sent as refresh token is not one."
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
