"""Print results: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import click

#: Adds the option ``--json``, as the parameter ``as_json``.
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

_LONGEST_JSON: Final = 200


def print_json(value: Any) -> None:
    """Print a JSON document, in ASCII so that every terminal and pipe takes it."""
    click.echo(json.dumps(value, indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows with aligned columns.

    :param heads: the names of the columns.
    """
    print_aligned([heads, *rows])


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print one thing: each field on a line, after its name."""
    print_aligned(list(fields))


def print_aligned(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with aligned columns; print nothing if there are none."""
    shown = [[printable(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Return text with its control characters escaped, so that no user id can control a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def in_utc(time: datetime) -> str:
    """Return a time as people read it."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def listed(names: Iterable[str]) -> str:
    """Return names in one line, or ``nothing``."""
    return ", ".join(sorted(names)) or "nothing"


def shortened_json(value: Any) -> str:
    """Return JSON in one line, cut after 200 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_JSON else f"{text[:_LONGEST_JSON]}… (all of it: --json)"
