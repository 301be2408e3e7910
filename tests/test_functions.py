"""The functions of the package: the methods of the current app's extension object."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import pytest
from flask import Flask

import flask_stsession
from flask_stsession import (
    CoreError,
    SessionDoesNotExistError,
    STSession,
    aws_lambda,
    claims,
    emailverification,
    functions,
    multitenancy,
    testing,
    usermetadata,
    userroles,
)
from flask_stsession.claims import UserRoleClaim

#: They ask no app, or need none.
STATIC = ("get_all_cors_headers", "openapi_security_schemes")
FUNCTIONS = sorted(
    name
    for name in flask_stsession.__all__
    if inspect.isfunction(getattr(functions, name, None)) and name not in STATIC
)


#: Where public names are.
PUBLIC = (
    flask_stsession,
    aws_lambda,
    claims,
    emailverification,
    multitenancy,
    testing,
    usermetadata,
    userroles,
)


def documented() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function and class, and every method of ours of a public class or object."""
    for module in PUBLIC:
        for name in module.__all__:
            value = getattr(module, name)
            made = getattr(value, "__init__", None) if inspect.isclass(value) else value
            if inspect.isfunction(made) and made.__module__.startswith(flask_stsession.__name__):
                yield f"{module.__name__}.{name}", value
            owner = value if inspect.isclass(value) else type(value)
            for each, method in inspect.getmembers(owner, inspect.isfunction):
                if not each.startswith("_") and method.__module__.startswith(flask_stsession.__name__):
                    yield f"{module.__name__}.{name}.{each}", method


@pytest.mark.parametrize(("name", "function"), [pytest.param(*each, id=each[0]) for each in documented()])
def test_help_shows_the_signature_that_a_caller_uses(name: str, function: Callable[..., Any]) -> None:
    signature = inspect.signature(function)
    parameters = signature.parameters
    assert " at 0x" not in str(signature)
    kinds = {each.kind for each in parameters.values()}
    assert name.count(".") > 1 or "self" not in parameters
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert name == "flask_stsession.any_of" or inspect.Parameter.VAR_POSITIONAL not in kinds
    assert inspect.getdoc(function)


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (claims.UserRoleClaim.build, "(user_id, tenant_id='public', user_context=None, *, ensure_sync=None)"),
        (claims.PrimitiveClaim.fetch_value, "(self, user_id, tenant_id, user_context)"),
        (testing.STSessionClient.login, str(inspect.signature(testing.login))),
    ],
)
def test_help_shows_the_usual_signature_of_an_overloaded_function(
    function: Callable[..., Any], shown: str
) -> None:
    assert str(inspect.signature(function)) == shown


@pytest.mark.parametrize("function", [STSession.protect, aws_lambda.verify_session_event])
def test_help_shows_the_arguments_of_a_guard_where_they_are_passed_on(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters
    passed = inspect.signature(flask_stsession.verify_session).parameters
    assert [name for name in parameters if name in passed] == list(passed)
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in passed)


