"""``current_session`` and ``current_user``: whose request this is, wherever somebody asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, g, render_template_string, request
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.clients import signed_in
from support.served_core import ServedCore

from flask_stsession import (
    ConfigError,
    Session,
    STSession,
    create_new_session,
    current_session,
    current_user,
    get_all_session_handles_for_user,
    revoke_all_sessions_for_user,
    signals,
    verify_session,
)
from flask_stsession.claims import ClaimValidationResult, SessionClaimValidator
from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore


def show() -> dict[str, Any]:
    return {
        "current": current_session.get_user_id() if current_session else None,
        "g": None if g.session is None else g.session.get_user_id(),
    }


def guarded_show(**options: Any) -> Callable[[], dict[str, Any]]:
    """The same behind a guard: a function of its own, for ``show`` itself is public."""

    def view() -> dict[str, Any]:
        return show()

    guarded: Callable[[], dict[str, Any]] = verify_session(**options)(view)
    return guarded


@pytest.fixture
def expired_token(core_file: Path) -> str:
    """An access token that the core of the tests made two hours ago."""
    with EmbeddedCore(core_file, clock=lambda: time.time() - 7200) as core, requests.Session() as http:
        http.mount("http://core", EmbeddedAdapter(core))
        answer = http.post(
            "http://core/recipe/session",
            headers={"cdi-version": "5.4", "rid": "session"},
            json={
                "userId": "alice",
                "userDataInJWT": {},
                "userDataInDatabase": {},
                "enableAntiCsrf": False,
                "useDynamicSigningKey": True,
            },
        ).json()
    token: str = answer["accessToken"]["token"]
    return token


def spoilt(token: str) -> str:
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'A' * len(signature)}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_request_no_user_is_signed_in(app: Flask) -> None:
    assert (bool(current_session), bool(current_user)) == (False, False)
    with app.app_context():
        assert (bool(current_session), bool(current_user)) == (False, False)
    with Flask("without").test_request_context("/"):
        assert not current_session


def test_current_session_works_on_views_without_a_guard(app: Flask) -> None:
    app.add_url_rule("/show", "show", show)
    assert signed_in(app).get("/show").get_json() == {"current": "alice", "g": None}
    assert signed_in(app, transfer="header").get("/show").get_json() == {"current": "alice", "g": None}
    assert app.test_client().get("/show").get_json() == {"current": None, "g": None}


def test_behind_a_guard_current_session_is_the_verified_session(app: Flask) -> None:
    @app.get("/same")
    @verify_session()
    def same() -> dict[str, bool]:
        return {"same": current_session == g.session and current_session.get_user_id() == "alice"}

    assert signed_in(app).get("/same").get_json() == {"same": True}


def test_current_session_is_verified_once_per_request(app: Flask) -> None:
    @app.get("/twice")
    def twice() -> dict[str, bool]:
        one, two = current_session._get_current_object(), current_session._get_current_object()  # type: ignore[attr-defined]
        return {"same": one is two, "session": isinstance(one, Session)}

    assert signed_in(app).get("/twice").get_json() == {"same": True, "session": True}
    assert app.test_client().get("/twice").get_json() == {"same": True, "session": False}


def test_a_post_by_cookie_without_its_anti_csrf_header_has_no_current_session(
    make_app: AppFactory,
) -> None:
    app = make_app(anti_csrf="VIA_CUSTOM_HEADER")

    @app.post("/looked-at")
    def looked_at() -> dict[str, Any]:
        return show()

    @app.post("/guarded")
    def guarded() -> Any:
        assert bool(current_session) is ("rid" in request.headers)
        return guarded_show()()

    client = signed_in(app)
    assert client.post("/looked-at").get_json() == {"current": None, "g": None}
    assert client.post("/looked-at", headers={"rid": "x"}).get_json() == {"current": "alice", "g": None}
    refused = client.post("/guarded")
    assert (refused.status_code, refused.get_json()) == (401, {"message": "try refresh token"})
    assert client.post("/guarded", headers={"rid": "x"}).get_json() == {"current": "alice", "g": "alice"}


def test_changes_through_current_session_reach_the_client(app: Flask) -> None:
    @app.post("/merge")
    def merge() -> dict[str, Any]:
        current_session.merge_into_access_token_payload({"colour": "red"})
        return {"colour": current_session.get_access_token_payload()["colour"]}

    client = signed_in(app)
    assert client.post("/merge").get_json() == {"colour": "red"}
    assert client.get("/user").get_json()["payload"]["colour"] == "red"


@pytest.mark.parametrize("checks", [False, True])
def test_the_core_is_asked_only_if_the_app_checks_the_database(
    make_app: AppFactory, served_core: ServedCore, checks: bool
) -> None:
    app = make_app(connection_uri=served_core.url, check_database=checks)
    app.add_url_rule("/show", "show", show)
    client = signed_in(app)
    client.get("/user")  # brings the keys
    client.post("/auth/session/refresh")  # a guard will tell the core of the first use of the new token
    asked = len(served_core.core.asked)
    assert client.get("/show").get_json() == {"current": "alice", "g": None}
    assert bool(served_core.core.asked[asked:]) is checks
    with make_app(connection_uri=served_core.url).app_context():
        revoke_all_sessions_for_user("alice")
    assert client.get("/show").get_json() == {"current": None if checks else "alice", "g": None}


@pytest.mark.parametrize("kind", ["none", "garbage", "foreign", "spoilt", "expired", "revoked"])
def test_only_a_guard_refuses_a_request_without_a_valid_session(
    make_app: AppFactory, kind: str, expired_token: str
) -> None:
    app = make_app(cdi_version="5.6")
    modes = {
        "looked-at": show,
        "required": guarded_show(),
        "optional": guarded_show(session_required=False),
        "ignored": guarded_show(session_required=False, ignore_invalid=True),
    }
    for name, view in modes.items():
        app.add_url_rule(f"/{name}", name, view)
    client = app.test_client()
    login = client.post("/login", headers={"st-auth-mode": "header"})
    token = login.headers["st-access-token"]
    if kind == "revoked":
        app.extensions["stsession"].revoke_session(login.get_json()["handle"])
    headers = {
        "none": {},
        "garbage": bearer("garbage"),
        "foreign": bearer("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"),
        "spoilt": bearer(spoilt(token)),
        "expired": bearer(expired_token),
        "revoked": bearer(token),
    }[kind]
    nobody = (200, {"current": None, "g": None})
    unauthorised, refresh = (401, {"message": "unauthorised"}), (401, {"message": "try refresh token"})
    required, optional = {
        "none": (unauthorised, nobody),
        "garbage": (unauthorised, nobody),
        "foreign": (unauthorised, nobody),
        "spoilt": (refresh, refresh),
        "expired": (refresh, refresh),
        "revoked": (unauthorised, unauthorised),
    }[kind]
    answers = {name: client.get(f"/{name}", headers=headers) for name in modes}
    assert {name: (answer.status_code, answer.get_json()) for name, answer in answers.items()} == {
        "looked-at": nobody,
        "required": required,
        "optional": optional,
        "ignored": nobody,
    }
    assert not any("Set-Cookie" in answers[name].headers for name in ("looked-at", "ignored"))


# current_user


@pytest.fixture
def loaded(app: Flask) -> list[str]:
    """Whom the ``user_loader`` was asked for."""
    asked: list[str] = []

    def load(user_id: str) -> dict[str, str] | None:
        asked.append(user_id)
        return {"name": user_id.title()} if user_id in ("alice", "bob") else None

    app.extensions["stsession"].user_loader(load)
    return asked


def test_the_user_is_loaded_once_per_request_and_only_when_used(app: Flask, loaded: list[str]) -> None:
    app.add_url_rule("/thrice", "thrice", lambda: {"names": [current_user["name"] for _ in range(3)]})
    app.add_url_rule("/never", "never", verify_session()(lambda: "ok"))
    client = signed_in(app)
    assert client.get("/never").text == "ok"
    assert loaded == []
    assert client.get("/thrice").get_json() == {"names": ["Alice"] * 3}
    assert loaded == ["alice"]
    assert client.get("/thrice").get_json() == {"names": ["Alice"] * 3}
    assert loaded == ["alice", "alice"]


def test_without_a_session_no_user_is_loaded(app: Flask, loaded: list[str]) -> None:
    app.add_url_rule("/user-name", "user_name", lambda: {"user": bool(current_user)})
    assert app.test_client().get("/user-name").get_json() == {"user": False}
    assert loaded == []


def test_a_view_that_signs_in_another_user_sees_that_user(app: Flask, loaded: list[str]) -> None:
    @app.post("/switch")
    def switch() -> dict[str, list[str]]:
        before = current_user["name"]
        create_new_session("bob")
        return {"names": [before, current_user["name"], current_session.get_user_id()]}

    assert signed_in(app).post("/switch").get_json() == {"names": ["Alice", "Bob", "bob"]}


@pytest.mark.parametrize("page", [False, True])
def test_a_user_who_is_gone_is_401_and_signed_out(app: Flask, loaded: list[str], page: bool) -> None:
    def by_view() -> str:
        return render_template_string("{{ current_user.name }}") if page else str(current_user)

    app.add_url_rule("/user-name", "user_name", by_view)
    reasons: list[str] = []

    def note(_app: Flask, reason: str, **_extra: Any) -> None:
        reasons.append(str(reason))

    with signals.verification_failed.connected_to(note, app):
        response = signed_in(app, "mallory").get("/user-name")
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})
    assert sorted(each.split(";")[0] for each in response.headers.getlist("Set-Cookie")) == [
        "sAccessToken=",
        "sRefreshToken=",
    ]
    assert (reasons, loaded) == (["user_gone"], ["mallory"])


def test_current_user_needs_a_user_loader(app: Flask) -> None:
    app.testing = True
    app.add_url_rule("/user-name", "user_name", lambda: str(current_user))
    client: FlaskClient = signed_in(app)
    with pytest.raises(ConfigError) as caught:
        client.get("/user-name")
    assert str(caught.value) == (
        "There is no user_loader. Register one: @stsession.user_loader above a function of (user_id) or "
        "(user_id, tenant_id)."
    )


def test_the_user_loader_may_be_asynchronous(app: Flask) -> None:
    async def load(user_id: str) -> dict[str, str]:
        return {"name": user_id.title()}

    app.extensions["stsession"].user_loader(load)
    app.add_url_rule("/user-name", "user_name", lambda: current_user["name"])
    assert signed_in(app).get("/user-name").text == "Alice"


class Account:
    """A user of the app's own, which says nothing of signing in."""

    is_active = True

    def __init__(self, name: str) -> None:
        self.name = name


