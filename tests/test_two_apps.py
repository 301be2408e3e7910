"""Several apps and many threads in one process: nobody sees what is another's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, g, stream_with_context
from flask.testing import FlaskClient
from support.app_factory import AppFactory, NewCore
from support.clients import signed_in

from flask_stsession import (
    ConfigError,
    Session,
    STSession,
    current_session,
    get_all_session_handles_for_user,
    get_session,
    refresh_session,
    sign_out,
    verify_session,
)

UNAUTHORISED = {"message": "unauthorised"}


@pytest.fixture
def make_other(new_core: NewCore) -> Iterator[AppFactory]:
    """A factory of apps on a core of their own, which has none of the first one's sessions."""
    with new_core() as config:
        factory = AppFactory(config)
        yield factory
        factory.close()


def bearer(client: FlaskClient, user_id: str) -> dict[str, str]:
    login = client.post("/login", json={"userId": user_id}, headers={"st-auth-mode": "header"})
    return {"Authorization": f"Bearer {login.headers['st-access-token']}"}


# Apps


def test_two_apps_on_two_cores_share_nothing(make_app: AppFactory, make_other: AppFactory) -> None:
    one, two = make_app(name="one", check_database=True), make_other(name="two", check_database=True)
    first, second = one.test_client(), two.test_client()
    alice, bob = bearer(first, "alice"), bearer(second, "bob")
    for _ in range(3):
        assert first.get("/user", headers=alice).get_json()["userId"] == "alice"
        assert second.get("/user", headers=bob).get_json()["userId"] == "bob"
    assert (first.get("/user", headers=bob).status_code, second.get("/user", headers=alice).status_code) == (
        401,
        401,
    )
    found = []
    for app in (one, two):
        with app.app_context():
            found.append([len(get_all_session_handles_for_user(user)) for user in ("alice", "bob")])
    assert found == [[1, 0], [0, 1]]


def test_one_extension_object_may_serve_two_apps(make_app: AppFactory, make_other: AppFactory) -> None:
    ext = STSession()
    ext.user_loader(lambda user_id: {"name": user_id})
    one, two = make_app(name="one", init=False), make_other(name="two", init=False, api_base_path="/st")
    for app in (one, two):
        ext.init_app(app)
    make_app.apps.append(one)
    make_other.apps.append(two)
    alice, bob = signed_in(one, "alice"), signed_in(two, "bob")
    assert [client.get("/user").get_json()["userId"] for client in (alice, bob, alice)] == [
        "alice",
        "bob",
        "alice",
    ]
    assert (alice.post("/auth/signout").status_code, bob.post("/auth/signout").status_code) == (200, 404)
    assert bob.post("/st/signout").get_json() == {"status": "OK"}
    with one.app_context():
        assert (ext.app, ext.config.api_base_path) == (one, "/auth")
        with two.app_context():
            assert (ext.app, ext.config.api_base_path) == (two, "/st")
    assert one.extensions["stsession"] is two.extensions["stsession"] is ext
    with pytest.raises(RuntimeError) as caught:
        ext.get_jwks()
    assert str(caught.value) == (
        "This STSession serves 2 apps, so outside of an app context it cannot know which one is meant. "
        'Call it in "with app.app_context():".'
    )


def test_one_app_is_initialised_once(app: Flask) -> None:
    for again in (STSession(), app.extensions["stsession"]):
        with pytest.raises(ConfigError) as caught:
            again.init_app(app)
        assert str(caught.value) == (
            "STSession is initialised on the app 'app' already. Call init_app once per app, or "
            "STSession(app) and no init_app."
        )


def test_an_extension_object_without_an_app_raises_an_error_with_the_remedy() -> None:
    with pytest.raises(RuntimeError) as caught:
        STSession().get_jwks()
    assert str(caught.value) == (
        "This STSession has no app yet. Write STSession(app), or stsession.init_app(app)."
    )


def test_the_object_of_an_app_needs_no_context(app: Flask) -> None:
    ext: STSession = app.extensions["stsession"]
    assert (ext.app, ext.get_all_session_handles_for_user("nobody")) == (app, [])


