"""Server-rendered pages: respond to verdicts as browsers that navigate need it (``STSESSION_LOGIN_URL``).

No SDK can refresh the session of a navigation. One with an expired access token is carried through the
refresh and back to its target: a GET by a small page with one static script; a form, a download and what
Turbo or Unpoly fetches by two redirects that keep method and body. One without a session is redirected to the
login page. All other clients (``fetch``, SDKs, command lines) get the JSON of the Frontend Driver Interface.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, current_app, redirect
from werkzeug import exceptions as http
from werkzeug.urls import iri_to_uri

from ..errors import (
    ClearDuplicateSessionCookiesError,
    InvalidClaimsError,
    Reason,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from . import refresh_page
from .context import current_app_state, origin_of_api, request_state, this_request
from .csrf import warn_of_hidden_origin
from .navigation import (
    CONTINUE_ENDPOINT,
    LONGEST_URL,
    SCRIPT_ENDPOINT,
    comes_from_itself,
    is_ahead_of_time,
    is_download,
    is_for_part_of_page,
    is_htmx,
    is_kept_by_same_site_strict,
    is_local_path,
    is_login_page,
    is_navigation,
    is_page_fetch,
    login_url,
    may_have_been_here,
    origin_problem,
    page_of,
    referring_page,
    url_of,
)
from .request_body import read_body
from .transport import read_tokens
from .verify import holds_good_token, record_verdict

if TYPE_CHECKING:
    from flask import Blueprint, Request
    from werkzeug.wrappers import Response as BaseResponse

    from ..errors import SessionHTTPError
    from .base import AppState

#: Below the refresh path, so that browsers send the refresh cookie along.
CONTINUE = "/session/refresh/continue"
#: Beside it, so that they do not.
SCRIPT = "/session/refresh.js"
_SCRIPT_SECONDS = 365 * 24 * 3600

#: Refreshing does not help against these.
_FORGERIES = frozenset({Reason.CSRF_MISSING, Reason.CSRF_MISMATCH})

#: Appended to the cookies' prefix: says which page led to the login page last, because the login was too old.
_OLD_LOGIN_COOKIE = "sOldLogin"
#: The same page within this time has not led to a new login.
_OLD_LOGIN_SECONDS = 10


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes by which navigations are carried through a refresh."""
    ours = f"{blueprint.name}."
    renew, script = CONTINUE_ENDPOINT.removeprefix(ours), SCRIPT_ENDPOINT.removeprefix(ours)
    blueprint.add_url_rule(CONTINUE, renew, continue_after_refresh, methods=["GET", "POST"])
    blueprint.add_url_rule(SCRIPT, script, refresh_script)


def handle_verdict(error: SessionHTTPError) -> BaseResponse:
    """Record a verdict and return the response to it: the one error handler of ours."""
    app_state = current_app_state()
    record_verdict(app_state, error)
    redirect_to_session = redirect_for(app_state, error)
    if redirect_to_session is not None:
        return redirect_to_session
    shows_page = _shows_page(this_request()) and app_state.extension.get_login_url() is not None
    return _error_page(error) if shows_page else error.get_response()


def redirect_for(app_state: AppState, error: SessionHTTPError) -> BaseResponse | None:
    """Return the redirect to a session for a browser, or ``None`` where it gets the verdict itself."""
    needs_login = isinstance(error, InvalidClaimsError) and error.reason is Reason.AUTH_TOO_OLD
    if not (needs_login or isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError)):
        return None
    login = app_state.extension.get_login_url()
    request = this_request()
    if login is None or error.reason is Reason.CROSS_SITE:
        return None
    if is_htmx(request):
        return _sent_by_htmx(app_state, request, login, error)
    return _sent_by_browser(app_state, request, login, error) if _shows_page(request) else None


def signed_out(app_state: AppState) -> BaseResponse | None:
    """Return the redirect to the login page for a form that has signed out; ``None`` if it was not a form."""
    request = this_request()
    login = app_state.extension.get_login_url()
    if login is None or not is_navigation(request):
        return None
    return redirect(login_url(app_state.config, request, login), 303)


def refresh_script() -> Response:
    """``GET {base}/session/refresh.js``: return the script of the page; its URL changes when it does."""
    response = Response(refresh_page.script(), mimetype="text/javascript")
    response.cache_control.public = True
    response.cache_control.max_age = _SCRIPT_SECONDS
    response.set_etag(refresh_page.script_version())
    response.make_conditional(this_request())
    return response


