"""Debian's chromium, driven by Playwright, for the tests of pages.

Tests are skipped where one of the two is missing (see :mod:`support.required`). Nothing is ever downloaded:
the browser is the system's.
"""

from __future__ import annotations

import json
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
def running_chromium(*flags: str) -> Iterator[Any]:
    """Yield the browser. Playwright's types are not installed everywhere, so ``Any``.

    :param flags: further flags of the command line.
    """
    with _playwright() as chromium:
        browser = chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS, *flags])
        yield browser
        browser.close()


@contextmanager
def chromium_at_home(home: Path, *flags: str, blocks_third_parties: bool = False) -> Iterator[Any]:
    """Yield the browser with a home directory, which holds the certificate authorities that it trusts.

    :param blocks_third_parties: keep no cookie of another site than the page's, as private windows do (and
        all windows of :func:`running_chromium`), unless it is partitioned.
    """
    mode = int(blocks_third_parties)
    preferences = home / "profile" / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps({"profile": {"cookie_controls_mode": mode}}), encoding="utf-8")
    with _playwright() as chromium:
        window = chromium.launch_persistent_context(
            home / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, *flags],
            env={**os.environ, "HOME": str(home)},
        )
        yield window.browser
        window.close()


@contextmanager
def _playwright() -> Iterator[Any]:
    if not CHROMIUM.exists():
        missing(f"there is no {CHROMIUM}: apt-get install chromium")
    try:
        playwright_api = import_module("playwright.sync_api")
    except ModuleNotFoundError:
        missing("there is no Playwright to drive the browser: pip install playwright")
    with playwright_api.sync_playwright() as playwright:
        yield playwright.chromium
