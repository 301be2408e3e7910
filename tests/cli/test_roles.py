"""``flask stsession roles``: roles, their permissions, and the users who have them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from support.commands import error_of, json_of, output_of, run_on

from flask_stsession import userroles
from flask_stsession.multitenancy import create_or_update_tenant

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """Return a function that runs ``flask stsession roles`` on ``app``."""
    return lambda *arguments: run_on(app, "roles", *arguments)


@pytest.fixture
def tenant(app: Flask) -> tuple[str, str]:
    """The option that names a tenant other than the default one, in which roles can be given."""
    with app.app_context():
        create_or_update_tenant("customer1")
        userroles.create_new_role_or_add_permissions("editor")
    return "--tenant", "customer1"


def test_roles_are_created_listed_and_deleted(run: Run) -> None:
    assert output_of(run("create", "editor", "write", "read")) == (
        "Created the role 'editor'. It permits: read, write.\n"
    )
    assert output_of(run("create", "admin")) == "Created the role 'admin'. It permits: nothing.\n"
    assert output_of(run("list")) == "ROLE    PERMISSIONS\nadmin   nothing\neditor  read, write\n"
    assert output_of(run("delete", "editor")) == "Deleted the role 'editor'.\n"
    assert output_of(run("list")) == "ROLE   PERMISSIONS\nadmin  nothing\n"


def test_permissions_are_added_to_an_existing_role_and_removed(run: Run) -> None:
    run("create", "editor", "read")
    assert output_of(run("create", "editor", "write")) == (
        "The role 'editor' exists. It permits: read, write.\n"
    )
    assert output_of(run("remove-permissions", "editor", "read", "other")) == (
        "The role 'editor' permits: write.\n"
    )


def test_without_roles_the_list_says_how_to_make_one(run: Run) -> None:
    assert output_of(run("list")) == (
        "There are no roles. Create one: flask stsession roles create ROLE [PERMISSION]...\n"
    )


def test_a_role_is_given_to_a_user_shown_and_taken_away(run: Run) -> None:
    run("create", "editor", "read", "write")
    assert output_of(run("give", "alice", "editor")) == "'alice' now has the role 'editor'.\n"
    assert output_of(run("give", "alice", "editor")) == "'alice' already had the role 'editor'.\n"
    assert output_of(run("show", "alice")) == "ROLE    PERMISSIONS\neditor  read, write\n"
    assert output_of(run("users", "editor")) == "USER\nalice\n"
    assert output_of(run("take", "alice", "editor")) == "'alice' no longer has the role 'editor'.\n"
    assert output_of(run("take", "alice", "editor")) == "'alice' did not have the role 'editor'.\n"
    assert output_of(run("show", "alice")) == "'alice' has no roles.\n"
    assert output_of(run("users", "editor")) == "Nobody has the role 'editor'.\n"


def test_roles_are_given_and_taken_in_a_tenant(run: Run, tenant: tuple[str, str]) -> None:
    assert output_of(run("give", "alice", "editor", *tenant)) == (
        "'alice' now has the role 'editor' in the tenant 'customer1'.\n"
    )
    assert output_of(run("show", "alice")) == "'alice' has no roles.\n"
    assert output_of(run("show", "alice", *tenant)) == "ROLE    PERMISSIONS\neditor  nothing\n"
    assert output_of(run("users", "editor", *tenant)) == "USER\nalice\n"
    assert output_of(run("users", "editor")) == "Nobody has the role 'editor'.\n"
    assert output_of(run("take", "alice", "editor", *tenant)) == (
        "'alice' no longer has the role 'editor' in the tenant 'customer1'.\n"
    )


def test_programs_get_the_same_as_json(run: Run, tenant: tuple[str, str]) -> None:
    assert json_of(run("create", "editor", "write", "read", "--json")) == {
        "role": "editor",
        "created": False,
        "permissions": ["read", "write"],
    }
    assert json_of(run("list", "--json")) == [{"role": "editor", "permissions": ["read", "write"]}]
    assert json_of(run("remove-permissions", "editor", "read", "--json")) == {
        "role": "editor",
        "permissions": ["write"],
    }
    given = {"user_id": "alice", "role": "editor", "tenant_id": "customer1", "has_role": True}
    assert json_of(run("give", "alice", "editor", *tenant, "--json")) == {**given, "changed": True}
    assert json_of(run("give", "alice", "editor", *tenant, "--json")) == {**given, "changed": False}
    assert json_of(run("show", "alice", *tenant, "--json")) == [{"role": "editor", "permissions": ["write"]}]
    assert json_of(run("users", "editor", *tenant, "--json")) == ["alice"]
    taken = {**given, "has_role": False}
    assert json_of(run("take", "alice", "editor", *tenant, "--json")) == {**taken, "changed": True}
    assert json_of(run("take", "alice", "editor", *tenant, "--json")) == {**taken, "changed": False}
    assert json_of(run("show", "alice", "--json")) == []
    assert json_of(run("users", "editor", "--json")) == []
    assert json_of(run("delete", "editor", "--json")) == {"role": "editor", "deleted": True}
    assert json_of(run("list", "--json")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("give", "alice", "typo"),
        ("take", "alice", "typo"),
        ("delete", "typo"),
        ("users", "typo"),
        ("remove-permissions", "typo", "read"),
    ],
)
def test_an_unknown_role_is_an_error_with_the_remedy(run: Run, arguments: tuple[str, ...]) -> None:
    assert error_of(run(*arguments)) == (
        "There is no role 'typo'. Create it with create_new_role_or_add_permissions('typo', [...]), "
        'or "flask stsession roles create typo".'
    )
