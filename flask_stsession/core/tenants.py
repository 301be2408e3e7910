"""The core's calls about tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from ..constants import DEFAULT_TENANT
from ..errors import CoreError
from .calls import CallGroup
from .parsing import CoreReply

_RID = "multitenancy"
#: From this version on, factors instead of three switches describe a tenant.
_CDI_FACTORS = (5, 1)
_PASSWORDLESS_FACTORS = ("otp-email", "otp-phone", "link-email", "link-phone")


class Keep(Enum):
    """The value of a parameter that leaves a setting as it is."""

    KEEP = "keep"

    def __repr__(self) -> str:
        return "Keep.KEEP"


class Tenant(NamedTuple):
    """A tenant of the app.

    :param first_factors: ids of the login methods on offer; ``None`` means all.
    :param required_secondary_factors: ids of further login methods that a login needs; ``None`` means none.
    :param core_config: settings of the core that differ for this tenant.
    """

    tenant_id: str
    first_factors: tuple[str, ...] | None = None
    required_secondary_factors: tuple[str, ...] | None = None
    core_config: Mapping[str, Any] = MappingProxyType({})


class TenantCalls(CallGroup):
    """Calls about tenants of the app: create, change, look up, delete."""

    def create_or_update_tenant(
        self,
        tenant_id: str,
        *,
        first_factors: Sequence[str] | Keep | None = Keep.KEEP,
        required_secondary_factors: Sequence[str] | Keep | None = Keep.KEEP,
        core_config: Mapping[str, Any] | None = None,
    ) -> bool:
        """Create a tenant, or change one; safe to send again.

        :param first_factors: ids of its login methods, such as ``emailpassword``, ``thirdparty``,
            ``otp-email``; ``None`` for all. Omitted: unchanged, and none for a new tenant.
        :param required_secondary_factors: ids of further login methods that a login needs; ``None`` or an
            empty list for none. Omitted: unchanged.
        :param core_config: settings of the core to change for it; ``None`` as a value resets one.
        :returns: whether it was created; ``False``: it existed.
        :raises CoreError: the core refuses, for example without a licence, or is too old for secondary
            factors.
        :raises CoreUnavailableError: no response.
        """
        body: dict[str, Any] = {"tenantId": tenant_id}
        if core_config is not None:
            body["coreConfig"] = dict(core_config)
        if self._client.cdi >= _CDI_FACTORS:
            path = "/recipe/multitenancy/tenant/v2"
            body.update(_factors("firstFactors", first_factors))
            # None and an empty list mean the same here, and cores do not all take both.
            body.update(_factors("requiredSecondaryFactors", required_secondary_factors or None))
        else:
            path = "/recipe/multitenancy/tenant"
            body.update(_switches(first_factors))
            if required_secondary_factors and required_secondary_factors is not Keep.KEEP:
                raise CoreError(
                    "Secondary factors of a tenant need a core that speaks CDI 5.1 or newer; we speak "
                    f"{self._client.cdi[0]}.{self._client.cdi[1]} with this one."
                )
        return self._client.put(_RID, path, body).expect_ok().flag("createdNew")

    def get_tenant(self, tenant_id: str = DEFAULT_TENANT) -> Tenant | None:
        """Return a tenant, or ``None`` if there is none with that id.

        :raises CoreUnavailableError: no response.
        """
        newer = self._client.cdi >= _CDI_FACTORS
        path = "/recipe/multitenancy/tenant/v2" if newer else "/recipe/multitenancy/tenant"
        reply = self._client.get(_RID, path, tenant_id=tenant_id)
        if reply.status == "TENANT_NOT_FOUND_ERROR":
            return None
        return (_read_tenant if newer else _read_tenant_before_5_1)(reply.expect_ok())

    def list_tenants(self) -> list[Tenant]:
        """Return all tenants of the app.

        :raises CoreUnavailableError: no response.
        """
        newer = self._client.cdi >= _CDI_FACTORS
        path = "/recipe/multitenancy/tenant/list/v2" if newer else "/recipe/multitenancy/tenant/list"
        reply = self._client.get(_RID, path).expect_ok()
        read = _read_tenant if newer else _read_tenant_before_5_1
        return [read(tenant) for tenant in reply.inners("tenants")]

    def delete_tenant(self, tenant_id: str) -> bool:
        """Delete a tenant; safe to send again.

        :returns: whether there was one with that id.
        :raises CoreError: the core refuses, as it does for the default tenant.
        :raises CoreUnavailableError: no response.
        """
        body = {"tenantId": tenant_id}
        reply = self._client.post(_RID, "/recipe/multitenancy/tenant/remove", body, repeatable=True)
        return reply.expect_ok().flag("didExist")

    def associate_user_to_tenant(self, tenant_id: str, recipe_user_id: str) -> str:
        """Let a login method be used in a tenant; safe to send again.

        :returns: the core's status, ``OK`` or the reason why not (``UNKNOWN_USER_ID_ERROR``, …).
        :raises CoreUnavailableError: no response.
        """
        body = {"recipeUserId": recipe_user_id}
        path = "/recipe/multitenancy/tenant/user"
        return self._client.post(_RID, path, body, tenant_id=tenant_id, repeatable=True).status

    def disassociate_user_from_tenant(self, tenant_id: str, recipe_user_id: str) -> bool:
        """Stop a login method from being used in a tenant; safe to send again.

        :returns: whether it could be used there.
        :raises CoreUnavailableError: no response.
        """
        body = {"recipeUserId": recipe_user_id}
        path = "/recipe/multitenancy/tenant/user/remove"
        reply = self._client.post(_RID, path, body, tenant_id=tenant_id, repeatable=True)
        return reply.expect_ok().flag("wasAssociated")


def _factors(key: str, factors: Sequence[str] | Keep | None) -> dict[str, list[str] | None]:
    if isinstance(factors, Keep):
        return {}
    return {key: None if factors is None else list(factors)}


def _switches(first_factors: Sequence[str] | Keep | None) -> dict[str, bool]:
    """Return first factors as CDI 5.0 and older describe them."""
    if isinstance(first_factors, Keep):
        return {}
    every = first_factors is None
    factors = first_factors or ()
    return {
        "emailPasswordEnabled": every or "emailpassword" in factors,
        "thirdPartyEnabled": every or "thirdparty" in factors,
        "passwordlessEnabled": every or any(factor in factors for factor in _PASSWORDLESS_FACTORS),
    }


def _read_tenant(reply: CoreReply) -> Tenant:
    """Return a tenant, as CDI 5.1 and newer describe it."""
    return Tenant(
        tenant_id=reply.text("tenantId"),
        first_factors=reply.optional_texts("firstFactors"),
        required_secondary_factors=reply.optional_texts("requiredSecondaryFactors") or None,
        core_config=_core_config(reply),
    )


def _read_tenant_before_5_1(reply: CoreReply) -> Tenant:
    """Return a tenant, as CDI 5.0 and older describe it: three kinds of login, each on or off."""
    factors = {
        kind: reply.inner(key).flag("enabled")
        for key, kind in (
            ("emailPassword", ("emailpassword",)),
            ("thirdParty", ("thirdparty",)),
            ("passwordless", _PASSWORDLESS_FACTORS),
        )
    }
    return Tenant(
        tenant_id=reply.text("tenantId"),
        first_factors=None
        if all(factors.values())
        else tuple(factor for kind, enabled in factors.items() if enabled for factor in kind),
        core_config=_core_config(reply),
    )


def _core_config(reply: CoreReply) -> dict[str, Any]:
    return {} if reply.body.get("coreConfig") is None else reply.mapping("coreConfig")
