"""The built-in claims: roles, permissions, verified e-mail, a tenant's domains, time of login.

One object serves all apps of a process. It finds the extension object in the ``user_context`` (key
``stsession``), else through ``current_app``.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..callables import current_flask_app
from ..errors import ConfigError, Reason
from .base import VALID, ClaimValidationResult, SessionClaim, SessionClaimValidator
from .primitive import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim
from .validation import REUSE_SECONDS
from .validators import EmailVerificationClaimValidators, PrimitiveClaimValidators, SettingMaxAge

if TYPE_CHECKING:

    class ClaimSources(Protocol):
        """The part of the extension object that the built-in claims need."""

        @property
        def claim_max_age_seconds(self) -> float | None:
            """``STSESSION_CLAIM_MAX_AGE_SECONDS``."""
            ...

        def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
            """Return the user's roles."""
            ...

        def permissions_of(self, user_id: str, tenant_id: str, *, max_age: float = 0) -> list[str]:
            """Return the permissions of the user's roles."""
            ...

        @property
        def has_mfa_requirements(self) -> bool:
            """Whether the app says which factors a login needs."""
            ...

        def mfa_requirements_of(self, user_id: str, tenant_id: str) -> Any:
            """Return the factors that a login of the user needs, as the app says them; ``None`` for none."""
            ...

        def allowed_domains_of(self, tenant_id: str, user_context: dict[str, Any]) -> list[str] | None:
            """Return the domains from which users of a tenant may come; ``None`` if the app does not say."""
            ...

        def is_email_of_user_verified(self, user_id: str, tenant_id: str) -> bool:
            """Return whether the user's e-mail address is verified."""
            ...


def extension_of(user_context: dict[str, Any] | None) -> ClaimSources:
    """Return the extension object of a ``user_context``, else that of the current app.

    :raises ConfigError: there is neither.
    """
    ext: ClaimSources | None = (user_context or {}).get("stsession")
    app = current_flask_app() if ext is None else None
    if app is not None:
        ext = app.extensions.get("stsession")
    if ext is None:
        raise ConfigError(
            "A built-in claim was fetched outside of an app. Fetch it in a request, or in "
            "'with app.app_context():' of an app with STSession."
        )
    return ext


_default_max_age: Final = SettingMaxAge(lambda user_context: extension_of(user_context).claim_max_age_seconds)


def _fetch_roles(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> list[str]:
    return extension_of(user_context).roles_of(user_id, tenant_id)


def _fetch_permissions(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> list[str]:
    reuse = (user_context or {}).get(REUSE_SECONDS, 0)
    return extension_of(user_context).permissions_of(user_id, tenant_id, max_age=reuse)


def _fetch_email_verified(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> bool:
    return extension_of(user_context).is_email_of_user_verified(user_id, tenant_id)


def _fetch_allowed_domains(_user_id: str, tenant_id: str, user_context: dict[str, Any]) -> list[str] | None:
    source = extension_of(user_context)
    if not hasattr(source, "allowed_domains_of"):
        return None  # there is no app to ask: the claim stays missing, and its validators fail
    return source.allowed_domains_of(tenant_id, user_context or {})


class EmailVerificationClaimClass(BooleanClaim):
    """Whether the user's e-mail address is verified."""

    def __init__(self) -> None:
        super().__init__("st-ev", _fetch_email_verified, _default_max_age)

    @cached_property
    def validators(self) -> EmailVerificationClaimValidators:
        """The validators of this claim."""
        return EmailVerificationClaimValidators(self)


#: In s. The comparison also keeps out NaN, and integers so long that subtracting them overflows.
_LATEST_LOGIN: Final = 2**53


class AuthTimeClaimClass(PrimitiveClaim[int]):
    """When the user signed in, in s since 1970.

    Set when a session is created, and by ``fetch_and_set_claim(AuthTimeClaim)`` after the user has signed in
    again. No validator refetches it: that would make an old login look like a new one.
    """

    def __init__(self) -> None:
        super().__init__("st-auth-time", self._time_of_login)

    @cached_property
    def validators(self) -> AuthTimeClaimValidators:
        """The validators of this claim."""
        return AuthTimeClaimValidators(self)

    def _time_of_login(self, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> int | None:
        if REUSE_SECONDS in (user_context or {}):
            return None
        return self.now_ms(user_context) // 1000


class AuthTimeClaimValidators(PrimitiveClaimValidators[int]):
    """The validators of ``AuthTimeClaim``."""

    def max_auth_age(self, seconds: float, id_: str | None = None) -> SessionClaimValidator:
        """Return a validator that checks that the user signed in at most ``seconds`` ago.

        It refetches nothing: only a new login makes it pass.

        :param seconds: the maximal age of the login, in s.
        :param id_: the id of the validator, by default the claim's key.
        :raises TypeError: ``seconds`` is not a number.
        :raises ValueError: ``seconds`` is negative or not finite.
        """
        return _MaxAuthAge(self.claim, seconds, id_)


class _MaxAuthAge(SessionClaimValidator):
    """Refuse a session whose user signed in too long ago."""

    failure_reason = Reason.AUTH_TOO_OLD

    def __init__(self, claim: SessionClaim[int], seconds: float, id_: str | None) -> None:
        super().__init__(claim.key if id_ is None else id_)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f"max_auth_age must be a number of seconds, not {seconds!r}.")
        if not 0 <= seconds < math.inf:
            raise ValueError(
                f"max_auth_age must be finite and at least 0, not {seconds!r}; 300 for example, in seconds."
            )
        self._claim = claim
        self._seconds = seconds

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        """Check the age of the login."""
        signed_in_at: Any = self._claim.get_value_from_payload(payload, user_context)
        is_number = isinstance(signed_in_at, int | float) and not isinstance(signed_in_at, bool)
        if not is_number or not 0 <= signed_in_at <= _LATEST_LOGIN:
            return ClaimValidationResult(False, {"message": "value does not exist"})
        age = self._claim.now_ms(user_context) / 1000 - signed_in_at
        if age <= self._seconds:
            return VALID
        reason = {"message": "expired", "maxAgeInSeconds": self._seconds, "ageInSeconds": int(age)}
        return ClaimValidationResult(False, reason)


#: The user's roles in the session's tenant (``st-role``), from the core or the ``roles_loader``.
UserRoleClaim: PrimitiveArrayClaim[str] = PrimitiveArrayClaim("st-role", _fetch_roles, _default_max_age)

#: The permissions of the user's roles (``st-perm``), from the core or the ``permissions_loader``.
PermissionClaim: PrimitiveArrayClaim[str] = PrimitiveArrayClaim(
    "st-perm", _fetch_permissions, _default_max_age
)

#: Whether the user's e-mail address is verified (``st-ev``). The address comes from ``get_email``.
EmailVerificationClaim: EmailVerificationClaimClass = EmailVerificationClaimClass()

#: The domains that users of the session's tenant may come from (``st-t-dmns``), from the
#: ``allowed_domains_loader``. Without one the claim is missing, and its validators let nobody pass.
AllowedDomainsClaim: PrimitiveArrayClaim[str] = PrimitiveArrayClaim(
    "st-t-dmns", _fetch_allowed_domains, _default_max_age
)

#: When the user signed in (``st-auth-time``), in s since 1970; for ``max_auth_age``.
AuthTimeClaim: AuthTimeClaimClass = AuthTimeClaimClass()
