"""``verify_session``, and what goes with it on a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from flask import current_app

from ..claims.builtin import PermissionClaim, UserRoleClaim
from .current import extension_of_current_app
from .hooks import EXEMPT, GUARDED
from .verify import OverrideValidators, VerifyOptions, load_session

if TYPE_CHECKING:
    from ..claims.base import SessionClaimValidator
    from ..claims.primitive import PrimitiveArrayClaim

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True)
class AnyOf:
    """Alternatives: one of these values is enough."""

    values: tuple[str, ...]


def any_of(*values: str) -> AnyOf:
    """One of these roles or permissions is enough, where a list asks for all of them.

    ::

        @verify_session(roles=any_of("admin", "editor"))

    :raises TypeError: without values, or with one that is no string.
    """
    if not values or not all(isinstance(value, str) for value in values):
        raise TypeError(f'any_of takes one or more names, any_of("admin", "editor"), not {values!r}.')
    return AnyOf(values)


Names = str | Sequence[str] | AnyOf


@overload
def verify_session(anti_csrf_check: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def verify_session(
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
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def verify_session(
    anti_csrf_check: Any = None,
    session_required: bool = True,
    check_database: bool | None = None,
    override_global_claim_validators: OverrideValidators | None = None,
    **further: Any,
) -> Any:
    """Protect a view: it runs only with a verified session, which it finds in ``g.session``.

    ::

        @app.get("/user")
        @verify_session()
        def user():
            return {"userId": g.session.get_user_id()}

    is short for::

        @app.get("/user")
        def user():
            get_session()          # raises where there is no session
            return {"userId": g.session.get_user_id()}

    With or without parentheses; on functions, ``async def`` functions, methods of a ``MethodView`` and
    ``before_request`` functions. Below the route, never above it. Where a POST reaches it on the path of
    our refresh route, it refreshes the session.

    :param anti_csrf_check: ``None``: for every method but GET, as ``STSESSION_ANTI_CSRF`` says.
    :param session_required: ``False`` runs the view without a session too; ``g.session`` is then ``None``.
    :param check_database: ask the core whether the session is still there; ``None``: as
        ``STSESSION_CHECK_DATABASE`` says.
    :param override_global_claim_validators: ``f(global_validators, session, user_context)`` that answers the
        validators to run.
    :param roles: a role, a list of them (all are needed), or :func:`any_of`.
    :param permissions: the same for permissions.
    :param validators: run beside the global ones.
    :param max_age_in_sec: of the claims behind ``roles`` and ``permissions``, in s: 0 asks their source now.
    :param max_auth_age: how long ago the user may have signed in, in s; needs ``AuthTimeClaim`` among the
        ``claims``.
    :param tenant: the only tenant whose sessions may pass.
    :param ignore_invalid: with ``session_required=False``: an expired or broken session counts as none.
    :param user_context: copied into the request's own.
    :raises ConfigError: at decoration, for a combination that cannot be met.
    """
    if callable(anti_csrf_check):
        return _guard(anti_csrf_check, VerifyOptions())
    options = verify_options(
        anti_csrf_check, session_required, check_database, override_global_claim_validators, **further
    )
    return lambda view: _guard(view, options)


def verify_options(
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
) -> VerifyOptions:
    """The arguments of :func:`verify_session`, checked and reduced to what verification needs."""
    needed: list[SessionClaimValidator] = []
    if roles is not None:
        needed.append(_holds(UserRoleClaim, roles, max_age_in_sec, "roles"))
    if permissions is not None:
        needed.append(_holds(PermissionClaim, permissions, max_age_in_sec, "permissions"))
    needed.extend(validators or ())
    return VerifyOptions(
        anti_csrf_check=anti_csrf_check,
        session_required=session_required,
        check_database=check_database,
        override_global_claim_validators=override_global_claim_validators,
        validators=tuple(needed),
        max_auth_age=max_auth_age,
        tenant=tenant,
        ignore_invalid=ignore_invalid,
        user_context=user_context,
    )


def session_exempt(view: V) -> V:
    """Leave a view (a function or a ``View`` class) out of what :meth:`STSession.protect` guards."""
    setattr(view, EXEMPT, True)
    return view


def _guard(view: Callable[P, R], options: VerifyOptions) -> Callable[P, R]:
    if isinstance(view, type):
        raise TypeError(
            f"verify_session decorates functions, and {view.__name__} is a class. Decorate its methods, or "
            "all of them by decorators = [verify_session()] in the class."
        )
    is_async = iscoroutinefunction(view)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        load_session(extension_of_current_app(), options)
        if is_async:
            return current_app.ensure_sync(view)(*args, **kwargs)  # type: ignore[no-any-return]
        return view(*args, **kwargs)

    # Whoever registers one of these, and not the wrapper, misses the guard.
    inner: Any = view
    while inner is not None:
        with suppress(AttributeError):  # a bound method takes no attributes, and stands below no route
            setattr(inner, GUARDED, inner)
        inner = getattr(inner, "__wrapped__", None)
    return guarded


def _holds(
    claim: PrimitiveArrayClaim[str], names: Names, max_age: float | None, argument: str
) -> SessionClaimValidator:
    if isinstance(names, AnyOf):
        return claim.validators.includes_any(list(names.values), max_age)
    if isinstance(names, str):
        return claim.validators.includes(names, max_age)
    listed = list(names)
    if not listed or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"{argument}= takes a name, a list of names or any_of(...), not {names!r}.")
    return claim.validators.includes_all(listed, max_age)
