"""Instructions per request, counted by callgrind: repeatable to within a percent, also on a busy machine.

valgrind runs ``python -m benchmarks.instructions FLOW``, which has callgrind count around its requests.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .flows import running_flows
from .report import Part, Row

_WARM_UP = 50
_HASH_SEEDS = (1, 2, 3)
#: Enough that starting and stopping the counter (some hundred thousand instructions) matters little.
_REQUESTS = 1000
#: Of the flows that take more than a hundred times as many instructions.
_LARGE = {"refresh by header": 100, "refresh by cookie": 100, "login by header": 100, "login by cookie": 100}
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
    """Count the instructions of each flow, in a process of its own: interpreters adapt to the app they run.

    :raises SystemExit: valgrind is not installed.
    """
    if shutil.which("valgrind") is None or shutil.which("callgrind_control") is None:
        raise SystemExit("--instructions needs valgrind and its callgrind_control")
    with running_flows() as flows:
        references = {name: flow.reference for name, flow in flows.items()}
    absolute = {name: median(_counted(name, seed) for seed in _HASH_SEEDS) for name in references}
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


def _counted(flow: str, hash_seed: int) -> float:
    """Return thousand instructions per request of a flow.

    :param hash_seed: of Python's dicts; the count varies with it by a thousand, as keys collide or not.
    :raises RuntimeError: valgrind, or a request, has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        process = subprocess.run(
            [*command, sys.executable, "-m", __name__, flow],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise RuntimeError(process.stderr)
        # The first dump is what was asked for; the last, at the end of the process, counts nothing.
        totals = [int(_total(path)) for path in Path(folder).glob("callgrind.out.*")]
    return max(totals) / _requests_of(flow) / 1000


def _total(path: Path) -> str:
    found = _TOTAL.search(path.read_text(encoding="utf-8"))
    return "0" if found is None else found[1]


def _requests_of(flow: str) -> int:
    return _LARGE.get(flow, _REQUESTS)


def _row(name: str, count: float) -> Row:
    aim = _AIMS.get(name)
    if aim is None:
        return Row((name, "", f"{count:.1f}", ""))
    return Row((name, f"{aim.before:.1f}", f"{count:.1f}", f"{aim.at_most:g}"), count <= aim.at_most)


def _count(name: str) -> None:
    """Send the requests of a flow while callgrind counts."""
    logging.disable(logging.CRITICAL)
    with running_flows() as flows:
        flow = flows[name]
        for _ in range(_WARM_UP):
            flow.send()
        gc.collect()
        gc.freeze()
        gc.disable()
        _control("--instr=on")
        for _ in range(_requests_of(name)):
            flow.send()
        _control("--dump=counted")
        _control("--instr=off")


def _control(command: str) -> None:
    subprocess.run(["callgrind_control", command, str(os.getpid())], check=True, capture_output=True)


if __name__ == "__main__":
    _count(sys.argv[1])
