"""Hosts, origins and sites: who is who on the web, without asking the network.

A *site* is what browsers mean by it when they apply ``SameSite``: a scheme and a registrable
domain, the name one label below a public suffix (private suffixes such as ``vercel.app`` count).
Most questions answer themselves; the rest need the public suffix list, which the extra
``flask-stsession[domains]`` brings.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from urllib.parse import urlsplit


class SuffixList(Protocol):
    """What is needed of a public suffix list."""

    def privatesuffix(self, domain: str, /) -> str | None:
        """The registrable domain of a host; ``None`` for a host that is a public suffix itself."""


INSTALLED_SUFFIX_LIST: Callable[[], SuffixList] | None
try:
    from publicsuffixlist import PublicSuffixList
except ImportError:
    INSTALLED_SUFFIX_LIST = None
else:
    INSTALLED_SUFFIX_LIST = PublicSuffixList

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAX_HOST_LENGTH = 253


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a URL (RFC 6454), in the spelling that browsers send.

    :param port: ``None`` for the scheme's own.
    """

    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port is None else f"{self.scheme}://{host}:{self.port}"


def normal_host(host: str) -> str:
    """A host name in lower case and ASCII, an IP address in its shortest form.

    :param host: without port; an IPv6 address without brackets.
    :raises ValueError: if no host can be called that.
    """
    try:
        if ":" in host and "%" not in host:
            return str(ipaddress.IPv6Address(host))
        ascii_host = (
            host.lower() if host.isascii() else host[:_MAX_HOST_LENGTH].encode("idna").decode().lower()
        )
        labels = ascii_host.split(".")
        if labels[-1].isdigit():
            # WHATWG URL: a host that ends in a number is an IPv4 address or an error.
            return str(ipaddress.IPv4Address(ascii_host))
    except ValueError as error:
        raise ValueError(f"{host[:100]!r} is no host name") from error
    if len(host) > _MAX_HOST_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{host[:100]!r} is no host name")
    return ascii_host


def split_url(url: str) -> tuple[Origin, str]:
    """The origin and the path of an http(s) URL.

    :raises ValueError: if it is none, or has a user, a query or a fragment; says which, and no secret.
    """
    if not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("it has spaces, backslashes or control characters in it")
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("it does not begin with http:// or https://")
    if "?" in url or "#" in url:
        raise ValueError("it has a query or a fragment")
    try:
        parts = urlsplit(url)
    except ValueError as error:  # quotes what may be a password
        raise ValueError("it is no URL") from error
    if "@" in parts.netloc:
        raise ValueError("it has a user name or a password in it")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("its port is no number up to 65535") from error
    host = normal_host(parts.hostname or "")
    return Origin(parts.scheme, host, None if port == _DEFAULT_PORTS[parts.scheme] else port), parts.path


def origin_of(url: str) -> Origin | None:
    """The origin of whatever URL a request claims; ``None`` if it makes no sense."""
    try:
        return split_url(url)[0]
    except ValueError:
        return None


def host_of(netloc: str) -> str | None:
    """The host in a ``Host`` header, without its port; ``None`` if it makes no sense."""
    if netloc.count(":") > 1 and not netloc.startswith("["):
        netloc = f"[{netloc}]"
    try:
        origin, path = split_url(f"http://{netloc}")
    except ValueError:
        return None
    return None if path else origin.host


def is_ip_address(host: str) -> bool:
    """Is this host an IP address, of either version (without brackets)?"""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_localhost_or_ip(host: str) -> bool:
    """Is this host ``localhost`` or an IP address, which have no site of their own?"""
    return host == "localhost" or is_ip_address(host)


def is_local_host(netloc: str) -> bool:
    """Can only this machine or its own network reach this host?

    True of loopback and private addresses, ``localhost`` and ``*.localhost`` (RFC 6761, 6.3).

    :param netloc: a host, or what a ``Host`` header says; the port does not matter.
    """
    host = host_of(netloc)
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_private or address.is_link_local


def is_host_or_parent(domain: str, host: str) -> bool:
    """Would a browser on this host keep a cookie of this domain (RFC 6265, 5.1.3)?

    :param domain: without a leading dot.
    """
    return domain == host or (host.endswith(f".{domain}") and not is_ip_address(host))


class Sites:
    """Tells sites apart, with the public suffix list where one is needed.

    :param load_suffix_list: makes the list; called once, at the first question that needs it.
        ``None``: there is none.
    """

    def __init__(self, load_suffix_list: Callable[[], SuffixList] | None = INSTALLED_SUFFIX_LIST) -> None:
        self._load_suffix_list = load_suffix_list

    @cached_property
    def _suffix_list(self) -> SuffixList | None:
        return None if self._load_suffix_list is None else self._load_suffix_list()

    def registrable_domain(self, host: str) -> str | None:
        """The registrable domain of a host name; ``None`` if it has none, or nobody can tell."""
        labels = host.split(".")
        if len(labels) == 1 or is_ip_address(host):
            return None
        if labels[-1] == "localhost":
            return ".".join(labels[-2:])
        return None if self._suffix_list is None else self._suffix_list.privatesuffix(host)

    def is_public_suffix(self, domain: str) -> bool:
        """Do many parties live under this name (``com``, ``co.uk``), as far as one can tell?"""
        if is_ip_address(domain):
            return False
        if "." not in domain:
            return domain != "localhost"
        return self._suffix_list is not None and self._suffix_list.privatesuffix(domain) is None

    def same_site(self, one: Origin, other: Origin) -> bool | None:
        """Are these two origins one site? ``None``: only the public suffix list knows, and there is none.

        Equal hosts, a host and its parent, hosts whose last labels differ, ``localhost`` and IP
        addresses (all one site, as in the other SDKs) need no list.
        """
        if one.scheme != other.scheme:
            return False
        if one.host == other.host:
            return True
        if is_localhost_or_ip(one.host) or is_localhost_or_ip(other.host):
            return is_localhost_or_ip(one.host) and is_localhost_or_ip(other.host)
        shorter, longer = sorted((one.host, other.host), key=len)
        # A single label is a public suffix to browsers (the list's default rule): a site of its own.
        if "." not in shorter or shorter.rpartition(".")[2] != longer.rpartition(".")[2]:
            return False
        if longer.endswith(f".{shorter}"):
            return True
        if self._load_suffix_list is None and not shorter.endswith(".localhost"):
            return None
        registrable = self.registrable_domain(shorter)
        return registrable is not None and registrable == self.registrable_domain(longer)

    def registrable_parents(self, host: str) -> list[str]:
        """This host and its parents, down to the registrable domain (without the list: to two labels).

        These are the domains whose cookies a browser would send to the host.
        """
        if "." not in host or is_ip_address(host):
            return [host]
        last = self.registrable_domain(host)
        if last is None:
            last = host if self._suffix_list is not None else ".".join(host.split(".")[-2:])
        labels = host.split(".")
        return [".".join(labels[index:]) for index in range(len(labels) - last.count("."))]
