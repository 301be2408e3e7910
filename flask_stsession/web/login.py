"""Sign in and sign out: create and end the session of the current request."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..config.checks import insecure_none_problem, unconfigured_host_problem
from ..config.domains import is_public_address
from ..constants import AUTH_MODE_HEADER, TransferMethod
from ..errors import (
    ConfigError,
    CoreUnavailableError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from ..tokens import access_token as tokens
from ..tokens.refresh_token import has_shape_of_refresh_token
from .context import RequestState, hand_out, origin_of_api, publish, request_state, this_g, this_request
from .ended import clear_revoked
from .hints import is_in_development
from .navigation import keep_cookies_from_other_sites
from .transport import (
    RequestTokens,
    accepts_html,
    allowed_transfer,
    is_sent_by_browser,
    method_of_new_session,
    read_tokens,
)

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config
    from ..sessions.new_session import NewSession
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken
    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")

#: The headers of proxies, as WSGI names them.
_FORWARDING = "HTTP_(FORWARDED|X_REAL_IP|X_FORWARDED_.*)"

_IN_TESTS = (
    " In a test, post the fields of the login form, or sign the client in by "
    "flask_stsession.testing.login(client, user_id)."
)


def create(app_state: AppState, state: RequestState, new: NewSession) -> Session:
    """Create a session for the client of this request; the response carries its tokens.

    :param state: of this request.
    :raises UnauthorisedError: another site caused the request, and cookies would carry the tokens.
    :raises ConfigError: the app is not configured for this host, or browsers would drop its cookies.
    """
    config = app_state.config
    request = this_request()
    origin = origin_of_api(request)
    _refuse_unconfigured_host(config, request)
    allow_cross_site = new.allow_cross_site
    method = method_of_new_session(
        config, request, allow_cross_site=allow_cross_site, is_tested=app_state.app.testing
    )
    is_foreign = not allow_cross_site and keep_cookies_from_other_sites(config, request, state, method)
    sent = read_tokens(request.environ, config.cookie_names)
    carried = None if is_foreign else _carried_session(app_state, request, state, sent)
    if carried is not None:
        method = method_of_new_session(config, request, carried=carried.method)
        if new.remember is None:
            new = replace(new, remember=carried.remember)
    if method == "cookie":
        problem = insecure_none_problem(config, origin)
        if problem is not None:
            raise ConfigError(problem)
    else:
        _warn_of_lost_tokens(app_state, request, carries_session=carried is not None)
    uses_token = method == "cookie" and config.anti_csrf == "VIA_TOKEN"
    session = app_state.manager.create(
        new,
        claims=app_state.extension.session_claims,
        issuer=config.issuer or config.base_url(origin, request.script_root),
        enable_anti_csrf=uses_token,
        transfer_method=method,
        context=state.context,
    )
    if method == "cookie" and sent.bearer is not None:
        state.changes.clear("header")
    if method == "header" and sent.access_cookies:
        state.changes.clear("cookie")
    hand_out(state, session)
    handle = session.get_handle()
    if app_state.manager.is_revoked(handle):  # a receiver of session_created has revoked it
        clear_revoked(app_state, [handle])
    if carried is not None and not new.keep_previous:
        _end_replaced(app_state, carried.handle)
    return session


def _warn_of_lost_tokens(app_state: AppState, request: Request, *, carries_session: bool) -> None:
    """Warn of tokens in headers for a client that may not expect them there.

    :param carries_session: whether the request carried a session, so that the client can keep tokens.
    """
    if accepts_html(request):
        logger.warning(
            "The tokens of a new session are sent in headers to a client that accepts text/html. A browser "
            "without a SuperTokens SDK does not keep them: for such clients, set "
            "STSESSION_TOKEN_TRANSFER_METHOD = 'cookie'."
        )
    elif (
        app_state.config.token_transfer_method == "any"
        and not carries_session
        and AUTH_MODE_HEADER not in request.headers
        and (is_in_development(app_state.app) or is_sent_by_browser(request))
    ):
        logger.warning(
            "The tokens of a new session are sent in headers, because %s %r has no header st-auth-mode. "
            'Write fetch(url, {headers: {"st-auth-mode": "cookie"}}) to make the browser keep them, or '
            '"header" if the client keeps them itself.%s',
            request.method,
            request.path,
            _IN_TESTS if app_state.app.testing else "",
        )


def _end_replaced(app_state: AppState, handle: str) -> None:
    try:
        app_state.extension.revoke_session(handle)
    except CoreUnavailableError as error:  # the client must still receive its new session
        logger.error("Session %r has been replaced, but could not be ended: %s", handle, error)


def sign_out(app_state: AppState, state: RequestState) -> bool:
    """End the session of this request, if there is one; clear the client even if there is none.

    :param state: of this request.
    :returns: ``False`` if the session may still exist in the core.
    :raises UnauthorisedError: another site caused the request; nothing is ended or cleared.
    :raises CoreUnavailableError: the core did not answer; nothing is cleared.
    """
    request = this_request()
    refuse_foreign_sign_out(app_state)
    if state.session is not None:
        state.session.revoke_session()
        publish(None, this_g())
        state.forget_session()
        return True
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    token, method = _authentic_token(app_state, request, sent)
    if token is not None and method is not None:
        app_state.extension.revoke_session(token.session_handle)
        state.changes.clear(method)
        state.forget_session()
        return True
    has_ended = _ended_without_access_token(app_state, sent)
    state.changes.end_session()
    state.forget_session()
    return has_ended


def _ended_without_access_token(app_state: AppState, sent: RequestTokens) -> bool:
    """End the session of a client whose access token is missing or cannot be verified.

    :param sent: the tokens of this request.
    :returns: ``False`` if the session may still exist in the core.
    """
    refresh_tokens = _refresh_tokens_in(sent, app_state)
    for refresh_token in refresh_tokens:
        try:
            session = app_state.manager.refresh(refresh_token)  # the only way to get the handle
        except (UnauthorisedError, TokenTheftError):
            continue  # it has ended
        app_state.extension.revoke_session(session.get_handle())
    parsed = (tokens.parse(raw) for raw, _ in sent.access_candidates())
    unverified = next((token for token in parsed if token is not None), None)
    if unverified is None or refresh_tokens:
        return True
    logger.warning(
        "Signed out on the client only: the access token of session %r can no longer be verified, so the "
        "session was not ended in the core. It ends there unless it is refreshed. Use revoke_session(handle) "
        "to end it now.",
        unverified.session_handle,
    )
    return False


def refresh_tokens_of(app_state: AppState) -> list[str]:
    """Return the refresh tokens that the current request carries."""
    return _refresh_tokens_in(read_tokens(this_request().environ, app_state.config.cookie_names), app_state)


def _refresh_tokens_in(sent: RequestTokens, app_state: AppState) -> list[str]:
    allowed = allowed_transfer(app_state.config, this_request(), for_create_new_session=False)
    by_header = [] if sent.bearer is None or allowed == "cookie" else [sent.bearer]
    by_cookie = [] if allowed == "header" else sent.refresh_cookies
    return [raw for raw in (*by_header, *by_cookie) if has_shape_of_refresh_token(raw)]


class _Carried(NamedTuple):
    """The session that a request carries, and that a new session replaces."""

    handle: str
    method: TransferMethod | None
    remember: bool


def _carried_session(
    app_state: AppState, request: Request, state: RequestState, sent: RequestTokens
) -> _Carried | None:
    """Return the live session that a request carries; its access token may have expired."""
    session = state.session or state.peeked
    if session is not None:
        return _Carried(session.get_handle(), session.transfer_method, session.remember)
    if sent.bearer is None and not sent.access_cookies:
        return None  # nearly always
    token, method = _authentic_token(app_state, request, sent)
    if token is None or app_state.manager.is_revoked(token.session_handle):
        return None
    return _Carried(token.session_handle, method, token.remember)


def refuse_foreign_sign_out(app_state: AppState) -> None:
    """Refuse a sign-out by cookie that another site caused, before any request to the core.

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
    keep_cookies_from_other_sites(app_state.config, request, state, method)
    state.sender_checked = True


