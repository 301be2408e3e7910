"""The core's calls about the verification of e-mail addresses."""

from __future__ import annotations

from ..constants import DEFAULT_TENANT
from .calls import CoreCalls
from .models import VerifiedEmail

_RID = "emailverification"


class EmailVerificationCalls(CoreCalls):
    """Which users have proven which address."""

    def create_email_verification_token(
        self, user_id: str, email: str, *, tenant_id: str = DEFAULT_TENANT
    ) -> str | None:
        """Make a token that proves, once it comes back, who reads that address; never sent twice.

        :returns: the token; ``None`` if the address is verified already.
        :raises CoreUnavailableError: no reply.
        """
        reply = self._post(
            _RID,
            "/recipe/user/email/verify/token",
            {"userId": user_id, "email": email},
            tenant_id=tenant_id,
            repeatable=False,
        )
        if reply.status == "EMAIL_ALREADY_VERIFIED_ERROR":
            return None
        return reply.expect_ok().text("token")

    def verify_email_with_token(self, token: str, *, tenant_id: str = DEFAULT_TENANT) -> VerifiedEmail | None:
        """Use up a token; never sent twice, since the second time it would be called invalid.

        :returns: whose address is verified now; ``None`` if the token is invalid or was used.
        :raises CoreUnavailableError: no reply.
        """
        body = {"method": "token", "token": token}
        reply = self._post(_RID, "/recipe/user/email/verify", body, tenant_id=tenant_id, repeatable=False)
        if reply.status == "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR":
            return None
        return VerifiedEmail(reply.expect_ok().text("userId"), reply.text("email"))

    def is_email_verified(self, user_id: str, email: str) -> bool:
        """Has this user proven to own this address? In any tenant.

        :raises CoreUnavailableError: no reply.
        """
        query = {"userId": user_id, "email": email}
        return self._get(_RID, "/recipe/user/email/verify", query).expect_ok().flag("isVerified")

    def unverify_email(self, user_id: str, email: str) -> None:
        """Forget that a user has proven to own an address; safe to send again.

        :raises CoreUnavailableError: no reply.
        """
        body = {"userId": user_id, "email": email}
        self._post(_RID, "/recipe/user/email/verify/remove", body, repeatable=True).expect_ok()

    def revoke_email_verification_tokens(
        self, user_id: str, email: str, *, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        """Make the tokens sent to an address so far useless; safe to send again.

        :raises CoreUnavailableError: no reply.
        """
        self._post(
            _RID,
            "/recipe/user/email/verify/token/remove",
            {"userId": user_id, "email": email},
            tenant_id=tenant_id,
            repeatable=True,
        ).expect_ok()
