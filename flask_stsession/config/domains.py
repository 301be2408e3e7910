"""Parse host names and origins, and decide which origins are one site. Nothing here uses the network.

A *site* is what browsers compare for ``SameSite``: a scheme and a registrable domain, which is one
label longer than a public suffix (private suffixes such as ``vercel.app`` count). Most pairs of
origins can be decided without the public suffix list; the extra ``flask-stsession[domains]`` installs
it for the rest.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

# requests depends on it and imports it, so it is not an additional dependency.
import idna

from ..messages import closest

if TYPE_CHECKING:

    class SuffixList(Protocol):
        """The part of a public suffix list that is used here."""

        def privatesuffix(self, domain: str, /) -> str | None:
            """Return the registrable domain of a host; ``None`` if the host is itself a public suffix."""


_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
#: Schemes that browsers give no origin of their own, or that no page has.
_WEB_SCHEMES = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "ftps", "http", "https", "javascript", "ws", "wss"}
)
_SCHEME = r"[a-z][a-z0-9+.-]*"  # RFC 3986, 3.1
# Electron apps use "." and "-" as hosts, too.
_SHELL_ORIGIN = r"[a-z][a-z0-9+.-]*://([.-]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]{1,5})?)"
#: The dots of IDNA 2003 (RFC 3490, 3.1), which browsers take as well.
_DOTS = "[.\u3002\uff0e\uff61]"
_MAX_HOST_LENGTH = 253
#: Top-level names that no public host has: RFC 2606, RFC 6761, RFC 6762, RFC 8375, ICANN SAC113.
_LOCAL_NAMES = (".example", ".home.arpa", ".internal", ".invalid", ".local", ".localhost", ".test")
#: Shared by a provider and its customers, and not routed elsewhere (RFC 6598).
_SHARED_ADDRESSES = "100.64.0.0/10"
#: Private to Python, but examples of public ones (RFC 5737, RFC 3849).
_DOCUMENTATION_ADDRESSES = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")


class Origin(NamedTuple):
    """The scheme, host and port of a URL (RFC 6454), spelled as browsers send them.

    :param port: ``None`` for the scheme's own.
    """

    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port is None else f"{self.scheme}://{host}:{self.port}"


def normal_host(host: str) -> str:
    """Return a host name in lower case and ASCII, or an IP address in its shortest form.

    :param host: without port; an IPv6 address without brackets.
    :raises ValueError: it is not a host, or not the same one to IDNA 2003 and IDNA 2008.
    """
    invalid = ValueError(f"{host[:100]!r} is not a host name")
    if len(host) > _MAX_HOST_LENGTH:
        raise invalid
    try:
        if ":" in host and "%" not in host:
            return str(ipaddress.IPv6Address(host))
        ascii_host = host.lower() if host.isascii() else _ascii_host(host)
        labels = ascii_host.split(".")
        if labels[-1].isdigit():
            # WHATWG URL: a host that ends in a number is an IPv4 address or an error.
            return str(ipaddress.IPv4Address(ascii_host))
    except ipaddress.AddressValueError as error:
        raise invalid from error
    if len(ascii_host) > _MAX_HOST_LENGTH or not all(map(partial(re.fullmatch, _LABEL), labels)):
        raise invalid
    return ascii_host


def _ascii_host(host: str) -> str:
    """Return a host name in ASCII, if IDNA 2003 and IDNA 2008 agree on it.

    IDNA 2003 reads ``ß`` as ``ss``, IDNA 2008 as a letter: two hosts, and a guess could trust the wrong one.

    :raises ValueError: they disagree, or the name is invalid in one of them.
    """
    labels = re.split(_DOTS, host)
    try:
        by_2003 = ".".join(label.encode("idna").decode() for label in labels).lower()
    except UnicodeError as error:
        raise ValueError(f"{host[:100]!r} is not a host name") from error
    try:
        by_2008 = ".".join(
            label.lower() if label.isascii() else idna.encode(label, uts46=True).decode() for label in labels
        )
    except UnicodeError as error:
        raise ValueError(
            f"{host[:100]!r} is not a host name by IDNA 2008; if {by_2003!r} is meant, it must be written so"
        ) from error
    if by_2003 != by_2008:
        raise ValueError(
            f"{host[:100]!r} is {by_2008!r} by IDNA 2008, but {by_2003!r} by IDNA 2003; it must be written "
            "as the one that is meant"
        )
    return by_2008


def split_url(url: str) -> tuple[Origin, str]:
    """Return the origin and the path of an http(s) URL.

    :raises ValueError: it is not such a URL, or has a user, a query or a fragment; the message quotes no
        secret.
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
        raise ValueError("it is not a URL") from error
    if "@" in parts.netloc:
        raise ValueError("it has a user name or a password in it")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("its port is not a number up to 65535") from error
    host = normal_host(parts.hostname or "")
    return Origin(parts.scheme, host, None if port == _DEFAULT_PORTS[parts.scheme] else port), parts.path


