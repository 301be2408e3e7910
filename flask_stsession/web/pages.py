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
from .context import state_of, this_request
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
from .verify import origin_of_api, peek_session

if TYPE_CHECKING:
    from flask import Blueprint, Request
    from werkzeug.wrappers import Response as BaseResponse

    from ..errors import SessionHTTPError
    from ..extension import STSession

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
    elsewhere = sent_elsewhere(ext, error)
    if elsewhere is not None:
        return elsewhere
    shows_page = _shows_page(this_request()) and ext.get_login_url() is not None
    return _error_page(error) if shows_page else error.get_response()


def sent_elsewhere(ext: STSession, error: SessionHTTPError) -> BaseResponse | None:
    """The way to a session, for those who can be sent there; ``None`` where the verdict is to be told."""
    if not isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError):
        return None
    login = ext.get_login_url()
    request = this_request()
    if login is None:
        return None
    if is_htmx(request):
        return _sent_by_htmx(ext, request, login, error)
    return _sent_by_browser(ext, request, login, error) if _shows_page(request) else None


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
    that the core refuses it. POST without a navigation, from the script of the page: 204. A form that seems
    to come back takes one more turn here (``kept``), to see whether the browser keeps what the refresh sets.

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
    if "kept" in request.args:
        if peek_session(ext) is None:
            raise UnauthorisedError(
                "The browser does not keep the cookies of the refresh.",
                reason=Reason.EXPIRED,
                clear_tokens=False,
            )
    elif "force" in request.args or peek_session(ext) is None:
        try:
            ext.refresh_session()
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
        return _uncached(redirect(_continue_url(ext, request, target, "kept"), 307))
    back = _uncached(redirect(target, 307))
    back.headers["Referrer-Policy"] = "origin"  # by this we know the form if it comes again
    return back


def _shows_page(request: Request) -> bool:
    can_be_sent = request.method in ("GET", "HEAD", "POST") and not is_ahead_of_time(request)
    return can_be_sent and is_navigation(request)


def _sent_by_htmx(
    ext: STSession, request: Request, login: str, error: SessionHTTPError
) -> BaseResponse | None:
    """The JSON of an API, with ``HX-Redirect``: htmx 1 and 2 follow it whatever the status, but for 3xx."""
    page = page_of(ext.config, request, origin_of_api(request))
    if isinstance(error, TryRefreshTokenError) and error.reason in _FORGERIES:
        return None
    if isinstance(error, TryRefreshTokenError) and _can_carry(request):
        target = _onwards(ext, request, page or "/")
    else:
        target = login_url(ext.config, request, login, then=page)
        if page is not None and page.partition("?")[0] == target.partition("?")[0]:
            return None  # the login page itself may use htmx
    response = _uncached(error.get_response())
    response.headers["HX-Redirect"] = target
    return response


def _sent_by_browser(
    ext: STSession, request: Request, login: str, error: SessionHTTPError
) -> BaseResponse | None:
    problem = origin_problem(ext.config, request, origin_of_api(request))
    is_form = request.method == "POST"
    if is_form and problem is not None and problem[0] is Reason.CSRF_MISMATCH:
        return None  # another site's form
    here = _origin_of_navigation(ext, request)
    if isinstance(error, TryRefreshTokenError):
        if error.reason in _FORGERIES:
            return None
        if _can_carry(request) and is_form:
            return _carried_form(ext, request, here) if problem is None else None
        if _can_carry(request):
            return _page(ext, request, login, error, here)
    if is_login_page(request, login):
        return None
    return _uncached(redirect(login_url(ext.config, request, login, then=here), 303 if is_form else 302))


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
    return _continue_url(ext, request, target, *([] if peek_session(ext) is None else ["force"]))


def _continue_url(ext: STSession, request: Request, target: str, *flags: str) -> str:
    query = urlencode({"next": target, **dict.fromkeys(flags, "1")})
    return f"{ext.config.mount_path(request.script_root)}{CONTINUE}?{query}"


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
    retry_after = error.get_response().headers.get("Retry-After")
    if retry_after is not None:
        response.headers.setdefault("Retry-After", retry_after)
    return response


def _uncached(response: BaseResponse) -> BaseResponse:
    response.headers["Cache-Control"] = "no-store"
    return response
