"""A function behind the JWT authorizer of an HTTP API, which has verified the token and none of its claims.

Handler ``behind_jwt.handler``. It asks nothing of the core, so it needs no settings. It would not notice that
a session was revoked before its access token expires.
"""

from __future__ import annotations

import json
from typing import Any

from flask_stsession import STSessionError
from flask_stsession.aws_lambda import (
    assert_jwt_authorizer_claims,
    claims_from_jwt_authorizer,
    error_response,
)
from flask_stsession.claims import EmailVerificationClaim

VALIDATORS = [EmailVerificationClaim.validators.is_verified()]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Return the user, if the address is verified."""
    try:
        assert_jwt_authorizer_claims(event, VALIDATORS)
        claims = claims_from_jwt_authorizer(event)
    except STSessionError as error:
        return error_response(event, error)
    body = json.dumps({"userId": claims["sub"], "accessTokenPayload": claims})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}
