"""Importing an example as a module, as a test needs it, and what examples must refuse."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

#: Bodies of a login by JSON, and the field that is missing or no short text.
BAD_LOGINS: list[tuple[Any, str]] = [
    (None, "userId"),
    ([], "userId"),
    ({}, "userId"),
    ({"password": "demo"}, "userId"),
    ({"userId": 5, "password": "demo"}, "userId"),
    ({"userId": " ", "password": "demo"}, "userId"),
    ({"userId": "a" * 5000, "password": "demo"}, "userId"),
    ({"userId": "a\0", "password": "demo"}, "userId"),
    ({"userId": "alice"}, "password"),
    ({"userId": "alice", "password": 5}, "password"),
]


_WITHOUT_FIELDS: list[Any] = [None, [], {}, {"code": 5, "admin": "yes"}]
#: Routes of the pages' APIs behind a login, bodies without the route's field, and the answers.
BAD_FIELDS: list[tuple[str, Any, str]] = [
    (path, body, message)
    for path, message in (
        ("/api/second-factor", "wrong code"),
        ("/api/role", "admin must be true or false"),
    )
    for body in _WITHOUT_FIELDS
]


def import_example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the example of that name (``quickstart``, ``web/app``) afresh; forget it after the test."""
    module_name = f"{name.replace('/', '_')}_example"
    spec = importlib.util.spec_from_file_location(module_name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Flask looks a module up by its name to find its folder.
    monkeypatch.setitem(sys.modules, module_name, module)
    spec.loader.exec_module(module)
    return module
