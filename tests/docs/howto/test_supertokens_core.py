"""The how-to about moving to a SuperTokens core (supertokens-core.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documentation import Namespace, page_fixture
from support.running_cores import IN_PROCESS_URL, served

from flask_stsession import userroles
from flask_stsession.embedded.app import EmbeddedCore

pytestmark = pytest.mark.embedded_core

API_KEY = "the-api-key-of-that-core"
AS_A_FRONTEND = {"st-auth-mode": "cookie"}

namespace = page_fixture("howto/supertokens-core.md")


@pytest.fixture
def new_core() -> Iterator[str]:
    """The address of a core over HTTP that requires the API key of the page."""
    core = EmbeddedCore(":memory:", {"api_keys": API_KEY})
    with served(core) as url:
        yield url
    core.close()


def test_roles_move_and_sessions_end(namespace: Namespace, core_file: Path, new_core: str) -> None:
    assert new_core != IN_PROCESS_URL
    old, new = namespace["create_app"](f"embedded:{core_file}"), namespace["create_app"](new_core)
    with old.app_context():
        userroles.create_new_role_or_add_permissions("editor", ["write"])
        userroles.add_role_to_user("alice", "editor")
    client = old.test_client()
    client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
    assert client.get("/editors").json == {"editor": "alice"}
    namespace["copy_roles"](old, new)

    names = ("sAccessToken", "/"), ("sRefreshToken", "/auth/session/refresh")
    moved = new.test_client()
    for name, path in names:
        cookie = client.get_cookie(name, path=path)
        assert cookie is not None
        moved.set_cookie(name, cookie.value, path=path)
    assert moved.get("/editors").json == {"message": "try refresh token"}
    assert moved.post("/auth/session/refresh").json == {"message": "unauthorised"}
    assert all(moved.get_cookie(name, path=path) is None for name, path in names)

    moved.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
    assert moved.get("/editors").json == {"editor": "alice"}
    for app in (old, new):
        app.extensions["stsession"].close()
