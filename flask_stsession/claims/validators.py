"""The validators of claims with plain JSON values.

Source: ``PrimitiveClaim``, ``PrimitiveArrayClaim`` and ``BooleanClaim`` of the SuperTokens
documentation; the JSON of the failures as its SDKs send it.

Values are compared as in JSON: ``1`` and ``1.0`` are one number, ``1`` and ``true`` are two values.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ..callables import refuse_asynchronous
from .base import VALID, ClaimValidationResult, QuickCheck, SessionClaim, SessionClaimValidator

Primitive: TypeAlias = str | int | float | bool
P = TypeVar("P", bound=Primitive)

#: Seconds, or a function of the user context that returns them: for claims made before there is an app.
MaxAge: TypeAlias = float | Callable[[dict[str, Any]], float | None] | None


class PrimitiveClaimValidators(Generic[P]):
    """The validators of a :class:`PrimitiveClaim`."""

    def __init__(self, claim: SessionClaim[P]) -> None:
        self.claim = claim

    def has_value(
        self,
        value: P,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the claim has this value.

        :param value: a string, a number or a boolean.
        :param max_age_in_sec: age (s) at which the value is refetched; 0: at every check; ``None``: the
            claim's default.
        :param id_: the id of the validator, by default the claim's key.
        :param max_age_in_seconds: the same as ``max_age_in_sec``, in supertokens-python's spelling.
        :raises TypeError: ``value`` is of a type that no such claim stores.
        :raises ValueError: the maximal age is negative.
        """
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _HasValue(self.claim, _checked_value(value, "has_value"), max_age, id_)


