"""The tokens of a session: sealed, signed and read."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Any, Final

from flask_stsession.constants import PROTECTED_CLAIMS

from .crypto import InvalidTokenError, RefreshTokenContent, sha256_hex
from .keys import KeyRing
from .settings import Settings
from .storage.session_records import SessionRecord

#: The kind of access token that this core makes, in the JWT's header.
_ACCESS_TOKEN_VERSION: Final = "5"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a genuine access token says.

    :param expiry: when it expires, ms.
    :param user_payload: the claims that are the user's.
    """

    user_id: str
    tenant_id: str
    session_handle: str
    refresh_token_hash1: str
    parent_refresh_token_hash1: str | None
    anti_csrf_token: str | None
    expiry: int
    user_payload: dict[str, Any]

    def describe_session(self) -> dict[str, Any]:
        """Return the session as the answers of the interface have it."""
        return _describe(self.session_handle, self.user_id, self.user_payload, self.tenant_id)


@dataclass(frozen=True, slots=True)
class NewPair:
    """A refresh token that was just made, and what the access token beside it must say.

    :param parent_refresh_token_hash1: of the token it was exchanged for, as the access token shows it:
        None for a first pair, and for one that is current at once.
    """

    refresh_token: str
    parent_refresh_token_hash1: str | None
    anti_csrf_token: str | None


class SessionTokens:
    """Makes and reads tokens; the caller keeps the records."""

    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings

    def seal_first(self, handle: str, user_id: str, tenant_id: str, *, enable_anti_csrf: bool) -> NewPair:
        """Make the first refresh token of a session."""
        anti_csrf_token = _new_anti_csrf_token(enable_anti_csrf)
        content = RefreshTokenContent(handle, user_id, tenant_id, None, anti_csrf_token)
        return NewPair(self._keys.sealer.seal(content), None, anti_csrf_token)

    def seal_next(
        self, presented: str, content: RefreshTokenContent, *, enable_anti_csrf: bool, shows_parent: bool
    ) -> NewPair:
        """Make the refresh token that the presented one is exchanged for.

        :param content: what the presented one says.
        :param shows_parent: whether the access token tells whose child it is (CDI 5.5 and older).
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

        :raises InvalidTokenError: it is not one of this core's.
        """
        return self._keys.sealer.open(token)

    def read_access_token(self, token: str) -> AccessToken:
        """Read an access token that a key of this core signed, expired or not.

        :raises InvalidTokenError: it is not one.
        """
        jwt = self._keys.verify(token)
        # A JWT that was made for other purposes may say anything in its payload; only we write the header.
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

    def answer_with_pair(
        self, record: SessionRecord, pair: NewPair, now: int, validity: int | None
    ) -> dict[str, Any]:
        """Sign the access token beside a new refresh token, and answer with both.

        :param validity: how long the access token was asked to live, ms; None: as configured.
        """
        # The expiry is a whole second, so that the JWT and the answer say the same; never one already past.
        life = self._life() if validity is None else validity
        answer: dict[str, Any] = {
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
            answer["antiCsrfToken"] = pair.anti_csrf_token
        return answer

    def answer_with_access_token(
        self, record: SessionRecord, old: AccessToken, now: int, *, parent_refresh_token_hash1: str | None
    ) -> dict[str, Any]:
        """Answer with an access token that says what the record says and expires when the old one does."""
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
    """Return a session as the answers of the interface have it."""
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
