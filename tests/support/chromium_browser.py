"""Debian's chromium, driven by Playwright, for the tests of pages.

Skipped where one of the two is missing, unless ``STSESSION_REQUIRE_EVERYTHING`` is 1. Nothing is ever
downloaded: the browser is the system's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@contextmanager
def running_chromium() -> Iterator[Any]:
    """The browser. Playwright's types are not at hand everywhere, so ``Any``."""
    if not CHROMIUM.exists():
        _missing(f"there is no {CHROMIUM}: apt-get install chromium")
    try:
        playwright_api = import_module("playwright.sync_api")
    except ModuleNotFoundError:
        _missing("there is no Playwright to drive the browser: pip install playwright")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


def _missing(what: str) -> NoReturn:
    if os.environ.get("STSESSION_REQUIRE_EVERYTHING") == "1":
        pytest.fail(what)
    pytest.skip(what)
