"""The session object: its content, its changes, and sessions that have ended meanwhile."""

from __future__ import annotations

import inspect
import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from flask import Flask, g
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import STSession, verify_session
from flask_stsession.claims import BooleanClaim, ClaimValidationResult, PrimitiveClaim, SessionClaimValidator
from flask_stsession.errors import ClaimValidationError, InvalidClaimsError, UnauthorisedError
from flask_stsession.sessions.session import Session, SessionContainer

BY_COOKIE = {"st-auth-mode": "cookie"}
USER_CONTEXT = {"ported": "from supertokens-python"}
SYNC = (
    "sync_get_session_data_from_database",
    "sync_update_session_data_in_database",
    "sync_get_time_created",
    "sync_get_expiry",
    "sync_revoke_session",
    "sync_merge_into_access_token_payload",
    "sync_assert_claims",
    "sync_get_claim_value",
    "sync_set_claim_value",
    "sync_fetch_and_set_claim",
    "sync_remove_claim",
)

fetched: PrimitiveClaim[str] = PrimitiveClaim("fetched", lambda user_id, *_: f"of {user_id}")
empty: PrimitiveClaim[str] = PrimitiveClaim("empty", lambda *_: None)
second_factor = BooleanClaim("2fa", lambda *_: False)


@pytest.fixture
def ext(make_app: AppFactory, served_core: ServedCore) -> Iterator[STSession]:
    """Provide an extension object whose core counts, in an app context."""
    app = make_app(connection_uri=served_core.url, api_domain="https://api.example.com")
    with app.app_context():
        yield app.extensions["stsession"]


@pytest.fixture
def session(ext: STSession, served_core: ServedCore) -> Session:
    """Return a good session outside of any request."""
    created = ext.create_new_session_without_request_response(
        "alice",
        access_token_payload={"plan": "free", "deep": {"list": [1]}},
        session_data_in_database={"x": 1},
    )
    served_core.counted()
    return created


def stored(ext: STSession, session: Session) -> dict[str, Any]:
    """Return the payload that the core holds."""
    found = ext.get_session_information(session.get_handle())
    assert found is not None
    return found.custom_claims_in_access_token_payload


# From the token


def test_a_session_knows_its_user_without_asking_the_core(session: Session, served_core: ServedCore) -> None:
    assert session.get_user_id(user_context=USER_CONTEXT) == "alice"
    assert session.get_tenant_id(user_context=USER_CONTEXT) == "public"
    assert session.get_recipe_user_id(user_context=USER_CONTEXT) == "alice"
    assert session.get_recipe_user_id().get_as_string() == "alice"
    assert type(session.get_recipe_user_id().get_as_string()) is str
    payload = session.get_access_token_payload(user_context=USER_CONTEXT)
    assert session.get_handle(user_context=USER_CONTEXT) == payload["sessionHandle"]
    assert session.access_token_expires_at == payload["exp"] * 1000
    assert session.get_access_token(user_context=USER_CONTEXT).count(".") == 2
    assert session.transfer_method is None
    assert not served_core.counted()


def test_session_has_the_name_of_supertokens_python_as_alias() -> None:
    assert SessionContainer is Session


def test_a_payload_is_a_copy_that_the_caller_may_change(session: Session) -> None:
    payload = session.get_access_token_payload()
    payload["deep"]["list"].append("changed")
    payload["plan"] = "pro"
    assert session.get_access_token_payload()["deep"] == {"list": [1]}
    assert session.get_access_token_payload()["plan"] == "free"


def test_a_payload_is_a_copy_after_claims_have_used_it(session: Session) -> None:
    session.assert_claims([Passes("passes")])
    session.get_access_token_payload()["deep"]["list"].append("changed")
    assert session.get_access_token_payload()["deep"] == {"list": [1]}


class Passes(SessionClaimValidator):
    """Passes whatever the payload."""

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        return False

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(is_valid=True)


def test_a_repr_names_the_session_and_shows_no_token(session: Session) -> None:
    assert repr(session) == f"<Session {session.get_handle()} of 'alice'>"
    for part in session.get_access_token().split("."):
        assert part not in repr(session) + repr(session.access_token) + repr(vars_of(session))


def vars_of(session: Session) -> dict[str, Any]:
    """Return every attribute of a session, as a debugger or an error tracker shows them."""
    return {name: value for name, value in vars(session).items() if name != "_manager"}


