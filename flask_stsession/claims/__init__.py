"""Claims: facts about the user that a session carries, and their validators.

Importing this package does not import Flask. The built-in claims are imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .base import ClaimValidationResult, SessionClaim, SessionClaimValidator
from .primitive import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim

if TYPE_CHECKING:
    from .builtin import (
        AllowedDomainsClaim,
        AuthTimeClaim,
        EmailVerificationClaim,
        PermissionClaim,
        UserRoleClaim,
    )
    from .factors import MFAClaimValue, MultiFactorAuthClaim

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
    "AllowedDomainsClaim": ".builtin",
    "AuthTimeClaim": ".builtin",
    "EmailVerificationClaim": ".builtin",
    "MFAClaimValue": ".factors",
    "MultiFactorAuthClaim": ".factors",
    "PermissionClaim": ".builtin",
    "UserRoleClaim": ".builtin",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
