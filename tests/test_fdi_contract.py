"""The recorded conversations between clients and the reference SDKs, held with a backend of ours.

The core behind it speaks CDI 5.4, in which they were recorded. Where the reference itself was
judged wrong, the recordings say what a careful SDK does instead.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests
from support.app_factory import NewCore
from support.fdi_backend import make_backend
from support.fdi_replay import Conversation, load_cases
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore

CASES = load_cases()
#: Where an embedded core is reached beside the app.
CORE_URL = "http://embedded-core.invalid"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing of requests."""


class Backends:
    """A backend for each configuration of the recordings, made at first need.

    :param new_core: makes their cores.
    :param stack: closes everything.
    """

    def __init__(self, new_core: NewCore, stack: ExitStack) -> None:
        self._new_core = new_core
        self._stack = stack
        self._servers: dict[str, BaseWSGIServer] = {}

    def url(self, config: Mapping[str, Any]) -> str:
        """Return the address of the backend with this configuration."""
        key = json.dumps(config, sort_keys=True)
        if key not in self._servers:
            self._servers[key] = self._serve(config)
        return f"http://127.0.0.1:{self._servers[key].server_port}"

    def _serve(self, config: Mapping[str, Any]) -> BaseWSGIServer:
        core_config = self._stack.enter_context(self._new_core(**config.get("core", {})))
        session, url = self._stack.enter_context(passing_on(core_config))
        own = {key: value for key, value in config.items() if key != "core"}
        app = make_backend(own, session, url, core_config)
        self._stack.callback(app.extensions["stsession"].close)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        server.daemon_threads = False  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for stop in (server.server_close, thread.join, server.shutdown):
            self._stack.callback(stop)
        return server


@contextmanager
def passing_on(core_config: Mapping[str, Any]) -> Iterator[tuple[requests.Session, str]]:
    """Give a session that reaches the core of an app beside the app, and the address to use with it."""
    uri = core_config["STSESSION_CONNECTION_URI"]
    with requests.Session() as session:
        if not uri.startswith("embedded:"):
            session.headers["api-key"] = core_config.get("STSESSION_API_KEY", "")
            yield session, uri
            return
        with EmbeddedCore(uri.removeprefix("embedded:"), core_config["STSESSION_EMBEDDED_CORE"]) as core:
            session.mount(CORE_URL, EmbeddedAdapter(core))
            yield session, CORE_URL


@pytest.fixture(scope="module")
def backends(new_core: NewCore) -> Iterator[Backends]:
    with ExitStack() as stack:
        yield Backends(new_core, stack)


def _parameters() -> list[Any]:
    return [
        pytest.param(
            case,
            id=case["name"],
            marks=[pytest.mark.slow] if sum(step.get("sleep", 0) for step in case["steps"]) > 1.5 else [],
        )
        for case in CASES
    ]


@pytest.mark.parametrize("case", _parameters())
def test_the_backend_answers_as_a_careful_sdk_does(case: dict[str, Any], backends: Backends) -> None:
    problems = Conversation(case, backends.url(case.get("config", {}))).run()

    assert problems == []


def test_all_75_recordings_are_replayed() -> None:
    assert len(CASES) == 75
