"""An implementation of the Core Driver Interface over SQLite, for applications without a separate core.

Its parts are imported when first used (PEP 562): an app with a separate core never needs them, and
importing them takes a third as long as the rest of this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import EmbeddedAdapter
    from .app import EmbeddedCore
    from .crypto import new_private_key_pem
    from .errors import EmbeddedCoreError
    from .settings import read_settings
    from .storage.backup import back_up

__all__ = [
    "EmbeddedAdapter",
    "EmbeddedCore",
    "EmbeddedCoreError",
    "back_up",
    "new_private_key_pem",
    "read_settings",
]

_HOMES = {
    "EmbeddedAdapter": "adapter",
    "EmbeddedCore": "app",
    "EmbeddedCoreError": "errors",
    "back_up": "storage.backup",
    "new_private_key_pem": "crypto",
    "read_settings": "settings",
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