class Contrary(Account):
    """A user who claims not to be signed in."""

    is_authenticated = False
    is_anonymous = True


@pytest.mark.parametrize("kind", [Account, Contrary, dict])
def test_is_authenticated_does_not_depend_on_the_class_of_the_user(app: Flask, kind: Any) -> None:
    app.extensions["stsession"].user_loader(lambda user_id: kind(name=user_id))
    page = "{{ current_user.is_authenticated }} {{ current_user.is_anonymous }}"
    app.add_url_rule("/page", "page", lambda: render_template_string(page))
    app.add_url_rule("/facts", "facts", lambda: [current_user.is_authenticated, current_user.is_anonymous])
    alice, nobody = signed_in(app), app.test_client()
    assert (alice.get("/page").text, alice.get("/facts").get_json()) == ("True False", [True, False])
    assert (nobody.get("/page").text, nobody.get("/facts").get_json()) == ("False True", [False, True])


def test_a_user_who_is_gone_loses_the_session_in_the_core_too(app: Flask, loaded: list[str]) -> None:
    app.add_url_rule("/user-name", "user_name", lambda: str(current_user))
    client = signed_in(app, "mallory", transfer="header")
    assert client.get("/user-name").status_code == 401
    assert loaded == ["mallory"]
    with app.app_context():
        assert get_all_session_handles_for_user("mallory") == []


