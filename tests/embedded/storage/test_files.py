"""The database's files: private to their owner, and watched: one that is deleted or replaced is noticed."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.running_cores import Client, client_at, client_of, core_process, in_forked_child, refusal_of

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.errors import EmbeddedCoreError
from flask_stsession.embedded.storage.files import DatabaseFile

LOST = (
    "the file {path} of the embedded core's database {what} while this process was using it:"
    " put back the file that was there, or restart this process to use what is there now"
)


@pytest.fixture
def file(core_template: Path, tmp_path: Path) -> Path:
    """The database of an embedded core that is not running."""
    return Path(shutil.copy(core_template, tmp_path / "core.db"))


@pytest.fixture
def client(file: Path) -> Iterator[Client]:
    """A client of a core that runs on the file, and has used it."""
    with EmbeddedCore(file) as core, client_of(core) as client:
        client.create()
        yield client


def beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Private


def test_the_folder_and_the_files_are_private(tmp_path: Path) -> None:
    file = tmp_path / "instance" / "stsession" / "core.db"
    with EmbeddedCore(file) as core, client_of(core) as client:
        client.create()
        assert mode_of(file.parent) == 0o700
        modes = {path.name: mode_of(path) for path in file.parent.iterdir()}
    assert modes == {"core.db": 0o600, "core.db-wal": 0o600, "core.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o666, 0o604, 0o620])
def test_a_database_that_others_may_access_is_made_private(
    file: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    file.chmod(mode)
    EmbeddedCore(file).close()
    assert mode_of(file) == 0o600
    assert caplog.messages == [
        f"{file} was open to other users (mode {mode:04o}) and has been made private. It holds the keys that"
        " sign sessions: if somebody may have read them, start with a new file."
    ]


def test_a_log_that_others_may_access_is_made_private(client: Client, file: Path) -> None:
    for suffix in ("-wal", "-shm"):
        beside(file, suffix).chmod(0o666)
    with EmbeddedCore(file) as second, client_of(second) as other:
        other.create()
        assert [mode_of(beside(file, suffix)) for suffix in ("-wal", "-shm")] == [0o600, 0o600]


def test_an_empty_file_is_made_private_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "core.db"
    file.touch(mode=0o644)
    EmbeddedCore(file).close()
    assert mode_of(file) == 0o600
    assert [message for message in caplog.messages if "open to other users" in message] == []


@pytest.mark.parametrize("kind", ["text", "another database", "another database with a log"])
def test_a_file_that_is_not_an_embedded_cores_is_left_unchanged(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "notes"
    if kind == "text":
        file.write_text("root:x:0:0:root:/root:/bin/bash\n" * 100, encoding="utf-8")
        connection = None
    else:
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute(f"PRAGMA journal_mode={'wal' if 'log' in kind else 'delete'}")
        connection.execute("CREATE TABLE notes (text TEXT)")
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    before = {path.name: (mode_of(path), path.read_bytes()) for path in tmp_path.iterdir()}
    refused = refusal_of(file)
    assert "file is not a database" in refused or "is the database of another application" in refused
    after = {path.name: (mode_of(path), path.read_bytes()) for path in tmp_path.iterdir()}
    assert {name: mode for name, (mode, _) in after.items()} == dict.fromkeys(before, 0o644)
    assert after["notes"] == before["notes"]
    if connection is not None:
        connection.close()


def test_a_link_that_is_put_beside_an_open_database_is_not_followed(file: Path, tmp_path: Path) -> None:
    database = DatabaseFile(str(file))
    foreign = tmp_path / "notes"
    foreign.touch(mode=0o644)
    beside(file, "-journal").symlink_to(foreign)
    with pytest.raises(EmbeddedCoreError, match="is not a regular file"):
        database.make_private()
    assert mode_of(foreign) == 0o644


def test_a_file_system_without_permissions_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o666)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # as FAT ignores it
    assert refusal_of(file) == (
        f"{file} is open to other users, and its file system keeps no permissions: name a file on another"
        " file system for the embedded core's database"
    )


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes this process look like another user's."""
    return lambda user: monkeypatch.setattr(os, "geteuid", lambda: user)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_file_of_another_user_is_refused(file: Path, as_user: Callable[[int], None], suffix: str) -> None:
    path = beside(file, suffix)
    path.touch(mode=0o600)
    owner = path.stat().st_uid
    if suffix:
        path.touch()
        if owner:
            pytest.skip("only root can make a file of another owner")
        os.chown(path, 4711, -1)
        os.chown(file, 4712, -1)
        as_user(4712)
        owner, user = 4711, 4712
    else:
        user = owner + 1
        as_user(user)
    assert refusal_of(file) == (
        f"{path} belongs to another user (id {owner}, this process runs as {user}): change its owner,"
        " run this process as its owner, or name another file"
    )


