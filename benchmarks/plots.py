"""Plots as SVG files, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from .apps import OURS
from .report import Chart, Part

_OUR_COLOUR, _OTHERS = "#1f6feb", ("#8b949e", "#bf8700", "#8250df", "#cf222e", "#1a7f37")


def draw(parts: Iterable[Part], folder: Path) -> None:
    """Write each chart of the parts into ``folder``, as ``<name>.svg``.

    :raises ModuleNotFoundError: matplotlib is not installed.
    """
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    # The same figures make the same file, and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})
    pyplot: Any = import_module("matplotlib.pyplot")
    folder.mkdir(parents=True, exist_ok=True)
    for chart in (chart for part in parts for chart in part.charts):
        figure, axes = pyplot.subplots(figsize=(7.5, 3.6), layout="constrained")
        (_lines if chart.y else _bars)(axes, chart)
        axes.set_title(chart.title, fontsize=10)
        axes.set_xlabel(chart.x)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / f"{chart.name}.svg", metadata={"Date": None})
        pyplot.close(figure)


def _lines(axes: Any, chart: Chart) -> None:
    others = iter(_OTHERS)
    for name, points in chart.series.items():
        ours = name.startswith(OURS.name)
        colour = _OUR_COLOUR if ours else next(others)
        style = "-" if name == OURS.name or not ours else "--" if "validator" in name else ":"
        axes.plot(*zip(*points, strict=True), style, color=colour, marker="o", markersize=3, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.set_ylabel(f"{chart.y}, logarithmic")
    axes.grid(axis="y", which="both", alpha=0.2)
    axes.figure.legend(loc="outside right upper", frameon=False, fontsize=8)


def _bars(axes: Any, chart: Chart) -> None:
    names = list(chart.series)
    values = [chart.series[name][0][0] for name in names]
    colours = [_OUR_COLOUR if name.startswith(OURS.name) else _OTHERS[0] for name in names]
    axes.bar_label(axes.barh(names, values, color=colours), fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.1)
