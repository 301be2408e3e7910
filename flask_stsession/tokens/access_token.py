"""Parse access tokens.

:func:`parse` reads the structure and checks no signature. A value whose structure is not that of a
session's token counts as absent (FDI).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

from ..constants import DEFAULT_TENANT, REMEMBER_CLAIM
from .masked import MaskedToken

#: The longest token that is parsed. Servers refuse header lines beyond 8 KB; sockets and jobs may carry more.
MAX_TOKEN_LENGTH: Final = 16 * 1024

#: The letters of base64url. A token is three parts of them, without padding (RFC 7515, 2 and 7.1): only the
#: two dots between are none. The signature may be empty here: a session token without one is refused for its
#: signature, not for its shape.
_BASE64URL: Final = (string.ascii_letters + string.digits + "-_").encode()
_KID: Final = r"[A-Za-z0-9_-]{1,64}"
#: The letters that end canonical base64url, by the length modulo 4: their spare bits are zero.
_LAST_LETTERS: Final = (None, "", "AQgw", "AEIMQUYcgkosw048")
# ASCII only: ``int`` would also read the digits of other scripts.
_VERSION: Final = r"[1-9][0-9]?"

_OLDEST_VERSION: Final = 3
_WITH_TENANT: Final = 4
_WITH_RECIPE_USER_ID: Final = 5
#: Beyond this, JavaScript numbers skip integers (RFC 8259, 6, stops one before it). The comparison also
#: refuses NaN and infinity.
MAX_EXPIRY_SECONDS: Final = 2**53


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# A comparison with NaN is always false, so a token with such an ``exp`` would never expire.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


class TokenHeader(NamedTuple):
    """The header of an access token.

    :param algorithm: ``alg``; never decides how the token is verified.
    :param kid: the id of the signing key.
    :param version: of the token's format: 3 and 4 from older cores, else 5.
    """

    algorithm: object
    kid: str
    version: int


_NO_HEADERS: Final[Mapping[str, TokenHeader]] = {}


@dataclass(slots=True, repr=False, eq=False)
class AccessToken:
    """The content of an access token, shared by all requests that carry it.

    Its fields are ``Final`` for type checkers; ``frozen=True`` would make each first verification slower.

    :param raw: the token as it was sent.
    :param header: its header.
    :param user_id: ``sub``.
    :param recipe_user_id: ``rsub``; the user id in versions that have none.
    :param tenant_id: ``tId``; ``public`` in versions that have none.
    :param session_handle: ``sessionHandle``.
    :param expires_at: ``exp``, in s since 1970.
    :param refresh_token_hash1: ``refreshTokenHash1``.
    :param parent_refresh_token_hash1: ``parentRefreshTokenHash1``: right after a refresh, CDI 5.5 and older.
    :param anti_csrf_token: ``antiCsrfToken``: only where the session was made with ``VIA_TOKEN``.
    :param shared_payload: the whole payload, not to be changed or handed on.
    """

    raw: Final[str]
    header: Final[TokenHeader]
    user_id: Final[str]
    recipe_user_id: Final[str]
    tenant_id: Final[str]
    session_handle: Final[str]
    expires_at: Final[float]
    refresh_token_hash1: Final[str]
    parent_refresh_token_hash1: Final[str | None]
    anti_csrf_token: Final[str | None]
    shared_payload: Final[Mapping[str, Any]]

    @property
    def expiry_ms(self) -> int:
        """When the token expires, in ms since 1970."""
        return int(self.expires_at * 1000)

    @property
    def remember(self) -> bool:
        """Whether the session outlives the browser; ``False`` if it was created with ``remember=False``."""
        return self.shared_payload.get(REMEMBER_CLAIM) is not False

    def payload(self) -> dict[str, Any]:
        """Return a freshly decoded copy of the payload, so that no caller can change another's."""
        return _json_object(self.raw.split(".")[1]) or {}

    def __repr__(self) -> str:
        # Neither the token, a secret, nor the payload, personal data: reprs end up in logs.
        return f"<AccessToken version {self.header.version} of session {self.session_handle}>"


