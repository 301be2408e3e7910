"""Rows of figures, as a Markdown table."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from .apps import CONTESTANTS, OURS


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param what: was measured.
    :param reference: what the same takes without any contestant.
    :param figures: by the contestants' names.
    :param target: what we want to reach.
    :param met: do we? ``None`` where there is no target.
    """

    what: str
    reference: str
    figures: Mapping[str, str]
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Part:
    """Some rows that are measured together.

    :param name: as given on the command line.
    :param rows: the lines.
    :param notes: what one must know to read them.
    """

    name: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())


def microseconds(seconds: float, *, signed: bool = True) -> str:
    """A duration, in µs."""
    return f"{seconds * 1e6:{'+' if signed else ''}.1f} µs"


def milliseconds(seconds: float, *, signed: bool = True) -> str:
    """A duration, in ms."""
    return f"{seconds * 1e3:{'+' if signed else ''}.2f} ms"


def times(ratio: float, digits: int = 1) -> str:
    """A ratio, as a factor."""
    return f"{ratio:.{digits}f} times"


def table(parts: Iterable[Part]) -> str:
    """All parts as one Markdown table, with their notes below."""
    names = [contestant.name for contestant in CONTESTANTS]
    lines = [
        "| " + " | ".join(["", "bare", *names, "target"]) + " |",
        "|" + "---|" * (len(names) + 3),
    ]
    notes: list[str] = []
    for part in parts:
        lines += [_line(row, names) for row in part.rows]
        notes += part.notes
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def surroundings() -> str:
    """Machine and versions, in one line."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    installed = [
        f"{each.name} {each.version or '(not installed)'}" for each in CONTESTANTS if each is not OURS
    ]
    libraries = [f"{name} {version(name)}" for name in ("Flask", "PyJWT", "cryptography")]
    return (
        f"{os.cpu_count()} cores ({_processor()}), {system}, Python {platform.python_version()}; "
        + ", ".join([*libraries, *installed])
        + "."
    )


def _line(row: Row, names: Sequence[str]) -> str:
    figures = [row.figures.get(name, "—") for name in names]
    if row.met is False:
        figures[0] += " (missed)"
    figures[0] = f"**{figures[0]}**"
    return "| " + " | ".join([row.what, row.reference, *figures, row.target]) + " |"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
