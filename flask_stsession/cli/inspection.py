"""Say what a token is, and why a guard would refuse it. Change nothing, in the core or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, Literal

from ..callables import call
from ..claims.validation import failed_validators, refusal_for
from ..errors import Reason, SessionHTTPError, STSessionError, UnauthorisedError
from ..sessions.session import Session
from ..tokens.access_token import MAX_TOKEN_LENGTH, base64url_decode, parse
from ..tokens.refresh_token import has_shape_of_refresh_token
from ..web.verdict_record import configured_status

if TYPE_CHECKING:
    from ..claims.base import SessionClaimValidator
    from ..tokens.access_token import AccessToken
    from ..web.base import AppState

#: ``jwt``: one that is not the access token of a session.
Kind = Literal["access_token", "refresh_token", "jwt", "unknown"]

_SIGN_IN: Final = "Sign in again."
_REMEDIES: Final[Mapping[Reason, str]] = {
    Reason.MALFORMED: "Guards take access tokens: the header st-access-token, or the cookie {cookie}.",
    Reason.NO_TOKEN: "Give the token as an argument, or on standard input.",
    Reason.EXPIRED: "Refresh the session: POST {refresh} with its refresh token.",
    Reason.BAD_SIGNATURE: f"It was changed on the way, or another core made it. {_SIGN_IN}",
    Reason.UNKNOWN_KID: (
        "Another core made it, or the key has been dropped. Check STSESSION_CONNECTION_URI, then sign in "
        "again."
    ),
    Reason.KEY_TYPE_MISMATCH: "Refresh the session: POST {refresh} with its refresh token.",
    Reason.SESSION_ENDED: _SIGN_IN,
    Reason.CLAIMS_INVALID: (
        "Every guard runs these validators. Set the claims that they check, or exempt a view by "
        "override_global_claim_validators."
    ),
    Reason.KEYS_UNAVAILABLE: "Try again once the core responds.",
}

#: The fields of a session token's payload, and the version since which they are required.
_FIELDS: Final = {"sub": 3, "sessionHandle": 3, "refreshTokenHash1": 3, "exp": 3, "tId": 4, "rsub": 5}


@dataclass(frozen=True)
class Refusal:
    """Why a guard would refuse a token.

    :param status: the status of the response.
    :param message: what is wrong.
    :param remedy: what to do about it.
    """

    reason: Reason
    status: int
    message: str
    remedy: str


@dataclass(frozen=True)
class Inspection:
    """What a token says, and whether a guard would accept it.

    :param header: of a JWT.
    :param payload: of a JWT.
    :param token: the parsed token, if it is the access token of a session.
    :param refusal: ``None``: a guard accepts it.
    """

    kind: Kind
    header: dict[str, Any] | None
    payload: dict[str, Any] | None
    token: AccessToken | None
    refusal: Refusal | None

    @property
    def issued_at(self) -> datetime | None:
        """When the token was made, if it says so."""
        return _time((self.payload or {}).get("iat"))

    @property
    def expires_at(self) -> datetime | None:
        """When the token expires, if it says so."""
        return _time((self.payload or {}).get("exp"))

    def to_json(self) -> dict[str, Any]:
        """Return the inspection as JSON."""
        token, refusal = self.token, self.refusal
        return {
            "kind": self.kind,
            "accepted": refusal is None,
            "reason": refusal and refusal.reason.value,
            "status": refusal and refusal.status,
            "message": refusal and refusal.message,
            "remedy": refusal and refusal.remedy,
            "session_handle": token and token.session_handle,
            "user_id": token and token.user_id,
            "recipe_user_id": token and token.recipe_user_id,
            "tenant_id": token and token.tenant_id,
            "issued_at": self.issued_at and self.issued_at.isoformat(),
            "expires_at": self.expires_at and self.expires_at.isoformat(),
            "header": self.header,
            "payload": self.payload,
        }


def inspect_token(state: AppState, raw: str) -> Inspection:
    """Decode a token, and find out whether a guard of the app would accept it.

    The signature is verified, the core is asked whether the session still exists, and the global validators
    run, except those that would fetch their claim first. Roles and permissions that a single guard asks for,
    and the tenant that ``get_tenant_id()`` returns, are not checked.

    :param raw: the token.
    """
    header, payload = _decoded(raw)
    longest = max(MAX_TOKEN_LENGTH, state.config.max_access_token_bytes)
    token = parse(raw, max_length=longest)
    if token is None:
        kind: Kind = "unknown" if header is None or payload is None else "jwt"
        message = _not_of_a_session(raw, header, payload, longest)
        if has_shape_of_refresh_token(raw):
            kind, message = "refresh_token", "This is a refresh token, which only the core can read."
        reason = Reason.MALFORMED if raw else Reason.NO_TOKEN
        error: STSessionError = UnauthorisedError(message if raw else "There is no token.", reason=reason)
        return Inspection(kind, header, payload, None, _refusal(state, error))
    refusal: Refusal | None = None
    try:
        _verify(state, raw, token)
    except STSessionError as problem:
        refusal = _refusal(state, problem)
    return Inspection("access_token", header, payload, token, refusal)


def _verify(state: AppState, raw: str, token: AccessToken) -> None:
    """Check what a guard checks, except that nothing is told to the core or fetched from the app.

    :raises STSessionError: the verdict, or an error of the core.
    """
    manager = state.manager
    manager.verifier.verify(raw)
    if (
        manager.is_revoked(token.session_handle)
        or manager.by_handle.information(token.session_handle) is None
    ):
        raise UnauthorisedError(
            "The session has ended: it was revoked, or has not been refreshed in time. Processes that do not "
            "ask the core (STSESSION_CHECK_DATABASE, check_database=True) accept the token until it expires."
        )
    session = Session(manager, token)
    context = session.context(fresh_time=True)
    with state.app.test_request_context():  # an override may look at the request
        validators = state.extension.global_validators_for(session)
    failures = failed_validators(
        [each for each in validators if not _would_fetch(state, each, token, context)],
        token.payload(),
        user_context=context,
        ensure_sync=manager.ensure_sync,
    )
    if failures:
        errors = [error for _, error in failures]
        details = "; ".join(f"{error.id_}: {json.dumps(error.reason)}" for error in errors)
        raise refusal_for(failures, f"The session fails global validators ({details}).")


def _would_fetch(
    state: AppState, validator: SessionClaimValidator, token: AccessToken, context: dict[str, Any]
) -> bool:
    """Return whether a guard would fetch the claim of a validator before it asks the validator."""
    ensure_sync = state.manager.ensure_sync
    return validator.claim is not None and bool(
        call(validator.should_refetch, token.payload(), context, ensure_sync=ensure_sync)
    )


def _refusal(state: AppState, error: STSessionError) -> Refusal:
    config = state.config
    status = configured_status(config, error)
    if status is None:
        status = (error.code if isinstance(error, SessionHTTPError) else None) or 500
    names = {"refresh": config.refresh_path(""), "cookie": config.cookie_names.access}
    remedy = _REMEDIES.get(error.reason, "").format_map(names)
    return Refusal(error.reason, status, str(error), remedy)


def _decoded(raw: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return header and payload of a JWT, whatever it is for; ``None`` for what cannot be decoded."""
    parts = raw.split(".")
    if len(parts) != 3:
        return None, None
    header, payload = (_json_object(base64url_decode(part)) for part in parts[:2])
    return header, payload


def _json_object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _not_of_a_session(
    raw: str, header: dict[str, Any] | None, payload: dict[str, Any] | None, longest: int
) -> str:
    """Return why a value is not the access token of a session."""
    if header is None or payload is None:
        return (
            "This is not a JWT. A JWT is three parts of base64url with dots between them, the first two "
            "of them JSON."
        )
    if payload.get("stt") == 1:
        return "This is an access token of the core's OAuth2 provider, not of a session."
    version = header.get("version")
    if not isinstance(version, str) or not version.isdigit():
        return (
            "This JWT has no version in its header, so no core made it for a session. The tokens of identity "
            "providers and of create_jwt() are not session tokens."
        )
    if len(raw) > longest:
        return f"This JWT has {len(raw)} characters, more than STSESSION_MAX_ACCESS_TOKEN_BYTES allows."
    missing = [name for name, since in _FIELDS.items() if name not in payload and int(version) >= since]
    if missing:
        return f"This JWT lacks {', '.join(missing)} in its payload, which the token of a session has."
    return (
        "This JWT is not the access token of a session: a field of its header or payload has the wrong form."
    )


def _time(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
