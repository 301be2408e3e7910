"""Revoking the session of the current request by handle or by user clears its client."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from flask import Flask, Response, current_app, g
from support.app_factory import AppFactory
from support.clients import LateClient, signed_in
from werkzeug.test import TestResponse

from flask_stsession import (
    Session,
    STSession,
    UnauthorisedError,
    create_new_session,
    current_session,
    revoke_all_sessions_for_user,
    revoke_multiple_sessions,
    revoke_session,
    verify_session,
)
from flask_stsession.signals import session_created, session_refreshed


def handle() -> str:
    return g.session.get_handle() if g.session else current_session.get_handle()


WAYS: dict[str, Callable[[], Any]] = {
    "by user": lambda: revoke_all_sessions_for_user("alice"),
    "by user and tenant": lambda: revoke_all_sessions_for_user("alice", tenant_id="public"),
    "by handle": lambda: revoke_session(handle()),
    "by handles": lambda: revoke_multiple_sessions(["other", handle()]),
    "session": lambda: handle() and g.session.revoke_session(),
}


def cleared(response: TestResponse) -> list[str]:
    """The transfer methods whose tokens a response clears."""
    cookies = sorted(each.split(";")[0] for each in response.headers.getlist("Set-Cookie"))
    headers = [response.headers.get("st-access-token"), response.headers.get("st-refresh-token")]
    assert cookies in ([], ["sAccessToken=", "sRefreshToken="])
    assert headers in ([None, None], ["", ""])
    found = ["cookie"] * bool(cookies) + ["header"] * (headers == ["", ""])
    assert response.headers.get("front-token") == ("remove" if found else None)
    return found


@pytest.mark.parametrize("transfer", ["cookie", "header"])
@pytest.mark.parametrize("way", WAYS)
def test_revoking_the_session_of_the_request_clears_the_client(app: Flask, way: str, transfer: str) -> None:
    @app.post("/end")
    @verify_session()
    def end() -> dict[str, Any]:
        WAYS[way]()
        return {"g": g.session is None, "current": bool(current_session)}

    client = signed_in(app, transfer=transfer)
    response = client.post("/end")
    assert response.get_json() == {"g": True, "current": False}
    assert cleared(response) == [transfer]
    assert "Authorization" in response.headers["Vary"]


@pytest.mark.parametrize("transfer", ["cookie", "header"])
def test_a_view_that_no_guard_protects_clears_the_client_too(app: Flask, transfer: str) -> None:
    @app.post("/password-reset")
    def reset() -> dict[str, bool]:
        revoke_all_sessions_for_user("alice")
        return {"current": bool(current_session)}

    @app.post("/peeked")
    def peeked() -> str:
        revoke_session(handle())
        return "ended"

    for path in ("/password-reset", "/peeked"):
        assert cleared(signed_in(app, transfer=transfer).post(path)) == [transfer]
    assert cleared(signed_in(app, "bob", transfer=transfer).post("/password-reset")) == []
    assert cleared(app.test_client().post("/password-reset")) == []


def test_revoking_other_sessions_clears_nothing(app: Flask) -> None:
    @app.post("/others")
    @verify_session()
    def others() -> dict[str, Any]:
        revoke_all_sessions_for_user("bob")
        revoke_session("other")
        revoke_multiple_sessions([])
        return {"user": g.session.get_user_id()}

    response = signed_in(app).post("/others")
    assert (response.get_json(), cleared(response)) == ({"user": "alice"}, [])


def test_a_user_who_signs_in_afterwards_stays_signed_in(app: Flask) -> None:
    @app.post("/change-password")
    @verify_session()
    def change() -> dict[str, str]:
        revoke_all_sessions_for_user("alice")
        create_new_session("alice")
        return {"user": g.session.get_user_id()}

    @app.post("/sign-in-first")
    @verify_session()
    def sign_in_first() -> dict[str, str]:
        old = g.session.get_handle()
        create_new_session("alice", keep_previous=True)
        revoke_session(old)
        return {"user": g.session.get_user_id()}

    for path in ("/change-password", "/sign-in-first"):
        client = signed_in(app)
        assert client.post(path, headers={"st-auth-mode": "cookie"}).get_json() == {"user": "alice"}
        assert client.get("/user").get_json()["userId"] == "alice"


def test_a_session_store_of_another_kind_on_g_is_left_alone(app: Flask) -> None:
    @app.post("/end")
    def end() -> dict[str, str]:
        g.session = "an SQLAlchemy session"
        revoke_all_sessions_for_user("alice")
        return {"g": g.session}

    assert signed_in(app).post("/end").get_json() == {"g": "an SQLAlchemy session"}


class Strict(STSession):
    """Ends a session at its refresh."""

    before = False

    def refresh_session(self, request: Any = None) -> Session:
        if self.before:
            self.revoke_all_sessions_for_user("alice")
        session = super().refresh_session(request)
        self.revoke_session(session.get_handle())
        raise UnauthorisedError("No more.", clear_tokens=False)


@pytest.mark.parametrize("before", [False, True])
def test_revoking_inside_an_overridden_refresh_clears_the_client(make_app: AppFactory, before: bool) -> None:
    app = make_app(extension=Strict)
    app.extensions["stsession"].before = before
    client: LateClient = signed_in(app)
    client.get("/user")
    response = client.post("/auth/session/refresh")
    assert response.status_code == 401
    assert "cookie" in cleared(response)
    assert client.get_cookie("sAccessToken") is None


REVOKING: dict[str, Callable[[Session], Any]] = {
    "session": lambda session: session.revoke_session(),
    "by handle": lambda session: revoke_session(session.get_handle()),
    "by user": lambda session: revoke_all_sessions_for_user(session.get_user_id()),
}


class Ending(STSession):
    """Ends a session where it decides about its refresh, and does not refuse that."""

    def allow_refresh(self, session: Session) -> bool:
        REVOKING[self.way](session)
        return True

    way: Any = None


@pytest.mark.parametrize("transfer", ["cookie", "header"])
@pytest.mark.parametrize("is_receiver", [True, False])
@pytest.mark.parametrize("way", REVOKING)
def test_a_session_that_is_revoked_during_its_refresh_is_refused_and_cleared(
    make_app: AppFactory, way: str, is_receiver: bool, transfer: str
) -> None:
    def end(_app: Flask, session: Session, **_extra: Any) -> None:
        REVOKING[way](session)

    app = make_app(extension=STSession if is_receiver else Ending)
    app.extensions["stsession"].way = way
    client = app.test_client()
    login = client.post("/login", headers={"st-auth-mode": transfer})
    token = login.headers.get("st-refresh-token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with session_refreshed.connected_to(end, app) if is_receiver else nullcontext():
        response = client.post("/auth/session/refresh", headers=headers)
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})
    assert transfer in cleared(response)
    assert client.get_cookie("sAccessToken") is None


@pytest.mark.parametrize("way", REVOKING)
def test_a_refresh_without_a_request_returns_no_revoked_session(make_app: AppFactory, way: str) -> None:
    with make_app(extension=Ending).app_context():
        ext: Any = current_app.extensions["stsession"]
        ext.way = way
        tokens = ext.create_new_session_without_request_response("alice").get_all_session_tokens_dangerously()
        with pytest.raises(UnauthorisedError) as caught:
            ext.refresh_session_without_request_response(tokens["refreshToken"])
        assert caught.value.reason == "session_ended"


@pytest.mark.parametrize("transfer", ["cookie", "header"])
@pytest.mark.parametrize("way", REVOKING)
def test_a_session_that_is_revoked_as_soon_as_it_is_created_sends_no_tokens(
    app: Flask, way: str, transfer: str
) -> None:
    def end(_app: Flask, session: Session, **_extra: Any) -> None:
        REVOKING[way](session)

    @app.after_request
    def show(response: Response) -> Response:
        response.headers["signed-in"] = str(g.session is not None or bool(current_session))
        return response

    with session_created.connected_to(end, app):
        response = app.test_client().post("/login", headers={"st-auth-mode": transfer})
    assert response.headers["signed-in"] == "False"
    assert cleared(response) == [transfer]


def test_revoking_works_without_a_request(app: Flask) -> None:
    with app.app_context():
        ext: STSession = current_app.extensions["stsession"]
        session = ext.create_new_session_without_request_response("alice")
        assert ext.revoke_session(session.get_handle()) is True