def test_all_tokens_are_available_to_callers_that_send_them_themselves(session: Session) -> None:
    tokens = session.get_all_session_tokens_dangerously()
    assert set(tokens) == {
        "accessAndFrontTokenUpdated",
        "accessToken",
        "antiCsrfToken",
        "frontToken",
        "refreshToken",
    }
    assert tokens["accessAndFrontTokenUpdated"] is True
    assert tokens["accessToken"] == session.get_access_token()
    assert tokens["antiCsrfToken"] is None
    assert tokens["refreshToken"].endswith(".V2")
    assert json.loads(b64decode(tokens["frontToken"])) == {
        "uid": "alice",
        "ate": session.access_token_expires_at,
        "up": session.get_access_token_payload(),
    }


def test_a_verified_session_has_no_refresh_token_and_nothing_new(ext: STSession, session: Session) -> None:
    verified = ext.verify_access_token(session.get_access_token())
    tokens = verified.get_all_session_tokens_dangerously()
    assert tokens["refreshToken"] is None
    assert tokens["accessAndFrontTokenUpdated"] is False
    verified.merge_into_access_token_payload({"a": 1})
    assert verified.get_all_session_tokens_dangerously()["accessAndFrontTokenUpdated"] is True


def test_an_anti_csrf_token_is_among_the_tokens_where_there_is_one(make_app: AppFactory) -> None:
    app = make_app(anti_csrf="VIA_TOKEN")
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        without = ext.create_new_session_without_request_response("alice")
        having = ext.create_new_session_without_request_response("alice", disable_anti_csrf=False)
    assert without.get_all_session_tokens_dangerously()["antiCsrfToken"] is None
    assert having.get_all_session_tokens_dangerously()["antiCsrfToken"]


# From the core


def test_times_and_data_come_from_the_core(session: Session, served_core: ServedCore) -> None:
    created = session.get_time_created(user_context=USER_CONTEXT)
    assert created == pytest.approx(session.get_access_token_payload()["iat"] * 1000, abs=1000)
    assert session.get_expiry(user_context=USER_CONTEXT) - created == pytest.approx(144_000 * 60_000, abs=50)
    assert session.get_session_data_from_database(user_context=USER_CONTEXT) == {"x": 1}
    session.update_session_data_in_database({"y": [2]}, user_context=USER_CONTEXT)
    assert session.sync_get_session_data_from_database() == {"y": [2]}
    assert served_core.counted() == {"GET /recipe/session": 4, "PUT /recipe/session/data": 1}


def test_every_synchronous_spelling_of_supertokens_python_is_the_same_method() -> None:
    for name in SYNC:
        assert getattr(Session, name) is getattr(Session, name.removeprefix("sync_")), name
    spelled = {name for name in vars(Session) if name.startswith("sync_")}
    assert spelled == set(SYNC)


def test_every_method_accepts_a_user_context() -> None:
    ours = {
        "send_with",
        "clear_on_client",
        "context",
        "end_on_client",
        "refuse_late_change",
        "replace_access_token",
        "replace_payload",
        "require_tenant",
    }
    for name, method in inspect.getmembers(Session, inspect.isfunction):
        if name.startswith("_") or name in ours:
            continue
        assert "user_context" in inspect.signature(method).parameters, name


# Validity


def test_a_session_is_valid_until_it_is_revoked_through_this_process(
    ext: STSession, session: Session
) -> None:
    assert session.is_valid(user_context=USER_CONTEXT) is True
    ext.revoke_session(session.get_handle())
    assert session.is_valid() is False


def test_a_session_is_valid_until_its_access_token_expires_and_no_core_is_asked(
    session: Session, served_core: ServedCore
) -> None:
    expiry = session.access_token_expires_at
    with time_machine.travel((expiry - 1) / 1000, tick=False):
        assert session.is_valid() is True
    with time_machine.travel(expiry / 1000, tick=False):
        assert session.is_valid() is False
    assert not served_core.counted()


@pytest.mark.parametrize("remember", [True, False])
def test_a_session_knows_whether_it_outlives_the_browser(app: Flask, remember: bool) -> None:
    ext: STSession = app.extensions["stsession"]
    with app.test_request_context("/login", method="POST"):
        assert ext.create_new_session("alice", remember=remember).remember is remember


# Merging


def test_merging_sets_removes_and_replaces_keys(ext: STSession, session: Session) -> None:
    session.merge_into_access_token_payload(
        {"plan": None, "deep": {"other": None}, "new": [1, None], "absent": None}, user_context=USER_CONTEXT
    )
    expected = {"deep": {"other": None}, "new": [1, None], "iss": "https://api.example.com/auth"}
    assert stored(ext, session) == expected
    payload = session.get_access_token_payload()
    assert {key: payload.get(key) for key in ("plan", "deep", "new", "absent")} == {
        "plan": None,
        "deep": {"other": None},
        "new": [1, None],
        "absent": None,
    }
    assert "plan" not in payload
    assert "absent" not in payload


