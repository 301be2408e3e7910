"""Server-rendered pages: how verdicts are answered to browsers that navigate (``STSESSION_LOGIN_URL``).

A navigation runs no SDK that could refresh. So one with an expired access token is carried through the
refresh and back to where it was going: a GET by a tiny page with one static script, a form by two redirects
that keep its body. One without a session is sent to the login page. Everybody else (``fetch``, SDKs, command
lines) gets the JSON of the Frontend Driver Interface.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, current_app, redirect, send_file
from markupsafe import Markup
from werkzeug import exceptions as http
from werkzeug.urls import iri_to_uri

from ..errors import (
    ClearDuplicateSessionCookiesError,
    Reason,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from .context import current_app_state, origin_of_api, request_state, this_request
from .navigation import (
    CONTINUE_ENDPOINT,
    SCRIPT_ENDPOINT,
    comes_from_itself,
    is_ahead_of_time,
    is_htmx,
    is_local_path,
    is_login_page,
    is_navigation,
    login_url,
    may_have_been_here,
    origin_problem,
    page_of,
    url_of,
)
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
_SCRIPT_FILE = Path(__file__).with_name("static") / "refresh.js"
_SCRIPT_SECONDS = 365 * 24 * 3600

#: Refreshing does not help against these.
_FORGERIES = frozenset({Reason.CSRF_MISSING, Reason.CSRF_MISMATCH})

# No inline code or style, nothing from elsewhere: the strictest Content-Security-Policy lets it pass.
_PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>One moment</title>
{automatic}<script src="{script}" data-continue="{onwards}"{login} defer></script>
</head>
<body>
<p id="message" role="status"></p>
<p id="retry" hidden><button type="button">Try again</button></p>
<p id="carry"><a href="{onwards}">Continue</a></p>
</body>
</html>
""")
_AUTOMATIC = Markup('<noscript><meta http-equiv="refresh" content="0; url={onwards}"></noscript>\n')


def add_routes(blueprint: Blueprint) -> None:
    """The routes by which navigations are carried through a refresh."""
    ours = f"{blueprint.name}."
    renew, script = CONTINUE_ENDPOINT.removeprefix(ours), SCRIPT_ENDPOINT.removeprefix(ours)
    blueprint.add_url_rule(CONTINUE, renew, continue_after_refresh, methods=["GET", "POST"])
    blueprint.add_url_rule(SCRIPT, script, refresh_script)


def handle_verdict(error: SessionHTTPError) -> BaseResponse:
    """Record a verdict, and return the response for whoever asked: the one error handler of ours."""
    app_state = current_app_state()
    record_verdict(app_state, error)
    redirect_to_session = redirect_for(app_state, error)
    if redirect_to_session is not None:
        return redirect_to_session
    shows_page = _shows_page(this_request()) and app_state.extension.get_login_url() is not None
    return _error_page(error) if shows_page else error.get_response()


def redirect_for(app_state: AppState, error: SessionHTTPError) -> BaseResponse | None:
    """Return the redirect to a session for a browser, or ``None`` where it gets the verdict itself."""
    if not isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError):
        return None
    login = app_state.extension.get_login_url()
    request = this_request()
    if login is None or error.reason is Reason.CROSS_SITE:
        return None
    if is_htmx(request):
        return _sent_by_htmx(app_state, request, login, error)
    return _sent_by_browser(app_state, request, login, error) if _shows_page(request) else None


def signed_out(app_state: AppState) -> BaseResponse | None:
    """Where a form that has signed out is sent: to the login page; ``None`` if it was not a form."""
    request = this_request()
    login = app_state.extension.get_login_url()
    if login is None or not is_navigation(request):
        return None
    return redirect(login_url(app_state.config, request, login), 303)


def refresh_script() -> Response:
    """``GET {base}/session/refresh.js``: the script of the page; its URL changes when it does."""
    return send_file(_SCRIPT_FILE, mimetype="text/javascript", max_age=_SCRIPT_SECONDS)


