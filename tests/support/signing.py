"""Signing keys, access tokens and a core that gives its keys, for tests; made with PyJWT."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import threading
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from flask_stsession.tokens.jwks import KeySet

#: How a ``key_set`` is tuned, in s.
REFRESH, MAX_STALE, COOLDOWN = 60.0, 86_400.0, 10.0


class Absent(Enum):
    """In place of a value: leave the key out. An enumeration, since test ids must not hold addresses."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT

PAYLOAD: Final[dict[str, Any]] = {
    "iat": 1_000,
    "exp": 2_000,
    "sub": "user-1",
    "rsub": "recipe-user-1",
    "tId": "tenant-1",
    "sessionHandle": "4b1d6f0e-6a3c-4b0e-9c4e-0c6f3a2b1d00_tenant-1",
    "refreshTokenHash1": "ab" * 32,
    "parentRefreshTokenHash1": None,
    "antiCsrfToken": None,
    "iss": "http://localhost:8080/auth",
}


@cache
def private_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A private key: the same for the same name."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def base64url(data: bytes) -> str:
    """Base64url as JWTs use it, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A core's signing key.

    :param kid: its id.
    :param name: of the key pair; signers with one name share it.
    """

    def __init__(self, kid: str = "d-1700000000000", *, name: str = "one", bits: int = 2048) -> None:
        self.kid = kid
        self.private = private_key(name, bits)
        self.public = self.private.public_key()

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as the core publishes it."""
        numbers = RSAAlgorithm.to_jwk(self.public, as_dict=True)
        published = {
            "kty": "RSA",
            "kid": self.kid,
            "n": numbers["n"],
            "e": numbers["e"],
            "alg": "RS256",
            "use": "sig",
        }
        return _with(published, changes)

    def token(self, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """An access token; ``changes`` are to its payload, ``ABSENT`` leaves a key out."""
        return self.sign(self.header(**(header or {})), json.dumps(_with(PAYLOAD, changes)).encode())

    def header(self, **changes: Any) -> dict[str, Any]:
        """The header of an access token."""
        return _with({"alg": "RS256", "typ": "JWT", "kid": self.kid, "version": "5"}, changes)

    def sign(self, header: dict[str, Any] | bytes, payload: bytes) -> str:
        """Any bytes as header and payload, signed with RS256 whatever the header says."""
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        signed = f"{base64url(raw)}.{base64url(payload)}"
        algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
        return f"{signed}.{base64url(algorithm.sign(signed.encode(), self.private))}"


def hmac_token(header: dict[str, Any], secret: bytes, payload: dict[str, Any] | None = None) -> str:
    """The algorithm-confusion attack: HS256 with what everybody can fetch as the secret."""
    body = json.dumps(PAYLOAD if payload is None else payload).encode()
    signed = f"{base64url(json.dumps(header).encode())}.{base64url(body)}"
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), 'sha256'))}"


class Keys:
    """Signing keys that count how often they were asked for."""

    settled: tuple[dict[str, rsa.RSAPublicKey], float, float] = ({}, 0.0, 0.0)

    def __init__(self, *signers: Signer) -> None:
        self.known: dict[str, rsa.RSAPublicKey] = {signer.kid: signer.public for signer in signers}
        self.asked: list[str] = []
        self.error: Exception | None = None

    def get(self, kid: str) -> rsa.RSAPublicKey | None:
        self.asked.append(kid)
        if self.error is not None:
            raise self.error
        return self.known.get(kid)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now


class Core:
    """Answers with its keys, or with its error; may be told to hang until released."""

    def __init__(self, *jwks: Any) -> None:
        self.jwks: list[Any] = list(jwks)
        self.error: Exception | None = None
        self.fetches = 0
        self.takes: Callable[[], None] = lambda: None

    def fetch(self) -> list[dict[str, Any]]:
        self.fetches += 1
        self.takes()
        if self.error is not None:
            raise self.error
        return list(self.jwks)


class Hanging:
    """Makes a fetch hang; ``started`` is set once it does."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()

    def __call__(self) -> None:
        self.started.set()
        assert self.released.wait(30)


def key_set(
    core: Core,
    clock: Clock,
    on_stale: Callable[[Exception, float], None] | None = None,
    patience_seconds: float = 30.0,
    time_left: Callable[[], float] | None = None,
) -> KeySet:
    """The keys of that core; by default, whoever has them renewed waits for them."""
    return KeySet(
        fetch=core.fetch,
        refresh_seconds=REFRESH,
        max_stale_seconds=MAX_STALE,
        cooldown_seconds=COOLDOWN,
        clock=clock,
        logger=logging.getLogger("flask_stsession"),
        on_stale=on_stale,
        patience_seconds=patience_seconds,
        time_left=time_left,
    )


def known_to(keys: KeySet) -> set[str]:
    """The ids of the keys that were fetched last, without a fetch of its own."""
    return set(keys._snapshot.keys)


def _with(mapping: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**mapping, **changes}.items() if value is not ABSENT}
