"""The documentation as it is built: no page scrolls sideways, at the width of a desktop or of a phone."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.documentation import DOCS
from support.required import missing

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PACKAGES = ("sphinx", "myst_parser", "pallets_sphinx_themes")


def test_no_page_scrolls_sideways(chromium: Any, tmp_path: Path) -> None:
    if not all(map(find_spec, PACKAGES)):
        missing("Sphinx is missing; .ci/run installs it (pip install -r docs/requirements.txt)")
    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", str(DOCS), str(built), "-d", str(tmp_path / "doctrees")],
        check=True,
        timeout=600,
    )
    pages = [path for path in built.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 30
    too_wide = []
    page = chromium.new_page()
    for path in pages:
        page.goto(path.as_uri())
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                too_wide.append((width, path.relative_to(built)))
    assert too_wide == []