def test_root_may_use_another_users_file_and_is_warned(
    file: Path, as_user: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    if not file.stat().st_uid:
        os.chown(file, 4711, -1)
    as_user(0)
    with EmbeddedCore(file) as core, client_of(core) as client:
        assert client.create()["status"] == "OK"
    assert caplog.messages == [
        f"{file} belongs to another user (id {file.stat().st_uid}) and this process runs as root. It is used"
        " all the same, as it may lie on a mounted volume; better run this process as its owner."
    ]


# Links


def test_a_link_of_this_user_is_followed_and_its_file_made_private(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(file)
    file.chmod(0o644)
    with EmbeddedCore(link) as core, EmbeddedCore(file) as other:
        with client_of(core) as client, client_of(other) as second:
            assert second.verify(client.create(), check_database=True)["status"] == "OK"
        assert beside(file, "-wal").exists()
        assert not beside(link, "-wal").exists()
    assert mode_of(file) == 0o600


def test_a_link_of_another_user_is_refused(
    file: Path, tmp_path: Path, as_user: Callable[[int], None]
) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(file)
    user = link.lstat().st_uid + 1
    as_user(user)
    assert refusal_of(link).startswith(f"{link} belongs to another user (id {link.lstat().st_uid}, ")


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_link_in_the_place_of_the_log_is_refused(file: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "precious").write_text("data", encoding="utf-8")
    beside(file, suffix).symlink_to(tmp_path / "precious")
    assert refusal_of(file) == (
        f"{beside(file, suffix)} is not a regular file: move it away, or name another file for the embedded"
        " core's database"
    )
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "data"


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "core.db")
    assert "is not a regular file" in refusal_of(tmp_path / "core.db")


# Names that no database can have


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == (
        f"'{tmp_path}' is not a file: name a file for the embedded core's database, or :memory:"
    )


def test_an_empty_name_is_refused() -> None:
    assert refusal_of("") == "'' is not a file: name a file for the embedded core's database, or :memory:"


@pytest.mark.parametrize("name", [":memory", "memory:", ":Memory:", "::memory:"])
def test_a_misspelled_memory_address_is_refused(name: str) -> None:
    assert refusal_of(name) == (
        f"{name!r} is not a file: name a file for the embedded core's database, or :memory:"
    )


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "stsession" / "core.db"
    assert refusal_of(file) == (
        f"the embedded core's database {file} cannot be created or written (Not a directory):"
        " make its folder writable for this user, or name another file"
    )


def test_an_invalid_file_name_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "a\0b" / "core.db").endswith("or name another file")


# Deleted and replaced while in use


def assert_lost(client: Client, caplog: pytest.LogCaptureFixture, path: Path, what: str) -> None:
    """Check that reading and writing get 503, and that the log says why."""
    for method, path_of_core, body in (
        ("PUT", "/recipe/role", {"role": "admin"}),
        ("GET", "/recipe/roles", None),
        ("PUT", "/recipe/role", {"role": "admin"}),
    ):
        caplog.clear()
        response = client.send(method, path_of_core, json=body)
        assert (response.status_code, response.text) == (503, "The database cannot be used at the moment")
        assert response.headers["Retry-After"] == "5"
        assert caplog.record_tuples == [
            ("flask_stsession.embedded", logging.ERROR, LOST.format(path=path, what=what))
        ]


