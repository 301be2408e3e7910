"""Exchange the refresh token of the current request for new tokens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..constants import ANTI_CSRF_HEADER, RID_HEADER, TransferMethod
from ..errors import (
    ClearDuplicateSessionCookiesError,
    DuplicateSessionCookiesError,
    Reason,
    SessionHTTPError,
    TokenTheftError,
    UnauthorisedError,
)
from ..sessions.client_changes import StrayCookie
from ..tokens import access_token as tokens
from ..tokens.refresh_token import has_shape_of_refresh_token
from . import csrf
from .context import RequestState, hand_out, origin_of_api, request_state, this_request
from .navigation import keep_cookies_from_other_sites
from .transport import RequestTokens, allowed_transfer, read_tokens
from .verify import record_verdict

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config
    from ..sessions.session import Session
    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")


def refresh(app_state: AppState) -> Session:
    """Exchange this request's refresh token for new tokens (FDI: ``POST {base}/session/refresh``).

    :raises SessionHTTPError: the verdict, with what it clears on the client already recorded.
    """
    try:
        return _refreshed(app_state)
    except SessionHTTPError as error:
        record_verdict(app_state, error)
        raise


def _refreshed(app_state: AppState) -> Session:
    request = this_request()
    state = request_state(request)
    config = app_state.config
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    allowed = allowed_transfer(config, request, for_create_new_session=False)
    method, refresh_token = _refresh_token(sent, allowed)
    keep_cookies_from_other_sites(config, request, state.changes, method if refresh_token else "cookie")
    _refuse_duplicates(config, request, sent, state)
    if refresh_token is None:
        state.changes.clear_legacy_cookie = sent.legacy
        if allowed != "header" and any(map(tokens.parse, sent.access_cookies)):
            _warn_of_lost_refresh_cookie(config, request)
        raise UnauthorisedError(
            "The request carries no refresh token; the refresh cookie is sent to "
            f"{config.mount_path(request.script_root)}/session/refresh only.",
            reason=Reason.REFRESH_TOKEN_MISSING,
        )
    if method == "cookie" and not state.origin_checked:
        _check_anti_csrf(config, request)
    try:
        session = app_state.manager.refresh(
            refresh_token,
            anti_csrf_token=request.headers.get(ANTI_CSRF_HEADER),
            enable_anti_csrf=method == "cookie" and config.anti_csrf == "VIA_TOKEN",
            tenant_id=app_state.extension.get_tenant_id(),
            transfer_method=method,
            context=state.context,
        )
    except (UnauthorisedError, TokenTheftError):
        state.changes.clear_legacy_cookie = sent.legacy
        if method == "cookie":
            _warn_of_another_app(config, request, sent)
        raise
    if method == "cookie" and sent.bearer is not None and allowed == "cookie":
        state.changes.clear("header")
    if method == "header" and sent.refresh_cookies:
        state.changes.clear("cookie")
    state.changes.clear_legacy_cookie = sent.legacy
    hand_out(state, session)
    return session


def _warn_of_lost_refresh_cookie(config: Config, request: Request) -> None:
    """Say why an access cookie may come without the refresh cookie: browsers know another path."""
    logger.warning(
        "A refresh at %r came with the cookie %s, but without %s, whose path is %r. Unless it has expired, "
        "browsers know this route by another path: if a proxy strips a prefix, write it in "
        "STSESSION_API_GATEWAY_PATH. Until then every refresh signs its user out.",
        request.script_root + request.path,
        config.cookie_names.access,
        config.cookie_names.refresh,
        f"{config.mount_path(request.script_root)}/session/refresh",
    )


def _warn_of_another_app(config: Config, request: Request, sent: RequestTokens) -> None:
    """Say what happened where an access token that came along is of another app on this host name.

    Browsers tell no ports apart: the cookies of two such apps replace each other.
    """
    ours = config.issuer or config.base_url(origin_of_api(request), request.script_root)
    parsed = filter(None, map(tokens.parse, sent.access_cookies))
    issuers = {issuer for each in parsed if isinstance(issuer := each.payload().get("iss"), str)}
    if issuers and ours not in issuers:
        logger.warning(
            "A refresh token of no session here came with an access token of the issuer %.200r; ours is %r. "
            "If that is another app on this host name, its cookies and ours replace each other: give each of "
            "the two its own STSESSION_COOKIE_PREFIX.",
            min(issuers),
            ours,
        )


def _refresh_token(sent: RequestTokens, allowed: str) -> tuple[TransferMethod, str | None]:
    """Return the refresh token that counts: the bearer token, else the cookie (FDI).

    Beside a cookie, a bearer token of another shape is none: proxies add their own.
    """
    cookie = sent.refresh_cookies[0] if sent.refresh_cookies and allowed != "header" else None
    bearer = sent.bearer if allowed != "cookie" else None
    if bearer is not None and (not cookie or has_shape_of_refresh_token(bearer)):
        return "header", bearer
    return ("cookie", cookie) if cookie else ("header", None)


def _check_anti_csrf(config: Config, request: Request) -> None:
    """What can be checked without the core; the token of ``VIA_TOKEN`` is the core's to check."""
    origin = origin_of_api(request)
    mode = config.decisions(origin).anti_csrf
    if mode == "VIA_TOKEN":
        return
    found = csrf.problem(
        mode,
        rid_present=RID_HEADER in request.headers,
        sec_fetch_site=request.headers.get("Sec-Fetch-Site"),
        origin=request.headers.get("Origin"),
        allowed_origins=config.trusted_origins(origin),
    )
    if found is not None:
        reason, message = found
        csrf.warn_of_hidden_origin(mode, request.headers.get("Origin"), message)
        # VIA_ORIGIN cannot tell who asks: it may be another site.
        raise UnauthorisedError(message, reason=reason, clear_tokens=mode != "VIA_ORIGIN")


