"""The options of a guard, and the checks of its arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .. import claims as built_in  # each of them imported when it is used
from ..callables import F, number_taken
from ..claims.base import SessionClaim, SessionClaimValidator
from ..claims.validation import OVERRIDE_PARAMETERS
from ..constants import TENANT_ID
from ..errors import ConfigError
from ..messages import closest
from ..sessions.ids import refuse_blanks

if TYPE_CHECKING:
    from ..claims.primitive import PrimitiveArrayClaim
    from ..sessions.session import Session

#: ``f(global_validators, session, user_context)`` that returns the validators to run.
OverrideValidators = Callable[
    [list["SessionClaimValidator"], "Session", dict[str, Any]], "Sequence[SessionClaimValidator]"
]


@dataclass(eq=False, repr=False)  # not frozen, for the sake of the import time
class VerifyOptions:
    """The checks that a guard makes; see :func:`~flask_stsession.verify_session`."""

    anti_csrf_check: bool | None = None
    session_required: bool = True
    check_database: bool | None = None
    override_global_claim_validators: OverrideValidators | None = None
    validators: tuple[SessionClaimValidator, ...] = ()
    #: Whether one of the validators needs the time of the login.
    needs_auth_time: bool = False
    tenant: str | None = None
    ignore_invalid: bool = False
    allow_revoked: bool = False
    user_context: Mapping[str, Any] | None = None


REQUIRED = VerifyOptions()
#: For our own routes: a session, without validators.
SESSION_ONLY = VerifyOptions(override_global_claim_validators=lambda *_: [])
#: For our public routes: if the request carries a session, it must be valid.
OPTIONAL_SESSION_ONLY = VerifyOptions(session_required=False, override_global_claim_validators=lambda *_: [])
#: For sign-out: a revoked session passes, so signing out twice is no error.
SESSION_TO_END = VerifyOptions(override_global_claim_validators=lambda *_: [], allow_revoked=True)
#: For ``current_session``: an optional guard that ignores invalid sessions.
OPTIONAL = VerifyOptions(session_required=False, ignore_invalid=True)


class AnyOf(NamedTuple):
    """Alternatives: one of these values is enough."""

    values: tuple[str, ...]

    def __repr__(self) -> str:
        return f"any_of{self.values!r}"


def any_of(*values: str) -> AnyOf:
    """Accept any one of these roles or permissions, where a list asks for all of them.

    ::

        @verify_session(roles=any_of("admin", "editor"))

    :raises TypeError: there are no values, or one is not a non-empty string.
    """
    if not values or not all(isinstance(value, str) and value for value in values):
        raise TypeError(f'any_of takes one or more names, any_of("admin", "editor"), not {values!r}.')
    return AnyOf(values)


Names = str | Sequence[str] | AnyOf


def verify_options(
    caller: str,
    anti_csrf_check: bool | None = None,
    session_required: bool = True,
    check_database: bool | None = None,
    override_global_claim_validators: OverrideValidators | None = None,
    *,
    roles: Names | None = None,
    permissions: Names | None = None,
    validators: Sequence[SessionClaimValidator] | None = None,
    max_age_in_sec: float | None = None,
    max_auth_age: float | None = None,
    tenant: str | None = None,
    ignore_invalid: bool = False,
    user_context: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> VerifyOptions:
    """Check the arguments of a guard, and return its options.

    :param caller: the function that got them, such as ``protect()``, for messages.
    :raises TypeError: an argument is unknown, or of a wrong type.
    :raises ValueError: the name of a role or a permission begins or ends with a blank, as no name does.
    :raises ConfigError: the arguments could protect nothing.
    """
    refuse_unknown(caller, unknown)
    check_flags(
        caller,
        optional=("anti_csrf_check", "check_database"),
        remedy=_meant_instead_of_flag,
        anti_csrf_check=anti_csrf_check,
        session_required=session_required,
        check_database=check_database,
        ignore_invalid=ignore_invalid,
    )
    _check_kinds(caller, override_global_claim_validators, user_context, tenant)
    needed = _needed_validators(caller, roles, permissions, validators, max_age_in_sec, max_auth_age)
    demands = {"roles": roles, "permissions": permissions, "max_auth_age": max_auth_age, "tenant": tenant}
    named = [f"{name}=" for name, value in demands.items() if value is not None]
    if named and not session_required:
        raise ConfigError(
            f"{caller} got {' and '.join(named)} with session_required=False: a request without a session "
            "would pass unchecked. Remove session_required=False, or check in the view where there is a "
            "session."
        )
    if ignore_invalid and session_required:
        raise ConfigError(
            f"{caller} got ignore_invalid=True, which treats an invalid session as none, while a session is "
            "required. Write session_required=False, ignore_invalid=True."
        )
    return VerifyOptions(
        anti_csrf_check=anti_csrf_check,
        session_required=session_required,
        check_database=check_database,
        override_global_claim_validators=override_global_claim_validators,
        validators=needed,
        needs_auth_time=max_auth_age is not None,
        tenant=tenant,
        ignore_invalid=ignore_invalid,
        user_context=user_context,
    )


#: The arguments of a guard, as users write them.
SIGNATURE: Final = Signature(
    [
        each
        for each in signature(verify_options).parameters.values()
        if each.name != "caller" and each.kind is not Parameter.VAR_KEYWORD
    ]
)


def passes_to_guard(function: F) -> F:
    """Make ``help`` show the arguments of a guard instead of ``**``, for a function that passes them on."""
    own = signature(function)
    parameters = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    passed = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in SIGNATURE.parameters.values()]
    function.__signature__ = own.replace(parameters=[*parameters, *passed])  # type: ignore[attr-defined]
    return function


def refuse_unknown(caller: str, given: Iterable[str], own: Sequence[str] = ()) -> None:
    """Refuse arguments that a guard does not take.

    :param caller: the function that got them, for messages.
    :param own: further arguments that it takes.
    :raises TypeError: an argument is unknown; the message names the one that was meant.
    """
    known = [*own, *SIGNATURE.parameters]
    for name in given:
        if name not in known:
            meant = closest(name, known)
            advice = f"did you mean {meant}=?" if meant else f"it takes {', '.join(known)}."
            raise TypeError(f"{caller} has no argument {name!r}: {advice}")


def check_flags(
    caller: str,
    *,
    optional: Collection[str] = (),
    remedy: Callable[[object], str] | None = None,
    **flags: object,
) -> None:
    """Refuse values that are not bools: ``"false"`` is true, and ``0`` is not ``None``.

    :param caller: the function that got them, for the message.
    :param optional: the names of the flags for which ``None`` stands for a default.
    :param remedy: returns the advice for a refused value; if that is empty, the message names both bools.
    :param flags: the values by the names of the caller's arguments.
    :raises TypeError: one of them is not a bool.
    """
    for name, value in flags.items():
        if isinstance(value, bool) or (value is None and name in optional):
            continue
        advice = (remedy and remedy(value)) or f"Write {name}=True or {name}=False."
        kinds = "True, False or None" if name in optional else "True or False"
        raise TypeError(f"{caller} takes {kinds} as {name}, not {value!r}. {advice}")


def _meant_instead_of_flag(value: object) -> str:
    """Return what to write for a value that is an argument of a guard, but not a flag."""
    if isinstance(value, SessionClaimValidator):
        return "For a validator, write validators=[...]."
    if isinstance(value, str | list | tuple | set | frozenset | AnyOf):
        shown = list(value.values) if isinstance(value, AnyOf) else value
        return f"For roles, write roles={shown!r}; for permissions, permissions={shown!r}."
    if isinstance(value, SessionClaim):
        return "For a claim, write validators=[...] with one of its validators."
    return ""


def check_inquiry(
    caller: str,
    *,
    session_required: object = True,
    anti_csrf_check: object = None,
    check_database: object = None,
    override_global_claim_validators: object = None,
) -> None:
    """Check the arguments of a function that verifies a session.

    Callers skip this check if all arguments are defaults, so that the usual verification pays nothing.

    :raises TypeError: an argument is of a wrong type.
    """
    check_flags(
        caller,
        optional=("anti_csrf_check", "check_database"),
        session_required=session_required,
        anti_csrf_check=anti_csrf_check,
        check_database=check_database,
    )
    if override_global_claim_validators is not None:
        _check_override(
            caller, override_global_claim_validators, "Write lambda validators, *_: [*validators, more]."
        )


def _check_override(caller: str, override: object, remedy: str) -> None:
    if not callable(override):
        raise TypeError(
            f"{caller} takes a function of (global_validators, session, user_context) as "
            f"override_global_claim_validators, not {override!r}. {remedy}"
        )


def _check_kinds(caller: str, override: object, user_context: object, tenant: object) -> None:
    if override is not None:
        _check_override(caller, override, "For more validators, write validators=[...].")
        number_taken(override, f"The override_global_claim_validators of {caller}", OVERRIDE_PARAMETERS)  # type: ignore[arg-type]
    if user_context is not None and not isinstance(user_context, Mapping):
        raise TypeError(f"{caller} takes a mapping as user_context, not {user_context!r}.")
    if tenant is not None and not (isinstance(tenant, str) and re.fullmatch(TENANT_ID, tenant)):
        raise ConfigError(
            f"{caller} takes the id of a tenant as tenant=, not {tenant!r}; use letters, digits and "
            "hyphens. Omit it to let sessions of any tenant pass, or override get_tenant_id() where the "
            "tenant depends on the request."
        )


def _needed_validators(
    caller: str,
    roles: Names | None,
    permissions: Names | None,
    validators: Sequence[SessionClaimValidator] | None,
    max_age_in_sec: float | None,
    max_auth_age: float | None,
) -> tuple[SessionClaimValidator, ...]:
    """Return one validator for each argument that demands something of a session."""
    for name, seconds in (("max_age_in_sec", max_age_in_sec), ("max_auth_age", max_auth_age)):
        _check_seconds(caller, name, seconds)
    if max_age_in_sec is not None and roles is None and permissions is None:
        raise ConfigError(
            f"{caller} got max_age_in_sec= without roles= or permissions=, to which alone it applies. For a "
            "validator of your own, pass the maximum age where you create the validator."
        )
    needed: list[SessionClaimValidator] = []
    if roles is not None:
        needed.append(_holds(caller, "roles", built_in.UserRoleClaim, roles, max_age_in_sec))
    if permissions is not None:
        needed.append(_holds(caller, "permissions", built_in.PermissionClaim, permissions, max_age_in_sec))
    if validators is not None:
        needed.extend(checked_validators(caller, validators))
    if max_auth_age is not None:
        needed.append(built_in.AuthTimeClaim.validators.max_auth_age(max_auth_age))
    return tuple(needed)


def _check_seconds(caller: str, name: str, seconds: object) -> None:
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise TypeError(f"{caller} takes a number of seconds, 0 or more, as {name}=, not {seconds!r}.")


def checked_validators(caller: str, validators: object, argument: str = "validators") -> tuple[Any, ...]:
    """Return validators as a tuple.

    :param caller: the function that got them, for messages.
    :param argument: the name of its argument.
    :raises TypeError: this is not a list of validators.
    """
    if isinstance(validators, SessionClaimValidator):
        raise TypeError(f"{caller} takes a list as {argument}=: write {argument}=[...].")
    listed = _listed(caller, validators, argument, "validators")
    for each in listed:
        if isinstance(each, SessionClaim):
            raise TypeError(
                f"{caller} got the claim {each!r} in {argument}=, but a claim checks nothing. Write one of "
                "its validators, such as claim.validators.has_value(...)."
            )
        if not isinstance(each, SessionClaimValidator):
            raise TypeError(f"{caller} got {each!r} in {argument}=, which is not a SessionClaimValidator.")
    return listed


def checked_claims(caller: str, claims: object) -> tuple[Any, ...]:
    """Return claims as a tuple.

    :param caller: the function that got them, for messages.
    :raises TypeError: this is not a list of claims.
    """
    if isinstance(claims, SessionClaim):
        raise TypeError(f"{caller} takes a list as claims=: write claims=[...].")
    listed = _listed(caller, claims, "claims", "claims")
    for each in listed:
        if isinstance(each, SessionClaimValidator):
            raise TypeError(
                f"{caller} got the validator {each!r} in claims=. Write it in global_claim_validators=[...]."
            )
        if not isinstance(each, SessionClaim):
            raise TypeError(
                f"{caller} got {each!r} in claims=, which is not a SessionClaim. Write UserRoleClaim, or a "
                "claim of your own such as PrimitiveClaim(key, fetch_value)."
            )
    return listed


def _listed(caller: str, given: object, argument: str, what: str) -> tuple[Any, ...]:
    if isinstance(given, str | SessionClaim) or not isinstance(given, Iterable):
        raise TypeError(f"{caller} takes a list of {what} as {argument}=, not {given!r}.")
    return tuple(given)


def _holds(
    caller: str, argument: str, claim: PrimitiveArrayClaim[str], names: Names, max_age: float | None
) -> SessionClaimValidator:
    given = names.values if isinstance(names, AnyOf) else names
    listed = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    if not listed or not all(isinstance(name, str) and name for name in listed):
        raise TypeError(
            f"{caller} takes as {argument}= a name, a list of names or any_of(...), not {names!r}."
        )
    for name in listed:
        refuse_blanks(name, f"{argument}= of {caller}")
    if isinstance(names, AnyOf):
        return claim.validators.includes_any(listed, max_age)
    if isinstance(names, str):
        return claim.validators.includes(names, max_age)
    return claim.validators.includes_all(listed, max_age)
