"""Where the embedded core of an app keeps its data, decided when it is first needed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from .. import embedded
from ..errors import ConfigError

if TYPE_CHECKING:
    from flask import Flask

    from ..config.config import Config
    from ..embedded import EmbeddedCore

logger = logging.getLogger("flask_stsession.core")

#: The address under which the client reaches the core in this process; nothing is sent anywhere.
EMBEDDED_HOST = "http://embedded-core.invalid"

_IN_MEMORY = ":memory:"
_ELSEWHERE = (
    'Set STSESSION_CONNECTION_URI to "embedded:/a/path/that/stays/core.db", or to the address of a '
    "SuperTokens core."
)


class AppCore(BaseAdapter):
    """The embedded core of one app, made at its first request.

    :param app: decides the place; asked at first need, since ``app.testing`` and the instance folder may
        be set after ``init_app``.
    :param config: of the app.
    :raises ConfigError: a key or value in ``STSESSION_EMBEDDED_CORE`` is wrong.
    """

    def __init__(self, app: Flask, config: Config) -> None:
        super().__init__()
        self._adapter = embedded.EmbeddedAdapter(self._made)
        self._app = app
        self._config = config
        if config.embedded_core:
            _check_settings(config.embedded_core)
        self._own: EmbeddedCore | None = None

    def _made(self) -> EmbeddedCore:
        self._own = make_core(self._app, self._config)
        return self._own

    def close_core(self) -> None:
        """Close the database, if one was opened."""
        if self._own is not None:
            self._own.close()

    def close(self) -> None:
        """Do nothing: other threads may be asking the core; :meth:`close_core` ends it."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Answer a request.

        :raises ConfigError: there can be no core in the place that the settings name.
        """
        try:
            return self._adapter.send(request, *args, **kwargs)
        except embedded.EmbeddedCoreError as error:
            raise ConfigError(f"STSESSION_CONNECTION_URI: {error}.") from error


def make_core(app: Flask, config: Config) -> EmbeddedCore:
    """The core that ``STSESSION_CONNECTION_URI`` and ``STSESSION_EMBEDDED_CORE`` describe.

    :raises ConfigError: its place would not last, or cannot be written.
    """
    database = _database(app, config)
    is_explicit = "STSESSION_CONNECTION_URI" in config.keys_set
    try:
        core = embedded.EmbeddedCore(database, config.embedded_core)
    except embedded.EmbeddedCoreError as error:
        raise ConfigError(f"STSESSION_CONNECTION_URI: {error}.") from error
    if database != _IN_MEMORY and not is_explicit:
        level = logging.INFO if app.debug and not core.created else logging.WARNING
        made = "An empty database was made" if core.created else "The database is"
        logger.log(
            level,
            "No core is configured: the embedded one keeps sessions on this host. %s in %s. Set "
            "STSESSION_CONNECTION_URI to say where they belong.",
            made,
            database,
        )
    return core


def _check_settings(given: Mapping[str, Any]) -> None:
    try:
        embedded.read_settings(given)
    except embedded.EmbeddedCoreError as error:
        text = str(error)
        raise ConfigError(f"STSESSION_EMBEDDED_CORE: {text}{'' if text.endswith('?') else '.'}") from error


def _database(app: Flask, config: Config) -> str:
    named = config.embedded_database
    if named == _IN_MEMORY:
        return named
    if not named and "STSESSION_CONNECTION_URI" not in config.keys_set and app.testing:
        return _IN_MEMORY
    if named and Path(named).is_absolute():
        return named
    return str(_below_instance_folder(app, named or "stsession/core.db"))


def _below_instance_folder(app: Flask, name: str) -> Path:
    instance = Path(app.instance_path)
    if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        raise ConfigError(
            f"On AWS Lambda nothing that is written to {instance} lasts, sessions would be lost. {_ELSEWHERE}"
        )
    if instance.is_relative_to(sys.prefix):
        raise ConfigError(
            f"The instance folder {instance} lies in the virtual environment {sys.prefix} and would be lost "
            f"with it. {_ELSEWHERE}"
        )
    path = instance / name
    is_ours = not path.parent.exists()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours and path.parent != instance:
            path.parent.chmod(0o700)  # whatever the umask
            (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot be written ({error.strerror}). {_ELSEWHERE}") from error
    return path
