"""Connections are lent to one thread at a time, and none is open while the process forks."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.running_cores import client_of, in_forked_child

from flask_stsession.embedded.app import EmbeddedCore


def test_after_a_fork_parent_and_child_both_use_the_file(tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as core, client_of(core) as client:
        client.create("parent")
        said = in_forked_child(lambda: str(client.create("child")["status"]))
        assert said == "OK"
        client.create("parent")
        assert len(client.handles("parent")) == 2
        assert len(client.handles("child")) == 1


def test_no_connection_is_open_while_a_process_forks(tmp_path: Path) -> None:
    file = tmp_path / "core.db"

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux shows the open files")
    with EmbeddedCore(file) as core, client_of(core) as client:
        client.create()

        def listing() -> str:
            return str([path for path in _open_files() if path.startswith(str(file))])

        assert in_forked_child(listing) == "[]"


def _open_files() -> list[str]:
    found = []
    for name in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            found.append(str(name.readlink()))
    return found


def test_a_fork_waits_for_an_operation_that_is_running(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()
    worker: list[int] = []

    def clock() -> float:
        if worker == [threading.get_ident()]:
            inside.set()
            go_on.wait(10)
        return time.time()

    with EmbeddedCore(tmp_path / "core.db", clock=clock) as core, client_of(core) as client:

        def remove() -> None:
            worker.append(threading.get_ident())
            # Asks for the time while it holds the write lock.
            client.call("POST", "/recipe/session/remove", {"userId": "user"})

        running = threading.Thread(target=remove)
        running.start()
        assert inside.wait(10)
        threading.Timer(0.2, go_on.set).start()

        def create() -> str:
            with client_of(core) as own:
                return f"{go_on.is_set()} {own.create()['status']}"

        assert in_forked_child(create) == "True OK"
        running.join()


def test_a_fork_gets_its_turn_among_threads_that_are_never_idle(tmp_path: Path) -> None:
    ended = threading.Event()
    with EmbeddedCore(tmp_path / "core.db") as core:

        def read_again_and_again() -> None:
            with client_of(core) as own:
                while not ended.is_set():
                    own.kids()

        def create() -> str:
            with client_of(core) as own:
                return str(own.create()["status"])

        with ThreadPoolExecutor(4) as pool:
            reading = [pool.submit(read_again_and_again) for _ in range(4)]
            try:
                began = time.monotonic()
                assert [in_forked_child(create) for _ in range(3)] == ["OK"] * 3
                assert time.monotonic() - began < 5  # for how long one fork waits in vain
            finally:
                ended.set()
            for each in reading:
                each.result()


def test_a_forked_child_may_not_use_a_database_in_memory() -> None:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        client.create()
        parent = os.getpid()
        said = in_forked_child(lambda: f"{os.getpid()} {client.create()}")
        assert said.startswith(
            f"EmbeddedCoreError: the in-memory database belongs to process {parent} and this is process "
        )
        assert said.endswith(": several processes need a file")

        def close() -> str:
            core.close()
            return "closed"

        assert in_forked_child(close) == "closed"
        assert len(client.handles("user")) == 1


def test_a_core_that_was_garbage_collected_does_not_disturb_a_fork(tmp_path: Path) -> None:
    EmbeddedCore(tmp_path / "core.db").close()
    assert in_forked_child(lambda: "fine") == "fine"
