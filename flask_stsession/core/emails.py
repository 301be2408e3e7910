"""The core's calls about the verification of e-mail addresses."""

from __future__ import annotations

from typing import NamedTuple

from ..constants import DEFAULT_TENANT
from .calls import CallGroup

_RID = "emailverification"


class VerifiedEmail(NamedTuple):
    """An e-mail address whose ownership its user has just proved."""

    user_id: str
    email: str


class EmailVerificationCalls(CallGroup):
    """Calls about verified e-mail addresses.

    Addresses are sent trimmed and in lower case. A core normalises an address when a token is used, but
    not when it is asked whether the address is verified: another spelling would never count as verified.
    """

    def create_email_verification_token(
        self, user_id: str, email: str, *, tenant_id: str = DEFAULT_TENANT
    ) -> str | None:
        """Create a token to send by e-mail; returning it proves ownership of the address. Never sent twice.

        :returns: the token; ``None`` if the address is verified already.
        :raises CoreUnavailableError: no response.
        """
        reply = self._client.post(
            _RID,
            "/recipe/user/email/verify/token",
            {"userId": user_id, "email": _normalised(email)},
            tenant_id=tenant_id,
            repeatable=False,
        )
        if reply.status == "EMAIL_ALREADY_VERIFIED_ERROR":
            return None
        return reply.expect_ok().text("token")

    def verify_email_with_token(self, token: str, *, tenant_id: str = DEFAULT_TENANT) -> VerifiedEmail | None:
        """Consume a token; never sent twice, since the second time it would be invalid.

        :returns: the user and the verified address; ``None`` if the token is invalid or was used before.
        :raises CoreUnavailableError: no response.
        """
        # A core makes no such token, and refuses half a surrogate pair as invalid JSON.
        if not token.isascii():
            return None
        body = {"method": "token", "token": token}
        reply = self._client.post(
            _RID, "/recipe/user/email/verify", body, tenant_id=tenant_id, repeatable=False
        )
        if reply.status == "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR":
            return None
        return VerifiedEmail(reply.expect_ok().text("userId"), reply.text("email"))

    def is_email_verified(self, user_id: str, email: str) -> bool:
        """Return whether this user has proved ownership of this address, in any tenant.

        :raises CoreUnavailableError: no response.
        """
        query = {"userId": user_id, "email": _normalised(email)}
        return self._client.get(_RID, "/recipe/user/email/verify", query).expect_ok().flag("isVerified")

    def unverify_email(self, user_id: str, email: str) -> None:
        """Forget that a user has proved ownership of an address; safe to send again.

        :raises CoreUnavailableError: no response.
        """
        body = {"userId": user_id, "email": _normalised(email)}
        self._client.post(_RID, "/recipe/user/email/verify/remove", body, repeatable=True).expect_ok()

    def revoke_email_verification_tokens(
        self, user_id: str, email: str, *, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        """Revoke the tokens that were created for an address; safe to send again.

        :raises CoreUnavailableError: no response.
        """
        self._client.post(
            _RID,
            "/recipe/user/email/verify/token/remove",
            {"userId": user_id, "email": _normalised(email)},
            tenant_id=tenant_id,
            repeatable=True,
        ).expect_ok()


def _normalised(email: str) -> str:
    return email.strip().lower()