def test_a_deleted_file_is_noticed(client: Client, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.unlink()
    assert_lost(client, caplog, file, "was deleted")
    assert not file.exists()


def test_a_file_deleted_while_no_connection_is_open_is_noticed(
    client: Client, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_forked_child(lambda: "")  # closes all connections
    file.unlink()
    assert_lost(client, caplog, file, "was deleted")
    assert not file.exists()


@pytest.mark.slow
def test_a_file_deleted_under_a_serving_process_is_503_and_an_error_in_its_log(file: Path) -> None:
    with core_process(file) as running, client_at(running.url) as client:
        client.create()
        file.unlink()
        assert client.send("PUT", "/recipe/role", json={"role": "admin"}).status_code == 503
        _, _, log = running.end()
    assert log == LOST.format(path=file, what="was deleted") + "\n"
    assert not file.exists()


def test_opening_a_connection_never_makes_a_file(file: Path) -> None:
    watched = DatabaseFile(str(file))
    file.unlink()
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        sqlite3.connect(watched.uri, uri=True)
    assert not file.exists()


def test_a_deleted_folder_is_noticed(
    core_template: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "folder" / "core.db"
    file.parent.mkdir()
    shutil.copy(core_template, file)
    with EmbeddedCore(file) as core, client_of(core) as client:
        client.create()
        shutil.rmtree(file.parent)
        assert_lost(client, caplog, file, "was deleted")
    assert not file.parent.exists()


def test_a_database_moved_over_the_file_is_noticed(
    client: Client, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    EmbeddedCore(tmp_path / "other.db").close()
    (tmp_path / "other.db").replace(file)
    assert_lost(client, caplog, file, "was replaced")


def test_a_backup_moved_over_the_file_is_noticed(
    client: Client, file: Path, core_template: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(core_template, tmp_path / "backup.db")
    (tmp_path / "backup.db").replace(file)
    assert_lost(client, caplog, file, "was replaced")


def test_a_database_copied_over_the_file_is_noticed(
    client: Client, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    EmbeddedCore(tmp_path / "other.db").close()
    shutil.copyfile(tmp_path / "other.db", file)
    assert_lost(client, caplog, file, "was overwritten with another database")


def test_other_data_copied_over_the_file_is_noticed(
    client: Client, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("dear diary " * 1000, encoding="utf-8")
    assert_lost(client, caplog, file, "was overwritten with another database")


def test_a_redirected_link_is_noticed(file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(file)
    with EmbeddedCore(link) as core, client_of(core) as client:
        client.create()
        EmbeddedCore(tmp_path / "other.db").close()
        link.unlink()
        link.symlink_to(tmp_path / "other.db")
        assert_lost(client, caplog, link, "was replaced")


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_deleted_log_is_noticed(
    client: Client, file: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    beside(file, suffix).unlink()
    assert_lost(client, caplog, beside(file, suffix), "was deleted")


def test_a_file_deleted_during_a_write_is_noticed_before_the_write_is_acknowledged(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deleting: list[Path] = []

    def clock() -> float:  # asked for while the transaction that removes sessions is open
        if deleting:
            deleting.pop().unlink()
        return 1_800_000_000.0

    with EmbeddedCore(file, clock=clock) as core, client_of(core) as client:
        handle = client.create()["session"]["handle"]
        deleting.append(file)
        response = client.send("POST", "/recipe/session/remove", json={"sessionHandles": [handle]})
        assert response.status_code == 503
    assert caplog.messages == [LOST.format(path=file, what="was deleted")]


def test_a_file_that_is_put_back_works_again(client: Client, file: Path) -> None:
    file.rename(file.with_name("away.db"))
    assert client.send("GET", "/recipe/roles").status_code == 503
    file.with_name("away.db").rename(file)
    assert client.call("PUT", "/recipe/role", {"role": "admin"})["status"] == "OK"


def test_another_database_with_the_same_inode_size_and_time_is_noticed(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    EmbeddedCore(tmp_path / "other.db").close()
    with EmbeddedCore(file) as core, client_of(core) as client:
        for _ in range(2):
            client.call("GET", "/recipe/roles")
            in_forked_child(lambda: "")  # closes all connections, so that nothing holds the inode number
        seen = file.stat()
        file.write_bytes((tmp_path / "other.db").read_bytes())
        os.truncate(file, seen.st_size)
        os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        assert_lost(client, caplog, file, "was replaced")


def test_a_checkpoint_by_another_process_raises_no_alarm(client: Client, file: Path) -> None:
    with EmbeddedCore(file) as second, client_of(second) as other:
        for number in range(3):
            other.create(str(number))
            second._store.checkpoint()
            assert client.call("PUT", "/recipe/role", {"role": str(number)})["status"] == "OK"
            assert len(client.handles(str(number))) == 1
