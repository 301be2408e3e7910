"""The base of all commands: errors in one line, and no log records in the output."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup

from ..core.in_process import IN_MEMORY
from ..errors import STSessionError
from ..web.context import current_app_state

if TYPE_CHECKING:
    from ..web.base import AppState

_LOGGERS = ("flask_stsession", "flask_stsession.core")
#: Reports that a database was created, which a mistyped path or an unmounted volume may have caused.
_EMBEDDED_LOGGER = "flask_stsession.embedded"


class Command(click.Command):
    """A command that reports this package's errors in one line, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        :raises ClickException: in place of an error of this package.
        """
        names = (*_LOGGERS, _EMBEDDED_LOGGER) if ctx.params.get("as_json") else _LOGGERS
        with quiet(*names, below=logging.ERROR):
            try:
                return super().invoke(ctx)
            except STSessionError as error:
                raise click.ClickException(str(error)) from error


class Group(AppGroup):
    """A group of commands on the data in the core of the app that ``flask`` finds."""

    command_class: type[click.Command] | None = Command

    def command(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Register a function as a command; it runs in the app's context."""
        register = super().command(*args, **kwargs)
        return lambda function: register(on_stsession(_noting_memory(function)))


def on_stsession(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse to run a command on an app without an ``STSession``, with a message."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        app_state()
        return function(*args, **kwargs)

    return run


def _noting_memory(function: Callable[..., Any]) -> Callable[..., Any]:
    """Tell people that this process does not see what other processes keep in memory."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        state = app_state()
        is_alone = state.core is not None and not state.app.testing and state.core.locate() == IN_MEMORY
        if is_alone and not kwargs["as_json"]:
            click.echo("The app keeps its data in memory: no other process shares it.", err=True)
        return function(*args, **kwargs)

    return run


def app_state() -> AppState:
    """Return what ``init_app`` made for the current app.

    :raises ClickException: there is no STSession on the app.
    """
    try:
        return current_app_state()
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def quiet(*names: str, below: int) -> Iterator[None]:
    """Keep log records out of the output: commands report what matters themselves, ``doctor`` all of it.

    :param names: the names of the loggers.
    :param below: the lowest level that is still logged.
    """

    def is_logged(record: logging.LogRecord) -> bool:
        return record.levelno >= below

    with ExitStack() as stack:
        for name in names:
            logger = logging.getLogger(name)
            logger.addFilter(is_logged)
            stack.callback(logger.removeFilter, is_logged)
        yield
