"""Functions that the tests deploy beside those of the examples."""

from __future__ import annotations

from flask_stsession.aws_lambda import make_authorizer
from flask_stsession.claims import EmailVerificationClaim

#: Allows exactly the requested resource, which is wrong where the gateway caches: only its first route works.
exact = make_authorizer(transfer_method="header", result_caching=False)

#: Denies every session whose address is not verified.
denying = make_authorizer(
    override_global_claim_validators=lambda *_: [EmailVerificationClaim.validators.is_verified()],
    get_email=lambda _user_id, _tenant_id: "alice@example.com",
)
