"""The how-to about roles (roles.md): with roles of the core, and with those of a table of the app's own."""

from __future__ import annotations

import shlex

import pytest
from support.documentation import page

from flask_stsession.cli import stsession_group
from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core  # the page configures no core

PAGE = page("howto/roles.md")
BY_CORE, BY_TABLE = PAGE.blocks()


def test_guards_ask_for_roles_and_permissions_of_the_core() -> None:
    with PAGE.running(BY_CORE) as namespace:
        app = namespace["app"]
        with app.app_context():
            namespace["set_up_roles"]()
        admin, bob = app.test_client(), app.test_client()
        login(admin, "1", roles=["admin"])
        login(bob, "2")
        assert bob.post("/articles").status_code == 403
        assert admin.post("/users/2/editor").json == {"is_new": True}
        login(bob, "2")
        assert bob.post("/articles").json == {"author": "2"}
        assert bob.get("/drafts").json == {"drafts": []}
        assert bob.delete("/articles/7").status_code == 403
        assert admin.delete("/articles/7").json == {"deleted": 7}


def test_the_commands_create_the_same_roles() -> None:
    (block,) = PAGE.blocks("sh")
    with PAGE.running(BY_CORE) as namespace:
        runner = namespace["app"].test_cli_runner()
        for line in block.code.splitlines():
            ran = runner.invoke(stsession_group, shlex.split(line)[2:])
            assert ran.exit_code == 0, ran.output
        client = namespace["app"].test_client()
        login(client, "1")
        assert client.delete("/articles/7").json == {"deleted": 7}


def test_guards_ask_a_table_of_the_apps_own() -> None:
    with PAGE.running(BY_CORE, BY_TABLE) as namespace:
        admin, bob = namespace["app"].test_client(), namespace["app"].test_client()
        login(admin, "1")
        login(bob, "2")
        assert admin.delete("/articles/7").json == {"deleted": 7}
        assert bob.post("/articles").json == {"author": "2"}
        assert bob.delete("/articles/7").status_code == 403
