"""The database: made privately, shared by processes, whole after a kill, and never carried across a fork."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from support.running_cores import Client, Clock, client_at, client_of, core_process

from flask_stsession.embedded.app import EmbeddedCore, EmbeddedCoreError


def in_forked_child(work: Callable[[], str]) -> str:
    """Fork, do something in the child, and return what it says."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is the point
        pid = os.fork()
    if pid == 0:
        said = "something that was not foreseen"
        try:
            said = work()
        except EmbeddedCoreError as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(write_end, said.encode())
            os._exit(0)
    os.close(write_end)
    os.waitpid(pid, 0)
    with os.fdopen(read_end, "rb") as pipe:
        return pipe.read().decode()


@contextlib.contextmanager
def holding_the_write_lock(file: Path) -> Iterator[None]:
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


def error_of(file: str | Path) -> str:
    with pytest.raises(EmbeddedCoreError) as raised:
        EmbeddedCore(file)
    return str(raised.value)


# Making it


def test_the_folder_and_the_files_are_private(tmp_path: Path) -> None:
    file = tmp_path / "instance" / "stsession" / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client:
        client.create()
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {"core.db": 0o600, "core.db-wal": 0o600, "core.db-shm": 0o600}


def test_a_core_says_whether_it_made_the_database(tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as first, EmbeddedCore(str(tmp_path / "core.db")) as second:
        assert (first.created, second.created) == (True, False)


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "core.db").touch()
    with EmbeddedCore(tmp_path / "core.db") as core:
        assert core.created


def test_what_was_written_is_there_for_the_next_core(tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as core, client_of(core) as client:
        pair, kids = client.create(), client.kids()
    with EmbeddedCore(tmp_path / "core.db") as core, client_of(core) as client:
        assert client.kids() == kids
        assert client.verify(pair, check_database=True)["status"] == "OK"
        assert client.refresh(pair)["status"] == "OK"


def test_two_cores_in_memory_share_nothing() -> None:
    with (
        EmbeddedCore(":memory:") as one,
        EmbeddedCore(":memory:") as two,
        client_of(one) as first,
        client_of(two) as second,
    ):
        first.create()
        assert len(first.handles("user")) == 1
        assert second.handles("user") == set()


# Where there can be none


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert error_of(tmp_path) == (
        f"'{tmp_path}' is not a file: name a file for the embedded core's database, or :memory:"
    )


def test_no_name_is_no_database() -> None:
    assert error_of("") == "'' is not a file: name a file for the embedded core's database, or :memory:"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "stsession" / "core.db"
    assert error_of(file) == (
        f"the embedded core's database {file} cannot be made or written (Not a directory):"
        " make its folder writable for this user, or name another file"
    )


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert error_of("/tmp/a\0b/core.db").endswith("or name another file")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk " * 100)
    assert error_of(file) == (
        f"the embedded core's database {file} cannot be used (file is not a database): make it readable and"
        " writable for this user, move it away, or name another file"
    )
    assert file.read_text() == "buy milk " * 100


def test_the_database_of_another_application_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE users (id INTEGER)")
    assert error_of(file) == f"{file} is the database of another application: name another file"


def test_the_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA user_version=7")
    assert error_of(file) == (
        f"{file} was made by a newer flask-stsession (schema 7, this one knows 1):"
        " update flask-stsession, or name another file"
    )


def test_a_database_without_its_keys_is_called_damaged(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE secrets")
    assert error_of(file) == (
        f"the embedded core's database {file} is damaged (no such table: secrets):"
        " put back a copy of it, or name another file"
    )


def test_a_closed_core_says_so(tmp_path: Path) -> None:
    core = EmbeddedCore(tmp_path / "core.db")
    core.close()
    core.close()
    with client_of(core) as client, pytest.raises(EmbeddedCoreError) as raised:
        client.create()
    assert str(raised.value) == "this embedded core was closed: make another EmbeddedCore"


# Busy


def test_a_database_that_stays_busy_is_503_and_reading_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file, busy_timeout=0.05) as core, client_of(core) as client:
        pair = client.create()
        with holding_the_write_lock(file):
            response = client.send("PUT", "/recipe/role", json={"role": "admin"})
            assert (response.status_code, response.text) == (503, "The database is busy")
            assert response.headers["Retry-After"] == "1"
            assert client.verify(pair, check_database=True)["status"] == "OK"
        assert client.call("PUT", "/recipe/role", {"role": "admin"})["status"] == "OK"


def test_threads_that_wait_behind_a_busy_one_get_503_too(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file, busy_timeout=0.2) as core, holding_the_write_lock(file):

        def write(_: int) -> int:
            with client_of(core) as client:
                return client.send("PUT", "/recipe/role", json={"role": "admin"}).status_code

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(write, range(10))) == [503] * 10


