"""Apps with sockets on 127.0.0.1, and clients that open them as browsers do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import websocket
from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve an app, whose sockets need a thread each; yields its origin."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sign_in(origin: str, transfer: str = "cookie", user_id: str = "alice") -> dict[str, str]:
    """Sign in, and return the headers that carry the session."""
    response = requests.post(
        f"{origin}/login", json={"userId": user_id}, headers={"st-auth-mode": transfer}, timeout=20
    )
    assert response.status_code == 200, response.text
    if transfer == "header":
        return {"Authorization": f"Bearer {response.headers['st-access-token']}"}
    return {"Cookie": f"sAccessToken={response.cookies['sAccessToken']}"}


@contextmanager
def web_socket(origin: str, path: str, headers: dict[str, str]) -> Iterator[websocket.WebSocket]:
    """Open a WebSocket with these headers only.

    :raises websocket.WebSocketBadStatusException: the response to the handshake is another one.
    """
    url = f"{origin.replace('http', 'ws', 1)}{path}"
    sent = {key: value for key, value in headers.items() if key != "Origin"}
    opened = websocket.create_connection(
        url, timeout=20, header=sent, origin=headers.get("Origin"), suppress_origin="Origin" not in headers
    )
    try:
        yield opened
    finally:
        opened.close()
        # ``close`` leaves the socket open where the server was first to close.
        opened.shutdown()  # type: ignore[no-untyped-call]


class SocketIOClient:
    """A client of Socket.IO that sends the headers it is given, and no others.

    :param channel: an open WebSocket to Engine.IO.
    """

    def __init__(self, channel: websocket.WebSocket) -> None:
        self._channel = channel
        assert self._receive().startswith("0{")

    def connect(self, auth: object = None) -> dict[str, Any]:
        """Connect to the namespace ``/``; return what the server says of it: ``sid``, or ``message``."""
        self._channel.send("40" if auth is None else f"40{json.dumps(auth)}")
        said = self._receive()
        assert said[:2] in ("40", "44"), said
        return dict(json.loads(said[2:]))

    def call(self, event: str, *arguments: object) -> Any:
        """Send an event; return the first argument of its acknowledgement."""
        self._channel.send(f"427{json.dumps([event, *arguments])}")
        said = self._receive()
        assert said.startswith("437"), said
        return json.loads(said[3:])[0]

    def send(self, event: str, *arguments: object) -> list[Any]:
        """Send an event; return the next event that arrives and the acknowledgement, in this order."""
        self._channel.send(f"427{json.dumps([event, *arguments])}")
        said = sorted((self._receive(), self._receive()))
        assert said[0].startswith("42")
        assert said[1].startswith("437")
        return [json.loads(said[0][2:]), json.loads(said[1][3:])[0]]

    def events_until_disconnected(self) -> list[str]:
        """Return the names of the events that have arrived before the server disconnects this client."""
        seen: list[str] = []
        while (said := self._receive())[:2] != "41":
            assert said.startswith("42"), said
            seen.append(json.loads(said[2:])[0])
        return seen

    def events(self, until: str) -> list[str]:
        """Return the names of the events that have arrived before this one."""
        seen: list[str] = []
        while not seen or seen[-1] != until:
            said = self._receive()
            assert said.startswith("42"), said
            seen.append(json.loads(said[2:])[0])
        return seen[:-1]

    def is_silent(self) -> bool:
        """Return whether nothing arrives before the response to a ping of this client's own."""
        self._channel.ping("are you there")
        opcode, _ = self._channel.recv_data(control_frame=True)
        return bool(opcode == websocket.ABNF.OPCODE_PONG)

    def _receive(self) -> str:
        said = self._channel.recv()
        assert isinstance(said, str)
        return said


@contextmanager
def socket_io(origin: str, headers: dict[str, str]) -> Iterator[SocketIOClient]:
    """Open a connection of Socket.IO over a WebSocket."""
    with web_socket(origin, "/socket.io/?EIO=4&transport=websocket", headers) as channel:
        yield SocketIOClient(channel)


def connect_by_polling(origin: str, headers: dict[str, str], query: str = "") -> dict[str, Any]:
    """Connect to Socket.IO by long polling; return what the server says of it."""
    url = f"{origin}/socket.io/?EIO=4&transport=polling{query}"
    opened = _packet(requests.get(url, headers=headers, timeout=20))
    url += f"&sid={opened['sid']}"
    body = {"d": "40"} if "&j=" in query else "40"
    requests.post(url, data=body, headers=headers, timeout=20).raise_for_status()
    return _packet(requests.get(url, headers=headers, timeout=20))


def _packet(response: requests.Response) -> dict[str, Any]:
    text = response.text.removeprefix('___eio[0]("').removesuffix('");').replace('\\"', '"')
    return dict(json.loads(text[text.index("{") :]))
