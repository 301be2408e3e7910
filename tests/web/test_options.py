"""The arguments of a guard: which are refused when they are written, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from flask_stsession import ConfigError, any_of, verify_session
from flask_stsession.claims import ClaimValidationResult, SessionClaimValidator, UserRoleClaim


class Fails(SessionClaimValidator):
    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(False, {"message": "no"})


def test_ignore_invalid_is_refused_with_a_required_session() -> None:
    with pytest.raises(ConfigError) as caught:
        verify_session(ignore_invalid=True)
    assert str(caught.value) == (
        "verify_session() got ignore_invalid=True, which treats an invalid session as none, while a session "
        "is required. Write session_required=False, ignore_invalid=True."
    )


def test_an_unknown_argument_is_refused_at_decoration() -> None:
    with pytest.raises(
        TypeError, match=r"^verify_session\(\) has no argument 'role': did you mean roles=\?$"
    ):
        verify_session(role="admin")  # type: ignore[call-overload]


@pytest.mark.parametrize("values", [(), ("admin", 3), (["admin", "editor"],)])
def test_any_of_takes_names(values: Any) -> None:
    with pytest.raises(TypeError) as caught:
        any_of(*values)
    assert str(caught.value) == (
        f'any_of takes one or more names, any_of("admin", "editor"), not {values!r}.'
    )


@pytest.mark.parametrize("argument", ["roles", "permissions"])
@pytest.mark.parametrize("names", [[], [3], ["admin", None]])
def test_roles_and_permissions_take_names(argument: str, names: Any) -> None:
    with pytest.raises(TypeError) as caught:
        verify_session(**{argument: names})
    assert str(caught.value) == (
        f"verify_session() takes as {argument}= a name, a list of names or any_of(...), not {names!r}."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("admin",),
            "verify_session() takes True, False or None as anti_csrf_check, not 'admin'. For roles, "
            "write roles='admin'; for permissions, permissions='admin'.",
        ),
        (
            (["admin", "editor"],),
            "verify_session() takes True, False or None as anti_csrf_check, not ['admin', "
            "'editor']. For roles, write roles=['admin', 'editor']; for permissions, permissions=['admin', "
            "'editor'].",
        ),
        (
            (None, "admin"),
            "verify_session() takes True or False as session_required, not 'admin'. For roles, "
            "write roles='admin'; for permissions, permissions='admin'.",
        ),
        (
            (None, None),
            "verify_session() takes True or False as session_required, not None. Write "
            "session_required=True or session_required=False.",
        ),
        (
            (None, True, 1),
            "verify_session() takes True, False or None as check_database, not 1. Write "
            "check_database=True or check_database=False.",
        ),
        (
            (None, True, None, "admin"),
            "verify_session() takes a function of (global_validators, session, "
            "user_context) as override_global_claim_validators, not 'admin'. For more validators, write "
            "validators=[...].",
        ),
    ],
)
def test_values_that_are_not_flags_are_refused_with_the_remedy(
    arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(TypeError) as caught:
        verify_session(*arguments)
    assert str(caught.value) == message


def test_an_override_with_other_parameters_is_refused() -> None:
    arguments: dict[str, Any] = {"override_global_claim_validators": lambda validators: validators}
    with pytest.raises(TypeError) as caught:
        verify_session(**arguments)
    assert str(caught.value) == (
        "The override_global_claim_validators of verify_session() takes (validators). Give it the parameters "
        "(global_validators, session, user_context)."
    )


@pytest.mark.parametrize("first", [Fails("x"), UserRoleClaim, any_of("admin"), 0, b"x", {"roles": "x"}])
def test_only_flags_and_views_are_accepted_as_the_first_argument(first: Any) -> None:
    with pytest.raises(TypeError, match=r"^verify_session\(\) takes True, False or None as anti_csrf_check"):
        verify_session(first)


@pytest.mark.parametrize(
    "demand",
    [{"roles": "admin"}, {"permissions": "blog:delete"}, {"max_auth_age": 60}, {"tenant": "acme"}],
)
def test_demands_are_refused_with_an_optional_session(demand: dict[str, Any]) -> None:
    flags: list[dict[str, Any]] = [{}, {"ignore_invalid": True}]
    for options in flags:
        with pytest.raises(ConfigError) as caught:
            verify_session(None, False, **options, **demand)
        assert str(caught.value) == (
            f"verify_session() got {next(iter(demand))}= with session_required=False: a request without a "
            "session would pass unchecked. Remove session_required=False, or check in the view where "
            "there is a session."
        )


@pytest.mark.parametrize("tenant", ["", " ", 7, "acme ", "a/b", "a_b", "é", "appid-x", "recipe", "acme\n"])
def test_a_tenant_must_be_an_id_that_a_core_accepts(tenant: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        verify_session(tenant=tenant)
    assert str(caught.value) == (
        f"verify_session() takes the id of a tenant as tenant=, not {tenant!r}; use letters, digits and "
        "hyphens. Omit it to let sessions of any tenant pass, or override get_tenant_id() where the tenant "
        "depends on the request."
    )


@pytest.mark.parametrize("argument", ["roles", "permissions"])
@pytest.mark.parametrize("names", ["admin ", ["editor", "admin "], any_of("editor", "admin ")])
def test_a_name_that_no_role_can_have_is_refused(argument: str, names: Any) -> None:
    with pytest.raises(ValueError, match="begins or ends with a blank") as caught:
        verify_session(**{argument: names})
    assert str(caught.value).startswith(f"{argument}= of verify_session() is 'admin ', which begins or ends")


def test_names_of_blanks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^roles= of verify_session\(\) is ' ', which consists of blanks"):
        verify_session(roles=[" "])


def test_max_age_in_sec_needs_roles_or_permissions() -> None:
    with pytest.raises(ConfigError, match=r"^verify_session\(\) got max_age_in_sec= without roles= or perm"):
        verify_session(max_age_in_sec=0)


@pytest.mark.parametrize("name", ["max_age_in_sec", "max_auth_age"])
@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "60", True])
def test_ages_must_be_numbers_of_seconds(name: str, seconds: Any) -> None:
    with pytest.raises(TypeError) as caught:
        verify_session(roles="admin", **{name: seconds})
    assert str(caught.value) == (
        f"verify_session() takes a number of seconds, 0 or more, as {name}=, not {seconds!r}."
    )


@pytest.mark.parametrize(
    ("validators", "message"),
    [
        (Fails("x"), "takes a list as validators=: write validators=[...]."),
        (UserRoleClaim, "takes a list of validators as validators=, not <PrimitiveArrayClaim 'st-role'>."),
        ("admin", "takes a list of validators as validators=, not 'admin'."),
        (7, "takes a list of validators as validators=, not 7."),
        (
            [UserRoleClaim],
            "got the claim <PrimitiveArrayClaim 'st-role'> in validators=, but a claim "
            "checks nothing. Write one of its validators, such as claim.validators.has_value(...).",
        ),
        (["admin"], "got 'admin' in validators=, which is not a SessionClaimValidator."),
        ([Fails], f"got {Fails!r} in validators=, which is not a SessionClaimValidator."),
    ],
)
def test_validators_must_be_a_list_of_validators(validators: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        verify_session(validators=validators)
    assert str(caught.value) == f"verify_session() {message}"