def parse(
    raw: str, *, max_length: int = MAX_TOKEN_LENGTH, headers: Mapping[str, TokenHeader] = _NO_HEADERS
) -> AccessToken | None:
    """Read a token without checking its signature.

    :param raw: the value that was sent as access token.
    :param max_length: the longest value to parse, in characters.
    :param headers: headers parsed before, by their encoded form. Tokens of one key have the same header.
    :returns: ``None`` if its structure is not that of a session's token: it counts as absent (FDI).
    """
    if len(raw) > max_length or raw.encode("ascii", "replace").translate(None, _BASE64URL) != b"..":
        return None
    encoded, content, _ = raw.split(".")
    header = headers.get(encoded) or _header(encoded)
    if header is None:
        return None
    payload = _json_object(content)
    if payload is None:
        return None
    get, version = payload.get, header.version
    user_id, session_handle, hash1 = get("sub"), get("sessionHandle"), get("refreshTokenHash1")
    parent_hash1, anti_csrf_token = get("parentRefreshTokenHash1"), get("antiCsrfToken")
    tenant_id = get("tId") if version >= _WITH_TENANT else get("tId") or DEFAULT_TENANT
    recipe_user_id = get("rsub") if version >= _WITH_RECIPE_USER_ID else get("rsub") or user_id
    expires_at, token_type = get("exp"), get("stt", 0)
    if not (
        isinstance(user_id, str)
        and isinstance(session_handle, str)
        and isinstance(hash1, str)
        and isinstance(tenant_id, str)
        and isinstance(recipe_user_id, str)
        and (parent_hash1 is None or isinstance(parent_hash1, str))
        and (anti_csrf_token is None or isinstance(anti_csrf_token, str))
        and isinstance(expires_at, (int, float))
        and not isinstance(expires_at, bool)
        and 0 <= expires_at <= MAX_EXPIRY_SECONDS
        # ``stt`` is the kind of token; 0 is a session's access token.
        and token_type == 0
        and not isinstance(token_type, bool)
    ):
        return None
    return AccessToken(
        raw=raw,
        header=header,
        user_id=user_id,
        recipe_user_id=recipe_user_id,
        tenant_id=tenant_id,
        session_handle=session_handle,
        expires_at=expires_at,
        refresh_token_hash1=hash1,
        parent_refresh_token_hash1=parent_hash1,
        anti_csrf_token=anti_csrf_token,
        # Thousands of tokens are cached, and their keys are always the same.
        shared_payload={sys.intern(key): value for key, value in payload.items()},
    )


def read_jwt(raw: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Read header and payload of any signed JWT with a plausible key id; do not check its signature.

    :param raw: the value that was sent.
    :returns: ``None`` if it is not such a JWT, or is longer than :data:`MAX_TOKEN_LENGTH`.
    """
    if len(raw) > MAX_TOKEN_LENGTH or raw.encode("ascii", "replace").translate(None, _BASE64URL) != b"..":
        return None
    encoded, content, _ = raw.split(".")
    header, payload = _json_object(encoded), _json_object(content)
    if header is None or payload is None or _needs_extension(header):
        return None
    kid = header.get("kid")
    return (header, payload) if isinstance(kid, str) and re.fullmatch(_KID, kid) is not None else None


def front_token(payload: Mapping[str, Any]) -> str:
    """Return the header ``front-token``, from which a frontend reads the payload (FDI).

    :param payload: the whole payload of the access token.
    :returns: standard base64 of compact JSON: ``uid``, ``ate`` (expiry in ms) and ``up`` (the payload).
    """
    front = {"uid": payload["sub"], "ate": int(payload["exp"] * 1000), "up": payload}
    try:
        text = json.dumps(front, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # JSON may hold half a surrogate pair, UTF-8 may not; an escape can represent it.
        text = json.dumps(front, separators=(",", ":")).encode()
    return base64.b64encode(text).decode("ascii")


def base64url_decode(part: str) -> bytes:
    """Decode base64url without padding (RFC 7515, 2); return ``b""`` for other text."""
    try:
        # More padding than is needed is ignored.
        return binascii.a2b_base64(part.replace("-", "+").replace("_", "/") + "==")
    except ValueError:
        return b""


def is_canonical_base64url(part: str) -> bool:
    """Return whether no other text decodes to the same bytes (RFC 4648, 3.5).

    :param part: letters of base64url, without padding.
    """
    spare_bits_are_zero = _LAST_LETTERS[len(part) % 4]
    return spare_bits_are_zero is None or part[-1] in spare_bits_are_zero


def _json_object(part: str) -> dict[str, Any] | None:
    """Return the header or the payload in a part of a token, or ``None`` if it is not a JSON object."""
    try:
        text = binascii.a2b_base64(part.replace("-", "+").replace("_", "/") + "==").decode("utf-8")
        # ``raw_decode`` does not look for blanks around the object, which no core writes.
        value, end = _DECODER.raw_decode(text) if text.startswith("{") else (None, None)
        if end != len(text):
            value = _DECODER.decode(text)
    except (ValueError, RecursionError):  # RecursionError: thousands of nested brackets
        return None
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("antiCsrfToken"), str):
        # Claims and validators of the app are handed the payload, and may raise.
        value["antiCsrfToken"] = MaskedToken(value["antiCsrfToken"])
    return value


def _header(part: str) -> TokenHeader | None:
    """Return the parsed header of a session token, or ``None`` if it is not one."""
    header = _json_object(part)
    if header is None or header.get("typ") != "JWT":
        return None
    version, kid = header.get("version"), header.get("kid")
    if not isinstance(version, str) or re.fullmatch(_VERSION, version) is None:
        return None
    if not isinstance(kid, str) or re.fullmatch(_KID, kid) is None:
        return None
    if _needs_extension(header):
        return None
    number = int(version)
    return TokenHeader(header.get("alg"), kid, number) if number >= _OLDEST_VERSION else None


def _needs_extension(header: Mapping[str, Any]) -> bool:
    # RFC 7515, 4.1.11 and RFC 7797: extensions that must be understood. A core uses none, and a PyJWT that
    # does not know "crit" would ignore them.
    return "crit" in header or "b64" in header
