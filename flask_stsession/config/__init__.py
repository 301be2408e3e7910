"""The settings of one app, and the values derived from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from .checks import impossible_combinations, suspicious_combinations
from .config import Config
from .domains import Sites

logger: logging.Logger = logging.getLogger("flask_stsession")


def load(settings: Mapping[str, Any], *, sites: Sites | None = None) -> Config:
    """Read the ``STSESSION_`` keys of a Flask config, check their combinations, and log suspicious ones.

    :param sites: tells sites apart; uses the installed public suffix list if omitted.
    :raises ConfigError: a key is unknown, a value is of the wrong kind, or a combination is impossible.
    """
    config = Config.from_mapping(settings, sites=sites)
    for problem in impossible_combinations(config):
        raise ConfigError(problem)
    for level, message in suspicious_combinations(config):
        logger.log(level, message)
    return config
