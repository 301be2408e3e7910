"""Exchange the refresh token of the current request for new tokens."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from ..constants import ANTI_CSRF_HEADER, TransferMethod
from ..errors import (
    ClearDuplicateSessionCookiesError,
    DuplicateSessionCookiesError,
    Reason,
    TokenTheftError,
    UnauthorisedError,
)
from ..sessions.client_changes import StrayCookie
from ..tokens import access_token as tokens
from ..tokens.refresh_token import has_shape_of_refresh_token
from . import csrf
from .context import RequestState, hand_out, origin_of_api, this_request
from .navigation import keep_cookies_from_other_sites
from .stray_cookies import left_behind, strays_of, warn_of, with_paths
from .transport import RequestTokens, allowed_transfer, read_tokens

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import AllowedTransfer, Config
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken
    from .base import AppState

#: How many expired cookies fit into a response with new tokens, and into one without (nginx reads 4 KB).
_FEW, _MANY = 12, 24

logger: logging.Logger = logging.getLogger("flask_stsession")


def refresh(app_state: AppState, state: RequestState) -> Session:
    """Exchange this request's refresh token for new tokens (FDI: ``POST {base}/session/refresh``).

    :param state: of this request.
    :raises SessionHTTPError: the verdict; what it clears on the client is yet to be recorded.
    """
    request = this_request()
    config = app_state.config
    sent = read_tokens(request.environ, config.cookie_names)
    allowed = allowed_transfer(config, request, for_create_new_session=False)
    method, refresh_token = _refresh_token(sent, allowed)
    keep_cookies_from_other_sites(config, request, state, method if refresh_token else "cookie")
    if allowed != "header" and config.older_cookie_domain is not None:
        _clear_older_domain(app_state, request, sent, state)
    if method == "cookie" and len(sent.refresh_cookies) > 1:
        refresh_token = _own_refresh_token(config, request, sent, state, allowed)
    if refresh_token is None:
        _expire_strays(config, request, sent, state, allowed, has_ended=True)
        if allowed != "header" and any(map(tokens.parse, sent.access_cookies)):
            _warn_of_lost_refresh_cookie(config, request)
        raise UnauthorisedError(
            "The request carries no refresh token; the refresh cookie is sent to "
            f"{config.refresh_path(request.script_root)} only.",
            reason=Reason.REFRESH_TOKEN_MISSING,
        )
    if method == "cookie" and not state.origin_checked:
        _check_anti_csrf(app_state, request)
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
        _expire_strays(config, request, sent, state, allowed, has_ended=True)
        if method == "cookie":
            _warn_of_another_app(config, request, sent)
        raise
    app_state.extension.refuse_refresh_of_ended(session, app_state)
    if method == "cookie" and sent.bearer is not None and allowed == "cookie":
        state.changes.clear("header")
    if method == "header" and sent.refresh_cookies:
        state.changes.clear("cookie")
    if sent.access_cookies or sent.refresh_cookies or sent.legacy:  # seldom where tokens travel by header
        _expire_strays(config, request, sent, state, allowed)
    hand_out(state, session)
    return session


def _warn_of_lost_refresh_cookie(config: Config, request: Request) -> None:
    """Log why the refresh cookie may be missing beside an access cookie: browsers see another path."""
    logger.warning(
        "A refresh at %r came with the cookie %s, but without %s, whose path is %r. Unless it has expired, "
        "browsers see this route at another path: if a proxy strips a prefix, set STSESSION_API_GATEWAY_PATH "
        "to that prefix. Until then every refresh signs its user out.",
        request.script_root + request.path,
        config.cookie_names.access,
        config.cookie_names.refresh,
        config.refresh_path(request.script_root),
    )


def _warn_of_another_app(config: Config, request: Request, sent: RequestTokens) -> None:
    """Log that the request carries an access token of another app on this host name.

    Cookies ignore the port: those of two such apps replace each other.
    """
    ours = config.issuer or config.base_url(origin_of_api(request), request.script_root)
    parsed = filter(None, map(tokens.parse, sent.access_cookies))
    issuers = {issuer for each in parsed if isinstance(issuer := each.shared_payload.get("iss"), str)}
    if issuers and ours not in issuers:
        logger.warning(
            "A refresh token that belongs to no session here came with an access token of the issuer %.200r; "
            "ours is %r. If that is another app on this host name, its cookies and ours replace each other: "
            "give each of the two its own STSESSION_COOKIE_PREFIX.",
            min(issuers),
            ours,
        )


def _refresh_token(sent: RequestTokens, allowed: AllowedTransfer) -> tuple[TransferMethod, str | None]:
    """Return the refresh token to use: the bearer token, or else the cookie (FDI).

    Beside a cookie, a bearer token of another format is ignored: proxies add their own.
    """
    cookie = sent.refresh_cookies[0] if sent.refresh_cookies and allowed != "header" else None
    bearer = sent.bearer if allowed != "cookie" else None
    if bearer is not None and (not cookie or has_shape_of_refresh_token(bearer)):
        return "header", bearer
    return ("cookie", cookie) if cookie else ("header", None)


def _check_anti_csrf(app_state: AppState, request: Request) -> None:
    """Check anti-CSRF, except for the token of ``VIA_TOKEN``, which the core checks itself."""
    config, origin, headers = app_state.config, origin_of_api(request), request.headers
    mode = config.anti_csrf_for(origin)
    if mode in ("NONE", "VIA_TOKEN"):
        return
    allowed = config.trusted_origins(origin)
    found = csrf.problem(mode, headers, allowed_origins=allowed, is_tested=app_state.app.testing)
    if found is not None:
        reason, message = found
        csrf.warn_of_hidden_origin(mode, headers, message)
        # Under VIA_ORIGIN the request may come from another site, which must not clear anything.
        raise UnauthorisedError(message, reason=reason, clear_tokens=mode != "VIA_ORIGIN")


def _clear_older_domain(
    app_state: AppState, request: Request, sent: RequestTokens, state: RequestState
) -> None:
    """Expire the cookies of an older cookie domain, and make the client refresh again.

    :raises ClearDuplicateSessionCookiesError: there are two cookies of one name.
    """
    config = app_state.config
    found = with_paths(config, request, sent)
    # More than two of one name cannot all come from the two domains. If the same cookies come again, they do
    # not belong to the older domain: the client would be made to refresh for ever.
    if not any(len(values) == 2 for *_, values in found) or app_state.asked_again.again(sent):
        return
    older = config.older_cookie_domain or None
    state.changes.older_cookies = tuple(
        StrayCookie(name, older, path) for name, path, values in found if len(values) > 1
    )
    state.changes.front_token = _newest_front_token(sent)
    raise ClearDuplicateSessionCookiesError


def _own_refresh_token(
    config: Config, request: Request, sent: RequestTokens, state: RequestState, allowed: AllowedTransfer
) -> str | None:
    """Return the refresh token whose hash is in the newest access token that names one of those sent.

    If none does and at most one has the shape of a refresh token, return that one, or else the first.

    :raises SessionHTTPError: there is none, or a response with new tokens has no room to expire the others.
        The client refreshes again; or the user signs in again, if there is no access token for the front
        token that SDKs need.
    """
    candidates = list(dict.fromkeys(filter(has_shape_of_refresh_token, sent.refresh_cookies)))
    hashes = {hashlib.sha256(each.encode()).hexdigest(): each for each in candidates}
    wanted = (token.refresh_token_hash1 for token in _newest_first(sent))
    own = next((hashes[each] for each in wanted if each in hashes), None)
    if own is None and len(candidates) < 2:
        return candidates[0] if candidates else sent.refresh_cookies[0]
    _expire_strays(config, request, sent, state, allowed)
    strays = state.changes.strays
    if own is not None and not (strays and _FEW < len(strays.likely) <= _MANY):
        return own
    state.changes.front_token = _newest_front_token(sent)
    if state.changes.front_token is None:
        raise DuplicateSessionCookiesError
    raise ClearDuplicateSessionCookiesError


def _newest_first(sent: RequestTokens) -> list[AccessToken]:
    found = filter(None, map(tokens.parse, sent.access_cookies))
    return sorted(found, key=lambda token: token.expires_at, reverse=True)


def _newest_front_token(sent: RequestTokens) -> str | None:
    """Return the front token of the newest access token: frontend SDKs accept no 200 without one."""
    newest = _newest_first(sent)
    return tokens.front_token(newest[0].shared_payload) if newest else None


def _expire_strays(
    config: Config,
    request: Request,
    sent: RequestTokens,
    state: RequestState,
    allowed: AllowedTransfer,
    *,
    has_ended: bool = False,
) -> None:
    if state.pending is not None and state.pending.strays is not None:
        return
    strays = strays_of(config, request, sent, allowed)
    if strays is not None:
        warn_of(strays)
    elif has_ended and allowed != "header":
        strays = left_behind(config, request, sent)
    if strays is not None:
        state.changes.strays = strays
