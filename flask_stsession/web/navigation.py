"""Is a person's browser asking for a page, and where may it be sent next?

Decisions only; :mod:`flask_stsession.web.pages` answers by them. Sources: W3C Fetch Metadata for
``Sec-Fetch-*``, the Fetch standard for ``Sec-Purpose``, the reference of htmx 2 for ``HX-*``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from flask import request as current_request, url_for

from ..config.domains import origin_of
from ..errors import Reason, UnauthorisedError
from .context import origin_of_api
from .csrf import Sender, problem, sender_of

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config
    from ..constants import TransferMethod
    from ..sessions.client_changes import ClientChanges

logger = logging.getLogger("flask_stsession")

#: Our routes that renew the session of a navigation.
CONTINUE_ENDPOINT = "stsession.refresh_continue"
SCRIPT_ENDPOINT = "stsession.refresh_script"

_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
#: RFC 3986, 3.3: what a path may hold unquoted.
_PATH_CHARACTERS = "/!$&'()*+,;=:@~"
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?%"


def next_url(default: str = "/") -> str:
    """The ``next`` of this request, checked, for a login view to redirect to.

    Taken from the form, else from the query. Only a path of this site passes: exactly one leading slash,
    not followed by a slash or a backslash (browsers read both as the start of another host), and no control
    characters (browsers drop them before they look).

    :param default: what to answer when there is none, or none that is safe.
    """
    wanted = current_request.form.get("next") or current_request.args.get("next")
    return wanted if wanted is not None and is_local_path(wanted) else default


def is_local_path(target: str) -> bool:
    """Does following ``target`` stay on this site, whatever a browser makes of it?"""
    if not target.startswith("/") or target[1:2] in ("/", "\\"):
        return False
    return all(" " <= character != "\x7f" for character in target)


def is_navigation(request: Request) -> bool:
    """Will a person look at the answer: a link followed, a form sent, an address typed?

    ``Sec-Fetch-Mode`` tells; no script can set it. Browsers leave it away on plain http: then what they
    accept tells, unless the request is of a kind that no link and no form can make.
    """
    if is_htmx(request):
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode.strip().lower() == "navigate"
    if "X-Requested-With" in request.headers or request.mimetype not in _FORM_TYPES:
        return False
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def is_htmx(request: Request) -> bool:
    """Did htmx send this? It follows ``HX-Redirect``, and puts any other page into a part of the page."""
    return request.headers.get("HX-Request", "").strip().lower() == "true"


def is_ahead_of_time(request: Request) -> bool:
    """Is the page fetched before anybody asked for it? Such a request should change nothing."""
    purposes = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz"))
    return any("prefetch" in purpose.lower() for purpose in purposes)


def origin_problem(config: Config, request: Request, origin_of_api: str) -> tuple[Reason, str] | None:
    """What is missing to believe that one of our own pages sent this request, if anything.

    As ``VIA_ORIGIN``, but a GET without ``Sec-Fetch-Site`` and ``Origin`` (a link on plain http has neither)
    may show its ``Referer`` instead.
    """
    origin = request.headers.get("Origin")
    if origin is None and request.method == "GET":
        origin = _origin(request.headers.get("Referer", ""))
    return problem(
        "VIA_ORIGIN",
        sec_fetch_site=request.headers.get("Sec-Fetch-Site"),
        origin=origin,
        allowed_origins=config.trusted_origins(origin_of_api),
    )


def keep_cookies_from_other_sites(
    config: Config, request: Request, changes: ClientChanges, method: TransferMethod
) -> None:
    """Let no other site set, replace or clear cookies.

    A form on any page can be posted to us: it would sign the visitor out, or in as somebody else (login
    CSRF). To be called before the core is.

    :param changes: of this request; where tokens go by header, cookies are left out of them.
    :param method: how the tokens go.
    :raises UnauthorisedError: with ``cross_site``, where they go by cookie; it clears nothing.
    """
    if not _is_of_another_site(config, request):
        return
    if method == "header":
        changes.keeps_cookies = True
        return
    origin = request.headers.get("Origin")
    sent_from = "another site" if origin is None else f"{origin!r}, another site"
    message = (
        f"The request comes from {sent_from}, and would change the cookies of its client. If it is a website "
        "of yours, add it to STSESSION_WEBSITE_DOMAIN; if it is the form post of an identity provider, use "
        "create_new_session(..., allow_cross_site=True)."
    )
    logger.warning("%s %r is refused. %s", request.method, request.path, message)
    raise UnauthorisedError(message, reason=Reason.CROSS_SITE, clear_tokens=False)


def _is_of_another_site(config: Config, request: Request) -> bool:
    """Return whether a page of another site made the browser send this request.

    A page of our site that is not configured is logged.
    """
    origin_of_request = origin_of_api(request)
    trusted = {*config.trusted_origins(origin_of_request), str(origin_of(origin_of_request))}
    origin = request.headers.get("Origin")
    sender = sender_of(
        method=request.method,
        sec_fetch_site=request.headers.get("Sec-Fetch-Site"),
        sec_fetch_mode=request.headers.get("Sec-Fetch-Mode"),
        origin=origin,
        allowed_origins=trusted,
        is_same_site=lambda sent: _is_same_site(config, sent, trusted),
    )
    if sender is Sender.SAME_SITE:
        logger.warning(
            "%s %r comes from %r, which is of our site but not configured. If it is a website of yours, add "
            "it to STSESSION_WEBSITE_DOMAIN.",
            request.method,
            request.path,
            origin,
        )
    return sender is Sender.ANOTHER_SITE


def _is_same_site(config: Config, sent: str, trusted: Iterable[str]) -> bool:
    origin = origin_of(sent.strip())
    own = filter(None, map(origin_of, trusted))
    return origin is not None and any(config.sites.may_share_cookies(origin, each) for each in own)


def url_of(config: Config, request: Request) -> str | None:
    """Path and query of this request, as its client wrote them; ``None`` if that is no safe target."""
    target = _public_root(config, request) + quote(request.path, safe=_PATH_CHARACTERS)
    if request.query_string:
        target += "?" + quote(request.query_string, safe=_QUERY_CHARACTERS)
    return target if is_local_path(target) else None


def page_of(config: Config, request: Request, origin_of_api: str) -> str | None:
    """The page in front of the person, for a request that htmx sent from it."""
    headers = request.headers
    if request.method == "GET" and ("HX-Boosted" in headers or "HX-History-Restore-Request" in headers):
        return url_of(config, request)
    sent_from = headers.get("HX-Current-URL", "")
    if _origin(sent_from) != config.own_origin(origin_of_api):
        return None
    target = _path_and_query(sent_from)
    return target if is_local_path(target) else None


def comes_from_itself(config: Config, request: Request) -> bool:
    """Was this page asked for by itself, as far as the ``Referer`` tells?"""
    referrer = request.headers.get("Referer")
    return referrer is not None and _path_and_query(referrer) == url_of(config, request)


def may_have_been_here(request: Request) -> bool:
    """Has its ``Referer`` been cut down to the origin, as by our redirect back to the target of a form?

    Browsers apply a ``Referrer-Policy`` to the redirect that it comes with (Fetch standard, 4.4), so a form
    that is redirected in a circle shows it the second time. Some others do, too: pages of such a policy.
    """
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return False
    return bool(referrer.netloc) and referrer.path in ("", "/") and not referrer.query


def is_login_page(request: Request, login: str) -> bool:
    """Is this a request for the login page itself?

    :param login: its endpoint, or its path in this app, with or without a query.
    """
    return login == request.endpoint or login.partition("?")[0] == request.path


def login_url(config: Config, request: Request, login: str, *, then: str | None = None) -> str:
    """Where the login page is, for clients.

    :param login: its endpoint, or its path in this app.
    :param then: path and query to come back to.
    """
    path = login if login.startswith("/") else url_for(login).removeprefix(request.script_root)
    # ``url_for`` names the host where the endpoint has another one than this request.
    url = _public_root(config, request) + path if path.startswith("/") else path
    return url if then is None else f"{url}{'&' if '?' in url else '?'}{urlencode({'next': then})}"


def _path_and_query(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = quote(parts.path or "/", safe=_PATH_CHARACTERS + "%")
    return f"{path}?{quote(parts.query, safe=_QUERY_CHARACTERS)}" if parts.query else path


def _origin(url: str) -> str | None:
    """The origin of a URL with path and query, as browsers write it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    origin = origin_of(f"{parts.scheme}://{parts.netloc}")
    return None if origin is None else str(origin)


def _public_root(config: Config, request: Request) -> str:
    """What clients write before the paths of this app."""
    return config.mount_path(request.script_root.rstrip("/")).removesuffix(config.api_base_path)