@pytest.mark.parametrize("name", ["current_session", "current_user"])
def test_help_shows_the_documentation_of_a_proxy(name: str) -> None:
    text = pydoc.render_doc(getattr(flask_stsession, name))
    assert "falsy where" in text
    assert "Working outside" not in text


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
        (
            lambda: roles.create_new_role_or_add_permissions("admin", 5),
            "permissions takes a name or a list of names, not 5.",
        ),
        (
            lambda: roles.create_new_role_or_add_permissions("admin", {"read": True}),
            "permissions takes a name or a list of names, not {'read': True}.",
        ),
        (
            lambda: roles.remove_permissions_from_role("admin", None),
            "permissions takes a name or a list of names, not None.",
        ),
        (
            lambda: tenants.create_or_update_tenant("acme", first_factors=5),
            "first_factors takes a name or a list of names, not 5.",
        ),
        (
            lambda: called.verify_oauth2_access_token("a-token", scopes=5),
            "scopes takes a name or a list of names, not 5.",
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


CREATES = ("create_new_session", "create_new_session_without_request_response")
VERIFIES = ("get_session", "verify_access_token", "get_session_without_request_response")


def given_first(name: str) -> tuple[str, ...]:
    """Return the positional arguments of a call, up to its flags."""
    return () if name == "get_session" else ("alice",)


@pytest.mark.parametrize("value", ["false", "", 0, []])
@pytest.mark.parametrize(
    ("name", "flag", "takes_none"),
    [
        ("create_new_session", "disable_anti_csrf", True),
        ("create_new_session", "remember", True),
        ("create_new_session", "allow_cross_site", False),
        ("create_new_session", "keep_previous", False),
        ("create_new_session_without_request_response", "disable_anti_csrf", False),
        ("get_session", "session_required", False),
        ("get_session", "anti_csrf_check", True),
        ("get_session", "check_database", True),
        ("get_session_without_request_response", "anti_csrf_check", True),
        ("get_session_without_request_response", "check_database", True),
        ("verify_access_token", "check_database", True),
        ("verify_oauth2_access_token", "check_database", False),
        ("revoke_all_sessions_for_user", "revoke_across_all_tenants", False),
        ("get_all_session_handles_for_user", "fetch_across_all_tenants", False),
    ],
)
def test_a_flag_that_is_not_a_bool_is_refused(
    app: Flask, name: str, flag: str, takes_none: bool, value: object
) -> None:
    with app.test_request_context(), pytest.raises(TypeError) as caught:
        getattr(called, name)(*given_first(name), **{flag: value})
    kinds = "True, False or None" if takes_none else "True or False"
    assert str(caught.value) == (
        f"{name}() takes {kinds} as {flag}, not {value!r}. Write {flag}=True or {flag}=False."
    )


def test_none_is_refused_for_a_flag_that_is_not_optional(app: Flask) -> None:
    with app.test_request_context():
        with pytest.raises(TypeError, match=r"^get_session\(\) takes True or False as session_required"):
            called.get_session(None, None)
        with pytest.raises(TypeError, match=r"^create_jwt\(\) takes True, False or None as use_static"):
            called.create_jwt({}, use_static_signing_key="no")


def test_an_anti_csrf_token_in_the_place_of_a_flag_does_not_turn_the_check_off(app: Flask) -> None:
    with app.app_context(), pytest.raises(TypeError) as caught:
        called.refresh_session_without_request_response("a-refresh-token", "an-anti-csrf-token")
    assert str(caught.value) == (
        "refresh_session_without_request_response() takes True or False as disable_anti_csrf, not <token of "
        "18 characters>. Write anti_csrf_token=... for a token, or disable_anti_csrf=True or nothing."
    )


@pytest.mark.parametrize("name", [*VERIFIES, "validate_claims_for_session_handle"])
def test_a_list_of_validators_is_refused_as_an_override(app: Flask, name: str) -> None:
    with app.test_request_context(), pytest.raises(TypeError) as caught:
        getattr(called, name)(*given_first(name), override_global_claim_validators=[])
    assert str(caught.value) == (
        f"{name}() takes a function of (global_validators, session, user_context) as "
        "override_global_claim_validators, not []. Write lambda validators, *_: [*validators, more]."
    )


@pytest.mark.parametrize("name", CREATES)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"tenant_id": ""},
            ValueError,
            "tenant_id is '', which consists of blanks only: pass the id itself.",
        ),
        (
            {"tenant_id": 0},
            TypeError,
            "tenant_id must be a non-empty str, not 0: write str(tenant_id).",
        ),
        ({"access_token_payload": []}, TypeError, "access_token_payload must be a dict, not list."),
        ({"session_data_in_database": ""}, TypeError, "session_data_in_database must be a dict, not str."),
    ],
)
def test_an_empty_value_of_a_new_session_is_not_the_default(
    app: Flask, name: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with app.test_request_context(), pytest.raises(error) as caught:
        getattr(called, name)("alice", **arguments)
    assert str(caught.value) == message


#: Every function that takes a tenant, called with the arguments that it needs beside.
WITH_TENANT: list[Callable[[Any], Any]] = [
    lambda tenant: called.create_new_session_without_request_response("alice", tenant_id=tenant),
    lambda tenant: called.revoke_all_sessions_for_user("alice", tenant_id=tenant),
    lambda tenant: called.get_all_session_handles_for_user("alice", tenant_id=tenant),
    lambda tenant: called.list_sessions("alice", tenant_id=tenant),
    lambda tenant: roles.add_role_to_user("alice", "admin", tenant_id=tenant),
    lambda tenant: roles.remove_user_role("alice", "admin", tenant_id=tenant),
    lambda tenant: roles.get_roles_for_user("alice", tenant_id=tenant),
    lambda tenant: roles.get_users_that_have_role("admin", tenant_id=tenant),
    lambda tenant: emails.create_email_verification_token("alice", email="a@b.example", tenant_id=tenant),
    lambda tenant: emails.verify_email_using_token("token", tenant_id=tenant),
    lambda tenant: emails.revoke_email_verification_tokens("alice", email="a@b.example", tenant_id=tenant),
    lambda tenant: tenants.associate_user_to_tenant(tenant, "alice"),
    lambda tenant: tenants.disassociate_user_from_tenant(tenant, "alice"),
]
#: Those to which a tenant that does not exist is no error.
ABOUT_TENANT: list[Callable[[Any], Any]] = [
    lambda tenant: emails.is_email_verified("alice", "a@b.example", tenant_id=tenant),
    lambda tenant: emails.unverify_email("alice", "a@b.example", tenant_id=tenant),
    multitenancy.create_or_update_tenant,
    multitenancy.get_tenant,
    multitenancy.delete_tenant,
]


@pytest.mark.parametrize("call", WITH_TENANT + ABOUT_TENANT)
def test_a_tenant_id_with_blanks_around_it_is_refused(app: Flask, call: Callable[[Any], Any]) -> None:
    with app.app_context():
        userroles.create_new_role_or_add_permissions("admin")
        multitenancy.create_or_update_tenant("acme")
        with pytest.raises(ValueError, match=r"^tenant_id is 'acme ', which begins or ends with a blank"):
            call("acme ")
        assert multitenancy.get_tenant("acme") is not None


@pytest.mark.parametrize("call", WITH_TENANT)
def test_a_tenant_that_does_not_exist_is_named_with_the_call_that_creates_it(
    app: Flask, call: Callable[[Any], Any]
) -> None:
    with app.app_context():
        userroles.create_new_role_or_add_permissions("admin")
        with pytest.raises(multitenancy.UnknownTenantError) as caught:
            call("nope")
    assert isinstance(caught.value, CoreError)
    assert isinstance(caught.value, LookupError)
    assert str(caught.value) == (
        "There is no tenant 'nope'. Create it with multitenancy.create_or_update_tenant('nope')."
    )
    assert (caught.value.tenant_id, caught.value.status) == ("nope", 400)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("user_id", functions.create_new_session_without_request_response),
        ("user_id", functions.list_sessions),
        ("user_id", functions.revoke_all_sessions_for_user),
        ("user_id", usermetadata.get_user_metadata),
        ("role", userroles.create_new_role_or_add_permissions),
        ("permissions", lambda text: roles.create_new_role_or_add_permissions("admin", [text])),
        ("tenant_id", multitenancy.create_or_update_tenant),
        ("first_factors", lambda text: tenants.create_or_update_tenant("acme", first_factors=[text])),
        ("recipe_user_id", lambda text: emails.is_email_verified(text, "a@b.example")),
        ("email", lambda text: emails.is_email_verified("alice", text)),
    ],
)
def test_text_that_utf8_cannot_encode_is_no_id(app: Flask, argument: str, call: Callable[[str], Any]) -> None:
    with app.app_context(), pytest.raises(ValueError, match=f"^{argument} is text with half a surrogate"):
        call("x\ud800")


