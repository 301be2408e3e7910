"""Verify access tokens of the core's OAuth2 provider, which belong to no session.

Sources: RFC 9068 (JWT profile for access tokens), and the OAuth2Provider recipe of the SuperTokens SDKs:
``stt`` is 1, and the keys are those of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import ClaimValidationError, InvalidClaimsError, Reason, UnauthorisedError
from .access_token import MAX_EXPIRY_SECONDS, read_jwt
from .verifier import is_genuine

if TYPE_CHECKING:
    from .verifier import SigningKeys

#: ``stt`` of an access token of the OAuth2 provider; that of a session is 0, or absent.
_OAUTH2: Final = 1
#: How far our clock may be behind the provider's, in s (RFC 7519, 4.1.5: "small leeway").
_LEEWAY_SECONDS: Final = 60


def verified_payload(raw: str, keys: SigningKeys, *, now: float) -> dict[str, Any]:
    """Return the payload of an access token of the OAuth2 provider.

    :param raw: the value that was sent as access token.
    :param keys: the core's signing keys, of both kinds.
    :param now: the time, in s since 1970.
    :raises UnauthorisedError: it is not such a token, has expired, or is not genuine.
    :raises CoreUnavailableError: there are no keys to check it with, and the core is unreachable.
    """
    found = read_jwt(raw)
    header, payload = ({}, {}) if found is None else found
    kid, token_type = header.get("kid"), payload.get("stt")
    if not isinstance(kid, str) or type(token_type) is not int or token_type != _OAUTH2:
        raise _refused(
            "The value given as token is not an access token of the OAuth2 provider.", Reason.MALFORMED
        )
    expires_at, begins_at = _time(payload, "exp"), _time(payload, "nbf")
    if expires_at is None or expires_at <= now:
        raise _refused("The OAuth2 access token has expired, or does not say when it does.", Reason.EXPIRED)
    if begins_at is not None and begins_at > now + _LEEWAY_SECONDS:
        raise _refused("The OAuth2 access token is not valid yet.", Reason.EXPIRED)
    key = keys.get(kid)
    if key is None:
        raise _refused(f"The core has no signing key {kid}.", Reason.UNKNOWN_KID)
    if not is_genuine(raw, header.get("alg"), key):
        raise _refused(
            f"The signature of the OAuth2 access token is not that of key {kid}.", Reason.BAD_SIGNATURE
        )
    return payload


def check_requirements(
    payload: dict[str, Any], *, audience: str | None, client_id: str | None, scopes: Sequence[str]
) -> None:
    """Check that a token was made for this API and this client, with these scopes.

    :raises UnauthorisedError: it is for another audience or client.
    :raises InvalidClaimsError: scopes are missing (RFC 6750, 3.1: ``insufficient_scope``, 403).
    """
    named = payload.get("aud")
    if audience is not None and audience not in (named if isinstance(named, list) else [named]):
        raise _refused(
            f"The OAuth2 access token is not for the audience {audience!r}.", Reason.CLAIMS_INVALID
        )
    if client_id is not None and payload.get("client_id") != client_id:
        raise _refused(
            f"The OAuth2 access token was not issued to the client {client_id!r}.", Reason.CLAIMS_INVALID
        )
    granted = payload.get("scp")
    if isinstance(granted, str):  # RFC 8693, 4.2: between blanks
        granted = granted.split()
    elif not isinstance(granted, list):
        granted = []
    missing = [scope for scope in scopes if scope not in granted]
    if missing:
        reason = {"message": "wrong value", "expectedToInclude": list(scopes), "actualValue": granted}
        raise InvalidClaimsError(
            f"The OAuth2 access token lacks the scopes {', '.join(map(repr, missing))}.",
            [ClaimValidationError("scp", reason)],
        )


def inactive() -> UnauthorisedError:
    """Return the refusal of a token that the provider no longer knows (RFC 7662, 2.2: not ``active``)."""
    return _refused("The OAuth2 access token has been revoked.", Reason.SESSION_ENDED)


def _refused(message: str, reason: Reason) -> UnauthorisedError:
    # The client may have a session beside it, whose tokens stay.
    return UnauthorisedError(message, reason=reason, clear_tokens=False)


def _time(payload: dict[str, Any], key: str) -> float | None:
    value = payload.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= MAX_EXPIRY_SECONDS else None
