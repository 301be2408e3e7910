"""The core's public signing keys, prefetched in the background so that requests need not wait for them.

The state is one immutable snapshot, replaced as a whole, so that a hit is a look-up in a dict and takes no
lock. A separate thread renews keys that are still usable: a request waits for it briefly, then continues
with the current keys. Only a process without usable keys waits for the core. While the core does not
answer, the current keys stay in use for a bounded time.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from ..concurrency import AgeClock, Flight, SingleFlight
from ..constants import ALGORITHM
from ..errors import CoreError, CoreUnavailableError, Reason

#: NIST SP 800-131A; also what RFC 7518, 3.3 demands of RS256.
_MIN_KEY_BITS: Final = 2048
#: How long a request that starts a fetch for an unknown key waits, in s.
_UNKNOWN_SECONDS: Final = 2.0
#: The same for requests that join this fetch: enough for a healthy core, too short for made-up key ids to
#: tie up all threads while the core is slow. What they get then is a 503: nobody knows yet whether the key
#: exists, and after a rotation it is that of real sessions.
_JOIN_SECONDS: Final = 0.25


class _Snapshot(NamedTuple):
    """The state of the keys at one time. Times are those of the injected clock, in s."""

    keys: Mapping[str, RSAPublicKey]
    raw: tuple[Any, ...]
    #: When the keys were fetched.
    fetched_at: float
    #: The error of the last attempt; ``None``: it succeeded, or there was none yet.
    problem: str | None
    #: How many attempts in a row have failed.
    failures: int
    #: When the next attempt is due.
    retry_at: float
    #: Until when a hit needs no further check.
    check_at: float
    #: When an unknown kid last caused a fetch.
    asked_at: float


#: Keys, and the times of the wall clock and of the monotonic clock until which they need no further check.
Settled = tuple[Mapping[str, RSAPublicKey], float, float]
_NOTHING_SETTLED: Final[Settled] = ({}, -math.inf, -math.inf)

_NOTHING_YET: Final = _Snapshot(
    keys={},
    raw=(),
    fetched_at=-math.inf,
    problem=None,
    failures=0,
    retry_at=-math.inf,
    check_at=-math.inf,
    asked_at=-math.inf,
)


class KeySet:
    """The signing keys of one core.

    :param fetch: asks the core for its JWKs; raises ``CoreUnavailableError`` or ``CoreError``.
    :param refresh_seconds: keys older than this are renewed.
    :param max_stale_seconds: the age up to which keys are used while the core does not answer.
    :param cooldown_seconds: the least time between two fetches for unknown keys, and after a failed one;
        each further failure doubles the latter, up to ``refresh_seconds``.
    :param logger: logs outages, and keys that cannot be used.
    :param clock: a clock for ages, in s; an :class:`~flask_stsession.concurrency.AgeClock` by default.
    :param patience_seconds: how long a request that starts the renewal of usable keys waits for it. A nearby
        core responds sooner, so that a withdrawn key is refused at once; a core that hangs delays no request
        noticeably.
    :param time_left: returns how long (s) the caller may wait at most.
    :param on_stale: called once per outage with the error and the age of the keys (s) that remain in use,
        in the thread that renews them.
    """

    def __init__(
        self,
        *,
        fetch: Callable[[], list[dict[str, Any]]],
        refresh_seconds: float,
        max_stale_seconds: float,
        cooldown_seconds: float,
        logger: logging.Logger,
        clock: Callable[[], float] | None = None,
        patience_seconds: float = 0.02,
        time_left: Callable[[], float] | None = None,
        on_stale: Callable[[Exception, float], None] | None = None,
    ) -> None:
        self._fetch_jwks = fetch
        self._refresh_seconds = refresh_seconds
        self._max_stale_seconds = max_stale_seconds
        self._cooldown_seconds = cooldown_seconds
        self._logger = logger
        self._clock = clock or AgeClock()
        self._patience_seconds = patience_seconds
        self._time_left = time_left
        self._on_stale = on_stale
        self._snapshot = _NOTHING_YET
        #: Keys that need no further check, and until when: by the wall clock (s since 1970) and by the
        #: monotonic one. Replaced as a whole. The verifier reads it instead of calling :meth:`get`.
        self.settled: Settled = _NOTHING_SETTLED
        self._computes_ages = clock is None
        self._expected: set[str] = set()
        self._renewing: SingleFlight[_Snapshot] = SingleFlight("fetching the signing keys")

    def get(self, kid: str) -> RSAPublicKey | None:
        """Return the current key with this id. A hit takes no lock.

        :param kid: the key id; the parser of the token has checked its shape.
        :returns: ``None``: the core has no such key, or was asked for unknown keys a moment ago.
        :raises CoreUnavailableError: the key is not known and the core does not answer.
        """
        snapshot = self._snapshot
        key = snapshot.keys.get(kid)
        if key is not None and self._clock() < snapshot.check_at:
            return key
        return self._get_slowly(kid)

    def expect(self, kid: str) -> None:
        """Note that the core has just signed with this key: its first use fetches it despite the cooldown."""
        if kid not in self._snapshot.keys:
            self._expected.add(kid)

    def forget_outage(self) -> None:
        """After a failed attempt, make the next request ask the core without waiting for the retry time.

        For tests.
        """
        if self._snapshot.problem is not None:
            now = self._clock()
            self._replace(
                self._snapshot._replace(
                    problem=None, failures=0, retry_at=now, check_at=now, asked_at=-math.inf
                )
            )

    def raw(self) -> list[dict[str, Any]]:
        """Return the JWKs as the core returned them, for a JWKS route.

        :raises CoreUnavailableError: none have been fetched yet, or they are too old.
        """
        return [dict(jwk) for jwk in self._up_to_date(self._snapshot, None)[0].raw if isinstance(jwk, dict)]

    def age_seconds(self) -> float:
        """Return how long ago the keys were fetched, in s."""
        return self._clock() - self._snapshot.fetched_at

    def _get_slowly(self, kid: str) -> RSAPublicKey | None:
        before = self._snapshot
        snapshot, has_asked = self._up_to_date(before, kid)
        if snapshot is before and kid not in before.keys and self._may_ask_for(kid, before):
            snapshot = self._ask_for(kid, before, has_asked=has_asked)
        key = snapshot.keys.get(kid)
        if key is None and snapshot.problem is not None:
            raise _unavailable(f"The signing key {kid!r} is not known", snapshot.problem)
        return key

    def _up_to_date(self, before: _Snapshot, kid: str | None) -> tuple[_Snapshot, bool]:
        """Return the keys, renewed if that is due; wait for the core only if none are usable.

        :returns: the keys, and whether this request had them renewed.
        """
        now = self._clock()
        snapshot, has_asked = before, False
        if now >= before.retry_at:
            if self._is_usable(before, now):
                renewal, has_asked = self._start_renewal(before, kid)
                if has_asked and before.problem is None:
                    renewal.wait(self._patience(self._patience_seconds))
                snapshot = self._snapshot
            else:
                snapshot, has_asked = self._renewing.run(
                    "keys", lambda: self._renew(before, kid), patience=self._patience(math.inf)
                )
        if not self._is_usable(snapshot, self._clock()):
            too_old = "The signing keys are too old to be used"
            what = too_old if snapshot.keys else "No signing keys have been fetched yet"
            raise _unavailable(what, snapshot.problem)
        return snapshot, has_asked

    def _is_usable(self, snapshot: _Snapshot, now: float) -> bool:
        return now - snapshot.fetched_at <= self._max_stale_seconds

    def _may_ask_for(self, kid: str, snapshot: _Snapshot) -> bool:
        return kid in self._expected or self._clock() >= snapshot.asked_at + self._cooldown_seconds

    def _ask_for(self, kid: str, before: _Snapshot, *, has_asked: bool) -> _Snapshot:
        """Renew the keys to find one that is not among them; the others are usable.

        :param has_asked: whether this request has started the renewal that may be under way.
        :raises CoreUnavailableError: it has not ended in time.
        """
        is_patient = has_asked or kid in self._expected
        renewal, is_ours = self._start_renewal(before, kid)
        seconds = self._patience(_UNKNOWN_SECONDS if is_patient or is_ours else _JOIN_SECONDS)
        problem = None if renewal.wait(seconds) else f"no response within {seconds:.3g} s"
        if renewal.error is not None:
            problem = "the thread that asked it was stopped"
        if problem is not None:
            raise _unavailable(f"The signing key {kid!r} is not known", problem)
        return self._snapshot

    def _patience(self, seconds: float) -> float:
        """Return how long (s) to wait for a renewal, whose thread has all its time: ``seconds`` at most."""
        return seconds if self._time_left is None else max(min(seconds, self._time_left()), 0.0)

    def _start_renewal(self, before: _Snapshot, kid: str | None) -> tuple[Flight[_Snapshot], bool]:
        """Start a thread that renews usable keys, unless one is running."""

        def renew() -> _Snapshot:
            try:
                return self._renew(before, kid)
            except Exception:
                # In a thread of its own there is no request to raise it in.
                self._logger.exception("The signing keys could not be renewed.")
                if self._snapshot is before:
                    self._replace(self._failed(before, kid, "an unexpected error, see the log"))
                return self._snapshot

        return self._renewing.start("keys", renew)

    def _renew(self, before: _Snapshot, kid: str | None) -> _Snapshot:
        """Fetch the keys, unless another thread has done so since the caller looked.

        :param before: the snapshot that the caller saw.
        :param kid: the id of the wanted key; ``None`` for all keys.
        """
        if self._snapshot is not before:
            return self._snapshot
        self._expected.clear()  # a key that is expected from now on may be too new for the response
        started = self._clock()
        try:
            raw = self._fetch_jwks()
            keys = self._read(raw, before)
        except (CoreUnavailableError, CoreError) as error:
            self._replace(self._failed(before, kid, str(error), took=self._clock() - started))
            self._report_outage(before, error)
            return self._snapshot
        now = self._clock()
        due = now + self._refresh_seconds
        # The first fetch counts as one for an unknown key only if it did not return that key.
        unknown = kid is not None and kid not in (before.keys or keys)
        self._replace(
            _Snapshot(
                keys=keys,
                raw=tuple(raw),
                fetched_at=now,
                problem=None,
                failures=0,
                retry_at=due,
                check_at=min(due, now + self._max_stale_seconds),
                asked_at=now if unknown else before.asked_at,
            )
        )
        if before.problem is not None:
            self._logger.info("The core returns its signing keys again.")
        return self._snapshot

    def _replace(self, snapshot: _Snapshot) -> None:
        self._snapshot = snapshot
        if self._computes_ages:
            rest = snapshot.check_at - self._clock()
            # Both ends must lie ahead, so that the larger of the two ages counts.
            self.settled = (snapshot.keys, time.time() + rest, time.monotonic() + rest)

    def _failed(self, before: _Snapshot, kid: str | None, problem: str, *, took: float = 0.0) -> _Snapshot:
        """Return the snapshot after a failed attempt, with the time of the next one.

        With usable keys, each failure lengthens the pause. Without any, all requests wait for the core: one
        that fails at once is asked again at once, one that hangs only after as long as the attempt took.
        """
        now = self._clock()
        if self._is_usable(before, now):
            longest = max(self._refresh_seconds, self._cooldown_seconds)
            pause = min(self._cooldown_seconds * 2.0 ** min(before.failures, 32), longest)
        else:
            pause = min(self._cooldown_seconds, took)
        return before._replace(
            problem=problem,
            failures=before.failures + 1,
            retry_at=now + pause,
            check_at=min(now + pause, before.fetched_at + self._max_stale_seconds),
            asked_at=before.asked_at if kid is None or kid in before.keys else now,
        )

    def _read(self, raw: Sequence[Any], before: _Snapshot) -> dict[str, RSAPublicKey]:
        """Return the usable keys by their ids; those that have not changed stay the same objects."""
        keys: dict[str, RSAPublicKey] = {}
        for jwk in raw:
            if jwk in before.raw:
                # Read before. If it is not among the keys, it was unusable then, and has been logged.
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

    def _report_outage(self, before: _Snapshot, error: Exception) -> None:
        if before.problem is not None:
            return
        if not before.keys:
            self._logger.warning("The core's signing keys could not be fetched: %s", error)
            return
        age = self._clock() - before.fetched_at
        self._logger.warning(
            "The core's signing keys could not be renewed; those fetched %.0f s ago stay in use until "
            "they are %.0f s old (STSESSION_JWKS_MAX_STALE_SECONDS): %s",
            age,
            self._max_stale_seconds,
            error,
        )
        if self._on_stale is not None:
            self._on_stale(error, age)


def _unavailable(what: str, problem: str | None) -> CoreUnavailableError:
    return CoreUnavailableError(
        f"{what}, and the core is unreachable: {problem}", reason=Reason.KEYS_UNAVAILABLE
    )


def _read_jwk(jwk: Any) -> tuple[str, RSAPublicKey]:
    """Return id and key of one JWK (RFC 7517) for RS256 signatures.

    :raises ValueError: it is not one; the message says why.
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
        raise ValueError(f"{kid!r} cannot be read: {str(error)!r}") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        raise ValueError(f"{kid!r} is shorter than {_MIN_KEY_BITS} bits")
    return kid, key
