"""Warn once of responses that a cache may share, and of cookies that browsers drop."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from ..config.domains import host_of, is_host_or_parent, is_loopback

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config, Decisions

logger: logging.Logger = logging.getLogger("flask_stsession")


#: Lets shared caches store and reuse a response, even to a request with ``Authorization`` (RFC 9111, 3.5).
_SHARED = re.compile(r"public|s-maxage *= *\"?0*[1-9]", re.IGNORECASE)


class Delivery:
    """Checks the responses of one app that depend on the user. Logs each warning once per process.

    :param config: of the app.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._said: set[str] = set()

    def warn_of_public(self, request: Request, cache_control: str) -> None:
        """Warn of a response to a signed-in user that shared caches may store.

        :param cache_control: the app's ``Cache-Control``.
        """
        if _SHARED.search(cache_control):
            self._warn_once(
                f"public {request.endpoint}",
                "The endpoint %r responds to signed-in users with Cache-Control: %s, so a shared cache may "
                "serve that response to other users. Leave out public and s-maxage. send_file(max_age=...) "
                "sets public: write response.cache_control.public = False.",
                request.endpoint,
                cache_control,
            )

    def warn_of_lost_cookies(self, request: Request, attributes: Decisions) -> None:
        """Warn of cookies that browsers drop: a login then seems to do nothing.

        :param attributes: of the cookies.
        """
        if attributes.same_site != "none" and _is_inside_of_another_site(request):
            page = request.headers.get("Origin", "another site")
            self._warn_once(
                f"site {page}",
                "Cookies with SameSite %s are being sent to a page of %s, which is another site to browsers: "
                "they drop them. Open the page and this app under one host name (localhost and 127.0.0.1 are "
                "two), or write the page's origin in STSESSION_WEBSITE_DOMAIN and serve both by https.",
                attributes.same_site,
                page,
            )
        host = request.headers.get("X-Forwarded-Host", request.host).partition(",")[0].strip()
        if attributes.secure and not _arrives_by_https(request) and not is_loopback(host):
            self._warn_once(
                "secure",
                "Cookies with the attribute Secure are being sent over http to %r, where browsers drop them: "
                "a login seems to do nothing. Open the website by https. If a proxy speaks https for this "
                "app, make it send X-Forwarded-Proto, and use werkzeug.middleware.proxy_fix.ProxyFix.",
                host,
            )
        domain = self._config.cookie_domain
        if (
            domain is not None
            and (name := host_of(host)) is not None
            and not is_host_or_parent(domain.lstrip("."), name)
        ):
            self._warn_once(
                "domain",
                "STSESSION_COOKIE_DOMAIN = %r is neither %r, to which cookies are being sent, nor a parent "
                "of it: browsers drop them. Set it to the domain of the host that browsers request. If a "
                "proxy replaces that host, make it send X-Forwarded-Host, and use "
                "werkzeug.middleware.proxy_fix.ProxyFix.",
                domain,
                name,
            )

    def _warn_once(self, key: str, message: str, *values: object) -> None:
        if key not in self._said:
            self._said.add(key)
            logger.warning(message, *values)


def _is_inside_of_another_site(request: Request) -> bool:
    """Return whether a script or a frame in a page of another site sent the request.

    Navigations of the whole window do not count: browsers store the cookies they bring (RFC 6265bis, 5.7).
    """
    headers = request.headers
    if headers.get("Sec-Fetch-Site") != "cross-site":
        return False
    return headers.get("Sec-Fetch-Mode") != "navigate" or headers.get("Sec-Fetch-Dest") in ("iframe", "frame")


def _arrives_by_https(request: Request) -> bool:
    """Return whether a request came by https, as this app or a proxy sees it."""
    forwarded = request.headers.get("Forwarded", "").lower().replace(" ", "").replace('"', "")
    proto = request.headers.get("X-Forwarded-Proto", "").lower()
    return request.is_secure or "https" in proto or "proto=https" in forwarded
