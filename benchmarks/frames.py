"""Frames, files and rooms of this package that a request passes, the embedded core left out."""

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
    """What a request passes.

    :param frames: calls of our functions.
    :param files: in which they are.
    :param rooms: folders of these files.
    """

    frames: int
    files: int
    rooms: int | None = None

    def __str__(self) -> str:
        counts = [f"{self.frames} in {self.files} files"]
        if self.rooms is not None:
            counts.append(f"of {self.rooms} rooms")
        return " ".join(counts)


#: In an earlier state of this package, and the most that we want.
_AIMS = {
    "header": (Passed(39, 13), Passed(22, 8, 4)),
    "cookie": (Passed(41, 13), Passed(22, 8, 4)),
    "one role": (Passed(68, 17), None),
    "refresh": (Passed(118, 23), Passed(59, 23)),
    "login": (Passed(145, 26), Passed(72, 26)),
}


def measure() -> Part:
    """Count what the five main flows pass."""
    with running_flows() as flows:
        rows = [_row(name, passed_by(flows[name].send)) for name in _AIMS]
    return Part(
        ("frames of our own per request", "before", "now", "aim: at most"),
        rows,
        ["The frames of the embedded core, which stands in for a server, are left out."],
    )


def passed_by(send: Action) -> Passed:
    """Return what one request passes when caches are full."""
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
    met = now.frames <= aim.frames and now.files <= aim.files
    if aim.rooms is not None and now.rooms is not None:
        met = met and now.rooms <= aim.rooms
    return Row((name, str(before), str(now), str(aim)), met)
