"""Recognise refresh tokens by their shape. Only the core can read them."""

from __future__ import annotations

import re
from typing import Final

#: Longer than any token of a core; the largest part is a user id.
MAX_REFRESH_TOKEN_LENGTH: Final = 4096

# A core writes ``<base64 of the encrypted content>.<nonce>.V2``. ``fullmatch`` because ``$`` would let a
# final newline through.
_REFRESH_TOKEN: Final = r"[A-Za-z0-9+/_=-]+\.[0-9a-f]{64}\.V[0-9]{1,3}"


def has_shape_of_refresh_token(value: str) -> bool:
    """Return whether a value could be a refresh token of a core; the core decides whether it is one."""
    return len(value) <= MAX_REFRESH_TOKEN_LENGTH and re.fullmatch(_REFRESH_TOKEN, value) is not None
