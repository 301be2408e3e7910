"""The embedded core reproduces every recorded conversation with a SuperTokens core, over both transports."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from support.cdi_replay import CASES, Replay, load_case
from support.running_cores import IN_PROCESS_URL, Clock, client_of, core_process, served

from flask_stsession.embedded.app import EmbeddedCore

NAMES = sorted(path.stem for path in CASES.glob("*.json"))


class Cores:
    """One core for each set of settings that the cases ask for, all on one clock."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        # Cases look at the year; where one lets time pass, the clock jumps.
        self.clock = Clock(time.time())
        self._folder = folder
        self._stack = stack
        self._cores: dict[str, EmbeddedCore] = {}

    def suiting(self, case: Mapping[str, Any]) -> EmbeddedCore:
        settings = case.get("core_config") or {}
        key = json.dumps(settings, sort_keys=True)
        if key not in self._cores:
            file = self._folder / f"{len(self._cores)}.db"
            self._cores[key] = self._stack.enter_context(EmbeddedCore(file, settings, clock=self.clock))
        return self._cores[key]


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cores]:
    with contextlib.ExitStack() as stack:
        yield Cores(tmp_path_factory.mktemp("cores"), stack)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_conversation_is_reproduced_in_process(name: str, cores: Cores) -> None:
    case = load_case(name)
    with client_of(cores.suiting(case)) as client:
        assert Replay(client.session, IN_PROCESS_URL, sleep=cores.clock.advance).run(case) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_conversation_is_reproduced_over_http(name: str, cores: Cores) -> None:
    case = load_case(name)
    with served(cores.suiting(case)) as url, requests.Session() as session:
        assert Replay(session, url, sleep=cores.clock.advance).run(case) == []


@pytest.mark.slow
def test_a_separate_process_reproduces_a_conversation_in_real_time(tmp_path: Path) -> None:
    case = load_case("grace_5_6")
    with core_process(tmp_path / "core.db", case["core_config"]) as running, requests.Session() as session:
        assert Replay(session, running.url).run(case) == []


def test_a_core_in_memory_reproduces_a_conversation() -> None:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        assert Replay(client.session, IN_PROCESS_URL).run(load_case("lifecycle_5_6")) == []


def test_the_replayer_notices_what_differs() -> None:
    case = {
        "steps": [
            {
                "id": "hello",
                "request": {"method": "GET", "path": "/apiversion"},
                "response": {"status": 200, "body": {"versions": {"$set": ["4.0"]}, "more": 1}},
            },
            {
                "id": "lost",
                "request": {"method": "GET", "path": "/${hello.absent}"},
                "response": {"status": 200, "body": {}},
            },
        ]
    }
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        problems = Replay(client.session, IN_PROCESS_URL).run(case)
    assert problems[0] == "hello.more: missing"
    assert problems[1].endswith("does not have 1 items")
    assert problems[2] == "lost: an earlier response lacks KeyError('absent')"
