"""The settings of the embedded core: the keys of a SuperTokens core's ``config.yaml`` that it knows.

Values come from Python (``app.config``) or, as text, from ``--set KEY=VALUE``. They are checked once and
kept in a frozen dataclass, whose fields document each key with its default and unit.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from .errors import EmbeddedCoreError

#: A shorter key could be guessed.
MIN_API_KEY_LENGTH: Final = 20

#: Kinds of refresh-token reuse that ``recent_token_reuse_behaviour`` may declare harmless.
FORGIVABLE_REUSE: Final = ("RECENT_PREV", "ORPHANED_BRANCH")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of the embedded core, checked.

    :raises EmbeddedCoreError: two settings contradict each other.
    """

    #: Life of an access token, seconds.
    access_token_validity: int = 3600
    #: Share by which the life of an access token may be shortened at random: 0 to 0.25.
    access_token_validity_jitter: float = 0.05
    #: Life of a refresh token and of a session that is not used, minutes; fractions are fine.
    refresh_token_validity: float = 144_000.0
    #: For how long the previous refresh token may be used again (CDI 5.6), seconds: 0 to 300.
    refresh_token_rotation_grace_period: float = 30.0
    #: After how long a new dynamic signing key takes over, hours.
    access_token_dynamic_signing_key_update_interval: float = 168.0
    #: Kinds of reuse answered with UNAUTHORISED instead of TOKEN_THEFT_DETECTED (CDI 5.6): ``RECENT_PREV``,
    #: ``ORPHANED_BRANCH`` or both, comma separated. The session is revoked all the same.
    recent_token_reuse_behaviour: frozenset[str] = frozenset()
    #: API keys, comma separated; a request must carry one of them in ``api-key``. If none is set, all pass.
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    #: Life of an email-verification token, milliseconds.
    email_verification_token_lifetime: int = 86_400_000

    def __post_init__(self) -> None:
        if self.refresh_token_validity * 60 <= self.access_token_validity:
            raise EmbeddedCoreError(
                f"refresh_token_validity is {self.refresh_token_validity:g} minutes, which is not longer than"
                f" access_token_validity, {self.access_token_validity} seconds: make the first longer or the"
                " second shorter"
            )

    @property
    def access_token_validity_ms(self) -> int:
        """Life of an access token, ms."""
        return self.access_token_validity * 1000

    @property
    def refresh_token_validity_ms(self) -> int:
        """Life of a refresh token, ms."""
        return round(self.refresh_token_validity * 60_000)

    @property
    def grace_period_ms(self) -> int:
        """How long the previous refresh token may be used again, ms."""
        return round(self.refresh_token_rotation_grace_period * 1000)

    @property
    def key_interval_ms(self) -> int:
        """How long a dynamic key signs, ms."""
        return max(1, round(self.access_token_dynamic_signing_key_update_interval * 3_600_000))

    @property
    def key_lead_ms(self) -> int:
        """How long a new key is published before it signs, so that verifiers know it by then, ms."""
        return min(60_000, self.key_interval_ms // 2)


def read_settings(given: Mapping[str, Any] | None) -> Settings:
    """Return the settings, checked, with defaults for missing keys.

    :param given: values by key; numbers may be text.
    :raises EmbeddedCoreError: a key is unknown or its value is not allowed.
    """
    known = {each.name for each in fields(Settings)}
    checked: dict[str, Any] = {}
    for key, value in (given or {}).items():
        if key not in known:
            raise EmbeddedCoreError(_unknown(key, sorted(known)))
        checked[key] = _READERS[key](key, value)
    return Settings(**checked)


def _unknown(key: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
    return f"the embedded core has no setting {key!r}: {advice}"


def _wrong(key: str, value: object, remedy: str) -> EmbeddedCoreError:
    return EmbeddedCoreError(f"{key} is {value!r}: give {remedy}")


def _number(
    remedy: str, *, above: float | None = None, least: float | None = None, most: float
) -> Callable[[str, object], float]:
    def read(key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise _wrong(key, value, remedy)
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise _wrong(key, value, remedy) from None
        if (
            not number <= most
            or (above is not None and number <= above)
            or (least is not None and number < least)
        ):
            raise _wrong(key, value, remedy)
        return number

    return read


def _whole(remedy: str, *, most: float) -> Callable[[str, object], int]:
    number = _number(remedy, least=1, most=most)

    def read(key: str, value: object) -> int:
        found = number(key, value)
        if found != int(found):
            raise _wrong(key, value, remedy)
        return int(found)

    return read


def _words(key: str, value: object, remedy: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [word for word in (part.strip() for part in value.split(",")) if word]
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(word, str) for word in value):
        return [word.strip() for word in value]
    raise _wrong(key, value, remedy)


def _read_reuse(key: str, value: object) -> frozenset[str]:
    remedy = (
        "RECENT_PREV, ORPHANED_BRANCH, both with a comma between them, or nothing;"
        " they are the reuses that get UNAUTHORISED instead of TOKEN_THEFT_DETECTED"
    )
    words = _words(key, value, remedy)
    if any(word not in FORGIVABLE_REUSE for word in words):
        raise _wrong(key, value, remedy)
    return frozenset(words)


def _read_api_keys(key: str, value: object) -> tuple[str, ...]:
    # The messages name the position of a key, never the key itself: they end up in logs.
    try:
        words = _words(key, value, "")
    except EmbeddedCoreError:
        raise EmbeddedCoreError(
            f"{key} is of type {type(value).__name__}: give text, several keys with commas between them"
        ) from None
    for place, word in enumerate(words, start=1):
        if len(word) < MIN_API_KEY_LENGTH or not word.isascii() or not word.isprintable() or " " in word:
            raise EmbeddedCoreError(
                f"{key}: key number {place} has {len(word)} characters: give at least {MIN_API_KEY_LENGTH},"
                " all of them printable ASCII and none a space or a comma"
            )
    return tuple(words)


#: The limits of a core 12.1. It does not limit some validities; the embedded core limits them to a hundred
#: years, more than any clock or cookie needs.
_MOST_ACCESS_SECONDS: Final = 86_400_000
_MOST_GRACE_SECONDS: Final = 300
_MOST_JITTER: Final = 0.25
_CENTURY_MINUTES: Final = 52_560_000

_READERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "access_token_validity": _whole(
        f"a whole number of seconds from 1 to {_MOST_ACCESS_SECONDS}, for example 3600",
        most=_MOST_ACCESS_SECONDS,
    ),
    "access_token_validity_jitter": _number(
        f"a share from 0 (none) to {_MOST_JITTER}, for example 0.05 for 5 %", least=0, most=_MOST_JITTER
    ),
    "refresh_token_validity": _number(
        f"a number of minutes above 0, at most {_CENTURY_MINUTES}, for example 144000",
        above=0,
        most=_CENTURY_MINUTES,
    ),
    "refresh_token_rotation_grace_period": _number(
        f"a number of seconds from 0 to {_MOST_GRACE_SECONDS}, for example 30",
        least=0,
        most=_MOST_GRACE_SECONDS,
    ),
    "access_token_dynamic_signing_key_update_interval": _number(
        f"a number of hours above 0, at most {_CENTURY_MINUTES // 60}, for example 168",
        above=0,
        most=_CENTURY_MINUTES / 60,
    ),
    "recent_token_reuse_behaviour": _read_reuse,
    "api_keys": _read_api_keys,
    "email_verification_token_lifetime": _whole(
        f"a whole number of milliseconds from 1 to {_CENTURY_MINUTES * 60_000}, for example 86400000",
        most=_CENTURY_MINUTES * 60_000,
    ),
}
