"""The tables, and how the files of earlier and later releases are treated."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from support.running_cores import Clock, client_of, refusal_of

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.storage.schema import STEPS, migrate, read_version

FIRST_RELEASE = Path(__file__).parents[2] / "data" / "embedded"
#: What the core of the first release said when its file was made.
RECORDED: dict[str, Any] = json.loads((FIRST_RELEASE / "first-release.json").read_text(encoding="utf-8"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the first release."""
    path = tmp_path / "core.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript((FIRST_RELEASE / "first-release.sql").read_text(encoding="utf-8"))
    path.chmod(0o600)
    return path


def version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return read_version(database, str(path))


def tables_of(path: Path) -> set[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return set(database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def test_the_first_releases_file_keeps_everything(file: Path) -> None:
    assert version_of(file) == 1
    with EmbeddedCore(file, clock=Clock()) as core, client_of(core) as client:
        assert not core.created
        assert client.kids() == RECORDED["kids"]
        pair = RECORDED["pair"]
        assert client.verify(pair, check_database=True)["session"]["userDataInJWT"] == {"plan": "gold"}
        assert client.refresh(pair)["session"]["handle"] == pair["session"]["handle"]
        assert client.call("GET", "/recipe/user/roles", userId="alice")["roles"] == ["editor"]
        assert client.call("GET", "/recipe/role/permissions", role="editor")["permissions"] == ["write"]
        address = {"userId": "alice", "email": "alice@example.com"}
        assert client.call("GET", "/recipe/user/email/verify", **address)["isVerified"]
        assert client.call("GET", "/recipe/user/metadata", userId="alice")["metadata"] == {"theme": "dark"}
        assert client.create(tenant="/acme")["status"] == "OK"
    assert version_of(file) == len(STEPS)


def test_a_migrated_file_has_the_tables_of_a_new_one(file: Path, tmp_path: Path) -> None:
    EmbeddedCore(file).close()
    EmbeddedCore(tmp_path / "new.db").close()
    assert tables_of(file) == tables_of(tmp_path / "new.db")


def test_cores_that_migrate_one_file_share_its_sessions(file: Path) -> None:
    with (
        EmbeddedCore(file, clock=Clock()) as one,
        EmbeddedCore(file, clock=Clock()) as two,
        client_of(one) as first,
        client_of(two) as second,
    ):
        assert second.verify(first.create(), check_database=True)["status"] == "OK"


def test_each_step_runs_once_and_in_order(file: Path) -> None:
    steps = (*STEPS, ("ALTER TABLE roles ADD COLUMN note TEXT", "UPDATE roles SET note = 'kept'"))
    with contextlib.closing(sqlite3.connect(file)) as database:
        migrate(database, read_version(database, "core.db", steps), steps)
        assert read_version(database, "core.db", steps) == len(steps)
        migrate(database, read_version(database, "core.db", steps), steps)
        assert database.execute("SELECT * FROM roles").fetchall() == [("editor", "kept")]


def test_a_migration_that_fails_changes_nothing(file: Path) -> None:
    before = tables_of(file)
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE identity (taken)")
    assert "table identity already exists" in refusal_of(file)
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE identity")
    assert (version_of(file), tables_of(file)) == (1, before)


@pytest.mark.parametrize("version", [1, 2, 7])
def test_a_database_without_tables_that_has_a_version_is_another_applications(
    tmp_path: Path, version: int
) -> None:
    file = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute(f"PRAGMA user_version={version}")
    file.chmod(0o644)
    assert refusal_of(file) == f"{file} is the database of another application: name another file"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_the_database_of_another_application_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE users (id INTEGER)")
    assert refusal_of(file) == f"{file} is the database of another application: name another file"


@pytest.mark.parametrize("place", [2, 3])
def test_a_database_whose_tables_are_being_made_is_not_taken_for_another_applications(
    tmp_path: Path, place: int
) -> None:
    file = tmp_path / "core.db"
    reader = sqlite3.connect(file, isolation_level=None)
    maker = sqlite3.connect(file, isolation_level=None, timeout=0)
    statements = 0

    def make_meanwhile(_statement: str) -> None:
        nonlocal statements
        statements += 1
        if statements == place:
            with contextlib.suppress(sqlite3.OperationalError):  # locked, while the reader reads
                migrate(maker, 0)

    reader.set_trace_callback(make_meanwhile)
    assert read_version(reader, str(file)) in (0, len(STEPS))
    reader.close()
    maker.close()


def test_the_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    EmbeddedCore(file).close()
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA user_version=7")
    assert refusal_of(file) == (
        f"{file} was made by a newer flask-stsession (schema 7, this one knows 2):"
        " update flask-stsession, or name another file"
    )
