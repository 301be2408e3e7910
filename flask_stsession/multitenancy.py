"""Administer tenants: separate groups of users in one app.

::

    from flask_stsession import multitenancy

    multitenancy.create_or_update_tenant("customer1", first_factors=["emailpassword"])
    create_new_session("alice", tenant_id="customer1")

The names are those of supertokens-python. Unlike there, a tenant's settings are keywords, and plain values
are returned. All functions ask the core of the current app.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses (for want of a licence, for example), and ``RuntimeError``
outside of an app context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arguments import checked_names, checked_tenant_id, checked_user_id, keyword_only
from .claims.builtin import AllowedDomainsClaim
from .constants import DEFAULT_TENANT
from .core.tenants import Keep, Tenant, TenantCalls
from .errors import CoreError, UnknownTenantError
from .web.context import current_app_state

__all__ = [
    "AllowedDomainsClaim",
    "Keep",
    "Tenant",
    "UnknownTenantError",
    "associate_user_to_tenant",
    "create_or_update_tenant",
    "delete_tenant",
    "disassociate_user_from_tenant",
    "get_tenant",
    "list_all_tenants",
]


@keyword_only("There is no configuration object, unlike in supertokens-python.")
def create_or_update_tenant(
    tenant_id: str,
    *,
    first_factors: Sequence[str] | Keep | None = Keep.KEEP,
    required_secondary_factors: Sequence[str] | Keep | None = Keep.KEEP,
    core_config: Mapping[str, Any] | None = None,
) -> bool:
    """Create a tenant, or change one; what is left out stays as it is.

    :param tenant_id: letters, digits and hyphens; a core keeps it in lower case.
    :param first_factors: ids of its login methods, such as ``emailpassword``; ``None`` for all of them. A
        new tenant has none of them unless they are given.
    :param required_secondary_factors: ids of further login methods that a login needs; ``None`` for none.
    :param core_config: settings of the core to change for it; ``None`` as a value resets one.
    :returns: whether it was created; ``False``: it existed.
    """
    return _tenants().create_or_update_tenant(
        checked_tenant_id(tenant_id),
        first_factors=_factors(first_factors, "first_factors"),
        required_secondary_factors=_factors(required_secondary_factors, "required_secondary_factors"),
        core_config=core_config,
    )


def get_tenant(tenant_id: str = DEFAULT_TENANT) -> Tenant | None:
    """Return a tenant; ``None`` if there is none with that id."""
    return _tenants().get_tenant(checked_tenant_id(tenant_id))


def list_all_tenants() -> list[Tenant]:
    """Return all tenants of the app, the default one included."""
    return _tenants().list_tenants()


def delete_tenant(tenant_id: str) -> bool:
    """Delete a tenant, with its sessions.

    :returns: whether there was one with that id.
    :raises CoreError: it is the default tenant, which stays.
    """
    return _tenants().delete_tenant(checked_tenant_id(tenant_id))


def associate_user_to_tenant(tenant_id: str, recipe_user_id: str) -> None:
    """Let a login method that the core knows be used in a tenant.

    Users whom the app itself keeps do not need it: sessions and roles take any user in any tenant.

    :raises CoreError: the core refuses, with its status.
    """
    checked_user_id(recipe_user_id, "recipe_user_id")
    status = _tenants().associate_user_to_tenant(checked_tenant_id(tenant_id), recipe_user_id)
    if status != "OK":
        raise CoreError(f"The login method {recipe_user_id!r} cannot be used in {tenant_id!r}: {status}.")


def disassociate_user_from_tenant(tenant_id: str, recipe_user_id: str) -> bool:
    """Stop a login method from being used in a tenant.

    :returns: whether it could be used there.
    """
    checked_user_id(recipe_user_id, "recipe_user_id")
    return _tenants().disassociate_user_from_tenant(checked_tenant_id(tenant_id), recipe_user_id)


def _factors(factors: Sequence[str] | Keep | None, argument: str) -> list[str] | Keep | None:
    return factors if factors is None or isinstance(factors, Keep) else checked_names(factors, argument)


def _tenants() -> TenantCalls:
    return TenantCalls(current_app_state().manager.client)
