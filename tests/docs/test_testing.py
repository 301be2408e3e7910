"""The page about tests: its files are a project, and its tests pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.documentation import page

ROOT = Path(__file__).parents[2]
FILES = page("testing.md").blocks("python")
#: Our fixtures once, whether or not the package is installed with its entry point.
PLUGINS = ["-p", "no:cacheprovider", "-p", "no:stsession", "-p", "flask_stsession.pytest_plugin"]


@pytest.mark.slow
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    assert all(block.caption.endswith(".py") for block in FILES)
    for block in FILES:
        (tmp_path / block.caption).write_text(block.code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *PLUGINS],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    written = sum(block.code.count("\ndef test_") for block in FILES) + 1  # one of them has two parameters
    assert f"{written} passed" in done.stdout, done.stdout + done.stderr
