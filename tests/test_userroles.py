"""Roles, what they permit and who has them, administered in the core of the current app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from support.app_factory import AppFactory, NewCore

from flask_stsession import CoreError, CoreUnavailableError, STSessionError, userroles
from flask_stsession.claims import PermissionClaim, UserRoleClaim
from flask_stsession.multitenancy import create_or_update_tenant
from flask_stsession.userroles import UnknownRoleError


@pytest.fixture
def core(app: Flask) -> Iterator[None]:
    """The context of an app, in whose core there is the role ``editor``."""
    with app.app_context():
        userroles.create_new_role_or_add_permissions("editor", ["read", "write"])
        yield


def test_the_claims_of_roles_and_permissions_can_be_imported_from_here() -> None:
    assert userroles.UserRoleClaim is UserRoleClaim
    assert userroles.PermissionClaim is PermissionClaim


@pytest.mark.usefixtures("core")
def test_a_role_is_created_once_and_gains_permissions_after_that() -> None:
    assert userroles.create_new_role_or_add_permissions("admin", ["read"]) is True
    assert userroles.create_new_role_or_add_permissions("admin", ["delete"]) is False
    assert userroles.create_new_role_or_add_permissions("admin") is False
    assert sorted(userroles.get_permissions_for_role("admin")) == ["delete", "read"]
    assert sorted(userroles.get_all_roles()) == ["admin", "editor"]


@pytest.mark.usefixtures("core")
def test_one_permission_needs_no_list() -> None:
    userroles.create_new_role_or_add_permissions("admin", "blog:delete")
    assert userroles.get_permissions_for_role("admin") == ["blog:delete"]
    userroles.remove_permissions_from_role("admin", "blog:delete")
    assert userroles.get_permissions_for_role("admin") == []


@pytest.mark.usefixtures("core")
def test_permissions_can_be_taken_from_a_role_and_roles_be_found_by_them() -> None:
    userroles.create_new_role_or_add_permissions("admin", ["write", "delete"])
    assert sorted(userroles.get_roles_that_have_permission("write")) == ["admin", "editor"]
    userroles.remove_permissions_from_role("editor", ["write", "never had"])
    assert userroles.get_roles_that_have_permission("write") == ["admin"]
    assert userroles.get_roles_that_have_permission("unheard of") == []


@pytest.mark.usefixtures("core")
def test_a_deleted_role_is_taken_from_all_who_had_it() -> None:
    userroles.add_role_to_user("alice", "editor")
    assert userroles.delete_role("editor") is True
    assert userroles.get_roles_for_user("alice") == []
    assert userroles.delete_role("editor") is False


@pytest.mark.usefixtures("core")
def test_a_user_is_given_a_role_and_loses_it_again() -> None:
    assert userroles.add_role_to_user("alice", "editor") is True
    assert userroles.add_role_to_user("alice", "editor") is False
    assert userroles.get_roles_for_user("alice") == ["editor"]
    assert userroles.get_users_that_have_role("editor") == ["alice"]
    assert userroles.remove_user_role("alice", "editor") is True
    assert userroles.remove_user_role("alice", "editor") is False
    assert userroles.get_roles_for_user("alice") == []


@pytest.mark.usefixtures("core")
def test_users_have_roles_in_a_tenant_named_by_keyword_or_in_the_default_one() -> None:
    create_or_update_tenant("customer1")
    assert userroles.add_role_to_user("alice", "editor", tenant_id="customer1")
    assert userroles.get_roles_for_user("alice", tenant_id="customer1") == ["editor"]
    assert userroles.get_users_that_have_role("editor", tenant_id="customer1") == ["alice"]
    assert userroles.get_roles_for_user("alice") == []
    assert userroles.get_users_that_have_role("editor") == []
    assert userroles.remove_user_role("alice", "editor") is False
    assert userroles.remove_user_role("alice", "editor", tenant_id="customer1") is True


@pytest.mark.parametrize(
    ("call", "takes", "usage"),
    [
        (
            lambda their: their.add_role_to_user("public", "alice", "editor"),
            "user_id and role as positional arguments",
            "add_role_to_user(user_id, role, *, tenant_id='public')",
        ),
        (
            lambda their: their.remove_user_role("public", "alice", "editor"),
            "user_id and role as positional arguments",
            "remove_user_role(user_id, role, *, tenant_id='public')",
        ),
        (
            lambda their: their.get_roles_for_user("public", "alice"),
            "user_id as a positional argument",
            "get_roles_for_user(user_id, *, tenant_id='public')",
        ),
        (
            lambda their: their.get_users_that_have_role("public", "editor"),
            "role as a positional argument",
            "get_users_that_have_role(role, *, tenant_id='public')",
        ),
    ],
)
def test_a_call_in_the_order_of_supertokens_python_is_refused_with_our_spelling(
    call: Callable[[Any], Any], takes: str, usage: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call(userroles)
    name = usage.partition("(")[0]
    assert str(caught.value) == (
        f"{name}() takes only {takes}: write {usage}. Unlike in supertokens-python, the tenant is a keyword."
    )


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize(
    "use",
    [
        lambda: userroles.get_permissions_for_role("typo"),
        lambda: userroles.remove_permissions_from_role("typo", ["read"]),
        lambda: userroles.get_users_that_have_role("typo"),
        lambda: userroles.add_role_to_user("alice", "typo"),
        lambda: userroles.remove_user_role("alice", "typo", tenant_id="public"),
    ],
)
def test_an_unknown_role_is_an_error_that_says_how_to_make_it(use: Callable[[], Any]) -> None:
    with pytest.raises(UnknownRoleError) as caught:
        use()
    assert isinstance(caught.value, STSessionError)
    assert caught.value.role == "typo"
    assert caught.value.reason == "core_refused"
    assert str(caught.value) == (
        "There is no role 'typo'. Create it with create_new_role_or_add_permissions('typo', [...]), or "
        '"flask stsession roles create typo".'
    )


@pytest.mark.usefixtures("core")
def test_an_unknown_tenant_is_named() -> None:
    with pytest.raises(CoreError, match=r"tenant.*customer2"):
        userroles.add_role_to_user("alice", "editor", tenant_id="customer2")


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("user_id", [7, "", None, True])
def test_an_invalid_user_id_is_refused_before_the_core_is_called(user_id: Any) -> None:
    with pytest.raises(TypeError) as caught:
        userroles.add_role_to_user(user_id, "editor")
    assert (
        str(caught.value)
        == f"user_id must be a non-empty str, not {user_id!r}: write str(user.id) for a number."
    )


@pytest.mark.usefixtures("core")
def test_invalid_role_and_permission_names_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^role must be a non-empty str, not ''\.$"):
        userroles.delete_role("")
    wrong: Any = ["read", 7]
    with pytest.raises(
        TypeError, match=r"^permissions takes a name or a list of names, not \['read', 7\]\.$"
    ):
        userroles.create_new_role_or_add_permissions("admin", wrong)


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize(
    "use",
    [
        userroles.create_new_role_or_add_permissions,
        lambda name: userroles.create_new_role_or_add_permissions("admin", ["read", name]),
        lambda name: userroles.add_role_to_user("alice", name),
        userroles.get_roles_that_have_permission,
    ],
)
@pytest.mark.parametrize("name", ["editor ", "\teditor", "\u3000editor"])
def test_names_with_blanks_around_them_are_refused(use: Callable[[str], Any], name: str) -> None:
    with pytest.raises(ValueError, match="which begins or ends with a blank"):
        use(name)


def test_missing_arguments_raise_pythons_own_type_error() -> None:
    give: Any = userroles.add_role_to_user
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'role'"):
        give("alice")


def test_without_an_app_context_the_error_says_what_to_do() -> None:
    with pytest.raises(RuntimeError) as caught:
        userroles.get_all_roles()
    assert str(caught.value) == (
        "flask-stsession was used outside of an app context, so it cannot know which app is meant. Use "
        'app.extensions["stsession"], or do it in "with app.app_context():".'
    )


def test_each_app_asks_its_own_core(app: Flask, new_core: NewCore) -> None:
    with app.app_context():
        userroles.create_new_role_or_add_permissions("admin")
    with new_core() as config:
        factory = AppFactory(config)
        with factory(name="other").app_context():
            assert userroles.get_all_roles() == []
        factory.close()


def test_a_core_that_cannot_be_reached_is_an_outage(make_app: AppFactory) -> None:
    app = make_app(connection_uri="http://127.0.0.1:1")
    with app.app_context(), pytest.raises(CoreUnavailableError, match=r"127\.0\.0\.1:1"):
        userroles.get_roles_for_user("alice")
