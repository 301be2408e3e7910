"""Claims that hold plain JSON values: a string, a number, a boolean, or a list of them.

Source: ``PrimitiveClaim``, ``PrimitiveArrayClaim`` and ``BooleanClaim`` of the SuperTokens
documentation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import cached_property
from typing import Any

from .base import SessionClaim
from .validators import (
    BooleanClaimValidators,
    MaxAge,
    P,
    PrimitiveArrayClaimValidators,
    PrimitiveClaimValidators,
    checked_max_age,
)


class PrimitiveClaim(SessionClaim[P]):
    """A claim whose value is a string, a number or a boolean.

    :param key: key in the access token payload.
    :param fetch_value: see :class:`SessionClaim`.
    :param default_max_age_in_sec: age (s) at which validators without a maximal age of their own refetch the
        value; 0: at every check; ``None``: only if it is missing.
    :param clock: returns the time in ms, for tests; by default that of this machine.
    """

    def __init__(
        self,
        key: str | None = None,
        fetch_value: Callable[..., P | Awaitable[P | None] | None] | None = None,
        default_max_age_in_sec: MaxAge = None,
        *,
        clock: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(key, fetch_value, clock=clock)
        self.default_max_age_in_sec: MaxAge = checked_max_age(
            default_max_age_in_sec, "default_max_age_in_sec"
        )

    @cached_property
    def validators(self) -> PrimitiveClaimValidators[P]:
        """The validators of this claim."""
        return PrimitiveClaimValidators(self)


class BooleanClaim(PrimitiveClaim[bool]):
    """A claim that is true or false; the parameters are those of :class:`PrimitiveClaim`."""

    @cached_property
    def validators(self) -> BooleanClaimValidators:
        """The validators of this claim."""
        return BooleanClaimValidators(self)


class PrimitiveArrayClaim(SessionClaim[list[P]]):
    """A claim whose value is a list of strings, numbers or booleans.

    :param key: key in the access token payload.
    :param fetch_value: see :class:`SessionClaim`.
    :param default_max_age_in_sec: as in :class:`PrimitiveClaim`.
    :param clock: returns the time in ms, for tests; by default that of this machine.
    """

    def __init__(
        self,
        key: str | None = None,
        fetch_value: Callable[..., Collection[P] | Awaitable[Collection[P] | None] | None] | None = None,
        default_max_age_in_sec: MaxAge = None,
        *,
        clock: Callable[[], int] | None = None,
    ) -> None:
        source: Any = fetch_value  # a list is stored, whatever collection the source returns
        super().__init__(key, source, clock=clock)
        self.default_max_age_in_sec: MaxAge = checked_max_age(
            default_max_age_in_sec, "default_max_age_in_sec"
        )

    def add_to_payload_(
        self, payload: dict[str, Any], value: Collection[P], user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the payload with this value in it, as of now; a tuple or a set becomes a list."""
        stored: Any = value
        if isinstance(value, (set, frozenset)):
            # Sorted, so that one set of roles always makes the same payload.
            stored = sorted(value, key=str)
        elif isinstance(value, tuple):
            stored = list(value)
        return super().add_to_payload_(payload, stored, user_context)

    @cached_property
    def validators(self) -> PrimitiveArrayClaimValidators[P]:
        """The validators of this claim."""
        return PrimitiveArrayClaimValidators(self)
