"""Programs and packages that are not in requirements-dev.txt.

Without them, tests are skipped; with ``STSESSION_REQUIRE_EVERYTHING=1``, they fail.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where everything is required.

    :param what: what is missing, and the command that installs it.
    """
    if os.environ.get("STSESSION_REQUIRE_EVERYTHING") == "1":
        pytest.fail(what)
    pytest.skip(what)
