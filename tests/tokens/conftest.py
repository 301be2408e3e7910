"""Fixtures of the tests of keys: a core with signing keys, and a clock."""

from __future__ import annotations

import pytest
from support.signing import Clock, Core, Signer

OLD = Signer("d-1700000000000")
NEW = Signer("d-1700000099999", name="two")


@pytest.fixture
def core() -> Core:
    """Return a core whose only key is the old one."""
    return Core(OLD.jwk())


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock(1_000.0)
