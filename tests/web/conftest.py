"""Fixtures for tests of pages; each of their modules has an ``app``."""

from __future__ import annotations

import pytest
from flask import Flask
from support.pages_visitor import Visitor
from support.served_core import ServedCore


@pytest.fixture
def expiring(served_core: ServedCore) -> ServedCore:
    """Return a core whose access tokens have expired when they arrive."""
    served_core.makes_expired_tokens = True
    return served_core


@pytest.fixture
def visitor(app: Flask, expiring: ServedCore) -> Visitor:
    """Return a browser that is signed in, with an expired access token."""
    visitor = Visitor(app)
    expiring.makes_expired_tokens = False
    return visitor


@pytest.fixture
def stranger(app: Flask) -> Visitor:
    """Return a browser that is not signed in."""
    return Visitor(app, signed_in=False)
