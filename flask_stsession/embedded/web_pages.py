"""Keep web pages from driving a core on this host.

A page in a browser on this host can send requests to a loopback address. If no API key protects the core,
requests that a browser may have sent for a page are refused.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from .http_head import Head

_REMEDY: Final = "set api_keys and send one of them"


def is_loopback(host: str) -> bool:
    """Return whether a host name or an address can be reached from this host only."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def refusal_of(head: Head) -> tuple[int, str] | None:
    """Return status and text of the refusal, None if no web page can have sent the request.

    Browsers send ``Origin`` or ``Sec-Fetch-Site`` with every request that another page makes. The ``Host`` is
    checked because a page can give its own name the address 127.0.0.1 (DNS rebinding), and the media type
    because a form can send no JSON.
    """
    for name in ("origin", "sec-fetch-site"):
        if head.values(name):
            return 403, f"The header {name} says that a web page sent this request: {_REMEDY}"
    for host in head.values("host"):
        if not is_loopback(_host_name(host)):
            return 403, f"The host {host[:100]!r} is not a loopback address: {_REMEDY}, or use 127.0.0.1"
    media_types = [value.partition(";")[0].strip().lower() for value in head.values("content-type")]
    if head.content_length and media_types != ["application/json"]:
        return 415, f"The body is not application/json: send that content-type, or {_REMEDY}"
    return None


def _host_name(host: str) -> str:
    """Return the host of a ``Host`` header (RFC 9110, 7.2), without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")
