"""Carry a navigation through the refresh and back to its target.

A small page with one static script carries a GET. Two redirects that keep method and body carry a form, a
download, and requests of Turbo and Unpoly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Response, current_app, redirect
from werkzeug.urls import iri_to_uri

from ..constants import REFRESH_PATH
from ..errors import ClearDuplicateSessionCookiesError, Reason, TryRefreshTokenError, UnauthorisedError
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
    is_local_path,
    is_login_page,
    is_navigation,
    is_page,
    is_page_fetch,
    login_url,
    may_have_been_here,
    origin_problem,
    referring_page,
    url_of,
)
from .request_body import read_body
from .transport import read_tokens
from .verify import holds_good_token

if TYPE_CHECKING:
    from flask import Blueprint, Request
    from werkzeug.wrappers import Response as BaseResponse

    from ..errors import SessionHTTPError
    from .base import AppState

#: Below the refresh path, so that browsers send the refresh cookie with it.
CONTINUE = f"{REFRESH_PATH}/continue"
#: Beside the refresh path, so that browsers do not send the refresh cookie with it.
SCRIPT = f"{REFRESH_PATH}.js"
_SCRIPT_SECONDS = 365 * 24 * 3600


class Refused:
    """A refused request, to be carried through the refresh or redirected to the login page.

    :param login: endpoint or path of the login page.
    :param error: the verdict on the request.
    """

    def __init__(self, app_state: AppState, request: Request, login: str, error: SessionHTTPError) -> None:
        self.app_state: AppState = app_state
        self.request: Request = request
        self.login: str = login
        self.error: SessionHTTPError = error

    @property
    def is_form(self) -> bool:
        """Whether the request posts a form."""
        return self.request.method == "POST"

    @property
    def target(self) -> str | None:
        """The URL to go back to after signing in; ``None`` for our own routes."""
        if self.request.endpoint == CONTINUE_ENDPOINT:
            return _next_of(self.app_state, self.request)
        if self.request.blueprint == self.app_state.blueprint.name:
            return None
        return url_of(self.app_state.config, self.request)

    @property
    def page(self) -> str | None:
        """The page to return to after signing in; the page with the form, if its target is no page."""
        target = self.target
        config = self.app_state.config
        if not self.is_form or target is None or is_page(config, self.request, target):
            return target
        page = referring_page(config, self.request, origin_of_api(self.request))
        return page if page is not None and is_page(config, self.request, page) else target

    @property
    def origin_problem(self) -> tuple[Reason, str] | None:
        """Why it is not certain that one of our pages sent the request, or ``None``."""
        return origin_problem(self.app_state.config, self.request, origin_of_api(self.request))

    @property
    def is_on_login_page(self) -> bool:
        """Whether the request is for the login page itself."""
        return is_login_page(self.request, self.login)

    @property
    def can_be_carried(self) -> bool:
        """Whether a refresh can carry the request: the route exists, and the session came by cookie."""
        sent = read_tokens(self.request.environ, self.app_state.config.cookie_names)
        has_cookie = bool(sent.access_cookies) or sent.legacy
        return (
            has_cookie
            and sent.bearer is None
            and self.request.endpoint != CONTINUE_ENDPOINT
            and CONTINUE_ENDPOINT in current_app.view_functions
        )

    def login_url(self, then: str | None) -> str:
        """Return the URL of the login page, with ``then`` as its ``next``."""
        return login_url(self.app_state.config, self.request, self.login, then=then)

    def url_onwards(self, target: str) -> str:
        """Return the URL that refreshes and redirects to ``target``; too long a target is left out."""
        url = self._continue_url(target)
        return url if len(url) <= LONGEST_URL else self._continue_url(None)

    def carried(self) -> BaseResponse | None:
        """Return the response that carries a navigation; ``None`` for a form that may be forged."""
        if not is_carried_by_redirects(self.request):
            return self._renewing_page()
        problem = self.origin_problem
        if problem is not None:
            warn_of_hidden_origin("VIA_ORIGIN", self.request.headers, problem[1])
            return None
        # 307 keeps method and body (RFC 9110, 15.4.8). A form may also be posted to our sign-out.
        target = self.target or url_of(self.app_state.config, self.request) or "/"
        onwards = self._continue_url(target)
        if len(onwards) > LONGEST_URL:
            # The page reloads itself, and so the browser posts the form again.
            return self._renewing_page()
        read_body(self.request)
        return uncached(redirect(onwards, 307))

    def asking_again_page(self) -> BaseResponse:
        """Return a page that requests itself again; browsers then send ``SameSite=Strict`` cookies."""
        target = self.target
        return refresh_page.asking_again_page(
            status=self.error.code,
            url=target or "/",
            login_url=self.login_url(target),
            nonce=self.app_state.extension.nonce_of_this_request(),
        )

    def _renewing_page(self) -> BaseResponse:
        target = self.target
        config = self.app_state.config
        script = f"{config.mount_path(self.request.script_root)}{SCRIPT}?v={refresh_page.script_version()}"
        return refresh_page.renewing_page(
            status=self.error.code,
            script_url=script,
            renew_url=self._continue_url(None),
            continue_url=self.url_onwards(target or "/"),
            login_url=None if self.is_on_login_page else self.login_url(self.page),
            nonce=self.app_state.extension.nonce_of_this_request(),
            # If a page without script leads back to itself, the browser did not keep the new cookies.
            goes_on_without_script=not comes_from_itself(config, self.request),
        )

    def _continue_url(self, target: str | None) -> str:
        # The token is valid here, but the core refused it: only a new one helps.
        flags = ("force",) if holds_good_token(self.app_state) else ()
        return _continue_url(self.app_state, self.request, target, *flags)


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes that carry navigations through a refresh."""
    ours = f"{blueprint.name}."
    renew, script = CONTINUE_ENDPOINT.removeprefix(ours), SCRIPT_ENDPOINT.removeprefix(ours)
    blueprint.add_url_rule(CONTINUE, renew, continue_after_refresh, methods=["GET", "POST"])
    blueprint.add_url_rule(SCRIPT, script, refresh_script)


