"""Server-rendered pages: respond to verdicts on navigations of browsers (``STSESSION_LOGIN_URL``).

No SDK can refresh the session of a navigation. A navigation with an expired access token is carried through
the refresh and back to its target (:mod:`flask_stsession.web.carrying`); one without a session is redirected
to the login page. All other clients (``fetch``, SDKs, command lines) get the JSON of the Frontend Driver
Interface.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from flask import current_app, redirect
from werkzeug import exceptions as http

from ..errors import InvalidClaimsError, Reason, TryRefreshTokenError
from . import refresh_page
from .carrying import Refused, uncached
from .context import current_app_state, origin_of_api, this_request
from .navigation import (
    is_ahead_of_time,
    is_for_part_of_page,
    is_htmx,
    is_kept_by_same_site_strict,
    is_navigation,
    is_page_fetch,
    login_url,
    page_of,
    path_in,
    referring_page,
)
from .verdict_record import WITHOUT_SESSION
from .verify import record_verdict

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.wrappers import Response as BaseResponse

    from ..errors import SessionHTTPError
    from .base import AppState

#: A refresh does not help against these.
_FORGERIES = frozenset({Reason.CSRF_MISSING, Reason.CSRF_MISMATCH})

#: The cookie, after the cookies' prefix, that remembers which page has redirected because of an old login.
_OLD_LOGIN_COOKIE = "sOldLogin"
#: If the same page redirects again within this time, the login page has not asked for a new login.
_OLD_LOGIN_SECONDS = 10


def handle_verdict(error: SessionHTTPError) -> BaseResponse:
    """Record a verdict and return the response to it: our only error handler."""
    app_state = current_app_state()
    record_verdict(app_state, error)
    redirect_to_session = redirect_for(app_state, error)
    if redirect_to_session is not None:
        return redirect_to_session
    shows_page = _shows_page(this_request()) and app_state.extension.get_login_url() is not None
    return _error_page(error) if shows_page else error.get_response()


def redirect_for(app_state: AppState, error: SessionHTTPError) -> BaseResponse | None:
    """Return the redirect by which a browser gets a session; ``None``: respond with the verdict itself."""
    needs_login = isinstance(error, InvalidClaimsError) and error.reason is Reason.AUTH_TOO_OLD
    if not (needs_login or isinstance(error, WITHOUT_SESSION)):
        return None
    login = app_state.extension.get_login_url()
    request = this_request()
    if login is None or error.reason is Reason.CROSS_SITE:
        return None
    if isinstance(error, TryRefreshTokenError) and error.reason in _FORGERIES:
        return None
    refused = Refused(app_state, request, login, error)
    if is_htmx(request):
        return _sent_by_htmx(refused)
    return _sent_by_browser(refused) if _shows_page(request) else None


def signed_out(app_state: AppState) -> BaseResponse | None:
    """Return the redirect to the login page after a form has signed out.

    :returns: ``None`` if the request is no navigation, or the app has no login page.
    """
    request = this_request()
    login = app_state.extension.get_login_url()
    if login is None or not is_navigation(request):
        return None
    return redirect(login_url(app_state.config, request, login), 303)


def _shows_page(request: Request) -> bool:
    can_be_sent = request.method in ("GET", "HEAD", "POST") and not is_ahead_of_time(request)
    return can_be_sent and is_navigation(request)


def _sent_by_htmx(refused: Refused) -> BaseResponse | None:
    """Return the verdict's JSON with ``HX-Redirect``: htmx 1 and 2 follow it unless the status is 3xx."""
    page = page_of(refused.app_state.config, refused.request, origin_of_api(refused.request))
    if isinstance(refused.error, TryRefreshTokenError) and refused.can_be_carried:
        target = refused.url_onwards(page or "/")
    else:
        target = refused.login_url(page)
        if _is_same_page(page, target):
            return None  # the login page itself sent the request
    response = uncached(refused.error.get_response())
    response.headers["HX-Redirect"] = target
    return response


def _sent_by_browser(refused: Refused) -> BaseResponse | None:
    problem = refused.origin_problem
    if refused.is_form and problem is not None and problem[0] is Reason.CSRF_MISMATCH:
        return None  # another site's form
    if isinstance(refused.error, TryRefreshTokenError) and refused.can_be_carried:
        try:
            return refused.carried()
        except http.RequestEntityTooLarge as too_large:
            return _shown(too_large)
    if refused.is_on_login_page:
        return None
    if refused.error.reason is Reason.NO_TOKEN and _may_hide_cookies(refused):
        return refused.asking_again_page()
    return _to_login(refused)


def _to_login(refused: Refused) -> BaseResponse | None:
    request = refused.request
    if not is_for_part_of_page(request):
        target = refused.login_url(refused.page)
        response = uncached(redirect(target, 303 if refused.is_form else 302))
    else:
        page = referring_page(refused.app_state.config, request, origin_of_api(request))
        is_page_itself = not refused.is_form and "Turbo-Frame" not in request.headers
        target = refused.login_url(refused.page if is_page_itself or page is None else page)
        if _is_same_page(page, target):
            return None  # the part belongs to the login page
        response = refresh_page.leaving_page(status=refused.error.code, url=target)
    if refused.error.reason is Reason.AUTH_TOO_OLD:
        return _once_within_seconds(refused, response, target)
    return response


def _once_within_seconds(refused: Refused, response: BaseResponse, target: str) -> BaseResponse | None:
    """Return the redirect for a login that is too old, unless the last one has just failed.

    A login page that redirects signed-in users would otherwise cause a redirect loop.

    :returns: ``None`` if the same page redirected within the last seconds.
    """
    config = refused.app_state.config
    name = config.cookie_prefix + _OLD_LOGIN_COOKIE
    mark = hashlib.sha256(target.encode()).hexdigest()[:16]
    if refused.request.cookies.get(name) == mark:
        return None
    same_site, secure, _ = config.decisions(origin_of_api(refused.request))
    response.set_cookie(
        name,
        mark,
        max_age=_OLD_LOGIN_SECONDS,
        secure=secure,
        httponly=True,
        # Browsers do not send Strict cookies when another site has led here.
        samesite="None" if same_site == "none" else "Lax",
        partitioned=config.cookie_partitioned,
    )
    return response


def _is_same_page(page: str | None, target: str) -> bool:
    return page is not None and path_in(page).rstrip("/") == path_in(target).rstrip("/")


def _may_hide_cookies(refused: Refused) -> bool:
    request = refused.request
    same_site = refused.app_state.config.decisions(origin_of_api(request)).same_site
    return same_site == "strict" and is_kept_by_same_site_strict(request) and not is_page_fetch(request)


def _error_page(error: SessionHTTPError) -> BaseResponse:
    """Return the app's error page for this status, or Flask's own."""
    code = error.code or 500
    plain = http.default_exceptions.get(code, http.HTTPException)()
    plain.code = code
    response = _shown(plain)
    retry_after = error.get_response().headers.get("Retry-After")
    if retry_after is not None:
        response.headers.setdefault("Retry-After", retry_after)
    return response


def _shown(error: http.HTTPException) -> BaseResponse:
    shown: Any = current_app.handle_http_exception(error)
    return current_app.make_response(shown)
