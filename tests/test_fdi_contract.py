"""The recorded conversations between clients and the reference SDKs, held with a backend of ours.

The embedded core behind it speaks CDI 5.4, in which they were recorded. Where the reference itself was
judged wrong, the recordings say what a careful SDK does instead.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from support.fdi_backend import make_backend
from support.fdi_replay import Conversation, load_cases
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from flask_stsession import STSession
from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore

CASES = load_cases()
#: Roles are made anew by the cases that use them.
CORE_URL = "http://embedded-core.invalid"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing of requests."""


class Backends:
    """A backend for each configuration of the recordings, made at first need."""

    def __init__(self, directory: Any) -> None:
        self._directory = directory
        self._servers: dict[str, BaseWSGIServer] = {}
        self._closers: list[Any] = []

    def url(self, config: Mapping[str, Any]) -> str:
        key = json.dumps(config, sort_keys=True)
        if key not in self._servers:
            self._servers[key] = self._serve(config)
        return f"http://127.0.0.1:{self._servers[key].server_port}"

    def _serve(self, config: Mapping[str, Any]) -> BaseWSGIServer:
        settings = config.get("core", {})
        path = self._directory / f"{json.dumps(settings, sort_keys=True).encode().hex()[-60:]}.db"
        core = EmbeddedCore(path, settings)
        passing_on = requests.Session()
        passing_on.mount(CORE_URL, EmbeddedAdapter(core))
        own = {key: value for key, value in config.items() if key != "core"}
        app = make_backend(own, passing_on, CORE_URL, f"embedded:{path}", settings)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        server.daemon_threads = False  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        ext: STSession = app.extensions["stsession"]
        self._closers += [server.shutdown, thread.join, server.server_close, ext.close]
        self._closers.append(core.close)
        return server

    def close(self) -> None:
        for close in self._closers:
            close()


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    running = Backends(tmp_path_factory.mktemp("fdi"))
    yield running
    running.close()


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


def test_no_recording_has_been_lost() -> None:
    assert len(CASES) == 75
