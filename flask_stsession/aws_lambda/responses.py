"""Write HTTP responses in the shape that a gateway reads, and read the headers of those that handlers return.

Sources: the payload formats 1.0 and 2.0 in the API Gateway developer guide, and the Elastic Load Balancing
guide on Lambda targets.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import product
from typing import Any, Final

from .events import EventError, Format, format_of

logger: logging.Logger = logging.getLogger("flask_stsession")

#: What a handler returns to its gateway.
GatewayResponse = dict[str, Any]
#: Names and values, in order; a name may come several times.
HeaderPairs = Iterable[tuple[str, str]]

_SET_COOKIE: Final = "set-cookie"
#: The keys that hold headers, depending on the format.
_HEADER_KEYS: Final = ("headers", "multiValueHeaders", "cookies")


def gateway_response(
    format_: Format, status: int, headers: HeaderPairs, body: bytes = b""
) -> GatewayResponse:
    """Return a response in a gateway's shape.

    A UTF-8 body is sent as text, any other as base64; the gateway restores the bytes from both. A REST API
    decodes base64 only where ``binaryMediaTypes`` names the media type.

    :param format_: of the event.
    :param status: the HTTP status.
    """
    try:
        text, is_encoded = body.decode(), False
    except UnicodeDecodeError:
        text, is_encoded = base64.b64encode(body).decode("ascii"), True
    response: GatewayResponse = {"statusCode": status}
    if format_.startswith("alb"):
        response["statusDescription"] = f"{status} {_phrase(status)}"
    return {**response, **laid_out(format_, headers), "body": text, "isBase64Encoded": is_encoded}


def malformed_event(error: EventError, event: object) -> GatewayResponse:
    """Return a 400 for an event that no gateway sends, in the event's own format as far as it shows one."""
    body = json.dumps({"message": str(error)}).encode()
    return gateway_response(format_of(event), 400, [("Content-Type", "application/json")], body)


def laid_out(format_: Format, headers: HeaderPairs) -> GatewayResponse:
    """Return the keys of a response that hold its headers.

    Several cookies are sent as a list, except to a load balancer without multi-value headers, which reads one
    value for each name. There, the headers of the cookies have names that differ in case.
    """
    grouped: dict[str, tuple[str, list[str]]] = {}
    for name, value in headers:
        grouped.setdefault(name.lower(), (name, []))[1].append(value)
    if format_ == "alb multi-value":
        return {"multiValueHeaders": dict(grouped.values())}
    cookies = grouped.pop(_SET_COOKIE, ("", []))[1]
    if format_ == "1.0":
        several = {name: values for name, values in grouped.values() if len(values) > 1}
        if cookies:
            several["Set-Cookie"] = cookies
        single = {name: values[0] for name, values in grouped.values() if len(values) == 1}
        return {"headers": single, "multiValueHeaders": several}
    joined = {name: ", ".join(values) for name, values in grouped.values()}
    if format_ == "2.0":
        return {"headers": joined, "cookies": cookies}
    spelled = dict(zip(_spellings_of_set_cookie(), cookies, strict=False))
    if len(spelled) < len(cookies):
        logger.error(
            "%d of %d cookies are not sent: a load balancer without multi-value headers takes no more. Turn "
            "lambda.multi_value_headers.enabled on for its target group.",
            len(cookies) - len(spelled),
            len(cookies),
        )
    return {"headers": {**joined, **spelled}}


def headers_of(response: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headers of a response that a handler has written for its gateway.

    :raises TypeError: a key or a header is not what the gateway expects.
    :raises ValueError: a header has a line break.
    """
    found: list[tuple[str, str]] = []
    multiple = _mapping(response, "multiValueHeaders")
    for name, values in multiple.items():
        if not isinstance(values, (list, tuple)):
            raise TypeError(f"The handler's multiValueHeaders[{name!r}] must be a list, not {values!r:.100}.")
        found += [(str(name), _as_text(name, value)) for value in values]
    # If a header is under both keys, a gateway reads multiValueHeaders.
    named = {name.lower() for name, _ in found}
    single = _mapping(response, "headers").items()
    found += [(str(name), _as_text(name, value)) for name, value in single if str(name).lower() not in named]
    cookies = response.get("cookies") or ()
    if not isinstance(cookies, (list, tuple)):
        raise TypeError(f"The handler's response must have a list under 'cookies', not {cookies!r:.100}.")
    found += [("Set-Cookie", str(cookie)) for cookie in cookies]
    for name, value in found:
        # RFC 9110, 5.5: a client could read the second line as a header of its own.
        if not {"\r", "\n"}.isdisjoint(name + value):
            raise ValueError(
                f"The handler's header {name!r} must be one line: remove the line break from it."
            )
    return found


def with_headers(response: Mapping[str, Any], format_: Format, headers: HeaderPairs) -> GatewayResponse:
    """Return a response with these headers instead of its own."""
    others = {key: value for key, value in response.items() if key not in _HEADER_KEYS}
    return {**others, **laid_out(format_, headers)}


def _mapping(response: Mapping[str, Any], key: str) -> Mapping[Any, Any]:
    value = response.get(key) or {}
    if not isinstance(value, Mapping):
        raise TypeError(f"The handler's response must have an object under {key!r}, not {value!r:.100}.")
    return value


def _as_text(name: object, value: object) -> str:
    """Return the value of a header as gateways write it: numbers and booleans are allowed.

    :raises TypeError: it is something else.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float) or is_decimal(value):
        return str(value)
    raise TypeError(f"The handler's header {name!r} must be text, not {value!r:.100}.")


def is_decimal(value: object) -> bool:
    """Return whether a value is a ``Decimal``, as DynamoDB returns numbers, without importing its module."""
    decimal: Any = sys.modules.get("decimal")  # whoever makes one has imported it
    return decimal is not None and isinstance(value, decimal.Decimal)


def _spellings_of_set_cookie() -> Iterator[str]:
    """Yield ``Set-Cookie``, then all its other spellings in upper and lower case."""
    first = "Set-Cookie"
    yield first
    for letters in product(*((letter, letter.upper()) for letter in _SET_COOKIE if letter != "-")):
        spelled = "".join(letters)
        spelled = f"{spelled[:3]}-{spelled[3:]}"
        if spelled != first:
            yield spelled


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
