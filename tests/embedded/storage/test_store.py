"""The database: created whole, shared by threads and processes, and whole after a kill."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from freezegun import freeze_time
from support.running_cores import (
    Client,
    Clock,
    client_at,
    client_of,
    core_process,
    in_forked_child,
    refusal_of,
)

from flask_stsession.embedded.app import EmbeddedCore, EmbeddedCoreError
from flask_stsession.embedded.storage.store import Store


@contextlib.contextmanager
def holding_the_write_lock(file: Path) -> Iterator[None]:
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


# Making it


def test_created_says_whether_this_core_made_the_database(tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as first, EmbeddedCore(str(tmp_path / "core.db")) as second:
        assert (first.created, second.created) == (True, False)


def test_an_empty_database_is_made_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    EmbeddedCore(file).close()
    EmbeddedCore(":memory:").close()
    assert caplog.record_tuples == [
        (
            "flask_stsession.embedded",
            logging.WARNING,
            f"Created an empty database for the embedded core: {file}. Sessions and keys from any other file"
            " are not valid here. If a database should have been there, stop this process and restore it.",
        )
    ]


def test_a_relative_name_keeps_its_meaning_when_the_process_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with EmbeddedCore("core.db") as core, client_of(core) as client:
        monkeypatch.chdir("/")
        client.create()
        in_forked_child(lambda: "closes the connections")
        assert len(client.handles("user")) == 1


@pytest.mark.parametrize("name", ["a b.db", "ä?#%20.db", "core.db?mode=memory"])
def test_a_name_may_have_any_characters(tmp_path: Path, name: str) -> None:
    with EmbeddedCore(tmp_path / name) as core, client_of(core) as client:
        client.create()
        assert (tmp_path / name).stat().st_size > 0


def test_a_copy_of_the_main_file_alone_has_the_tables_and_keys(tmp_path: Path) -> None:
    with EmbeddedCore(tmp_path / "core.db") as core, client_of(core) as client:
        shutil.copy(tmp_path / "core.db", tmp_path / "copy.db")
        kids = client.kids()
    with EmbeddedCore(tmp_path / "copy.db") as core, client_of(core) as client:
        assert not core.created
        assert client.kids() == kids


def test_tables_that_a_killed_process_left_in_the_log_are_moved_to_the_main_file(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client:
        client.create()
        for suffix in ("", "-wal"):  # as a killed process leaves them
            shutil.copy(f"{file}{suffix}", f"{tmp_path / 'killed.db'}{suffix}")
    with EmbeddedCore(tmp_path / "killed.db"):
        shutil.copy(tmp_path / "killed.db", tmp_path / "copy.db")
    with EmbeddedCore(tmp_path / "copy.db") as core, client_of(core) as client:
        assert len(client.handles("user")) == 1


def test_an_empty_file_is_treated_as_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "core.db").touch()
    with EmbeddedCore(tmp_path / "core.db") as core:
        assert core.created


def test_the_next_core_finds_everything_that_was_written(tmp_path: Path) -> None:
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


# Files that are refused


def test_a_file_that_is_not_a_database_is_left_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk " * 100)
    assert refusal_of(file) == (
        f"the embedded core's database {file} cannot be used (file is not a database): make it readable and"
        " writable for this user, move it away, or name another file"
    )
    assert file.read_text() == "buy milk " * 100


def test_a_database_without_the_table_of_secrets_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE secrets")
    assert refusal_of(file) == (
        f"the embedded core's database {file} is damaged (no such table: secrets):"
        " put back a copy of it, or name another file"
    )


@pytest.mark.parametrize(
    "loss", ["DELETE FROM secrets", "DELETE FROM signing_keys", "DELETE FROM signing_keys WHERE dynamic = 0"]
)
def test_a_database_that_lost_its_keys_is_damaged(tmp_path: Path, loss: str) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(loss)
    assert refusal_of(file) == (
        f"the embedded core's database {file} is damaged (it has lost its keys):"
        " put back a copy of it, or name another file"
    )


def test_using_a_closed_core_raises(tmp_path: Path) -> None:
    core = EmbeddedCore(tmp_path / "core.db")
    core.close()
    core.close()
    with client_of(core) as client, pytest.raises(EmbeddedCoreError) as raised:
        client.create()
    assert str(raised.value) == "this embedded core was closed: make another EmbeddedCore"


# Busy


def test_writing_to_a_locked_database_is_503_while_reading_works(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file, busy_timeout=0.05) as core, client_of(core) as client:
        pair = client.create()
        with holding_the_write_lock(file):
            response = client.send("PUT", "/recipe/role", json={"role": "admin"})
            assert (response.status_code, response.text) == (503, "The database is busy")
            assert response.headers["Retry-After"] == "1"
            assert client.verify(pair, check_database=True)["status"] == "OK"
        assert client.call("PUT", "/recipe/role", {"role": "admin"})["status"] == "OK"


def test_threads_that_queue_for_a_locked_database_all_get_503(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file, busy_timeout=0.2) as core, holding_the_write_lock(file):

        def write(_: int) -> int:
            with client_of(core) as client:
                return client.send("PUT", "/recipe/role", json={"role": "admin"}).status_code

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(write, range(10))) == [503] * 10


def test_a_request_waits_for_one_busy_timeout_in_all(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file, busy_timeout=0.5) as core, holding_the_write_lock(file):

        def seconds_to_refuse(delay: float) -> float:
            time.sleep(delay)  # so that it gets its turn among the threads shortly before its time is up
            began = time.monotonic()
            with client_of(core) as client:
                assert client.send("PUT", "/recipe/role", json={"role": "admin"}).status_code == 503
            return time.monotonic() - began

        with ThreadPoolExecutor(2) as pool:
            assert max(pool.map(seconds_to_refuse, (0, 0.1))) < 0.8


def test_a_request_that_writes_twice_waits_for_one_busy_timeout_in_all(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    clock = Clock()
    told: list[float] = []
    releases: list[threading.Timer] = []

    def lock_for_a_while() -> None:
        other.execute("BEGIN IMMEDIATE")
        releases.append(threading.Timer(0.35, other.rollback))
        releases[-1].start()

    def now() -> float:
        told.append(clock())
        if len(told) == 2:  # the session has been written, and a new key is about to be
            lock_for_a_while()
        return told[-1] + (len(told) >= 2) * 1000 * 3600

    with (
        contextlib.closing(other),
        EmbeddedCore(file, clock=now, busy_timeout=0.5) as core,
        client_of(core) as client,
    ):
        told.clear()
        lock_for_a_while()
        body = {"userId": "u", "enableAntiCsrf": False, "userDataInJWT": {}, "userDataInDatabase": {}}
        assert client.send("POST", "/recipe/session", json=body).status_code == 503
        assert len(told) == 2
        for release in releases:
            release.join()


def test_the_data_a_writer_has_read_do_not_change_before_it_writes(tmp_path: Path) -> None:
    def count_up(_: int) -> None:
        store = Store(tmp_path / "core.db", lambda _: None, busy_timeout=30)
        for _ in range(50):
            with store.write() as connection:
                found = connection.execute("SELECT metadata FROM user_metadata").fetchone()
                number = int(found[0]) if found else 0
                connection.execute("INSERT OR REPLACE INTO user_metadata VALUES ('u', ?)", (str(number + 1),))
        store.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count_up, range(3)))
    with contextlib.closing(sqlite3.connect(tmp_path / "core.db")) as database:
        assert database.execute("SELECT metadata FROM user_metadata").fetchone() == ("150",)


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "core.db", lambda _: None, busy_timeout=1)
    with store.write() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()


def test_a_writer_waits_for_a_lock_that_is_soon_released(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client, contextlib.ExitStack() as lock:
        lock.enter_context(holding_the_write_lock(file))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.call, "PUT", "/recipe/role", {"role": "admin"})
            time.sleep(0.1)
            lock.close()
            assert answer.result()["status"] == "OK"


def test_starting_on_a_locked_database_raises(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    file.touch()
    with holding_the_write_lock(file), pytest.raises(EmbeddedCoreError) as raised:
        EmbeddedCore(file, busy_timeout=0.05)
    assert str(raised.value) == (
        f"the embedded core's database {file} stayed locked for longer than the busy timeout (database is"
        " locked): see which process keeps a transaction open"
    )


def test_starting_on_a_locked_database_raises_while_a_test_has_frozen_the_time(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    with (
        freeze_time("2030-01-01"),
        holding_the_write_lock(file),
        pytest.raises(EmbeddedCoreError, match="stayed locked"),
    ):
        EmbeddedCore(file, busy_timeout=0.05)


def test_a_database_that_breaks_while_in_use_is_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("DROP TABLE roles")
        response = client.send("PUT", "/recipe/role", json={"role": "admin"})
        assert (response.status_code, response.text) == (503, "The database cannot be used at the moment")
    assert caplog.messages[1:] == [
        f"the embedded core's database {file} cannot be used (no such table: roles): see that its disk has"
        " room and that the file is whole, readable and writable for this user"
    ]


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
    assert sorted(errors[:29] for _, errors in told) == ["", "", "", "Created an empty database for"]
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


def test_a_clock_that_is_set_back_does_no_harm() -> None:
    clock = Clock()
    with EmbeddedCore(":memory:", clock=clock) as core, client_of(core) as client:
        _log_in_and_refresh(client)
        clock.advance(-3600)
        _log_in_and_refresh(client)


def _log_in_and_refresh(client: Client) -> None:
    pair = client.refresh(client.create())
    assert client.verify(pair, check_database=True)["status"] == "OK"
