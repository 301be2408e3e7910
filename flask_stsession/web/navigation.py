"""Decide whether a request is for a page that a person will see, and which redirects are safe.

Decisions only; :mod:`flask_stsession.web.pages` responds by them. Sources: W3C Fetch Metadata for
``Sec-Fetch-*``, the Fetch standard for ``Sec-Purpose``, the references of htmx 2 (``HX-*``), Turbo 8
(``Turbo-Frame``, ``X-Turbo-Request-Id``, ``X-Sec-Purpose``) and Unpoly 3 (``X-Up-*``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from flask import request as current_request, url_for

from ..config.domains import normal_origin, origin_of
from ..constants import REFRESH_PATH
from ..errors import Reason, UnauthorisedError
from .context import origin_of_api, sent_site, this_app
from .csrf import Sender, problem, sender_of

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config
    from ..constants import TransferMethod
    from ..sessions.client_changes import ChangeRecord

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Our routes that renew the session of a navigation.
CONTINUE_ENDPOINT = "stsession.refresh_continue"
SCRIPT_ENDPOINT = "stsession.refresh_script"

_TURBO_STREAM = "text/vnd.turbo-stream.html"
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
#: RFC 3986, 3.3: what a path may hold unquoted.
_PATH_CHARACTERS = "/!$&'()*+,;=:@~"
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?%"

#: URLs of ours with a ``next`` are no longer than this. Gunicorn takes request lines of 4094 bytes, and nginx
#: reads response headers of 4 KB, new cookies among them.
LONGEST_URL = 2000


def next_url(default: str = "/") -> str:
    """Return the ``next`` of this request for a login view to redirect to, if it is safe.

    It is read from the form, else from the query. Only a path of this site passes: exactly one leading
    slash, not followed by a slash or a backslash (browsers read both as the start of another host), and no
    control characters (browsers drop them before they parse).

    :param default: returned where there is none, or none that is safe.
    """
    wanted = current_request.form.get("next") or current_request.args.get("next")
    return wanted if wanted is not None and is_local_path(wanted) else default


def is_local_path(target: str) -> bool:
    """Return whether a redirect to ``target`` stays on this site in every browser."""
    if not target.startswith("/") or target[1:2] in ("/", "\\"):
        return False
    return all(" " <= character != "\x7f" for character in target)


def is_navigation(request: Request) -> bool:
    """Return whether a person will see the response: a link followed, a form sent, an address typed.

    ``Sec-Fetch-Mode`` decides; no script can set it. Browsers omit it on plain http; then ``Accept`` decides,
    unless no link and no form can make such a request. What Turbo and Unpoly fetch is a navigation too: they
    follow redirects, and show the page in which those end. While an app is tested, a request without any
    ``Accept`` is one as well, but for a refresh: test clients send none.
    """
    if is_htmx(request):
        return False
    if is_page_fetch(request):
        return True
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode.strip().lower() == "navigate"
    if "X-Requested-With" in request.headers or request.mimetype not in _FORM_TYPES:
        return False
    if "Accept" not in request.headers:
        return this_app().testing and not request.path.endswith(REFRESH_PATH)
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def is_htmx(request: Request) -> bool:
    """Return whether htmx sent this request: it follows ``HX-Redirect``, and no other redirect of a page."""
    return request.headers.get("HX-Request", "").strip().lower() == "true"


def is_page_fetch(request: Request) -> bool:
    """Return whether Turbo or Unpoly fetches a page, which it shows in place of a navigation."""
    headers = request.headers
    return (
        "X-Turbo-Request-Id" in headers
        or "Turbo-Frame" in headers
        or _TURBO_STREAM in headers.get("Accept", "")
        or "X-Up-Version" in headers
    )


def is_for_part_of_page(request: Request) -> bool:
    """Return whether the response becomes a part of the page, so that it cannot become another page.

    A redirect to the login page shows nothing in a frame of Turbo, and is an error in a layer of Unpoly.
    """
    return "Turbo-Frame" in request.headers or "X-Up-Version" in request.headers


def is_download(request: Request) -> bool:
    """Return whether the browser saves the response (``<a download>``), and shows nothing of it."""
    headers = request.headers
    mode, destination = headers.get("Sec-Fetch-Mode", ""), headers.get("Sec-Fetch-Dest", "")
    return mode.strip().lower() == "navigate" and destination.strip().lower() == "empty"


def is_kept_by_same_site_strict(request: Request) -> bool:
    """Return whether ``SameSite=Strict`` keeps our cookies back: another site led a person here.

    A link in a web mail does. The page that it opens is of our site, and so is what that page asks for.
    """
    headers = request.headers
    return request.method == "GET" and headers.get("Sec-Fetch-Site", "").strip().lower() == "cross-site"


def is_ahead_of_time(request: Request) -> bool:
    """Return whether the page is prefetched, before anybody asked for it: it should change nothing."""
    names = ("Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Moz")
    purposes = (request.headers.get(name, "") for name in names)
    return any("prefetch" in purpose.lower() for purpose in purposes)


def origin_problem(config: Config, request: Request, origin_of_api: str) -> tuple[Reason, str] | None:
    """Return why this request may not come from a page of ours, or ``None``.

    The rules are those of ``VIA_ORIGIN``, but a GET without ``Sec-Fetch-Site`` and ``Origin`` (a link on
    plain http has neither) may show its ``Referer`` instead.
    """
    origin = request.headers.get("Origin")
    if origin is None and request.method == "GET":
        origin = _origin(request.headers.get("Referer", ""))
    return problem(
        "VIA_ORIGIN",
        sec_fetch_site=sent_site(request, origin),
        origin=origin,
        allowed_origins=config.trusted_origins(origin_of_api),
    )


def keep_cookies_from_other_sites(
    config: Config, request: Request, record: ChangeRecord, method: TransferMethod
) -> bool:
    """Let no other site set, replace or clear cookies.

    A form on any page can be posted to us: it would sign the visitor out, or in as somebody else (login
    CSRF). To be called before the core is.

    :param record: of this request; where tokens go by header, cookies are left out of its changes.
    :param method: how the tokens go.
    :returns: whether another site had the request sent.
    :raises UnauthorisedError: with ``cross_site``, where they go by cookie; it clears nothing.
    """
    if not is_of_another_site(config, request):
        return False
    if method == "header":
        record.changes.keeps_cookies = True
        return True
    origin = request.headers.get("Origin")
    sent_from = "another site" if origin is None else f"{origin!r}, another site"
    message = (
        f"The request comes from {sent_from}, and would change the cookies of its client. If it is a website "
        "of yours, add it to STSESSION_WEBSITE_DOMAIN; if it is the form post of an identity provider, use "
        "create_new_session(..., allow_cross_site=True)."
    )
    logger.warning("%s %r is refused. %s", request.method, request.path, message)
    raise UnauthorisedError(message, reason=Reason.CROSS_SITE, clear_tokens=False)


def is_of_another_site(config: Config, request: Request) -> bool:
    """Return whether a page of another site made the browser send this request.

    A page of our site that is not configured is logged.
    """
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin is None and site is None:  # a client that is no browser, or that says nothing
        return False
    origin_of_request = origin_of_api(request)
    trusted = {*config.trusted_origins(origin_of_request), normal_origin(origin_of_request)}
    sender = sender_of(
        method=request.method,
        sec_fetch_site=site,
        sec_fetch_mode=request.headers.get("Sec-Fetch-Mode"),
        origin=origin,
        allowed_origins=trusted,
        is_same_site=partial(is_same_site, config, trusted=trusted),
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


def is_same_site(config: Config, sent: str, trusted: Iterable[str]) -> bool:
    """Return whether an ``Origin`` is certainly of one site with one of ours.

    :param sent: the header.
    :param trusted: origins of ours.
    """
    origin = origin_of(sent.strip())
    own = filter(None, map(origin_of, trusted))
    return origin is not None and any(config.sites.may_share_cookies(origin, each) for each in own)


def url_of(config: Config, request: Request) -> str | None:
    """Return path and query of this request as its client wrote them; ``None`` if that is no safe target."""
    target = _public_root(config, request) + quote(request.path, safe=_PATH_CHARACTERS)
    if request.query_string:
        target += "?" + quote(request.query_string, safe=_QUERY_CHARACTERS)
    return target if is_local_path(target) else None


def is_page(config: Config, request: Request, target: str) -> bool:
    """Return whether a view responds to a GET of this path.

    :param target: path and query as clients write them.
    """
    path = unquote(target.partition("?")[0]).removeprefix(_public_root(config, request))
    adapter = this_app().create_url_adapter(request)
    return adapter is not None and adapter.test(path, "GET")


def page_of(config: Config, request: Request, origin_of_api: str) -> str | None:
    """Return the page from which htmx sent this request; what is asked for, where that becomes the page."""
    headers = request.headers
    if request.method == "GET" and ("HX-Boosted" in headers or "HX-History-Restore-Request" in headers):
        return url_of(config, request)
    return _own_path(config, headers.get("HX-Current-URL", ""), origin_of_api)


def referring_page(config: Config, request: Request, origin_of_api: str) -> str | None:
    """Return the page of this site that the ``Referer`` names."""
    return _own_path(config, request.headers.get("Referer", ""), origin_of_api)


def _own_path(config: Config, url: str, origin_of_api: str) -> str | None:
    if _origin(url) != config.own_origin(origin_of_api):
        return None
    target = _path_and_query(url)
    return target if is_local_path(target) else None


def comes_from_itself(config: Config, request: Request) -> bool:
    """Return whether this page asked for itself, as far as the ``Referer`` says."""
    referrer = request.headers.get("Referer")
    return referrer is not None and _path_and_query(referrer) == url_of(config, request)


def may_have_been_here(request: Request) -> bool:
    """Return whether the ``Referer`` is cut down to the origin, as by our redirect back to a form's target.

    Browsers apply a ``Referrer-Policy`` to the redirect that it comes with (Fetch standard, 4.4), so a form
    that is redirected in a circle shows it the second time. So do forms on pages with such a policy.
    """
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return False
    return bool(referrer.netloc) and referrer.path in ("", "/") and not referrer.query


def is_login_page(request: Request, login: str) -> bool:
    """Return whether this request is for the login page itself.

    :param login: its endpoint, or its path in this app, with or without a query.
    """
    return login == request.endpoint or login.partition("?")[0] == request.path


def login_url(config: Config, request: Request, login: str, *, then: str | None = None) -> str:
    """Return the URL of the login page, as clients write it.

    :param login: its endpoint, or its path in this app.
    :param then: path and query to come back to. The query is left out where the URL would be too long for
        servers and proxies, and so is the path.
    """
    path = login if login.startswith("/") else url_for(login).removeprefix(request.script_root)
    # ``url_for`` names the host where the endpoint has another one than this request.
    url = _public_root(config, request) + path if path.startswith("/") else path
    for target in (then, (then or "").partition("?")[0]):
        whole = f"{url}{'&' if '?' in url else '?'}{urlencode({'next': target})}"
        if target and len(whole) <= LONGEST_URL:
            return whole
    return url


def _path_and_query(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = quote(parts.path or "/", safe=_PATH_CHARACTERS + "%")
    return f"{path}?{quote(parts.query, safe=_QUERY_CHARACTERS)}" if parts.query else path


def _origin(url: str) -> str | None:
    """Return the origin of a URL with path and query, as browsers write it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    origin = origin_of(f"{parts.scheme}://{parts.netloc}")
    return None if origin is None else str(origin)


def _public_root(config: Config, request: Request) -> str:
    """Return what clients write before the paths of this app."""
    return config.mount_path(request.script_root.rstrip("/")).removesuffix(config.api_base_path)
