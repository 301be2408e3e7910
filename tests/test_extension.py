"""What can be done with sessions by handle, by user, and without any request."""

from __future__ import annotations

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import jwt
import pytest
from flask import Flask, current_app
from support.app_factory import AppFactory
from support.scripted_core import ScriptedCore, reply
from support.served_core import ServedCore
from support.signing import Signer

import flask_stsession
from flask_stsession import STSession
from flask_stsession.claims import BooleanClaim, PrimitiveClaim
from flask_stsession.errors import (
    ClaimValidationError,
    CoreError,
    InvalidClaimsError,
    ProtectedClaimError,
    Reason,
    SessionDoesNotExistError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from flask_stsession.multitenancy import create_or_update_tenant
from flask_stsession.sessions.session import Session

NOBODY = "00000000-0000-0000-0000-000000000000"

fetched: PrimitiveClaim[str] = PrimitiveClaim("fetched", lambda user_id, *_: f"of {user_id}")
empty: PrimitiveClaim[str] = PrimitiveClaim("empty", lambda *_: None)
second_factor = BooleanClaim("2fa", lambda *_: False)


@pytest.fixture
def ext(app: Flask, stsession: STSession) -> Any:
    """The extension object, in an app context and without a request."""
    with app.app_context():
        yield stsession


def create(ext: STSession, user_id: str = "alice", **options: Any) -> Session:
    return ext.create_new_session_without_request_response(user_id, **options)


# By handle and user


def test_a_session_can_be_revoked_once(ext: STSession) -> None:
    handle = create(ext).get_handle()
    assert ext.revoke_session(handle) is True
    assert ext.revoke_session(handle) is False
    assert ext.revoke_session(NOBODY) is False
    assert ext.revoke_session("no handle at all") is False


def test_several_sessions_are_revoked_in_one_call(make_app: AppFactory, served_core: ServedCore) -> None:
    app = make_app(connection_uri=served_core.url)
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        handles = [create(ext).get_handle() for _ in range(3)]
        served_core.counted()
        assert sorted(ext.revoke_multiple_sessions((*handles[:2], NOBODY))) == sorted(handles[:2])
        assert served_core.counted() == {"POST /recipe/session/remove": 1}
        assert ext.revoke_multiple_sessions([]) == []
        assert not served_core.counted()
        assert ext.get_all_session_handles_for_user("alice") == handles[2:]


def test_a_single_handle_instead_of_a_list_is_refused(ext: STSession) -> None:
    session = create(ext)
    with pytest.raises(TypeError) as caught:
        ext.revoke_multiple_sessions(session.get_handle())
    assert str(caught.value) == (
        "handles must be several session handles, not a str: write revoke_session(handle)."
    )


@pytest.mark.parametrize("wrong", [5, None, b"alice", ""])
def test_the_error_for_an_invalid_user_id_says_what_to_write(ext: STSession, wrong: Any) -> None:
    for ask in (ext.revoke_all_sessions_for_user, ext.get_all_session_handles_for_user, ext.list_sessions):
        with pytest.raises(TypeError) as caught:
            ask(wrong)
        assert str(caught.value) == (
            f"user_id must be a non-empty str, not {wrong!r}: write str(user.id) for a number."
        )


def test_the_error_for_an_invalid_handle_says_what_to_write(ext: STSession) -> None:
    calls: list[tuple[str, Any]] = [
        ("handle", ext.revoke_session),
        ("each of handles", lambda wrong: ext.revoke_multiple_sessions([wrong])),
        ("handle", ext.get_session_information),
        ("handle", lambda wrong: ext.update_session_data_in_database(wrong, {})),
        ("handle", lambda wrong: ext.merge_into_access_token_payload(wrong, {})),
        ("handle", ext.validate_claims_for_session_handle),
        ("session_handle", lambda wrong: ext.get_claim_value(fetched, session_handle=wrong)),
        ("session_handle", lambda wrong: ext.remove_claim(fetched, session_handle=wrong)),
    ]
    session = create(ext)
    wrongs: list[tuple[Any, str]] = [
        (5, "session.get_handle()"),
        (b"handle", "handle.decode()"),
        (session, "session.get_handle()"),
    ]
    for argument, call in calls:
        for wrong, remedy in wrongs:
            with pytest.raises(TypeError) as caught:
                call(wrong)
            assert str(caught.value) == f"{argument} must be a str, not {wrong!r}: write {remedy}."


def test_functions_that_need_a_request_name_those_that_do_not(ext: STSession) -> None:
    calls: list[tuple[str, Any, str]] = [
        (
            "create_new_session",
            lambda: ext.create_new_session("alice"),
            "create_new_session_without_request_response(user_id), which returns the tokens,",
        ),
        (
            "refresh_session",
            ext.refresh_session,
            "refresh_session_without_request_response(refresh_token), which returns the tokens,",
        ),
        ("sign_out", ext.sign_out, "revoke_session(handle)"),
        ("get_session", ext.get_session, "verify_access_token(token)"),
        (
            "set_claim_value",
            lambda: ext.set_claim_value(fetched, "x"),
            "set_claim_value(claim, value, session_handle=handle)",
        ),
        (
            "get_claim_value",
            lambda: ext.get_claim_value(fetched),
            "get_claim_value(claim, session_handle=handle)",
        ),
    ]
    for method, call, instead in calls:
        with pytest.raises(RuntimeError) as caught:
            call()
        assert str(caught.value) == (
            f"{method}() works on the session of a request, and there is no request here. Call {instead} "
            "instead."
        )


def test_all_sessions_of_a_user_are_revoked_and_nobody_elses(ext: STSession) -> None:
    handles = {create(ext).get_handle() for _ in range(3)}
    other = create(ext, "bob").get_handle()
    assert set(ext.get_all_session_handles_for_user("alice")) == handles
    assert set(ext.revoke_all_sessions_for_user("alice")) == handles
    assert ext.revoke_all_sessions_for_user("alice") == []
    assert ext.get_all_session_handles_for_user("alice") == []
    assert ext.get_all_session_handles_for_user("bob") == [other]
    assert ext.get_all_session_handles_for_user("nobody") == []


def test_revoking_can_be_limited_to_a_tenant(ext: STSession) -> None:
    create_or_update_tenant("acme")
    public = create(ext).get_handle()
    acme = create(ext, tenant_id="acme").get_handle()
    assert acme.endswith("_acme")
    assert set(ext.get_all_session_handles_for_user("alice")) == {public, acme}
    assert ext.get_all_session_handles_for_user("alice", tenant_id="acme") == [acme]
    assert ext.get_all_session_handles_for_user("alice", fetch_across_all_tenants=False) == [public]
    assert [each.tenant_id for each in ext.list_sessions("alice")] == ["public", "acme"]
    assert [each.tenant_id for each in ext.list_sessions("alice", tenant_id="acme")] == ["acme"]
    assert ext.revoke_all_sessions_for_user("alice", tenant_id="acme") == [acme]
    assert ext.revoke_all_sessions_for_user("alice", revoke_across_all_tenants=False) == [public]


def test_a_tenant_that_does_not_exist_is_the_cores_refusal(ext: STSession) -> None:
    with pytest.raises(CoreError) as caught:
        create(ext, tenant_id="nowhere")
    assert "tenant" in str(caught.value).lower()


def test_session_information_has_the_names_of_this_package(ext: STSession) -> None:
    before = time.time()
    session = create(
        ext,
        recipe_user_id=None,
        access_token_payload={"plan": "pro"},
        session_data_in_database={"cart": [1]},
    )
    found = ext.get_session_information(session.get_handle())
    assert found is not None
    assert found.session_handle == session.get_handle()
    assert (found.user_id, found.recipe_user_id, found.tenant_id) == ("alice", "alice", "public")
    assert found.session_data_in_database == {"cart": [1]}
    assert found.custom_claims_in_access_token_payload == {"plan": "pro"}
    assert found.created_at == datetime.fromtimestamp(found.time_created / 1000, timezone.utc)
    assert found.expires_at.tzinfo is timezone.utc
    assert found.time_created / 1000 == pytest.approx(before, abs=5)
    assert found.expiry - found.time_created == pytest.approx(144_000 * 60_000, abs=50)
    assert ext.get_session_information(NOBODY) is None


def test_a_users_sessions_are_listed_oldest_first(make_app: AppFactory, served_core: ServedCore) -> None:
    app = make_app(connection_uri=served_core.url)
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        handles = []
        for offset in (0, -20, 10):
            served_core.core.offset = offset
            handles.append(create(ext).get_handle())
        listed = [each.session_handle for each in ext.list_sessions("alice")]
        assert listed == [handles[1], handles[0], handles[2]]
        assert ext.list_sessions("nobody") == []


def test_data_and_payload_are_changed_by_handle(ext: STSession) -> None:
    handle = create(ext, access_token_payload={"a": 1, "b": 2}).get_handle()
    assert ext.update_session_data_in_database(handle, {"x": 1}) is True
    assert ext.merge_into_access_token_payload(handle, {"a": None, "c": {"d": None}}) is True
    found = ext.get_session_information(handle)
    assert found is not None
    assert found.session_data_in_database == {"x": 1}
    assert found.custom_claims_in_access_token_payload == {"b": 2, "c": {"d": None}}
    assert ext.update_session_data_in_database(NOBODY, {}) is False
    assert ext.merge_into_access_token_payload(NOBODY, {}) is False
    with pytest.raises(ProtectedClaimError):
        ext.merge_into_access_token_payload(handle, {"sub": "mallory"})


def test_a_payload_merged_by_handle_is_in_the_next_token(ext: STSession) -> None:
    session = create(ext)
    ext.merge_into_access_token_payload(session.get_handle(), {"plan": "pro"})
    refresh = session.get_all_session_tokens_dangerously()["refreshToken"]
    assert ext.refresh_session_without_request_response(refresh).get_access_token_payload()["plan"] == "pro"


# Claims by handle


def test_claims_are_set_fetched_read_and_removed_by_handle(ext: STSession) -> None:
    handle = create(ext).get_handle()
    assert ext.sync_get_claim_value(second_factor, session_handle=handle) is None
    assert ext.set_claim_value(second_factor, True, session_handle=handle) is True
    assert ext.get_claim_value(second_factor, session_handle=handle) is True
    assert ext.fetch_and_set_claim(second_factor, session_handle=handle) is True
    assert ext.get_claim_value(second_factor, session_handle=handle) is False
    assert ext.fetch_and_set_claim(fetched, session_handle=handle) is True
    assert ext.get_claim_value(fetched, session_handle=handle) == "of alice"
    assert ext.remove_claim(second_factor, session_handle=handle) is True
    assert ext.set_claim_value(fetched, None, session_handle=handle) is True
    found = ext.get_session_information(handle)
    assert found is not None
    assert found.custom_claims_in_access_token_payload == {}


def test_setting_claims_of_an_unknown_session_returns_false_and_reading_them_raises(ext: STSession) -> None:
    assert ext.set_claim_value(second_factor, True, session_handle=NOBODY) is False
    assert ext.set_claim_value(second_factor, None, session_handle=NOBODY) is False
    assert ext.fetch_and_set_claim(second_factor, session_handle=NOBODY) is False
    assert ext.remove_claim(second_factor, session_handle=NOBODY) is False
    for ask in (ext.get_claim_value, ext.sync_get_claim_value):
        with pytest.raises(SessionDoesNotExistError) as caught:
            ask(second_factor, session_handle=NOBODY)
        assert str(caught.value) == (
            f"There is no session with the handle '{NOBODY}': it has ended or never existed."
        )


def test_claims_of_the_current_session_need_no_handle(app: Flask) -> None:
    @app.post("/mine")
    def mine() -> dict[str, Any]:
        flask_stsession.set_claim_value(second_factor, True)
        read = [flask_stsession.get_claim_value(second_factor)]
        flask_stsession.fetch_and_set_claim(second_factor)
        read.append(flask_stsession.sync_get_claim_value(second_factor))
        flask_stsession.remove_claim(second_factor)
        return {"read": [*read, flask_stsession.get_claim_value(second_factor)]}

    client = app.test_client()
    assert client.post("/mine").status_code == 401
    client.post("/login", headers={"st-auth-mode": "cookie"})
    assert client.post("/mine").get_json() == {"read": [True, False, None]}


def test_validating_by_handle_fetches_and_stores_claims_and_returns_failures(make_app: AppFactory) -> None:
    app = make_app(global_claim_validators=[second_factor.validators.is_true()])
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        handle = create(ext).get_handle()
        failure = ClaimValidationError(
            "2fa", {"message": "wrong value", "expectedValue": True, "actualValue": False}
        )
        assert ext.validate_claims_for_session_handle(handle) == [failure]
        assert ext.get_claim_value(second_factor, session_handle=handle) is False
        ext.set_claim_value(second_factor, True, session_handle=handle)
        assert ext.validate_claims_for_session_handle(handle) == []
        seen: list[Any] = []

        def override(validators: list[Any], found: Any, user_context: dict[str, Any]) -> list[Any]:
            seen.extend([len(validators), found.user_id, user_context["recipe_user_id"]])
            return [fetched.validators.has_value("of bob")]

        [other] = ext.validate_claims_for_session_handle(handle, override_global_claim_validators=override)
        assert other.id == "fetched"
        assert seen == [1, "alice", "alice"]
        with pytest.raises(SessionDoesNotExistError):
            ext.validate_claims_for_session_handle(NOBODY)


# Keys and other tokens


@pytest.mark.parametrize(("static", "prefix"), [(None, "s-"), (True, "s-"), (False, "d-")])
def test_a_custom_jwt_can_be_verified_with_the_key_set(
    make_app: AppFactory, static: bool | None, prefix: str
) -> None:
    app = make_app(api_domain="https://api.example.com")
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        token = ext.create_jwt({"purpose": "upload"}, 60, use_static_signing_key=static)
        keys = jwt.PyJWKSet.from_dict(ext.get_jwks())
        issuer = ext.get_open_id_discovery_configuration()["issuer"]
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid.startswith(prefix)
    payload = jwt.decode(token, keys[kid], algorithms=["RS256"])
    assert payload["purpose"] == "upload"
    assert payload["iss"] == issuer == "https://api.example.com/auth"
    assert payload["exp"] - payload["iat"] == 60


def test_a_custom_jwt_is_not_accepted_as_a_session(ext: STSession) -> None:
    token = ext.create_jwt({"sub": "alice", "sessionHandle": NOBODY})
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_access_token(token)
    assert str(caught.value) == "The value given as access token is not a session token."
    assert caught.value.reason == "malformed"
    assert caught.value.clear_tokens is False


@pytest.mark.parametrize("seconds", [0, 0.5, -1, math.inf, math.nan])
def test_a_jwt_lives_for_a_second_or_more(ext: STSession, seconds: float) -> None:
    with pytest.raises(ValueError, match="validity_seconds") as caught:
        ext.create_jwt({}, seconds)
    assert str(caught.value) == (
        f"validity_seconds is {seconds!r}; it must be finite and 1 or more, since a token's times are whole "
        "seconds."
    )
    assert ext.create_jwt({}, 1)


def test_a_jwt_must_be_json(ext: STSession) -> None:
    with pytest.raises(TypeError) as caught:
        ext.create_jwt({"tags": {1}})
    assert str(caught.value) == (
        "payload['tags'] is of type set, which JSON does not have: write sorted(...) for a list."
    )


def test_the_issuer_that_is_set_is_in_tokens_and_in_the_discovery_document(make_app: AppFactory) -> None:
    app = make_app(api_domain="https://api.example.com", issuer="https://id.example.com")
    client = app.test_client()
    created = client.post("/login", headers={"st-auth-mode": "header"}).headers["st-access-token"]
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        tokens = [created, create(ext).get_access_token(), ext.create_jwt({"purpose": "upload"})]
        document = ext.get_open_id_discovery_configuration()
    for token in tokens:
        assert jwt.decode(token, options={"verify_signature": False})["iss"] == "https://id.example.com"
    assert document["issuer"] == "https://id.example.com"
    assert document["jwks_uri"] == "https://api.example.com/auth/jwt/jwks.json"
    assert client.get("/user", headers={"Authorization": f"Bearer {created}"}).status_code == 200


@pytest.mark.parametrize(("audience", "expected"), [("shop", "shop"), (["shop", "mill"], ["shop", "mill"])])
def test_new_sessions_have_the_audience_that_is_set_and_keep_it(
    make_app: AppFactory, audience: object, expected: object
) -> None:
    app = make_app(audience=audience, token_transfer_method="cookie")
    client = app.test_client()
    client.post("/login")
    assert client.get("/user").get_json()["payload"]["aud"] == expected
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/user").get_json()["payload"]["aud"] == expected
    client.post("/login", json={"access_token_payload": {"aud": "bakery"}})
    assert client.get("/user").get_json()["payload"]["aud"] == "bakery"


# Without a request


def test_a_session_lives_without_any_request(ext: STSession) -> None:
    created = create(ext, access_token_payload={"a": 1})
    tokens = created.get_all_session_tokens_dangerously()
    verified = ext.get_session_without_request_response(tokens["accessToken"])
    assert verified.get_handle() == created.get_handle()
    refreshed = ext.refresh_session_without_request_response(tokens["refreshToken"])
    new = refreshed.get_all_session_tokens_dangerously()
    assert new["accessAndFrontTokenUpdated"] is True
    assert new["refreshToken"] not in (None, tokens["refreshToken"])
    assert ext.verify_access_token(new["accessToken"]).get_user_id() == "alice"
    refreshed.revoke_session()
    with pytest.raises(UnauthorisedError):
        ext.verify_access_token(new["accessToken"], check_database=True)
    with pytest.raises(UnauthorisedError):
        ext.refresh_session_without_request_response(new["refreshToken"])


def test_anti_csrf_tokens_are_checked_outside_of_requests_where_asked_for(make_app: AppFactory) -> None:
    app = make_app(anti_csrf="VIA_TOKEN")
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        tokens = create(ext, disable_anti_csrf=False).get_all_session_tokens_dangerously()
        access, refresh, csrf = tokens["accessToken"], tokens["refreshToken"], tokens["antiCsrfToken"]
        ext.get_session_without_request_response(access)
        ext.get_session_without_request_response(access, csrf, anti_csrf_check=True)
        for wrong in (None, "", "wrong", "é"):
            with pytest.raises(TryRefreshTokenError):
                ext.get_session_without_request_response(access, wrong, anti_csrf_check=True)
            with pytest.raises(UnauthorisedError):
                ext.refresh_session_without_request_response(refresh, anti_csrf_token=wrong)
        renewed = ext.refresh_session_without_request_response(refresh, anti_csrf_token=csrf)
        assert renewed.get_all_session_tokens_dangerously()["antiCsrfToken"] not in (None, csrf)


def test_token_theft_is_detected_without_a_request(make_app: AppFactory, served_core: ServedCore) -> None:
    app = make_app(connection_uri=served_core.url)
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        session = create(ext)
        stolen = session.get_all_session_tokens_dangerously()["refreshToken"]
        refreshed = ext.refresh_session_without_request_response(stolen)
        ext.verify_access_token(refreshed.get_access_token())  # its first use makes the refresh final
        with pytest.raises(TokenTheftError) as caught:
            ext.refresh_session_without_request_response(stolen)
    assert caught.value.session_handle == session.get_handle()
    assert caught.value.user_id == caught.value.recipe_user_id == "alice"


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c", "é", "\ud800", "x" * 20_000])
def test_a_value_that_is_not_a_token_is_unauthorised(ext: STSession, token: str) -> None:
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_access_token(token)
    assert str(caught.value) == "The value given as access token is not a session token."
    with pytest.raises(UnauthorisedError):
        ext.refresh_session_without_request_response(token)


@pytest.mark.parametrize("nothing", [None, ["a"], "a"])
def test_invalid_data_and_updates_are_never_treated_as_empty(ext: STSession, nothing: Any) -> None:
    session = create(ext, access_token_payload={"a": 1}, session_data_in_database={"b": 2})
    kind = type(nothing).__name__
    for change, argument in (
        (session.update_session_data_in_database, "session_data_in_database"),
        (session.merge_into_access_token_payload, "access_token_payload"),
    ):
        with pytest.raises(TypeError) as caught:
            change(nothing)
        assert str(caught.value) == f"{argument} must be a dict, not {kind}."
    assert session.get_session_data_from_database() == {"b": 2}


def test_a_token_is_verified_in_a_thread_with_an_app_context_only(app: Flask, stsession: STSession) -> None:
    with app.app_context():
        token = create(stsession).get_access_token()

    def work() -> str:
        with app.app_context():
            return flask_stsession.verify_access_token(token).get_user_id()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "alice"
        assert pool.submit(lambda: stsession.verify_access_token(token).get_user_id()).result() == "alice"
        with pytest.raises(RuntimeError) as caught:
            pool.submit(lambda: flask_stsession.verify_access_token(token)).result()
    assert str(caught.value) == (
        "flask-stsession was used outside of an app context, so it cannot know which app is meant. Use "
        'app.extensions["stsession"], or do it in "with app.app_context():".'
    )


def test_validators_run_on_tokens_that_came_without_a_request(make_app: AppFactory) -> None:
    app = make_app(global_claim_validators=[second_factor.validators.is_true()])
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        session = create(ext)
        with pytest.raises(InvalidClaimsError) as caught:
            ext.verify_access_token(session.get_access_token())
        assert [each.id for each in caught.value.payload] == ["2fa"]
        found = ext.verify_access_token(
            session.get_access_token(), override_global_claim_validators=lambda *_: []
        )
        assert found.get_handle() == session.get_handle()


def test_the_database_is_checked_for_a_token_if_requested(ext: STSession, make_app: AppFactory) -> None:
    session = create(ext)
    elsewhere: STSession = make_app(name="elsewhere").extensions["stsession"]
    assert elsewhere.revoke_session(session.get_handle()) is True
    assert ext.verify_access_token(session.get_access_token()).get_user_id() == "alice"
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_access_token(session.get_access_token(), check_database=True)
    assert caught.value.reason == "session_ended"


@pytest.mark.parametrize("wrong", [5, b"token"])
def test_a_token_of_another_type_says_what_to_write_and_shows_no_token(ext: STSession, wrong: Any) -> None:
    calls: dict[str, Any] = {
        "token": ext.verify_access_token,
        "access_token": ext.get_session_without_request_response,
        "refresh_token": ext.refresh_session_without_request_response,
    }
    for argument, call in calls.items():
        with pytest.raises(TypeError) as caught:
            call(wrong)
        remedy = f": write {argument}.decode()" if isinstance(wrong, bytes) else ""
        assert str(caught.value) == f"{argument} must be a str, not {type(wrong).__name__}{remedy}."


def test_no_token_is_unauthorised_and_clears_nothing(ext: STSession) -> None:
    nothing: Any = None
    calls: tuple[tuple[Any, str], ...] = (
        (ext.verify_access_token, "no_token"),
        (ext.get_session_without_request_response, "no_token"),
        (ext.refresh_session_without_request_response, "refresh_token_missing"),
    )
    for call, reason in calls:
        with pytest.raises(UnauthorisedError) as caught:
            call(nothing)
        assert (caught.value.reason, caught.value.clear_tokens) == (reason, False)


def test_a_token_of_another_tenant_does_not_pass_without_a_request(make_app: AppFactory) -> None:
    class Acme(STSession):
        def get_tenant_id(self) -> str:
            return "acme"

    with make_app(extension=Acme).app_context():
        ext: STSession = current_app.extensions["stsession"]
        create_or_update_tenant("acme")
        public, acme = create(ext), create(ext, tenant_id="acme")
        assert ext.verify_access_token(acme.get_access_token()).get_tenant_id() == "acme"
        for verify in (ext.verify_access_token, ext.get_session_without_request_response):
            with pytest.raises(InvalidClaimsError) as caught:
                verify(public.get_access_token())
            assert caught.value.reason == "tenant_mismatch"


# Users who are gone


class Choosy(STSession):
    """Lets nobody go on who is banned."""

    banned: Any = False

    def allow_refresh(self, session: Session) -> bool:
        return super().allow_refresh(session) and not self.banned


class Sovereign(STSession):
    """Decides without the ``user_loader`` who may go on."""

    banned: Any = False
    users: Any = ()

    def allow_refresh(self, session: Session) -> bool:
        return session.get_user_id() in self.users and not self.banned


@pytest.mark.parametrize("transfer", ["cookie", "header"])
@pytest.mark.parametrize("reason", ["user_gone", "session_ended"])
@pytest.mark.parametrize("extension", [Choosy, Sovereign])
def test_a_refresh_ends_the_session_of_a_user_who_may_not_go_on(
    make_app: AppFactory, extension: type[STSession], reason: str, transfer: str
) -> None:
    app = make_app(extension=extension)
    ext: Any = app.extensions["stsession"]
    users = ext.users = {"alice": "a row"}
    loaded: list[str] = []

    def load(user_id: str) -> str | None:
        loaded.append(user_id)
        return users.get(user_id)

    ext.user_loader(load)
    client = app.test_client()
    login = client.post("/login", headers={"st-auth-mode": transfer})

    def refresh() -> Any:
        token = login.headers.get("st-refresh-token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return client.post("/auth/session/refresh", headers=headers)

    assert refresh().status_code == 200
    if reason == "user_gone":
        users.clear()
    else:
        ext.banned = True
    reasons: list[str] = []

    def note(_app: Flask, reason: str, **_extra: Any) -> None:
        reasons.append(str(reason))

    with flask_stsession.signals.verification_failed.connected_to(note, app):
        response = refresh()
    assert (response.status_code, reasons) == (401, [reason])
    # Once for each refresh; an override that decides alone needs it for the reason only.
    assert loaded == ["alice"] * (2 if extension is Choosy else 1)
    assert client.get_cookie("sAccessToken") is None
    if transfer == "header":
        assert response.headers["st-access-token"] == response.headers["st-refresh-token"] == ""
    with app.app_context():
        assert ext.get_all_session_handles_for_user("alice") == []


def test_a_refresh_without_a_request_ends_the_session_of_a_user_who_is_gone(make_app: AppFactory) -> None:
    with make_app().app_context():
        ext: STSession = current_app.extensions["stsession"]
        token = create(ext).get_all_session_tokens_dangerously()["refreshToken"]
        ext.user_loader(lambda user_id: None)
        with pytest.raises(UnauthorisedError) as caught:
            ext.refresh_session_without_request_response(token)
        assert caught.value.reason == "user_gone"
        assert ext.get_all_session_handles_for_user("alice") == []


def test_an_override_that_returns_none_signs_nobody_out(make_app: AppFactory) -> None:
    app = make_app(extension=Choosy)
    ext: Any = app.extensions["stsession"]
    with app.app_context():
        token = create(ext).get_all_session_tokens_dangerously()["refreshToken"]
        ext.allow_refresh = lambda session: None
        with pytest.raises(TypeError) as caught:
            ext.refresh_session_without_request_response(token)
        assert str(caught.value) == "allow_refresh() must return True or False, not None."
        assert len(ext.get_all_session_handles_for_user("alice")) == 1


VALIDATOR = PrimitiveClaim("k", lambda *_: "v").validators.has_value("v")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"app": "app"}, "takes the Flask app, not 'app': write STSession(app)."),
        (
            {"claims": ["x"]},
            "got 'x' in claims=, which is not a SessionClaim. Write UserRoleClaim, or a claim "
            "of your own such as PrimitiveClaim(key, fetch_value).",
        ),
        ({"claims": fetched}, "takes a list as claims=: write claims=[...]."),
        ({"claims": "st-role"}, "takes a list of claims as claims=, not 'st-role'."),
        (
            {"claims": [VALIDATOR]},
            f"got the validator {VALIDATOR!r} in claims=. Write it in global_claim_validators=[...].",
        ),
        (
            {"global_claim_validators": VALIDATOR},
            "takes a list as global_claim_validators=: write global_claim_validators=[...].",
        ),
        (
            {"global_claim_validators": [fetched]},
            "got the claim <PrimitiveClaim 'fetched'> in "
            "global_claim_validators=, but a claim checks nothing. Write one of its validators, such as "
            "claim.validators.has_value(...).",
        ),
        ({"get_email": "email"}, "takes a function of (user_id, tenant_id) as get_email=, not 'email'."),
    ],
)
def test_arguments_of_wrong_types_are_refused_with_what_to_write(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError) as caught:
        STSession(**arguments)
    assert str(caught.value) == f"STSession() {message}"