def test_the_user_loader_may_take_the_tenant(app: Flask) -> None:
    app.extensions["stsession"].user_loader(lambda user_id, tenant_id: f"{user_id} of {tenant_id}")
    app.add_url_rule("/user-name", "user_name", lambda: str(current_user))
    assert signed_in(app).get("/user-name").text == "alice of public"


# current_session lets pass what an optional guard would


class Never(SessionClaimValidator):
    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(False, {"message": "no"})


def test_a_session_that_fails_a_global_validator_is_not_current(make_app: AppFactory) -> None:
    app = make_app(global_claim_validators=[Never("never")])
    app.add_url_rule("/show", "show", show)
    assert signed_in(app).get("/show").get_json() == {"current": None, "g": None}


def test_a_session_of_another_tenant_is_not_current(make_app: AppFactory) -> None:
    class Acme(STSession):
        def get_tenant_id(self) -> str:
            return "acme"

    app = make_app(extension=Acme)
    app.add_url_rule("/show", "show", show)
    assert signed_in(app).get("/show").get_json() == {"current": None, "g": None}


def test_an_outage_leaves_public_pages_up_and_an_error_in_the_log(
    make_app: AppFactory, served_core: ServedCore, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(connection_uri=served_core.url, check_database=True)
    app.add_url_rule("/show", "show", show)
    client = signed_in(app)
    assert client.get("/show").get_json()["current"] == "alice"
    served_core.kill()
    response = client.get("/show")
    assert (response.status_code, response.get_json()) == (200, {"current": None, "g": None})
    assert "Set-Cookie" not in response.headers
    [logged] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert logged.startswith("current_session is empty, because the core is unavailable: ")
    assert client.get("/user").status_code == 503


@pytest.mark.parametrize("anti_csrf", ["NONE", "VIA_CUSTOM_HEADER", "VIA_TOKEN", "VIA_ORIGIN"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_current_session_checks_anti_csrf_like_a_guard(
    make_app: AppFactory, anti_csrf: str, method: str
) -> None:
    app = make_app(anti_csrf=anti_csrf)
    seen: list[bool] = []

    @app.route("/seen", methods=["GET", "POST", "DELETE"])
    def see() -> str:
        seen.append(bool(current_session))
        return ""

    app.add_url_rule("/only", "only", verify_session()(lambda: ""), methods=["GET", "POST", "DELETE"])
    client = signed_in(app)
    assert client.open("/seen", method=method).status_code == 200
    assert seen == [client.open("/only", method=method).status_code == 200]
