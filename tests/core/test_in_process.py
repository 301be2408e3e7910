"""Where the embedded core of an app keeps its data, and what the log says about it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import sqlite3
import stat
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.app_factory import add_views
from werkzeug.test import create_environ

from flask_stsession import STSession
from flask_stsession.embedded import EmbeddedCoreError
from flask_stsession.errors import ConfigError, CoreUnavailableError

pytestmark = pytest.mark.embedded_core

REMEDY = (
    'Set STSESSION_CONNECTION_URI to "embedded:/a/path/that/stays/core.db", or to the address of a '
    "SuperTokens core."
)
LOGGER = "flask_stsession.core"

MakeApp = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path, core_template: Path) -> Iterator[MakeApp]:
    """Return a maker of apps with the instance folder ``tmp_path/instance``, where a database may lie."""
    apps: list[Flask] = []

    def make_app(
        uri: str | None = None, *, instance: Path | None = None, existing: str | None = None, **settings: Any
    ) -> Flask:
        folder = instance or tmp_path / "instance"
        app = Flask("located", instance_path=str(folder))
        if uri is not None:
            app.config["STSESSION_CONNECTION_URI"] = uri
        app.config.update(settings)
        STSession(app)
        add_views(app)
        apps.append(app)
        if existing is not None:
            (folder / existing).parent.mkdir(parents=True, mode=0o700)
            shutil.copy(core_template, folder / existing)
        return app

    yield make_app
    for app in apps:
        app.extensions["stsession"].close()


def sign_in(app: Flask) -> None:
    """Use the core."""
    assert app.test_client().post("/login").status_code == 200


def failure(app: Flask) -> str:
    """Return the message of the error that prevents the core."""
    app.testing = True
    if "STSESSION_CONNECTION_URI" not in app.config:
        app.testing = False
        app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login")
    return str(caught.value)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The path of the database


def test_nothing_is_made_before_the_core_is_needed(make: MakeApp, tmp_path: Path) -> None:
    app = make()
    assert app.test_client().get("/open").status_code == 200
    assert app.test_client().get("/user").status_code == 401
    assert list(tmp_path.iterdir()) == []


def test_by_default_the_database_is_in_a_private_folder_of_the_instance_folder(
    make: MakeApp, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        sign_in(make())
    finally:
        os.umask(before)
    folder = tmp_path / "instance" / "stsession"
    assert mode_of(folder) == 0o700
    assert (folder / ".gitignore").read_text(encoding="utf-8") == "*\n"
    databases = [path for path in folder.iterdir() if path.name.startswith("core.db")]
    assert folder / "core.db" in databases
    assert {mode_of(path) for path in databases} == {0o600}


def test_an_app_with_testing_set_keeps_its_sessions_in_memory(make: MakeApp, tmp_path: Path) -> None:
    app = make()
    app.testing = True  # after init_app, as test suites do
    sign_in(app)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", [None, "embedded::memory:"])
def test_apps_with_cores_in_memory_share_a_signing_key_but_no_sessions(
    make: MakeApp, uri: str | None
) -> None:
    tokens, moduli = [], set()
    apps = [make(uri), make(uri)]
    for app in apps:
        app.testing = True
        login = app.test_client().post("/login", headers={"st-auth-mode": "header"})
        tokens.append(login.headers["st-access-token"])
        moduli |= {key["n"] for key in app.extensions["stsession"].get_jwks()["keys"]}
    assert len(moduli) == 1
    found = [
        [
            app.test_client().get("/user", headers={"Authorization": f"Bearer {token}"}).status_code
            for app in apps
        ]
        for token in tokens
    ]
    assert found == [[200, 401], [401, 200]]


def test_an_explicit_address_wins_over_testing(make: MakeApp, tmp_path: Path) -> None:
    app = make("embedded:", existing="stsession/core.db")
    app.testing = True
    sign_in(app)
    assert (tmp_path / "instance" / "stsession" / "core.db").exists()


def test_an_explicit_memory_address_makes_no_file(make: MakeApp, tmp_path: Path) -> None:
    sign_in(make("embedded::memory:"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["core.db", "some/where/core.db"])
def test_a_relative_path_is_below_the_instance_folder(make: MakeApp, tmp_path: Path, name: str) -> None:
    sign_in(make(f"embedded:{name}", existing=name))
    assert mode_of(tmp_path / "instance" / name) in (0o600, 0o644)
    assert not Path(name).exists()


def test_an_absolute_path_is_used_as_it_is(make: MakeApp, tmp_path: Path, core_template: Path) -> None:
    path = tmp_path / "elsewhere" / "my.db"
    path.parent.mkdir()
    shutil.copy(core_template, path)
    sign_in(make(f"embedded:{path}"))
    assert not (tmp_path / "instance").exists()
    assert not (path.parent / ".gitignore").exists()


def test_sessions_outlive_the_process_that_made_them(make: MakeApp) -> None:
    token = (
        make("embedded:", existing="stsession/core.db")
        .test_client()
        .post("/login")
        .headers["st-access-token"]
    )
    answer = make("embedded:").test_client().get("/user", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


# What the log says


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == LOGGER]


def made(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the empty databases that a WARNING was about."""
    begin = "Created an empty database for the embedded core: "
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    return [text.removeprefix(begin).partition(". ")[0] for text in warnings if text.startswith(begin)]


