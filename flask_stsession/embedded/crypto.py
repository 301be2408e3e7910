"""Sign, encrypt and hash for the embedded core.

JWTs are signed with RS256 (RFC 7515; RFC 7518, 3.3). Refresh tokens are encrypted with AES-256-GCM: only this
core can read or change them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flask_stsession.constants import ALGORITHM

_RSA_BITS: Final = 2048
_IV_BYTES: Final = 12
_REFRESH_TOKEN_VERSION: Final = "V2"


class InvalidTokenError(Exception):
    """A token that this core did not create, or that was changed; the message may be sent to the caller."""


def sha256_hex(text: str) -> str:
    """Return the SHA-256 of a text as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def compact_json(value: object) -> str:
    """Return a value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _utf8_json(value: object) -> bytes:
    """Return a value as JSON in UTF-8, as a core does: half the size of escapes in many scripts."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    # The decoder of the standard library skips foreign characters; a token that has any is not genuine.
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _b64(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


# Signing keys


def new_private_key_pem() -> str:
    """Generate an RSA key and return it as PEM (PKCS #8)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


class SigningKey:
    """One RSA key pair under its key id.

    :param kid: the key id, as in the header of the JWTs it signs.
    :param pem: the private key.
    """

    def __init__(self, kid: str, pem: str) -> None:
        # This core generated the key. Proving its numbers prime again would take 70 ms at each start.
        key = serialization.load_pem_private_key(
            pem.encode("ascii"), password=None, unsafe_skip_rsa_key_validation=True
        )
        assert isinstance(key, rsa.RSAPrivateKey)  # new_private_key_pem() made it
        self.kid = kid
        self._private = key
        self._public = key.public_key()

    def sign(self, payload: Mapping[str, Any], *, version: str | None) -> str:
        """Return a JWT with this payload.

        :param version: the header ``version``, which only access tokens have; None for no such header.
        """
        header = {"kid": self.kid, "typ": "JWT", "alg": ALGORITHM}
        if version is not None:
            header["version"] = version
        signed = f"{_b64(compact_json(header).encode())}.{_b64(_utf8_json(payload))}"
        signature = self._private.sign(signed.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_b64(signature)}"

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Return whether this key made the signature."""
        try:
            self._public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JSON Web Key (RFC 7517)."""
        numbers = self._public.public_numbers()
        return {
            "kty": "RSA",
            "kid": self.kid,
            "n": _b64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": _b64(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
            "alg": ALGORITHM,
            "use": "sig",
        }


@dataclass(frozen=True, slots=True)
class UnverifiedJWT:
    """A parsed JWT whose signature has not been verified."""

    kid: str
    version: object
    payload: dict[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def split_jwt(token: str) -> UnverifiedJWT:
    """Parse a JWT.

    :raises InvalidTokenError: it is not an RS256 JWT with a key id.
    """
    try:
        head, body, signature = token.split(".")
        header, payload = json.loads(_unb64(head)), json.loads(_unb64(body))
        signed, raw_signature = f"{head}.{body}".encode("ascii"), _unb64(signature)
    except (ValueError, RecursionError) as error:  # binascii.Error and UnicodeError are ValueErrors
        raise InvalidTokenError("The token is not a JWT") from error
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise InvalidTokenError("The token is not a JWT")
    # The token never chooses the algorithm (RFC 8725, 3.1).
    if header.get("alg") != ALGORITHM or not isinstance(header.get("kid"), str):
        raise InvalidTokenError(f"The token is not signed with {ALGORITHM} by a key of this core")
    return UnverifiedJWT(header["kid"], header.get("version"), payload, signed, raw_signature)


# Refresh tokens


@dataclass(frozen=True, slots=True)
class RefreshTokenContent:
    """The encrypted content of a refresh token."""

    session_handle: str
    user_id: str
    tenant_id: str
    parent_refresh_token_hash1: str | None
    anti_csrf_token: str | None = field(repr=False)


class RefreshTokenSealer:
    """Create and read refresh tokens: ``<encrypted payload>.<nonce>.V2``.

    :param key: 32 bytes; with them, anyone can create refresh tokens.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @staticmethod
    def new_key() -> bytes:
        """Return a random key."""
        return AESGCM.generate_key(bit_length=256)

    def seal(self, content: RefreshTokenContent) -> str:
        """Return a new token with this content; no two tokens are equal."""
        nonce = secrets.token_hex(32)
        plain = _utf8_json(
            {
                "sessionHandle": content.session_handle,
                "userId": content.user_id,
                "tenantId": content.tenant_id,
                "parentRefreshTokenHash1": content.parent_refresh_token_hash1,
                "antiCsrfToken": content.anti_csrf_token,
                "nonce": nonce,
            }
        )
        iv = secrets.token_bytes(_IV_BYTES)
        sealed = self._cipher.encrypt(iv, plain, nonce.encode("ascii"))
        return f"{_b64(iv + sealed)}.{nonce}.{_REFRESH_TOKEN_VERSION}"

    def open(self, token: str) -> RefreshTokenContent:
        """Read a token.

        :raises InvalidTokenError: this core did not create it.
        """
        try:
            sealed, nonce, version = token.split(".")
            raw = _unb64(sealed)
            plain = json.loads(self._cipher.decrypt(raw[:_IV_BYTES], raw[_IV_BYTES:], nonce.encode("ascii")))
        except (ValueError, InvalidTag, binascii.Error) as error:
            raise InvalidTokenError("The refresh token is not one of this core's") from error
        if version != _REFRESH_TOKEN_VERSION or not hmac.compare_digest(plain["nonce"], nonce):
            raise InvalidTokenError("The refresh token is not one of this core's")
        return RefreshTokenContent(
            session_handle=plain["sessionHandle"],
            user_id=plain["userId"],
            tenant_id=plain["tenantId"],
            parent_refresh_token_hash1=plain["parentRefreshTokenHash1"],
            anti_csrf_token=plain["antiCsrfToken"],
        )
