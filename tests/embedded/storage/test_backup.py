"""A backup is a whole and private copy, made while the core works."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore, EmbeddedCoreError
from flask_stsession.embedded.storage.backup import back_up


@pytest.fixture
def file(core_template: Path, tmp_path: Path) -> Path:
    """The database of an embedded core."""
    return Path(shutil.copy(core_template, tmp_path / "core.db"))


@pytest.fixture
def client(file: Path) -> Iterator[Client]:
    """A client of a core that runs on the file."""
    with EmbeddedCore(file) as core, client_of(core) as client:
        yield client


def refusal_of(database: Path | str, copy: Path) -> str:
    with pytest.raises(EmbeddedCoreError) as raised:
        back_up(database, copy)
    return str(raised.value)


def test_a_copy_has_everything_up_to_the_last_commit(client: Client, file: Path, tmp_path: Path) -> None:
    pair, kids = client.create(), client.kids()
    back_up(file, tmp_path / "copy.db")
    client.create("later")
    with EmbeddedCore(tmp_path / "copy.db") as core, client_of(core) as restored:
        assert not core.created
        assert restored.kids() == kids
        assert restored.verify(pair, check_database=True)["status"] == "OK"
        assert restored.handles("later") == set()


def test_a_copy_is_a_single_private_file(client: Client, file: Path, tmp_path: Path) -> None:
    client.create()
    (tmp_path / "copies").mkdir()
    back_up(file, tmp_path / "copies" / "copy.db")
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["copy.db"]
    assert stat.S_IMODE((tmp_path / "copies" / "copy.db").stat().st_mode) == 0o600


def test_a_copy_made_during_writes_is_whole(client: Client, file: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [client.create(f"user{number}") for number in range(40)])
        copies = 0
        while not writing.done():
            back_up(file, tmp_path / f"copy{copies}.db")
            copies += 1
    assert copies
    for number in range(copies):
        with contextlib.closing(sqlite3.connect(tmp_path / f"copy{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            users = [row[0] for row in copy.execute("SELECT user_id FROM sessions ORDER BY created_at")]
        assert set(users) == {f"user{place}" for place in range(len(users))}


def test_the_core_goes_on_after_a_backup(client: Client, file: Path, tmp_path: Path) -> None:
    back_up(file, tmp_path / "copy.db")
    assert client.create()["status"] == "OK"


def test_no_file_is_overwritten(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    assert refusal_of(file, file) == f"{file} exists already: name a new file for the copy"
    (tmp_path / "link.db").symlink_to(tmp_path / "nothing")
    assert "exists already" in refusal_of(file, tmp_path / "link.db")
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["typo.db", ":memory:"])
def test_a_database_that_does_not_exist_is_not_made(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    assert refusal_of(source, tmp_path / "copy.db") == (
        f"there is no file {source}: name the database of an embedded core"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "core.db").touch(mode=0o600)
    assert refusal_of(tmp_path / "core.db", tmp_path / "copy.db") == (
        f"{tmp_path}/core.db is empty: name the database of an embedded core"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["core.db"]


def test_another_applications_database_is_not_copied(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as other:
        other.execute("CREATE TABLE users (id INTEGER)")
    assert refusal_of(tmp_path / "app.db", tmp_path / "copy.db") == (
        f"{tmp_path}/app.db is the database of another application: name another file"
    )


def test_a_file_that_is_not_a_database_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk " * 100, encoding="utf-8")
    assert refusal_of(tmp_path / "notes.txt", tmp_path / "copy.db") == (
        f"{tmp_path}/notes.txt cannot be copied to {tmp_path}/copy.db (file is not a database): see that it"
        " is the database of an embedded core and that there is room for the copy"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_does_not_exist_is_named(file: Path, tmp_path: Path) -> None:
    assert refusal_of(file, tmp_path / "nowhere" / "copy.db") == (
        f"{tmp_path}/nowhere/copy.db cannot be written (No such file or directory): name a file in a writable"
        " folder"
    )