def _refuse_duplicates(config: Config, request: Request, sent: RequestTokens, state: RequestState) -> None:
    """Expire what a change of the cookie domain left behind, so that the client is not stuck."""
    refresh_path = f"{config.mount_path(request.script_root)}/session/refresh"
    paths = {config.cookie_names.access: "/", config.cookie_names.refresh: refresh_path}
    found = {
        config.cookie_names.access: sent.access_cookies,
        config.cookie_names.refresh: sent.refresh_cookies,
    }
    duplicated = [name for name, values in found.items() if len(values) > 1]
    if not duplicated:
        return
    older = config.older_cookie_domain
    if older is not None:
        strays = [StrayCookie(name, older or None, paths[name]) for name in duplicated]
        state.changes.stray_cookies += tuple(strays)
        raise ClearDuplicateSessionCookiesError
    logger.error(
        "A request carries several cookies named %s, left over from another cookie domain. All of them are "
        "being cleared, which may end the session. Set STSESSION_OLDER_COOKIE_DOMAIN to the domain that "
        "STSESSION_COOKIE_DOMAIN had before ('' if it had none) to keep such sessions.",
        " and ".join(duplicated),
    )
    places = [(domain, path) for domain in _cookie_domains(config) for path in _ancestors(refresh_path)]
    state.changes.stray_cookies += tuple(
        StrayCookie(name, domain, path) for name in duplicated for domain, path in places
    )
    raise DuplicateSessionCookiesError(clear_tokens=False)


def _cookie_domains(config: Config) -> list[str | None]:
    """Where cookies of ours may lie: never from the request's Host header, which anybody can set."""
    domains: list[str | None] = [None]
    if config.cookie_domain is not None:
        domains.append(config.cookie_domain.lstrip("."))  # a dot makes no other cookie (RFC 6265, 5.2.3)
    if config.api is not None:
        domains.extend(config.sites.registrable_parents(config.api.host))
    return list(dict.fromkeys(domains))


def _ancestors(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/", *("/" + "/".join(parts[: count + 1]) for count in range(len(parts)))]
