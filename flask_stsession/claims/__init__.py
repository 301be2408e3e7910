"""Claims: facts about the user that a session carries, and their validators.

Importing this package does not import Flask. The built-in claims are imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .base import ClaimValidationResult, SessionClaim, SessionClaimValidator
from .primitive import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim

if TYPE_CHECKING:
    from .builtin import AuthTimeClaim, EmailVerificationClaim, PermissionClaim, UserRoleClaim

__all__ = [
    "AuthTimeClaim",
    "BooleanClaim",
    "ClaimValidationResult",
    "EmailVerificationClaim",
    "PermissionClaim",
    "PrimitiveArrayClaim",
    "PrimitiveClaim",
    "SessionClaim",
    "SessionClaimValidator",
    "UserRoleClaim",
]

_BUILT_IN = frozenset({"AuthTimeClaim", "EmailVerificationClaim", "PermissionClaim", "UserRoleClaim"})


def __getattr__(name: str) -> Any:
    if name not in _BUILT_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(".builtin", __name__), name)
    globals()[name] = value
    return value
