"""What surrounds every request: ``g.session`` wherever there is a ``g``, and the headers of the response."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    after_this_request,
    copy_current_request_context,
    g,
    render_template_string,
    request,
    send_from_directory,
    stream_with_context,
)
from flask_cors import CORS
from support.app_factory import NO_CORE, AppFactory
from support.clients import signed_in
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import (
    ConfigError,
    Session,
    STSession,
    create_new_session,
    current_session,
    get_all_cors_headers,
    get_session,
    merge_into_access_token_payload,
    refresh_session,
    sign_out,
    verify_session,
)
from flask_stsession.claims import BooleanClaim
from flask_stsession.errors import TooLateError

ORIGIN = "http://website.localhost:3000"


def who() -> str | None:
    return g.session.get_user_id() if g.session else None


# g.session is there wherever g is


def test_g_session_is_none_in_every_context_without_a_session(app: Flask) -> None:
    seen: dict[str, Any] = {}

    @app.errorhandler(404)
    def missing(_error: Exception) -> Any:
        seen["404"] = g.session
        return "missing", 404

    @app.teardown_request
    def teardown(_error: BaseException | None) -> None:
        seen["teardown"] = g.session

    @app.after_request
    def after(response: Any) -> Any:
        seen["after"] = g.session
        return response

    assert app.test_client().get("/open").get_json() == {"session": False}
    assert app.test_client().get("/nowhere").status_code == 404
    with app.app_context():
        seen["shell"] = g.session
        assert "session" not in g
    assert seen == {"404": None, "teardown": None, "after": None, "shell": None}


def test_g_session_is_available_until_the_request_is_torn_down(app: Flask) -> None:
    seen: dict[str, Any] = {}

    @app.teardown_request
    def teardown(_error: BaseException | None) -> None:
        seen["teardown"] = who()

    @app.errorhandler(ZeroDivisionError)
    def broken(_error: Exception) -> Any:
        seen["handler"] = who()
        return "broken", 500

    @app.get("/broken")
    @verify_session()
    def view() -> str:
        return str(1 / 0)

    assert signed_in(app).get("/broken").status_code == 500
    assert seen == {"handler": "alice", "teardown": "alice"}


def test_the_namespace_class_of_the_app_is_kept(make_app: AppFactory) -> None:
    app = make_app(init=False)

    class Namespace(app.app_ctx_globals_class):  # type: ignore[misc, name-defined]
        answer = 42

    app.app_ctx_globals_class = Namespace
    STSession(app)
    with app.app_context():
        assert (g.answer, g.session) == (42, None)
    app.extensions["stsession"].close()


def test_a_namespace_class_that_the_app_sets_later_works(app: Flask) -> None:
    app.add_url_rule("/who", "who", verify_session()(lambda: who() or "nobody"))
    app.add_url_rule("/anybody", "anybody", lambda: "anybody")
    namespace_class: Any = type("Namespace", (Flask.app_ctx_globals_class,), {})
    app.app_ctx_globals_class = namespace_class
    client = signed_in(app)
    assert [client.get("/who").text, client.get("/anybody").text] == ["alice", "anybody"]
    with app.app_context():  # outlives the requests
        assert [client.get("/who").text, client.get("/anybody").text] == ["alice", "anybody"]


def test_g_session_is_the_session_that_this_request_created(app: Flask) -> None:
    @app.post("/sign-up")
    def sign_up() -> dict[str, Any]:
        before = g.session
        session = create_new_session("bob")
        return {"before": before, "same": g.session is session}

    assert app.test_client().post("/sign-up").get_json() == {"before": None, "same": True}


def test_nothing_leaks_between_requests_that_share_an_app_context(make_app: AppFactory) -> None:
    app = make_app(init=False)
    early: list[str | None] = []

    @app.before_request
    def registered_before_init_app() -> None:
        early.append(who())

    STSession(app)
    alice, bob = signed_in(app, "alice"), signed_in(app, "bob")
    with app.app_context():
        answers = [
            client.get(path).get_json()
            for client, path in (
                (alice, "/user"),
                (app.test_client(), "/open"),
                (bob, "/open"),
                (bob, "/user"),
                (app.test_client(), "/user"),
                (alice, "/open"),
            )
        ]
        assert app.test_client().get("/nowhere").status_code == 404
        assert "session" not in g
    assert [answer.get("userId", answer.get("session", answer)) for answer in answers] == [
        "alice",
        False,
        False,
        "bob",
        {"message": "unauthorised"},
        False,
    ]
    assert set(early) == {None}
    app.extensions["stsession"].close()


class Foreign:
    """What an app may keep in ``g.session``, a database session say."""


def test_an_object_of_another_type_in_g_session_is_refused(app: Flask) -> None:
    app.testing = True

    @app.before_request
    def connect() -> None:
        if request.path != "/login":
            g.session = Foreign()

    client = signed_in(app)
    assert client.get("/open").get_json() == {"session": True}
    with pytest.raises(ConfigError) as caught:
        client.get("/user")
    assert str(caught.value) == (
        f"g.session holds a {Foreign.__module__}.Foreign, but flask-stsession keeps the session of the "
        "signed-in user there. Keep yours under another name, g.db_session for example."
    )


# Headers


def test_vary_is_sent_only_if_the_session_was_used(app: Flask) -> None:
    @app.get("/looks")
    def looks() -> str:
        return "yes" if current_session else "no"

    @app.get("/varies")
    @verify_session(session_required=False)
    def varies() -> Any:
        return "ok", {"Vary": "Accept"}

    client = app.test_client()
    paths = ("/open", "/user", "/looks", "/varies", "/nowhere")
    assert {path: client.get(path).headers.get("Vary") for path in paths} == {
        "/open": None,
        "/user": "Cookie, Authorization",
        "/looks": "Cookie, Authorization",
        "/varies": "Accept, Cookie, Authorization",
        "/nowhere": None,
    }
    assert client.options("/user").headers.get("Vary") is None


def test_only_responses_with_tokens_are_kept_out_of_caches(app: Flask) -> None:
    @app.post("/own")
    def own() -> Any:
        create_new_session("alice")
        return "ok", {"Cache-Control": "private, max-age=5"}

    client = signed_in(app)
    assert client.get("/user").headers.get("Cache-Control") == "private"
    assert app.test_client().get("/user").headers.get("Cache-Control") == "private"
    assert app.test_client().post("/login").headers["Cache-Control"] == "no-store"
    answer = client.post("/own", headers={"st-auth-mode": "cookie"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post("/auth/signout", headers={"rid": "x"}).headers["Cache-Control"] == "no-store"


def test_cookies_are_set_only_when_something_changed(app: Flask) -> None:
    @app.post("/merge")
    @verify_session()
    def merge() -> str:
        g.session.merge_into_access_token_payload({"more": 1})
        return "ok"

    client = signed_in(app)
    found = {
        path: sorted(
            each.split("=")[0] for each in client.open(path, method=method).headers.getlist("Set-Cookie")
        )
        for method, path in (
            ("GET", "/user"),
            ("GET", "/open"),
            ("POST", "/merge"),
            ("POST", "/auth/signout"),
        )
    }
    assert found == {
        "/user": [],
        "/open": [],
        "/merge": ["sAccessToken"],
        "/auth/signout": ["sAccessToken", "sRefreshToken"],
    }


def test_a_session_created_and_ended_in_one_request_leaves_no_token(app: Flask) -> None:
    @app.post("/in-and-out")
    def in_and_out() -> str:
        create_new_session("alice")
        sign_out()
        return "ok"

    response = app.test_client().post("/in-and-out", headers={"st-auth-mode": "cookie"})
    assert sorted(each.split(";")[0] for each in response.headers.getlist("Set-Cookie")) == [
        "sAccessToken=",
        "sRefreshToken=",
    ]


def test_static_files_are_served_unchanged(make_app: AppFactory, tmp_path: Any) -> None:
    (tmp_path / "page.css").write_text("body {}")
    app = make_app()
    app.static_folder = str(tmp_path)
    app.add_url_rule(
        "/files/<path:filename>", "files", lambda filename: send_from_directory(tmp_path, filename)
    )
    bare = Flask("bare", static_folder=str(tmp_path), static_url_path="/static")

    def headers_of(response: TestResponse) -> dict[str, str]:
        with response:
            return {name: value for name, value in response.headers.items() if name != "Date"}

    expected = headers_of(bare.test_client().get("/static/page.css"))
    client = signed_in(app)
    assert expected["Content-Type"] == "text/css; charset=utf-8"
    assert [headers_of(client.get(path)) for path in ("/static/page.css", "/files/page.css")] == [
        expected
    ] * 2


# Flask-CORS


CORS_OPTIONS: dict[str, Any] = {
    "origins": [ORIGIN],
    "supports_credentials": True,
    "allow_headers": ["content-type", *get_all_cors_headers()],
    "expose_headers": ["X-Own"],
}
NEVER = BooleanClaim(key="never", fetch_value=lambda *_: None).validators.is_true()


def cors_before(make_app: AppFactory, **settings: Any) -> Flask:
    app = make_app(init=False, **settings)
    CORS(app, **CORS_OPTIONS)
    STSession(app)
    make_app.apps.append(app)
    return app


def cors_after(make_app: AppFactory, **settings: Any) -> Flask:
    app = make_app(**settings)
    CORS(app, **CORS_OPTIONS)
    return app


def cors_on_blueprint(make_app: AppFactory, **settings: Any) -> Flask:
    """Only the views of the blueprint ``api`` have it."""
    return make_app(**settings)


Installed = Callable[..., Flask]
installations = pytest.mark.parametrize("installed", [cors_before, cors_after, cors_on_blueprint])


def with_api(app: Flask, installed: Installed) -> Flask:
    api = Blueprint("api", __name__)
    if installed is cors_on_blueprint:
        CORS(api, **CORS_OPTIONS)

    @api.post("/api/login")
    def login() -> str:
        create_new_session("alice")
        return "ok"

    @api.route("/api/user", methods=["GET", "PUT"])
    @verify_session()
    def user() -> str:
        return "ok"

    @api.get("/api/admin")
    @verify_session(validators=[NEVER])
    def admin() -> str:
        return "ok"

    app.register_blueprint(api)
    return app


def exposed(response: TestResponse) -> list[str]:
    listed = ", ".join(response.headers.getlist("Access-Control-Expose-Headers"))
    return sorted(name.strip() for name in listed.split(","))


def allows(response: TestResponse) -> tuple[int, str | None, str | None]:
    headers = response.headers
    return (
        response.status_code,
        headers.get("Access-Control-Allow-Origin"),
        headers.get("Access-Control-Allow-Credentials"),
    )


@installations
def test_token_headers_are_exposed_beside_those_of_the_app(
    make_app: AppFactory, installed: Installed
) -> None:
    app = with_api(installed(make_app), installed)
    response = app.test_client().post("/api/login", headers={"Origin": ORIGIN, "st-auth-mode": "header"})
    assert allows(response) == (200, ORIGIN, "true")
    assert exposed(response) == ["X-Own", "front-token", "st-access-token", "st-refresh-token"]


@installations
def test_refusals_can_be_read_by_the_website(make_app: AppFactory, installed: Installed) -> None:
    app = with_api(installed(make_app), installed)
    outage = with_api(
        installed(AppFactory(NO_CORE), core_timeout_seconds=(0.5, 0.5)),
        installed,
    )
    login = app.test_client().post("/login", headers={"st-auth-mode": "header"})
    token = {"Authorization": f"Bearer {login.headers['st-access-token']}", "Origin": ORIGIN}
    unauthorised = app.test_client().get("/api/user", headers={"Origin": ORIGIN})
    forbidden = app.test_client().get("/api/admin", headers=token)
    unavailable = outage.test_client().get("/api/user", headers=token)
    assert [allows(each) for each in (unauthorised, forbidden, unavailable)] == [
        (401, ORIGIN, "true"),
        (403, ORIGIN, "true"),
        (503, ORIGIN, "true"),
    ]
    outage.extensions["stsession"].close()


@installations
def test_preflights_of_protected_views_pass(make_app: AppFactory, installed: Installed) -> None:
    app = with_api(installed(make_app), installed)
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "anti-csrf,rid,st-auth-mode",
    }
    response = app.test_client().options("/api/user", headers=asked)
    assert allows(response) == (200, ORIGIN, "true")
    assert response.headers["Access-Control-Allow-Headers"] == "anti-csrf, rid, st-auth-mode"


@pytest.mark.parametrize("installed", [cors_before, cors_after])
@pytest.mark.parametrize("path", ["/auth/session/refresh", "/auth/signout"])
def test_preflights_of_our_routes_pass_and_their_refusals_are_readable(
    make_app: AppFactory, installed: Installed, path: str
) -> None:
    app = installed(make_app)
    app.extensions["stsession"].protect(app)
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "rid",
    }
    preflight = app.test_client().options(path, headers=asked)
    assert allows(preflight) == (200, ORIGIN, "true")
    assert preflight.headers["Access-Control-Allow-Headers"] == "rid"
    assert allows(app.test_client().post(path, headers={"Origin": ORIGIN})) == (401, ORIGIN, "true")


# Templates


def test_templates_have_current_session(app: Flask) -> None:
    users = {"alice": {"name": "Alice"}}
    app.extensions["stsession"].user_loader(users.get)
    page = (
        "{% if current_session %}{{ current_session.get_user_id() }} {{ current_user.name }}"
        "{% else %}nobody{% endif %}"
    )
    app.add_url_rule("/page", "page", lambda: render_template_string(page))
    guarded = verify_session()(lambda: render_template_string(page + " {{ g.session.get_user_id() }}"))
    app.add_url_rule("/guarded", "guarded", guarded)
    alice = signed_in(app)
    assert (alice.get("/page").text, app.test_client().get("/page").text) == ("alice Alice", "nobody")
    assert alice.get("/guarded").text == "alice Alice alice"
    assert alice.get("/page").headers["Vary"] == "Cookie, Authorization"


def test_the_app_may_redefine_our_names_in_its_templates(app: Flask) -> None:
    app.add_url_rule(
        "/page", "page", lambda: render_template_string("{{ current_user }}", current_user="mine")
    )
    assert app.test_client().get("/page").text == "mine"


def test_get_session_in_a_view_is_the_same_as_the_decorator(app: Flask) -> None:
    @app.get("/by-hand")
    def by_hand() -> dict[str, Any]:
        before = g.session
        session = get_session()
        return {"before": before, "same": session is g.session, "userId": session.get_user_id()}

    assert signed_in(app).get("/by-hand").get_json() == {"before": None, "same": True, "userId": "alice"}
    assert app.test_client().get("/by-hand").get_json() == {"message": "unauthorised"}


# Changes that can no longer reach the client


def _late_calls() -> dict[str, tuple[Any, str]]:
    claim = BooleanClaim("late", lambda *_: True)
    return {
        "merge_into_access_token_payload": (
            lambda session: session.merge_into_access_token_payload({"a": 1}),
            "merge_into_access_token_payload(handle, update)",
        ),
        "set_claim_value": (
            lambda session: session.set_claim_value(claim, True),
            "set_claim_value(claim, value, session_handle=handle)",
        ),
        "fetch_and_set_claim": (
            lambda session: session.fetch_and_set_claim(claim),
            "fetch_and_set_claim(claim, session_handle=handle)",
        ),
        "remove_claim": (
            lambda session: session.remove_claim(claim),
            "remove_claim(claim, session_handle=handle)",
        ),
        "revoke_session": (lambda session: session.revoke_session(), "revoke_session(handle)"),
    }


LATE = _late_calls()


def too_late(method: str, instead: str) -> str:
    return (
        f"{method}() was called too late: the response of this request has been written, so the client could "
        f"not receive the change. Nothing was changed. Call {instead} instead. An after_request function "
        "that is registered after init_app() runs in time."
    )


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("place", ["early after_request", "stream", "context", "close", "teardown", "thread"])
def test_a_change_that_the_client_cannot_receive_raises_and_writes_nothing(
    make_app: AppFactory, served_core: ServedCore, place: str, name: str
) -> None:
    app = make_app(init=False)
    act, instead = LATE[name]
    caught: list[str] = []

    def change(session: Session) -> None:
        served_core.counted()
        try:
            act(session)
        except TooLateError as error:
            caught.append(str(error))
        assert not served_core.counted()

    @app.after_request
    def registered_before_init_app(response: Response) -> Response:
        if place == "early after_request" and request.path == "/late":
            change(g.session)
        return response

    @app.teardown_request
    def tear_down(_error: BaseException | None) -> None:
        if place == "teardown" and request.path == "/late":
            change(g.session)

    app.config["STSESSION_CONNECTION_URI"] = served_core.url
    STSession(app)

    @app.get("/late")
    @verify_session()
    def late() -> Response:
        session: Session = g.session

        def body() -> Iterator[str]:
            yield "a"
            if place in ("stream", "context"):
                change(session)
            yield "b"

        response = Response(stream_with_context(body()) if place == "context" else body())
        if place == "close":
            response.call_on_close(lambda: change(session))
        elif place == "thread":
            later = copy_current_request_context(lambda: change(current_session))
            response.call_on_close(lambda: run_in_thread(later))
        return response

    client = signed_in(app)
    response = client.get("/late")
    assert response.text == "ab"
    response.close()
    assert caught == [too_late(name, instead)]
    assert client.get("/user").status_code == 200
    app.extensions["stsession"].close()


def run_in_thread(function: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result()


@pytest.mark.parametrize("consults", [False, True])
def test_no_session_is_created_without_a_response_to_send_it(
    make_app: AppFactory, served_core: ServedCore, consults: bool
) -> None:
    app = make_app(connection_uri=served_core.url)
    caught: list[str] = []

    @app.get("/late")
    def late() -> Response:
        assert not consults or not current_session

        def body() -> Iterator[str]:
            yield "a"
            for call in (lambda: create_new_session("alice"), refresh_session, sign_out):
                try:
                    call()
                except TooLateError as error:
                    caught.append(str(error))

        return Response(stream_with_context(body()))

    assert app.test_client().get("/late").text == "a"
    assert caught == [
        too_late(
            "create_new_session",
            "create_new_session_without_request_response(user_id), which returns the tokens,",
        ),
        too_late(
            "refresh_session",
            "refresh_session_without_request_response(refresh_token), which returns the tokens,",
        ),
        too_late("sign_out", "revoke_session(handle)"),
    ]
    assert not served_core.counted()


def test_functions_by_handle_work_after_the_response_on_this_requests_session_too(app: Flask) -> None:
    @app.get("/late")
    @verify_session()
    def late() -> Response:
        handle = g.session.get_handle()

        def body() -> Iterator[str]:
            yield "a"
            assert merge_into_access_token_payload(handle, {"late": 1}) is True
            assert g.session.get_session_data_from_database() == {}
            g.session.update_session_data_in_database({"seen": 1})

        return Response(stream_with_context(body()))

    client = signed_in(app)
    assert client.get("/late").text == "a"
    assert "late" not in client.get("/user").get_json()["payload"]
    client.post("/auth/session/refresh")
    assert client.get("/user").get_json()["payload"]["late"] == 1


def test_changes_in_every_kind_of_after_request_function_reach_the_client(app: Flask) -> None:
    @app.after_request
    def registered_after_init_app(response: Response) -> Response:
        if g.session:
            g.session.merge_into_access_token_payload({"app": 1})
        return response

    @app.get("/change")
    @verify_session()
    def change() -> str:
        @after_this_request
        def once(response: Response) -> Response:
            g.session.merge_into_access_token_payload({"once": 1})
            return response

        return "changed"

    client = signed_in(app)
    client.get("/change")
    payload = client.get("/user").get_json()["payload"]
    assert (payload["app"], payload["once"]) == (1, 1)


@pytest.mark.parametrize("handshake", ["websocket", "WebSocket"])
def test_a_socket_cannot_change_its_session_but_still_checks_claims(
    make_app: AppFactory, handshake: str
) -> None:
    fetched = BooleanClaim("fetched", lambda *_: True)
    app = make_app()
    caught: list[str] = []

    @app.get("/socket", websocket=True)
    @verify_session(validators=[fetched.validators.is_true()])
    def socket() -> dict[str, Any]:
        with pytest.raises(TooLateError) as error:
            g.session.merge_into_access_token_payload({"a": 1})
        caught.append(error.value.method)
        return {"fetched": g.session.get_claim_value(fetched)}

    client = signed_in(app)
    headers = {"Upgrade": handshake, "Connection": "Upgrade", "Origin": "http://localhost"}
    response = client.get("/socket", headers=headers)
    assert (response.get_json(), caught) == ({"fetched": True}, ["merge_into_access_token_payload"])
    assert "fetched" not in client.get("/user").get_json()["payload"]


@pytest.mark.parametrize("headers", [{"Upgrade": "websocket"}, {"Upgrade": "h2c", "Connection": "Upgrade"}])
def test_a_request_that_is_no_handshake_changes_its_session_whatever_it_would_upgrade_to(
    app: Flask, headers: dict[str, str]
) -> None:
    client = app.test_client()
    for path in ("/login", "/auth/session/refresh", "/auth/signout"):
        response = client.post(path, headers={"st-auth-mode": "cookie", **headers})
        assert (path, response.status_code) == (path, 200)
    assert client.get_cookie("sAccessToken") is None


def test_a_get_without_connection_upgrade_is_no_handshake(app: Flask) -> None:
    @app.get("/callback")
    def callback() -> str:
        return create_new_session("alice").get_user_id()

    assert app.test_client().get("/callback", headers={"Upgrade": "websocket"}).text == "alice"


def test_an_event_of_a_socket_cannot_change_its_session(app: Flask) -> None:
    client = signed_in(app, transfer="header")
    client.get("/user")
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
    with app.test_request_context("/socket.io/", headers=headers):
        request.sid = "as Flask-SocketIO names the connection"  # type: ignore[attr-defined]
        session = get_session()
        with pytest.raises(TooLateError):
            session.revoke_session()
        assert get_session().get_user_id() == "alice"


# Names in templates


def test_templates_have_a_current_user_only_where_there_is_a_user_loader(app: Flask) -> None:
    page = "{{ current_user is defined }} {{ current_session is defined }}"
    app.add_url_rule("/page", "page", lambda: render_template_string(page))
    assert app.test_client().get("/page").text == "False True"
    app.extensions["stsession"].user_loader(lambda user_id: user_id)
    assert app.test_client().get("/page").text == "True True"


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_our_names_do_not_replace_those_of_others_in_templates(make_app: AppFactory, first: str) -> None:
    app = make_app(init=False)
    app.config.update(NO_CORE)
    ext = STSession()
    ext.user_loader(lambda user_id: user_id)
    if first == "ours":
        ext.init_app(app)
    app.context_processor(lambda: {"current_user": "theirs"})
    app.jinja_env.globals["current_session"] = "global"
    if first == "theirs":
        ext.init_app(app)
    page = "{{ current_user }} {{ current_session }}"
    app.add_url_rule("/page", "page", lambda: render_template_string(page))
    assert app.test_client().get("/page").text == "theirs global"
    ext.close()
