"""The core's public signing keys: fetched seldom, never in the way of those who have what they need.

Everything that is known hangs on one immutable snapshot, replaced as a whole, so that a hit is a
look-up in a dict and takes no lock. Whoever finds the snapshot due for a fetch does it; the others go
on with the keys there are. While the core does not answer, known keys go on being used for a bounded time.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from ..constants import ALGORITHM
from ..errors import CoreError, CoreUnavailableError, Reason

#: NIST SP 800-131A; also what RFC 7518, 3.3 demands of RS256.
_MIN_KEY_BITS: Final = 2048
#: How long a request with an unknown key waits, in s, for a fetch that another one has under way: enough for
#: a core that is well, too short for made-up keys to tie up all threads while it is not.
_JOIN_SECONDS: Final = 0.25
_WAIT_FOR_IT: Final = -1.0
_DO_NOT_WAIT: Final = 0.0


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """All that is known of the keys at one time. Times are those of the injected clock, in s."""

    keys: Mapping[str, RSAPublicKey]
    raw: tuple[Any, ...]
    #: When the keys were fetched.
    fetched_at: float
    #: What was wrong with the last attempt; ``None``: it succeeded, or there was none yet.
    problem: str | None
    #: When the next attempt is due.
    retry_at: float
    #: Until when a hit needs no second thought.
    check_at: float
    #: When a kid that is not among the keys last made us fetch.
    asked_at: float


_NOTHING_YET: Final = _Snapshot(
    keys={},
    raw=(),
    fetched_at=-math.inf,
    problem=None,
    retry_at=-math.inf,
    check_at=-math.inf,
    asked_at=-math.inf,
)


class KeySet:
    """The signing keys of one core.

    :param fetch: asks the core for its JWKs; raises ``CoreUnavailableError`` or ``CoreError``.
    :param refresh_seconds: keys older than this are fetched again, by the request that notices.
    :param max_stale_seconds: while the core does not answer, keys are used up to this age.
    :param cooldown_seconds: least time between two fetches for unknown keys, and after a failed one.
    :param clock: a monotonic clock, in s.
    :param logger: told of outages and of keys that cannot be used.
    :param on_stale: called once per outage with the error and the age of the keys (s) that remain in use.
    """

    def __init__(
        self,
        *,
        fetch: Callable[[], list[dict[str, Any]]],
        refresh_seconds: float,
        max_stale_seconds: float,
        cooldown_seconds: float,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        on_stale: Callable[[Exception, float], None] | None = None,
    ) -> None:
        self._fetch_jwks = fetch
        self._refresh_seconds = refresh_seconds
        self._max_stale_seconds = max_stale_seconds
        self._cooldown_seconds = cooldown_seconds
        self._logger = logger
        self._clock = clock
        self._on_stale = on_stale
        self._snapshot = _NOTHING_YET
        self._expected: set[str] = set()
        # One per process id: a lock that another thread held during a fork stays locked in the child.
        self._fetching: dict[int, threading.Lock] = {}

    def get(self, kid: str) -> RSAPublicKey | None:
        """The current key with that id. A hit takes no lock.

        :param kid: of a shape that a core could have given; checked by the reader of the token.
        :return: ``None``: the core has no such key, or was asked about unknown keys a moment ago.
        :raises CoreUnavailableError: the key is not known and the core cannot be asked.
        """
        snapshot = self._snapshot
        key = snapshot.keys.get(kid)
        if key is not None and self._clock() < snapshot.check_at:
            return key
        return self._get_slowly(kid)

    def current(self, kid: str) -> bool:
        """Is the key among those that were fetched last? Never fetches."""
        return kid in self._snapshot.keys

    def expect(self, kid: str) -> None:
        """The core just signed with this key: if it is unknown, its first use fetches, cooldown or not."""
        if kid not in self._snapshot.keys:
            self._expected.add(kid)

    def raw(self) -> list[dict[str, Any]]:
        """The JWKs as the core gave them, for a JWKS route of one's own.

        :raises CoreUnavailableError: none were ever had, or they are too old.
        """
        return [dict(jwk) for jwk in self._up_to_date(self._snapshot, None).raw if isinstance(jwk, dict)]

    def _get_slowly(self, kid: str) -> RSAPublicKey | None:
        before = self._snapshot
        snapshot = self._up_to_date(before, kid)
        if snapshot is before and kid not in before.keys and self._may_ask_about(kid, before):
            snapshot = self._fetch(before, kid, wait=_JOIN_SECONDS)
        key = snapshot.keys.get(kid)
        if key is None and snapshot.problem is not None:
            raise CoreUnavailableError(
                f"The signing key {kid} is not known, and the core cannot be asked: {snapshot.problem}",
                reason=Reason.KEYS_UNAVAILABLE,
            )
        return key

    def _up_to_date(self, before: _Snapshot, kid: str | None) -> _Snapshot:
        """The keys, fetched again if that is due; with none to go on with, wait for the fetch."""
        now = self._clock()
        snapshot = before
        if now >= before.retry_at:
            usable = self._is_usable(before, now)
            snapshot = self._fetch(before, kid, wait=_DO_NOT_WAIT if usable else _WAIT_FOR_IT)
            now = self._clock()
        if not self._is_usable(snapshot, now):
            had = "are too old to go on with" if snapshot.keys else "were never had"
            raise CoreUnavailableError(
                f"The core's signing keys {had}, and it cannot be asked: {snapshot.problem}",
                reason=Reason.KEYS_UNAVAILABLE,
            )
        return snapshot

    def _is_usable(self, snapshot: _Snapshot, now: float) -> bool:
        return now - snapshot.fetched_at <= self._max_stale_seconds

    def _may_ask_about(self, kid: str, snapshot: _Snapshot) -> bool:
        return kid in self._expected or self._clock() >= snapshot.asked_at + self._cooldown_seconds

    def _fetch(self, before: _Snapshot, kid: str | None, *, wait: float) -> _Snapshot:
        """Fetch the keys, unless another thread does: then wait for it as said and take what it got.

        :param before: what the caller saw; if something newer is there, that is the answer.
        :param kid: whose key is wanted.
        :param wait: how long for another thread's fetch, in s; -1: until it is done.
        """
        lock = self._fetching.setdefault(os.getpid(), threading.Lock())
        if not lock.acquire(timeout=wait):
            return self._snapshot
        try:
            if self._snapshot is not before:
                return self._snapshot
            after, error = self._attempt(before, kid)
            self._snapshot = after
        finally:
            lock.release()
        self._report(before, error)
        return after

    def _attempt(self, before: _Snapshot, kid: str | None) -> tuple[_Snapshot, Exception | None]:
        self._expected.clear()  # what is expected from now on may be too new for the answer we get
        started = self._clock()
        try:
            raw = self._fetch_jwks()
            keys = self._read(raw, before)
        except (CoreUnavailableError, CoreError) as error:
            now = self._clock()
            # With keys to go on with, the core is left alone for a while. With none, everybody waits for it:
            # one that refuses at once is asked again at once, one that hangs is given as long as it took.
            usable = self._is_usable(before, now)
            pause = self._cooldown_seconds if usable else min(self._cooldown_seconds, now - started)
            failed = replace(
                before,
                problem=str(error),
                retry_at=now + pause,
                check_at=min(now + pause, before.fetched_at + self._max_stale_seconds),
                asked_at=before.asked_at if kid is None or kid in before.keys else now,
            )
            return failed, error
        now = self._clock()
        due = now + self._refresh_seconds
        # The first fetch is nobody's fault, unless it did not bring what it was made for.
        unknown = kid is not None and kid not in (before.keys or keys)
        fetched = _Snapshot(
            keys=keys,
            raw=tuple(raw),
            fetched_at=now,
            problem=None,
            retry_at=due,
            check_at=min(due, now + self._max_stale_seconds),
            asked_at=now if unknown else before.asked_at,
        )
        return fetched, None

    def _read(self, raw: Sequence[Any], before: _Snapshot) -> dict[str, RSAPublicKey]:
        """The usable ones of these JWKs by their ids; those that have not changed stay the same objects."""
        keys: dict[str, RSAPublicKey] = {}
        for jwk in raw:
            if jwk in before.raw:
                # Looked at before. Not among the keys: it was of no use then either, and has been logged.
                known = jwk.get("kid") if isinstance(jwk, dict) else None
                if isinstance(known, str) and known in before.keys:
                    keys.setdefault(known, before.keys[known])
                continue
            try:
                kid, key = _read_jwk(jwk)
            except ValueError as error:
                self._logger.warning("A signing key of the core is not used: %s", error)
            else:
                keys.setdefault(kid, key)
        if not keys:
            raise CoreUnavailableError(
                "The core's key set holds no key that can be used.", reason=Reason.KEYS_UNAVAILABLE
            )
        return keys

    def _report(self, before: _Snapshot, error: Exception | None) -> None:
        """Tell of an outage when it begins and when it ends."""
        if error is None:
            if before.problem is not None:
                self._logger.info("The core gives its signing keys again.")
            return
        if before.problem is not None:
            return
        if not before.keys:
            self._logger.warning("The core's signing keys cannot be had: %s", error)
            return
        age = self._clock() - before.fetched_at
        self._logger.warning(
            "The core's signing keys cannot be fetched again; those of %.0f s ago stay in use up to "
            "%.0f s (STSESSION_JWKS_MAX_STALE_SECONDS): %s",
            age,
            self._max_stale_seconds,
            error,
        )
        if self._on_stale is not None:
            self._on_stale(error, age)


def _read_jwk(jwk: Any) -> tuple[str, RSAPublicKey]:
    """Id and key of one JWK (RFC 7517), if it is one for RS256 signatures.

    :raises ValueError: it is not; says why.
    """
    if not isinstance(jwk, dict):
        raise ValueError("it is not a JSON object")
    kid, modulus, exponent = jwk.get("kid"), jwk.get("n"), jwk.get("e")
    if not isinstance(kid, str) or not kid:
        raise ValueError("it has no kid")
    if jwk.get("kty") != "RSA" or jwk.get("use", "sig") != "sig" or jwk.get("alg", ALGORITHM) != ALGORITHM:
        raise ValueError(f"{kid!r} is not an RSA key for {ALGORITHM} signatures")
    if not isinstance(modulus, str) or not isinstance(exponent, str):
        raise ValueError(f"{kid!r} has no modulus and exponent")
    try:
        # Only the public members: with "d" among them a private key would come out.
        key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": modulus, "e": exponent})
    except (jwt.PyJWTError, ValueError) as error:
        raise ValueError(f"{kid!r} cannot be read: {error}") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        raise ValueError(f"{kid!r} is shorter than {_MIN_KEY_BITS} bits")
    return kid, key
