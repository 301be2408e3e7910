"""AWS Lambda: serve a Flask app, guard functions without Flask, and authorize requests for API Gateway.

Nothing here imports Flask, so that a function that only verifies sessions starts sooner.
``docs/aws-lambda.md`` leads from an empty account to a working API.
"""

from __future__ import annotations

from .app import make_handler
from .authorizers import make_authorizer
from .handlers import error_response, verify_session_event
from .jwt_authorizers import assert_jwt_authorizer_claims, claims_from_jwt_authorizer

__all__ = [
    "assert_jwt_authorizer_claims",
    "claims_from_jwt_authorizer",
    "error_response",
    "make_authorizer",
    "make_handler",
    "verify_session_event",
]
