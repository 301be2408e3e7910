"""The lowest versions that ``setup.py`` allows, on which the suite is run as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_requirement_is_pinned_at_its_lowest() -> None:
    printed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "minimums"], check=True, capture_output=True, text=True
    )
    pins = dict(pin.split("==") for pin in printed.stdout.split())
    assert set(pins) == {
        *("flask", "pyjwt", "cryptography", "requests", "cachetools"),
        *("publicsuffixlist", "werkzeug"),
    }
    # Those below have advisories: "crit" headers, buffers, credentials of a .netrc.
    assert (pins["pyjwt"], pins["cryptography"], pins["requests"]) == ("2.12", "46.0.7", "2.32.4")
