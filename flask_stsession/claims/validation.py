"""Validate claims against a payload: refetch what is due, then run every validator.

Source: the session claim validation process of the SuperTokens documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..callables import call, number_taken
from ..errors import ClaimValidationError, InvalidClaimsError, Reason
from .base import NOW_MS, STORED_TIME, STORED_VALUE, VALID, QuickCheck, SessionClaimValidator

if TYPE_CHECKING:
    from ..callables import EnsureSync
    from .base import SessionClaim

    #: A validator that the payload fails, and the error to report.
    Failure = tuple[SessionClaimValidator, ClaimValidationError]

#: Key of the ``user_context`` while a claim is refetched for a validator: the age (s) up to which a cached
#: response of the core may serve. 0: ask now. Absent: the app itself asked for the value.
REUSE_SECONDS = "_stsession_reuse_seconds"

#: The parameters of ``override_global_claim_validators``.
OVERRIDE_PARAMETERS: Final = ("global_validators", "session", "user_context")


def quick_checks(
    validators: Sequence[SessionClaimValidator], setting_max_age: float | None
) -> tuple[QuickCheck, ...] | None:
    """Return validators as plain data, or ``None`` if any of them runs code of the app's.

    :param setting_max_age: ``STSESSION_CLAIM_MAX_AGE_SECONDS`` of the app.
    """
    checks: list[QuickCheck] = []
    for validator in validators:
        check = validator._quick_check(setting_max_age)
        if check is None:
            return None
        checks.append(check)
    return tuple(checks)


def surely_pass(checks: tuple[QuickCheck, ...], payload: Mapping[str, Any], now_ms: float) -> bool:
    """Return whether a payload certainly satisfies all checks, with nothing to fetch first.

    Runs no code of the app's. ``False`` decides nothing: the validators themselves must run.

    :param now_ms: the time in ms since 1970.
    """
    for key, stored_types, max_age, accepts in checks:
        stored = payload.get(key)
        if type(stored) is not dict:
            return False
        value = stored.get(STORED_VALUE)
        if value is None or not isinstance(value, stored_types):
            return False
        if max_age is not None:
            fetched_at = stored.get(STORED_TIME)
            # Negative and absurd times are for the validator to judge.
            if type(fetched_at) is not int or not 0 < fetched_at <= now_ms:
                return False
            if max_age == 0 or now_ms - fetched_at > max_age * 1000:
                return False
        if not accepts(value):
            return False
    return True


def claims_context(
    context: dict[str, Any],
    *,
    extension: object,
    recipe_user_id: str,
    payload: dict[str, Any],
    now_ms: int,
) -> dict[str, Any]:
    """Add the keys that claims and validators use to a ``user_context``, and return it.

    :param extension: the extension object, under ``stsession``.
    :param recipe_user_id: the login method of the session.
    :param payload: the access token's payload.
    :param now_ms: the time of this verification, in ms since 1970.
    """
    context["stsession"] = extension
    context["recipe_user_id"] = recipe_user_id
    context["access_token_payload"] = payload
    context[NOW_MS] = now_ms
    return context


def overridden(
    validators: Sequence[SessionClaimValidator],
    override: Callable[..., Any] | None,
    session: object,
    context: dict[str, Any],
    *,
    ensure_sync: EnsureSync | None,
) -> list[SessionClaimValidator]:
    """Return the validators to run: the global ones, or those that ``override`` makes of them.

    :param override: ``override_global_claim_validators``: ``f(validators, session, user_context)``.
    :param session: the session, or its information where there is only a handle.
    :raises TypeError: ``override`` takes other parameters, or returned anything other than a list of
        validators.
    """
    if override is None:
        return list(validators)
    name = "override_global_claim_validators"
    try:
        returned = call(override, list(validators), session, context, ensure_sync=ensure_sync, name=name)
    except TypeError:
        number_taken(override, f"The function given as {name}", OVERRIDE_PARAMETERS)
        raise
    return checked_list(returned, f"The function given as {name}")


def checked_list(returned: Any, function: str) -> list[SessionClaimValidator]:
    """Return the validators that a function of the app has returned.

    :param function: the function that returned them, for the message.
    :raises TypeError: it returned anything other than a list of validators.
    """
    chosen = list(returned) if isinstance(returned, Iterable) else [returned]
    if not all(isinstance(each, SessionClaimValidator) for each in chosen):
        raise TypeError(
            f"{function} must return a list of validators, such as "
            f"[*global_validators, claim.validators.is_true()]; it returned {returned!r:.200}."
        )
    return chosen


def refusal_for(failures: Sequence[Failure], message: str | None = None) -> InvalidClaimsError:
    """Return the 403 that lists these failures; its reason is theirs if they share one.

    :param message: for logs; by default it names the validators.
    """
    errors = [error for _, error in failures]
    if message is None:
        names = ", ".join(repr(error.id_) for error in errors)
        message = f"The session fails the validators {names}."
    reasons = {validator.failure_reason for validator, _ in failures}
    reason = reasons.pop() if len(reasons) == 1 else Reason.CLAIMS_INVALID
    return InvalidClaimsError(message, errors, reason=reason)


def refetched_claims(
    validators: Sequence[SessionClaimValidator],
    payload: dict[str, Any],
    *,
    user_id: str,
    recipe_user_id: str,
    tenant_id: str,
    user_context: dict[str, Any],
    ensure_sync: EnsureSync | None,
) -> dict[str, Any]:
    """Fetch the claims that are missing or too old; return the keys to merge into the payload.

    :param validators: asked in turn; each sees the values that were fetched for those before it.
    :param payload: the access token's payload; not changed.
    :param ensure_sync: ``app.ensure_sync``, for claims and validators that are asynchronous.
    """
    update: dict[str, Any] = {}
    current = payload
    fetched: set[int] = set()
    for validator in validators:
        claim = validator.claim
        if claim is None or id(claim) in fetched:  # fetched a moment ago for another validator
            continue
        due = validator.should_refetch(current, user_context)
        if due is False:
            continue
        if due is not True:
            due = call(
                _given(due), ensure_sync=ensure_sync, name=f"should_refetch of the validator {validator.id!r}"
            )
            if not due:
                continue
        fetched.add(id(claim))
        user_context[REUSE_SECONDS] = _reusable_age(claim, validators, current, user_context)
        try:
            value = claim.fetch(
                user_id,
                recipe_user_id=recipe_user_id,
                tenant_id=tenant_id,
                payload=dict(current),
                user_context=user_context,
                ensure_sync=ensure_sync,
            )
        finally:
            del user_context[REUSE_SECONDS]
        if value is not None:
            update.update(claim.add_to_payload_({}, value, user_context))
            current = {**payload, **update}
    return update


def failed_validators(
    validators: Sequence[SessionClaimValidator],
    payload: dict[str, Any],
    *,
    user_context: dict[str, Any],
    ensure_sync: EnsureSync | None,
) -> list[Failure]:
    """Return every validator that the payload fails, with the error to report."""
    failures: list[Failure] = []
    for validator in validators:
        result = validator.validate(payload, user_context)
        if result is VALID:
            continue
        outcome = call(
            _given(result), ensure_sync=ensure_sync, name=f"validate of the validator {validator.id!r}"
        )
        if not outcome.is_valid:
            failures.append((validator, ClaimValidationError(validator.id, outcome.reason)))
    return failures


def _reusable_age(
    claim: SessionClaim[Any],
    validators: Sequence[SessionClaimValidator],
    payload: dict[str, Any],
    user_context: dict[str, Any],
) -> float:
    """Return the age (s) up to which a cached response may serve; 0 for a missing claim.

    The value serves all validators of the claim, so the smallest maximal age decides.
    """
    if claim.get_value_from_payload(payload, user_context) is None:
        return 0
    ages: list[float] = []
    for validator in validators:
        if validator.claim is not claim:
            continue
        age = validator._reuse_seconds(user_context)
        if age is not None:
            ages.append(age)
    return min(ages, default=0)


def _given(result: Any) -> Any:
    return lambda: result
