"""Runs ``flask stsession`` on an app, in this process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result
from flask import Flask

from flask_stsession.cli import stsession_group


def run_on(app: Flask, *arguments: str, given: str | bytes | None = None) -> Result:
    """Run ``flask stsession`` with these arguments.

    :param given: for its standard input.
    """
    return app.test_cli_runner().invoke(stsession_group, arguments, input=given)


def output_of(result: Result) -> str:
    """Return the output of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return result.output


def json_of(result: Result, *, exit_code: int = 0) -> Any:
    """Return the JSON that a command printed, and nothing beside it."""
    assert result.exit_code == exit_code, result.output
    return json.loads(result.output)


def error_of(result: Result) -> str:
    """Return the one line of a command that was refused."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    return result.output.removeprefix("Error: ").rstrip("\n")


def usage_error_of(result: Result) -> str:
    """Return the last line of a command that was called in a wrong way."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    return result.output.splitlines()[-1].removeprefix("Error: ")
