"""Refuse ids that another program could read as a different string."""

from __future__ import annotations

from typing import Final

from ..errors import not_text

#: The characters that Python's ``strip()``, Java's ``trim`` (control characters) or JavaScript's (the byte
#: order mark) cuts off.
BLANKS: Final = "".join(
    [
        *map(chr, range(ord(" ") + 1)),
        *map(chr, range(0x2000, 0x200B)),
        "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff",
    ]
)


def refuse_blanks(value: str, argument: str) -> None:
    """Refuse an id that begins or ends with blanks.

    A database, a core or another SDK may cut them off: ``"alice "`` would be another user here than there.

    :param argument: the name of the argument, for the message.
    :raises ValueError: the id has such blanks, or consists of blanks.
    :raises TypeError: it is not a str.
    """
    if not isinstance(value, str):
        raise not_text(argument, value)
    trimmed = value.strip(BLANKS)
    if not trimmed:
        raise ValueError(f"{argument} is {value!r}, which consists of blanks only: pass the id itself.")
    if trimmed != value:
        raise ValueError(
            f"{argument} is {value!r}, which begins or ends with a blank. Other programs cut blanks off and "
            f"would take it for {trimmed!r}: pass that, or replace the blank."
        )