def test_a_get_email_with_other_parameters_is_refused() -> None:
    arguments: dict[str, Any] = {"get_email": lambda user_id: f"{user_id}@a.example"}
    with pytest.raises(TypeError) as caught:
        STSession(**arguments)
    assert str(caught.value) == "get_email takes (user_id). Give it the parameters (user_id, tenant_id)."


@pytest.mark.parametrize(
    "name", ["create_new_session", "get_global_claim_validators", "get_tenant_id", "get_claim_value"]
)
def test_an_asynchronous_override_is_refused_where_it_is_defined(name: str) -> None:
    async def override(self: Any, *args: Any, **options: Any) -> Any:
        raise AssertionError

    with pytest.raises(TypeError) as caught:
        type("Own", (STSession,), {name: override})
    assert str(caught.value) == (
        f"Own.{name} must not be async, as its result is not awaited: write def, not async def."
    )
    mixin = type("Mixin", (), {name: override})
    with pytest.raises(TypeError, match=rf"^Own\.{name} must not be async"):
        type("Own", (mixin, STSession), {})
    with pytest.raises(TypeError, match=rf"^STSession\.{name} must not be async"):
        setattr(STSession(), name, override)


def test_further_methods_of_a_subclass_may_be_asynchronous() -> None:
    class Own(STSession):
        async def sign_in_later(self, user_id: str) -> str:
            return user_id

    Own().note = "an attribute of the app"  # type: ignore[attr-defined]


