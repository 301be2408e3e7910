"""Every test below this folder is about the embedded core itself."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOM = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before tests are left out by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; the hook is given all of them."""
    for item in items:
        if item.path.is_relative_to(ROOM):
            item.add_marker(pytest.mark.embedded_core)