@pytest.mark.parametrize("debug", [False, True])
def test_an_unconfigured_empty_database_is_a_warning(
    make: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    caplog.set_level(logging.INFO)
    app = make()
    app.debug = debug
    sign_in(app)
    sign_in(app)
    assert said(caplog) == [
        (
            "WARNING",
            "No core is configured: the embedded one keeps sessions on this host, in "
            f"{tmp_path}/instance/stsession/core.db. Set STSESSION_CONNECTION_URI to say where they belong.",
        )
    ]
    assert made(caplog) == [str(tmp_path / "instance" / "stsession" / "core.db")]


@pytest.mark.parametrize(("debug", "level"), [(False, "WARNING"), (True, "INFO")])
def test_an_unconfigured_database_is_a_warning_only_outside_of_debug_mode(
    make: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture, debug: bool, level: str
) -> None:
    caplog.set_level(logging.INFO)
    app = make(existing="stsession/core.db")
    app.debug = debug
    sign_in(app)
    assert said(caplog) == [
        (
            level,
            "No core is configured: the embedded one keeps sessions on this host, in "
            f"{tmp_path}/instance/stsession/core.db. Set STSESSION_CONNECTION_URI to say where they belong.",
        )
    ]


@pytest.mark.parametrize("uri", ["embedded:", "embedded:core.db", "embedded::memory:"])
def test_an_explicit_address_is_not_announced(
    make: MakeApp, caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    caplog.set_level(logging.INFO)
    sign_in(make(uri))
    assert said(caplog) == []


@pytest.mark.parametrize("name", ["", "core.db", "some/where/core.db"])
def test_an_empty_database_at_an_explicit_address_is_a_warning(
    make: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    app = make(f"embedded:{name}")
    sign_in(app)
    sign_in(app)
    assert said(caplog) == []
    assert made(caplog) == [str(tmp_path / "instance" / (name or "stsession/core.db"))]


def test_sessions_in_memory_for_tests_are_not_announced(
    make: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = make()
    app.testing = True
    sign_in(app)
    assert said(caplog) == []


# Paths that are refused


@pytest.mark.parametrize("uri", [None, "embedded:", "embedded:core.db"])
def test_an_instance_folder_in_the_virtual_environment_is_refused(make: MakeApp, uri: str | None) -> None:
    instance = Path(sys.prefix) / "var" / "located-instance"
    assert failure(make(uri, instance=instance)) == (
        f"The instance folder {instance} lies in the virtual environment {sys.prefix} and would be lost with "
        f"it. {REMEDY}"
    )
    assert not instance.exists()


@pytest.mark.parametrize("uri", [None, "embedded:", "embedded:core.db"])
def test_an_instance_folder_on_lambda_is_refused(
    make: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "function")
    assert failure(make(uri)) == (
        f"On AWS Lambda nothing that is written to {tmp_path}/instance lasts, so sessions would be lost. "
        f"{REMEDY}"
    )


def test_an_absolute_path_on_lambda_is_the_users_own_decision(
    make: MakeApp, core_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "function")
    sign_in(make(f"embedded:{core_file}"))


def test_an_instance_folder_that_cannot_be_written_is_refused(make: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    instance = tmp_path / "file" / "instance"
    assert failure(make(instance=instance)) == (
        f"{instance}/stsession cannot be written (Not a directory). {REMEDY}"
    )


def test_an_absolute_path_that_cannot_be_written_is_refused(make: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert failure(make(f"embedded:{tmp_path}/file/core.db")) == (
        "STSESSION_CONNECTION_URI: the embedded core's database "
        f"{tmp_path}/file/core.db cannot be created or written (File exists): make its folder writable for "
        "this user, or name another file."
    )


def test_a_file_that_is_no_database_is_refused(make: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary " * 1000, encoding="utf-8")
    assert failure(make(f"embedded:{path}")) == (
        f"STSESSION_CONNECTION_URI: the embedded core's database {path} cannot be "
        "used (file is not a database): make it readable and writable for this user, move it away, or name "
        "another file."
    )


def test_a_folder_that_becomes_writable_is_used_without_a_restart(make: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    app = make(instance=tmp_path / "file" / "instance")
    failure(app)
    (tmp_path / "file").unlink()
    sign_in(app)


# Databases that cannot be used at the moment


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the write lock of a database, as another process may."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.slow
def test_a_database_that_stays_locked_is_503_after_five_seconds_in_all(
    make: MakeApp, core_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(f"embedded:{core_file}")
    sign_in(app)
    with locked(core_file):
        began = time.monotonic()
        assert app.test_client().post("/login").status_code == 503
        assert 5 <= time.monotonic() - began < 8
    sign_in(app)
    assert [r.getMessage() for r in caplog.records if r.name == "flask_stsession.embedded"] == [
        f"the embedded core's database {core_file} stayed locked for longer than the busy timeout"
        " (database is locked): see which process keeps a transaction open"
    ]


@pytest.mark.slow
def test_a_new_database_that_stays_locked_is_503_and_works_later(make: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    file.touch(mode=0o600)
    app = make(f"embedded:{file}")
    with locked(file):
        assert app.test_client().post("/login").status_code == 503
    sign_in(app)


def test_a_database_that_was_deleted_is_503_and_the_error_says_where_to_look(
    make: MakeApp, core_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(f"embedded:{core_file}")
    sign_in(app)
    core_file.unlink()
    with app.test_request_context(), pytest.raises(CoreUnavailableError) as caught:
        app.extensions["stsession"].revoke_all_sessions_for_user("user")
    assert str(caught.value) == (
        "The embedded core did not answer POST /recipe/session/remove. The database cannot be used at the"
        " moment; the log of flask_stsession.embedded names the file and the remedy."
    )
    [error] = [
        r for r in caplog.records if r.levelno == logging.ERROR and r.name == "flask_stsession.embedded"
    ]
    assert error.getMessage().startswith(f"the file {core_file} of the embedded core's database was deleted ")
    assert not core_file.exists()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_memory_is_refused_in_a_forked_child(make: MakeApp) -> None:
    app = make("embedded::memory:")
    app.testing = True
    client = app.test_client()
    sign_in(app)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            client.post("/login")
            os.write(writes, b"no error")
        except ConfigError as error:
            os.write(writes, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    with os.fdopen(reads) as answer:
        told = answer.read()
    assert told == (
        f"STSESSION_CONNECTION_URI: the in-memory database belongs to process {os.getpid()} and this is "
        f"process {child}: several processes need a file."
    )
    sign_in(app)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"acces_token_validity": 30},
            "STSESSION_EMBEDDED_CORE: the embedded core has no setting 'acces_token_validity': did you mean "
            "'access_token_validity'?",
        ),
        (
            {"access_token_validity": "soon"},
            "STSESSION_EMBEDDED_CORE: access_token_validity is 'soon': give a whole number of seconds from 1 "
            "to 86400000, for example 3600.",
        ),
        (
            {"access_token_validity_jitter": 0.3},
            "STSESSION_EMBEDDED_CORE: access_token_validity_jitter is 0.3: give a share from 0 (none) to "
            "0.25, for example 0.05 for 5 %.",
        ),
        (
            {"refresh_token_validity": 10**9},
            "STSESSION_EMBEDDED_CORE: refresh_token_validity is 1000000000: give a number of minutes "
            "above 0, at most 52560000, for example 144000.",
        ),
        (
            {"refresh_token_validity": 1},
            "STSESSION_EMBEDDED_CORE: refresh_token_validity is 1 minutes, which is not longer than "
            "access_token_validity, 3600 seconds: make the first longer or the second shorter.",
        ),
    ],
)
def test_a_wrong_setting_of_the_embedded_core_fails_init_app(
    make: MakeApp, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(STSESSION_EMBEDDED_CORE=settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("uri", ["embedded::memory:", "embedded:core.db"])
def test_the_database_of_a_dropped_app_is_closed(tmp_path: Path, core_template: Path, uri: str) -> None:
    app = Flask("dropped", instance_path=str(tmp_path))
    shutil.copy(core_template, tmp_path / "core.db")
    app.config["STSESSION_CONNECTION_URI"] = uri
    STSession(app)
    add_views(app)
    sign_in(app)
    core = app.extensions["stsession.state"].core._adapter.core()
    dropped = weakref.ref(app)
    del app
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        gc.collect()
    assert dropped() is None
    with pytest.raises(EmbeddedCoreError, match="closed"):
        core(create_environ("/.well-known/jwks.json"), lambda *_: None)
