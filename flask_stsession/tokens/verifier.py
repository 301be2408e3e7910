"""Verify access tokens.

:class:`TokenVerifier` checks the kind of key, the expiry, the key and the signature, and caches the tokens
whose signature it has checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from jwt.algorithms import RSAAlgorithm

from ..constants import ALGORITHM, DYNAMIC_KID_PREFIX, STATIC_KID_PREFIX
from ..errors import Reason, TryRefreshTokenError
from .access_token import (
    MAX_TOKEN_LENGTH,
    AccessToken,
    TokenHeader,
    base64url_decode,
    is_canonical_base64url,
    parse,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    #: A token, and the key that verified it.
    Verified = tuple[AccessToken, RSAPublicKey]

    class SigningKeys(Protocol):
        """The part of a key set that a :class:`TokenVerifier` needs."""

        @property
        def settled(self) -> tuple[Mapping[str, RSAPublicKey], float, float]:
            """Keys that need no call of :meth:`get`, and until when: by wall and monotonic clock, in s."""
            ...

        def get(self, kid: str) -> RSAPublicKey | None:
            """Return the current key with this id, or ``None``.

            :raises CoreUnavailableError: there are no keys, and the core is unreachable.
            """
            ...


_MOST_HEADERS: Final = 64
_RS256: Final = RSAAlgorithm(RSAAlgorithm.SHA256)
#: How many of the signature's last characters (each of 6 bits) tell one genuine token from all others.
_KEY_LENGTH: Final = 43


class TokenVerifier:
    """Verify access tokens, and cache those whose signature has been checked.

    :param keys: the core's signing keys.
    :param use_dynamic_signing_key: which of the core's two kinds of keys must have signed the token.
    :param cache_size: how many verified tokens to cache; below 2: none.
    :param max_token_length: the longest value to parse, in characters.
    :param clock: returns the time in s since the epoch; by default ``time.time``, looked up at each call, so
        that tests may freeze it.
    """

    def __init__(
        self,
        keys: SigningKeys,
        *,
        use_dynamic_signing_key: bool = True,
        cache_size: int = 10_000,
        max_token_length: int = MAX_TOKEN_LENGTH,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._keys = keys
        self._refused_prefix = STATIC_KID_PREFIX if use_dynamic_signing_key else DYNAMIC_KID_PREFIX
        self._max_length = max_token_length
        self._clock = clock
        self._verified = _VerifiedTokens(cache_size)
        #: Headers of genuine tokens, by their encoded form.
        self._headers: dict[str, TokenHeader] = {}

    def verify(self, raw: str, *, allow_expired: bool = False) -> AccessToken | None:
        """Verify a token.

        :param raw: the value sent as access token.
        :param allow_expired: accept an expired token, as at sign-out.
        :returns: ``None`` if the value is not a session token; it counts as absent.
        :raises TryRefreshTokenError: the session token has expired, or is not genuine.
        :raises CoreUnavailableError: there are no keys to check it with, and the core is unreachable.
        """
        return self.verify_known(raw, allow_expired=allow_expired) or self.verify_unknown(
            raw, allow_expired=allow_expired
        )

    def verify_known(self, raw: str, *, allow_expired: bool = False) -> AccessToken | None:
        """Verify a token that was verified before, so that its signature need not be checked again.

        Everything else is checked again, except the kind of key, which cannot have changed.

        :param raw: the value sent as access token.
        :param allow_expired: accept an expired token, as at sign-out.
        :returns: ``None`` if the value was not verified before, or not with the current key of that id.
        :raises TryRefreshTokenError: the session token has expired.
        :raises CoreUnavailableError: there are no keys to check it with, and the core is unreachable.
        """
        end = raw[-_KEY_LENGTH:]
        verified = self._verified.young.get(end)
        if verified is None:
            verified = self._verified.old.get(end)
            if verified is None:
                return None
            self._verified.add(end, verified)  # used again
        token, key = verified
        if token.raw != raw:
            return None
        now = (self._clock or time.time)()
        # RFC 7519, 4.1.4: "on or after" the time it is expired. No leeway: the frontend refreshes.
        if token.expires_at <= now and not allow_expired:
            raise TryRefreshTokenError("The access token has expired.", reason=Reason.EXPIRED)
        keys, settled_until, settled_until_monotonic = self._keys.settled
        is_settled = now < settled_until and time.monotonic() < settled_until_monotonic
        # Compare the key itself, not its id: a signature by another key of this id proves nothing.
        if (keys.get(token.header.kid) if is_settled else self._keys.get(token.header.kid)) is key:
            return token
        return None

    def verify_unknown(self, raw: str, *, allow_expired: bool = False) -> AccessToken | None:
        """Verify a token that is not cached; parameters and errors as for :meth:`verify`."""
        token = parse(raw, max_length=self._max_length, headers=self._headers)
        if token is None:
            return None
        # The checks that cost nothing come before the one that may cost a fetch.
        if token.header.kid.startswith(self._refused_prefix):
            raise TryRefreshTokenError(
                f"The access token was signed with key {token.header.kid}, which is of the kind that "
                "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY does not allow.",
                reason=Reason.KEY_TYPE_MISMATCH,
            )
        if token.expires_at <= (self._clock or time.time)() and not allow_expired:
            raise TryRefreshTokenError("The access token has expired.", reason=Reason.EXPIRED)
        key = self._keys.get(token.header.kid)
        if key is None:
            raise TryRefreshTokenError(
                f"The core has no signing key {token.header.kid}.", reason=Reason.UNKNOWN_KID
            )
        if not is_genuine(token.raw, token.header.algorithm, key):
            raise TryRefreshTokenError(
                f"The signature of the access token is not that of key {token.header.kid} by {ALGORITHM}.",
                reason=Reason.BAD_SIGNATURE,
            )
        encoded = raw[: raw.find(".")]
        if encoded not in self._headers:
            self._remember_header(encoded, token.header)
        if not allow_expired:
            self._verified.add(raw[-_KEY_LENGTH:], (token, key))
        return token

    def parse_issued(self, raw: str) -> AccessToken | None:
        """Read a token that the core has just returned, of any length.

        :returns: ``None`` if its structure is not that of a session's token.
        """
        token = parse(raw, max_length=len(raw), headers=self._headers)
        encoded = raw[: raw.find(".")]
        if token is not None and encoded not in self._headers:
            self._remember_header(encoded, token.header)
        return token

    def _remember_header(self, encoded: str, header: TokenHeader) -> None:
        # A core has a few keys and one header for each; varying headers must not fill the memory.
        if len(self._headers) >= _MOST_HEADERS:
            self._headers.clear()
        self._headers[encoded] = header


def is_genuine(raw: str, algorithm: object, key: RSAPublicKey) -> bool:
    """Return whether a JWT was signed with a key.

    :param raw: the token, of three parts of base64url.
    :param algorithm: ``alg`` of its header.
    """
    # We choose the algorithm, never the token: "none", or HS256 with the public key as the secret, are
    # refused (RFC 8725, 3.1). PyJWT's RS256 itself rather than ``jwt.decode``, which would parse header
    # and payload a second time, for twice the cost of all this.
    signed, _, encoded = raw.rpartition(".")
    return (
        algorithm == ALGORITHM
        # The last letter has spare bits: several spellings decode to one signature, and one is valid.
        and is_canonical_base64url(encoded)
        and _RS256.verify(signed.encode("ascii"), key, base64url_decode(encoded))
    )


class _VerifiedTokens:
    """A bounded, lock-free cache of verified tokens.

    The key is the end of the signature, which costs less to hash than the whole token. Only genuine tokens
    enter, so no attacker can choose keys that collide; whoever looks one up compares the whole token.

    There are two generations. An entry that is added or used goes into the young one; when that is full, it
    becomes the old one, and the former old one is dropped, expired tokens included. Every step is a single
    operation on a dict or one assignment, which both the GIL and free-threaded builds make atomic; threads
    that race can at worst lose an entry, to be verified again, or exceed the size by one each. There is no
    lock that a fork could leave locked.

    :param size: the most entries, of both generations together.
    """

    def __init__(self, size: int) -> None:
        self._half = size // 2
        #: The tokens verified or used lately, where most requests find theirs.
        self.young: dict[str, Verified] = {}
        #: Those used less lately.
        self.old: dict[str, Verified] = {}

    def add(self, key: str, verified: Verified) -> None:
        """Cache a verified token."""
        if not self._half:
            return
        if len(self.young) >= self._half:
            self.old, self.young = self.young, {}
        self.young[key] = verified
