"""Choose the access token that counts among those that a request carries, and say why none does.

Source: the Frontend Driver Interface (FDI). Pure functions, for callers with and without Flask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..constants import TransferMethod
from ..errors import Reason, TryRefreshTokenError, UnauthorisedError
from ..tokens import access_token as tokens
from .transport import RequestTokens, read_tokens

if TYPE_CHECKING:
    from ..config.config import AllowedTransfer, CookieNames
    from ..sessions.manager import SessionManager
    from ..tokens.access_token import AccessToken


def verified_token(
    environ: dict[str, Any], names: CookieNames, allowed: AllowedTransfer, manager: SessionManager
) -> tuple[AccessToken | None, TransferMethod | None]:
    """Return the token of a request that counts, verified, and how it came; ``None`` twice without one.

    :param environ: the WSGI environment.
    :param names: of our cookies.
    :param allowed: the transfer methods to look at.
    :raises TryRefreshTokenError: it has expired or is not genuine, or nobody can tell which one counts.
    """
    raw, method = sole_access_token(environ, names)
    if raw is not None and (allowed == "any" or allowed == method):
        # Nearly every request: one token, and nothing to weigh it against. No token has a quote, a blank or a
        # percent sign in it, so with those the value counts as none.
        token = manager.verifier.verify_known(raw) or manager.verifier.verify_unknown(raw)
        if token is not None:
            return token, method
    sent = read_tokens(environ, names)
    return choose_token(sent, allowed, verify=manager.verifier.verify, is_revoked=manager.is_revoked)


def sole_access_token(
    environ: dict[str, Any], names: CookieNames
) -> tuple[str, TransferMethod] | tuple[None, None]:
    """Return the only access token of a request as clients send it, and how it came.

    The value is as it stands in the header: quotes, blanks and percent signs included. It counts if it is a
    token; else :func:`read_tokens` has to look closer.

    :returns: ``None`` twice where there is none, or several.
    """
    authorization: str | None = environ.get("HTTP_AUTHORIZATION")
    cookies: str | None = environ.get("HTTP_COOKIE")
    if cookies is None:
        scheme, _, value = (authorization or "").partition(" ")
        return (value, "header") if scheme == "Bearer" else (None, None)
    if authorization is not None:
        return None, None
    before, found, after = cookies.partition(names.start)
    value, _, after = after.partition(";")
    if before or after:
        others = before + after
        if names.access in others or (names.legacy is not None and names.legacy in others):
            return None, None
        if before and not (before[-1] == " " and len(before) > 1 and before[-2] == ";"):
            return None, None
    return (value, "cookie") if found else (None, None)


def choose_token(
    sent: RequestTokens,
    allowed: AllowedTransfer,
    *,
    verify: Callable[[str], AccessToken | None],
    is_revoked: Callable[[str], bool],
) -> tuple[AccessToken | None, TransferMethod | None]:
    """Return the token that counts: the header's if it is a session's at all, else the cookie's.

    :param sent: the tokens of the request.
    :param allowed: the transfer methods to look at.
    :param verify: verifies a token; returns ``None`` for one that is not a session's.
    :param is_revoked: returns whether the session with a handle was revoked through this process.
    :raises TryRefreshTokenError: it has expired or is not genuine, or nobody can tell which one counts.
    """
    if sent.legacy:
        raise TryRefreshTokenError(
            "The request carries a session of an SDK older than 2022 (cookie sIdRefreshToken); "
            "refreshing ends that.",
            reason=Reason.LEGACY_SESSION,
        )
    if sent.bearer is not None and allowed != "cookie":
        token = verify(sent.bearer)
        # Behind a proxy that drops empty headers, a client keeps a token that a cookie has replaced.
        is_replaced = bool(sent.access_cookies) and allowed == "any"
        if token is not None and not (is_replaced and is_revoked(token.session_handle)):
            return token, "header"
    if sent.access_cookies and allowed != "header":
        if len(sent.access_cookies) > 1:
            if any(tokens.parse(value) is not None for value in sent.access_cookies):
                raise TryRefreshTokenError(
                    "The request carries several sAccessToken cookies, left over from another cookie "
                    "domain; refreshing clears them.",
                    reason=Reason.DUPLICATE_COOKIES,
                )
            return None, None
        token = verify(sent.access_cookies[0])
        if token is not None:
            return token, "cookie"
    return None, None


def no_token(sent: RequestTokens) -> UnauthorisedError:
    """Return the verdict on a request without an access token that counts.

    Nothing is cleared: another request of the same client may be refreshing at this moment.
    """
    candidates = [sent.bearer, *sent.access_cookies]
    if any(value and tokens.parse(value) is not None for value in candidates):
        return UnauthorisedError(
            "The access token came by a transfer method that STSESSION_TOKEN_TRANSFER_METHOD does not allow.",
            reason=Reason.WRONG_TRANSFER,
            clear_tokens=False,
        )
    if any(candidates):
        return UnauthorisedError(
            "The value sent as access token is not a session token.",
            reason=Reason.MALFORMED,
            clear_tokens=False,
        )
    return UnauthorisedError(
        "The request carries no access token.", reason=Reason.NO_TOKEN, clear_tokens=False
    )
