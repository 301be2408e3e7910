"""Decide whether a request is for a page that a person will see, and which redirects are safe.

:mod:`flask_stsession.web.pages` makes the responses. Sources: W3C Fetch Metadata for
``Sec-Fetch-*``, the Fetch standard for ``Sec-Purpose``, the references of htmx 2 (``HX-*``), Turbo 8
(``Turbo-Frame``, ``X-Turbo-Request-Id``, ``X-Sec-Purpose``) and Unpoly 3 (``X-Up-*``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from flask import request as current_request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BuildError, RequestRedirect

from ..config.domains import origin_of
from ..constants import REFRESH_PATH
from ..errors import ConfigError, Reason, UnauthorisedError
from .context import origin_of_api, this_app
from .csrf import sender_of, via_origin_problem

if TYPE_CHECKING:
    from flask import Flask, Request

    from ..config.config import Config
    from ..constants import TransferMethod
    from ..sessions.client_changes import ChangeRecord

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Our routes that renew the session of a navigation.
CONTINUE_ENDPOINT = "stsession.refresh_continue"
SCRIPT_ENDPOINT = "stsession.refresh_script"

_TURBO_STREAM = "text/vnd.turbo-stream.html"
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
#: RFC 3986, 3.3: the characters that a path may contain unquoted.
_PATH_CHARACTERS = "/!$&'()*+,;=:@~"
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?%"

#: The maximum length of our URLs with a ``next``. Gunicorn accepts request lines of 4094 bytes, and nginx
#: reads response headers of 4 KB, which include new cookies.
LONGEST_URL = 2000


def next_url(default: str = "/") -> str:
    """Return the ``next`` of this request; see :func:`flask_stsession.next_url`."""
    wanted = current_request.form.get("next") or current_request.args.get("next")
    return wanted if wanted is not None and is_local_path(wanted) else default


def is_local_path(target: str) -> bool:
    """Return whether a redirect to ``target`` stays on this site in every browser."""
    if not target.startswith("/") or target[1:2] in ("/", "\\"):
        return False
    return all(" " <= character != "\x7f" for character in target)


def is_navigation(request: Request) -> bool:
    """Return whether a person will see the response: after following a link, sending a form, typing a URL.

    ``Sec-Fetch-Mode`` decides; no script can set it. Browsers omit it on plain http; then ``Accept`` decides,
    unless no link and no form can make such a request. Requests of Turbo and Unpoly are navigations too:
    they follow redirects and show the final page. While an app is tested, a request without ``Accept`` is
    one as well, because test clients send none; a refresh or a request with ``Authorization`` is not.
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
        is_script = "Authorization" in request.headers or request.path.endswith(REFRESH_PATH)
        return this_app().testing and not is_script
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def is_htmx(request: Request) -> bool:
    """Return whether htmx sent this request: only ``HX-Redirect`` makes it load another page."""
    return request.headers.get("HX-Request", "").strip().lower() == "true"


def is_page_fetch(request: Request) -> bool:
    """Return whether Turbo or Unpoly fetches a page in place of a navigation."""
    headers = request.headers
    return (
        "X-Turbo-Request-Id" in headers
        or "Turbo-Frame" in headers
        or _TURBO_STREAM in headers.get("Accept", "")
        or "X-Up-Version" in headers
    )


def is_for_part_of_page(request: Request) -> bool:
    """Return whether the response becomes a part of the page, and so cannot redirect to another page.

    The login page shows nothing in a frame of Turbo, and is an error in a layer of Unpoly.
    """
    return "Turbo-Frame" in request.headers or "X-Up-Version" in request.headers


def is_download(request: Request) -> bool:
    """Return whether the browser saves the response (``<a download>``) instead of showing it."""
    headers = request.headers
    mode, destination = headers.get("Sec-Fetch-Mode", ""), headers.get("Sec-Fetch-Dest", "")
    return mode.strip().lower() == "navigate" and destination.strip().lower() == "empty"


def is_kept_by_same_site_strict(request: Request) -> bool:
    """Return whether the browser withholds ``SameSite=Strict`` cookies because another site led here.

    A link in webmail, for example, leads here from another site. The page that it opens is of our site: its
    own requests carry the cookies.
    """
    headers = request.headers
    return request.method == "GET" and headers.get("Sec-Fetch-Site", "").strip().lower() == "cross-site"


