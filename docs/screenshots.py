"""The screenshots of this documentation: ``python docs/screenshots.py [NAME ...]`` takes them anew.

It needs Chromium, Playwright, pngquant and the built examples (``npm install && npm run build``). Beside the
pictures it writes from which sources they were taken; a test compares those with the present ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
FOLDER = DOCS / "screenshots"
SOURCES = FOLDER / "sources.json"


class Picture(NamedTuple):
    """A picture of the page of an example.

    :param script: the example, below ``examples``.
    :param act: what a person does on the page before the picture is taken.
    :param context: the size of the window and the like, as Playwright takes them.
    """

    script: str
    act: Callable[[Any], None]
    context: dict[str, Any]


def _press(page: Any, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()


def _in_the_quickstart(page: Any) -> None:
    _press(page, "Sign in")
    page.get_by_role("heading", name="alice").wait_for()
    page.locator("#answer", has_text="sessionHandle").wait_for()


def _in_the_web_example(page: Any) -> None:
    _press(page, "Sign in")
    page.get_by_text("Harbour dues").wait_for()
    page.get_by_role("switch").check()
    page.get_by_text("Open to you: your role is admin.").wait_for()
    _press(page, "Open the vault")
    page.get_by_label("Code").wait_for()


def _in_the_react_example(page: Any) -> None:
    _press(page, "Sign in")
    page.get_by_text("Welcome, alice").wait_for()
    page.get_by_role("link", name="Overview").wait_for()


PICTURES = {
    "quickstart": Picture("quickstart.py", _in_the_quickstart, {"viewport": {"width": 1060, "height": 780}}),
    "web": Picture("web/app.py", _in_the_web_example, {"viewport": {"width": 1000, "height": 860}}),
    "web-phone": Picture(
        "web/app.py",
        _in_the_web_example,
        {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
    ),
    "react": Picture("react/app.py", _in_the_react_example, {"viewport": {"width": 1000, "height": 680}}),
}


def digest_of_sources(script: str) -> str:
    """Return a digest of what decides how the page of an example looks."""
    path = EXAMPLES / script
    if path.parent == EXAMPLES:  # the page is in the script itself
        spec = importlib.util.spec_from_file_location("example_to_show", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        parts = [module.PAGE.encode(), module.STYLE.encode(), module.SCRIPT.encode()]
    else:
        parts = [source.read_bytes() for source in sorted((path.parent / "src").iterdir())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@contextmanager
def _serving(script: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(EXAMPLES / script), "--port", "0"]
        environment = {**os.environ, "FLASK_STSESSION_CONNECTION_URI": f"embedded:{folder}/core.db"}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                assert process.stdout is not None
                url = re.search(r"Open (\S+) in a browser", process.stdout.readline())
                assert url is not None, f"{script} did not start"
                yield url[1]
            finally:
                process.terminate()


def main(names: Sequence[str]) -> None:
    """Take these pictures."""
    taken_from = json.loads(SOURCES.read_text(encoding="utf-8"))
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name in names:
            picture = PICTURES[name]
            with _serving(picture.script) as url:
                context = browser.new_context(reduced_motion="reduce", **picture.context)
                page = context.new_page()
                page.goto(url)
                picture.act(page)
                path = FOLDER / f"{name}.png"
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=path, caret="hide")
                context.close()
            smaller = [
                "pngquant",
                "--force",
                "--skip-if-larger",
                "--strip",
                "--output",
                str(path),
                "64",
                str(path),
            ]
            subprocess.run(smaller, check=True)
            taken_from[name] = digest_of_sources(picture.script)
        browser.close()
    SOURCES.write_text(json.dumps(taken_from, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PICTURES))
