"""Create and read the tokens of a session."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from flask_stsession.constants import PROTECTED_CLAIMS

from .crypto import InvalidTokenError, RefreshTokenContent, sha256_hex
from .keys import KeyRing
from .settings import Settings
from .storage.session_records import SessionRecord

#: The version of access tokens that this core signs, in the header of the JWT.
_ACCESS_TOKEN_VERSION: Final = "5"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The content of a genuine access token.

    :param expiry: when it expires, ms.
    :param user_payload: the claims without those of the session.
    """

    user_id: str
    tenant_id: str
    session_handle: str
    refresh_token_hash1: str
    parent_refresh_token_hash1: str | None
    anti_csrf_token: str | None = field(repr=False)
    expiry: int
    user_payload: dict[str, Any]

    def describe_session(self) -> dict[str, Any]:
        """Return the session as responses describe it."""
        return _describe(self.session_handle, self.user_id, self.user_payload, self.tenant_id)


@dataclass(frozen=True, slots=True)
class NewPair:
    """A new refresh token, and the values that the access token of the pair must carry.

    :param parent_refresh_token_hash1: the hash of the exchanged refresh token; None for a first pair, and
        for one that is current at once.
    """

    refresh_token: str = field(repr=False)
    parent_refresh_token_hash1: str | None
    anti_csrf_token: str | None = field(repr=False)


class SessionTokens:
    """Create and read tokens; the caller stores the records."""

    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings

    def seal_first(self, handle: str, user_id: str, tenant_id: str, *, enable_anti_csrf: bool) -> NewPair:
        """Create the first refresh token of a session."""
        anti_csrf_token = _new_anti_csrf_token(enable_anti_csrf)
        content = RefreshTokenContent(handle, user_id, tenant_id, None, anti_csrf_token)
        return NewPair(self._keys.sealer.seal(content), None, anti_csrf_token)

    def seal_next(
        self, presented: str, content: RefreshTokenContent, *, enable_anti_csrf: bool, shows_parent: bool
    ) -> NewPair:
        """Create the refresh token that replaces the presented one.

        :param content: the content of the presented one.
        :param shows_parent: whether the access token carries the hash of the parent (CDI 5.5 and older).
        """
        parent1 = sha256_hex(presented)
        anti_csrf_token = _new_anti_csrf_token(enable_anti_csrf)
        sealed = self._keys.sealer.seal(
            RefreshTokenContent(
                content.session_handle, content.user_id, content.tenant_id, parent1, anti_csrf_token
            )
        )
        return NewPair(sealed, parent1 if shows_parent else None, anti_csrf_token)

    def read_refresh_token(self, token: str) -> RefreshTokenContent:
        """Read a refresh token.

        :raises InvalidTokenError: this core did not create it.
        """
        return self._keys.sealer.open(token)

    def read_access_token(self, token: str) -> AccessToken:
        """Read an access token, expired or not.

        :raises InvalidTokenError: no key of this core signed it, or it is not an access token.
        """
        jwt = self._keys.verify(token)
        # Callers choose the payload of JWTs for other purposes; the header is written by this core only.
        if jwt.version != _ACCESS_TOKEN_VERSION:
            raise InvalidTokenError("The token is not a session's access token")
        payload = jwt.payload
        return AccessToken(
            user_id=payload["sub"],
            tenant_id=payload["tId"],
            session_handle=payload["sessionHandle"],
            refresh_token_hash1=payload["refreshTokenHash1"],
            parent_refresh_token_hash1=payload["parentRefreshTokenHash1"],
            anti_csrf_token=payload["antiCsrfToken"],
            expiry=payload["exp"] * 1000,
            user_payload={key: value for key, value in payload.items() if key not in PROTECTED_CLAIMS},
        )

    def expired(self, token: str, now: int) -> str:
        """Sign an access token again, with an expiry in the past.

        :raises InvalidTokenError: no key of this core signed it.
        """
        jwt = self._keys.verify(token)
        expires = now // 1000 - 1
        payload = {**jwt.payload, "iat": min(jwt.payload["iat"], expires), "exp": expires}
        return self._keys.sign_again(jwt, payload)

    def pair_response(
        self, record: SessionRecord, pair: NewPair, now: int, validity: int | None
    ) -> dict[str, Any]:
        """Return a new pair: sign the access token for a new refresh token.

        :param validity: the requested life of the access token, ms; None for the configured one.
        """
        # Whole seconds, so that the JWT and the response agree; never a second that is already over.
        life = self._life() if validity is None else validity
        response: dict[str, Any] = {
            "session": describe_session(record),
            "accessToken": self._sign(
                record, pair, sha256_hex(pair.refresh_token), now, max(now + life, now + 1000) // 1000
            ),
            "refreshToken": {
                "token": pair.refresh_token,
                "expiry": now + self._settings.refresh_token_validity_ms,
                "createdTime": now,
            },
            "status": "OK",
        }
        if pair.anti_csrf_token is not None:
            response["antiCsrfToken"] = pair.anti_csrf_token
        return response

    def access_token_response(
        self, record: SessionRecord, old: AccessToken, now: int, *, parent_refresh_token_hash1: str | None
    ) -> dict[str, Any]:
        """Return an access token with the payload of the record and the expiry of the old token."""
        pair = NewPair("", parent_refresh_token_hash1, old.anti_csrf_token)
        return {
            "session": describe_session(record),
            "accessToken": self._sign(record, pair, old.refresh_token_hash1, now, old.expiry // 1000),
            "status": "OK",
        }

    def _life(self) -> int:
        # A little randomness spreads the refreshes of users who logged in together.
        shorter = random.uniform(0, self._settings.access_token_validity_jitter)  # noqa: S311
        return round(self._settings.access_token_validity_ms * (1 - shorter))

    def _sign(
        self, record: SessionRecord, pair: NewPair, refresh_token_hash1: str, now: int, expires: int
    ) -> dict[str, Any]:
        payload = {
            **record.data_in_jwt,
            "iat": now // 1000,
            "exp": expires,
            "sub": record.user_id,
            "tId": record.tenant_id,
            "rsub": record.user_id,
            "sessionHandle": record.handle,
            "refreshTokenHash1": refresh_token_hash1,
            "parentRefreshTokenHash1": pair.parent_refresh_token_hash1,
            "antiCsrfToken": pair.anti_csrf_token,
        }
        key = self._keys.signing_key(dynamic=record.dynamic_key, expiry=expires * 1000)
        return {
            "token": key.sign(payload, version=_ACCESS_TOKEN_VERSION),
            "expiry": expires * 1000,
            "createdTime": now // 1000 * 1000,
        }


def describe_session(record: SessionRecord) -> dict[str, Any]:
    """Return a session as responses describe it."""
    return _describe(record.handle, record.user_id, record.data_in_jwt, record.tenant_id)


def _describe(handle: str, user_id: str, payload: dict[str, Any], tenant_id: str) -> dict[str, Any]:
    return {
        "handle": handle,
        "userId": user_id,
        "recipeUserId": user_id,
        "userDataInJWT": payload,
        "tenantId": tenant_id,
    }


def _new_anti_csrf_token(enabled: bool) -> str | None:
    return str(uuid.uuid4()) if enabled else None
