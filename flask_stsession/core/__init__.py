"""The client of a SuperTokens core.

The calls of each recipe are imported at first use, since many apps need none beyond those about sessions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emails import EmailVerificationCalls
    from .metadata import UserMetadataCalls
    from .roles import RoleCalls
    from .tenants import TenantCalls

__all__ = ["EmailVerificationCalls", "RoleCalls", "TenantCalls", "UserMetadataCalls"]

_HOMES = {
    "EmailVerificationCalls": "emails",
    "RoleCalls": "roles",
    "TenantCalls": "tenants",
    "UserMetadataCalls": "metadata",
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
