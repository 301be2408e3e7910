"""Guards on WebSockets and on Flask-SocketIO, over real sockets."""
# Flask-SocketIO and flask-sock have no types.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from flask import Flask, g
from flask_sock import Sock
from flask_socketio import Namespace, SocketIO
from support.app_factory import AppFactory
from support.served_core import ServedCore
from support.socket_server import connect_by_polling, serving, sign_in, socket_io, web_socket
from websocket import WebSocketBadStatusException

from flask_stsession import (
    ConfigError,
    Session,
    STSession,
    UnauthorisedError,
    create_new_session,
    current_session,
    get_session,
    revoke_all_sessions_for_user,
    verify_session,
)
from flask_stsession.errors import TooLateError

MODES = ["NONE", "VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN"]
OTHER_SITE = "https://other.example"
WEBSITE = "https://website.example"
UNAUTHORISED = {"message": "unauthorised", "data": {"message": "unauthorised", "statusCode": 401}}
TRY_REFRESH = {"message": "try refresh token", "data": {"message": "try refresh token", "statusCode": 401}}


def socketio_of(app: Flask, **options: Any) -> SocketIO:
    # "*" is what is often found in apps; what engineio checks by default stands in front of ours.
    return SocketIO(app, async_mode="threading", cors_allowed_origins="*", **options)


def add_flask_sock(app: Flask) -> None:
    sock = Sock(app)

    @sock.route("/ws")
    @verify_session()
    def echo(ws: Any) -> None:
        ws.send(f"you are {g.session.get_user_id()}")


def add_socketio(app: Flask) -> None:
    socketio = socketio_of(app)

    @socketio.on("connect")
    @verify_session()
    def connect() -> None:
        pass

    @socketio.on("who")
    @verify_session()
    def who() -> str:
        return str(g.session.get_user_id())


def by_flask_sock(origin: str, headers: dict[str, str]) -> str:
    try:
        with web_socket(origin, "/ws", headers) as ws:
            assert ws.recv() == "you are alice"
            return "open"
    except WebSocketBadStatusException as error:
        # An HTTP response, with its body, before the handshake.
        return f"{error.status_code} {(error.resp_body or b'').decode()}"


def by_socketio(origin: str, headers: dict[str, str]) -> str:
    with socket_io(origin, headers) as client:
        said = client.connect()
        if "sid" in said:
            assert client.call("who") == "alice"
            return "open"
        body = {"message": said["message"]}
        assert said["data"] == {**body, "statusCode": 401}
        return f"401 {json.dumps(body)}"


