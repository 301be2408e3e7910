"""The how-to about users from a table of the app's own (own-users.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documentation import Namespace, page

from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core  # the page configures no core


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Namespace]:
    """What the page defines, with a table of users."""
    with page("howto/own-users.md").running() as made:
        made["app"].config["USERS"] = str(tmp_path / "users.db")
        made["create_user"]("alice", "correct horse")
        yield made


def test_a_password_opens_a_session_of_the_user(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    wrong = client.post("/login", json={"name": "alice", "password": "wrong"})
    assert (wrong.status_code, wrong.json) == (403, {"status": "WRONG_CREDENTIALS"})
    sign_in = {"name": "alice", "password": "correct horse"}
    assert client.post("/login", json=sign_in, headers={"st-auth-mode": "cookie"}).json == {"status": "OK"}
    assert client.get("/me").json == {"id": 1, "name": "alice"}


def test_a_deactivated_user_is_out_at_once(namespace: Namespace) -> None:
    app = namespace["app"]
    alice, admin = app.test_client(), app.test_client()
    login(alice, "1")
    login(admin, "2", roles=["admin"])
    assert alice.get("/me").status_code == 200
    assert admin.post("/users/1/deactivate").json == {"ended": 1}
    assert alice.get("/me").status_code == 401


def test_a_user_who_is_gone_from_the_table_loses_the_session(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "1")
    namespace["query"]("DELETE FROM user")
    assert client.get("/me").status_code == 401
    assert client.post("/auth/session/refresh").status_code == 401
