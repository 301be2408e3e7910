"""``examples/quickstart.py`` as a process of its own, for tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.py"
_SECONDS_TO_START = 60


@contextmanager
def running_quickstart(folder: Path, **core_settings: float) -> Iterator[str]:
    """Serve a copy of the example, which keeps its data beside itself; yields its URL.

    :param folder: where to put the copy.
    :param core_settings: of the embedded core, instead of the example's own.
    """
    script = Path(shutil.copy(QUICKSTART, folder))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
    if core_settings:
        environment["FLASK_STSESSION_EMBEDDED_CORE"] = json.dumps(core_settings)
    with (
        (folder / "requests.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, str(script), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder.parent,
            env=environment,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline().decode()
            url = re.fullmatch(
                r"Open (http://127\.0\.0\.1:\d+) in a browser\. Press Ctrl\+C to stop\.\n", said
            )
            assert url is not None, said or (folder / "requests.log").read_text()
            yield url[1]
        finally:
            process.terminate()
            process.wait(timeout=_SECONDS_TO_START)