def test_merging_reads_and_writes_once_and_keeps_the_tokens_expiry(
    session: Session, served_core: ServedCore
) -> None:
    before = session.access_token_expires_at
    old = session.get_access_token()
    session.merge_into_access_token_payload({"a": 1})
    assert served_core.counted() == {"GET /recipe/session": 1, "POST /recipe/session/regenerate": 1}
    assert session.access_token_expires_at == before
    assert session.get_access_token() != old


def test_a_merge_into_an_expired_token_is_stored_and_visible_without_a_new_token(
    ext: STSession, session: Session, served_core: ServedCore
) -> None:
    served_core.core.offset = 7200.0
    old = session.get_access_token()
    session.merge_into_access_token_payload({"plan": "pro"})
    assert stored(ext, session)["plan"] == "pro"
    assert session.get_access_token() == old
    payload = session.get_access_token_payload()
    assert payload["plan"] == "pro"
    assert payload["sub"] == "alice"
    session.merge_into_access_token_payload({"plan": None})
    assert "plan" not in session.get_access_token_payload()
    assert "plan" not in stored(ext, session)


# Claims


def test_claims_are_set_read_fetched_and_removed(ext: STSession, session: Session) -> None:
    assert session.get_claim_value(second_factor, user_context=USER_CONTEXT) is None
    session.set_claim_value(second_factor, True, user_context=USER_CONTEXT)
    assert session.get_claim_value(second_factor) is True
    assert stored(ext, session)["2fa"]["v"] is True
    session.fetch_and_set_claim(second_factor, user_context=USER_CONTEXT)
    assert session.get_claim_value(second_factor) is False
    session.fetch_and_set_claim(fetched)
    assert session.get_claim_value(fetched) == "of alice"
    session.remove_claim(second_factor, user_context=USER_CONTEXT)
    assert session.get_claim_value(second_factor) is None
    assert "2fa" not in stored(ext, session)


def test_setting_none_removes_a_claim(ext: STSession, session: Session) -> None:
    session.set_claim_value(empty, "something")
    session.fetch_and_set_claim(empty)
    assert "empty" not in stored(ext, session)
    session.set_claim_value(fetched, "something")
    nothing: Any = None
    session.set_claim_value(fetched, nothing)
    assert "fetched" not in stored(ext, session)


def test_asserting_claims_stores_what_is_missing_in_one_call(
    session: Session, served_core: ServedCore
) -> None:
    session.assert_claims(
        [fetched.validators.has_value("of alice"), second_factor.validators.is_false()],
        user_context=USER_CONTEXT,
    )
    assert served_core.counted() == {"GET /recipe/session": 1, "POST /recipe/session/regenerate": 1}
    session.assert_claims([fetched.validators.has_value("of alice")])
    session.assert_claims([])
    assert not served_core.counted()


def test_claims_that_fail_are_all_named(session: Session) -> None:
    with pytest.raises(InvalidClaimsError) as caught:
        session.assert_claims([fetched.validators.has_value("x"), second_factor.validators.is_true()])
    assert str(caught.value) == "The session fails the validators 'fetched', '2fa'."
    assert caught.value.payload == [
        ClaimValidationError(
            "fetched", {"message": "wrong value", "expectedValue": "x", "actualValue": "of alice"}
        ),
        ClaimValidationError("2fa", {"message": "wrong value", "expectedValue": True, "actualValue": False}),
    ]


def test_a_single_validator_is_asserted_in_a_list(session: Session) -> None:
    wrong: Any = second_factor.validators.is_true()
    with pytest.raises(TypeError, match=r"^assert_claims takes a list of validators, not "):
        session.assert_claims(wrong)


#: What sets a claim, and where its time is in the payload: in ms, or in s.
SETTERS: dict[str, tuple[Callable[[Session], Any], Callable[[dict[str, Any]], float]]] = {
    "set": (lambda session: session.set_claim_value(fetched, "new"), lambda payload: payload["fetched"]["t"]),
    "fetched": (
        lambda session: session.fetch_and_set_claim(fetched),
        lambda payload: payload["fetched"]["t"],
    ),
    "asserted": (
        lambda session: session.assert_claims([fetched.validators.has_value("of alice", 60)]),
        lambda payload: payload["fetched"]["t"],
    ),
    "factor": (
        lambda session: session.complete_factor("totp"),
        lambda payload: payload["st-mfa"]["c"]["totp"] * 1000,
    ),
}


