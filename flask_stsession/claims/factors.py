"""``MultiFactorAuthClaim``: the login factors that a session has completed, and whether they are enough.

The payload stores ``{"c": {factor id: s since 1970}, "v": bool}`` under the claim's key. The app
declares with ``@stsession.mfa_requirements`` which factors a login needs, and records with
``session.complete_factor(id)`` that one has been completed. No core is asked.

Source: ``MultiFactorAuthClaim`` of supertokens-node and supertokens-python; the JSON of the failures is
supertokens-node's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from ..errors import ConfigError
from .base import VALID, ClaimValidationResult, SessionClaim, SessionClaimValidator
from .builtin import extension_of

#: One factor, or a group of which one or all are needed. ``["password", {"oneOf": ["totp", "otp-email"]}]``.
Requirement: TypeAlias = str | Mapping[Literal["oneOf", "allOfInAnyOrder"], Sequence[str]]

_ONE_OF: Final = "oneOf"
_ALL_OF: Final = "allOfInAnyOrder"
_COMPLETED: Final = "c"
_SATISFIED: Final = "v"


class MFAClaimValue(dict[str, Any]):
    """The value of ``MultiFactorAuthClaim``: JSON, with the attributes that supertokens-python's value has.

    :param c: when each factor was completed, in s since 1970, by the factor's id.
    :param v: whether the factors that a login needs are completed.
    """

    def __init__(self, c: Mapping[str, int], v: bool) -> None:
        super().__init__({_COMPLETED: dict(c), _SATISFIED: v})

    @property
    def c(self) -> dict[str, int]:
        """When each factor was completed, in s since 1970."""
        completed: dict[str, int] = self[_COMPLETED]
        return completed

    @property
    def v(self) -> bool:
        """Whether the factors that a login needs are completed."""
        satisfied: bool = self[_SATISFIED]
        return satisfied


class MultiFactorAuthClaimClass(SessionClaim[MFAClaimValue]):
    """The login factors that a session has completed."""

    def __init__(self) -> None:
        super().__init__("st-mfa", self._fetch)

    @cached_property
    def validators(self) -> MultiFactorAuthClaimValidators:
        """The validators of this claim."""
        return MultiFactorAuthClaimValidators(self)

    def add_to_payload_(
        self, payload: dict[str, Any], value: Mapping[str, Any], user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the payload with this value in it; factors that the payload has already are kept."""
        before = self.get_value_from_payload(payload)
        completed = {**({} if before is None else before.c), **value[_COMPLETED]}
        return {**payload, self.key: {_COMPLETED: completed, _SATISFIED: value[_SATISFIED]}}

    def get_value_from_payload(
        self, payload: dict[str, Any], user_context: dict[str, Any] | None = None
    ) -> MFAClaimValue | None:
        """Return the claim's value; ``None`` if it is absent or malformed."""
        stored: Any = payload.get(self.key)
        completed = stored.get(_COMPLETED) if isinstance(stored, dict) else None
        if not isinstance(completed, dict):
            return None
        return MFAClaimValue(completed, stored.get(_SATISFIED) is True)

    def get_last_refetch_time(
        self, payload: dict[str, Any], user_context: dict[str, Any] | None = None
    ) -> float | None:
        """Return ``None``: the payload does not say when the claim was fetched."""
        return None

    def completed_in(self, payload: dict[str, Any]) -> dict[str, int]:
        """Return when each factor was completed, in s since 1970; ``{}`` if the payload does not say."""
        value = self.get_value_from_payload(payload)
        return {} if value is None else value.c

    def value_with(
        self,
        factor_id: str,
        payload: dict[str, Any],
        *,
        user_id: str,
        tenant_id: str,
        user_context: dict[str, Any],
    ) -> MFAClaimValue:
        """Return the claim's value with a factor completed now.

        The app's requirements decide whether the factors are enough; without an app there are no
        requirements, and ``v`` stays as it is.

        :raises TypeError: ``mfa_requirements`` did not return a list of requirements.
        """
        completed = {**self.completed_in(payload), factor_id: self.now_ms(user_context) // 1000}
        if _knows_requirements(user_context):
            return _judged(completed, user_id, tenant_id, user_context)
        before = self.get_value_from_payload(payload)
        return MFAClaimValue(completed, before is not None and before.v)

    def _fetch(
        self,
        user_id: str,
        recipe_user_id: Any,
        tenant_id: str,
        current_payload: dict[str, Any],
        user_context: dict[str, Any],
    ) -> MFAClaimValue | None:
        if not _knows_requirements(user_context):
            # A claim that is missing stays missing, and its validators fail.
            return self.get_value_from_payload(current_payload)
        return _judged(self.completed_in(current_payload), user_id, tenant_id, user_context)


def _knows_requirements(user_context: dict[str, Any]) -> bool:
    """Return whether there is an app to ask which factors a login needs."""
    return hasattr(extension_of(user_context), "mfa_requirements_of")


def _judged(
    completed: Mapping[str, int], user_id: str, tenant_id: str, user_context: dict[str, Any]
) -> MFAClaimValue:
    """Return the value for completed factors: the app's requirements decide whether they are enough."""
    returned = extension_of(user_context).mfa_requirements_of(user_id, tenant_id)
    requirements = checked_requirements([] if returned is None else returned, "mfa_requirements must return")
    return MFAClaimValue(completed, _unsatisfied(requirements, completed) is None)


class MultiFactorAuthClaimValidators:
    """The validators of ``MultiFactorAuthClaim``. A claim that is missing is fetched first."""

    def __init__(self, claim: MultiFactorAuthClaimClass) -> None:
        self.claim = claim

    def has_completed_mfa_requirements_for_auth(self, claim_key: str | None = None) -> SessionClaimValidator:
        """Return a validator that checks that the factors that a login needs are completed.

        They are what ``@stsession.mfa_requirements`` returned when the session was created or last completed
        a factor.

        :param claim_key: the id of the validator, by default the claim's key.
        """
        return _RequirementsForAuth(self.claim, claim_key)

    def has_completed_requirement_list(
        self, requirement_list: Sequence[Requirement], claim_key: str | None = None
    ) -> SessionClaimValidator:
        """Return a validator that checks that these factors are completed.

        :param requirement_list: ids of factors, and groups: ``{"oneOf": [ids]}``, ``{"allOfInAnyOrder":
            [ids]}``. An empty list is always satisfied.
        :param claim_key: the id of the validator, by default the claim's key.
        :raises TypeError: it is not such a list.
        """
        requirements = checked_requirements(requirement_list, "has_completed_requirement_list takes")
        return _RequirementList(self.claim, requirements, claim_key)


class _FactorValidator(SessionClaimValidator):
    def __init__(self, claim: MultiFactorAuthClaimClass, id_: str | None) -> None:
        super().__init__(claim.key if id_ is None else id_)
        self.claim: SessionClaim[Any] | None = claim
        self._mfa = claim

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        return self._mfa.get_value_from_payload(payload) is None


class _RequirementsForAuth(_FactorValidator):
    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        extension = user_context.get("stsession")
        if not getattr(extension, "has_mfa_requirements", True):  # without an app, the token alone counts
            raise ConfigError(
                "has_completed_mfa_requirements_for_auth() would let every session pass, since the app does "
                "not say which factors a login needs: write @stsession.mfa_requirements above a function of "
                "(user_id, tenant_id) that returns them."
            )
        value = self._mfa.get_value_from_payload(payload)
        if value is not None and value.v:
            return VALID
        return ClaimValidationResult(False, {"message": "MFA requirement for auth is not satisfied"})


class _RequirementList(_FactorValidator):
    def __init__(
        self, claim: MultiFactorAuthClaimClass, requirements: Sequence[_Group], id_: str | None
    ) -> None:
        super().__init__(claim, id_)
        self._requirements = requirements

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        group = _unsatisfied(self._requirements, self._mfa.completed_in(payload))
        return VALID if group is None else ClaimValidationResult(False, _reason(*group))


#: A requirement: the kind of its group (``None``: a single factor), and the ids of its factors.
_Group: TypeAlias = tuple[str | None, list[str]]


def checked_requirements(requirements: object, place: str) -> tuple[_Group, ...]:
    """Return a list of requirements as groups.

    :param place: the subject and verb of the message.
    :raises TypeError: it is not a list of factor ids and groups, or one of the groups is empty.
    """
    if not isinstance(requirements, Sequence) or isinstance(requirements, str):
        raise TypeError(f'{place} a list of requirements, such as ["totp"], not {requirements!r}.')
    return tuple([_group_of(each, place) for each in requirements])


def _group_of(requirement: object, place: str) -> _Group:
    if isinstance(requirement, str) and requirement:
        return None, [requirement]
    if isinstance(requirement, Mapping) and len(requirement) == 1:
        [(kind, ids)] = requirement.items()
        is_list = isinstance(ids, Sequence) and not isinstance(ids, str)
        if kind in (_ONE_OF, _ALL_OF) and is_list and ids and all(isinstance(i, str) and i for i in ids):
            return kind, list(dict.fromkeys(ids))
    raise TypeError(
        f'{place} ids of factors, {{"oneOf": [ids]}} and {{"allOfInAnyOrder": [ids]}} as requirements, '
        f"not {requirement!r}."
    )


def _unsatisfied(requirements: Sequence[_Group], completed: Mapping[str, int]) -> _Group | None:
    """Return the first group that is not satisfied, without the factors that are; ``None`` if all are."""
    for kind, ids in requirements:
        missing = [each for each in ids if each not in completed]
        if missing and (kind != _ONE_OF or len(missing) == len(ids)):
            return kind, missing
    return None


def _reason(kind: str | None, missing: list[str]) -> dict[str, Any]:
    """Return the reason of a failure, as supertokens-node sends it."""
    if kind is None:
        return {"message": f"Factor validation failed: {missing[0]} not completed", "factorId": missing[0]}
    words = "None of these factors are" if kind == _ONE_OF else "Some of the factors are not"
    return {"message": f"{words} complete in the session: {', '.join(missing)}", kind: missing}


#: The login factors that a session has completed (``st-mfa``); see ``session.complete_factor``.
MultiFactorAuthClaim: MultiFactorAuthClaimClass = MultiFactorAuthClaimClass()
