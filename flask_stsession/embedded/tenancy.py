"""Tenants and applications in paths and session handles.

The rules are those of a SuperTokens core 12, as measured: whether the tenant in the path counts
depends on the operation and, for application-wide ones, on the version of the interface.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from flask_stsession.constants import DEFAULT_TENANT, TENANT_ID

from .errors import RequestRefusedError
from .storage.store import Store

#: From this version on application-wide operations are refused under the path of another tenant.
CDI_APP_LEVEL_IS_CHECKED: Final = (5, 0)

_APP_PREFIX: Final = "appid-"
_DEFAULT_APP: Final = "public"


class Scope(enum.Enum):
    """How an operation treats the tenant in the path."""

    #: The operation belongs to the application: other tenants than ``public`` are refused (CDI 5.0).
    APP = enum.auto()
    #: The operation belongs to the tenant, which has to exist.
    TENANT = enum.auto()
    #: The operation takes its tenant from a session handle, a token or its own fields.
    ANY = enum.auto()
    #: The operation manages the tenants, and only the ``public`` one may do so.
    MANAGEMENT = enum.auto()


@dataclass(frozen=True, slots=True)
class Address:
    """The application and the tenant that a path names, and the rest of the path.

    :param path: the path without application and tenant, beginning with a slash.
    """

    app_id: str
    tenant_id: str
    path: str


class Tenants:
    """Look up tenants.

    :param store: the database that holds them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def exists(self, tenant_id: str) -> bool:
        """Return whether a tenant exists; ``public`` always does."""
        if tenant_id == DEFAULT_TENANT:
            return True
        with self._store.read() as connection:
            row = connection.execute("SELECT 1 FROM tenants WHERE tenant_id = ?", (tenant_id,)).fetchone()
        return row is not None

    def require(self, tenant_id: str) -> None:
        """Raise an error if a tenant does not exist.

        :raises RequestRefusedError: it does not.
        """
        if not self.exists(tenant_id):
            raise not_found(_DEFAULT_APP, tenant_id)

    def check(self, address: Address, scope: Scope, version: tuple[int, int]) -> None:
        """Check the application and the tenant in a path.

        :param version: the version of the interface in use.
        :raises RequestRefusedError: they do not exist, or may not be used with this operation.
        """
        if address.app_id != _DEFAULT_APP:
            raise not_found(address.app_id, address.tenant_id)
        if scope is Scope.APP:
            require_public(address.tenant_id, version)
        elif scope in (Scope.TENANT, Scope.MANAGEMENT):
            self.require(address.tenant_id)
        if scope is Scope.MANAGEMENT and address.tenant_id != DEFAULT_TENANT:
            raise _public_only()


def split_path(path: str) -> list[Address]:
    """Return the ways to read a path: its first segment may be a tenant, or not."""
    segments = path.removeprefix("/").removesuffix("/").split("/")
    app_id = _DEFAULT_APP
    if segments[0].startswith(_APP_PREFIX):
        app_id = segments[0].removeprefix(_APP_PREFIX).lower()
        segments = segments[1:] or [""]
    readings = [Address(app_id, DEFAULT_TENANT, "/" + "/".join(segments))]
    if len(segments) > 1 and is_tenant_id(segments[0].lower()):
        readings.append(Address(app_id, segments[0].lower(), "/" + "/".join(segments[1:])))
    return readings


def is_tenant_id(text: str) -> bool:
    """Return whether a text can be the id of a tenant."""
    return re.fullmatch(TENANT_ID, text) is not None


def tenant_of_handle(handle: str) -> str:
    """Return the tenant that a session handle names (``<uuid>_<tenant>``), else ``public``."""
    _, _, tenant_id = handle.partition("_")
    return tenant_id.partition("_")[0].lower() or DEFAULT_TENANT


def require_public(tenant_id: str, version: tuple[int, int]) -> None:
    """Raise an error unless this tenant's path may be used for application-wide operations.

    :param version: the version of the interface in use.
    :raises RequestRefusedError: it may not.
    """
    if tenant_id != DEFAULT_TENANT and version >= CDI_APP_LEVEL_IS_CHECKED:
        raise _public_only()


def not_found(app_id: str, tenant_id: str) -> RequestRefusedError:
    """Return the refusal of an application or tenant that does not exist."""
    return RequestRefusedError(
        400,
        "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId and"
        f" tenantId combination not found: (, {app_id}, {tenant_id})",
    )


def _public_only() -> RequestRefusedError:
    return RequestRefusedError(403, "Only public tenantId can call this app specific API")
