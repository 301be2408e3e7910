"""Choose one of the access tokens that a request carries, or say why there is none to use.

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
    """Return the verified access token of a request and its transfer method, or ``(None, None)``.

    :param environ: the WSGI environment.
    :param names: of our cookies.
    :param allowed: the allowed transfer methods.
    :raises TryRefreshTokenError: the token has expired or is not genuine, or there are several cookies.
    """
    raw, method = sole_access_token(environ, names)
    if raw is not None and (allowed == "any" or allowed == method):
        # Nearly every request carries a single token. A value with a quote, a blank or a percent sign is not
        # a token as it stands, so the checks below decode it.
        token = manager.verifier.verify_known(raw) or manager.verifier.verify_unknown(raw)
        if token is not None:
            return token, method
    sent = read_tokens(environ, names)
    return choose_token(sent, allowed, verify=manager.verifier.verify, is_revoked=manager.is_revoked)


def sole_access_token(
    environ: dict[str, Any], names: CookieNames
) -> tuple[str, TransferMethod] | tuple[None, None]:
    """Return the only access token of a request, undecoded, and its transfer method.

    The value is as it stands in the header, with quotes, blanks and percent signs. If it is not a token,
    :func:`read_tokens` has to decode it.

    :returns: ``(None, None)`` if there is none, or if there may be several.
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
        if before and not before.endswith("; "):
            return None, None
    return (value, "cookie") if found else (None, None)


def choose_token(
    sent: RequestTokens,
    allowed: AllowedTransfer,
    *,
    verify: Callable[[str], AccessToken | None],
    is_revoked: Callable[[str], bool],
) -> tuple[AccessToken | None, TransferMethod | None]:
    """Return the token of the header if it is a session token, or else that of the cookie.

    :param sent: the tokens of the request.
    :param allowed: the allowed transfer methods.
    :param verify: verifies a token; returns ``None`` if it is not a session token.
    :param is_revoked: returns whether this process has revoked the session with a handle.
    :raises TryRefreshTokenError: the token has expired or is not genuine, or there are several cookies.
    """
    if sent.legacy:
        raise TryRefreshTokenError(
            "The request carries a session of an SDK older than 2022 (cookie sIdRefreshToken); "
            "a refresh ends it.",
            reason=Reason.LEGACY_SESSION,
        )
    if sent.bearer is not None and allowed != "cookie":
        token = verify(sent.bearer)
        # Behind a proxy that drops empty headers, a client keeps a header token after cookies replaced it.
        is_replaced = bool(sent.access_cookies) and allowed == "any"
        if token is not None and not (is_replaced and is_revoked(token.session_handle)):
            return token, "header"
    if sent.access_cookies and allowed != "header":
        if len(sent.access_cookies) > 1:
            if any(tokens.parse(value) is not None for value in sent.access_cookies):
                raise TryRefreshTokenError(
                    "The request carries several sAccessToken cookies, some left over from another cookie "
                    "domain; a refresh clears them.",
                    reason=Reason.DUPLICATE_COOKIES,
                )
            return None, None
        token = verify(sent.access_cookies[0])
        if token is not None:
            return token, "cookie"
    return None, None


def no_token(sent: RequestTokens) -> UnauthorisedError:
    """Return the verdict on a request without an access token to use.

    It clears nothing: another request of the same client may be refreshing at this moment.
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