@pytest.mark.parametrize(("act", "time_in"), SETTERS.values(), ids=SETTERS)
def test_a_claim_gets_the_time_when_it_is_set_even_if_the_session_was_used_before(
    session: Session, act: Callable[[Session], Any], time_in: Callable[[dict[str, Any]], float]
) -> None:
    start = session.get_access_token_payload()["iat"]
    with time_machine.travel(start, tick=False) as clock:
        act(session)
        clock.shift(100)
        act(session)
    assert time_in(session.get_access_token_payload()) == (start + 100) * 1000


# Sessions that have ended meanwhile

ENDED: list[Callable[[Session], Any]] = [
    Session.get_session_data_from_database,
    Session.get_time_created,
    Session.get_expiry,
    lambda session: session.update_session_data_in_database({"a": 1}),
    lambda session: session.merge_into_access_token_payload({"a": 1}),
    lambda session: session.set_claim_value(second_factor, True),
    lambda session: session.fetch_and_set_claim(fetched),
    lambda session: session.remove_claim(fetched),
    lambda session: session.assert_claims([fetched.validators.has_value("of alice")]),
]


@pytest.mark.parametrize("version", ["5.4", "5.6"])
@pytest.mark.parametrize("call", ENDED)
def test_every_use_of_a_session_revoked_meanwhile_is_unauthorised_and_clears_the_client(
    make_app: AppFactory, served_core: ServedCore, call: Callable[[Session], Any], version: str
) -> None:
    app = make_app(connection_uri=served_core.url, cdi_version=version)
    elsewhere = make_app(name="elsewhere", connection_uri=served_core.url)

    @app.post("/use")
    @verify_session()
    def use() -> dict[str, str]:
        handle = g.session.get_handle()
        with elsewhere.app_context():
            elsewhere.extensions["stsession"].revoke_session(handle)
        call(g.session)
        return {}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    answer = client.post("/use")
    assert (answer.status_code, answer.get_json()) == (401, {"message": "unauthorised"})
    assert ends_everything(answer)
    assert not client.get_cookie("sAccessToken")


def test_a_view_that_survives_the_end_of_its_session_still_clears_the_client(app: Flask) -> None:
    @app.post("/survive")
    @verify_session()
    def survive() -> dict[str, str]:
        app.extensions["stsession"].manager.client.revoke_sessions([g.session.get_handle()])
        try:
            g.session.get_session_data_from_database()
        except UnauthorisedError:
            return {"status": "fine"}
        return {"status": "not ended"}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    answer = client.post("/survive")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "fine"})
    assert ends_everything(answer)


def ends_everything(answer: TestResponse) -> bool:
    cookies = [line for line in answer.headers.getlist("Set-Cookie") if "Expires=Thu, 01 Jan 1970" in line]
    return (
        len(cookies) == 2
        and answer.headers["front-token"] == "remove"
        and answer.headers["st-access-token"] == answer.headers["st-refresh-token"] == ""
    )


# In a request


@pytest.mark.parametrize("mode", ["cookie", "header"])
def test_changes_and_then_the_end_in_one_request_send_no_valid_token(app: Flask, mode: str) -> None:
    @app.post("/change-and-end")
    @verify_session()
    def change_and_end() -> dict[str, Any]:
        g.session.merge_into_access_token_payload({"a": 1})
        token = g.session.get_access_token()
        g.session.revoke_session(user_context=USER_CONTEXT)
        return {"token": token}

    client = app.test_client()
    created = client.post("/login", headers={"st-auth-mode": mode})
    sent = {"Authorization": f"Bearer {created.headers['st-access-token']}"} if mode == "header" else {}
    answer = client.post("/change-and-end", headers=sent)
    assert answer.status_code == 200
    assert answer.get_json()["token"] not in str(answer.headers)
    assert answer.headers["front-token"] == "remove"
    assert len(answer.headers.getlist("Set-Cookie")) == (2 if mode == "cookie" else 0)


def test_several_changes_in_one_request_set_each_cookie_once(app: Flask) -> None:
    @app.post("/change")
    @verify_session()
    def change() -> dict[str, Any]:
        for number in range(3):
            g.session.merge_into_access_token_payload({"number": number})
        return {}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    lines = client.post("/change").headers.getlist("Set-Cookie")
    assert [line.partition("=")[0] for line in lines] == ["sAccessToken"]
    assert client.get("/user").get_json()["payload"]["number"] == 2
