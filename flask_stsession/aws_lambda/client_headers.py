"""Add headers to the response of a function without Flask: for changed tokens, caching and CORS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from ..web.transport import ResponseWriter, Turns
from .cors import add_cors, add_to_list
from .responses import GatewayResponse, HeaderPairs, headers_of, with_headers

if TYPE_CHECKING:
    from ..config.config import Config
    from ..sessions.client_changes import ClientChanges
    from .events import EventRequest


class _Headers(Response):
    """A response without a default content type, for its headers only."""

    default_mimetype = None


def token_headers(
    config: Config, request: EventRequest, changes: ClientChanges, *, turns: Turns, present: HeaderPairs = ()
) -> list[tuple[str, str]]:
    """Return the headers of a response, and those that change the tokens of the client.

    :param turns: of the function.
    :param present: the headers that the response already has.
    """
    mounted, _ = request.mount(config.api_gateway_path)
    writer = ResponseWriter(config, origin=lambda: request.origin, script_root=mounted, turns=turns)
    response = _Headers(headers=list(present))
    writer.write(changes, response)
    return list(response.headers)


def with_client_headers(
    config: Config,
    request: EventRequest,
    changes: ClientChanges | None,
    response: Mapping[str, Any],
    *,
    turns: Turns,
) -> GatewayResponse:
    """Return a response with the headers for changed tokens, caching and CORS.

    :param changes: ``None`` if nothing changes.
    :param response: what the handler returned to its gateway.
    :raises TypeError: its headers are not in the shape that the gateway reads.
    :raises ValueError: a header has a line break.
    """
    headers = headers_of(response)
    add_to_list(headers, "Vary", ("Cookie", "Authorization"))
    if changes is not None:
        headers = token_headers(config, request, changes, turns=turns, present=headers)
    if not any(name.lower() == "cache-control" for name, _ in headers):
        headers.append(("Cache-Control", "private"))
    add_cors(config, request, headers)
    return with_headers(response, request.format, headers)
