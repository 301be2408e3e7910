"""The how-to about upgrades (upgrading.md): a deprecation fails the tests of an app."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.documentation import page

#: The test of an app that uses something deprecated.
WARNS = """
import warnings

def test_something_deprecated():
    warnings.warn_explicit("use the new one", DeprecationWarning, "app.py", 1, module="app")
"""


@pytest.mark.slow
def test_a_deprecation_fails_the_tests_of_an_app(tmp_path: Path) -> None:
    found = re.search(r"```ini\n(.*?)```", page("howto/upgrading.md").text, re.DOTALL)
    assert found is not None
    (tmp_path / "pytest.ini").write_text(textwrap.dedent(found[1]), encoding="utf-8")
    (tmp_path / "test_app.py").write_text(WARNS, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "DeprecationWarning: use the new one" in ran.stdout
