"""The tutorial, followed from an empty folder: its files, its commands and its tests."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import requests
from support.documentation import Block, page

pytestmark = [pytest.mark.embedded_core, pytest.mark.slow]

TUTORIAL = page("tutorial.md")

INSTALL, RUN, ROLES, TESTS = TUTORIAL.blocks("sh")

BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


class Follower:
    """Somebody who follows the tutorial in a folder.

    :param folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FLASK_")}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def write(self, block: Block) -> None:
        """Write the file that a block is, or add the view to the app."""
        if block.caption == "the new view":
            app = self.folder / "app.py"
            text = app.read_text(encoding="utf-8")
            text = text.replace("    return app\n", f"{block.code}\n    return app\n")
            app.write_text(text.replace("next_url\n", "next_url, verify_session\n", 1), encoding="utf-8")
            return
        path = self.folder / block.caption
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.code, encoding="utf-8")

    def run(self, command: str) -> str:
        """Run a command of the tutorial, and return what it prints."""
        ran = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Run ``flask run`` on a free port, and yield the address that it prints."""
        with (
            (self.folder / "flask.log").open("w+") as log,
            subprocess.Popen(
                ["flask", "run", "--port=0"],
                cwd=self.folder,
                env={**self.environment, "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    log.write(line)
                    found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", line)
                    if found:
                        yield found[1]
                        break
                else:
                    pytest.fail(Path(log.name).read_text(encoding="utf-8"))
            finally:
                process.terminate()
                process.communicate(timeout=60)


def sections() -> dict[str, list[Block]]:
    """Return the blocks of each section of the tutorial that are files."""
    blocks = [*TUTORIAL.blocks("python"), *TUTORIAL.blocks("html+jinja")]
    starts = [
        (TUTORIAL.text.count("\n", 0, found.start()), found[1])
        for found in re.finditer(r"^## (.*)$", TUTORIAL.text, re.MULTILINE)
    ]
    return {
        title: [
            block for block in blocks if title == [name for line, name in starts if line < block.line][-1]
        ]
        for _, title in starts
    }


def test_the_tutorial_ends_in_a_working_and_tested_app(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    steps = sections()

    for block in steps["A page that needs a session"]:
        follower.write(block)
    with follower.serving() as url, requests.Session() as browser:
        browser.headers.update(BROWSER)
        assert browser.get(url).url == f"{url}/login?next=%2F"
        assert "Hello, alice" in browser.post(f"{url}/login", data={"name": "alice"}).text
        assert "Sign in" in browser.post(f"{url}/auth/signout").text

    for block in steps["Users with passwords"]:
        follower.write(block)
    for block in steps["A page for administrators"]:
        follower.write(block)
    with follower.serving() as url, requests.Session() as browser:
        browser.headers.update(BROWSER)
        form = {"name": "alice", "password": "correct horse"}
        assert "Notes of alice" in browser.post(f"{url}/signup", data=form).text
        assert browser.get(f"{url}/admin").status_code == 403
        for command in ROLES.code.splitlines():
            follower.run(command)
        assert "<li>alice</li>" in browser.get(f"{url}/admin").text

    for block in steps["Tests"]:
        follower.write(block)
    # An installation from before the plugin existed does not load it by itself.
    loaded = any(point.name == "stsession" for point in entry_points(group="pytest11"))
    options = " -q -p no:randomly" + ("" if loaded else " -p flask_stsession.pytest_plugin")
    assert "5 passed" in follower.run(TESTS.code.strip() + options)


def test_the_first_command_installs_the_package_and_pytest() -> None:
    assert INSTALL.code.splitlines()[-1] == "pip install ../flask-stsession pytest"
    assert RUN.code == "flask run --debug\n"


def test_a_user_who_was_deleted_is_sent_to_the_login_page(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    steps = sections()
    for block in steps["Users with passwords"]:
        follower.write(block)
    with follower.serving() as url, requests.Session() as browser:
        browser.headers.update(BROWSER)
        browser.post(f"{url}/signup", data={"name": "alice", "password": "correct horse"})
        for file in tmp_path.glob("notes.db"):
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("DELETE FROM users")
        assert browser.get(url).url == f"{url}/login?next=%2F"
