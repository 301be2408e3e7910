"""Claims against a payload: fetch again what is due, then let every validator judge.

Source: the session claim validation process of the SuperTokens documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ClaimValidationError
from .base import VALID, call
from .validators import AgedValidator

if TYPE_CHECKING:
    from .base import EnsureSync, SessionClaim, SessionClaimValidator

#: Key of the ``user_context`` while a validator has a claim fetched again: how old (s) an answer of the
#: core may be that is given once more. 0: ask now. Absent: nobody but a user asked for the value.
REUSE_SECONDS = "_stsession_reuse_seconds"


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
    """What the claims that are due for it add to the payload; empty when none is.

    :param validators: asked in turn; each sees what those before it had fetched.
    :param payload: the access token's payload; not changed.
    :param ensure_sync: ``app.ensure_sync``, for claims and validators that are asynchronous.
    """
    update: dict[str, Any] = {}
    current = payload
    fetched: set[int] = set()
    for validator in validators:
        claim = validator.claim
        if claim is None or id(claim) in fetched:  # what was asked a moment ago is not asked again
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
) -> list[ClaimValidationError]:
    """Every validator that the payload does not satisfy, with its reason."""
    failures: list[ClaimValidationError] = []
    for validator in validators:
        result = validator.validate(payload, user_context)
        if result is VALID:
            continue
        outcome = call(
            _given(result), ensure_sync=ensure_sync, name=f"validate of the validator {validator.id!r}"
        )
        if not outcome.is_valid:
            failures.append(ClaimValidationError(validator.id, outcome.reason))
    return failures


def _reusable_age(
    claim: SessionClaim[Any],
    validators: Sequence[SessionClaimValidator],
    payload: dict[str, Any],
    user_context: dict[str, Any],
) -> float:
    """How old an answer may be: a missing claim and a maximal age of 0 ask now.

    The answer serves all validators of the claim, so the one that asks for the youngest decides.
    """
    if claim.get_value_from_payload(payload, user_context) is None:
        return 0
    ages: list[float] = []
    for validator in validators:
        if validator.claim is not claim:
            continue
        if not isinstance(validator, AgedValidator):
            return 0
        age = validator.max_age_in_sec(user_context)
        if age is not None:
            ages.append(age)
    return min(ages, default=0)


def _given(result: Any) -> Any:
    return lambda: result
