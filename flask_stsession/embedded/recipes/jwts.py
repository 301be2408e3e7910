"""JWTs for any purpose, and the keys to verify them with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask_stsession.constants import ALGORITHM

from ..errors import RequestRefusedError
from ..keys import KeyRing
from ..request import Answer, CoreRequest, Route

#: A hundred years: what a SuperTokens core takes if no validity is given, seconds.
_DEFAULT_VALIDITY: Final = 3_153_600_000
#: The largest whole number that every reader of JSON takes for itself (RFC 8259, 6).
_LAST_SECOND: Final = 2**53 - 1


class JWTOperations:
    """Signing JWTs and publishing the public keys.

    :param clock_ms: the time now, ms.
    """

    def __init__(self, keys: KeyRing, clock_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return what is to be served."""
        return [
            Route("POST", "/recipe/jwt", self.create),
            Route("GET", "/recipe/jwt/jwks", self.public_keys),
        ]

    def create(self, request: CoreRequest) -> Answer:
        """Sign a payload of the caller's."""
        payload = request.object("payload")
        algorithm = request.text("algorithm")
        issuer = request.text("jwksDomain")
        validity = request.number("validity")
        static = request.flag("useStaticSigningKey", default=True)
        if algorithm != ALGORITHM:
            return {"status": "UNSUPPORTED_ALGORITHM_ERROR"}
        if validity is not None and validity < 0:
            raise RequestRefusedError(400, "validity must be greater than or equal to 0")
        issued = self._clock_ms() // 1000
        expires = min(issued + int(_DEFAULT_VALIDITY if validity is None else validity), _LAST_SECOND)
        key = self._keys.signing_key(dynamic=not static, expiry=expires * 1000)
        claims = {**payload, "iss": issuer, "iat": issued, "exp": expires}
        return {"status": "OK", "jwt": key.sign(claims, version=None)}

    def public_keys(self, request: CoreRequest) -> Answer:
        """Return the key set (RFC 7517) with a status, as older SDKs ask for it."""
        return {"status": "OK", "keys": self._keys.public_keys()}
