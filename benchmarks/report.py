"""Print figures as Markdown tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from .apps import CONTESTANTS, OURS

#: The headings of the table with a column for each contestant.
BESIDE_PEERS = ("", "bare", *(each.name for each in CONTESTANTS), "aim")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    :param cells: in the order of the headings; the first names what was measured.
    :param met: whether the aim was reached; ``None`` where there is none.
    """

    cells: Sequence[str]
    met: bool | None = None


@dataclass(frozen=True)
class Chart:
    """What a plot shows.

    :param name: of its file, without extension.
    :param title: above the plot.
    :param x: label of the horizontal axis.
    :param y: label of the vertical axis; empty for bars.
    :param series: points (x, y) by the name of their line; of one point each for bars, whose y is ignored.
    """

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Part:
    """Rows that are measured together.

    :param headings: of the columns; neighbouring parts with the same headings share a table.
    :param rows: the lines.
    :param notes: what a reader must know to understand them.
    :param charts: plots of the same figures.
    """

    headings: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())
    charts: Sequence[Chart] = field(default=())


def beside_peers(
    what: str, reference: str, figures: Mapping[str, str], aim: str = "", met: bool | None = None
) -> Row:
    """Return a row with a column for each contestant.

    :param what: the name of what was measured.
    :param reference: the figure of the bare app.
    :param figures: by the contestants' names.
    :param aim: what we want to reach.
    :param met: whether we do.
    """
    return Row((what, reference, *(figures.get(each.name, "—") for each in CONTESTANTS), aim), met)


def microseconds(seconds: float, *, signed: bool = True) -> str:
    """Return a duration in µs."""
    return f"{seconds * 1e6:{'+' if signed else ''}.1f} µs"


def milliseconds(seconds: float, *, signed: bool = True) -> str:
    """Return a duration in ms."""
    return f"{seconds * 1e3:{'+' if signed else ''}.2f} ms"


def percent(share: float) -> str:
    """Return a share in per cent."""
    return f"{share * 100:.0f} %"


def markdown(parts: Iterable[Part]) -> str:
    """Return all parts as Markdown tables, with missed aims and notes below each."""
    return "\n\n".join(
        _table(headings, list(group)) for headings, group in groupby(parts, lambda part: part.headings)
    )


def surroundings() -> str:
    """Return machine and versions, in one line."""
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


def _table(headings: Sequence[str], parts: Sequence[Part]) -> str:
    rows = [row for part in parts for row in part.rows]
    lines = [_line(headings), "|" + "---|" * len(headings), *(_line(row.cells) for row in rows)]
    missed = "; ".join(row.cells[0] for row in rows if row.met is False)
    notes = [note for part in parts for note in part.notes]
    if missed:
        notes.insert(0, f"Aims missed: {missed}.")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]).rstrip()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
