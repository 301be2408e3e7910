"""The shape of refresh tokens, and values for which the core need not be asked."""

from __future__ import annotations

import pytest

from flask_stsession.tokens.refresh_token import MAX_REFRESH_TOKEN_LENGTH, has_shape_of_refresh_token

NONCE = "0123456789abcdef" * 4


@pytest.mark.parametrize("content", ["a", "aB3+/=", "aB3_-", "x" * 2000])
def test_refresh_tokens_of_a_core_have_the_shape(content: str) -> None:
    assert has_shape_of_refresh_token(f"{content}.{NONCE}.V2")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        "a.b.c",
        f".{NONCE}.V2",
        f"a.{NONCE}.",
        f"a.{NONCE}.V",
        f"a.{NONCE[:-1]}.V2",
        f"a.{NONCE[:-1]}é.V2",
        f"a.{NONCE.upper()}.V2",
        f"a.{NONCE}.V2\n",
        f" a.{NONCE}.V2",
        f"a b.{NONCE}.V2",
        f"é.{NONCE}.V2",
        f"a.b.{NONCE}.V2",
        "x" * MAX_REFRESH_TOKEN_LENGTH + f".{NONCE}.V2",
    ],
)
def test_other_values_do_not_have_the_shape(value: str) -> None:
    assert not has_shape_of_refresh_token(value)
