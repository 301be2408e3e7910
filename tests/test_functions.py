"""The functions of the package: the methods of the current app's extension object."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
from flask import Flask

import flask_stsession
from flask_stsession import STSession, emailverification, functions, multitenancy, userroles
from flask_stsession.claims import UserRoleClaim

#: They ask no app, or need none.
STATIC = ("get_all_cors_headers", "next_url", "openapi_security_schemes")
FUNCTIONS = sorted(
    name
    for name in flask_stsession.__all__
    if inspect.isfunction(getattr(functions, name, None)) and name not in STATIC
)


@pytest.mark.parametrize("name", flask_stsession.__all__)
def test_help_shows_the_signature_that_a_caller_uses(name: str) -> None:
    exported = getattr(flask_stsession, name)
    if not inspect.isfunction(exported):
        return
    parameters = inspect.signature(exported).parameters
    assert "self" not in parameters
    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    assert name == "any_of" or all(
        each.kind is not inspect.Parameter.VAR_POSITIONAL for each in parameters.values()
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_signature_and_the_text_of_its_method(app: Flask, name: str) -> None:
    function, method = getattr(functions, name), getattr(app.extensions["stsession"], name)
    assert inspect.signature(function) == inspect.signature(method)
    assert inspect.getdoc(function) == inspect.getdoc(method)


def test_every_public_method_has_its_function() -> None:
    assert [name for name in FUNCTIONS if not hasattr(STSession, name)] == []


# Wrong types say what to write


class Role(Enum):
    """As apps list their roles."""

    ADMIN = "admin"


#: Without their types, which would refuse the calls below before they are made.
called: Any = functions
roles: Any = userroles
tenants: Any = multitenancy
emails: Any = emailverification


def must_be_text(argument: str, value: str, instead: str) -> str:
    return f"{argument} must be a non-empty str, not {value}: write {instead}."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: called.revoke_all_sessions_for_user(5),
            "user_id must be a non-empty str, not 5: write str(user.id) for a number.",
        ),
        (
            lambda: called.create_new_session_without_request_response("alice", recipe_user_id=5),
            must_be_text("recipe_user_id", "5", "str(recipe_user_id)"),
        ),
        (
            lambda: called.create_new_session_without_request_response("alice", tenant_id=b"x"),
            must_be_text("tenant_id", "b'x'", "tenant_id.decode()"),
        ),
        (
            lambda: called.list_sessions("alice", tenant_id=5),
            must_be_text("tenant_id", "5", "str(tenant_id)"),
        ),
        (
            lambda: roles.get_roles_for_user("alice", tenant_id=5),
            must_be_text("tenant_id", "5", "str(tenant_id)"),
        ),
        (
            lambda: roles.add_role_to_user("alice", Role.ADMIN),
            must_be_text("role", "<Role.ADMIN: 'admin'>", "role.value"),
        ),
        (lambda: roles.delete_role(None), "role must be a non-empty str, not None."),
        (lambda: tenants.get_tenant(5), must_be_text("tenant_id", "5", "str(tenant_id)")),
        (lambda: tenants.delete_tenant(5), must_be_text("tenant_id", "5", "str(tenant_id)")),
        (lambda: tenants.create_or_update_tenant(5), must_be_text("tenant_id", "5", "str(tenant_id)")),
        (
            lambda: emails.is_email_verified("alice", 5),
            must_be_text("email", "5", "str(email)"),
        ),
        (
            lambda: emails.verify_email_using_token(None),
            "token must be a non-empty str, not None.",
        ),
        (
            lambda: called.revoke_multiple_sessions(5),
            "handles must be several session handles, not 5: write [handle].",
        ),
        (
            lambda: called.revoke_multiple_sessions(b"x"),
            "handles must be several session handles, not a str: write revoke_session(handle).",
        ),
        (lambda: called.revoke_session(5), "handle must be a str, not 5: write session.get_handle()."),
        (lambda: called.verify_access_token(b"x"), "token must be a str, not bytes: write token.decode()."),
        (
            lambda: called.create_jwt({}, "60"),
            "validity_seconds must be a number of seconds, not '60'.",
        ),
        (
            lambda: called.get_claim_value("st-role", session_handle="a-handle"),
            "claim must be a claim such as UserRoleClaim, not 'st-role'.",
        ),
        (
            lambda: called.set_claim_value("st-role", [], session_handle="a-handle"),
            "claim must be a claim such as UserRoleClaim, not 'st-role'.",
        ),
        (
            lambda: called.fetch_and_set_claim(None, session_handle="a-handle"),
            "claim must be a claim such as UserRoleClaim, not None.",
        ),
    ],
)
def test_a_wrong_type_says_what_to_write(app: Flask, call: Callable[[], Any], message: str) -> None:
    with app.app_context(), pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == message


def test_a_validator_in_place_of_its_claim_is_refused(app: Flask) -> None:
    validator: Any = UserRoleClaim.validators.includes("admin")
    with app.app_context(), pytest.raises(TypeError, match=r"^claim must be a claim such as UserRoleClaim"):
        functions.remove_claim(validator, session_handle="a-handle")
