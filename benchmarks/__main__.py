"""``python -m benchmarks``: measure, and print Markdown tables."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flask import Flask

from . import aws_lambda, comparison, frames, growth, instructions, plots, refreshing, serving, weight
from .core import Core, running_core
from .report import Part, markdown, surroundings
from .timing import Effort

_THOROUGH = Effort(rounds=150, batch=25)
_QUICK = Effort(rounds=40, batch=20)

#: Parts that are measured only if asked for: they take minutes, need the network or make tables of their own.
_ON_REQUEST = {
    "instructions": instructions.measure,
    "frames": frames.measure,
    "install": weight.installed_size,
    "lambda": aws_lambda.measure,
}
_TIMED = ("comparison", "unprotected", "payload", "validators", "memory", "refresh", "gunicorn", "import")


def main() -> None:
    """Measure the parts that the command line names."""
    logging.disable(logging.WARNING)
    options = _options()
    counted = [measure() for name, measure in _ON_REQUEST.items() if getattr(options, name)]
    parts = [*counted, *_timed(options.parts, quick=options.quick)]
    print(surroundings() + "\n\n" + markdown(parts))
    if options.plots is not None:
        plots.draw(parts, options.plots)


def _timed(names: Sequence[str], *, quick: bool) -> list[Part]:
    if not names:
        return []
    with running_core() as core, comparison.running_apps(core) as apps:
        parts = _parts(core, apps, quick=quick)
        return [parts[name]() for name in names]


def _parts(core: Core, apps: Mapping[str, Flask], *, quick: bool) -> dict[str, Callable[[], Part]]:
    effort = _QUICK if quick else _THOROUGH
    return {
        "comparison": lambda: comparison.measure(core, apps, effort),
        "unprotected": lambda: comparison.unprotected(apps, effort),
        "payload": lambda: growth.with_payload(core, apps, effort),
        "validators": lambda: growth.with_validators(core, apps, effort),
        "memory": lambda: weight.memory_per_token(core),
        "refresh": lambda: refreshing.measure(core, apps, effort),
        "gunicorn": lambda: serving.measure(core, rounds=4 if quick else 20, seconds=0.5),
        "import": lambda: weight.import_time(5 if quick else 20),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure flask-stsession and its peers side by side, and print Markdown tables.",
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"what to time, some of: {', '.join(_TIMED)}; all if no part and no other measurement is named",
    )
    parser.add_argument("--quick", action="store_true", help="measure less, for a rough idea")
    parser.add_argument(
        "--instructions", action="store_true", help="count instructions per request (needs valgrind)"
    )
    parser.add_argument("--frames", action="store_true", help="count the frames and files of a request")
    parser.add_argument(
        "--install", action="store_true", help="install each contestant into a fresh environment (network)"
    )
    parser.add_argument(
        "--lambda", action="store_true", help="measure each way to verify a session on AWS Lambda"
    )
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="also draw plots of what was timed (needs matplotlib)"
    )
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in _TIMED]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(_TIMED)}")
    if not options.parts and (options.plots or not any(getattr(options, name) for name in _ON_REQUEST)):
        options.parts = list(_TIMED)
    return options


if __name__ == "__main__":
    main()