def is_ahead_of_time(request: Request) -> bool:
    """Return whether the browser prefetches the page, which should then change nothing."""
    names = ("Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Moz")
    purposes = (request.headers.get(name, "") for name in names)
    return any("prefetch" in purpose.lower() for purpose in purposes)


def origin_problem(config: Config, request: Request, origin_of_api: str) -> tuple[Reason, str] | None:
    """Return why it is not certain that one of our pages sent this request, or ``None``.

    The rules are those of ``VIA_ORIGIN``, except that the ``Referer`` replaces a missing ``Origin`` of a
    GET: a link on plain http has neither ``Sec-Fetch-Site`` nor ``Origin``.
    """
    origin = request.headers.get("Origin")
    if origin is None and request.method == "GET":
        origin = _origin(request.headers.get("Referer", ""))
    site, allowed = request.headers.get("Sec-Fetch-Site"), config.trusted_origins(origin_of_api)
    return via_origin_problem(site, origin, allowed, is_tested=this_app().testing)


def keep_cookies_from_other_sites(
    config: Config, request: Request, record: ChangeRecord, method: TransferMethod
) -> bool:
    """Keep other sites from setting, replacing or clearing cookies.

    A form on any page can be posted to us: it would sign the visitor out, or in as another user (login
    CSRF). Call this before any request to the core.

    :param record: of this request; if headers carry the tokens, its changes leave cookies alone.
    :param method: the transfer method of the tokens.
    :returns: whether another site caused the request.
    :raises UnauthorisedError: another site did, and cookies carry the tokens (``cross_site``). It clears
        nothing.
    """
    if "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers:
        return False  # no browser, or one that says nothing
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

    Logs a warning if the page is of our site but its origin is not configured.
    """
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    trusted = config.accepted_origins(origin_of_api(request))
    sender = sender_of(
        method=request.method,
        sec_fetch_site=site,
        sec_fetch_mode=request.headers.get("Sec-Fetch-Mode"),
        origin=origin,
        allowed_origins=trusted,
        is_same_site=partial(is_same_site, config, trusted=trusted),
    )
    if sender == "same site":
        logger.warning(
            "%s %r comes from %r, an origin of our site that is not configured. If it is a website of yours, "
            "add it to STSESSION_WEBSITE_DOMAIN.",
            request.method,
            request.path,
            origin,
        )
    return sender == "another site"


def is_same_site(config: Config, sent: str, trusted: Iterable[str]) -> bool:
    """Return whether an ``Origin`` is certainly same-site with one of ours.

    :param sent: the header.
    :param trusted: our origins.
    """
    origin = origin_of(sent.strip())
    own = filter(None, map(origin_of, trusted))
    return origin is not None and any(config.sites.may_share_cookies(origin, each) for each in own)


def url_of(config: Config, request: Request) -> str | None:
    """Return path and query of this request as the client sent them; ``None`` if they are no safe target."""
    target = config.root_path(request.script_root) + quote(request.path, safe=_PATH_CHARACTERS)
    if request.query_string:
        target += "?" + quote(request.query_string, safe=_QUERY_CHARACTERS)
    return target if is_local_path(target) else None


def is_page(config: Config, request: Request, target: str) -> bool:
    """Return whether a view responds to a GET of this path.

    :param target: path and query as clients write them.
    """
    path = path_in(target).removeprefix(config.root_path(request.script_root))
    adapter = this_app().create_url_adapter(request)
    return adapter is not None and adapter.test(path, "GET")


def page_of(config: Config, request: Request, origin_of_api: str) -> str | None:
    """Return the page that htmx sent this request from, or that the response will become."""
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
    """Return whether this page requested itself, as far as the ``Referer`` says."""
    referrer = request.headers.get("Referer")
    return referrer is not None and _path_and_query(referrer) == url_of(config, request)


def may_have_been_here(request: Request) -> bool:
    """Return whether the ``Referer`` is only an origin, as after our redirect back to a form's target.

    Browsers apply the ``Referrer-Policy`` of a redirect to the redirected request (Fetch standard, 4.4), so
    a form in a redirect loop has such a ``Referer`` the second time. So do forms on pages with such a policy.
    """
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return False
    return bool(referrer.netloc) and referrer.path in ("", "/") and not referrer.query


def is_login_page(request: Request, login: str) -> bool:
    """Return whether this request is for the URL of the login page itself.

    :param login: its endpoint, or its path in this app, with or without a query.
    """
    if not login.startswith("/"):
        # The form of the page may be posted to another endpoint with the same URL.
        return login == request.endpoint or (request.method != "GET" and _has_url_of(request, login))
    path = path_in(login)
    return path == request.path or (f"{path}/" == request.path and _is_redirected(request, path))


def _has_url_of(request: Request, endpoint: str) -> bool:
    """Return whether a request is for the URL of an endpoint, the one that redirects lead to."""
    own, url_map = request.url_rule, this_app().url_map
    with suppress(BuildError, KeyError):  # no such endpoint
        if own is not None and any(each.rule == own.rule for each in url_map.iter_rules(endpoint)):
            return path_in(url_for(endpoint).removeprefix(request.script_root)) == request.path
    return False


def _is_redirected(request: Request, path: str) -> bool:
    """Return whether the app redirects a GET of this path, which lacks the slash at its end, to this URL."""
    adapter = this_app().create_url_adapter(request)
    try:
        if adapter is not None:
            adapter.match(path, "GET")
    except HTTPException as redirect:
        return isinstance(redirect, RequestRedirect) and path_in(redirect.new_url).endswith(request.path)
    return False


def path_in(url: str) -> str:
    """Return the path of a URL without scheme and host, decoded as ``request.path`` is."""
    path = url.partition("#")[0].partition("?")[0]
    return unquote(path) if "%" in path else path


def login_url(config: Config, request: Request, login: str, *, then: str | None = None) -> str:
    """Return the URL of the login page, as clients see it.

    :param login: its endpoint, or its path in this app.
    :param then: path and query to come back to. If the URL would be too long for servers and proxies, the
        query is left out; if that is not enough, the path too.
    """
    if login.startswith("/"):
        path = quote(login, safe=_QUERY_CHARACTERS + "#")
    else:
        try:
            path = url_for(login).removeprefix(request.script_root)
        except BuildError as error:
            raise ConfigError(endpoint_problem(this_app(), login) or no_such_login_page(login)) from error
    # ``url_for`` returns a full URL if the endpoint is on another host than this request.
    url = config.root_path(request.script_root) + path if path.startswith("/") else path
    page, hash_, fragment = url.partition("#")
    for target in (then, (then or "").partition("?")[0]):
        query = f"{'&' if '?' in page else '?'}{urlencode({'next': target})}"
        whole = page + query + hash_ + fragment
        if target and len(whole) <= LONGEST_URL:
            return whole
    return url


def endpoint_problem(app: Flask, login: str) -> str | None:
    """Return why the URL of a login page cannot be built, with the remedy; ``None`` if it can.

    :param login: its endpoint. Functions for ``url_defaults`` may supply its arguments.
    """
    if login not in app.view_functions:
        return no_such_login_page(login)
    rules = (rule for rule in app.url_map.iter_rules() if rule.endpoint == login)
    needed = min((rule.arguments - (rule.defaults or {}).keys() for rule in rules), key=len, default=None)
    if not needed:
        return None
    names = " and ".join(map(repr, sorted(needed)))
    return (
        f"STSESSION_LOGIN_URL = {login!r} is an endpoint whose URL needs {names}, so browsers without a "
        "session cannot be sent there. Set a value in a function for @app.url_defaults, or override "
        "get_login_url() to return the path."
    )


def no_such_login_page(login: str) -> str:
    """Return the message for a login page that the app does not have, with the remedy."""
    return (
        f"STSESSION_LOGIN_URL = {login!r} is neither an endpoint nor a path of this app, so browsers without "
        "a session cannot be sent there. Write the endpoint of the login view, or its path."
    )


def _path_and_query(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = quote(parts.path or "/", safe=_PATH_CHARACTERS + "%")
    return f"{path}?{quote(parts.query, safe=_QUERY_CHARACTERS)}" if parts.query else path


def _origin(url: str) -> str | None:
    """Return the origin of a URL, as browsers write it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    origin = origin_of(f"{parts.scheme}://{parts.netloc}")
    return None if origin is None else str(origin)