def continue_after_refresh() -> BaseResponse:
    """``{base}/session/refresh/continue?next=…``: refresh, and go back to the target of the navigation.

    Without ``next`` (the URL would be too long) the page that the ``Referer`` names is the target. A token
    that is good already, because another tab has refreshed, is left as it is, unless ``force`` says that the
    core refuses it. POST without a navigation, from the script of the page: 204. A form that seems to come
    back takes one more turn here (``kept``), which shows whether the browser keeps what the refresh sets.

    :raises SessionHTTPError: nothing proves that one of our pages asked, or the refresh failed.
    :raises RequestEntityTooLarge: the form is larger than ``MAX_CONTENT_LENGTH``.
    """
    app_state = current_app_state()
    request = this_request()
    if request.method == "HEAD" or is_ahead_of_time(request):
        return Response(status=204, headers={"Cache-Control": "no-store"})
    problem = origin_problem(app_state.config, request, origin_of_api(request))
    if problem is not None:
        reason, message = problem
        warn_of_hidden_origin("VIA_ORIGIN", request.headers.get("Origin"), message)
        raise TryRefreshTokenError(message, reason=reason)
    request_state(request).origin_checked = True
    read_body(request)
    navigates = is_navigation(request)
    if "kept" in request.args:
        if not holds_good_token(app_state):
            raise UnauthorisedError(
                "The browser does not keep the cookies of the refresh.",
                reason=Reason.EXPIRED,
                clear_tokens=False,
            )
    elif "force" in request.args or not holds_good_token(app_state):
        try:
            app_state.extension.refresh_session()
        except ClearDuplicateSessionCookiesError:
            if not navigates:
                raise
            # Stray cookies go with this response; the view sends us the navigation again.
    if not navigates:
        return Response(status=204, headers={"Cache-Control": "no-store"})
    return _back_to_target(app_state, request)


def _back_to_target(app_state: AppState, request: Request) -> BaseResponse:
    target = iri_to_uri(_next_of(app_state, request) or "/")
    if not _is_carried_by_redirects(request):
        return _uncached(redirect(target, 303))
    if may_have_been_here(request) and "kept" not in request.args:
        return _uncached(redirect(_continue_url(app_state, request, target, "kept"), 307))
    back = _uncached(redirect(target, 307))
    back.headers["Referrer-Policy"] = "origin"  # identifies the form if it comes again
    return back


def _shows_page(request: Request) -> bool:
    can_be_sent = request.method in ("GET", "HEAD", "POST") and not is_ahead_of_time(request)
    return can_be_sent and is_navigation(request)


def _is_carried_by_redirects(request: Request) -> bool:
    """Return whether the client follows redirects, but cannot show a page on the way."""
    return request.method == "POST" or is_page_fetch(request) or is_download(request)


def _sent_by_htmx(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError
) -> BaseResponse | None:
    """Return an API's JSON with ``HX-Redirect``: htmx 1 and 2 follow it whatever the status, but for 3xx."""
    page = page_of(app_state.config, request, origin_of_api(request))
    if isinstance(error, TryRefreshTokenError) and error.reason in _FORGERIES:
        return None
    if isinstance(error, TryRefreshTokenError) and _can_carry(app_state, request):
        target = _onwards(app_state, request, page or "/")
    else:
        target = login_url(app_state.config, request, login, then=page)
        if page is not None and page.partition("?")[0] == target.partition("?")[0]:
            return None  # the login page itself may use htmx
    response = _uncached(error.get_response())
    response.headers["HX-Redirect"] = target
    return response


def _sent_by_browser(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError
) -> BaseResponse | None:
    problem = origin_problem(app_state.config, request, origin_of_api(request))
    is_form = request.method == "POST"
    if is_form and problem is not None and problem[0] is Reason.CSRF_MISMATCH:
        return None  # another site's form
    here = _origin_of_navigation(app_state, request)
    if isinstance(error, TryRefreshTokenError):
        if error.reason in _FORGERIES:
            return None
        if _can_carry(app_state, request):
            return _carried(app_state, request, login, error, here, problem)
    if is_login_page(request, login):
        return None
    if error.reason is Reason.NO_TOKEN and _may_hide_cookies(app_state, request):
        return _asking_again(app_state, request, login, error, here)
    return _to_login(app_state, request, login, error, here)


def _carried(
    app_state: AppState,
    request: Request,
    login: str,
    error: SessionHTTPError,
    here: str | None,
    problem: tuple[Reason, str] | None,
) -> BaseResponse | None:
    if not _is_carried_by_redirects(request):
        return _page(app_state, request, login, error, here)
    if problem is not None:
        warn_of_hidden_origin("VIA_ORIGIN", request.headers.get("Origin"), problem[1])
        return None
    # 307 keeps method and body (RFC 9110, 15.4.8). Our sign-out is a form's target too.
    target = here or url_of(app_state.config, request) or "/"
    onwards = _onwards(app_state, request, target)
    if target != "/" and "next=" not in onwards:
        # The page is loaded anew by what loaded it: a form is posted again.
        return _page(app_state, request, login, error, here)
    try:
        read_body(request)
    except http.RequestEntityTooLarge as too_large:
        return _shown(too_large)
    return _uncached(redirect(onwards, 307))