def test_a_writer_waits_for_another_that_is_soon_done(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client, contextlib.ExitStack() as lock:
        lock.enter_context(holding_the_write_lock(file))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.call, "PUT", "/recipe/role", {"role": "admin"})
            time.sleep(0.1)
            lock.close()
            assert answer.result()["status"] == "OK"


def test_starting_on_a_database_that_stays_busy_says_so(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    file.touch()
    with holding_the_write_lock(file), pytest.raises(EmbeddedCoreError) as raised:
        EmbeddedCore(file, busy_timeout=0.05)
    assert str(raised.value) == (
        f"the embedded core's database {file} cannot be used (database is locked): make it readable and"
        " writable for this user, move it away, or name another file"
    )


def test_a_database_that_breaks_later_is_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("DROP TABLE roles")
        response = client.send("PUT", "/recipe/role", json={"role": "admin"})
        assert (response.status_code, response.text) == (503, "The database cannot be used at the moment")
    assert caplog.messages == ["the embedded core cannot use its database"]


# Forks


def test_a_forked_child_and_its_parent_both_go_on_with_a_file(tmp_path: Path) -> None:
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


def test_a_database_in_memory_is_not_for_another_process() -> None:
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


def test_a_core_that_nobody_holds_does_not_trouble_a_fork(tmp_path: Path) -> None:
    EmbeddedCore(tmp_path / "core.db").close()
    assert in_forked_child(lambda: "fine") == "fine"


# Processes

_MAKE_AND_TELL = """
import sys
from flask_stsession.embedded.app import EmbeddedCore
sys.stdin.readline()
with EmbeddedCore(sys.argv[1]) as core:
    answer = core({"REQUEST_METHOD": "GET", "PATH_INFO": "/.well-known/jwks.json"}, lambda *_: None)
    print(core.created, b"".join(answer).decode())
"""


@pytest.mark.slow
def test_four_processes_that_start_at_once_make_one_set_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "new" / "core.db"
    command = [sys.executable, "-c", _MAKE_AND_TELL, str(file)]
    started = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    time.sleep(1)  # until each of them has imported what it needs
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=30) for process in started]
    assert [errors for _, errors in told] == [""] * 4
    created, keys = zip(*(said.split(" ", 1) for said, _ in told), strict=True)
    assert sorted(created) == ["False", "False", "False", "True"]
    assert len(set(keys)) == 1


@pytest.mark.slow
def test_killing_the_process_while_it_writes_loses_nothing_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    acknowledged: list[tuple[str, str]] = []
    with core_process(file) as running:

        def log_in_again_and_again(user: str) -> None:
            with client_at(running.url) as client, contextlib.suppress(requests.ConnectionError):
                while True:
                    pair = client.create(user)
                    acknowledged.append((user, client.refresh(pair)["session"]["handle"]))

        with ThreadPoolExecutor(4) as pool:
            for user in "abcd":
                pool.submit(log_in_again_and_again, user)
            while len(acknowledged) < 100:
                time.sleep(0.01)
            running.process.kill()
        running.process.wait()
    assert len(acknowledged) >= 100
    with EmbeddedCore(file) as core, client_of(core) as client:
        assert not core.created
        kept = {(user, handle) for user in "abcd" for handle in client.handles(user)}
        assert set(acknowledged) <= kept
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_processes_that_refresh_with_one_token_all_succeed_and_nothing_is_revoked(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with core_process(file) as one, core_process(file) as two, client_at(one.url) as client:
        first = client.create()

        def refresh(number: int) -> str:
            with client_at((one, two)[number % 2].url) as own:
                return str(own.refresh(first)["status"])

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(refresh, range(30))) == ["OK"] * 30
        assert client.handles("user") == {first["session"]["handle"]}


def test_a_clock_that_goes_back_does_no_harm() -> None:
    clock = Clock()
    with EmbeddedCore(":memory:", clock=clock) as core, client_of(core) as client:
        _log_in_and_refresh(client)
        clock.advance(-3600)
        _log_in_and_refresh(client)


def _log_in_and_refresh(client: Client) -> None:
    pair = client.refresh(client.create())
    assert client.verify(pair, check_database=True)["status"] == "OK"
