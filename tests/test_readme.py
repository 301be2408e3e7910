"""The README keeps its word: its code runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.documentation import DOCS, ROOT, Page

from flask_stsession import __version__

README = Page(ROOT / "README.md")
MAIN, PRODUCTION = README.blocks()

AS_A_FRONTEND = {"st-auth-mode": "cookie"}

#: Runs code as if the public suffix list, which an extra brings, were not installed.
_WITHOUT_EXTRAS = "import sys; sys.modules['publicsuffixlist'] = None; exec(sys.stdin.read())"

pytestmark = pytest.mark.embedded_core  # the README configures none


@pytest.fixture
def main_example() -> Iterator[dict[str, Any]]:
    """What the main example defines."""
    with README.running(MAIN) as namespace:
        yield namespace


def test_the_main_example_signs_in_and_guards(main_example: dict[str, Any]) -> None:
    app = main_example["app"]
    client = app.test_client()
    assert client.get("/user").json == {"message": "unauthorised"}
    assert client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND).json == {"status": "OK"}
    assert client.get("/user").json == {"userId": "alice"}
    assert client.delete("/blog/1").status_code == 403
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/auth/jwt/jwks.json").status_code == 200
    assert client.get("/auth/.well-known/openid-configuration").status_code == 200
    assert client.post("/auth/signout").json == {"status": "OK"}
    assert client.get("/user").status_code == 401


def test_the_main_example_is_about_twenty_lines() -> None:
    assert len([line for line in MAIN.code.splitlines() if line.strip()]) <= 20


def test_the_production_example_is_a_valid_configuration(main_example: dict[str, Any]) -> None:
    README.run(main_example, PRODUCTION)
    config = main_example["app"].extensions["stsession"].config
    assert config.core_hosts == ("https://core.example.com:3567",)


def test_the_production_example_needs_no_extra() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRAS],
        input=MAIN.code + PRODUCTION.code,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_two_commands_are_those_that_a_fresh_machine_needs() -> None:
    assert [block.code for block in README.blocks("sh")] == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python examples/quickstart.py\n",
        "python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt && .venv/bin/pytest\n",
        ".venv/bin/pip install ../flask-stsession\n",
    ]


def constant_of_setup(name: str) -> str:
    """Return a constant of ``setup.py``, where the addresses of the project are kept."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return str(ast.literal_eval(node.value))
    raise AssertionError(name)


def test_links_are_absolute_and_lead_to_files_and_pages_that_exist() -> None:
    links = re.findall(r"\]\(([^)]+)\)|^\[[^\]]+\]: (\S+)$", README.text, re.MULTILINE)
    files = constant_of_setup("REPOSITORY") + "/blob/main/"
    pictures = files.replace("https://github.com/", "https://raw.githubusercontent.com/").replace(
        "/blob/", "/"
    )
    pages = constant_of_setup("DOCUMENTATION")
    targets = []
    for link in ("".join(each) for each in links):
        if link.startswith(files):
            targets.append(ROOT / link.removeprefix(files))
        elif link.startswith(pictures):
            targets.append(ROOT / link.removeprefix(pictures))
        elif link.startswith(pages):
            name = link.removeprefix(pages).removesuffix(".html") or "index"
            targets.append(DOCS / f"{name}.md")
        else:
            assert link == "https://supertokens.com/docs"
    assert targets
    assert [target for target in targets if not target.exists()] == []


def test_every_link_by_name_is_defined_and_used() -> None:
    defined = set(re.findall(r"^\[([^\]]+)\]: ", README.text, re.MULTILINE))
    prose = re.sub(r"^```.*?^```$", "", README.text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^\[[^\]]+\]: .*$", "", prose, flags=re.MULTILINE)
    named = re.findall(r"\[([^\]\"]+)\](?:\[([^\]]+)\])?(?!\()", text)
    assert {" ".join((second or first).lower().split()) for first, second in named} == defined


def test_the_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 150


def test_the_version_is_the_one_that_is_installed() -> None:
    setup = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert setup.stdout.strip().splitlines()[-1] == __version__
