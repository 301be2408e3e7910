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

from .errors import (
    ClearDuplicateSessionCookiesError,
    Reason,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
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
    origin_problem,
    page_of,
    url_of,
)
from .request_state import state_of, this_request
from .transport import read_tokens
from .verification import origin_of_api, peek_session

if TYPE_CHECKING:
    from flask import Blueprint, Request
    from werkzeug.wrappers import Response as BaseResponse

    from .errors import SessionHTTPError
    from .extension import STSession

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


def answer(ext: STSession, error: SessionHTTPError) -> BaseResponse:
    """The response to a verdict, for whoever asked."""
    request = this_request()
    login = ext.get_login_url()
    if login is None or is_ahead_of_time(request):
        return error.get_response()
    if is_htmx(request):
        return _answer_htmx(ext, request, login, error)
    if not is_navigation(request) or request.method not in ("GET", "HEAD", "POST"):
        return error.get_response()
    return _answer_navigation(ext, request, login, error)


def signed_out(ext: STSession) -> BaseResponse | None:
    """Where a form that has signed out is sent: to the login page; ``None`` if it was not a form."""
    request = this_request()
    login = ext.get_login_url()
    if login is None or not is_navigation(request):
        return None
    return redirect(login_url(ext.config, request, login), 303)


def refresh_script() -> Response:
    """``GET {base}/session/refresh.js``: the script of the page; its URL changes when it does."""
    return send_file(_SCRIPT_FILE, mimetype="text/javascript", max_age=_SCRIPT_SECONDS)


def continue_after_refresh() -> BaseResponse:
    """``{base}/session/refresh/continue?next=…``: refresh, and go back to where the navigation was going.

    A token that is good already, because another tab has refreshed, is left as it is, unless ``force`` says
    that the core refuses it. POST without a navigation, from the script of the page: 204.

    :raises SessionHTTPError: nothing proves that one of our pages asked, or the refresh failed.
    """
    ext: STSession = current_app.extensions["stsession"]
    request = this_request()
    if request.method == "HEAD" or is_ahead_of_time(request):
        return Response(status=204, headers={"Cache-Control": "no-store"})
    problem = origin_problem(ext.config, request, origin_of_api(request))
    if problem is not None:
        reason, message = problem
        raise TryRefreshTokenError(message, reason=reason)
    state_of(request).origin_checked = True
    navigates = is_navigation(request)
    if "force" in request.args or peek_session(ext) is None:
        try:
            ext.refresh_session()
        except ClearDuplicateSessionCookiesError:
            if not navigates:
                raise
            # Stray cookies go with this response; the view sends us the navigation again.
    if not navigates:
        return Response(status=204, headers={"Cache-Control": "no-store"})
    target = _next_of(request) or "/"
    return _uncached(redirect(iri_to_uri(target), 303 if request.method == "GET" else 307))


def _answer_htmx(ext: STSession, request: Request, login: str, error: SessionHTTPError) -> BaseResponse:
    """The JSON of an API, with ``HX-Redirect``: htmx follows it whatever the status, but for 3xx."""
    response = error.get_response()
    page = page_of(ext.config, request, origin_of_api(request))
    if isinstance(error, TryRefreshTokenError) and _can_carry(request):
        if error.reason not in _FORGERIES:
            response.headers["HX-Redirect"] = _onwards(ext, request, page or "/")
    elif _is_signed_out(error):
        target = login_url(ext.config, request, login, then=page)
        if page is None or page.partition("?")[0] != target.partition("?")[0]:  # the login page may use htmx
            response.headers["HX-Redirect"] = target
    return _uncached(response)


def _answer_navigation(ext: STSession, request: Request, login: str, error: SessionHTTPError) -> BaseResponse:
    if not _is_signed_out(error):
        return _error_page(error)
    problem = origin_problem(ext.config, request, origin_of_api(request))
    if request.method == "POST" and problem is not None and problem[0] is Reason.CSRF_MISMATCH:
        return _error_page(error)  # another site's form
    here = _origin_of_navigation(ext, request)
    if isinstance(error, TryRefreshTokenError):
        if error.reason in _FORGERIES:
            return _error_page(error)
        if _can_carry(request):
            if request.method == "POST":
                return _error_page(error) if problem else _carried_form(ext, request, here)
            return _page(ext, request, login, error, here)
    if is_login_page(request, login):
        return _error_page(error)
    status = 303 if request.method == "POST" else 302
    return _uncached(redirect(login_url(ext.config, request, login, then=here), status))


def _is_signed_out(error: SessionHTTPError) -> bool:
    return isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError)


def _can_carry(request: Request) -> bool:
    """Is our route there, and did a cookie bring what is to be refreshed?"""
    sent = read_tokens(request.environ)
    has_cookie = bool(sent.access_cookies) or sent.legacy
    return (
        has_cookie
        and sent.bearer is None
        and request.endpoint != CONTINUE_ENDPOINT
        and CONTINUE_ENDPOINT in current_app.view_functions
    )


def _origin_of_navigation(ext: STSession, request: Request) -> str | None:
    """Where the person wanted to go; no route of ours is a page to come back to after signing in."""
    if request.endpoint == CONTINUE_ENDPOINT:
        return _next_of(request)
    if request.blueprint == ext.blueprint.name:
        return None
    return url_of(ext.config, request)


def _next_of(request: Request) -> str | None:
    wanted = request.args.get("next", "")
    return wanted if is_local_path(wanted) else None


def _carried_form(ext: STSession, request: Request, here: str | None) -> BaseResponse:
    # 307 keeps method and body (RFC 9110, 15.4.8). Our sign-out is a form's target too.
    target = here or url_of(ext.config, request) or "/"
    return _uncached(redirect(_onwards(ext, request, target), 307))


def _onwards(ext: STSession, request: Request, target: str) -> str:
    """Our route that refreshes and goes on to ``target``."""
    # A token that would do by itself was refused by the core: only a new one helps.
    force = "" if peek_session(ext) is None else "&force=1"
    path = ext.config.mount_path(request.script_root) + CONTINUE
    return f"{path}?{urlencode({'next': target})}{force}"


def _page(
    ext: STSession, request: Request, login: str, error: SessionHTTPError, here: str | None
) -> BaseResponse:
    onwards = _onwards(ext, request, here or "/")
    version = hashlib.sha256(_SCRIPT_FILE.read_bytes()).hexdigest()[:16]
    target = login_url(ext.config, request, login, then=here)
    body = _PAGE.format(
        script=f"{ext.config.mount_path(request.script_root)}{SCRIPT}?v={version}",
        onwards=onwards,
        login="" if is_login_page(request, login) else Markup(' data-login="{}"').format(target),
        # Coming back from here by itself, without script, the browser did not keep the new cookies.
        automatic="" if comes_from_itself(ext.config, request) else _AUTOMATIC.format(onwards=onwards),
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
    for name, value in error.get_response().headers.items():
        if name == "Retry-After":
            response.headers.setdefault(name, value)
    return response


def _uncached(response: BaseResponse) -> BaseResponse:
    response.headers["Cache-Control"] = "no-store"
    return response
