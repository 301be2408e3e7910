"""The page about WebSockets keeps its word: its Python runs as it stands there, under real sockets."""
# Flask-SocketIO and flask-sock have no types.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from socketio import Client
from socketio.exceptions import ConnectionError as RefusedError
from support.documentation import page as documented_page, page_fixture
from support.required import missing
from support.socket_server import serving, sign_in, socket_io, web_socket
from websocket import WebSocketBadStatusException

from flask_stsession import revoke_all_sessions_for_user, userroles

pytestmark = pytest.mark.embedded_core  # the page configures no core


page = page_fixture("websockets.md")


def test_the_handlers_of_the_page_let_in_who_is_signed_in_and_nobody_else(page: dict[str, Any]) -> None:
    app = page["app"]
    with app.app_context():
        userroles.create_new_role_or_add_permissions("editor", ["write"])
        userroles.add_role_to_user("bob", "editor")
    with serving(app) as origin:
        with socket_io(origin, {}) as stranger:
            assert stranger.connect()["message"] == "unauthorised"
        with socket_io(origin, {**sign_in(origin), "Origin": origin}) as alice:
            assert "sid" in alice.connect()
            assert alice.call("publish", "news")["statusCode"] == 403
        with socket_io(origin, sign_in(origin, "header", "bob")) as bob:
            bob.connect()
            assert bob.send("publish", "news") == [["published", "news"], {"status": "OK"}]


def test_the_page_ends_the_connections_of_sessions_that_have_been_revoked(page: dict[str, Any]) -> None:
    app = page["app"]
    with serving(app) as origin, socket_io(origin, sign_in(origin, "header")) as alice:
        alice.connect()
        page["end_stale_connections"]()
        assert len(page["connections"]) == 1
        with app.app_context():
            revoke_all_sessions_for_user("alice")
        page["end_stale_connections"]()
        assert alice.events_until_disconnected() == ["session_ended"]
        assert page["connections"] == {}


@pytest.mark.slow
def test_the_client_of_python_socketio_connects_to_the_page_by_token(page: dict[str, Any]) -> None:
    with serving(page["app"]) as origin:
        token = sign_in(origin, "header")["Authorization"].removeprefix("Bearer ")
        for auth, expected in (
            ({"token": token}, None),
            ({"token": "none"}, "unauthorised"),
            (None, "unauthorised"),
        ):
            client = Client(reconnection=False)
            errors: list[Any] = []
            client.on("connect_error", errors.append, namespace="/mobile")
            try:
                client.connect(origin, auth=auth, namespaces=["/mobile"], transports=["websocket"])
                assert expected is None
            except RefusedError:
                assert [error["message"] for error in errors] == [expected]
            finally:
                client.disconnect()


def test_the_flask_sock_route_of_the_page_refuses_before_the_handshake_and_closes_when_the_session_ends(
    page: dict[str, Any],
) -> None:
    app = page["app"]
    with serving(app) as origin:
        with pytest.raises(WebSocketBadStatusException), web_socket(origin, "/time", {}):
            pass
        with web_socket(origin, "/time", sign_in(origin, "header")) as ws:
            assert ws.recv() == "tick"
            with app.app_context():
                revoke_all_sessions_for_user("alice")
            ws.send("go on")
            opcode, data = ws.recv_data()
            assert (opcode, int.from_bytes(data[:2], "big"), data[2:]) == (8, 4401, b"session ended")


#: Runs the handlers of a browser against a socket and an SDK that record what is done with them.
BROWSER = """
const done = [];
const handlers = {};
const socket = {
  on: (event, handler) => { handlers[event] = handler; },
  emit: (event, text, acknowledged) => { handlers[event] = acknowledged; },
  connect: () => { done.push("connect"); },
  disconnect: () => { done.push("disconnect"); return socket; },
};
const Session = { attemptRefreshingSession: async () => { done.push("refresh"); return true; } };
%s
(async () => {
  await handlers.connect_error({ message: "unauthorised" });
  await handlers.connect_error({ message: "try refresh token" });
  await handlers.publish({ status: "OK" });
  await handlers.publish({ statusCode: 401 });
  console.log(done.join(" "));
})();
"""


def test_the_handlers_of_the_browser_refresh_and_connect_again() -> None:
    node = shutil.which("node")
    if node is None:
        missing("node is missing; .ci/run installs it")
    (block,) = documented_page("websockets.md").blocks("js")
    ran = subprocess.run(
        [node, "-e", BROWSER % block.code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stdout.split() == ["refresh", "connect", "refresh", "disconnect", "connect"], ran.stderr