# Subclasses


class Noting(STSession):
    """Notes what it is asked to do, and does it."""

    noted: list[str]

    def create_new_session(self, user_id: str, **options: Any) -> Session:
        self.noted.append(f"create {user_id}")
        return super().create_new_session(user_id, **options)

    def refresh_session(self, request: Any = None) -> Session:
        self.noted.append("refresh")
        return super().refresh_session(request)

    def sign_out(self) -> bool:
        self.noted.append("sign out")
        return super().sign_out()

    def get_session(self, *args: Any, **options: Any) -> Any:
        self.noted.append("get")
        return super().get_session(*args, **options)

    def get_jwks(self) -> dict[str, Any]:
        self.noted.append("jwks")
        return super().get_jwks()


def test_what_a_subclass_overrides_is_what_functions_and_routes_run(make_app: AppFactory) -> None:
    app = make_app(extension=Noting)
    noted = app.extensions["stsession"].noted = []

    @app.post("/functions")
    def functions() -> dict[str, list[str]]:
        refresh_session()
        get_session()
        sign_out()
        return {"noted": noted}

    client = signed_in(app)
    assert client.get("/auth/jwt/jwks.json").status_code == 200
    assert client.post("/auth/session/refresh").get_json() == {}
    assert client.post("/auth/signout").get_json() == {"status": "OK"}
    assert noted == ["create alice", "jwks", "refresh", "get", "sign out"]
    noted.clear()
    login = app.test_client().post("/login", headers={"st-auth-mode": "header"})
    refresh = {"Authorization": f"Bearer {login.headers['st-refresh-token']}"}
    assert app.test_client().post("/functions", headers=refresh).get_json() == {
        "noted": ["create alice", "refresh", "get", "sign out"]
    }


# Requests at the same time


def test_threads_see_the_user_of_their_own_token(make_app: AppFactory) -> None:
    app = make_app(verified_token_cache_size=4)  # smaller than the users are many

    @app.get("/twice")
    @verify_session(session_required=False)
    def twice() -> dict[str, Any]:
        before = g.session and g.session.get_user_id()
        current = current_session.get_user_id() if current_session else None
        return {"before": before, "current": current}

    users = [f"user-{number}" for number in range(8)]
    headers = {user: bearer(app.test_client(), user) for user in users}

    def hammer(number: int) -> list[Any]:
        client = app.test_client()
        wrong = []
        for step in range(40):
            user = users[(number + step) % len(users)] if step % 5 else None
            found = client.get("/twice", headers=headers[user] if user else {}).get_json()
            if found != {"before": user, "current": user}:
                wrong.append((user, found))
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hammer, range(8))) == [[]] * 8


def test_a_context_that_stays_pushed_does_not_keep_the_last_user(app: Flask) -> None:
    alice = signed_in(app)
    with app.app_context():
        assert alice.get("/user").get_json()["userId"] == "alice"
        anonymous = app.test_client()
        assert anonymous.get("/user").get_json() == UNAUTHORISED
        assert anonymous.get("/open").get_json() == {"session": False}


def test_errors_and_streams_leave_nothing_behind(app: Flask) -> None:
    @app.get("/broken")
    @verify_session()
    def broken() -> str:
        raise LookupError("of the view")

    @app.get("/stream")
    @verify_session()
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            yield g.session.get_user_id()
            yield "!"

        return Response(stream_with_context(chunks()))

    app.add_url_rule("/who", "who", lambda: {"current": bool(current_session), "g": g.session})
    alice, anonymous = signed_in(app), app.test_client()
    nobody = {"current": False, "g": None}
    with app.app_context():
        assert (alice.get("/broken").status_code, anonymous.get("/who").get_json()) == (500, nobody)
        assert (alice.get("/stream").text, anonymous.get("/who").get_json()) == ("alice!", nobody)
        with alice.get("/stream", buffered=False) as unfinished:
            assert next(iter(unfinished.response)) == b"alice"
        assert anonymous.get("/who").get_json() == nobody
    assert alice.get("/stream").text == "alice!"
