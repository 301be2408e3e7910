"""The validators that the claims of plain JSON values offer.

Source: ``PrimitiveClaim``, ``PrimitiveArrayClaim`` and ``BooleanClaim`` of the SuperTokens
documentation; the JSON of the failures as its SDKs send it.

Values are compared as in JSON: ``1`` and ``1.0`` are one number, ``1`` and ``true`` are two values.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from .base import VALID, ClaimValidationResult, SessionClaim, SessionClaimValidator

Primitive: TypeAlias = str | int | float | bool
P = TypeVar("P", bound=Primitive)

#: Seconds, or a function of the user context that returns them: for claims made before there is an app.
MaxAge: TypeAlias = float | Callable[[dict[str, Any]], float | None] | None


class PrimitiveClaimValidators(Generic[P]):
    """What a :class:`PrimitiveClaim` can be checked for."""

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
        """The claim has this value.

        :param value: a string, a number or a boolean.
        :param max_age_in_sec: seconds after which the value is fetched again; 0: at every check;
            ``None``: the claim's default.
        :param id_: of the validator, by default the claim's key.
        :param max_age_in_seconds: the same as ``max_age_in_sec``, in supertokens-python's spelling.
        :raises TypeError: if ``value`` is nothing that such a claim can hold.
        :raises ValueError: if the maximal age is negative.
        """
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _HasValue(self.claim, _checked_value(value, "has_value"), max_age, id_)


class BooleanClaimValidators(PrimitiveClaimValidators[bool]):
    """What a :class:`BooleanClaim` can be checked for."""

    def is_true(
        self,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """The claim is true; the parameters are those of :meth:`has_value`."""
        return self.has_value(True, max_age_in_sec, id_, max_age_in_seconds=max_age_in_seconds)

    def is_false(
        self,
        max_age_in_sec: float | None = None,
        id_: str | None = None,
        *,
        max_age_in_seconds: float | None = None,
    ) -> SessionClaimValidator:
        """The claim is there and false; the parameters are those of :meth:`has_value`."""
        return self.has_value(False, max_age_in_sec, id_, max_age_in_seconds=max_age_in_seconds)


class PrimitiveArrayClaimValidators(Generic[P]):
    """What a :class:`PrimitiveArrayClaim` can be checked for.

    Beside the value, or the collection of values, all of them take what
    :meth:`PrimitiveClaimValidators.has_value` takes, and raise what it raises.
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
        """The value is in the list."""
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
        """All of the values are in the list; so it is for no values at all."""
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
        """At least one of the values is in the list; of no values at all, none is."""
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
        """The claim is there, and the value is not in the list."""
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
        """The claim is there, and none of the values is in the list."""
        max_age = _one_max_age(max_age_in_sec, max_age_in_seconds)
        return _ExcludesAll(self.claim, _checked_values(values, "excludes_all"), max_age, id_)


class AgedValidator(SessionClaimValidator):
    """Present, young enough, and what was expected, in this order.

    Validators run at every request, so whatever can be known beforehand is: a check that passes makes
    no objects.
    """

    #: Key under which a failure's reason says what was expected.
    expected_key: str
    #: The types that such a claim stores. Anything else in the payload counts as absent.
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

    def max_age_in_sec(self, user_context: dict[str, Any]) -> float | None:
        """The maximal age of the value, in s; ``None``: any age will do."""
        return self._max_age_in_sec if self._max_age_of is None else self._max_age_of(user_context)

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Is this what was expected? The value is there, and of one of the stored types."""

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any] | None = None) -> bool:
        """Is the value absent, or older than the maximal age? An age of 0 asks at every check."""
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
        """Check the value; the reason of a failure is the JSON that frontend SDKs know."""
        value = self._value(payload, user_context)
        if value is None or not isinstance(value, self.stored_types):
            return self._failure("value does not exist")
        max_age = self._max_age_in_sec if self._max_age_of is None else self._max_age_of(user_context or {})
        if max_age is not None:
            fetched_at = self._fetched_at(payload, user_context)
            # A value of unknown age is older than any.
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


class _ArrayValidator(AgedValidator):
    # A string above all is no list of strings: "admin" would be found in "administrator".
    stored_types = (list, tuple)


class _Includes(_ArrayValidator):
    expected_key = "expectedToInclude"

    def accepts(self, value: Any) -> bool:
        # Said again for the commonest of all validators: it saves a call at every request.
        expected = self.expected
        return expected in value if type(expected) is str else _contains(value, expected)


class _IncludesAll(_ArrayValidator):
    expected_key = "expectedToInclude"

    def accepts(self, value: Any) -> bool:
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


def _same(value: Any, expected: Primitive) -> bool:
    # Python holds True for 1; JSON, and whoever wrote the payload, do not.
    return value == expected and isinstance(value, bool) is isinstance(expected, bool)


def _contains(array: Any, expected: Primitive) -> bool:
    # Nothing equals a string but a string, so that the fast way is right for it.
    if isinstance(expected, str):
        return expected in array
    return any(_same(item, expected) for item in array)


def _checked_value(value: Any, validator: str) -> Primitive:
    """The value as plain JSON: members of enumerations become what they stand for."""
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


def checked_max_age(max_age: Any) -> Any:
    """The maximal age of a validator or a claim, if it makes sense."""
    if max_age is None or callable(max_age):
        return max_age
    if isinstance(max_age, bool) or not isinstance(max_age, (int, float)):
        raise TypeError(f"max_age_in_sec is a number of seconds, or None, not {max_age!r}.")
    if not 0 <= max_age < math.inf:
        raise ValueError(
            f"max_age_in_sec is {max_age!r}. Use 0 to have the value fetched at every check, None to have it "
            "fetched only when it is missing."
        )
    return max_age


def _one_max_age(max_age_in_sec: Any, max_age_in_seconds: Any) -> Any:
    if max_age_in_seconds is None:
        return checked_max_age(max_age_in_sec)
    if max_age_in_sec is not None:
        raise TypeError("max_age_in_sec and max_age_in_seconds are the same: pass one of them.")
    return checked_max_age(max_age_in_seconds)
