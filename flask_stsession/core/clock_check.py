"""Compare the clock of this host with the core's, by the header ``Date`` of its responses."""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime

logger: logging.Logger = logging.getLogger("flask_stsession.core")

#: The life of access tokens in a core's default configuration, in s.
_USUAL_LIFE_SECONDS = 3600.0


class ClockCheck:
    """Log an error, once, if this host's clock is ahead of the core's by more than a token's life.

    Every access token would then have expired on arrival, and clients would refresh in a loop.
    """

    def __init__(self) -> None:
        self._life_seconds = _USUAL_LIFE_SECONDS
        self._has_warned = False

    def compare(self, date: str, *, life_seconds: float | None = None) -> None:
        """Compare this host's clock with the ``Date`` of a response.

        :param date: the header ``Date`` of a response that has just arrived (RFC 9110, 6.6.1).
        :param life_seconds: how long the access token in the response lives, in s; by default as long as
            the one before.
        """
        if life_seconds is not None and life_seconds > 0:
            self._life_seconds = life_seconds
        if self._has_warned:
            return
        try:
            seconds_ahead = time.time() - parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        if seconds_ahead > self._life_seconds:
            self._has_warned = True
            logger.error(
                "The clock of this host is %d s ahead of the core's, and access tokens live for %d s: all "
                "have expired on arrival. Set the clock of the host whose time is wrong.",
                seconds_ahead,
                self._life_seconds,
            )
