"""Tools that mock, record, cache or forbid an app's requests: they do not see the core in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import pytest_socket
import requests
import requests_cache
import requests_mock
import responses
import vcr
from flask import Flask
from requests_cache.backends.base import BaseCache
from support.app_factory import AppFactory

from flask_stsession import STSession, get_all_session_handles_for_user, userroles, verify_session
from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core

URL = "http://127.0.0.1:9/of-the-app"

#: Yields a function that returns how many requests the tool has seen.
Tool = Callable[[Path], AbstractContextManager[Callable[[], int]]]


@contextmanager
def _requests_mock(folder: Path) -> Iterator[Callable[[], int]]:
    with requests_mock.Mocker() as mocker:
        mocker.get(URL, text="by the tool")
        yield lambda: mocker.call_count


@contextmanager
def _requests_mock_of_everything(folder: Path) -> Iterator[Callable[[], int]]:
    with requests_mock.Mocker() as mocker:
        mocker.register_uri(requests_mock.ANY, requests_mock.ANY, text="by the tool")
        yield lambda: mocker.call_count


@contextmanager
def _responses(folder: Path) -> Iterator[Callable[[], int]]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocker:
        mocker.get(URL, body="by the tool")
        yield lambda: len(mocker.calls)


@contextmanager
def _vcrpy(folder: Path) -> Iterator[Callable[[], int]]:
    (folder / "cassette.yaml").write_text(
        f"""
version: 1
interactions:
- request: {{method: GET, uri: "{URL}", body: null, headers: {{}}}}
  response: {{status: {{code: 200, message: OK}}, headers: {{}}, body: {{string: by the tool}}}}
""",
        encoding="utf-8",
    )
    with vcr.use_cassette(folder / "cassette.yaml", record_mode="none") as cassette:
        yield lambda: cassette.play_count


TOOLS = {
    "requests-mock": _requests_mock,
    "requests-mock of everything": _requests_mock_of_everything,
    "responses": _responses,
    "vcrpy": _vcrpy,
}


@pytest.fixture
def app(make_app: AppFactory) -> Flask:
    app = make_app(check_database=True)

    @app.get("/report")
    @verify_session(roles="admin", max_age_in_sec=0)
    def report() -> str:
        return requests.get(URL, timeout=5).text

    return app


def use(app: Flask) -> None:
    """Ask the core in every way: make, verify, refresh and end sessions; roles and keys."""
    client = app.test_client()
    login(client, "alice", roles=["admin"])
    assert client.get("/user").status_code == 200
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/auth/jwt/jwks.json").status_code == 200
    with app.app_context():
        assert get_all_session_handles_for_user("alice")
        assert userroles.get_roles_for_user("alice") == ["admin"]
        userroles.remove_user_role("alice", "admin")
        assert userroles.get_roles_for_user("alice") == []
        userroles.add_role_to_user("alice", "admin")
    assert client.post("/auth/signout").status_code == 200


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_tool_sees_the_requests_of_the_app_and_not_those_to_the_core(
    app: Flask, tool: Tool, tmp_path: Path
) -> None:
    with tool(tmp_path) as seen:
        use(app)
        assert seen() == 0
        client = app.test_client()
        login(client, "alice", roles=["admin"])
        assert client.get("/report").text == "by the tool"
        assert seen() == 1
        use(app)
        assert seen() == 1


def test_a_cache_keeps_nothing_of_the_core(make_app: AppFactory) -> None:
    cache = BaseCache()
    requests_cache.install_cache(backend=cache)
    try:
        use(make_app(check_database=True))
        assert len(cache.responses) == 0
    finally:
        requests_cache.uninstall_cache()  # type: ignore[no-untyped-call]


def test_the_core_needs_no_sockets(make_app: AppFactory) -> None:
    pytest_socket.disable_socket()
    try:
        use(make_app(check_database=True))
    finally:
        pytest_socket.enable_socket()


def test_an_app_whose_core_is_mocked_by_hand_reaches_its_mock(core_config: dict[str, str]) -> None:
    app = Flask("mocked")
    app.config["STSESSION_CONNECTION_URI"] = "http://core.example.com:3567"
    STSession(app)
    with responses.RequestsMock() as mocker, app.app_context():
        mocker.get("http://core.example.com:3567/apiversion", json={"versions": ["5.5"]})
        mocker.get("http://core.example.com:3567/recipe/roles", json={"status": "OK", "roles": ["admin"]})
        assert userroles.get_all_roles() == ["admin"]
