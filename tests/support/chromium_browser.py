"""Debian's chromium, driven by Playwright, for the tests of pages.

Tests are skipped where one of the two is missing (see :mod:`support.required`). Nothing is ever downloaded:
the browser is the system's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from support.required import missing

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
def running_chromium(*flags: str, home: Path | None = None) -> Iterator[Any]:
    """Yield the browser. Playwright's types are not installed everywhere, so ``Any``.

    :param flags: further flags of the command line.
    :param home: the home directory of the browser, which holds the certificate authorities that it trusts.
    """
    if not CHROMIUM.exists():
        missing(f"there is no {CHROMIUM}: apt-get install chromium")
    try:
        playwright_api = import_module("playwright.sync_api")
    except ModuleNotFoundError:
        missing("there is no Playwright to drive the browser: pip install playwright")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, *flags],
            env=None if home is None else {**os.environ, "HOME": str(home)},
        )
        yield browser
        browser.close()
