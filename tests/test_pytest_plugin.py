"""The fixtures for pytest, as another project gets them by the entry point of this package."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Load the plugin once, whether or not the installed package has the entry point.
OPTIONS = ["-p", "no:stsession", "-p", "flask_stsession.pytest_plugin", "-p", "no:cacheprovider", "-q"]

CONFTEST = """
import pytest
from flask import Flask
from flask_stsession import STSession, verify_session

def create_app(**settings):
    app = Flask("project")
    app.config.update({"STSESSION_CONNECTION_URI": "http://core.invalid"} | settings)
    STSession(app)

    @app.get("/account")
    @verify_session()
    def account():
        return "the account"

    return app

@pytest.fixture
def app(stsession_core):
    return create_app(**stsession_core.settings)
"""

TESTS = """
import pytest
from flask.testing import FlaskClient
from flask_stsession.testing import STSessionClient, STSessionClientMixin, login

class APIClient(FlaskClient):
    def account(self):
        return self.get("/account").text

def test_by_the_client(stsession_client):
    assert stsession_client.get("/account").status_code == 401
    stsession_client.login("alice")
    assert stsession_client.get("/account").text == "the account"

class SubclassedClient(STSessionClient):
    pass

class MixedClient(STSessionClientMixin, APIClient):
    pass

@pytest.mark.parametrize("own", [SubclassedClient, MixedClient])
def test_a_client_of_the_apps_own_that_can_sign_in_is_taken_as_it_is(app, request, own):
    app.test_client_class = own
    assert type(request.getfixturevalue("stsession_client")) is own

def test_a_client_of_the_apps_own_that_cannot_sign_in_gets_the_methods(app, request):
    app.test_client_class = APIClient
    client = request.getfixturevalue("stsession_client")
    client.login("alice")
    assert client.account() == "the account"
    assert isinstance(client, APIClient) and isinstance(client, STSessionClient)

def test_a_function_may_make_the_client(app, request):
    app.test_client_class = lambda *args, **options: MixedClient(*args, **options)
    client = request.getfixturevalue("stsession_client")
    client.login("alice")
    assert client.account() == "the account"

def test_a_function_whose_client_cannot_sign_in_is_refused(app, request):
    app.test_client_class = lambda *args, **options: APIClient(*args, **options)
    with pytest.raises(TypeError, match="cannot sign in.*class Client.STSessionClientMixin, FlaskClient."):
        request.getfixturevalue("stsession_client")

def test_an_outage(stsession_client, stsession_core):
    with stsession_core.down():
        assert stsession_client.post("/auth/session/refresh").status_code == 401
    stsession_client.login("alice")
    with stsession_core.down():
        assert stsession_client.post("/auth/session/refresh").status_code == 503

def test_by_function(app):
    client = app.test_client()
    login(client, "alice", roles=["admin"])
    assert client.get("/account").status_code == 200
"""

UNUSED = """
import sys

def test_nothing_is_imported():
    ours = {name for name in sys.modules if name.partition(".")[0] == "flask_stsession"}
    assert ours == {"flask_stsession", "flask_stsession.pytest_plugin"}
    assert "flask" not in sys.modules
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_project_gets_a_client_and_a_core(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_account.py").write_text(TESTS, encoding="utf-8")
    done = run(tmp_path, "-W", "error")
    assert "8 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_project_that_uses_no_fixture_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(UNUSED, encoding="utf-8")
    done = run(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_plugin_is_an_entry_point() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    [entry_points] = [ast.literal_eval(each.value) for each in keywords if each.arg == "entry_points"]
    assert entry_points["pytest11"] == ["stsession=flask_stsession.pytest_plugin"]
