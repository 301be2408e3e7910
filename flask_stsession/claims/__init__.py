"""Claims: what a session proves about its user, and the checks of it.

Importing this package does not import Flask.
"""

from __future__ import annotations

from .base import ClaimValidationResult, SessionClaim, SessionClaimValidator
from .primitive import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim

__all__ = [
    "BooleanClaim",
    "ClaimValidationResult",
    "PrimitiveArrayClaim",
    "PrimitiveClaim",
    "SessionClaim",
    "SessionClaimValidator",
]
