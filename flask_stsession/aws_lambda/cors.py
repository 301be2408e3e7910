"""CORS for functions without Flask: what browsers need to let our websites read responses and send tokens.

Source: the Fetch standard, 3.2 (CORS protocol), with credentials.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..constants import (
    ACCESS_TOKEN_HEADER,
    ANTI_CSRF_HEADER,
    CORS_REQUEST_HEADERS,
    FRONT_TOKEN_HEADER,
    REFRESH_TOKEN_HEADER,
)
from ..web.csrf import is_allowed
from ..web.transport import extended_list
from .responses import GatewayResponse, gateway_response

if TYPE_CHECKING:
    from ..config.config import Config
    from .events import EventRequest

#: The response headers that frontend SDKs read.
EXPOSED_HEADERS: Final = (FRONT_TOKEN_HEADER, ACCESS_TOKEN_HEADER, REFRESH_TOKEN_HEADER, ANTI_CSRF_HEADER)

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_MAX_AGE_SECONDS: Final = 600


def add_cors(config: Config, request: EventRequest, headers: list[tuple[str, str]]) -> None:
    """Let our websites read a response; browsers do not let other sites read it.

    :param headers: of the response, changed in place.
    """
    add_to_list(headers, "Vary", ("Origin",))
    origin = request.headers.get("origin")
    if origin is None or not is_allowed(origin, config.trusted_origins(request.origin)):
        return
    # With credentials, * is not a wildcard, so no other value from the handler would work.
    replace(headers, "Access-Control-Allow-Origin", origin.strip())
    replace(headers, "Access-Control-Allow-Credentials", "true")
    add_to_list(headers, "Access-Control-Expose-Headers", EXPOSED_HEADERS)


def preflight_response(config: Config, request: EventRequest) -> GatewayResponse:
    """Respond to OPTIONS with 204; tell our own websites what a frontend SDK may send."""
    headers: list[tuple[str, str]] = []
    add_cors(config, request, headers)
    add_to_list(headers, "Vary", ("Access-Control-Request-Method", "Access-Control-Request-Headers"))
    if any(name == "Access-Control-Allow-Origin" for name, _ in headers):
        headers += [
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", ", ".join(("content-type", *CORS_REQUEST_HEADERS))),
            ("Access-Control-Max-Age", str(_MAX_AGE_SECONDS)),
        ]
    return gateway_response(request.format, 204, headers)


def replace(headers: list[tuple[str, str]], name: str, value: str) -> None:
    """Set a header to this value, and remove all other values of it."""
    headers[:] = [pair for pair in headers if pair[0].lower() != name.lower()]
    headers.append((name, value))


def add_to_list(headers: list[tuple[str, str]], name: str, values: Iterable[str]) -> None:
    """Add values to a header that holds a list, and write it as one line."""
    present = [value for each, value in headers if each.lower() == name.lower()]
    replace(headers, name, extended_list(present, values))
