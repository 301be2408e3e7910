"""Values as plain data, to compare them: those that carry tokens have no ``==`` of their own."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any


def as_data(value: Any) -> Any:
    """Return a dataclass as a dict, with everything in it, and any other value as it is."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
