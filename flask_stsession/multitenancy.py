"""Administer tenants: separate groups of users in one app.

::

    from flask_stsession import multitenancy

    multitenancy.create_or_update_tenant("customer1", first_factors=["emailpassword"])
    create_new_session("alice", tenant_id="customer1")

The names are those of supertokens-python; what is returned are plain values, and what a tenant is to be
like is said by keywords. All functions ask the core of the current app.

Every function raises :class:`~flask_stsession.CoreUnavailableError` if the core does not answer,
:class:`~flask_stsession.CoreError` if it refuses (for want of a licence, for example), and ``RuntimeError``
outside of an app context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .arguments import checked_names, checked_user_id, core_of_current_app
from .constants import DEFAULT_TENANT
from .core.models import Tenant
from .core.tenants import Keep
from .errors import CoreError

__all__ = [
    "Keep",
    "Tenant",
    "associate_user_to_tenant",
    "create_or_update_tenant",
    "delete_tenant",
    "disassociate_user_from_tenant",
    "get_tenant",
    "list_all_tenants",
]


def create_or_update_tenant(
    tenant_id: str,
    *misplaced: NoReturn,
    first_factors: Sequence[str] | Keep | None = Keep.KEEP,
    required_secondary_factors: Sequence[str] | Keep | None = Keep.KEEP,
    core_config: Mapping[str, Any] | None = None,
) -> bool:
    """Create a tenant, or change one; what is left out stays as it is.

    :param tenant_id: letters, digits and hyphens; a core keeps it in lower case.
    :param misplaced: nothing; all other arguments go by keyword.
    :param first_factors: ids of its login methods, such as ``emailpassword``; ``None`` for all.
    :param required_secondary_factors: ids of what else a login needs; ``None`` for nothing.
    :param core_config: settings of the core to change for it; ``None`` as a value resets one.
    :returns: was it created? ``False``: it had been there.
    """
    if misplaced:
        raise TypeError(
            "Only tenant_id goes by position: create_or_update_tenant(tenant_id, *, first_factors=..., "
            "required_secondary_factors=..., core_config=...). There is no configuration object, unlike in "
            "supertokens-python."
        )
    return core_of_current_app().create_or_update_tenant(
        tenant_id,
        first_factors=_factors(first_factors, "first_factors"),
        required_secondary_factors=_factors(required_secondary_factors, "required_secondary_factors"),
        core_config=core_config,
    )


def get_tenant(tenant_id: str = DEFAULT_TENANT) -> Tenant | None:
    """A tenant; ``None`` if there is none with that id."""
    return core_of_current_app().get_tenant(tenant_id)


def list_all_tenants() -> list[Tenant]:
    """All tenants of the app, the default one included."""
    return core_of_current_app().list_tenants()


def delete_tenant(tenant_id: str) -> bool:
    """Delete a tenant, with its sessions.

    :returns: was there one with that id?
    :raises CoreError: it is the default tenant, which stays.
    """
    return core_of_current_app().delete_tenant(tenant_id)


def associate_user_to_tenant(tenant_id: str, recipe_user_id: str) -> None:
    """Let a login method that the core knows be used in a tenant.

    Users whom the app itself keeps need no such thing: sessions and roles take any user in any tenant.

    :raises CoreError: it cannot be, with the core's word for why.
    """
    checked_user_id(recipe_user_id, "recipe_user_id")
    status = core_of_current_app().associate_user_to_tenant(tenant_id, recipe_user_id)
    if status != "OK":
        raise CoreError(f"The login method {recipe_user_id!r} cannot be used in {tenant_id!r}: {status}.")


def disassociate_user_from_tenant(tenant_id: str, recipe_user_id: str) -> bool:
    """Let a login method be used in a tenant no longer.

    :returns: could it be used there?
    """
    checked_user_id(recipe_user_id, "recipe_user_id")
    return core_of_current_app().disassociate_user_from_tenant(tenant_id, recipe_user_id)


def _factors(factors: Sequence[str] | Keep | None, argument: str) -> list[str] | Keep | None:
    return factors if factors is None or isinstance(factors, Keep) else checked_names(factors, argument)
