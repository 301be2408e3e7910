"""The verification of e-mail addresses, administered in the core of the current app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from support.app_factory import AppFactory

from flask_stsession import ConfigError, STSession, emailverification
from flask_stsession.claims import EmailVerificationClaim
from flask_stsession.emailverification import (
    VerifiedEmail,
    create_email_verification_token,
    is_email_verified,
    revoke_email_verification_tokens,
    unverify_email,
    verify_email_using_token,
)
from flask_stsession.multitenancy import create_or_update_tenant


@pytest.fixture
def in_app(mail_app: Flask) -> Iterator[None]:
    """Its context."""
    with mail_app.app_context():
        yield


def verify(user_id: str, email: str | None = None) -> None:
    """Have a user prove the address."""
    token = create_email_verification_token(user_id, email=email)
    assert token is not None
    assert verify_email_using_token(token) is not None


def test_the_claim_can_be_imported_from_here() -> None:
    assert emailverification.EmailVerificationClaim is EmailVerificationClaim


@pytest.mark.usefixtures("in_app")
def test_a_returned_token_verifies_the_address_that_get_email_returns() -> None:
    assert is_email_verified("alice") is False
    token = create_email_verification_token("alice")
    assert token is not None
    assert verify_email_using_token(token) == VerifiedEmail("alice", "alice@example.com")
    assert is_email_verified("alice") is True
    assert is_email_verified("alice", "another@example.com") is False


@pytest.mark.usefixtures("in_app")
def test_a_token_works_once() -> None:
    token = create_email_verification_token("alice", tenant_id="public")
    assert token is not None
    assert verify_email_using_token(token, tenant_id="public") is not None
    assert verify_email_using_token(token, tenant_id="public") is None
    assert verify_email_using_token("made up") is None


@pytest.mark.usefixtures("in_app")
def test_an_address_that_is_verified_needs_no_token() -> None:
    verify("alice")
    assert create_email_verification_token("alice") is None


@pytest.mark.usefixtures("in_app")
def test_a_given_address_takes_precedence_over_get_email() -> None:
    verify("alice", "new@example.com")
    assert is_email_verified("alice", "new@example.com") is True
    assert is_email_verified("alice") is False
    assert create_email_verification_token("alice", email="new@example.com") is None


@pytest.mark.usefixtures("in_app")
def test_a_verified_address_can_be_unverified() -> None:
    verify("alice")
    unverify_email("alice")
    assert is_email_verified("alice") is False
    assert create_email_verification_token("alice") is not None


@pytest.mark.usefixtures("in_app")
def test_revoked_tokens_verify_no_address() -> None:
    token = create_email_verification_token("alice")
    assert token is not None
    revoke_email_verification_tokens("alice", tenant_id="public")
    assert verify_email_using_token(token) is None


@pytest.mark.usefixtures("in_app")
def test_tokens_belong_to_their_tenant_and_so_do_the_addresses_that_get_email_knows() -> None:
    create_or_update_tenant("customer1")
    token = create_email_verification_token("alice", tenant_id="customer1")
    assert token is not None
    assert verify_email_using_token(token) is None
    revoke_email_verification_tokens("alice", email="alice@customer1.example")
    assert verify_email_using_token(token, tenant_id="customer1") == VerifiedEmail(
        "alice", "alice@customer1.example"
    )
    assert is_email_verified("alice", tenant_id="customer1") is True
    assert is_email_verified("alice") is False
    unverify_email("alice", tenant_id="customer1")
    assert is_email_verified("alice", tenant_id="customer1") is False


@pytest.mark.usefixtures("in_app")
def test_a_user_without_an_address_counts_as_verified() -> None:
    assert create_email_verification_token("nobody") is None
    assert is_email_verified("nobody") is True
    unverify_email("nobody")
    revoke_email_verification_tokens("nobody")


def test_without_get_email_the_address_must_be_given(app: Flask) -> None:
    with app.app_context():
        assert is_email_verified("alice", "alice@example.com") is False
        with pytest.raises(ConfigError) as caught:
            is_email_verified("alice")
    assert str(caught.value) == (
        "E-mail verification needs the users' addresses: STSession(get_email=f), where f(user_id, tenant_id) "
        "returns the address or None."
    )


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize("spelling", ["New@Example.COM", " new@example.com ", "new@example.com"])
def test_capitals_and_blanks_around_an_address_do_not_matter(spelling: str) -> None:
    verify("alice", spelling)
    for other in ("new@example.com", "NEW@example.com\n"):
        assert is_email_verified("alice", other) is True
        assert create_email_verification_token("alice", email=other) is None
    unverify_email("alice", "NEW@EXAMPLE.COM")
    assert is_email_verified("alice", spelling) is False


@pytest.mark.parametrize(
    ("call", "takes", "usage", "keywords"),
    [
        (
            lambda their: their.create_email_verification_token("public", "alice"),
            "recipe_user_id as a positional argument",
            "create_email_verification_token(recipe_user_id, *, email=None, tenant_id='public')",
            "the tenant and the address are keywords",
        ),
        (
            lambda their: their.revoke_email_verification_tokens("public", "alice", "alice@example.com"),
            "recipe_user_id as a positional argument",
            "revoke_email_verification_tokens(recipe_user_id, *, email=None, tenant_id='public')",
            "the tenant and the address are keywords",
        ),
        (
            lambda their: their.verify_email_using_token("public", "token"),
            "token as a positional argument",
            "verify_email_using_token(token, *, tenant_id='public')",
            "the tenant is a keyword",
        ),
    ],
)
def test_a_call_in_the_order_of_supertokens_python_is_refused_with_our_spelling(
    call: Callable[[Any], Any], takes: str, usage: str, keywords: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call(emailverification)
    name = usage.partition("(")[0]
    assert str(caught.value) == (
        f"{name}() takes only {takes}: write {usage}. Unlike in supertokens-python, {keywords}."
    )


@pytest.mark.usefixtures("in_app")
def test_a_user_id_that_is_no_string_is_refused() -> None:
    number: Any = 7
    with pytest.raises(TypeError) as caught:
        is_email_verified(number)
    assert (
        str(caught.value) == "recipe_user_id must be a non-empty str, not 7: write str(user.id) for a number."
    )


@pytest.mark.parametrize("returned", [5, b"a@b.example", ["a@b.example"]])
def test_get_email_must_return_text(make_app: AppFactory, returned: Any) -> None:
    with make_app(get_email=lambda *_: returned).app_context(), pytest.raises(TypeError) as caught:
        is_email_verified("alice")
    assert str(caught.value) == (
        f"get_email must return the address as a str, or None; it returned {returned!r}."
    )


def test_get_email_may_be_asynchronous(make_app: AppFactory) -> None:
    async def find(user_id: str, tenant_id: str) -> str:
        return f"{user_id}@{tenant_id}.example"

    find_any: Any = find
    with make_app(get_email=find_any).app_context():
        token = create_email_verification_token("alice")
        assert token is not None
        assert verify_email_using_token(token) == VerifiedEmail("alice", "alice@public.example")


def test_the_claim_among_the_claims_needs_get_email(make_app: AppFactory) -> None:
    app = make_app(init=False)
    with pytest.raises(ConfigError) as caught:
        STSession(app, claims=[EmailVerificationClaim])
    assert str(caught.value) == (
        "EmailVerificationClaim is among the claims, but there is no get_email to return addresses: "
        "STSession(claims=[...], get_email=f), where f(user_id, tenant_id) returns the address or None."
    )
