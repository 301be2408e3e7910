"""Expire cookies with our names, but a domain or path that this app does not use.

They are left over from another cookie domain, base path or SDK, or belong to another app. Browsers send them
together with ours and do not say which is which, so every request is refused until they are gone.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cachetools import TTLCache

from ..concurrency import AgeClock
from ..config.domains import host_of, is_localhost_or_ip
from ..sessions.client_changes import StrayCookie, StrayCookies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Request

    from ..config.config import AllowedTransfer, Config
    from .transport import RequestTokens

    #: A ``Domain`` (``None`` for a host-only cookie) and a ``Path``.
    Place = tuple[str | None, str]

logger: logging.Logger = logging.getLogger("flask_stsession")

#: More parent paths than the cookies of any app have; a URL may have thousands.
_MAX_ANCESTORS = 16
#: The maximum number of clients to remember, and for how long (s).
_MOST_SEEN: Final = 1000
_SEEN_SECONDS: Final = 60.0
_PATH_CHARACTERS = "/!$&'()*+,=:@~"


class RecentlySeen:
    """Remembers for a minute which sets of cookies it has seen, by their digests.

    :param timer: returns the current time (s) of a monotonic clock.
    """

    def __init__(self, timer: Callable[[], float] | None = None) -> None:
        self._seen: TTLCache[bytes, bool] = TTLCache(_MOST_SEEN, _SEEN_SECONDS, timer or AgeClock())
        self._lock = Lock()

    def again(self, sent: RequestTokens) -> bool:
        """Return whether the same cookies have been seen before, and remember them."""
        values = "\0".join((sent.bearer or "", *sent.access_cookies, "", *sent.refresh_cookies))
        digest = sha256(values.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            seen = digest in self._seen
            self._seen[digest] = True
        return seen


def strays_of(
    config: Config, request: Request, sent: RequestTokens, allowed: AllowedTransfer
) -> StrayCookies | None:
    """Return the stray cookies that the client may have, the likeliest domains and paths first.

    :param sent: the tokens of this request.
    :param allowed: the transfer methods allowed for it. Where only headers are, cookies with the names of
        our tokens belong to another app; a legacy session counts with every method.
    :returns: ``None`` if there is no sign of a stray: no name occurs twice, there is no legacy cookie, and a
        refresh cookie came only on the path of the refresh route.
    """
    names = config.cookie_names
    by_cookie: tuple[str, ...] = (names.access, names.refresh)
    if allowed == "header":
        by_cookie, sent = (), sent._replace(access_cookies=[], refresh_cookies=[])
    refresh_path = config.refresh_path(request.script_root)
    paths = _ancestors(config, request)
    troubled: list[str] = []
    if sent.legacy and names.legacy is not None:
        troubled.append(names.legacy)
    if len(sent.access_cookies) > 1:
        troubled.append(names.access)
    # On any path but that of the refresh route, even a single refresh cookie is a stray.
    if len(sent.refresh_cookies) > (refresh_path in paths):
        troubled.append(names.refresh)
    if not troubled:
        return None
    domain = _own_domain(config)
    own = {names.access: (domain, "/"), names.refresh: (domain, refresh_path)}
    domains = _domains(config, request)
    # The same path with a slash at its end is a different one (RFC 6265, 5.1.4).
    slashed = [f"{path}/" for path in paths[1:]]
    every = (*by_cookie, names.legacy)
    untroubled = [each for each in every if each is not None and each not in troubled]
    return StrayCookies(
        likely=tuple(_places(troubled, domains, paths, own)),
        unlikely=tuple(_places(troubled, domains, slashed, own)),
        others=tuple(_places(untroubled, domains, paths, own)),
    )


def left_behind(config: Config, request: Request, sent: RequestTokens) -> StrayCookies | None:
    """Return the cookies that an ended session may have left on parent domains.

    We would take a single cookie there for ours, and refuse every request until the user signs in.
    """
    domains = [each for each in _domains(config, request) if each not in (None, _own_domain(config))]
    came = with_paths(config, request, sent)
    found = [StrayCookie(name, domain, path) for name, path, values in came if values for domain in domains]
    return StrayCookies(tuple(found)) if found else None


def with_paths(
    config: Config, request: Request, sent: RequestTokens
) -> tuple[tuple[str, str, list[str]], tuple[str, str, list[str]]]:
    """Return name, path and values of the cookies that a request carries: access token, refresh token."""
    names = config.cookie_names
    return (
        (names.access, "/", sent.access_cookies),
        (names.refresh, config.refresh_path(request.script_root), sent.refresh_cookies),
    )


def warn_of(strays: StrayCookies) -> None:
    """Log that stray cookies are being expired; they may belong to another app."""
    names = sorted({each.name for each in strays.likely})
    logger.warning(
        "A request carries cookies named %s with a domain or path that this app does not use. They are being "
        "expired. If they belong to another app on this host name or a parent of it, its users are signed "
        "out: give each app its own STSESSION_COOKIE_PREFIX.",
        " and ".join(names),
    )


def _places(
    names: Iterable[str], domains: Sequence[str | None], paths: Sequence[str], own: dict[str, Place]
) -> list[StrayCookie]:
    found = [
        StrayCookie(name, domain, path)
        for path in paths
        for domain in domains
        for name in names
        if own.get(name) != (domain, path)
    ]
    # Most are left over from another domain, with the same path as ours.
    return sorted(found, key=lambda stray: stray.name in own and own[stray.name][1] != stray.path)


def _own_domain(config: Config) -> str | None:
    # A leading dot is ignored (RFC 6265, 5.2.3).
    return None if config.cookie_domain is None else config.cookie_domain.lstrip(".")


def _domains(config: Config, request: Request) -> list[str | None]:
    """Return the domains whose cookies browsers send to this host, parents first."""
    host = host_of(request.host) if config.api is None else config.api.host
    named = [] if host is None or is_localhost_or_ip(host) else config.sites.registrable_parents(host)
    older = (config.older_cookie_domain or "").lstrip(".")
    domains: list[str | None] = [*reversed(named), older or None, _own_domain(config), None]
    return list(dict.fromkeys(domains))


def _ancestors(config: Config, request: Request) -> list[str]:
    """Return the paths whose cookies browsers send with this request, shortest first."""
    root = config.root_path(request.script_root)
    parts = [part for part in quote(root + request.path, safe=_PATH_CHARACTERS).split("/") if part]
    below = ["/" + "/".join(parts[: count + 1]) for count in range(min(len(parts), _MAX_ANCESTORS))]
    return ["/", *below]
