"""Creating, refreshing and ending the session of the current request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..config.checks import insecure_none_problem, unconfigured_host_problem
from ..constants import (
    ACCESS_TOKEN_COOKIE,
    ANTI_CSRF_HEADER,
    REFRESH_TOKEN_COOKIE,
    RID_HEADER,
    TransferMethod,
)
from ..errors import (
    ClearDuplicateSessionCookiesError,
    ConfigError,
    DuplicateSessionCookiesError,
    Reason,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from ..sessions.client_changes import StrayCookie
from . import csrf
from .context import RequestState, publish, state_of, this_request
from .transport import RequestTokens, accepts_html, allowed_transfer, method_of_new_session, read_tokens
from .verify import origin_of_api

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config
    from ..extension import STSession
    from ..sessions.new_session import NewSession
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken

logger = logging.getLogger("flask_stsession")


def create(
    ext: STSession,
    new: NewSession,
) -> Session:
    """A new session for the client of this request; its tokens go out with the response.

    :raises ConfigError: the app is not configured for the host it is reached by, or its cookies would
        not be kept.
    """
    config = ext.config
    request = this_request()
    state = state_of(request)
    origin = origin_of_api(request)
    _refuse_unconfigured_host(config, request)
    method = method_of_new_session(config, request)
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
    session = ext.manager.create(
        new,
        claims=ext.session_claims,
        issuer=config.issuer(origin, request.script_root),
        enable_anti_csrf=uses_token,
        transfer_method=method,
        context=state.context,
    )
    sent = read_tokens(request.environ)
    if method == "cookie" and sent.bearer is not None:
        state.changes.clear("header")
    if method == "header" and sent.access_cookies:
        state.changes.clear("cookie")
    _hand_out(state, session)
    return session


def refresh(ext: STSession) -> Session:
    """New tokens for those of this request (FDI: ``POST {base}/session/refresh``).

    :raises SessionHTTPError: the verdict; the caller records what it clears.
    """
    request = this_request()
    state = state_of(request)
    state.consulted = True
    config = ext.config
    sent = read_tokens(request.environ)
    _refuse_duplicates(config, request, sent, state)
    allowed = allowed_transfer(config, request, for_create_new_session=False)
    method, refresh_token = _refresh_token(sent, allowed)
    if refresh_token is None:
        state.changes.clear_legacy_cookie = sent.legacy
        raise UnauthorisedError(
            "The request carries no refresh token; the refresh cookie is sent to "
            f"{config.mount_path(request.script_root)}/session/refresh only.",
            reason=Reason.REFRESH_TOKEN_MISSING,
        )
    if method == "cookie" and not state.origin_checked:
        _check_anti_csrf(config, request)
    try:
        session = ext.manager.refresh(
            refresh_token,
            anti_csrf_token=request.headers.get(ANTI_CSRF_HEADER),
            enable_anti_csrf=method == "cookie" and config.anti_csrf == "VIA_TOKEN",
            transfer_method=method,
            context=state.context,
        )
    except (UnauthorisedError, TokenTheftError):
        state.changes.clear_legacy_cookie = sent.legacy
        raise
    if method == "cookie" and sent.bearer is not None:
        state.changes.clear("header")
    if method == "header" and sent.refresh_cookies:
        state.changes.clear("cookie")
    state.changes.clear_legacy_cookie = sent.legacy
    _hand_out(state, session)
    return session


def sign_out(ext: STSession) -> None:
    """End the session of this request, if there is one; clear the client in any case.

    :raises CoreUnavailableError: the core did not answer; nothing is cleared.
    """
    request = this_request()
    state = state_of(request)
    state.consulted = True
    if state.session is not None:
        state.session.revoke_session()
        publish(None)
    else:
        token, method = _authentic_token(ext, request)
        if token is None or method is None:
            state.changes.end_session()
        else:
            ext.manager.revoke([token.session_handle])
            state.changes.clear(method)
    state.forget_session()


def _hand_out(state: RequestState, session: Session) -> None:
    state.consulted = True
    state.session = session
    session.attach(state.changes)
    publish(session)


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


def _refresh_token(sent: RequestTokens, allowed: str) -> tuple[TransferMethod, str | None]:
    """The token that counts: any bearer token, else the cookie (FDI)."""
    if sent.bearer is not None and allowed != "cookie":
        return "header", sent.bearer
    if sent.refresh_cookies and sent.refresh_cookies[0] and allowed != "header":
        return "cookie", sent.refresh_cookies[0]
    return "header", None


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
        raise UnauthorisedError(message, reason=reason)


def _refuse_duplicates(config: Config, request: Request, sent: RequestTokens, state: RequestState) -> None:
    """Expire what a change of the cookie domain left behind, so that the client is not stuck."""
    refresh_path = f"{config.mount_path(request.script_root)}/session/refresh"
    paths = {ACCESS_TOKEN_COOKIE: "/", REFRESH_TOKEN_COOKIE: refresh_path}
    found = {ACCESS_TOKEN_COOKIE: sent.access_cookies, REFRESH_TOKEN_COOKIE: sent.refresh_cookies}
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


def _authentic_token(ext: STSession, request: Request) -> tuple[AccessToken | None, TransferMethod | None]:
    """This request's token if the core made it, expired or not."""
    sent = read_tokens(request.environ)
    allowed = allowed_transfer(ext.config, request, for_create_new_session=False)
    candidates: list[tuple[str, TransferMethod]] = []
    if sent.bearer is not None and allowed != "cookie":
        candidates.append((sent.bearer, "header"))
    if allowed != "header":
        candidates.extend((value, "cookie") for value in sent.access_cookies)
    for raw, method in candidates:
        try:
            token = ext.manager.verifier.verify(raw, allow_expired=True)
        except TryRefreshTokenError:
            continue
        if token is not None:
            return token, method
    return None, None
