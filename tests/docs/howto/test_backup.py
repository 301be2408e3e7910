"""The how-to about backups (backup.md): a copy that is restored has the sessions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.app_factory import AppFactory
from support.documentation import Namespace, page_fixture

pytestmark = pytest.mark.embedded_core

namespace = page_fixture("howto/backup.md")


@pytest.mark.slow
def test_a_restored_copy_has_the_sessions_of_its_time(
    namespace: Namespace,
    make_app: AppFactory,
    core_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The command ``flask`` of this environment.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    back_up, restore = namespace["back_up"], namespace["restore"]
    (tmp_path / "copies").mkdir()
    for day in range(1, 10):
        (tmp_path / "copies" / f"core-2020-01-0{day}.db").touch()

    app = make_app()
    extension = app.extensions["stsession"]
    with app.app_context():
        before = extension.create_new_session_without_request_response("alice").get_handle()
        copy = back_up(tmp_path / "copies", core_file)
        extension.create_new_session_without_request_response("alice")
        assert len(extension.list_sessions("alice")) == 2
        extension.close()
    kept = sorted(path.name for path in (tmp_path / "copies").iterdir())
    assert kept == [f"core-2020-01-0{day}.db" for day in range(4, 10)] + [copy.name]
    assert copy.stat().st_mode & 0o777 == 0o600

    restore(copy, core_file)
    restarted = make_app()
    with restarted.app_context():
        found = restarted.extensions["stsession"].list_sessions("alice")
    assert [session.session_handle for session in found] == [before]
