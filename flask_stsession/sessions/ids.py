"""Refuse ids that another program could read as a different string."""

from __future__ import annotations

from typing import Final

from ..errors import not_text

#: A byte order mark: JavaScript's ``trim`` cuts it off, Python's ``strip()`` does not.
_MORE_BLANKS: Final = "\ufeff"


def refuse_blanks(value: str, argument: str) -> None:
    """Refuse an id that begins or ends with blanks.

    A database, a core or another SDK may cut them off: ``"alice "`` would be another user here than there.

    :param argument: the name of the argument, for the message.
    :raises ValueError: the id has such blanks, or consists of blanks.
    :raises TypeError: it is not a str.
    """
    if not isinstance(value, str):
        raise not_text(argument, value)
    solid = [index for index, character in enumerate(value) if not _is_blank(character)]
    if not solid:
        raise ValueError(f"{argument} is {value!r}, which consists of blanks only: pass the id itself.")
    trimmed = value[solid[0] : solid[-1] + 1]
    if trimmed != value:
        raise ValueError(
            f"{argument} is {value!r}, which begins or ends with a blank. Other programs cut blanks off and "
            f"would take it for {trimmed!r}: pass that, or replace the blank."
        )


def _is_blank(character: str) -> bool:
    # Java's ``trim`` cuts off every control character as well.
    return character.isspace() or character <= " " or character in _MORE_BLANKS
