"""What can go wrong in the embedded core.

::

    Exception
    ├── EmbeddedCoreError     the operator must act: a setting, the file, the process
    ├── RequestRefusedError   one request gets a plain-text answer other than 200
    └── DatabaseBusyError     the database could not be had in time; the request may be sent again
"""

from __future__ import annotations


class EmbeddedCoreError(Exception):
    """The embedded core cannot work as it was set up; the message says what to change."""


class RequestRefusedError(Exception):
    """A request that is answered with an HTTP error and a plain text.

    :param status: the HTTP status.
    :param text: the body.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class DatabaseBusyError(Exception):
    """Another connection held the database for longer than the busy timeout."""