def refresh_script() -> Response:
    """``GET {base}/session/refresh.js``: return the script of the page; its URL changes with it."""
    response = Response(refresh_page.script(), mimetype="text/javascript")
    response.cache_control.public = True
    response.cache_control.max_age = _SCRIPT_SECONDS
    response.set_etag(refresh_page.script_version())
    response.make_conditional(this_request())
    return response


def continue_after_refresh() -> BaseResponse:
    """``{base}/session/refresh/continue?next=…``: refresh, and redirect to the target of the navigation.

    Without ``next`` (the URL would be too long), the target is the page that the ``Referer`` names. A valid
    token, because another tab has refreshed, is left as it is, unless ``force`` says that the core refuses
    it. The POST of the page's script, which is no navigation, gets a 204. A form that seems to come back is
    redirected here once more (``kept``), to find out whether the browser keeps the new cookies.

    :raises SessionHTTPError: it is not certain that one of our pages sent the request, or the refresh failed.
    :raises RequestEntityTooLarge: the form is larger than ``MAX_CONTENT_LENGTH``.
    """
    app_state = current_app_state()
    request = this_request()
    if request.method == "HEAD" or is_ahead_of_time(request):
        return Response(status=204, headers={"Cache-Control": "no-store"})
    problem = origin_problem(app_state.config, request, origin_of_api(request))
    if problem is not None:
        reason, message = problem
        warn_of_hidden_origin("VIA_ORIGIN", request.headers, message)
        raise TryRefreshTokenError(message, reason=reason)
    request_state(request).origin_checked = True
    read_body(request)
    navigates = is_navigation(request)
    _refresh_where_needed(app_state, request, navigates=navigates)
    if not navigates:
        return Response(status=204, headers={"Cache-Control": "no-store"})
    return _back_to_target(app_state, request)


def is_carried_by_redirects(request: Request) -> bool:
    """Return whether the client follows redirects, but cannot show a page in between."""
    return request.method == "POST" or is_page_fetch(request) or is_download(request)


def uncached(response: BaseResponse) -> BaseResponse:
    """Keep a response out of caches, and return it."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _refresh_where_needed(app_state: AppState, request: Request, *, navigates: bool) -> None:
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
            # This response expires the stray cookies; its target redirects the navigation here again.


def _back_to_target(app_state: AppState, request: Request) -> BaseResponse:
    target = iri_to_uri(_next_of(app_state, request) or "/")
    if not is_carried_by_redirects(request):
        return uncached(redirect(target, 303))
    if may_have_been_here(request) and "kept" not in request.args:
        return uncached(redirect(_continue_url(app_state, request, target, "kept"), 307))
    back = uncached(redirect(target, 307))
    back.headers["Referrer-Policy"] = "origin"  # identifies the form if it comes again
    return back


def _next_of(app_state: AppState, request: Request) -> str | None:
    wanted = request.args.get("next")
    if wanted is None:
        return referring_page(app_state.config, request, origin_of_api(request))
    return wanted if is_local_path(wanted) else None


def _continue_url(app_state: AppState, request: Request, target: str | None, *flags: str) -> str:
    parameters = {"next": target} if target is not None else {}
    query = urlencode({**parameters, **dict.fromkeys(flags, "1")})
    url = f"{app_state.config.mount_path(request.script_root)}{CONTINUE}"
    return f"{url}?{query}" if query else url
