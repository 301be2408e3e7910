"""Tabs that refresh at the same time: nobody is taken for a thief, and nobody is signed out.

``STSESSION_TEST_BURSTS`` is the number of bursts of each kind, 40 by default.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.browser_tabs import Tabs
from support.gunicorn_server import serving

pytestmark = pytest.mark.slow

BURSTS = int(os.environ.get("STSESSION_TEST_BURSTS", "40"))
#: A session lives through several bursts, since a theft shows only at the next refresh.
BURSTS_PER_SESSION = 10


@pytest.mark.parametrize("tabs", [2, 4])
@pytest.mark.parametrize("workers", [1, 3])
def test_tabs_that_refresh_together_never_count_as_token_theft(
    tmp_path: Path, workers: int, tabs: int
) -> None:
    seen: Counter[str] = Counter()
    options = ("--workers", str(workers), "--threads", "4", "--worker-class", "gthread")
    with serving(tmp_path / "core.db", *options) as address, ThreadPoolExecutor(tabs) as pool:
        for _ in range(BURSTS // BURSTS_PER_SESSION):
            browser = Tabs(address, tabs)
            browser.sign_in()
            for _ in range(BURSTS_PER_SESSION):
                browser.burst(pool)
            seen += browser.seen
    bursts = BURSTS // BURSTS_PER_SESSION * BURSTS_PER_SESSION
    assert seen == {
        "login 200": BURSTS // BURSTS_PER_SESSION,
        "refresh 200": bursts * tabs,
        "page 200": bursts * tabs,
    }
