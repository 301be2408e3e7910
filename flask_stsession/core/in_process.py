"""The embedded core of an app: where it keeps its data, and how the client reaches it."""

from __future__ import annotations

import logging
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError

from .. import embedded
from ..errors import ConfigError, CoreUnavailableError, Reason

if TYPE_CHECKING:
    from ..config.config import Config
    from ..embedded import EmbeddedCore

logger: logging.Logger = logging.getLogger("flask_stsession.core")

IN_MEMORY: Final = ":memory:"
_DEFAULT_FILE: Final = "stsession/core.db"
_ELSEWHERE: Final = (
    'Set STSESSION_CONNECTION_URI to "embedded:/a/path/that/stays/core.db", or to the address of a '
    "SuperTokens core."
)


class AppCore(BaseAdapter):
    """The transport to the embedded core of one app; the core is made for the first request.

    Where it keeps its data depends on three facts about the app, which are asked for only then, since
    ``init_app`` may run before they are set.

    :param config: the configuration of the app.
    :param instance_path: returns the absolute path of the app's instance folder.
    :param is_testing: returns whether the app is being tested.
    :param is_debug: returns whether the app runs in debug mode.
    :raises ConfigError: a key or value in ``STSESSION_EMBEDDED_CORE`` is wrong.
    """

    #: The address under which the client reaches it; nothing is sent anywhere.
    host: Final = "http://embedded-core.invalid"

    def __init__(
        self,
        config: Config,
        *,
        instance_path: Callable[[], str],
        is_testing: Callable[[], bool],
        is_debug: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._adapter = embedded.EmbeddedAdapter(self._make)
        self._config = config
        self._instance_path = instance_path
        self._is_testing = is_testing
        self._is_debug = is_debug
        self._core: EmbeddedCore | None = None
        #: Set by tests: no request reaches the core.
        self.is_down = False
        _check_settings(config.embedded_core)

    def close_core(self) -> None:
        """Close the database, if one was opened."""
        if self._core is not None:
            self._core.close()

    def close(self) -> None:
        """Do nothing: other threads may be using the core; :meth:`close_core` closes it."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Call the core.

        :raises ConfigError: no database can be kept at the configured path.
        :raises CoreUnavailableError: the database cannot be used at the moment.
        """
        if self.is_down:
            raise RequestsConnectionError("a test has taken the core down")
        try:
            response = self._adapter.send(request, *args, **kwargs)
        except embedded.EmbeddedCoreError as error:
            raise ConfigError(f"STSESSION_CONNECTION_URI: {error}.") from error
        if response.status_code == 503:
            # Raised here, so that the client does not send it again: the core has waited for long enough.
            raise CoreUnavailableError(
                f"The embedded core did not answer {request.method} {request.path_url.partition('?')[0]}."
                f" {response.text}; the log of flask_stsession.embedded names the file and the remedy.",
                reason=Reason.CORE_UNREACHABLE,
            )
        return response

    def expired(self, access_token: str) -> str:
        """Return this access token as it would be if it had just expired, for tests."""
        return self._adapter.core().expired(access_token)

    def locate(self) -> str:
        """Return the path of the core's database, or ``:memory:``. Creates nothing.

        :raises ConfigError: data in the app's instance folder would not last.
        """
        named = self._config.embedded_database
        if named == IN_MEMORY or Path(named).is_absolute():
            return named
        if self._is_testing() and not self._is_explicit:
            return IN_MEMORY
        instance = self._instance_path()
        if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
            raise ConfigError(
                f"On AWS Lambda nothing that is written to {instance} lasts, so sessions would be lost. "
                f"{_ELSEWHERE}"
            )
        if Path(instance).is_relative_to(sys.prefix):
            raise ConfigError(
                f"The instance folder {instance} lies in the virtual environment {sys.prefix} and would be "
                f"lost with it. {_ELSEWHERE}"
            )
        return str(Path(instance) / (named or _DEFAULT_FILE))

    @property
    def _is_explicit(self) -> bool:
        return "STSESSION_CONNECTION_URI" in self._config.keys_set

    def _make(self) -> EmbeddedCore:
        database = self.locate()
        if database != IN_MEMORY and not Path(self._config.embedded_database).is_absolute():
            _make_folder(Path(database).parent, Path(self._instance_path()))
        self._core = core = embedded.EmbeddedCore(
            database,
            self._config.embedded_core,
            private_key=_private_key_in_memory() if database == IN_MEMORY else None,
        )
        # Tests make apps and drop them. Python 3.13 warns of a database that nobody has closed; at the end of
        # the process it does not.
        weakref.finalize(self, core.close).atexit = False
        if database != IN_MEMORY and not self._is_explicit:
            logger.log(
                logging.INFO if self._is_debug() and not core.created else logging.WARNING,
                "No core is configured: the embedded one keeps sessions on this host, in %s. Set "
                "STSESSION_CONNECTION_URI to say where they belong.",
                database,
            )
        return core


@cache
def _private_key_in_memory() -> str:
    """Return the private key (PEM) that all in-memory cores of this process share.

    Each test makes an app, and generating a key would take most of its time. Sharing it is safe: each core
    recognises its own tokens by their key ids, which are signed.
    """
    return embedded.new_private_key_pem()


def _check_settings(given: Mapping[str, Any]) -> None:
    try:
        embedded.read_settings(given)
    except embedded.EmbeddedCoreError as error:
        text = str(error)
        raise ConfigError(f"STSESSION_EMBEDDED_CORE: {text}{'' if text.endswith('?') else '.'}") from error


def _make_folder(folder: Path, instance: Path) -> None:
    """Create a private folder in or below the instance folder; Git ignores it."""
    is_ours = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours and folder != instance:
            folder.chmod(0o700)  # whatever the umask
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}). {_ELSEWHERE}") from error
