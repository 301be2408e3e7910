"""Access tokens: is this one genuine?

:class:`TokenVerifier` checks key kind, expiry, key and signature, and remembers the signatures that it has
checked.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from ..constants import ALGORITHM, DYNAMIC_KID_PREFIX, STATIC_KID_PREFIX
from ..errors import Reason, TryRefreshTokenError
from .access_token import MAX_TOKEN_LENGTH, AccessToken, base64url_decode, parse


class SigningKeys(Protocol):
    """Where a :class:`TokenVerifier` finds keys."""

    def get(self, kid: str) -> RSAPublicKey | None:
        """The current key with that id, or ``None``.

        :raises CoreUnavailableError: if it cannot be known.
        """
        ...


class TokenVerifier:
    """Checks access tokens, and remembers whose signature it has checked.

    :param keys: the core's signing keys.
    :param use_dynamic_signing_key: which of the core's two kinds of keys must have signed.
    :param cache_size: how many verified tokens to remember; below 2 none is.
    :param max_token_length: of a value that is looked at, in characters.
    :param clock: the time in s since the epoch.
    """

    def __init__(
        self,
        keys: SigningKeys,
        *,
        use_dynamic_signing_key: bool = True,
        cache_size: int = 10_000,
        max_token_length: int = MAX_TOKEN_LENGTH,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._refused_prefix = STATIC_KID_PREFIX if use_dynamic_signing_key else DYNAMIC_KID_PREFIX
        self._max_length = max_token_length
        self._clock = clock
        self._verified = _VerifiedTokens(cache_size)
        self._rs256 = RSAAlgorithm(RSAAlgorithm.SHA256)

    def verify(self, raw: str, *, allow_expired: bool = False) -> AccessToken | None:
        """Verify a token.

        A token seen before skips the check of the signature and nothing else.

        :param raw: whatever was sent in the place of an access token.
        :param allow_expired: the signature is what matters, as at sign-out.
        :return: ``None`` if it is as good as absent.
        :raises TryRefreshTokenError: a session's, but expired or not genuine.
        :raises CoreUnavailableError: the keys to check it with cannot be had.
        """
        if len(raw) > self._max_length or not raw.isascii():
            return None
        digest = sha256(raw.encode("ascii")).digest()
        verified = self._verified.get(digest)
        token = parse(raw, max_length=self._max_length) if verified is None else verified.token
        if token is None:
            return None
        key = self._key_for(token, allow_expired)
        # The key itself, not its id: that another key of this name signed the token proves nothing.
        if verified is not None and verified.key is key:
            return token
        self._check_signature(token, key)
        if not allow_expired:
            self._verified.add(digest, _Verified(token, key))
        return token

    def _key_for(self, token: AccessToken, allow_expired: bool) -> RSAPublicKey:
        """The key that must have signed the token; what is free is checked before what may cost a fetch."""
        if token.kid.startswith(self._refused_prefix):
            raise TryRefreshTokenError(
                f"The access token was signed with key {token.kid}, which is of the kind that "
                "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY does not allow.",
                reason=Reason.KEY_TYPE_MISMATCH,
            )
        # RFC 7519, 4.1.4: "on or after" the time it is expired. No leeway: the frontend refreshes.
        if token.expires_at <= self._clock() and not allow_expired:
            raise TryRefreshTokenError("The access token has expired.", reason=Reason.EXPIRED)
        key = self._keys.get(token.kid)
        if key is None:
            raise TryRefreshTokenError(
                f"The core has no signing key {token.kid}, or no longer.", reason=Reason.UNKNOWN_KID
            )
        return key

    def _check_signature(self, token: AccessToken, key: RSAPublicKey) -> None:
        # The algorithm is ours to say, never the token's: "none", or HS256 with the public key as the
        # secret, are refused (RFC 8725, 3.1). PyJWT's RS256 itself rather than ``jwt.decode``: that would
        # read header and payload a second time, letter by letter, for twice the cost of all this.
        signed, _, encoded = token.raw.rpartition(".")
        signature = base64url_decode(encoded)
        if (
            token.algorithm != ALGORITHM
            # The last letter has bits to spare: of all that decode to one signature, one is the token.
            or base64.urlsafe_b64encode(signature).rstrip(b"=") != encoded.encode("ascii")
            or not self._rs256.verify(signed.encode("ascii"), key, signature)
        ):
            raise TryRefreshTokenError(
                f"The signature of the access token is not that of key {token.kid} by {ALGORITHM}.",
                reason=Reason.BAD_SIGNATURE,
            )


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token, and the key by which it was verified."""

    token: AccessToken
    key: RSAPublicKey = field(repr=False)


class _VerifiedTokens:
    """A bounded map from the SHA-256 of a token to what was verified, without locks.

    Two generations: what is added or used goes into the young one; when that is full it becomes the
    old one, and the old one, with whatever in it has expired, is forgotten. A read is one or two
    look-ups. Every step is a single operation on a dict or one assignment of the pair, which both the
    GIL and free-threaded builds make atomic; threads that race can at worst lose an entry, to be
    verified again, or exceed the size by one each. There is no lock that a fork could leave locked.

    :param size: the most entries, of both generations together.
    """

    def __init__(self, size: int) -> None:
        self._half = size // 2
        self._generations: tuple[dict[bytes, _Verified], dict[bytes, _Verified]] = ({}, {})

    def get(self, digest: bytes) -> _Verified | None:
        young, old = self._generations
        verified = young.get(digest)
        if verified is None:
            verified = old.get(digest)
            if verified is not None:
                self.add(digest, verified)
        return verified

    def add(self, digest: bytes, verified: _Verified) -> None:
        if not self._half:
            return
        young, _ = self._generations
        if len(young) >= self._half:
            young, old = {}, young
            self._generations = (young, old)
        young[digest] = verified