def is_shell_url(url: str) -> bool:
    """Return whether this may be a URL of an app shell, such as ``capacitor://localhost``.

    False for schemes of the web, and for a scheme that looks like a misspelt ``https``.
    """
    scheme, separator, _ = url.lower().partition("://")
    return bool(
        separator
        and re.fullmatch(_SCHEME, scheme)
        and scheme not in _WEB_SCHEMES
        and closest(scheme, ("http", "https"), cutoff=0.75) is None
    )


def is_shell_origin(origin: str) -> bool:
    """Return whether this is the origin of an app shell as it sends it: the scheme in lower case, a host."""
    return is_shell_url(origin) and re.fullmatch(_SHELL_ORIGIN, origin) is not None


def origin_of(url: str) -> Origin | None:
    """Return the origin of a URL that a request claims, or ``None`` if it is not a URL."""
    try:
        return split_url(url)[0]
    except ValueError:
        return None


@lru_cache(maxsize=256)
def normal_origin(url: str) -> str:
    """Return the origin of a request's URL as browsers write it.

    :param url: scheme and host as the client wrote them; if they are not a URL, only final slashes are
        removed.
    """
    origin = origin_of(url)
    return url.rstrip("/") if origin is None else str(origin)


def host_of(netloc: str) -> str | None:
    """Return the host in a ``Host`` header, without its port, or ``None`` if it is not valid."""
    if netloc.count(":") > 1 and not netloc.startswith("["):
        netloc = f"[{netloc}]"
    try:
        origin, path = split_url(f"http://{netloc}")
    except ValueError:
        return None
    return None if path else origin.host


def is_ip_address(host: str) -> bool:
    """Return whether this host is an IP address, of either version (without brackets)."""
    return _address_of(host) is not None


def is_localhost_or_ip(host: str) -> bool:
    """Return whether this host is ``localhost`` or an IP address, which have no registrable domain."""
    return host == "localhost" or is_ip_address(host)


