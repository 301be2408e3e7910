"""The arguments that several commands take; an impossible value is wrong usage (exit code 2)."""

from __future__ import annotations

from typing import Final, TypeVar

import click

from ..constants import DEFAULT_TENANT
from ..sessions.ids import refuse_blanks

T = TypeVar("T", str, tuple[str, ...], None)


def checked_id(ctx: click.Context, param: click.Parameter, value: T) -> T:
    """Return a command-line value that is not empty and is valid UTF-8; for use as a ``callback``.

    :raises BadParameter: it is empty, or not UTF-8.
    """
    for text in _texts(value):
        if not text:
            raise click.BadParameter("it is empty.", ctx, param)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise click.BadParameter(f"{text!r} is not UTF-8.", ctx, param)
    return value


def checked_name(ctx: click.Context, param: click.Parameter, value: T) -> T:
    """Return the name of a role, a permission or a tenant, or the id of a new user.

    :raises BadParameter: it is empty, not UTF-8, or has blanks around it, which a core would remove.
    """
    checked_id(ctx, param, value)
    for text in _texts(value):
        try:
            refuse_blanks(text, "it")
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return value


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


user_argument: Final = click.argument("user_id", metavar="USER", callback=checked_id)
role_argument: Final = click.argument("role", callback=checked_name)
handle_argument: Final = click.argument("handle", callback=checked_id)
tenant_option: Final = click.option(
    "--tenant",
    "tenant_id",
    callback=checked_name,
    default=DEFAULT_TENANT,
    show_default=True,
    help="The tenant.",
)


def where(tenant_id: str) -> str:
    """Return the end of a sentence about a tenant."""
    return "" if tenant_id == DEFAULT_TENANT else f" in the tenant {tenant_id!r}"
