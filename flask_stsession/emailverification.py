"""Administer the verification of e-mail addresses: who has proven to own which.

::

    from flask_stsession import emailverification

    token = emailverification.create_email_verification_token(user_id)
    if token is not None:
        mail(user_id, url_for("confirm", token=token, _external=True))

    @app.get("/confirm")
    def confirm():
        verified = emailverification.verify_email_using_token(request.args["token"])
        return "Thank you." if verified else "This link is not good any more."

The names are those of supertokens-python, and so is the order of arguments; what is returned are plain
values. A tenant comes first, by keyword, or is left out: the default one. An address that is not given is
what ``STSession(get_email=…)`` knows.

A token belongs to a tenant; that an address is verified counts in all. All functions ask the core of the
current app at once. A session learns of it when it asks again: with
``fetch_and_set_claim(EmailVerificationClaim)``, or as the frontend calls ``{base}/user/email/verify``.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses (there is no such tenant, for example),
:class:`~flask_stsession.ConfigError` if there is neither an address nor a ``get_email``, and
``RuntimeError`` outside of an app context.
"""

from __future__ import annotations

from typing import overload

from .arguments import checked_user_id, core_of_current_app, tenant_may_be_left_out
from .claims.builtin import EmailVerificationClaim
from .constants import DEFAULT_TENANT
from .core.models import VerifiedEmail
from .web.context import current_extension

__all__ = [
    "EmailVerificationClaim",
    "VerifiedEmail",
    "create_email_verification_token",
    "is_email_verified",
    "revoke_email_verification_tokens",
    "unverify_email",
    "verify_email_using_token",
]


@overload
def create_email_verification_token(
    tenant_id: str, recipe_user_id: str, email: str | None = None
) -> str | None: ...


@overload
def create_email_verification_token(
    recipe_user_id: str, *, email: str | None = None, tenant_id: str | None = None
) -> str | None: ...


@tenant_may_be_left_out
def create_email_verification_token(
    tenant_id: str, recipe_user_id: str, email: str | None = None
) -> str | None:
    """Make a token to send to an address: whoever brings it back reads that address.

    :param tenant_id: where it may be brought back.
    :param recipe_user_id: whose address it is.
    :returns: ``None`` if there is nothing to prove: the address is verified, or the user has none.
    """
    address = _address(recipe_user_id, email, tenant_id)
    if address is None:
        return None
    return core_of_current_app().create_email_verification_token(recipe_user_id, address, tenant_id=tenant_id)


@overload
def verify_email_using_token(tenant_id: str, token: str) -> VerifiedEmail | None: ...


@overload
def verify_email_using_token(token: str, *, tenant_id: str | None = None) -> VerifiedEmail | None: ...


@tenant_may_be_left_out
def verify_email_using_token(tenant_id: str, token: str) -> VerifiedEmail | None:
    """Use up a token that came back.

    :param tenant_id: that it was made for.
    :returns: whose address is verified now; ``None`` if the token was made up, used before, revoked, of
        another tenant, or too old.
    """
    return core_of_current_app().verify_email_with_token(token, tenant_id=tenant_id)


def is_email_verified(recipe_user_id: str, email: str | None = None, *, tenant_id: str | None = None) -> bool:
    """Has the user proven to own the address? Without an address there is nothing to prove: yes.

    :param tenant_id: in which ``get_email`` looks for the address.
    """
    address = _address(recipe_user_id, email, tenant_id)
    return address is None or core_of_current_app().is_email_verified(recipe_user_id, address)


def unverify_email(recipe_user_id: str, email: str | None = None, *, tenant_id: str | None = None) -> None:
    """Forget that the user has proven to own the address.

    :param tenant_id: in which ``get_email`` looks for the address.
    """
    address = _address(recipe_user_id, email, tenant_id)
    if address is not None:
        core_of_current_app().unverify_email(recipe_user_id, address)


@overload
def revoke_email_verification_tokens(
    tenant_id: str, recipe_user_id: str, email: str | None = None
) -> None: ...


@overload
def revoke_email_verification_tokens(
    recipe_user_id: str, *, email: str | None = None, tenant_id: str | None = None
) -> None: ...


@tenant_may_be_left_out
def revoke_email_verification_tokens(tenant_id: str, recipe_user_id: str, email: str | None = None) -> None:
    """Make the tokens sent to an address so far useless.

    :param tenant_id: that they were made for.
    """
    address = _address(recipe_user_id, email, tenant_id)
    if address is not None:
        core_of_current_app().revoke_email_verification_tokens(recipe_user_id, address, tenant_id=tenant_id)


def _address(recipe_user_id: str, email: str | None, tenant_id: str | None) -> str | None:
    checked_user_id(recipe_user_id, "recipe_user_id")
    if email is not None:
        return email
    return current_extension().email_of(recipe_user_id, tenant_id or DEFAULT_TENANT)
