"""The client of a SuperTokens core.

The calls of each recipe, and the core in this process, are imported at first use: many apps need neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emails import EmailVerificationCalls
    from .in_process import AppCore
    from .metadata import UserMetadataCalls
    from .roles import RoleCalls
    from .tenants import TenantCalls

__all__ = ["AppCore", "EmailVerificationCalls", "RoleCalls", "TenantCalls", "UserMetadataCalls"]

_HOMES = {
    "AppCore": "in_process",
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
