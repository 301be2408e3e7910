"""Read the settings of a function without Flask: from a mapping, or from the environment of the process."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ..config import load
from ..config.config import SETTINGS, Config
from ..config.values import ENVIRONMENT_PREFIX, PREFIX, is_meant_as_key, key_of, meant_name
from ..errors import ConfigError

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Shorter than in a server: a gateway gives an authorizer 10 s at most, for all calls to the core together.
DEFAULT_TIMEOUTS_SECONDS: Final = (1, 3)

_TIMEOUT_KEY: Final = key_of("core_timeout_seconds")
_FLASK_PREFIX: Final = ENVIRONMENT_PREFIX + PREFIX


def read_settings(config: Mapping[str, Any] | None) -> Config:
    """Return the settings of a function.

    :param config: a mapping with ``STSESSION_`` keys; other keys are ignored. ``None``: the environment.
    :raises TypeError: it is not a mapping.
    :raises ConfigError: a setting is wrong, or the core is the embedded one: what a function writes to its
        disk is lost, and other instances of it do not see it.
    """
    given = given_settings(config)
    if given.get(_TIMEOUT_KEY) is None:
        given[_TIMEOUT_KEY] = DEFAULT_TIMEOUTS_SECONDS
    loaded = load(given)
    if loaded.is_embedded:
        raise ConfigError(
            f"STSESSION_CONNECTION_URI = {loaded.connection_uri!r} is the embedded core, whose data would be "
            "lost with each instance of a Lambda function. Write the URL of a SuperTokens core in the "
            "mapping or in the environment: STSESSION_CONNECTION_URI = 'https://core.example.com:3567'."
        )
    return loaded


def settings_of_errors(config: Mapping[str, Any] | None) -> Config:
    """Return the settings for the response to an error: those for tokens, statuses and CORS, not the core's.

    :param config: as for :func:`read_settings`.
    :raises TypeError: it is not a mapping.
    :raises ConfigError: a setting is wrong.
    """
    if config is None:
        return _settings_in(frozenset(os.environ.items()))
    # Not ``load``, which would log suspicious combinations for each response.
    return Config.from_mapping(given_settings(config))


@lru_cache(maxsize=1)
def _settings_in(environ: frozenset[tuple[str, str]]) -> Config:
    # Cached because each reading logs the names that are ignored.
    return load(environment_settings(dict(environ)))


def given_settings(config: object) -> dict[str, Any]:
    """Return what was given as ``config``, or the settings in the environment.

    :raises TypeError: it is not a mapping.
    """
    if config is None:
        return environment_settings()
    if isinstance(config, Mapping):
        return dict(config)
    raise TypeError(
        "config must be a mapping of STSESSION_ keys, or None for the environment, not "
        f"{type(config).__name__}."
    )


def environment_settings(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the settings in the environment: ``STSESSION_…``, and ``FLASK_STSESSION_…`` as Flask reads it.

    If both set a key, the second one wins. Flask decodes values that are JSON, and ``__`` in a name leads
    into a dict. A name that resembles a key, or is a key with a misspelt prefix, is kept, so that it is
    refused like any misspelt key; any other is ignored, as it may belong to another program.

    :param environ: of the process, by default.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, Any] = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and _is_meant(name):
            found[name] = environ[name]
    for name in sorted(environ):
        key, *way = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
        if name.startswith(_FLASK_PREFIX):
            if _is_meant(key):
                _put(found, [key, *way], _decoded(environ[name]))
        elif not name.startswith(PREFIX) and is_meant_as_key(key, SETTINGS):
            found[key] = environ[name]
    return found


def _is_meant(key: str) -> bool:
    bare = [name.removeprefix(PREFIX) for name in SETTINGS]
    if key in SETTINGS or meant_name(key.removeprefix(PREFIX), bare, cutoff=0.65):
        return True
    logger.warning("%s in the environment is not a setting of flask-stsession, and is ignored.", key)
    return False


def _put(found: dict[str, Any], way: list[str], value: Any) -> None:
    *parents, last = way
    place = found
    for name in parents:
        if not isinstance(place.get(name), dict):
            place[name] = {}
        place = place[name]
    place[last] = value


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