class BooleanClaimValidators(PrimitiveClaimValidators[bool]):
    """The validators of a :class:`BooleanClaim`."""

    def is_true(
        self,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the claim is true; parameters as in :meth:`has_value`."""
        return self.has_value(True, max_age_in_sec, id_, max_age_in_seconds=max_age_in_seconds)

    def is_false(
        self,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the claim is present and false.

        The parameters are those of :meth:`has_value`.
        """
        return self.has_value(False, max_age_in_sec, id_, max_age_in_seconds=max_age_in_seconds)


class EmailVerificationClaimValidators(BooleanClaimValidators):
    """The validators of ``EmailVerificationClaim``."""

    def is_verified(
        self,
        refetch_time_on_false_in_seconds: float | None = 10,
        max_age_in_seconds: float | None = None,
        id_: str | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the user's e-mail address is verified.

        :param refetch_time_on_false_in_seconds: age (s) at which a false value is refetched, so that a user
            who has just followed the link passes soon; 0: at every check; ``None``: as any other value.
        :param max_age_in_seconds: age (s) at which any value is refetched; 0: at every check; ``None``:
            ``STSESSION_CLAIM_MAX_AGE_SECONDS``.
        :param id_: the id of the validator, by default the claim's key.
        :raises TypeError: an age is not a number.
        :raises ValueError: an age is negative.
        """
        on_false = refetch_time_on_false_in_seconds
        if on_false is not None:
            on_false = _checked_age(on_false, "refetch_time_on_false_in_seconds")
        max_age = checked_max_age(max_age_in_seconds, "max_age_in_seconds")
        return _IsVerified(self.claim, on_false, max_age, id_)


class PrimitiveArrayClaimValidators(Generic[P]):
    """The validators of a :class:`PrimitiveArrayClaim`.

    After the value, or the collection of values, they take the arguments of
    :meth:`PrimitiveClaimValidators.has_value`, and they raise the same errors.
    """

    def __init__(self, claim: SessionClaim[list[P]]) -> None:
        self.claim = claim

    def includes(
        self,
        value: P,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the value is in the list."""
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _Includes(self.claim, _checked_value(value, "includes"), max_age, id_)

    def includes_all(
        self,
        values: Collection[P],
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that all values are in the list (true if ``values`` is empty)."""
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _IncludesAll(self.claim, _checked_values(values, "includes_all"), max_age, id_)

    def includes_any(
        self,
        values: Collection[P],
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that at least one of the values is in the list.

        It is false if ``values`` is empty.
        """
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _IncludesAny(self.claim, _checked_values(values, "includes_any"), max_age, id_)

    def excludes(
        self,
        value: P,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the claim is present and the value is not in the list."""
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _Excludes(self.claim, _checked_value(value, "excludes"), max_age, id_)

    def excludes_all(
        self,
        values: Collection[P],
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """Return a validator that checks that the claim is present and none of the values is in the list."""
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _ExcludesAll(self.claim, _checked_values(values, "excludes_all"), max_age, id_)


class SettingMaxAge:
    """The maximal age that ``STSESSION_CLAIM_MAX_AGE_SECONDS`` sets, for claims made before there is an app.

    :param read: reads the setting for a ``user_context``.
    """

    def __init__(self, read: Callable[[dict[str, Any]], float | None]) -> None:
        self._read = read

    def __call__(self, user_context: dict[str, Any]) -> float | None:
        """Return the setting of the app that the context belongs to, in s."""
        return self._read(user_context)


class AgedValidator(SessionClaimValidator):
    """Check that a value is present, young enough, and as expected, in this order.

    Validators run at every request, so all preparation happens in the constructor: a check that passes
    allocates nothing.
    """

    #: Key of the expected value in the reason of a failure.
    expected_key: str
    #: The types that such a claim stores. A value of another type counts as absent.
    stored_types: type | tuple[type, ...] = object

    def __init__(
        self, claim: SessionClaim[Any], expected: Any, max_age_in_sec: float | None, id_: str | None
    ) -> None:
        super().__init__(claim.key if id_ is None else id_)
        self.claim: SessionClaim[Any] | None = claim
        self._value = claim.get_value_from_payload
        self._fetched_at = claim.get_last_refetch_time
        self._now_ms = claim.now_ms
        self.expected = expected
        default: MaxAge = getattr(claim, "default_max_age_in_sec", None)
        max_age = default if max_age_in_sec is None else max_age_in_sec
        self._max_age_of = max_age if callable(max_age) else None
        self._max_age_in_sec = None if callable(max_age) else max_age

    def _reuse_seconds(self, user_context: dict[str, Any]) -> float | None:
        return self._max_age_in_sec if self._max_age_of is None else self._max_age_of(user_context)

    def _quick_check(self, setting_max_age: float | None) -> QuickCheck | None:
        claim = self.claim
        base = SessionClaim
        plain = (base.get_value_from_payload, base.get_last_refetch_time, base.now_ms)
        used = tuple(
            getattr(each, "__func__", each) for each in (self._value, self._fetched_at, self._now_ms)
        )
        if claim is None or used != plain or type(self) not in _OURS:
            return None
        if self._max_age_of is None:
            return claim.key, self.stored_types, self._max_age_in_sec, self.accepts
        if isinstance(self._max_age_of, SettingMaxAge):
            return claim.key, self.stored_types, setting_max_age, self.accepts
        return None

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Return whether a value, which is present and of a stored type, is as expected."""

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any] | None = None) -> bool:
        """Return whether the value is absent or older than the maximal age; with an age of 0, always."""
        value = self._value(payload, user_context)
        if value is None or not isinstance(value, self.stored_types):
            return True
        max_age = self._max_age_in_sec if self._max_age_of is None else self._max_age_of(user_context or {})
        if max_age is None:
            return False
        if max_age == 0:
            return True
        fetched_at = self._fetched_at(payload, user_context)
        return fetched_at is None or self._now_ms(user_context) - fetched_at > max_age * 1000

    def validate(
        self, payload: dict[str, Any], user_context: dict[str, Any] | None = None
    ) -> ClaimValidationResult:
        """Check the value; the reason of a failure is JSON in the form that frontend SDKs expect."""
        value = self._value(payload, user_context)
        if value is None or not isinstance(value, self.stored_types):
            return self._failure("value does not exist")
        max_age = self._max_age_in_sec if self._max_age_of is None else self._max_age_of(user_context or {})
        if max_age is not None:
            fetched_at = self._fetched_at(payload, user_context)
            # A value of unknown age counts as too old.
            if fetched_at is None or self._now_ms(user_context) - fetched_at > max_age * 1000:
                return self._expired(payload, user_context, max_age)
        if not self.accepts(value):
            return self._failure("wrong value", actualValue=value)
        return VALID

    def _expired(
        self, payload: dict[str, Any], user_context: dict[str, Any] | None, max_age_in_sec: float
    ) -> ClaimValidationResult:
        reason: dict[str, Any] = {"message": "expired", "maxAgeInSeconds": max_age_in_sec}
        fetched_at = self._fetched_at(payload, user_context)
        if fetched_at is not None:
            reason["ageInSeconds"] = (self._now_ms(user_context) - fetched_at) / 1000
        return ClaimValidationResult(False, reason)

    def _failure(self, message: str, **found: Any) -> ClaimValidationResult:
        expected = list(self.expected) if isinstance(self.expected, tuple) else self.expected
        return ClaimValidationResult(False, {"message": message, self.expected_key: expected, **found})


class _HasValue(AgedValidator):
    expected_key = "expectedValue"

    def accepts(self, value: Any) -> bool:
        return _same(value, self.expected)


class _IsVerified(_HasValue):
    """Check that a boolean claim is true; refetch a false value much sooner than a true one.

    :param refetch_time_on_false: the age (s) at which a false value is refetched; 0: at every check;
        ``None``: as any other value.
    """

    def __init__(
        self,
        claim: SessionClaim[bool],
        refetch_time_on_false: float | None,
        max_age_in_sec: float | None,
        id_: str | None,
    ) -> None:
        super().__init__(claim, True, max_age_in_sec, id_)
        self._refetch_time_on_false = refetch_time_on_false

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any] | None = None) -> bool:
        if super().should_refetch(payload, user_context):
            return True
        limit = self._refetch_time_on_false
        if limit is None or self._value(payload, user_context) is True:
            return False
        fetched_at = self._fetched_at(payload, user_context)
        return fetched_at is None or limit == 0 or self._now_ms(user_context) - fetched_at > limit * 1000


