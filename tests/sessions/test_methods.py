"""An override of a method counts once, however that method is reached, and can call ``super()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, current_app, g
from support.app_factory import AppFactory
from support.clients import signed_in

import flask_stsession
from flask_stsession import STSession, current_session, verify_session
from flask_stsession.claims import BooleanClaim, PrimitiveClaim
from flask_stsession.errors import SessionDoesNotExistError, TokenTheftError, UnauthorisedError
from flask_stsession.sessions.session import Session

plan: PrimitiveClaim[str] = PrimitiveClaim("plan", lambda user_id, *_: f"plan of {user_id}")
fresh = BooleanClaim("fresh", lambda *_: True)

METHODS = (
    "create_new_session",
    "get_session",
    "refresh_session",
    "sign_out",
    "revoke_session",
    "revoke_multiple_sessions",
    "revoke_all_sessions_for_user",
    "merge_into_access_token_payload",
    "update_session_data_in_database",
    "fetch_and_set_claim",
    "set_claim_value",
    "remove_claim",
    "get_claim_value",
    "sync_get_claim_value",
)


def noting(name: str) -> Callable[..., Any]:
    """Return an override that notes its call, and calls ``super()``."""

    def method(self: Any, *args: Any, **options: Any) -> Any:
        self.called.append(name)
        return getattr(super(Noting, self), name)(*args, **options)

    return method


class Noting(STSession):
    """Notes the calls of every overridable method."""

    def __init__(self, **arguments: Any) -> None:
        self.called: list[str] = []
        super().__init__(**arguments)


for each in METHODS:
    setattr(Noting, each, noting(each))


def noted() -> list[str]:
    """Return the calls since the last time, in order."""
    ext = current_app.extensions["stsession"]
    called, ext.called = ext.called, []
    return list(called)


MERGE = "merge_into_access_token_payload"
DATA = "update_session_data_in_database"
REVOKE = ["revoke_session", "revoke_multiple_sessions"]
SET = ["set_claim_value", MERGE]
FETCH = ["fetch_and_set_claim", *SET]
REMOVE = ["remove_claim", MERGE]


def handle() -> str:
    found: str = g.session.get_handle()
    return found


def ext() -> STSession:
    found: STSession = current_app.extensions["stsession"]
    return found


def outside() -> Session:
    """Return a session of the same user that belongs to no request."""
    return ext().verify_access_token(g.session.get_access_token())


#: The calls in a guarded view, and the overrides that run, in order.
REACHED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "merge: session": (lambda: g.session.merge_into_access_token_payload({"a": 1}), [MERGE]),
    "merge: sync_ spelling": (lambda: g.session.sync_merge_into_access_token_payload({"a": 1}), [MERGE]),
    "merge: current_session": (lambda: current_session.merge_into_access_token_payload({"a": 1}), [MERGE]),
    "merge: token": (lambda: outside().merge_into_access_token_payload({"a": 1}), [MERGE]),
    "merge: function": (
        lambda: flask_stsession.merge_into_access_token_payload(handle(), {"a": 1}),
        [MERGE],
    ),
    "merge: method": (lambda: ext().merge_into_access_token_payload(handle(), {"a": 1}), [MERGE]),
    "merge: refetched claim": (lambda: g.session.assert_claims([fresh.validators.is_true()]), [MERGE]),
    "data: session": (lambda: g.session.update_session_data_in_database({"a": 1}), [DATA]),
    "data: token": (lambda: outside().update_session_data_in_database({"a": 1}), [DATA]),
    "data: function": (
        lambda: flask_stsession.update_session_data_in_database(handle(), {"a": 1}),
        [DATA],
    ),
    "revoke: session": (lambda: handle() and g.session.revoke_session(), REVOKE),
    "revoke: sync_ spelling": (lambda: handle() and g.session.sync_revoke_session(), REVOKE),
    "revoke: token": (lambda: outside().revoke_session(), REVOKE),
    "revoke: function": (lambda: flask_stsession.revoke_session(handle()), REVOKE),
    "revoke: several": (lambda: flask_stsession.revoke_multiple_sessions([handle()]), REVOKE[1:]),
    "revoke: all": (
        lambda: flask_stsession.revoke_all_sessions_for_user("alice"),
        ["revoke_all_sessions_for_user"],
    ),
    "revoke: sign-out": (flask_stsession.sign_out, ["sign_out", *REVOKE]),
    "set: session": (lambda: g.session.set_claim_value(plan, "pro"), SET),
    "set: function": (lambda: flask_stsession.set_claim_value(plan, "pro"), SET),
    "set: handle": (lambda: flask_stsession.set_claim_value(plan, "pro", session_handle=handle()), SET),
    "set: None": (lambda: g.session.set_claim_value(plan, None), ["set_claim_value", *REMOVE]),
    "fetch: session": (lambda: g.session.fetch_and_set_claim(plan), FETCH),
    "fetch: function": (lambda: flask_stsession.fetch_and_set_claim(plan), FETCH),
    "fetch: handle": (lambda: flask_stsession.fetch_and_set_claim(plan, session_handle=handle()), FETCH),
    "remove: session": (lambda: g.session.remove_claim(plan), REMOVE),
    "remove: function": (lambda: flask_stsession.remove_claim(plan), REMOVE),
    "remove: handle": (lambda: flask_stsession.remove_claim(plan, session_handle=handle()), REMOVE),
    "get: session": (lambda: g.session.get_claim_value(plan), ["get_claim_value"]),
    "get: sync_ spelling": (lambda: g.session.sync_get_claim_value(plan), ["get_claim_value"]),
    "get: function": (lambda: flask_stsession.get_claim_value(plan), ["get_claim_value"]),
    "get: sync_ function": (lambda: flask_stsession.sync_get_claim_value(plan), ["sync_get_claim_value"]),
    "get: handle": (
        lambda: flask_stsession.get_claim_value(plan, session_handle=handle()),
        ["get_claim_value"],
    ),
    "guard: get_session()": (flask_stsession.get_session, ["get_session"]),
    "create: function": (
        lambda: flask_stsession.create_new_session("alice"),
        ["create_new_session", *REVOKE],  # of the session that it replaces
    ),
}


@pytest.fixture
def noting_app(make_app: AppFactory) -> Flask:
    return make_app(extension=Noting)


@pytest.mark.parametrize("way", REACHED)
def test_an_override_counts_once_however_it_is_reached(noting_app: Flask, way: str) -> None:
    act, expected = REACHED[way]

    @noting_app.post("/act")
    @verify_session()
    def view() -> dict[str, Any]:
        noted()
        act()
        return {"called": noted()}

    assert signed_in(noting_app).post("/act").get_json() == {"called": expected}


def test_a_session_that_is_not_at_hand_is_changed_through_the_same_overrides(noting_app: Flask) -> None:
    with noting_app.app_context():
        other = ext().create_new_session_without_request_response("bob").get_handle()
        noted()
        assert flask_stsession.fetch_and_set_claim(plan, session_handle=other) is True
        assert noted() == FETCH
        assert flask_stsession.set_claim_value(plan, None, session_handle=other) is True
        assert noted() == ["set_claim_value", *REMOVE]


def test_routes_guards_and_theft_call_the_overrides(noting_app: Flask) -> None:
    noting_app.add_url_rule("/guarded", "guarded", verify_session()(lambda: {"called": noted()}))
    client = signed_in(noting_app, transfer="header")
    with noting_app.app_context():
        assert client.get("/guarded").get_json() == {"called": ["create_new_session", "get_session"]}
        assert client.post("/auth/signout").status_code == 200
        assert noted() == ["get_session", "sign_out", *REVOKE]
        session = ext().create_new_session_without_request_response("alice")
        stolen = session.get_all_session_tokens_dangerously()["refreshToken"]
        used = ext().refresh_session_without_request_response(stolen)
        ext().verify_access_token(used.get_access_token())
        noted()
        answer = noting_app.test_client().post(
            "/auth/session/refresh", headers={"Authorization": f"Bearer {stolen}"}
        )
        assert (answer.status_code, noted()) == (401, ["refresh_session", *REVOKE])


# Changes of a session that is at hand


def test_a_change_by_the_handle_of_this_requests_session_reaches_its_client(app: Flask) -> None:
    @app.post("/change")
    @verify_session()
    def change() -> dict[str, Any]:
        assert flask_stsession.merge_into_access_token_payload(handle(), {"a": 1}) is True
        assert flask_stsession.set_claim_value(plan, "pro", session_handle=handle()) is True
        found: dict[str, Any] = g.session.get_access_token_payload()
        return {"a": found["a"], "plan": g.session.get_claim_value(plan)}

    client = signed_in(app)
    assert client.post("/change").get_json() == {"a": 1, "plan": "pro"}
    payload = client.get("/user").get_json()["payload"]
    assert (payload["a"], payload["plan"]["v"]) == (1, "pro")


class Forgetful(STSession):
    """Overrides that return nothing, as is easily done."""

    def merge_into_access_token_payload(self, handle: str, update: Any) -> Any:
        super().merge_into_access_token_payload(handle, update)

    def revoke_session(self, handle: str) -> Any:
        super().revoke_session(handle)


def test_an_override_that_forgets_to_return_ends_no_session(make_app: AppFactory) -> None:
    app = make_app(extension=Forgetful)

    @app.post("/merge")
    @verify_session()
    def merge() -> dict[str, Any]:
        g.session.merge_into_access_token_payload({"a": 1})
        return {"a": g.session.get_access_token_payload()["a"]}

    client = signed_in(app)
    assert client.post("/merge").get_json() == {"a": 1}
    assert client.post("/auth/signout").status_code == 200
    assert client.get_cookie("sAccessToken") is None


class Elsewhere(STSession):
    """Merges by other means, and says that the session has ended."""

    def merge_into_access_token_payload(self, handle: str, update: Any) -> bool:
        return False


def test_an_override_may_say_that_the_session_has_ended(make_app: AppFactory) -> None:
    app = make_app(extension=Elsewhere)

    @app.post("/merge")
    @verify_session()
    def merge() -> str:
        g.session.merge_into_access_token_payload({"a": 1})
        return "merged"

    client = signed_in(app)
    assert client.post("/merge").status_code == 401
    assert client.get_cookie("sAccessToken") is None


class Audited(STSession):
    """Writes every change into the payload as well."""

    def set_claim_value(self, claim: Any, value: Any, **options: Any) -> bool:
        done = super().set_claim_value(claim, value, **options)
        self.merge_into_access_token_payload(options["session_handle"], {"by": "audit"})
        return done


def test_an_override_may_change_the_session_that_is_being_changed(make_app: AppFactory) -> None:
    app = make_app(extension=Audited)
    with app.app_context():
        session = ext().create_new_session_without_request_response("alice")
        session.set_claim_value(plan, "pro")
        payload = session.get_access_token_payload()
        assert (payload["by"], payload["plan"]["v"]) == ("audit", "pro")
        found = ext().get_session_information(session.get_handle())
        assert found is not None
        assert found.custom_claims_in_access_token_payload["by"] == "audit"


@pytest.mark.parametrize("name", ["get_claim_value", "sync_get_claim_value"])
@pytest.mark.parametrize("by_mixin", [False, True])
def test_overriding_one_spelling_overrides_both(make_app: AppFactory, name: str, by_mixin: bool) -> None:
    def overridden(self: Any, *_args: Any, **_options: Any) -> str:
        return "overridden"

    mixin: Any = type("Mixin", (), {name: overridden})
    bases = (mixin, STSession) if by_mixin else (STSession,)
    extension: Any = type("Own", bases, {} if by_mixin else {name: overridden})
    further: Any = type("Further", (extension,), {})
    with make_app(extension=further).app_context():
        session = ext().create_new_session_without_request_response("alice")
        assert session.get_claim_value(plan) == "overridden"
        for get in (flask_stsession.get_claim_value, flask_stsession.sync_get_claim_value):
            assert get(plan, session_handle="any") == "overridden"


def test_super_of_either_spelling_reaches_the_default(make_app: AppFactory) -> None:
    class Own(STSession):
        def get_claim_value(self, *args: Any, **options: Any) -> Any:
            return [super().get_claim_value(*args, **options), super().sync_get_claim_value(*args, **options)]

    with make_app(extension=Own).app_context():
        session = ext().create_new_session_without_request_response("alice")
        session.set_claim_value(plan, "pro")
        assert session.get_claim_value(plan) == ["pro", "pro"]


# Overrides of get_session, and the guards that call it


class Choosy(STSession):
    """Adds its own condition to every verification."""

    refuses = False

    def get_session(self, *args: Any, **options: Any) -> Any:
        session = super().get_session(*args, **options)
        if session is not None and self.refuses:
            raise UnauthorisedError("Not on Sundays.")
        return session


@pytest.fixture
def choosy(make_app: AppFactory) -> Flask:
    app = make_app(extension=Choosy, claims=[plan])
    ignoring = verify_session(session_required=False, ignore_invalid=True)
    app.add_url_rule("/ignoring", "ignoring", ignoring(who))
    app.add_url_rule("/current", "current", lambda: {"user": bool(current_session) and who_is_current()})
    return app


def who() -> dict[str, Any]:
    return {"user": g.session and g.session.get_user_id()}


def who_is_current() -> str:
    return current_session.get_user_id()


def test_no_guard_passes_a_session_that_an_overridden_get_session_refuses(choosy: Flask) -> None:
    client = signed_in(choosy)
    assert client.get("/user").status_code == 200
    assert client.get("/ignoring").get_json() == {"user": "alice"}
    assert client.get("/current").get_json() == {"user": "alice"}
    choosy.extensions["stsession"].refuses = True
    assert client.get("/ignoring").get_json() == {"user": None}
    assert client.get("/current").get_json() == {"user": False}
    assert client.get("/user").status_code == 401
    assert client.get_cookie("sAccessToken") is None


def test_the_further_options_of_a_guard_count_beside_an_overridden_get_session(choosy: Flask) -> None:
    guards: dict[str, dict[str, Any]] = {
        "validators": {"validators": [plan.validators.has_value("other")]},
        "tenant": {"tenant": "acme"},
        "roles": {"roles": "admin"},
    }
    for name, options in guards.items():
        choosy.add_url_rule(f"/{name}", name, verify_session(**options)(who))
    client = signed_in(choosy)
    assert [client.get(f"/{name}").status_code for name in guards] == [403, 403, 403]


class Lax(STSession):
    """Returns a session that the default has not verified, or none."""

    brought: Any = None

    def get_session(self, *_args: Any, **_options: Any) -> Any:
        return self.brought


def test_a_guard_refuses_a_request_for_which_an_override_returns_no_session(make_app: AppFactory) -> None:
    app = make_app(extension=Lax)
    assert signed_in(app).get("/user").status_code == 401


def test_a_session_from_elsewhere_has_to_satisfy_the_guard_all_the_same(make_app: AppFactory) -> None:
    app = make_app(extension=Lax)
    app.add_url_rule("/plain", "plain", verify_session()(who))
    app.add_url_rule("/acme", "acme", verify_session(tenant="acme")(who))
    with app.app_context():
        ext().brought = ext().create_new_session_without_request_response("carol")  # type: ignore[attr-defined]
    client = app.test_client()
    assert client.get("/plain").get_json() == {"user": "carol"}
    assert client.get("/acme").status_code == 403


def test_an_override_may_use_current_session_and_claims(make_app: AppFactory) -> None:
    class Curious(STSession):
        def get_session(self, *args: Any, **options: Any) -> Any:
            assert not current_session or current_session.get_user_id() == "alice"
            return super().get_session(*args, **options)

    app = make_app(extension=Curious)
    assert signed_in(app).get("/user").get_json()["userId"] == "alice"
    assert app.test_client().get("/user").status_code == 401


# Without an extension object that overrides anything


def test_the_defaults_report_a_session_that_does_not_exist(make_app: AppFactory) -> None:
    with make_app().app_context():
        assert ext().remove_claim(plan, session_handle="nobody") is False
        assert ext().fetch_and_set_claim(plan, session_handle="nobody") is False
        with pytest.raises(SessionDoesNotExistError):
            ext().get_claim_value(plan, session_handle="nobody")


def test_theft_is_still_theft_for_an_override_that_does_not_revoke(make_app: AppFactory) -> None:
    class Lenient(STSession):
        def revoke_session(self, handle: str) -> bool:
            return False

    with make_app(extension=Lenient).app_context():
        stolen = ext().create_new_session_without_request_response("alice")
        token = stolen.get_all_session_tokens_dangerously()["refreshToken"]
        used = ext().refresh_session_without_request_response(token)
        ext().verify_access_token(used.get_access_token())
        with pytest.raises(TokenTheftError):
            ext().refresh_session_without_request_response(token)
        with pytest.raises(UnauthorisedError):
            ext().verify_access_token(used.get_access_token())
