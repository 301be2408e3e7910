"""Read the head of an HTTP/1.1 request, strictly (RFC 9112).

A server that is more tolerant than the proxy in front of it can be made to see different requests than the
proxy (request smuggling). So every ambiguous request is refused, and the connection is closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO, Final

#: All lines of a head together, bytes.
MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_FIELDS: Final = 100
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])\r\n"
)
#: No space before the colon, no continuation lines (5.1, 5.2), no control characters (RFC 9110, 5.5).
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff\t ])*)\r\n")
_LENGTH: Final = re.compile(r"[0-9]+")
_LONGEST: Final = 18


class BadRequestError(Exception):
    """A request that cannot be understood; the connection cannot be used any more.

    :param status: the status of the response.
    """

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request.

    :param path: the path, percent-encoded, beginning with a slash.
    :param query: the query, without the question mark.
    :param fields: the header fields in order, names in lower case.
    :param content_length: the length of the body, bytes.
    :param is_1_0: whether the client speaks HTTP/1.0.
    """

    method: str
    path: str
    query: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    content_length: int
    is_1_0: bool

    def values(self, name: str) -> list[str]:
        """Return the values of all fields with this name (in lower case)."""
        return [value for field, value in self.fields if field == name]

    @property
    def keeps_connection(self) -> bool:
        """Whether the client expects to send more requests on the connection (9.3)."""
        options = [
            option.strip().lower() for value in self.values("connection") for option in value.split(",")
        ]
        return not self.is_1_0 and "close" not in options

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends the body (RFC 9110, 10.1.1)."""
        return not self.is_1_0 and any(value.lower() == "100-continue" for value in self.values("expect"))


def read_head(stream: BinaryIO) -> Head | None:
    """Read the head of the next request; return None if the client sends no more.

    :raises BadRequestError: the head is malformed, ambiguous or too large.
    """
    left = MAX_HEAD_BYTES
    line = stream.readline(left + 1)
    if line == b"\r\n":  # an empty line before a request is tolerated (2.2)
        line = stream.readline(left + 1)
    if not line:
        return None
    matched = _REQUEST_LINE.fullmatch(line)
    if matched is None:
        is_too_long = len(line) > MAX_HEAD_BYTES
        raise BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG if is_too_long else HTTPStatus.BAD_REQUEST)
    method, target, major, minor = (part.decode("ascii") for part in matched.groups())
    if major != "1":
        raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    fields: list[tuple[str, str]] = []
    left -= len(line)
    while (line := stream.readline(max(left, 0) + 1)) != b"\r\n":
        left -= len(line)
        if left < 0 or len(fields) == _MAX_FIELDS:
            raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        fields.append((field[1].decode("ascii").lower(), field[2].decode("latin-1").rstrip(" \t")))
    path, query = _split_target(target)
    return _checked(Head(method, path, query, tuple(fields), _content_length(fields), is_1_0=minor == "0"))


def _split_target(target: str) -> tuple[str, str]:
    """Return path and query of a request target in origin form or absolute form (3.2)."""
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        slash = rest.find("/")
        target = "/" if slash < 0 else rest[slash:]
    path, _, query = target.partition("?")
    return path, query


def _content_length(fields: list[tuple[str, str]]) -> int:
    lengths = [value for name, value in fields if name == "content-length"]
    if any(name == "transfer-encoding" for name, _ in fields):
        # Both framings at once allow request smuggling (6.3).
        raise BadRequestError(HTTPStatus.BAD_REQUEST if lengths else HTTPStatus.LENGTH_REQUIRED)
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    # int() refuses thousands of digits; a longer number is too large in any case.
    return int(lengths[0][:_LONGEST])


def _checked(head: Head) -> Head:
    hosts = head.values("host")
    if len(hosts) > 1 or (not hosts and not head.is_1_0):  # 3.2
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    return head
