"""Claims: facts about the user that a session carries, and their validators.

Importing this package does not import Flask. The names are imported at first use, since many apps have no
claims.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import ClaimValidationResult, SessionClaim, SessionClaimValidator
    from .builtin import (
        AllowedDomainsClaim,
        AuthTimeClaim,
        EmailVerificationClaim,
        PermissionClaim,
        UserRoleClaim,
    )
    from .factors import MFAClaimValue, MultiFactorAuthClaim
    from .primitive import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim

__all__ = [
    "AllowedDomainsClaim",
    "AuthTimeClaim",
    "BooleanClaim",
    "ClaimValidationResult",
    "EmailVerificationClaim",
    "MFAClaimValue",
    "MultiFactorAuthClaim",
    "PermissionClaim",
    "PrimitiveArrayClaim",
    "PrimitiveClaim",
    "SessionClaim",
    "SessionClaimValidator",
    "UserRoleClaim",
]

_HOMES = {
    "AllowedDomainsClaim": "builtin",
    "AuthTimeClaim": "builtin",
    "BooleanClaim": "primitive",
    "ClaimValidationResult": "base",
    "EmailVerificationClaim": "builtin",
    "MFAClaimValue": "factors",
    "MultiFactorAuthClaim": "factors",
    "PermissionClaim": "builtin",
    "PrimitiveArrayClaim": "primitive",
    "PrimitiveClaim": "primitive",
    "SessionClaim": "base",
    "SessionClaimValidator": "base",
    "UserRoleClaim": "builtin",
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
