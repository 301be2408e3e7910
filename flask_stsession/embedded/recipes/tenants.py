"""Tenants: separate groups of users in one application."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any, Final

from flask_stsession.constants import DEFAULT_TENANT

from ..crypto import compact_json
from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route, invalid_field
from ..storage.store import Store

_TENANT_ID: Final = re.compile(r"[a-z0-9-]+")
#: The older path turns ways to log in on and off; the newer one lists them as factors.
_LOGIN_METHODS: Final = {
    "emailPassword": "emailPasswordEnabled",
    "thirdParty": "thirdPartyEnabled",
    "passwordless": "passwordlessEnabled",
}


class TenantOperations:
    """Making, listing and deleting tenants. How their users log in is kept and returned, not acted upon."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Return what is to be served."""
        path = "/recipe/multitenancy/tenant"
        return [
            Route("PUT", path, self.put_older),
            Route("PUT", f"{path}/v2", self.put),
            Route("GET", path, self.get_older, of_tenant=True),
            Route("GET", f"{path}/v2", self.get, of_tenant=True),
            Route("GET", f"{path}/list", self.list_older),
            Route("GET", f"{path}/list/v2", self.list_all),
            Route("POST", f"{path}/remove", self.remove),
        ]

    @staticmethod
    def insert_first(connection: sqlite3.Connection) -> None:
        """Make the tenant that always exists."""
        _save(connection, DEFAULT_TENANT, dict.fromkeys(_LOGIN_METHODS.values(), True))

    def exists(self, tenant_id: str) -> bool:
        """Tell whether there is such a tenant."""
        with self._store.read() as connection:
            return _find(connection, tenant_id) is not None

    def put(self, request: CoreRequest) -> Answer:
        """Make a tenant, or change the settings that are given; ``null`` unsets one."""
        return self._put(request, {})

    def put_older(self, request: CoreRequest) -> Answer:
        """Do the same with ways to log in turned on and off."""
        sent = {name: request.flag(name) for name in _LOGIN_METHODS.values() if name in request.body}
        return self._put(request, sent)

    def _put(self, request: CoreRequest, update: dict[str, Any]) -> Answer:
        tenant_id = request.name("tenantId").lower()
        if not _TENANT_ID.fullmatch(tenant_id) or tenant_id == "recipe" or tenant_id.startswith("appid-"):
            raise RequestRefusedError(
                400,
                "tenantId may have letters, digits and hyphens in it, must not be 'recipe' nor begin with"
                " 'appid-'",
            )
        for name in ("firstFactors", "requiredSecondaryFactors"):
            if name in request.body:
                update[name] = _factors(request, name)
        core_config = request.optional_object("coreConfig") or {}
        with self._store.write() as connection:
            found = _find(connection, tenant_id)
            config = {**(found or {}), **update}
            merged = {**config.get("coreConfig", {}), **core_config}
            config["coreConfig"] = {key: value for key, value in merged.items() if value is not None}
            _save(connection, tenant_id, config)
        return {"status": "OK", "createdNew": found is None}

    def get(self, request: CoreRequest) -> Answer:
        """Return the settings of the tenant in the path."""
        return self._get(request, older=False)

    def get_older(self, request: CoreRequest) -> Answer:
        """Do the same with ways to log in shown as on or off."""
        return self._get(request, older=True)

    def _get(self, request: CoreRequest, *, older: bool) -> Answer:
        with self._store.read() as connection:
            config = _find(connection, request.tenant_id)
        if config is None:
            return {"status": "TENANT_NOT_FOUND_ERROR"}
        return {"status": "OK", **_describe(request.tenant_id, config, older=older)}

    def list_all(self, request: CoreRequest) -> Answer:
        """List all tenants."""
        return self._list(older=False)

    def list_older(self, request: CoreRequest) -> Answer:
        """Do the same with ways to log in shown as on or off."""
        return self._list(older=True)

    def _list(self, *, older: bool) -> Answer:
        with self._store.read() as connection:
            rows = connection.execute("SELECT tenant_id, config FROM tenants").fetchall()
        tenants = [_describe(row[0], json.loads(row[1]), older=older) for row in rows]
        return {"status": "OK", "tenants": tenants}

    def remove(self, request: CoreRequest) -> Answer:
        """Delete a tenant with its sessions, roles given and tokens sent."""
        tenant_id = request.name("tenantId").lower()
        if tenant_id == DEFAULT_TENANT:
            raise RequestRefusedError(403, "The public tenant cannot be deleted")
        with self._store.write() as connection:
            deleted = connection.execute("DELETE FROM tenants WHERE tenant_id = ?", (tenant_id,)).rowcount
            connection.execute("DELETE FROM sessions WHERE tenant_id = ?", (tenant_id,))
            connection.execute("DELETE FROM user_roles WHERE tenant_id = ?", (tenant_id,))
            connection.execute("DELETE FROM email_tokens WHERE tenant_id = ?", (tenant_id,))
        return {"status": "OK", "didExist": deleted > 0}


def _factors(request: CoreRequest, name: str) -> list[str] | None:
    factors = request.texts(name)
    if name == "requiredSecondaryFactors" and factors == []:
        raise invalid_field(name)
    return factors


def _describe(tenant_id: str, config: dict[str, Any], *, older: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "tenantId": tenant_id,
        "thirdParty": {"providers": []},
        "firstFactors": config.get("firstFactors"),
        "requiredSecondaryFactors": config.get("requiredSecondaryFactors"),
        "coreConfig": config.get("coreConfig", {}),
    }
    if older:
        for name, key in _LOGIN_METHODS.items():
            described.setdefault(name, {})["enabled"] = bool(config.get(key, False))
    return described


def _find(connection: sqlite3.Connection, tenant_id: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT config FROM tenants WHERE tenant_id = ?", (tenant_id,)).fetchone()
    found: dict[str, Any] | None = None if row is None else json.loads(row[0])
    return found


def _save(connection: sqlite3.Connection, tenant_id: str, config: dict[str, Any]) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO tenants (tenant_id, config) VALUES (?, ?)", (tenant_id, compact_json(config))
    )
