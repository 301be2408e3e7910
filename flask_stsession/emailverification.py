"""Administer the verification of e-mail addresses: which users have proved ownership of which.

::

    from flask_stsession import emailverification

    token = emailverification.create_email_verification_token(user_id)
    if token is not None:
        mail(user_id, url_for("confirm", token=token, _external=True))

    @app.get("/confirm")
    def confirm():
        verified = emailverification.verify_email_using_token(request.args["token"])
        return "Thank you." if verified else "This link is not good any more."

The names are those of supertokens-python. Unlike there, the tenant and, for tokens, the address are
keywords, and plain values are returned. Without ``email``, the address is the one that
``STSession(get_email=…)`` returns. Addresses are compared without regard to case and to
blanks around them.

A token belongs to a tenant; a verified address is verified in all of them. All functions ask the core of
the current app at once. The session of the request that uses a token learns of it at once; any other when
its claim is fetched again: by a validator such as ``EmailVerificationClaim.validators.is_verified()``, with
``fetch_and_set_claim(EmailVerificationClaim)``, or when the frontend calls ``{base}/user/email/verify``.

Frontend SDKs request the link with ``POST {base}/user/email/verify/token``, and the function registered by
``@stsession.send_verification_email`` sends it. They redeem its token with ``POST {base}/user/email/verify``.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses (there is no such tenant, for example),
:class:`~flask_stsession.ConfigError` if there is neither an address nor a ``get_email``, and
``RuntimeError`` outside of an app context.
"""

from __future__ import annotations

from .arguments import checked_tenant_id, checked_text, checked_user_id, keyword_only
from .claims.builtin import EmailVerificationClaim
from .constants import DEFAULT_TENANT
from .core.emails import EmailVerificationCalls, VerifiedEmail
from .sessions.ids import utf8_text
from .web.context import current_app_state, current_extension
from .web.email_verification import verify_with_token

__all__ = [
    "EmailVerificationClaim",
    "VerifiedEmail",
    "create_email_verification_token",
    "is_email_verified",
    "revoke_email_verification_tokens",
    "unverify_email",
    "verify_email_using_token",
]

_EMAIL_BY_KEYWORD = "Unlike in supertokens-python, the tenant and the address are keywords."


@keyword_only(_EMAIL_BY_KEYWORD)
def create_email_verification_token(
    recipe_user_id: str, *, email: str | None = None, tenant_id: str = DEFAULT_TENANT
) -> str | None:
    """Create a token to send by e-mail; returning it proves ownership of the address.

    :param recipe_user_id: the user, or the login method, whose address it is.
    :param tenant_id: the tenant in which it must be returned, and in which ``get_email`` looks.
    :returns: ``None`` if there is nothing to prove: the address is verified, or the user has none.
    """
    address = _address(recipe_user_id, email, tenant_id)
    if address is None:
        return None
    return _emails().create_email_verification_token(recipe_user_id, address, tenant_id=tenant_id)


@keyword_only("Unlike in supertokens-python, the tenant is a keyword.")
def verify_email_using_token(token: str, *, tenant_id: str = DEFAULT_TENANT) -> VerifiedEmail | None:
    """Consume a token that was returned, and update the claim in this request's session.

    The claim is updated only if the request's session is that of the user who proved the address.

    :param tenant_id: the tenant that it was created for.
    :returns: the user and the address that is verified now; ``None`` if the token is invalid: made up, used
        before, revoked, of another tenant, or too old.
    """
    return verify_with_token(
        current_app_state(), checked_text(token, "token"), tenant_id=checked_tenant_id(tenant_id)
    )


def is_email_verified(
    recipe_user_id: str, email: str | None = None, *, tenant_id: str = DEFAULT_TENANT
) -> bool:
    """Return whether the user has proved ownership of the address; true for a user who has none.

    :param tenant_id: the tenant in which ``get_email`` looks for the address.
    """
    address = _address(recipe_user_id, email, tenant_id)
    return address is None or _emails().is_email_verified(recipe_user_id, address)


def unverify_email(recipe_user_id: str, email: str | None = None, *, tenant_id: str = DEFAULT_TENANT) -> None:
    """Forget that the user has proved ownership of the address.

    :param tenant_id: the tenant in which ``get_email`` looks for the address.
    """
    address = _address(recipe_user_id, email, tenant_id)
    if address is not None:
        _emails().unverify_email(recipe_user_id, address)


@keyword_only(_EMAIL_BY_KEYWORD)
def revoke_email_verification_tokens(
    recipe_user_id: str, *, email: str | None = None, tenant_id: str = DEFAULT_TENANT
) -> None:
    """Revoke the tokens that were created for an address.

    :param tenant_id: the tenant that they were created for.
    """
    address = _address(recipe_user_id, email, tenant_id)
    if address is not None:
        _emails().revoke_email_verification_tokens(recipe_user_id, address, tenant_id=tenant_id)


def _address(recipe_user_id: str, email: str | None, tenant_id: str) -> str | None:
    checked_user_id(recipe_user_id, "recipe_user_id")
    checked_tenant_id(tenant_id)
    if email is None:
        return current_extension().email_of(recipe_user_id, tenant_id)
    return utf8_text(checked_text(email, "email"), "email")


def _emails() -> EmailVerificationCalls:
    return EmailVerificationCalls(current_app_state().manager.client)