def continue_after_refresh() -> BaseResponse:
    """``{base}/session/refresh/continue?next=…``: refresh, and go back to where the navigation was going.

    A token that is good already, because another tab has refreshed, is left as it is, unless ``force`` says
    that the core refuses it. POST without a navigation, from the script of the page: 204. A form that seems
    to come back takes one more turn here (``kept``), to see whether the browser keeps what the refresh sets.

    :raises SessionHTTPError: nothing proves that one of our pages asked, or the refresh failed.
    """
    app_state = current_app_state()
    request = this_request()
    if request.method == "HEAD" or is_ahead_of_time(request):
        return Response(status=204, headers={"Cache-Control": "no-store"})
    problem = origin_problem(app_state.config, request, origin_of_api(request))
    if problem is not None:
        reason, message = problem
        raise TryRefreshTokenError(message, reason=reason)
    request_state(request).origin_checked = True
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
    target = iri_to_uri(_next_of(request) or "/")
    if request.method == "GET":
        return _uncached(redirect(target, 303))
    if may_have_been_here(request) and "kept" not in request.args:
        return _uncached(redirect(_continue_url(app_state, request, target, "kept"), 307))
    back = _uncached(redirect(target, 307))
    back.headers["Referrer-Policy"] = "origin"  # by this we know the form if it comes again
    return back


def _shows_page(request: Request) -> bool:
    can_be_sent = request.method in ("GET", "HEAD", "POST") and not is_ahead_of_time(request)
    return can_be_sent and is_navigation(request)


def _sent_by_htmx(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError
) -> BaseResponse | None:
    """The JSON of an API, with ``HX-Redirect``: htmx 1 and 2 follow it whatever the status, but for 3xx."""
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
        if _can_carry(app_state, request) and is_form:
            return _carried_form(app_state, request, here) if problem is None else None
        if _can_carry(app_state, request):
            return _page(app_state, request, login, error, here)
    if is_login_page(request, login):
        return None
    return _uncached(
        redirect(login_url(app_state.config, request, login, then=here), 303 if is_form else 302)
    )


def _can_carry(app_state: AppState, request: Request) -> bool:
    """Is our route there, and did a cookie bring what is to be refreshed?"""
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    has_cookie = bool(sent.access_cookies) or sent.legacy
    return (
        has_cookie
        and sent.bearer is None
        and request.endpoint != CONTINUE_ENDPOINT
        and CONTINUE_ENDPOINT in current_app.view_functions
    )


def _origin_of_navigation(app_state: AppState, request: Request) -> str | None:
    """Where the person wanted to go; no route of ours is a page to come back to after signing in."""
    if request.endpoint == CONTINUE_ENDPOINT:
        return _next_of(request)
    if request.blueprint == app_state.blueprint.name:
        return None
    return url_of(app_state.config, request)


def _next_of(request: Request) -> str | None:
    wanted = request.args.get("next", "")
    return wanted if is_local_path(wanted) else None


def _carried_form(app_state: AppState, request: Request, here: str | None) -> BaseResponse:
    # 307 keeps method and body (RFC 9110, 15.4.8). Our sign-out is a form's target too.
    target = here or url_of(app_state.config, request) or "/"
    return _uncached(redirect(_onwards(app_state, request, target), 307))


def _onwards(app_state: AppState, request: Request, target: str) -> str:
    """Our route that refreshes and goes on to ``target``."""
    # A token that would do by itself was refused by the core: only a new one helps.
    return _continue_url(app_state, request, target, *(["force"] if holds_good_token(app_state) else []))


def _continue_url(app_state: AppState, request: Request, target: str, *flags: str) -> str:
    query = urlencode({"next": target, **dict.fromkeys(flags, "1")})
    return f"{app_state.config.mount_path(request.script_root)}{CONTINUE}?{query}"


def _page(
    app_state: AppState, request: Request, login: str, error: SessionHTTPError, here: str | None
) -> BaseResponse:
    onwards = _onwards(app_state, request, here or "/")
    version = hashlib.sha256(_SCRIPT_FILE.read_bytes()).hexdigest()[:16]
    target = login_url(app_state.config, request, login, then=here)
    body = _PAGE.format(
        script=f"{app_state.config.mount_path(request.script_root)}{SCRIPT}?v={version}",
        onwards=onwards,
        login="" if is_login_page(request, login) else Markup(' data-login="{}"').format(target),
        # Coming back from here by itself, without script, the browser did not keep the new cookies.
        automatic="" if comes_from_itself(app_state.config, request) else _AUTOMATIC.format(onwards=onwards),
    )
    response = _uncached(Response(body, error.code, mimetype="text/html"))
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _error_page(error: SessionHTTPError) -> BaseResponse:
    """What the app shows for this status: its own page, else Flask's."""
    code = error.code or 500
    plain = http.default_exceptions.get(code, http.HTTPException)()
    plain.code = code
    shown: Any = current_app.handle_http_exception(plain)
    response = current_app.make_response(shown)
    retry_after = error.get_response().headers.get("Retry-After")
    if retry_after is not None:
        response.headers.setdefault("Retry-After", retry_after)
    return response


def _uncached(response: BaseResponse) -> BaseResponse:
    response.headers["Cache-Control"] = "no-store"
    return response
