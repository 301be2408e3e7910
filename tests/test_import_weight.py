"""What is imported only by those who need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_APP = """
import sys
from flask import Flask
from flask_stsession import STSession
app = Flask("app")
app.config["STSESSION_CONNECTION_URI"] = {uri!r}
STSession(app)
parts = ("flask_stsession.embedded.", "sqlite3.", "flask_stsession.claims.")
needed = ("base", "validation", "validators", "primitive")
print(sorted(name for name in sys.modules if name.startswith(parts) and not name.endswith(needed)))
"""


def _loaded(uri: str) -> str:
    command = [sys.executable, "-c", _APP.format(uri=uri)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_an_app_with_a_core_elsewhere_imports_no_embedded_core_no_sqlite_and_no_built_in_claims() -> None:
    assert _loaded("http://127.0.0.1:3567") == "[]\n"


@pytest.mark.slow
def test_an_app_on_the_embedded_core_has_it_imported_when_it_is_initialised() -> None:
    loaded = _loaded("embedded::memory:")
    assert "'flask_stsession.embedded.app'" in loaded
    assert "'sqlite3.dbapi2'" in loaded
