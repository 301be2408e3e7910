"""JWTs for any purpose, and the keys that verify them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask_stsession.constants import ALGORITHM

from ..errors import RequestRefusedError
from ..keys import KeyRing
from ..request import Answer, CoreRequest, Route

#: The largest integer that every JSON parser reads exactly (RFC 8259, 6).
_LAST_SECOND: Final = 2**53 - 1


class JWTOperations:
    """Sign JWTs and publish the public keys.

    :param clock_ms: returns the current time, in ms.
    """

    def __init__(self, keys: KeyRing, clock_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return the operations."""
        return [
            Route("POST", "/recipe/jwt", self.create),
            Route("GET", "/recipe/jwt/jwks", self.public_keys),
            Route("POST", "/recipe/oauth/introspect", self.introspect),
        ]

    def create(self, request: CoreRequest) -> Answer:
        """Sign a payload; its own ``iss``, ``iat`` and ``exp`` take precedence over those of the request."""
        payload = request.claims("payload")
        algorithm = request.text("algorithm")
        issuer = request.text("jwksDomain")
        validity = int(request.number("validity"))
        static = request.optional_flag("useStaticSigningKey", default=True)
        if algorithm.upper() != ALGORITHM:
            return {"status": "UNSUPPORTED_ALGORITHM_ERROR"}
        if not 1 <= validity < 2**63:
            raise RequestRefusedError(400, "validity must be greater than or equal to 0")
        issued = self._clock_ms() // 1000
        claims = {"iss": issuer, "iat": issued, "exp": min(issued + validity, _LAST_SECOND), **payload}
        expires = claims["exp"] if isinstance(claims["exp"], int) else issued
        key = self._keys.signing_key(dynamic=not static, expiry=min(expires, _LAST_SECOND) * 1000)
        return {"status": "OK", "jwt": key.sign(claims, version=None)}

    def introspect(self, request: CoreRequest) -> Answer:
        """Return that the token is not active, like a core without an OAuth2 provider."""
        request.text("token")
        return {"active": False, "status": "OK"}

    def public_keys(self, request: CoreRequest) -> Answer:
        """Return the key set (RFC 7517) with a status, as older SDKs expect it."""
        return {"status": "OK", "keys": self._keys.public_keys()}
