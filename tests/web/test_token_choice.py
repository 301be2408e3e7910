"""Which of the tokens of a request counts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, strategies as st
from support.signing import Signer

from flask_stsession.config.config import CookieNames
from flask_stsession.errors import Reason, TryRefreshTokenError
from flask_stsession.tokens.access_token import parse
from flask_stsession.web.token_choice import choose_token, no_token, sole_access_token
from flask_stsession.web.transport import RequestTokens, read_tokens

ONE = Signer().token(sessionHandle="one")
TWO = Signer().token(sessionHandle="two")


def chosen(sent: RequestTokens, allowed: Any = "any", *, revoked: str = "") -> tuple[str | None, str | None]:
    """Return the handle of the session whose token counts, and how the token came."""
    token, method = choose_token(sent, allowed, verify=parse, is_revoked=lambda handle: handle == revoked)
    return None if token is None else token.session_handle, method


def sent(bearer: str | None = None, *cookies: str, legacy: bool = False) -> RequestTokens:
    return RequestTokens(bearer, list(cookies), [], legacy)


@pytest.mark.parametrize(
    ("tokens", "allowed", "expected"),
    [
        (sent(ONE, TWO), "any", ("one", "header")),
        (sent(ONE, TWO), "cookie", ("two", "cookie")),
        (sent(ONE, TWO), "header", ("one", "header")),
        (sent("other", TWO), "any", ("two", "cookie")),
        (sent("other", TWO), "header", (None, None)),
        (sent(None, "other"), "any", (None, None)),
        (sent(None, "other", "another"), "any", (None, None)),
        (sent(), "any", (None, None)),
    ],
)
def test_the_header_takes_precedence_over_the_cookie_if_both_are_allowed(
    tokens: RequestTokens, allowed: str, expected: tuple[str | None, str | None]
) -> None:
    assert chosen(tokens, allowed) == expected


def test_a_revoked_token_in_the_header_gives_way_to_a_cookie() -> None:
    assert chosen(sent(ONE, TWO), revoked="one") == ("two", "cookie")
    assert chosen(sent(ONE), revoked="one") == ("one", "header")


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (sent(ONE, legacy=True), Reason.LEGACY_SESSION),
        (sent(None, ONE, TWO), Reason.DUPLICATE_COOKIES),
        (sent(None, ONE, "other"), Reason.DUPLICATE_COOKIES),
    ],
)
def test_ambiguous_tokens_need_a_refresh(tokens: RequestTokens, reason: Reason) -> None:
    with pytest.raises(TryRefreshTokenError) as caught:
        chosen(tokens)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (sent(), Reason.NO_TOKEN),
        (sent("other"), Reason.MALFORMED),
        (sent(None, "other"), Reason.MALFORMED),
        (sent(ONE), Reason.WRONG_TRANSFER),
        (sent("other", ONE), Reason.WRONG_TRANSFER),
    ],
)
def test_a_request_without_a_usable_token_gets_the_reason(tokens: RequestTokens, reason: Reason) -> None:
    error = no_token(tokens)
    assert (error.reason, error.clear_tokens) == (reason, False)


FRAGMENTS = [
    "sAccessToken",
    "sRefreshToken",
    "sIdRefreshToken",
    "=",
    "; ",
    ";",
    ",",
    " ",
    '"',
    "%3D",
    "a.b",
    "x",
    "\t",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_sole_access_token_agrees_with_read_tokens(cookie: str) -> None:
    environ, names = {"HTTP_COOKIE": cookie}, CookieNames.with_prefix("")
    value, method = sole_access_token(environ, names)
    if value is not None and re.fullmatch(r"[\w.-]+", value):  # else it is no token, and will not be known
        thorough = read_tokens(environ, names)
        assert (method, thorough.access_cookies, thorough.legacy) == ("cookie", [value], False)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, (None, None)),
        ({"HTTP_AUTHORIZATION": "Bearer a.b.c"}, ("a.b.c", "header")),
        ({"HTTP_AUTHORIZATION": "bearer a.b.c"}, (None, None)),
        ({"HTTP_AUTHORIZATION": "Basic YTpi"}, (None, None)),
        ({"HTTP_COOKIE": "lang=en; sAccessToken=a.b.c; theme=dark"}, ("a.b.c", "cookie")),
        ({"HTTP_COOKIE": "sAccessToken=a.b.c", "HTTP_AUTHORIZATION": "Bearer a.b.c"}, (None, None)),
        ({"HTTP_COOKIE": "sAccessToken=a; sAccessToken=b"}, (None, None)),
        ({"HTTP_COOKIE": "sAccessToken=a; sIdRefreshToken=b"}, (None, None)),
        ({"HTTP_COOKIE": "xsAccessToken=a"}, (None, None)),
        ({"HTTP_COOKIE": "lang=en sAccessToken=a"}, (None, None)),
        ({"HTTP_COOKIE": "lang=en;sAccessToken=a"}, (None, None)),
    ],
)
def test_sole_access_token_finds_a_single_token(
    environ: dict[str, str], found: tuple[str | None, str | None]
) -> None:
    assert sole_access_token(environ, CookieNames.with_prefix("")) == found
