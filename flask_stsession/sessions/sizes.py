"""Limit the size of access tokens to what a cookie or a header can hold.

The size is checked before the core makes the token, so that nothing is written that could not reach the
client. It is therefore an estimate, a few dozen bytes on the safe side.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..constants import ACCESS_TOKEN_COOKIE, MAX_COOKIE_BYTES, PROTECTED_CLAIMS, TransferMethod
from ..errors import ConfigError
from ..tokens.refresh_token import MAX_REFRESH_TOKEN_LENGTH

if TYPE_CHECKING:
    from ..config.config import AllowedTransfer

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Bytes of an access token besides its payload: header, RS256 signature (RSA-2048), dots.
_JWT_BYTES: Final = 450
#: Bytes of the payload that are the session's own, besides its ids: keys, times, hashes, anti-CSRF token;
#: less two, since ids and payload are measured as a list, whose brackets the token does not have.
_OWN_BYTES: Final = 360 - 2
#: Bytes of a refresh token besides user id and tenant id: its other content, encrypted, and the nonce.
_REFRESH_TOKEN_BYTES: Final = 580
#: The response headers that nginx accepts by default (``proxy_buffer_size``), less the refresh token and
#: the headers of a usual app.
_USUAL_HEAD_BYTES: Final = 4096 - 896
#: Attributes of the access-token cookie, besides its domain: path, expiry, Secure, HttpOnly, SameSite.
_ATTRIBUTE_BYTES: Final = len(
    "; Expires=Thu, 26 Nov 2026 03:00:00 GMT; Secure; HttpOnly; Path=/; SameSite=Strict; Partitioned"
)


class TokenSizes:
    """Refuse access tokens that are too large for a cookie or a header, and warn of large ones.

    :param allowed: the transfer methods that the app allows: ``"cookie"``, ``"header"`` or ``"any"``.
    :param max_header_bytes: the limit of an access token by header (``STSESSION_MAX_ACCESS_TOKEN_BYTES``).
    :param cookie_prefix: ``STSESSION_COOKIE_PREFIX``.
    :param cookie_domain: ``STSESSION_COOKIE_DOMAIN``.
    """

    def __init__(
        self,
        *,
        allowed: AllowedTransfer = "any",
        max_header_bytes: int = 8192,
        cookie_prefix: str = "",
        cookie_domain: str | None = None,
    ) -> None:
        self._is_known = allowed != "any"
        #: The transfer method of a session of which only the handle is known.
        self._assumed: TransferMethod = "cookie" if allowed == "cookie" else "header"
        # RFC 6265, 6.1: name, value and attributes count together.
        name = len(cookie_prefix) + len(ACCESS_TOKEN_COOKIE) + len("=")
        domain = len(f"; Domain={cookie_domain}") if cookie_domain else 0
        by_cookie = MAX_COOKIE_BYTES - name - domain - _ATTRIBUTE_BYTES
        limits: dict[TransferMethod | None, int] = {"cookie": by_cookie, "header": max_header_bytes}
        limits[None] = limits[self._assumed]
        #: The most bytes of an access token, by the transfer method of its session, if that is known.
        self.limits: Final = limits
        self._has_warned = False

    def check(
        self,
        payload: Mapping[str, Any],
        *,
        user_id: str,
        recipe_user_id: str,
        tenant_id: str,
        transfer_method: TransferMethod | None,
        stored: Mapping[str, Any] | None = None,
    ) -> None:
        """Refuse a payload whose access token would be too large; warn once of a large one.

        :param payload: the user's keys.
        :param transfer_method: that of the session; ``None`` where only its handle is known.
        :param stored: the payload before the change, from which the transfer method is guessed.
        :raises ConfigError: the access token (the message names its largest keys, or a long id) or the
            refresh token would be too large.
        """
        ids = [user_id, recipe_user_id, tenant_id, tenant_id]
        by_name = {"user_id": user_id, "recipe_user_id": recipe_user_id, "tenant_id": tenant_id}
        content = _OWN_BYTES + _json_bytes([*ids, payload])
        estimate = _JWT_BYTES + content * 4 // 3  # base64 makes 4 of 3
        method = transfer_method or self._likely_method(stored, ids)
        limit = self.limits[method]
        if estimate > limit:
            raise ConfigError(
                f"The access token would have about {estimate} bytes, more than {_place(method)} can hold "
                f"({limit}). Nothing was written. {_largest_part(payload, by_name)}, or "
                + (
                    "send tokens by header (STSESSION_TOKEN_TRANSFER_METHOD)."
                    if method == "cookie"
                    else "raise STSESSION_MAX_ACCESS_TOKEN_BYTES."
                )
            )
        # A refresh token is smaller: an access token holds the same ids, and more besides.
        if estimate > MAX_REFRESH_TOKEN_LENGTH:
            _refuse_long_refresh_token(user_id, tenant_id)
        # The front-token carries the payload once more.
        outgoing = estimate + content * 4 // 3
        if outgoing > _USUAL_HEAD_BYTES and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "The access token and the front-token of a session have about %d bytes together. By default, "
                "nginx returns 502 for a response with 4096 bytes of headers: raise its proxy_buffer_size "
                "(and uwsgi_buffer_size) to 16k. Browsers keep no cookie beyond %d bytes. %s.",
                outgoing,
                MAX_COOKIE_BYTES,
                _largest_part(payload, by_name),
            )

    def problem(self, token: str, transfer_method: TransferMethod | None) -> str:
        """Return in what way an access token from the core exceeds its limit."""
        limit, place = self.limits[transfer_method], _place(transfer_method or self._assumed)
        return f"its access token has {len(token)} bytes, more than {place} can hold ({limit})"

    def _likely_method(self, stored: Mapping[str, Any] | None, ids: list[str]) -> TransferMethod:
        """Return the likely transfer method of a session: cookie, unless its token is too large for one."""
        if stored is None or self._is_known:
            return self._assumed
        present = _JWT_BYTES + (_OWN_BYTES + _json_bytes([*ids, stored])) * 4 // 3
        return "header" if present > self.limits["cookie"] else "cookie"


def _refuse_long_refresh_token(user_id: str, tenant_id: str) -> None:
    """Raise an error if the refresh token would be longer than we take one back.

    :raises ConfigError: because of a long user id.
    """
    size = _REFRESH_TOKEN_BYTES + _json_bytes([user_id, tenant_id]) * 4 // 3
    if size > MAX_REFRESH_TOKEN_LENGTH:
        raise ConfigError(
            f"The user id has {len(user_id)} characters, so the refresh token would have about {size} "
            f"bytes, more than {MAX_REFRESH_TOKEN_LENGTH}. Nothing was written. Use a shorter user id."
        )


def _largest_part(payload: Mapping[str, Any], ids: Mapping[str, str]) -> str:
    """Return what makes a token large, and the remedy, for a message."""
    longest = max(ids, key=lambda name: _json_bytes(ids[name]))
    size = _json_bytes(ids[longest])
    if size > _json_bytes(payload):
        return f"Its {longest} alone has {size} bytes: use a shorter one"
    return (
        f"Largest keys of the payload: {largest_keys(payload)}. Keep large values in session_data_in_database"
    )


def largest_keys(payload: Mapping[str, Any]) -> str:
    """Return the three largest keys of a payload with their sizes, for a message."""
    sizes = {
        key: _json_bytes({key: value}) - 1 for key, value in payload.items() if key not in PROTECTED_CLAIMS
    }
    largest = sorted(sizes, key=lambda key: sizes[key], reverse=True)[:3]
    return ", ".join(f"{key!r} ({sizes[key]} bytes)" for key in largest)


def _place(method: TransferMethod) -> str:
    return "a cookie" if method == "cookie" else "a header"


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