def _to_login(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError, here: str | None
) -> BaseResponse | None:
    is_part = is_for_part_of_page(request)
    page = referring_page(app_state.config, request, origin_of_api(request))
    if is_part and page is not None and (request.method == "POST" or "Turbo-Frame" in request.headers):
        here = page
    target = login_url(app_state.config, request, login, then=here)
    if is_part:
        if page is not None and page.partition("?")[0] == target.partition("?")[0]:
            return None  # the login page has such parts itself
        response = refresh_page.leaving_page(status=error.code, url=target)
    else:
        response = _uncached(redirect(target, 303 if request.method == "POST" else 302))
    if error.reason is Reason.AUTH_TOO_OLD:
        return _once_within_seconds(app_state, request, response, target)
    return response


def _once_within_seconds(
    app_state: AppState, request: Request, response: BaseResponse, target: str
) -> BaseResponse | None:
    """Let a login that is too old lead to the login page, unless it has just done so in vain.

    A login page that redirects whoever is signed in would make a circle of it.

    :returns: ``None`` where it has.
    """
    config = app_state.config
    name = config.cookie_prefix + _OLD_LOGIN_COOKIE
    mark = hashlib.sha256(target.encode()).hexdigest()[:16]
    if request.cookies.get(name) == mark:
        return None
    same_site, secure, _ = config.decisions(origin_of_api(request))
    response.set_cookie(
        name,
        mark,
        max_age=_OLD_LOGIN_SECONDS,
        secure=secure,
        httponly=True,
        # Strict ones do not come along when another site has led here.
        samesite="None" if same_site == "none" else "Lax",
        partitioned=config.cookie_partitioned,
    )
    return response


def _can_carry(app_state: AppState, request: Request) -> bool:
    """Return whether our route is there, and a cookie brought the session that is to be refreshed."""
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    has_cookie = bool(sent.access_cookies) or sent.legacy
    return (
        has_cookie
        and sent.bearer is None
        and request.endpoint != CONTINUE_ENDPOINT
        and CONTINUE_ENDPOINT in current_app.view_functions
    )


def _may_hide_cookies(app_state: AppState, request: Request) -> bool:
    same_site = app_state.config.decisions(origin_of_api(request)).same_site
    return same_site == "strict" and is_kept_by_same_site_strict(request) and not is_page_fetch(request)


def _origin_of_navigation(app_state: AppState, request: Request) -> str | None:
    """Return the target of the navigation; no route of ours is a page to come back to after signing in."""
    if request.endpoint == CONTINUE_ENDPOINT:
        return _next_of(app_state, request)
    if request.blueprint == app_state.blueprint.name:
        return None
    return url_of(app_state.config, request)


def _next_of(app_state: AppState, request: Request) -> str | None:
    wanted = request.args.get("next")
    if wanted is None:
        return referring_page(app_state.config, request, origin_of_api(request))
    return wanted if is_local_path(wanted) else None


def _onwards(app_state: AppState, request: Request, target: str) -> str:
    """Return the URL that refreshes and goes on to ``target``, which it names unless it is too long."""
    # A token that would be good enough was refused by the core: only a new one helps.
    flags = ("force",) if holds_good_token(app_state) else ()
    url = _continue_url(app_state, request, target, *flags)
    return url if len(url) <= LONGEST_URL else _continue_url(app_state, request, None, *flags)


def _continue_url(app_state: AppState, request: Request, target: str | None, *flags: str) -> str:
    parameters = {"next": target} if target is not None else {}
    query = urlencode({**parameters, **dict.fromkeys(flags, "1")})
    url = f"{app_state.config.mount_path(request.script_root)}{CONTINUE}"
    return f"{url}?{query}" if query else url


def _page(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError, here: str | None
) -> BaseResponse:
    config = app_state.config
    mount = config.mount_path(request.script_root)
    onwards = _onwards(app_state, request, here or "/")
    flags = ("force",) if holds_good_token(app_state) else ()
    return refresh_page.renewing_page(
        status=error.code,
        script_url=f"{mount}{SCRIPT}?v={refresh_page.script_version()}",
        renew_url=_continue_url(app_state, request, None, *flags),
        continue_url=onwards,
        login_url=_login_url_unless_there(app_state, request, login, here),
        nonce=app_state.extension.nonce_of_this_request(),
        # A page that comes from itself, without script, has not kept the new cookies.
        goes_on_without_script=not comes_from_itself(config, request),
    )


def _asking_again(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError, here: str | None
) -> BaseResponse:
    return refresh_page.asking_again_page(
        status=error.code,
        url=here or "/",
        login_url=_login_url_unless_there(app_state, request, login, here),
        nonce=app_state.extension.nonce_of_this_request(),
    )


def _login_url_unless_there(
    app_state: AppState, request: Request, login: str, here: str | None
) -> str | None:
    if is_login_page(request, login):
        return None
    return login_url(app_state.config, request, login, then=here)


def _error_page(error: SessionHTTPError) -> BaseResponse:
    """Return what the app shows for this status: its own page, else Flask's."""
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


def _uncached(response: BaseResponse) -> BaseResponse:
    response.headers["Cache-Control"] = "no-store"
    return response
