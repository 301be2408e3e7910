"""``python -m benchmarks``: measure, and print a Markdown table."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable

from . import refreshing, serving, weight
from .core import Core, running_core
from .report import Part, surroundings, table
from .timing import Effort
from .verifying import Verifying

_THOROUGH = Effort(rounds=300, batch=50)
_QUICK = Effort(rounds=60, batch=25)


def main() -> None:
    """Measure what the command line asks for."""
    logging.disable(logging.WARNING)
    with running_core() as core:
        print(surroundings() + "\n")
        print(table(_measured(core, _options())))


def _measured(core: Core, options: argparse.Namespace) -> list[Part]:
    effort = _QUICK if options.quick else _THOROUGH
    verifying = Verifying(core, effort)
    try:
        parts = _parts(core, verifying, effort, quick=options.quick)
        wanted = options.parts or [name for name in parts if name != "install" or options.install]
        return [parts[name]() for name in wanted]
    finally:
        verifying.close()


def _parts(core: Core, verifying: Verifying, effort: Effort, *, quick: bool) -> dict[str, Callable[[], Part]]:
    return {
        "seen": verifying.seen_before,
        "first": verifying.first_time,
        "unprotected": verifying.unprotected,
        "validators": verifying.validators,
        "refresh": lambda: refreshing.measure(core, verifying.apps, effort),
        "gunicorn": lambda: serving.measure(core, rounds=6 if quick else 30, seconds=0.5),
        "import": lambda: weight.import_time(5 if quick else 20),
        "install": weight.installed_size,
    }


_NAMES = ("seen", "first", "unprotected", "validators", "refresh", "gunicorn", "import", "install")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure flask-stsession and its peers side by side, and print a Markdown table.",
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"what to measure, some of: {', '.join(_NAMES)}; all but install if none is named",
    )
    parser.add_argument("--quick", action="store_true", help="measure less, for a rough idea")
    parser.add_argument(
        "--install",
        action="store_true",
        help="also install everybody into fresh environments (slow, network)",
    )
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in _NAMES]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(_NAMES)}")
    return options


if __name__ == "__main__":
    main()
