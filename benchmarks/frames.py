"""Count the frames, files and folders of this package that a request passes through, without the core."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import flask_stsession

from .flows import running_flows
from .report import Part, Row
from .timing import Action

_ROOT = Path(flask_stsession.__file__).parent
_EMBEDDED = "embedded"
_WARM_UP = 5


@dataclass(frozen=True)
class Passed:
    """What one request passes through.

    :param frames: calls of our functions.
    :param files: in which they are; ``None`` in an aim: any number.
    :param folders: of these files, likewise.
    """

    frames: int
    files: int | None = None
    folders: int | None = None

    def __str__(self) -> str:
        counts = [str(self.frames)]
        if self.files is not None:
            counts.append(f"in {self.files} files")
        if self.folders is not None:
            counts.append(f"of {self.folders} folders")
        return " ".join(counts)

    def is_within(self, aim: Passed) -> bool:
        """Return whether no count exceeds that of the aim."""
        pairs = ((self.frames, aim.frames), (self.files, aim.files), (self.folders, aim.folders))
        return all(ours is None or most is None or ours <= most for ours, most in pairs)


#: The counts of an earlier version, and the most that they may be.
_AIMS = {
    "header": (Passed(39, 13), Passed(22, 8, 4)),
    "cookie": (Passed(41, 13), Passed(22, 8, 4)),
    "one role": (Passed(68, 17), None),
    "refresh by header": (Passed(118, 23), Passed(59)),
    "refresh by cookie": (Passed(132, 25), None),
    "login by header": (Passed(145, 26), Passed(72)),
    "login by cookie": (Passed(154, 26), None),
}


def measure() -> Part:
    """Count what the main flows pass through."""
    with running_flows() as flows:
        rows = [_row(name, passed_by(flows[name].send)) for name in _AIMS]
    return Part(
        ("frames of our own per request", "before", "now", "aim: at most"),
        rows,
        ["The frames of the embedded core, which stands in for a server, are left out."],
    )


def passed_by(send: Action) -> Passed:
    """Return what one request passes through when caches are full."""
    for _ in range(_WARM_UP):
        send()
    files: list[Path] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(_ROOT):
            files.append(path.relative_to(_ROOT))

    sys.setprofile(profile)
    try:
        send()
    finally:
        sys.setprofile(None)
    ours = [path for path in files if path.parts[0] != _EMBEDDED]
    return Passed(len(ours), len(set(ours)), len({path.parent for path in ours}))


def _row(name: str, now: Passed) -> Row:
    before, aim = _AIMS[name]
    if aim is None:
        return Row((name, str(before), str(now), ""))
    return Row((name, str(before), str(now), str(aim)), now.is_within(aim))
