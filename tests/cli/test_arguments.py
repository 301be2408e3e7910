"""Impossible arguments are wrong usage of a command."""

from __future__ import annotations

import pytest
from flask import Flask
from support.commands import output_of, run_on, usage_error_of


@pytest.mark.parametrize("role", ["editor ", " editor", "\teditor", " "])
def test_blanks_around_a_name_are_refused(app: Flask, role: str) -> None:
    error = usage_error_of(run_on(app, "roles", "create", role))
    assert error.startswith(f"Invalid value for 'ROLE': it is {role!r}, which ")


def test_blanks_around_one_of_several_names_are_refused(app: Flask) -> None:
    error = usage_error_of(run_on(app, "roles", "create", "editor", "read", "write "))
    assert error.startswith("Invalid value for '[PERMISSION]...': it is 'write ', which ")


def test_what_is_not_utf_8_is_refused(app: Flask) -> None:
    error = usage_error_of(run_on(app, "sessions", "list", "al\udcffice"))
    assert error == "Invalid value for 'USER': 'al\\udcffice' is not UTF-8."


def test_the_id_of_an_existing_user_may_have_blanks(app: Flask) -> None:
    output_of(run_on(app, "sessions", "list", "alice "))


def test_a_missing_argument_is_wrong_usage(app: Flask) -> None:
    assert usage_error_of(run_on(app, "roles", "give", "alice")) == "Missing argument 'ROLE'."
