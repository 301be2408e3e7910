"""Read, change, list and revoke sessions by handle or by user."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route
from ..storage.session_records import SessionRecord, SessionTable
from ..storage.store import Store
from ..tenancy import Scope, Tenants, not_found, require_public, tenant_of_handle


class SessionAdministration:
    """The operations that need no token.

    :param clock_ms: returns the current time, in ms.
    """

    def __init__(self, store: Store, tenants: Tenants, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._tenants = tenants
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return the operations."""
        return [
            Route("GET", "/recipe/session", self.information, Scope.ANY),
            Route("POST", "/recipe/session/remove", self.remove, Scope.ANY),
            Route("GET", "/recipe/session/user", self.list_of_user, Scope.ANY),
            Route("GET", "/recipe/session/data", self.data_in_database, Scope.ANY),
            Route("PUT", "/recipe/session/data", self.set_data_in_database, Scope.ANY),
            Route("GET", "/recipe/jwt/data", self.data_in_jwt, Scope.ANY),
            Route("PUT", "/recipe/jwt/data", self.set_data_in_jwt, Scope.ANY),
        ]

    def information(self, request: CoreRequest) -> Answer:
        """Return the stored information about a session."""
        return self._read(request, _describe)

    def remove(self, request: CoreRequest) -> Answer:
        """Revoke sessions by handle, or those of a user."""
        user_id, handles = request.optional_text("userId"), request.optional_texts("sessionHandles")
        # Linked accounts are users of login recipes, which the embedded core does not have.
        request.optional_flag("revokeSessionsForLinkedAccounts", default=True)
        across_tenants = request.optional_flag("revokeAcrossAllTenants", default=True)
        if handles is not None and user_id is None:
            return self._remove_handles(handles)
        if user_id is None or handles is not None:
            raise RequestRefusedError(400, "Invalid JSON input - use one of userId or sessionHandles array")
        tenant_id = self._tenant_unless_all(request, across_tenants)
        with self._store.write() as connection:
            table = SessionTable(connection, self._clock_ms())
            revoked = table.delete(table.handles_of_user(user_id, tenant_id))
        return {"status": "OK", "sessionHandlesRevoked": revoked}

    def _remove_handles(self, handles: list[str]) -> Answer:
        existing = {
            tenant_id: self._tenants.exists(tenant_id) for tenant_id in map(tenant_of_handle, handles)
        }
        with self._store.write() as connection:
            revoked = SessionTable(connection, self._clock_ms()).delete(
                handle for handle in handles if existing[tenant_of_handle(handle)]
            )
        # Refused only now: as in a core, the sessions of existing tenants are revoked all the same.
        for tenant_id, exists in existing.items():
            if not exists:
                raise not_found("public", tenant_id)
        return {"status": "OK", "sessionHandlesRevoked": revoked}

    def list_of_user(self, request: CoreRequest) -> Answer:
        """Return the handles of the sessions of a user.

        With ``informationBytes``, a parameter of the embedded core alone, ``sessions`` describes as many of
        the sessions as fit into that many bytes.
        """
        user_id = request.parameter("userId")
        across_tenants = request.flag_parameter("fetchAcrossAllTenants", default=True)
        tenant_id = self._tenant_unless_all(request, across_tenants)
        with self._store.read() as connection:
            table = SessionTable(connection, self._clock_ms())
            if "informationBytes" not in request.query:
                return {"status": "OK", "sessionHandles": table.handles_of_user(user_id, tenant_id)}
            records = table.of_user(user_id, tenant_id)
        return {
            "status": "OK",
            "sessionHandles": [record.handle for record in records],
            "sessions": _describe_some(records, request.count_parameter("informationBytes")),
        }

    def data_in_database(self, request: CoreRequest) -> Answer:
        """Return the session data that only the database holds."""
        return self._read(request, lambda record: {"userDataInDatabase": record.data_in_database})

    def data_in_jwt(self, request: CoreRequest) -> Answer:
        """Return the payload of the next access token."""
        return self._read(request, lambda record: {"userDataInJWT": record.data_in_jwt})

    def set_data_in_database(self, request: CoreRequest) -> Answer:
        """Replace the session data that only the database holds."""
        data = request.object("userDataInDatabase")
        return self._change(request, lambda table, handle: table.set_data_in_database(handle, data))

    def set_data_in_jwt(self, request: CoreRequest) -> Answer:
        """Replace the payload of the next access token."""
        data = request.user_payload("userDataInJWT")
        return self._change(request, lambda table, handle: table.set_data_in_jwt(handle, data))

    def _read(self, request: CoreRequest, describe: Callable[[SessionRecord], dict[str, Any]]) -> Answer:
        handle = request.parameter("sessionHandle")
        self._tenants.require(tenant_of_handle(handle))
        with self._store.read() as connection:
            record = SessionTable(connection, self._clock_ms()).find(handle)
        return _no_session() if record is None else {"status": "OK", **describe(record)}

    def _change(self, request: CoreRequest, change: Callable[[SessionTable, str], bool]) -> Answer:
        handle = request.text("sessionHandle")
        self._tenants.require(tenant_of_handle(handle))
        with self._store.write() as connection:
            found = change(SessionTable(connection, self._clock_ms()), handle)
        return {"status": "OK"} if found else _no_session()

    def _tenant_unless_all(self, request: CoreRequest, across_tenants: bool) -> str | None:
        """Return the tenant to which the request is limited, None for all tenants."""
        if across_tenants:
            require_public(request.tenant_id, request.cdi_version)
            return None
        self._tenants.require(request.tenant_id)
        return request.tenant_id


def _describe(record: SessionRecord) -> dict[str, Any]:
    return {
        "sessionHandle": record.handle,
        "userId": record.user_id,
        "recipeUserId": record.user_id,
        "userDataInDatabase": record.data_in_database,
        "expiry": record.expires_at,
        "userDataInJWT": record.data_in_jwt,
        "timeCreated": record.created_at,
        "tenantId": record.tenant_id,
    }


def _describe_some(records: Iterable[SessionRecord], most_bytes: int) -> list[dict[str, Any]]:
    described, left = [], most_bytes
    for record in records:
        description = _describe(record)
        left -= len(json.dumps(description)) + len(", ")
        if left < 0:
            break
        described.append(description)
    return described


def _no_session() -> dict[str, Any]:
    return {"status": "UNAUTHORISED", "message": "Session does not exist."}