LIBRARIES = [
    pytest.param(add_flask_sock, by_flask_sock, id="flask-sock"),
    pytest.param(add_socketio, by_socketio, id="Flask-SocketIO"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("add", "attempt"), LIBRARIES)
def test_a_socket_needs_a_session_and_by_cookie_an_origin_of_ours(
    make_app: AppFactory, served_core: ServedCore, add: Any, attempt: Any, mode: str
) -> None:
    app = make_app(
        connection_uri=served_core.url, anti_csrf=mode, website_domain=WEBSITE, cookie_same_site="lax"
    )
    add(app)
    unauthorised, try_refresh = '401 {"message": "unauthorised"}', '401 {"message": "try refresh token"}'

    with serving(app) as origin:
        seen: dict[tuple[str, str], list[str]] = {}
        served_core.makes_expired_tokens = True
        carriers = {("expired", by): sign_in(origin, by) for by in ("cookie", "header")}
        served_core.makes_expired_tokens = False
        carriers |= {("revoked", by): sign_in(origin, by, "bob") for by in ("cookie", "header")}
        with app.app_context():
            revoke_all_sessions_for_user("bob")
        carriers |= {("good", by): sign_in(origin, by) for by in ("cookie", "header")}
        carriers["none", ""] = {}
        for key, headers in carriers.items():
            sources = (origin, WEBSITE, OTHER_SITE, "null", None)
            sent = [headers if source is None else {**headers, "Origin": source} for source in sources]
            seen[key] = [attempt(origin, each) for each in sent]

    assert seen == {
        ("good", "cookie"): ["open", "open", unauthorised, unauthorised, unauthorised],
        ("good", "header"): ["open"] * 5,
        # Nobody refreshes a session for a page of another site either.
        ("expired", "cookie"): [try_refresh] * 5,
        ("expired", "header"): [try_refresh] * 5,
        ("revoked", "cookie"): [unauthorised] * 5,
        ("revoked", "header"): [unauthorised] * 5,
        ("none", ""): [unauthorised] * 5,
    }


def test_long_polling_by_cookie_is_refused_to_other_sites_and_open_to_our_own_pages(
    make_app: AppFactory,
) -> None:
    app = make_app()
    add_socketio(app)

    with serving(app) as origin:
        cookie, header = sign_in(origin), sign_in(origin, "header")
        same_origin = {"Sec-Fetch-Site": "same-origin"}
        seen = {
            "own": connect_by_polling(origin, {**cookie, "Origin": origin}),
            "own page, whose GET has no Origin": connect_by_polling(origin, {**cookie, **same_origin}),
            "older browser": connect_by_polling(origin, cookie),
            "by header": connect_by_polling(origin, {**header, "Origin": OTHER_SITE}),
            "other": connect_by_polling(origin, {**cookie, "Origin": OTHER_SITE}),
            "other without CORS": connect_by_polling(origin, {**cookie, "Sec-Fetch-Site": "cross-site"}),
            "JSONP": connect_by_polling(origin, cookie, "&j=0"),
            "nobody": connect_by_polling(origin, {}),
        }

    assert {name: "sid" in said for name, said in seen.items()} == {
        "own": True,
        "own page, whose GET has no Origin": True,
        "older browser": True,
        "by header": True,
        "other": False,
        "other without CORS": False,
        "JSONP": False,
        "nobody": False,
    }


@pytest.mark.parametrize(
    ("sent", "reason", "message"),
    [
        (
            {"Origin": OTHER_SITE},
            "cross_site",
            "The handshake of a socket comes from 'https://other.example', which is not a configured origin, "
            "and its session came by cookie; if it is a website of yours, add it to "
            "STSESSION_WEBSITE_DOMAIN.",
        ),
        (
            {},
            "csrf_missing",
            "The handshake of a socket has no header 'Origin', and its session came by cookie. Browsers "
            "always send one; other clients should send one of our origins, or use header transfer.",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["VIA_TOKEN", "VIA_ORIGIN"])
@pytest.mark.parametrize("options", [{}, {"anti_csrf_check": True}, {"anti_csrf_check": False}])
def test_the_log_says_why_a_handshake_is_refused_and_nothing_is_cleared(
    make_app: AppFactory,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    options: dict[str, Any],
    sent: dict[str, str],
    reason: str,
    message: str,
) -> None:
    pages: dict[str, Any] = {"login_url": "/sign-in"} if mode == "VIA_ORIGIN" else {}
    app = make_app(anti_csrf=mode, **pages)

    @app.get("/ws", websocket=True)
    @verify_session(**options)
    def view() -> str:
        return "opened"

    @app.get("/optional", websocket=True)
    @verify_session(session_required=False, ignore_invalid=True)
    def optional() -> str:
        return f"{g.session} {bool(current_session)}"

    client = app.test_client()
    client.post("/login", headers={"st-auth-mode": "cookie"})
    handshake = {"Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade"}
    with caplog.at_level(logging.INFO, "flask_stsession"):
        response = client.get("/ws", headers={**handshake, **sent})
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})
    assert "Set-Cookie" not in response.headers
    assert caplog.messages[-1] == f"401 for GET '/ws': {message} ({reason})"
    # Nor does it count where a session is optional.
    assert client.get("/optional", headers={**handshake, **sent}).text == "None False"
    assert client.get("/ws", headers={**handshake, "Origin": "http://localhost"}).text == "opened"


def test_a_page_on_the_host_of_the_socket_is_ours_whatever_the_api_domain(make_app: AppFactory) -> None:
    app = make_app(api_domain="https://api.example.com", website_domain="https://example.com")

    @app.get("/ws", websocket=True)
    @verify_session()
    def view() -> str:
        return "opened"

    client = app.test_client(use_cookies=False)
    token = client.post("/login", headers={"st-auth-mode": "header"}).headers["st-access-token"]
    headers = {"Cookie": f"sAccessToken={token}", "Upgrade": "websocket", "Connection": "Upgrade"}
    for origin, status in (
        ("http://localhost", 200),
        ("https://api.example.com", 200),
        ("https://example.com", 200),
        ("https://evil.example.com", 401),
    ):
        response = client.get("/ws", headers={**headers, "Origin": origin})
        assert response.status_code == status, origin


# Flask-SocketIO


def test_a_refused_client_receives_no_broadcast(make_app: AppFactory) -> None:
    app = make_app()
    socketio = socketio_of(app)

    @socketio.on("connect")
    @verify_session()
    def connect(auth: object) -> None:
        pass

    with serving(app) as origin, socket_io(origin, {}) as stranger:
        headers = sign_in(origin, "header")
        with socket_io(origin, headers) as alice:
            assert stranger.connect() == UNAUTHORISED
            assert "sid" in alice.connect()
            socketio.emit("news", "for those who are signed in")
            socketio.emit("end")
            assert alice.events(until="end") == ["news"]
            assert stranger.is_silent()


def token_of(auth: Any) -> str:
    return str((auth or {}).get("token"))


def test_verification_inside_a_connect_handler_refuses_too(app: Flask) -> None:
    stsession: STSession = app.extensions["stsession"]
    socketio = socketio_of(app)
    caught: list[type[BaseException]] = []

    def by_hand(auth: object) -> None:
        get_session()

    def by_auth(auth: object) -> None:
        stsession.verify_access_token(token_of(auth))

    def without_token(auth: Any) -> None:
        missing: Any = (auth or {}).get("token")
        stsession.verify_access_token(missing)

    def without_response(auth: object) -> None:
        stsession.get_session_without_request_response(token_of(auth))

    def caught_by_app(auth: object) -> bool:
        try:
            get_session()
        except UnauthorisedError as error:
            caught.append(type(error))
            return False
        return True

    @verify_session(session_required=False)
    def raised_below_a_guard(auth: object) -> None:
        raise UnauthorisedError("not today")

    handlers = (
        by_hand,
        by_auth,
        without_token,
        without_response,
        caught_by_app,
        raised_below_a_guard,
    )
    with serving(app) as origin:
        token = sign_in(origin, "header")["Authorization"].removeprefix("Bearer ")
        seen = {}
        for handler in handlers:
            socketio.on("connect")(handler)
            with socket_io(origin, {}) as client:
                seen[handler.__name__] = client.connect()
        socketio.on("connect")(by_auth)
        with socket_io(origin, {}) as client:
            assert "sid" in client.connect({"token": token})

    assert seen == {
        "by_hand": UNAUTHORISED,
        "by_auth": UNAUTHORISED,
        "without_token": UNAUTHORISED,
        "without_response": UNAUTHORISED,
        "caught_by_app": {"message": "Connection rejected by server"},
        "raised_below_a_guard": UNAUTHORISED,
    }
    assert [kind.__name__ for kind in caught] == ["UnauthorisedError"]


def test_neither_an_error_handler_nor_a_fault_lets_a_client_in(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    socketio = socketio_of(app)
    told: list[BaseException] = []
    socketio.on_error_default(told.append)

    class Chat(Namespace):  # type: ignore[misc]  # it has no types
        @verify_session()
        def on_connect(self) -> None:
            g.never = True

        def error(self, error: Exception) -> None:
            told.append(error)

    @verify_session()
    def guarded() -> None:
        pass

    def broken(session: Session) -> list[Any]:
        raise ValueError("a fault of the app's")

    with serving(app) as origin:
        good = sign_in(origin, "header")
        socketio.on("connect")(guarded)
        with socket_io(origin, {}) as client:
            assert client.connect() == UNAUTHORISED
        socketio.on("connect")(
            verify_session(override_global_claim_validators=lambda *_: broken(_[1]))(guarded)
        )
        with socket_io(origin, good) as client:
            assert client.connect() == {"message": "Internal Server Error", "data": {"statusCode": 500}}
        assert "A connection of Flask-SocketIO is refused: its session cannot be verified." in caplog.messages
        vars(socketio)["server"].handlers.clear()
        socketio.on_namespace(Chat())
        with socket_io(origin, {}) as client:
            assert client.connect() == {"message": "Connection rejected by server"}
        with socket_io(origin, good) as client:
            assert "sid" in client.connect()
    assert told == []


def test_an_event_without_the_session_it_needs_does_not_run_and_is_acknowledged_with_the_verdict(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    app = make_app(connection_uri=served_core.url)
    socketio = socketio_of(app)
    ran: list[str] = []

    @socketio.on("read")
    @verify_session()
    def read() -> str:
        ran.append(g.session.get_user_id())
        return "a secret"

    @socketio.on("rule")
    @verify_session(roles="admin")
    async def rule() -> str:
        ran.append("rule")
        return "ruled"

    with serving(app) as origin:
        served_core.makes_expired_tokens = True
        expired = sign_in(origin, "header")
        served_core.makes_expired_tokens = False
        good = sign_in(origin, "header")
        foreign = {**sign_in(origin), "Origin": OTHER_SITE}
        for headers, expected in (
            ({}, UNAUTHORISED["data"]),
            (foreign, UNAUTHORISED["data"]),
            (expired, TRY_REFRESH["data"]),
        ):
            with socket_io(origin, headers) as client:
                assert "sid" in client.connect(), "nothing guards this connection"
                assert client.call("read") == expected
        with socket_io(origin, good) as client:
            client.connect()
            assert client.call("read") == "a secret"
            assert client.call("rule")["statusCode"] == 403
            assert client.call("rule")["claimValidationErrors"][0]["id"] == "st-role"
            with app.app_context():
                revoke_all_sessions_for_user("alice")
            assert client.call("read") == UNAUTHORISED["data"]
    assert ran == ["alice"]


def test_an_event_cannot_change_its_session(app: Flask) -> None:
    socketio = socketio_of(app)

    @socketio.on("change")
    @verify_session()
    def change() -> str:
        with pytest.raises(TooLateError) as caught:
            g.session.merge_into_access_token_payload({"a": 1})
        with pytest.raises(TooLateError):
            create_new_session("bob")
        return caught.value.method

    with serving(app) as origin, socket_io(origin, sign_in(origin, "header")) as client:
        client.connect()
        assert client.call("change") == "merge_into_access_token_payload"


def test_the_test_client_of_flask_socketio_is_refused_too(app: Flask) -> None:
    socketio = SocketIO(app, async_mode="threading")
    add_handlers(socketio)
    assert not socketio.test_client(app).is_connected()

    web = app.test_client()
    web.post("/login", headers={"st-auth-mode": "cookie"})
    signed_in = socketio.test_client(app, flask_test_client=web)
    assert signed_in.is_connected()
    assert signed_in.emit("read", callback=True) == "alice"


def add_handlers(socketio: SocketIO) -> None:
    @socketio.on("connect")
    @verify_session()
    def connect() -> None:
        pass

    @socketio.on("read")
    @verify_session()
    def read() -> str:
        return str(g.session.get_user_id())


def test_a_guard_above_the_event_is_refused_at_the_first_request(app: Flask) -> None:
    socketio = socketio_of(app)

    @verify_session()
    @socketio.on("read")
    def read() -> str:
        return "a secret"

    app.testing = True
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            app.test_client().get("/open")
        assert str(caught.value) == (
            "The handler of the event 'read' of Flask-SocketIO is not protected: @verify_session() stands "
            "above @socketio.on(...), so the function was registered without it. Put @socketio.on(...) on "
            "top and @verify_session() below it."
        )


# flask-sock


@contextmanager
def refuses_none() -> Iterator[None]:
    with pytest.raises(TypeError) as caught:
        yield
    assert str(caught.value) == (
        "verify_session decorates functions, not None. The decorator below it returns nothing, as the route "
        "of flask-sock does: put that on top and @verify_session() below it."
    )


def test_a_guard_above_the_route_of_flask_sock_is_refused(app: Flask) -> None:
    sock: Any = Sock(app)
    with refuses_none():

        @verify_session()
        @sock.route("/with-parentheses")
        def view(ws: object) -> None: ...

    with refuses_none():

        @verify_session
        @sock.route("/without")
        def other(ws: object) -> None: ...


def test_every_guard_below_a_websocket_route_refuses_before_the_handshake(make_app: AppFactory) -> None:
    app = make_app()
    sock = Sock(app)

    @sock.route("/admin")
    @verify_session()
    @verify_session(roles="admin")
    def admin(ws: object) -> None: ...

    with serving(app) as origin:
        headers = sign_in(origin, "header")
        with pytest.raises(WebSocketBadStatusException) as caught, web_socket(origin, "/admin", headers):
            pass
        assert caught.value.status_code == 403
        with pytest.raises(WebSocketBadStatusException) as caught, web_socket(origin, "/admin", {}):
            pass
        assert caught.value.status_code == 401
        assert requests.get(f"{origin}/open", timeout=20).json() == {"session": False}


def test_a_long_connection_notices_that_its_session_has_been_revoked(app: Flask) -> None:
    sock = Sock(app)

    @sock.route("/ws")
    @verify_session()
    def talk(ws: Any) -> None:
        session = g.session
        while session.is_valid():
            ws.send("still here")
            ws.receive()
        ws.close(4401, "session ended")

    with serving(app) as origin, web_socket(origin, "/ws", sign_in(origin, "header")) as ws:
        assert ws.recv() == "still here"
        ws.send("more")
        assert ws.recv() == "still here"
        with app.app_context():
            revoke_all_sessions_for_user("alice")
        ws.send("more")
        opcode, data = ws.recv_data()
        assert (opcode, data[2:]) == (8, b"session ended")
