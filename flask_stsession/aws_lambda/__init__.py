"""AWS Lambda: serve a Flask app, guard functions without Flask, and authorize requests for API Gateway.

Only ``make_handler`` imports Flask, so a function that only verifies sessions starts sooner. Each name is
imported on first use (PEP 562), so that a function imports only what it uses. ``docs/aws-lambda.md`` lists
the steps from an empty account to a working API.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "assert_jwt_authorizer_claims": "jwt_authorizers",
    "claims_from_jwt_authorizer": "jwt_authorizers",
    "error_response": "handlers",
    "make_authorizer": "authorizers",
    "make_handler": "app",
    "verify_session_event": "handlers",
}


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
