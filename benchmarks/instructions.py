"""Instructions per request, counted by callgrind: repeatable to within a percent, also on a busy machine.

valgrind runs ``python -m benchmarks.instructions``, which has callgrind count around each flow.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .flows import running_flows
from .report import Part, Row

_REQUESTS = 100
_WARM_UP = 50
_DUMP = re.compile(r"^desc: Trigger: .*flow-(\d+)", re.MULTILINE)
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class _Aim:
    """Thousand instructions over the bare view.

    :param before: of an earlier state of this package.
    :param at_most: what we want to reach.
    """

    before: float
    at_most: float


_AIMS = {
    "header": _Aim(128.5, 72),
    "cookie": _Aim(138.7, 75),
    "cookie among six": _Aim(166.2, 76),
    "cookie, POST, anti-CSRF NONE": _Aim(178.4, 84),
    "one role": _Aim(202.0, 83),
    "three roles": _Aim(251.1, 100),
    "three validators of your own": _Aim(207.5, 95),
    "unprotected view": _Aim(17.5, 16.5),
}


def measure() -> Part:
    """Count the instructions of each flow.

    :raises SystemExit: valgrind is not installed.
    """
    if shutil.which("valgrind") is None or shutil.which("callgrind_control") is None:
        raise SystemExit("--instructions needs valgrind and its callgrind_control")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        process = subprocess.run(
            [*command, sys.executable, "-m", __name__],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise RuntimeError(process.stderr)
        counts = _counts(Path(folder))
    references: dict[str, str] = json.loads(process.stdout)
    absolute = {name: counts[number] for number, name in enumerate(references)}
    over = {
        name: absolute[name] - absolute[reference]
        for name, reference in references.items()
        if name != reference
    }
    return Part(
        ("thousand instructions over the bare view", "before", "now", "aim"),
        [_row(name, count) for name, count in over.items()],
        [
            "The first time checks an RSA signature, for which valgrind's processor takes more instructions "
            "than a real one. Refresh and login include the work of the embedded core.",
        ],
    )


def _row(name: str, count: float) -> Row:
    aim = _AIMS.get(name)
    if aim is None:
        return Row((name, "", f"{count:.1f}", ""))
    return Row((name, f"{aim.before:.1f}", f"{count:.1f}", f"{aim.at_most:g}"), count <= aim.at_most)


def _counts(folder: Path) -> dict[int, float]:
    """Return thousand instructions per request, by the number of the flow."""
    counts = {}
    for path in folder.glob("callgrind.out.*"):
        text = path.read_text(encoding="utf-8")
        dump, total = _DUMP.search(text), _TOTAL.search(text)
        if dump is not None and total is not None:
            counts[int(dump[1])] = int(total[1]) / _REQUESTS / 1000
    return counts


def _count() -> None:
    """Send the requests of each flow while callgrind counts, and print the references of all flows."""
    logging.disable(logging.CRITICAL)
    with running_flows() as flows:
        for number, flow in enumerate(flows.values()):
            for _ in range(_WARM_UP):
                flow.send()
            gc.collect()
            gc.freeze()
            gc.disable()
            _control("--instr=on")
            for _ in range(_REQUESTS):
                flow.send()
            _control(f"--dump=flow-{number}")
            _control("--instr=off")
            gc.enable()
        print(json.dumps({name: flow.reference for name, flow in flows.items()}))


def _control(command: str) -> None:
    subprocess.run(["callgrind_control", command, str(os.getpid())], check=True, capture_output=True)


if __name__ == "__main__":
    _count()
