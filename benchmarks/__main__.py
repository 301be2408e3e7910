"""``python -m benchmarks``: measure, and print a Markdown table."""

from __future__ import annotations

import argparse
import logging

from .core import Core, running_core
from .report import Part, surroundings, table
from .timing import Effort
from .verifying import Verifying

_THOROUGH = Effort(rounds=300, batch=50)
_QUICK = Effort(rounds=60, batch=25)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ("seen", "first", "unprotected", "validators")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(names)}; all of them if none")
    parser.add_argument("--quick", action="store_true", help="measure less, for a rough idea")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    effort = _QUICK if options.quick else _THOROUGH
    with running_core() as core:
        v = Verifying(core, effort)
        table_ = {"seen": v.seen_before, "first": v.first_time, "unprotected": v.unprotected, "validators": v.validators}
        parts = [table_[n]() for n in options.parts or names]
        v.close()
    print(table(parts))
    print(surroundings())


if __name__ == "__main__":
    main()
