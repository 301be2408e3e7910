"""Refuse ids that another program could read as a different string, or cannot read at all."""

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
    :raises ValueError: the id has such blanks, consists of blanks, or is not Unicode text.
    :raises TypeError: it is not a str.
    """
    if not isinstance(value, str):
        raise not_text(argument, value)
    if not value.isascii():
        utf8_text(value, argument)
    trimmed = value.strip(BLANKS)
    if not trimmed:
        raise ValueError(f"{argument} is {value!r}, which consists of blanks only: pass the id itself.")
    if trimmed != value:
        raise ValueError(
            f"{argument} is {value!r}, which begins or ends with a blank. Other programs cut blanks off and "
            f"would take it for {trimmed!r}: pass that, or replace the blank."
        )


def utf8_text(text: str, place: str) -> str:
    """Return a text, or refuse it if UTF-8 cannot encode it.

    JSON can escape half a surrogate pair; UTF-8, and so the core's database, does not have it.

    :param place: the name of the argument, or the place in it, for the message.
    :raises ValueError: the text has half a surrogate pair in it.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            f"{place} is text with half a surrogate pair in it, which UTF-8 cannot encode: write "
            'text.encode("utf-8", "replace").decode().'
        )
    return text
