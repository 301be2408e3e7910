"""The exceptions of the embedded core.

::

    Exception
    ├── EmbeddedCoreError               the operator must act: a setting, the file, the process
    │   └── DatabaseUnavailableError    503: a later request may succeed
    │       ├── DatabaseBusyError       the database stayed locked for longer than the busy timeout
    │       └── DatabaseLostError       a file of the database was deleted or replaced while in use
    └── RequestRefusedError             one request gets a plain-text response other than 200
"""

from __future__ import annotations

import logging
from typing import ClassVar


class EmbeddedCoreError(Exception):
    """The embedded core cannot work with its settings or files; the message says what to change."""


class DatabaseUnavailableError(EmbeddedCoreError):
    """The database cannot be used at the moment; the core answers 503 and logs the message."""

    #: The body of the response. The message, which names the file, is for the log only.
    text: ClassVar[str] = "The database cannot be used at the moment"
    #: When a client may try again, s.
    retry_after: ClassVar[int] = 5
    log_level: ClassVar[int] = logging.ERROR


class DatabaseBusyError(DatabaseUnavailableError):
    """Another connection kept the database locked for longer than the busy timeout."""

    text = "The database is busy"
    retry_after = 1
    log_level = logging.WARNING


class DatabaseLostError(DatabaseUnavailableError):
    """A file of the database was deleted or replaced while this process used it."""


class RequestRefusedError(Exception):
    """A request that gets an HTTP error and a plain text.

    :param status: the HTTP status.
    :param text: the body.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
