"""Which of the tokens of a request counts."""

from __future__ import annotations

from typing import Any

import pytest
from support.signing import Signer

from flask_stsession.errors import Reason, TryRefreshTokenError
from flask_stsession.tokens.access_token import parse
from flask_stsession.web.token_choice import choose_token, no_token
from flask_stsession.web.transport import RequestTokens

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
def test_the_header_counts_before_the_cookie_where_both_are_allowed(
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
def test_where_nobody_can_tell_which_token_counts_a_refresh_clears_up(
    tokens: RequestTokens, reason: Reason
) -> None:
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
def test_a_request_without_a_token_that_counts_is_told_why(tokens: RequestTokens, reason: Reason) -> None:
    error = no_token(tokens)
    assert (error.reason, error.clear_tokens) == (reason, False)
