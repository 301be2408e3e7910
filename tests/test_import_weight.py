"""What is imported only by those who need it."""

from __future__ import annotations

import subprocess
import sys
from ast import literal_eval

import pytest

_APP = """
import sys
from flask import Flask
from flask_stsession import STSession
app = Flask("app")
app.config["STSESSION_CONNECTION_URI"] = {uri!r}
STSession(app)
parts = ("flask_stsession.embedded.", "flask_stsession.core.", "sqlite3.", "flask_stsession.claims.")
print(sorted(name for name in sys.modules if name.startswith(parts)))
"""
_CLAIMS = {"base", "validation", "validators", "primitive"}
_CORE = {"cache", "calls", "circuit", "client", "clock_check", "connections", "failures", "hooks", "http"}
_CORE |= {"models", "parsing"}
_NEEDED = {f"flask_stsession.claims.{name}" for name in _CLAIMS} | {
    f"flask_stsession.core.{name}" for name in _CORE
}


def _loaded_beyond_need(uri: str) -> list[str]:
    command = [sys.executable, "-c", _APP.format(uri=uri)]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(set(literal_eval(loaded)) - _NEEDED)


@pytest.mark.slow
def test_an_app_with_a_core_elsewhere_imports_what_sessions_need_and_no_more() -> None:
    assert _loaded_beyond_need("http://127.0.0.1:3567") == []


@pytest.mark.slow
def test_an_app_on_the_embedded_core_has_it_imported_when_it_is_initialised() -> None:
    loaded = _loaded_beyond_need("embedded::memory:")
    assert {"flask_stsession.core.in_process", "flask_stsession.embedded.app", "sqlite3.dbapi2"} <= {*loaded}
