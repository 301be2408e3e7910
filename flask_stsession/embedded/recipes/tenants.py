"""Tenants: separate groups of users in one application."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from typing import Any, Final

from flask_stsession.constants import DEFAULT_TENANT

from ..crypto import compact_json
from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route, without_blanks
from ..settings import Settings
from ..storage.store import Store
from ..tenancy import Scope, is_tenant_id
from .factors import LoginFactors

#: The keys of a core's configuration that may differ from tenant to tenant, and the type of their values.
_PER_TENANT: Final = {
    "email_verification_token_lifetime": int,
    "ip_allow_regex": str,
    "ip_deny_regex": str,
    "password_reset_token_lifetime": int,
    "passwordless_code_lifetime": int,
    "passwordless_max_code_input_attempts": int,
    "saml_claims_validity": int,
    "saml_relay_state_validity": int,
    "saml_sp_entity_id": str,
    "totp_max_attempts": int,
    "totp_rate_limit_cooldown_sec": int,
}


class TenantOperations:
    """Create, change, list and delete tenants. Their settings are stored and returned but have no effect."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return the operations; those without ``v2`` are the older form."""
        path = "/recipe/multitenancy/tenant"
        return [
            Route("PUT", path, self.put_older, Scope.TENANT),
            Route("PUT", f"{path}/v2", self.put, Scope.TENANT),
            Route("GET", path, self.get_older, Scope.ANY),
            Route("GET", f"{path}/v2", self.get, Scope.ANY),
            Route("GET", f"{path}/list", self.list_older, Scope.MANAGEMENT),
            Route("GET", f"{path}/list/v2", self.list_all, Scope.MANAGEMENT),
            Route("POST", f"{path}/remove", self.remove, Scope.MANAGEMENT),
        ]

    @staticmethod
    def insert_first(connection: sqlite3.Connection) -> None:
        """Insert the tenant that always exists."""
        _save(connection, DEFAULT_TENANT, LoginFactors.all_on(), {})

    def put(self, request: CoreRequest) -> Answer:
        """Create a tenant, or change the given settings; ``null`` unsets one."""
        return self._put(request, older=False)

    def put_older(self, request: CoreRequest) -> Answer:
        """Create or change a tenant in the older form."""
        return self._put(request, older=True)

    def _put(self, request: CoreRequest, *, older: bool) -> Answer:
        tenant_id = _tenant_id(request)
        change = request.optional_object("coreConfig") or {}
        for key, value in change.items():
            self._check_config(key, value)
        with self._store.write() as connection:
            found = _find(connection, tenant_id)
            if older:
                factors = _factors_of(found, LoginFactors()).updated_by_switches(request)
            else:
                factors = _factors_of(found, LoginFactors.none_listed()).updated(request)
            merged = {**(found or {}).get("coreConfig", {}), **change}
            config = {key: value for key, value in merged.items() if value is not None}
            _save(connection, tenant_id, factors, config)
        return {"status": "OK", "createdNew": found is None}

    def _check_config(self, key: str, value: object) -> None:
        if key in _PER_TENANT:
            if value is not None and (isinstance(value, bool) or not isinstance(value, _PER_TENANT[key])):
                raise RequestRefusedError(400, f"Invalid core config: {key!r} has a value of the wrong type")
        elif key not in (configured := asdict(self._settings)):
            raise RequestRefusedError(400, f"Invalid core config: Invalid config key: {key}")
        elif value is not None and value != configured[key]:
            raise RequestRefusedError(
                400, f"Invalid core config: You cannot set different values for {key} for the same appId"
            )

    def get(self, request: CoreRequest) -> Answer:
        """Return the settings of the tenant in the path."""
        return self._get(request, older=False)

    def get_older(self, request: CoreRequest) -> Answer:
        """Return the settings of the tenant in the path, in the older form."""
        return self._get(request, older=True)

    def _get(self, request: CoreRequest, *, older: bool) -> Answer:
        with self._store.read() as connection:
            stored = _find(connection, request.tenant_id)
        if stored is None:
            return {"status": "TENANT_NOT_FOUND_ERROR"}
        version = request.cdi_version if older else None
        return {"status": "OK", **_describe(request.tenant_id, stored, version)}

    def list_all(self, request: CoreRequest) -> Answer:
        """Return all tenants."""
        return self._list(request, older=False)

    def list_older(self, request: CoreRequest) -> Answer:
        """Return all tenants, in the older form."""
        return self._list(request, older=True)

    def _list(self, request: CoreRequest, *, older: bool) -> Answer:
        with self._store.read() as connection:
            rows = connection.execute("SELECT tenant_id, config FROM tenants").fetchall()
        version = request.cdi_version if older else None
        tenants = [_describe(row[0], json.loads(row[1]), version) for row in rows]
        return {"status": "OK", "tenants": tenants}

    def remove(self, request: CoreRequest) -> Answer:
        """Delete a tenant with its sessions, roles of users and e-mail verification tokens."""
        tenant_id = request.name("tenantId").lower()
        if tenant_id == DEFAULT_TENANT:
            raise RequestRefusedError(403, "Cannot delete public tenant, use remove app API instead")
        with self._store.write() as connection:
            deleted = connection.execute("DELETE FROM tenants WHERE tenant_id = ?", (tenant_id,)).rowcount
            connection.execute("DELETE FROM sessions WHERE tenant_id = ?", (tenant_id,))
            connection.execute("DELETE FROM user_roles WHERE tenant_id = ?", (tenant_id,))
            connection.execute("DELETE FROM email_tokens WHERE tenant_id = ?", (tenant_id,))
        return {"status": "OK", "didExist": deleted > 0}


def _tenant_id(request: CoreRequest) -> str:
    """Return the tenant that a request creates or changes: by default the one in the path."""
    if "tenantId" not in request.body:
        return request.tenant_id
    tenant_id = without_blanks(request.text("tenantId")).lower()
    if not is_tenant_id(tenant_id):
        raise RequestRefusedError(
            400,
            "tenantId can only contain letters, numbers and hyphens, must not start with 'appid-' and must"
            " not be 'recipe', 'config', 'users' or 'hello'",
        )
    return tenant_id


def _factors_of(stored: dict[str, Any] | None, new: LoginFactors) -> LoginFactors:
    return new if stored is None else LoginFactors.from_stored(stored)


def _describe(
    tenant_id: str, stored: dict[str, Any], older_form_in: tuple[int, int] | None
) -> dict[str, Any]:
    """Return a tenant in the newer form, or in the older form of a version of the interface."""
    factors = LoginFactors.from_stored(stored)
    described = factors.describe() if older_form_in is None else factors.describe_switches(older_form_in)
    described["thirdParty"] = {**described.get("thirdParty", {}), "providers": []}
    return {"tenantId": tenant_id, **described, "coreConfig": stored.get("coreConfig", {})}


def _find(connection: sqlite3.Connection, tenant_id: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT config FROM tenants WHERE tenant_id = ?", (tenant_id,)).fetchone()
    found: dict[str, Any] | None = None if row is None else json.loads(row[0])
    return found


def _save(
    connection: sqlite3.Connection, tenant_id: str, factors: LoginFactors, config: dict[str, Any]
) -> None:
    stored = {**factors.to_stored(), "coreConfig": config}
    connection.execute(
        "INSERT OR REPLACE INTO tenants (tenant_id, config) VALUES (?, ?)", (tenant_id, compact_json(stored))
    )
