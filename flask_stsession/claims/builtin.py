"""The claims that come with the package: roles, permissions, verified e-mail, time of login.

One object serves every app of a process: what it needs of the app it finds in the ``user_context``
(key ``stsession``, the extension object), and for want of that in ``current_app``.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from ..errors import ConfigError
from .primitive import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim
from .validation import REUSE_SECONDS


class ClaimSources(Protocol):
    """What the built-in claims need of the extension object."""

    @property
    def claim_max_age_seconds(self) -> float | None:
        """``STSESSION_CLAIM_MAX_AGE_SECONDS``."""
        ...

    def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
        """Return the user's roles."""
        ...

    def permissions_of(self, user_id: str, tenant_id: str, *, max_age: float = 0) -> list[str]:
        """Return what the user's roles permit."""
        ...

    def is_email_of_user_verified(self, user_id: str, tenant_id: str) -> bool:
        """Return whether the user has proven to own their address."""
        ...


def _extension(user_context: dict[str, Any] | None) -> ClaimSources:
    ext: ClaimSources | None = (user_context or {}).get("stsession")
    # Not imported, so that claims work without Flask: where nobody has, there is no current app either.
    flask: Any = sys.modules.get("flask")
    if ext is None and flask is not None and flask.has_app_context():
        ext = flask.current_app.extensions.get("stsession")
    if ext is None:
        raise ConfigError(
            "A built-in claim was asked for its value outside of an app. Do it in a request or in "
            "'with app.app_context():', of an app on which STSession has been initialised."
        )
    return ext


def _default_max_age(user_context: dict[str, Any]) -> float | None:
    return _extension(user_context).claim_max_age_seconds


def _fetch_roles(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> list[str]:
    return _extension(user_context).roles_of(user_id, tenant_id)


def _fetch_permissions(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> list[str]:
    reuse = (user_context or {}).get(REUSE_SECONDS, 0)
    return _extension(user_context).permissions_of(user_id, tenant_id, max_age=reuse)


def _fetch_email_verified(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> bool:
    return _extension(user_context).is_email_of_user_verified(user_id, tenant_id)


class AuthTimeClaimClass(PrimitiveClaim[int]):
    """When the user signed in, in s since 1970.

    Set when a session is created, and by ``fetch_and_set_claim(AuthTimeClaim)`` once a user has proven
    again who they are. Never fetched by a validator: that would call an old login a new one.
    """

    def __init__(self) -> None:
        super().__init__("st-auth-time", self._time_of_login)

    def _time_of_login(self, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> int | None:
        if REUSE_SECONDS in (user_context or {}):
            return None
        return self.now_ms(user_context) // 1000


#: The user's roles in the session's tenant (``st-role``), from the core or the ``roles_loader``.
UserRoleClaim: PrimitiveArrayClaim[str] = PrimitiveArrayClaim("st-role", _fetch_roles, _default_max_age)

#: What the user's roles permit (``st-perm``), from the core or the ``permissions_loader``.
PermissionClaim: PrimitiveArrayClaim[str] = PrimitiveArrayClaim(
    "st-perm", _fetch_permissions, _default_max_age
)

#: Has the user proven to own their e-mail address (``st-ev``)? The address comes from ``get_email``.
EmailVerificationClaim: BooleanClaim = BooleanClaim("st-ev", _fetch_email_verified, _default_max_age)

#: When the user signed in (``st-auth-time``), in s since 1970; for ``max_auth_age``.
AuthTimeClaim: PrimitiveClaim[int] = AuthTimeClaimClass()
