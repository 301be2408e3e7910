"""The server-rendered example: signing in by a form, a protected page, signing out."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests
from flask import Flask
from support.app_factory import NewCore
from support.example_modules import import_example

EXAMPLE = Path(__file__).parents[1] / "examples" / "pages.py"
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the example, imported afresh."""
    return import_example("pages", monkeypatch)


@pytest.fixture
def app(example: ModuleType, core_config: dict[str, Any]) -> Iterator[Flask]:
    """Return the example's app, with a database of this test's own."""
    app: Flask = example.create_app(core_config)
    yield app
    app.extensions["stsession"].close()


def test_a_person_signs_in_takes_notes_and_leaves(app: Flask) -> None:
    client = app.test_client()
    to_login = client.get("/?a=1", headers=NAVIGATES)
    assert (to_login.status_code, to_login.headers["Location"]) == (302, "/login?next=%2F%3Fa%3D1")
    form = client.get(to_login.headers["Location"], headers=NAVIGATES).text
    wanted = re.search(r'name="next" value="([^"]+)"', form)
    assert wanted is not None
    fields = {"next": unescape(wanted[1]), "name": "alice"}
    back = client.post("/login", data=fields, headers=NAVIGATES)
    assert (back.status_code, back.headers["Location"]) == (303, "/?a=1")
    assert "<h1>Notes of alice</h1>" in client.get("/", headers=NAVIGATES).text
    assert client.post("/notes", data={"text": "<milk>"}, headers=NAVIGATES).headers["Location"] == "/"
    assert "<li>&lt;milk&gt;</li>" in client.get("/", headers=NAVIGATES).text
    assert client.get("/login?next=//evil.example", headers=NAVIGATES).headers["Location"] == "/"
    left = client.post("/auth/signout", headers=NAVIGATES)
    assert (left.status_code, left.headers["Location"]) == (303, "/login")
    assert client.get("/", headers=NAVIGATES).status_code == 302


def test_the_page_says_how_long_its_token_lives(app: Flask) -> None:
    client = app.test_client()
    client.post("/login", data={"name": "alice"}, headers=NAVIGATES)
    assert "The access token lives 30 seconds here." in client.get("/", headers=NAVIGATES).text


@pytest.mark.slow
def test_the_page_that_refreshes_has_the_look_of_the_app(example: ModuleType, new_core: NewCore) -> None:
    with new_core(access_token_validity=1, access_token_validity_jitter=0) as settings:
        app: Flask = example.create_app(settings)
        client = app.test_client()
        client.post("/login", data={"name": "alice"}, headers=NAVIGATES)
        time.sleep(2.1)
        page = client.get("/", headers=NAVIGATES).text
        app.extensions["stsession"].close()
    assert '<link rel="stylesheet" href="/style.css">' in page
    assert '<script src="/auth/session/refresh.js?v=' in page
    assert "next=%2F" in page


def test_the_style_is_open_to_everybody(app: Flask) -> None:
    style = app.test_client().get("/style.css")
    assert (style.status_code, style.mimetype) == (200, "text/css")


@pytest.mark.parametrize("name", [" ", "a" * 5000, "a\0"])
def test_nobody_signs_in_without_a_name(app: Flask, name: str) -> None:
    answer = app.test_client().post("/login", data={"name": name}, headers=NAVIGATES)
    assert answer.status_code == 400
    assert "<h1>Sign in</h1>" in answer.text


@pytest.mark.slow
def test_the_program_prints_its_address(tmp_path: Path) -> None:
    (tmp_path / "pages.py").write_bytes(EXAMPLE.read_bytes())
    command = [sys.executable, str(tmp_path / "pages.py"), "--port", "0"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=tmp_path) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline().decode()
            found = re.fullmatch(
                r"Open (http://127\.0\.0\.1:\d+) in a browser\. Press Ctrl\+C to stop\.\n", said
            )
            assert found is not None, said or (tmp_path / "log").read_text()
            page = requests.get(found[1], headers={"Accept": "text/html"}, timeout=10)
            assert page.url == f"{found[1]}/login?next=%2F"
            assert "<h1>Sign in</h1>" in page.text
        finally:
            process.terminate()
            process.wait(timeout=30)
