"""Tell developers why a page of another origin gets no session; browsers barely explain it.

Only with ``app.debug`` or ``app.testing``: in production the client should not learn such details.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask import request_finished

from ..config.domains import normal_origin
from ..constants import CORS_REQUEST_HEADERS
from ..errors import Reason
from . import cors
from .context import existing_state, origin_of_api, this_request
from .navigation import is_navigation, is_same_site
from .transport import accepts_html
from .verdict_record import WITHOUT_SESSION

if TYPE_CHECKING:
    from flask import Flask, Request, Response

    from ..config.config import Config
    from .base import AppState
    from .context import RequestState

logger: logging.Logger = logging.getLogger("flask_stsession")

_WITHOUT_COOKIES = (
    "A page of {!r} sent a request without a session. fetch() sends and keeps cookies of another origin only "
    'with the option credentials: write fetch(url, {{credentials: "include"}}), also where the page signs in.'
)
_WITHOUT_LOGIN_PAGE = (
    "A browser was refused a page. To redirect browsers to a login page, and back after signing in, set its "
    'endpoint or path: app.config["STSESSION_LOGIN_URL"] = "login".'
)


def is_in_development(app: Flask) -> bool:
    """Return whether responses may say why a request is refused: ``app.debug`` or ``app.testing``."""
    return app.debug or app.testing


def page_elsewhere(config: Config, request: Request) -> str | None:
    """Return the origin of the page that sent a request, if it is one of ours but not that of the API.

    Pages on another port of the same host count as ours; in development they mostly are.
    """
    sent = request.headers.get("Origin")
    here = origin_of_api(request)
    own = {config.own_origin(here), normal_origin(here)}
    # A development server's proxy may pass on the page's Origin, but gives another Host.
    if sent is None or sent in own or request.headers.get("Sec-Fetch-Site") == "same-origin":
        return None
    trusted = config.accepted_origins(here)
    return sent if sent in trusted or is_same_site(config, sent, trusted) else None


class Hints:
    """Checks every finished response of one app, and logs each problem of a page of another origin once.

    :param app_state: of the app.
    """

    def __init__(self, app_state: AppState) -> None:
        self._config = app_state.config
        self._extension = app_state.extension
        self._said: set[str] = set()
        # The signal keeps a weak reference only; the app owns this object.
        request_finished.connect(self._look, app_state.app)

    def _look(self, _sender: object, *, response: Response, **_: Any) -> None:
        request = this_request()
        state = existing_state(request)
        hint: str | None = None
        # CORS does not apply to a navigation or a socket.
        if request.headers.get("Sec-Fetch-Mode", "cors") == "cors":
            page = page_elsewhere(self._config, request)
            hint = None if page is None else self._hint(request, response, page, state)
        refused = None if state is None else state.refused
        if isinstance(refused, WITHOUT_SESSION) and self._lacks_login_page(request):
            hint = _WITHOUT_LOGIN_PAGE
        if hint is not None and hint not in self._said:
            self._said.add(hint)
            logger.warning("%s %r: %s", request.method, request.path, hint)

    def _lacks_login_page(self, request: Request) -> bool:
        """Return whether a browser navigates in an app that cannot send it to a login page."""
        return accepts_html(request) and is_navigation(request) and self._extension.get_login_url() is None

    def _hint(
        self, request: Request, response: Response, page: str, state: RequestState | None
    ) -> str | None:
        """Return the page's problem with the response, and the remedy."""
        allows_cookies = self._config.token_transfer_method != "header"
        if request.method == "OPTIONS":
            return self._hint_at_preflight(request, response, page, allows_cookies=allows_cookies)
        if state is None:
            return None
        issued = None if state.pending is None else state.pending.issued
        sends_cookies = "HTTP_COOKIE" in request.environ
        uses_cookies = sends_cookies or (issued is not None and issued.method == "cookie")
        hint = cors.problem(response.headers, origin=page, with_credentials=uses_cookies)
        if hint is None and allows_cookies and not sends_cookies and state.refused is not None:
            lacks_token = state.refused.reason is Reason.NO_TOKEN
            return _WITHOUT_COOKIES.format(page) if lacks_token else None
        return hint

    def _hint_at_preflight(
        self, request: Request, response: Response, page: str, *, allows_cookies: bool
    ) -> str | None:
        asked = request.headers.get("Access-Control-Request-Headers", "").lower()
        ours = [name for name in map(str.strip, asked.split(",")) if name in CORS_REQUEST_HEADERS]
        if not ours:
            return None
        return cors.problem(
            response.headers,
            origin=page,
            with_credentials=allows_cookies and "authorization" not in ours,
            requested_headers=ours,
        )
