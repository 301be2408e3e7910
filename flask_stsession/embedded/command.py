"""The command that serves an embedded core over HTTP."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from types import FrameType

import click

from .app import EmbeddedCore
from .errors import EmbeddedCoreError
from .server import MAX_CONNECTIONS, CoreServer
from .settings import MIN_API_KEY_LENGTH, Settings, read_settings
from .storage.files import IN_MEMORY
from .web_pages import is_loopback


@click.command("core", short_help="Run the embedded core over HTTP.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=3567,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 selects a free one.",
)
@click.option(
    "--db",
    "database",
    default=IN_MEMORY,
    show_default=True,
    metavar="FILE|:memory:",
    help="SQLite database file; created if it does not exist.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, named as in a core's config.yaml; can be repeated.",
)
@click.option(
    "--max-connections",
    default=MAX_CONNECTIONS,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of connections served at the same time; more get 503.",
)
def core_command(
    host: str, port: int, database: str, assignments: tuple[str, ...], max_connections: int
) -> None:
    """Run the embedded core over HTTP until SIGTERM or SIGINT.

    It serves the Core Driver Interface to applications and stores everything in SQLite. It is meant for
    development, tests and single hosts.

    The environment variable API_KEYS sets api_keys; unlike --set, it is not visible in the process list.
    """
    given = _settings(assignments)
    try:
        _check_api_keys(host, given, read_settings(given))
        core = EmbeddedCore(database, given)
    except EmbeddedCoreError as error:
        raise click.ClickException(str(error)) from error
    with core:
        try:
            server = CoreServer(core, host, port, max_connections=max_connections)
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on {host}, port {port} ({error.strerror}): choose another --host or --port;"
                " --port 0 selects a free one"
            ) from error
        if database == IN_MEMORY:
            click.echo(
                "Everything is stored in memory and lost when this process ends; --db FILE keeps it.",
                err=True,
            )
        _serve_until_signalled(server)


def _serve_until_signalled(server: CoreServer) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        # Requests that arrive from now on are not served. The thread that runs this cannot wait for itself.
        server.is_stopping = True
        threading.Thread(target=server.shutdown).start()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        # click flushes the line; a parent process may be waiting for it.
        click.echo(f"Listening on {server.url}")
        server.serve_forever(poll_interval=0.1)
    finally:
        server.stop()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _settings(assignments: tuple[str, ...]) -> dict[str, str]:
    settings = dict(_split_assignment(assignment) for assignment in assignments)
    # SuperTokens' container image for its core uses this variable, too.
    if keys := os.environ.get("API_KEYS"):
        settings.setdefault("api_keys", keys)
    return settings


def _check_api_keys(host: str, given: Mapping[str, str], settings: Settings) -> None:
    """Refuse to run without API keys where they are needed, or where text without a key was given.

    :param given: the settings as text; a mounted secret that is empty may be a line end.
    :raises ClickException: there are none.
    """
    if settings.api_keys:
        return
    remedy = f"set API_KEYS=KEY in the environment (at least {MIN_API_KEY_LENGTH} characters)"
    if not is_loopback(host):
        raise click.ClickException(
            f"--host {host} can be reached from other machines and there are no API keys: {remedy},"
            " or use --host 127.0.0.1"
        )
    if given.get("api_keys"):
        raise click.ClickException(f"the API keys given are only blanks and commas: {remedy}, or give none")


def _split_assignment(assignment: str) -> tuple[str, str]:
    key, equals, value = assignment.partition("=")
    if not equals:
        raise click.BadParameter(
            f"{assignment!r} has no '=': write KEY=VALUE, for example access_token_validity=3600",
            param_hint="--set",
        )
    return key.strip(), value.strip()