def _refuse_unconfigured_host(config: Config, request: Request) -> None:
    if config.api_domain is not None:
        return
    is_forwarded = any(map(re.compile(_FORWARDING).fullmatch, request.environ))
    problem = unconfigured_host_problem(
        config,
        request.environ.get("HTTP_HOST") or request.host,
        scheme=request.scheme,
        forwarded=is_forwarded,
        from_outside=is_forwarded and any(map(is_public_address, _forwarded_for(request))),
    )
    # A proxy may have replaced the browser's Host by an address of its own.
    for scheme, host in _forwarded_hosts(request) if is_forwarded else ():
        problem = unconfigured_host_problem(config, host, scheme=scheme, forwarded=False) or problem
    if problem is not None:
        raise ConfigError(problem)


def _forwarded_hosts(request: Request) -> Iterator[tuple[str, str]]:
    """Yield scheme and host of the original request, as each proxy reports them."""
    for named in _forwarded_elements(request):
        if named.get("host"):
            yield _scheme(request, named.get("proto", "")), named["host"]
    scheme = _scheme(request, request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip())
    for host in filter(None, map(str.strip, request.headers.get("X-Forwarded-Host", "").split(","))):
        yield scheme, host


def _forwarded_for(request: Request) -> Iterator[str]:
    """Yield the clients that proxies name: addresses, with ports or without, or other words."""
    for named in _forwarded_elements(request):
        yield named.get("for", "")
    for header in ("X-Forwarded-For", "X-Real-IP"):
        yield from map(str.strip, request.headers.get(header, "").split(","))


def _forwarded_elements(request: Request) -> Iterator[dict[str, str]]:
    """Yield what each proxy says in ``Forwarded`` (RFC 7239, 4)."""
    for element in request.headers.get("Forwarded", "").split(","):
        pairs = (pair.partition("=") for pair in element.split(";"))
        yield {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _scheme(request: Request, named: str) -> str:
    return named if named in ("http", "https") else request.scheme


def _authentic_token(
    app_state: AppState, request: Request, sent: RequestTokens
) -> tuple[AccessToken | None, TransferMethod | None]:
    """Return this request's access token, expired or not, if the core signed it."""
    allowed = allowed_transfer(app_state.config, request, for_create_new_session=False)
    for raw, method in sent.access_candidates(allowed):
        try:
            token = app_state.manager.verifier.verify(raw, allow_expired=True)
        except TryRefreshTokenError:
            continue
        if token is not None:
            return token, method
    return None, None
