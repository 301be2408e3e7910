"""Format values for error messages: show one, quote one for a shell, find the name that a typo meant.

The modules behind them are imported when a message is made: few processes ever make one, and their import
takes as long as that of a dozen of ours.
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from importlib import import_module


class _Short(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        try:
            str(x)
        except ValueError:  # it has more digits than Python converts to text
            return "<int>"
        return super().repr_int(x, level)


def show(value: object) -> str:
    """Return the value as quoted in a message: in one line, shortened, with look-alike letters escaped."""
    short = _Short()
    short.maxstring = short.maxother = 120
    shown = short.repr(value)
    ascii_shown = shown.encode("ascii", "backslashreplace").decode()
    return shown if shown.isascii() else f"{shown} (in ASCII: {ascii_shown})"


def quoted_for_shell(text: str) -> str:
    """Return the text as one word of a shell's command line."""
    quoted: str = import_module("shlex").quote(text)
    return quoted


def closest(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that this one resembles most, or ``None`` if it resembles none.

    :param cutoff: the least similarity, from 0 to 1 (all letters alike).
    """
    found: list[str] = import_module("difflib").get_close_matches(name, known, n=1, cutoff=cutoff)
    return found[0] if found else None
