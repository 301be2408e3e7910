"""Sign in and sign out: create the session of the current request, and end it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..config.checks import insecure_none_problem, unconfigured_host_problem
from ..constants import TransferMethod
from ..errors import (
    ConfigError,
    TryRefreshTokenError,
)
from ..tokens import access_token as tokens
from .context import hand_out, origin_of_api, publish, request_state, this_g, this_request
from .navigation import keep_cookies_from_other_sites
from .transport import accepts_html, allowed_transfer, method_of_new_session, read_tokens

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config
    from ..sessions.new_session import NewSession
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken
    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")


def create(app_state: AppState, new: NewSession) -> Session:
    """Create a session for the client of this request; its tokens go out with the response.

    :raises UnauthorisedError: another site had the request sent, and the tokens would go by cookie.
    :raises ConfigError: the app is not configured for this host, or browsers would not keep its cookies.
    """
    config = app_state.config
    request = this_request()
    state = request_state(request)
    origin = origin_of_api(request)
    _refuse_unconfigured_host(config, request)
    method = method_of_new_session(config, request, allow_cross_site=new.allow_cross_site)
    if not new.allow_cross_site:
        keep_cookies_from_other_sites(config, request, state.changes, method)
    if method == "cookie":
        problem = insecure_none_problem(config, origin)
        if problem is not None:
            raise ConfigError(problem)
    elif accepts_html(request):
        logger.warning(
            "A new session's tokens go by header to a client that accepts text/html, which will not keep "
            "them. If it is a browser without a SuperTokens SDK, set "
            "STSESSION_TOKEN_TRANSFER_METHOD = 'cookie'."
        )
    uses_token = method == "cookie" and config.decisions(origin).anti_csrf == "VIA_TOKEN"
    session = app_state.manager.create(
        new,
        claims=app_state.extension.session_claims,
        issuer=config.issuer or config.base_url(origin, request.script_root),
        enable_anti_csrf=uses_token,
        transfer_method=method,
        context=state.context,
    )
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    if method == "cookie" and sent.bearer is not None:
        state.changes.clear("header")
    if method == "header" and sent.access_cookies:
        state.changes.clear("cookie")
    hand_out(state, session)
    return session


def sign_out(app_state: AppState) -> None:
    """End the session of this request, if there is one; clear the client in any case.

    :raises UnauthorisedError: another site had the request sent; nothing is ended or cleared.
    :raises CoreUnavailableError: the core did not answer; nothing is cleared.
    """
    request = this_request()
    state = request_state(request)
    refuse_foreign_sign_out(app_state)
    if state.session is not None:
        state.session.revoke_session()
        publish(None, this_g())
    else:
        token, method = _authentic_token(app_state, request)
        if token is None or method is None:
            state.changes.end_session()
        else:
            app_state.extension.revoke_session(token.session_handle)
            state.changes.clear(method)
    state.forget_session()


def refuse_foreign_sign_out(app_state: AppState) -> None:
    """Refuse to sign out a client by cookie at the wish of another site, before the core is asked.

    :raises UnauthorisedError: with ``cross_site``; it clears nothing.
    """
    request = this_request()
    state = request_state(request)
    if state.sender_checked:
        return
    method: TransferMethod
    if state.session is not None:
        method = state.session.transfer_method or "cookie"
    else:
        bearer = read_tokens(request.environ, app_state.config.cookie_names).bearer
        allowed = allowed_transfer(app_state.config, request, for_create_new_session=False)
        by_header = bearer is not None and allowed != "cookie" and tokens.parse(bearer) is not None
        method = "header" if by_header else "cookie"
    keep_cookies_from_other_sites(app_state.config, request, state.changes, method)
    state.sender_checked = True


def _is_forwarded(request: Request) -> bool:
    """Return whether a proxy says that it forwarded this request."""
    return any(
        name in ("HTTP_FORWARDED", "HTTP_X_REAL_IP") or name.startswith("HTTP_X_FORWARDED_")
        for name in request.environ
    )


def _refuse_unconfigured_host(config: Config, request: Request) -> None:
    problem = unconfigured_host_problem(
        config,
        request.environ.get("HTTP_HOST") or request.host,
        scheme=request.scheme,
        forwarded=_is_forwarded(request),
    )
    if problem is not None:
        raise ConfigError(problem)


def _authentic_token(
    app_state: AppState, request: Request
) -> tuple[AccessToken | None, TransferMethod | None]:
    """Return this request's access token, expired or not, if the core made it."""
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    allowed = allowed_transfer(app_state.config, request, for_create_new_session=False)
    candidates: list[tuple[str, TransferMethod]] = []
    if sent.bearer is not None and allowed != "cookie":
        candidates.append((sent.bearer, "header"))
    if allowed != "header":
        candidates.extend((value, "cookie") for value in sent.access_cookies)
    for raw, method in candidates:
        try:
            token = app_state.manager.verifier.verify(raw, allow_expired=True)
        except TryRefreshTokenError:
            continue
        if token is not None:
            return token, method
    return None, None