def is_loopback(netloc: str) -> bool:
    """Return whether this host is this machine: ``localhost``, ``*.localhost`` or a loopback address.

    :param netloc: a host, or the value of a ``Host`` header; the port is ignored.
    """
    host = host_of(netloc)
    if host is None:
        return False
    address = _address_of(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, 6.3
    return address.is_loopback


@lru_cache(maxsize=256)
def is_local_host(netloc: str, *, forwarded: bool = False) -> bool:
    """Return whether this host can only be reached from this machine or its own network.

    True for loopback, private and shared addresses, single labels, ``*.localhost`` and the top-level names
    that are reserved for use inside of networks.

    :param netloc: a host, or the value of a ``Host`` header; the port is ignored.
    :param forwarded: the request came through a proxy, which may have replaced a public host by one of its
        own network. Only ``localhost`` and loopback addresses are local then.
    """
    host = host_of(netloc)
    if host is None:
        return False
    address = _address_of(host)
    if forwarded:
        return host == "localhost" if address is None else address.is_loopback
    if address is None:
        return "." not in host or f".{host}".endswith(_LOCAL_NAMES)
    if any(address in ipaddress.ip_network(network) for network in _DOCUMENTATION_ADDRESSES):
        return False
    return address.is_private or address.is_link_local or address in ipaddress.ip_network(_SHARED_ADDRESSES)


def is_public_address(node: str) -> bool:
    """Return whether this is an IP address of the Internet, with a port or without."""
    host = host_of(node)
    return host is not None and is_ip_address(host) and not is_local_host(host)


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that this host is, or ``None`` if it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_host_or_parent(domain: str, host: str) -> bool:
    """Return whether a browser keeps a cookie of this domain that this host sets (RFC 6265, 5.1.3).

    :param domain: without a leading dot.
    """
    return domain == host or (host.endswith(f".{domain}") and not is_ip_address(host))


def installed_suffix_list() -> SuffixList | None:
    """Load the list of the extra ``flask-stsession[domains]``; return ``None`` if it is not installed."""
    # Not at the top: many apps have the extra, and few have two domains that only the list can compare.
    try:
        module = import_module("publicsuffixlist")
    except ImportError:
        return None
    loaded: SuffixList = module.PublicSuffixList()
    return loaded


class Sites:
    """Decide which origins are one site, with the public suffix list where it is needed.

    :param load_suffix_list: returns the list, or ``None`` if it is not installed; called when the list is
        first needed.
    """

    def __init__(self, load_suffix_list: Callable[[], SuffixList | None] = installed_suffix_list) -> None:
        self._load_suffix_list = load_suffix_list

    @cached_property
    def _suffix_list(self) -> SuffixList | None:
        return self._load_suffix_list()

    def registrable_domain(self, host: str) -> str | None:
        """Return the registrable domain of a host name; ``None`` if it has none, or none is known."""
        labels = host.split(".")
        if len(labels) == 1 or is_ip_address(host):
            return None
        if labels[-1] == "localhost":
            return ".".join(labels[-2:])
        return None if self._suffix_list is None else self._suffix_list.privatesuffix(host)

    def is_public_suffix(self, domain: str) -> bool:
        """Return whether the domain is known to be a public suffix (``com``, ``co.uk``)."""
        if is_ip_address(domain):
            return False
        if "." not in domain:
            return domain != "localhost"
        return self._suffix_list is not None and self._suffix_list.privatesuffix(domain) is None

    def same_site(self, one: Origin, other: Origin) -> bool | None:
        """Return whether two origins are one site.

        ``None`` if only the suffix list could tell and it is not installed.

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
        if not shorter.endswith(".localhost") and self._suffix_list is None:
            return None
        registrable = self.registrable_domain(shorter)
        return registrable is not None and registrable == self.registrable_domain(longer)

    def may_share_cookies(self, one: Origin, other: Origin) -> bool:
        """Return whether two origins are certainly one site to a browser, or both on this machine.

        Stricter than :meth:`same_site`: an IP address is a site of its own. If only the suffix list could
        decide and it is not installed, return false.
        """
        if one.scheme == other.scheme and is_localhost_or_ip(one.host) and is_localhost_or_ip(other.host):
            return one.host == other.host or (is_loopback(one.host) and is_loopback(other.host))
        return self.same_site(one, other) is True

    def registrable_parents(self, host: str) -> list[str]:
        """Return this host and its parents, down to the registrable domain (without the list: two labels).

        These are the domains whose cookies a browser would send to the host.
        """
        if "." not in host or is_ip_address(host):
            return [host]
        last = self.registrable_domain(host)
        if last is None:
            last = host if self._suffix_list is not None else ".".join(host.split(".")[-2:])
        labels = host.split(".")
        return [".".join(labels[index:]) for index in range(len(labels) - last.count("."))]
