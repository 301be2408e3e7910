"""The signing keys: a static one, and dynamic ones that rotate."""

from __future__ import annotations

import secrets
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from flask_stsession.constants import DYNAMIC_KID_PREFIX, STATIC_KID_PREFIX

from .crypto import (
    InvalidTokenError,
    RefreshTokenSealer,
    SigningKey,
    UnverifiedJWT,
    new_private_key_pem,
    split_jwt,
)
from .settings import Settings
from .storage.store import Store

_REFRESH_KEY: Final = "refresh-token-key"
#: Later than any clock, and small enough for SQLite's integers, ms.
_NEVER: Final = 2**62


class _KeyRow(NamedTuple):
    kid: str
    signs_from: int
    keep_until: int


class KeyRing:
    """Signs JWTs with the current key, and verifies JWTs that any published key signed.

    A dynamic key signs for one interval. Its successor is created and published a little earlier, so that
    verifiers that fetch the keys periodically have it when it begins to sign. A key that no longer signs
    stays published until the last token that it signed has expired.

    :param store: where the keys are kept.
    :param settings: how often dynamic keys rotate.
    :param clock_ms: returns the time now, ms.
    :param private_key: a key as PEM that signs in place of generated ones.
    :raises LookupError: the database has no keys.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock_ms: Callable[[], int],
        private_key: str | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock_ms = clock_ms
        self._private_key = private_key
        self._parsed: dict[str, SigningKey] = {}
        with store.read() as connection:
            row = connection.execute("SELECT value FROM secrets WHERE name = ?", (_REFRESH_KEY,)).fetchone()
            kinds = connection.execute("SELECT DISTINCT dynamic FROM signing_keys").fetchall()
        if row is None or len(kinds) < 2:
            raise LookupError("it has lost its keys")
        self.sealer: RefreshTokenSealer = RefreshTokenSealer(row[0])

    @staticmethod
    def insert_first(
        connection: sqlite3.Connection, settings: Settings, now: int, private_key: str | None = None
    ) -> None:
        """Insert the first keys of a new database.

        :param private_key: as for the class.
        """
        connection.execute(
            "INSERT INTO secrets (name, value) VALUES (?, ?)", (_REFRESH_KEY, RefreshTokenSealer.new_key())
        )
        connection.execute(
            "INSERT INTO signing_keys (kid, dynamic, private_pem, signs_from, keep_until)"
            " VALUES (?, 0, ?, ?, ?)",
            (STATIC_KID_PREFIX + str(uuid.uuid4()), private_key or new_private_key_pem(), now, _NEVER),
        )
        _insert_dynamic(connection, settings, now=now, signs_from=now, private_key=private_key)

    def signing_key(self, *, dynamic: bool, expiry: int) -> SigningKey:
        """Return the key to sign a token with.

        :param dynamic: whether to use the current dynamic key rather than the static one.
        :param expiry: when the token will expire, ms; the key stays published until then.
        """
        if not dynamic:
            return self._key(self._static_kid())
        now = self._clock_ms()
        signer = _signer(self._dynamic_keys(now), now)
        if signer.keep_until < expiry:
            with self._store.write() as connection:
                connection.execute(
                    "UPDATE signing_keys SET keep_until = max(keep_until, ?) WHERE kid = ?",
                    (min(expiry, _NEVER), signer.kid),
                )
        return self._key(signer.kid)

    def verify(self, token: str) -> UnverifiedJWT:
        """Return the parts of a JWT that a published key signed; its expiry is not checked.

        :raises InvalidTokenError: no published key signed it.
        """
        jwt = split_jwt(token)
        key = self._find(jwt.kid)
        if key is None or not key.verify(jwt.signed, jwt.signature):
            raise InvalidTokenError("The signature of the token is not by a key of this core")
        return jwt

    def sign_again(self, jwt: UnverifiedJWT, payload: Mapping[str, Any]) -> str:
        """Return a JWT with another payload, signed by the key of this one.

        :param jwt: as returned by :meth:`verify`.
        """
        version = None if jwt.version is None else str(jwt.version)
        return self._key(jwt.kid).sign(payload, version=version)

    def public_keys(self) -> list[dict[str, str]]:
        """Return every key that verifiers need, as JSON Web Keys."""
        now = self._clock_ms()
        dynamic = self._dynamic_keys(now)
        starts = _signer(dynamic, now).signs_from
        kids = [key.kid for key in dynamic if key.signs_from >= starts or key.keep_until > now]
        return [self._key(kid).public_jwk() for kid in [*kids, self._static_kid()]]

    def _static_kid(self) -> str:
        with self._store.read() as connection:
            return str(connection.execute("SELECT kid FROM signing_keys WHERE dynamic = 0").fetchone()[0])

    def _dynamic_keys(self, now: int) -> list[_KeyRow]:
        """Return the dynamic keys, newest first, after creating the next one if it is due."""
        with self._store.read() as connection:
            keys = _select_dynamic(connection)
        if not self._successor_is_due(keys[0], now):
            return keys
        with self._store.write() as connection:
            keys = _select_dynamic(connection)
            if self._successor_is_due(keys[0], now):  # another process may just have created it
                lead, interval = self._settings.key_lead_ms, self._settings.key_interval_ms
                starts = max(keys[0].signs_from + interval, now + lead)
                _insert_dynamic(
                    connection, self._settings, now=now, signs_from=starts, private_key=self._private_key
                )
                connection.execute(
                    "DELETE FROM signing_keys WHERE dynamic = 1 AND keep_until <= ? AND kid <> ?",
                    (now, keys[0].kid),
                )
                keys = _select_dynamic(connection)
        # A copy of the main file alone can verify what the new key signs.
        self._store.checkpoint()
        return keys

    def _successor_is_due(self, newest: _KeyRow, now: int) -> bool:
        return now >= newest.signs_from + self._settings.key_interval_ms - self._settings.key_lead_ms

    def _key(self, kid: str) -> SigningKey:
        key = self._find(kid)
        if key is None:
            raise LookupError(f"the signing key {kid} is gone")
        return key

    def _find(self, kid: str) -> SigningKey | None:
        key = self._parsed.get(kid)
        if key is None:
            with self._store.read() as connection:
                row = connection.execute(
                    "SELECT private_pem FROM signing_keys WHERE kid = ?", (kid,)
                ).fetchone()
            if row is None:
                return None
            key = self._parsed[kid] = SigningKey(kid, row[0])
        return key


def _signer(keys: list[_KeyRow], now: int) -> _KeyRow:
    """Return the key that signs now; the keys are sorted newest first."""
    return next(key for key in keys if key.signs_from <= now or key is keys[-1])


def _select_dynamic(connection: sqlite3.Connection) -> list[_KeyRow]:
    rows = connection.execute(
        "SELECT kid, signs_from, keep_until FROM signing_keys WHERE dynamic = 1 ORDER BY signs_from DESC"
    )
    return [_KeyRow(*row) for row in rows]


def _insert_dynamic(
    connection: sqlite3.Connection,
    settings: Settings,
    *,
    now: int,
    signs_from: int,
    private_key: str | None,
) -> None:
    keep_until = signs_from + settings.key_interval_ms + settings.access_token_validity_ms
    # Another core may have the same private key and be created in the same millisecond: only the key id
    # distinguishes its tokens from those of this core.
    number = now if private_key is None else secrets.randbelow(10**13)
    connection.execute(
        "INSERT INTO signing_keys (kid, dynamic, private_pem, signs_from, keep_until) VALUES (?, 1, ?, ?, ?)",
        (f"{DYNAMIC_KID_PREFIX}{number:013d}", private_key or new_private_key_pem(), signs_from, keep_until),
    )