# Access tokens of the core's OAuth2 provider

OAUTH2 = {
    "stt": 1,
    "sub": "alice",
    "client_id": "stcl_one",
    "scp": ["email"],
    "aud": ["api", "other"],
    "gid": "a-grant",  # a core looks for it
}


def test_a_token_of_the_oauth2_provider_is_verified_and_is_no_session(app: Flask, ext: STSession) -> None:
    token = ext.create_jwt(OAUTH2, 60)
    payload = flask_stsession.verify_oauth2_access_token(
        token, audience="api", client_id="stcl_one", scopes=["email"]
    )
    assert payload.items() >= OAUTH2.items()
    assert ext.verify_oauth2_access_token(token, scopes="email") == payload
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_access_token(token)
    assert caught.value.reason is Reason.MALFORMED
    response = app.test_client().get("/user", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401


def test_a_session_is_no_token_of_the_oauth2_provider(ext: STSession) -> None:
    access_token = ext.create_new_session_without_request_response("alice").get_access_token()
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_oauth2_access_token(access_token)
    assert caught.value.reason is Reason.MALFORMED


def test_a_missing_token_is_a_verdict_and_other_types_are_a_mistake(ext: STSession) -> None:
    wrong: Any = None
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_oauth2_access_token(wrong)
    assert caught.value.reason is Reason.NO_TOKEN
    token = ext.create_jwt(OAUTH2, 60)
    mistakes: tuple[dict[str, Any], ...] = ({"audience": ["api"]}, {"client_id": 7}, {"scopes": [""]})
    for mistake in mistakes:
        with pytest.raises(TypeError, match=next(iter(mistake))):
            ext.verify_oauth2_access_token(token, **mistake)


def test_a_core_without_an_oauth2_provider_knows_no_token_of_one(ext: STSession) -> None:
    with pytest.raises(UnauthorisedError) as caught:
        ext.verify_oauth2_access_token(ext.create_jwt(OAUTH2, 60), check_database=True)
    assert caught.value.reason is Reason.SESSION_ENDED


@pytest.mark.parametrize("active", [True, False])
def test_the_core_says_whether_a_token_was_revoked(make_app: AppFactory, active: bool) -> None:
    signer = Signer()
    payload = {**OAUTH2, "exp": int(time.time()) + 60}
    token = signer.sign({"alg": "RS256", "kid": signer.kid}, json.dumps(payload).encode())
    core = ScriptedCore()
    core.answers["/apiversion"] = reply({"versions": ["5.4"]})
    core.answers["/.well-known/jwks.json"] = reply({"keys": [signer.jwk()]})
    core.answers["/recipe/oauth/introspect"] = reply({"status": "OK", "active": active})
    app = make_app(connection_uri=core.url)
    with app.app_context():
        ext: STSession = app.extensions["stsession"]
        assert ext.verify_oauth2_access_token(token) == payload
        assert "POST /recipe/oauth/introspect" not in core.requests
        if active:
            assert ext.verify_oauth2_access_token(token, check_database=True) == payload
        else:
            with pytest.raises(UnauthorisedError, match=r"The OAuth2 access token has been revoked\."):
                ext.verify_oauth2_access_token(token, check_database=True)
    core.stop()
    assert core.received[-1].json == {"token": token}
