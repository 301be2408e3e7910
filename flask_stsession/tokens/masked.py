"""A token type that logs and error reports do not show by accident."""

from __future__ import annotations

from typing import Any


class MaskedToken(str):
    """A token whose ``repr`` does not show it.

    Error reporters such as Sentry collect the local variables of every frame by their ``repr``, also of our
    frames around a user's function, and descend into tuples and dicts to do so.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<token of {len(self)} characters>"


def masked(value: Any) -> Any:
    """Return text as a token whose ``repr`` does not show it, and any other value as it is."""
    return MaskedToken(value) if isinstance(value, str) else value