class _ArrayValidator(AgedValidator):
    # Above all, a string is not a list of strings: "admin" would be found in "administrator".
    stored_types = (list, tuple)


class _Includes(_ArrayValidator):
    expected_key = "expectedToInclude"

    def accepts(self, value: Any) -> bool:
        # Repeated from ``_contains`` for the most common validator: it saves a call at every request.
        expected = self.expected
        return expected in value if type(expected) is str else _contains(value, expected)


class _IncludesAll(_ArrayValidator):
    expected_key = "expectedToInclude"

    def __init__(
        self, claim: SessionClaim[Any], expected: Any, max_age_in_sec: float | None, id_: str | None
    ) -> None:
        super().__init__(claim, expected, max_age_in_sec, id_)
        names = frozenset(item for item in expected if type(item) is str)
        self._names = names if len(names) == len(expected) else None

    def accepts(self, value: Any) -> bool:
        if self._names is not None:  # all of them text: no call for each
            return self._names.issubset([item for item in value if type(item) is str])
        return all(_contains(value, item) for item in self.expected)


class _IncludesAny(_ArrayValidator):
    expected_key = "expectedToIncludeAtLeastOneOf"

    def accepts(self, value: Any) -> bool:
        return any(_contains(value, item) for item in self.expected)


class _Excludes(_ArrayValidator):
    expected_key = "expectedToNotInclude"

    def accepts(self, value: Any) -> bool:
        return not _contains(value, self.expected)


class _ExcludesAll(_ArrayValidator):
    expected_key = "expectedToNotInclude"

    def accepts(self, value: Any) -> bool:
        return not any(_contains(value, item) for item in self.expected)


_OURS: Final = frozenset(
    {_HasValue, _IsVerified, _Includes, _IncludesAll, _IncludesAny, _Excludes, _ExcludesAll}
)


def _same(value: Any, expected: Primitive) -> bool:
    # ``True == 1`` in Python, but not in JSON.
    return value == expected and isinstance(value, bool) is isinstance(expected, bool)


def _contains(array: Any, expected: Primitive) -> bool:
    # Only a string equals a string, so ``in`` is correct for strings, and faster.
    if isinstance(expected, str):
        return expected in array
    return any(_same(item, expected) for item in array)


def _checked_value(value: Any, validator: str) -> Primitive:
    """Return the value as plain JSON; members of enumerations become their values."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise TypeError(
        f"{validator} compares with a string, a finite number or a boolean, not with {value!r}. For anything "
        "else, subclass SessionClaimValidator."
    )


def _checked_values(values: Any, validator: str) -> tuple[Primitive, ...]:
    if not isinstance(values, Collection) or isinstance(values, (str, bytes, Mapping)):
        raise TypeError(f"{validator} takes a list of values, not {values!r}; write [{values!r}].")
    return tuple([_checked_value(value, validator) for value in values])


def checked_max_age(max_age: Any, argument: str) -> Any:
    """Check the maximal age of a validator or a claim, and return it.

    :param argument: the name of the caller's argument.
    """
    refuse_asynchronous(max_age, argument)
    return max_age if max_age is None or callable(max_age) else _checked_age(max_age, argument)


def _checked_age(age: Any, argument: str) -> float:
    if isinstance(age, bool) or not isinstance(age, (int, float)):
        raise TypeError(f"{argument} must be a number of seconds or None, not {age!r}.")
    if not 0 <= age < math.inf:
        raise ValueError(
            f"{argument} must be finite and at least 0, not {age!r}; 0 refetches the value at every check."
        )
    return age


def _one_max_age(max_age_in_sec: Any, max_age_in_seconds: Any) -> Any:
    if max_age_in_seconds is None:
        return checked_max_age(max_age_in_sec, "max_age_in_sec")
    if max_age_in_sec is not None:
        raise TypeError("max_age_in_sec and max_age_in_seconds are the same: pass one of them.")
    return checked_max_age(max_age_in_seconds, "max_age_in_seconds")
