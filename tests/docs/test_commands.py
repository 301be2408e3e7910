"""The page about commands: every command prints what the page shows."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from support.commands import json_of, run_on
from support.documentation import Block, Namespace, page, page_fixture

from flask_stsession.cli import stsession_group

pytestmark = pytest.mark.embedded_core  # the page configures no core

COMMANDS = page("commands.md")
SESSIONS, ROLES, CREATE, INSPECT, ROUTES, DOCTOR, SETTINGS = COMMANDS.blocks("console")
#: The session of the page.
HANDLE = "8124ac1a-bd79-425c-959c-b235e5de2271"

namespace = page_fixture("commands.md")


@pytest.fixture
def app(namespace: Namespace) -> Flask:
    """The app of the page."""
    found: Any = namespace["app"]
    assert isinstance(found, Flask)
    return found


def steps_of(block: Block) -> list[tuple[str, str]]:
    """Return the command lines of a block, each with the output that it shows."""
    steps = re.split(r"^\$ ", block.code, flags=re.MULTILINE)
    return [(command, output) for command, _, output in (step.partition("\n") for step in steps if step)]


def matches(shown: str, output: str) -> bool:
    """Does an output look as shown? ``…`` is a part of a line; alone on a line, any number of lines."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "…\n" else re.escape(line).replace("…", ".*")
        for line in shown.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, output) is not None


def play(app: Flask, block: Block, *, handle: str = HANDLE, token: str | None = None) -> None:
    """Run the commands of a block one after the other, on a session whose handle the page calls otherwise."""
    result: Result | None = None
    for command, shown in steps_of(block):
        if command == "echo $?":
            assert result is not None
            assert f"{result.exit_code}\n" == shown
            continue
        line, _, redirected = command.partition(" < ")
        flask, group, *arguments = shlex.split(line.replace(HANDLE, handle))
        assert (flask, group) == ("flask", "stsession")
        result = run_on(app, *arguments, given=token if redirected else None)
        output = re.sub(r" +\n", "\n", result.output.replace(handle, HANDLE))
        assert matches(shown, output), f"{command}\n{output}"


def session_of(app: Flask) -> dict[str, Any]:
    """Create a session by the command."""
    created: dict[str, Any] = json_of(run_on(app, "token", "create", "alice", "--json"))
    return created


def test_sessions_are_listed_shown_and_revoked(app: Flask) -> None:
    play(app, SESSIONS, handle=session_of(app)["session_handle"])


def test_roles_are_administered(app: Flask) -> None:
    play(app, ROLES)


def test_tokens_are_created_and_their_command_lines_work(app: Flask) -> None:
    [(command, shown)] = steps_of(CREATE)
    assert command == "flask stsession token create alice"
    output = run_on(app, "token", "create", "alice").output
    assert matches(shown.replace(HANDLE, "…"), output), output


def test_tokens_are_inspected(app: Flask) -> None:
    session = session_of(app)
    play(app, INSPECT, handle=session["session_handle"], token=session["access_token"])


@pytest.mark.parametrize("block", [ROUTES, DOCTOR, SETTINGS])
def test_the_app_is_shown_as_it_is(app: Flask, block: Block) -> None:
    play(app, block)


def test_the_table_names_every_command() -> None:
    named = re.findall(r"^\| \[`(\w+)`\]", COMMANDS.text, re.MULTILINE)
    assert sorted(named) == sorted(stsession_group.commands)