def test_a_handle_that_utf8_cannot_encode_matches_no_session(app: Flask) -> None:
    handle = "x\ud800"
    with app.app_context():
        assert functions.get_session_information(handle) is None
        assert functions.revoke_session(handle) is False
        assert functions.revoke_multiple_sessions([handle]) == []
        assert functions.update_session_data_in_database(handle, {}) is False
        assert functions.merge_into_access_token_payload(handle, {"a": 1}) is False
        assert functions.set_claim_value(UserRoleClaim, ["admin"], session_handle=handle) is False
        with pytest.raises(SessionDoesNotExistError):
            functions.get_claim_value(UserRoleClaim, session_handle=handle)


NO_USER_CONTEXT = "Unlike in supertokens-python, there is no user_context."
HANDLE_BY_KEYWORD = "Unlike in supertokens-python, the session handle is a keyword."
TENANT_BY_KEYWORD = "Unlike in supertokens-python, the tenant is a keyword."
OPTIONS_BY_KEYWORD = "Unlike in supertokens-python, options are keywords."


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "set_claim_value",
            ("a-handle", UserRoleClaim, ["admin"]),
            "claim and value as positional arguments: write set_claim_value(claim, value, *, "
            f"session_handle=None). {HANDLE_BY_KEYWORD}",
        ),
        *(
            (
                name,
                ("a-handle", UserRoleClaim),
                f"claim as a positional argument: write {name}(claim, *, session_handle=None). "
                f"{HANDLE_BY_KEYWORD}",
            )
            for name in ("get_claim_value", "sync_get_claim_value", "fetch_and_set_claim", "remove_claim")
        ),
        (
            "revoke_all_sessions_for_user",
            ("alice", True, "public"),
            "user_id as a positional argument: write revoke_all_sessions_for_user(user_id, *, "
            f"tenant_id=None, revoke_across_all_tenants=True). {TENANT_BY_KEYWORD}",
        ),
        (
            "get_all_session_handles_for_user",
            ("alice", True),
            "user_id as a positional argument: write get_all_session_handles_for_user(user_id, *, "
            f"tenant_id=None, fetch_across_all_tenants=True). {TENANT_BY_KEYWORD}",
        ),
        (
            "list_sessions",
            ("alice", "public"),
            "user_id as a positional argument: write list_sessions(user_id, *, tenant_id=None). "
            f"{TENANT_BY_KEYWORD}",
        ),
        (
            "validate_claims_for_session_handle",
            ("a-handle", lambda validators, *_: validators),
            "handle as a positional argument: write validate_claims_for_session_handle(handle, *, "
            f"override_global_claim_validators=None). {OPTIONS_BY_KEYWORD}",
        ),
        (
            "create_jwt",
            ({}, 5, True),
            "payload and validity_seconds as positional arguments: write create_jwt(payload, "
            f"validity_seconds=None, *, use_static_signing_key=None). {OPTIONS_BY_KEYWORD}",
        ),
        (
            "merge_into_access_token_payload",
            ("a-handle", {}, {}),
            "handle and update as positional arguments: write merge_into_access_token_payload(handle, "
            f"update). {NO_USER_CONTEXT}",
        ),
        (
            "update_session_data_in_database",
            ("a-handle", {}, {}),
            "handle and data as positional arguments: write update_session_data_in_database(handle, data). "
            f"{NO_USER_CONTEXT}",
        ),
        *(
            (
                name,
                ("a-handle", {}),
                f"{argument} as a positional argument: write {name}({argument}). {NO_USER_CONTEXT}",
            )
            for name, argument in (
                ("revoke_session", "handle"),
                ("revoke_multiple_sessions", "handles"),
                ("get_session_information", "handle"),
            )
        ),
    ],
)
def test_arguments_in_the_order_of_supertokens_python_are_refused_with_our_spelling(
    app: Flask, name: str, arguments: tuple[Any, ...], message: str
) -> None:
    with app.app_context(), pytest.raises(TypeError) as caught:
        getattr(called, name)(*arguments)
    assert str(caught.value) == f"{name}() takes only {message}"


def test_a_validator_in_place_of_its_claim_is_refused(app: Flask) -> None:
    validator: Any = UserRoleClaim.validators.includes("admin")
    with app.app_context(), pytest.raises(TypeError, match=r"^claim must be a claim such as UserRoleClaim"):
        functions.remove_claim(validator, session_handle="a-handle")
