"""Reading, changing, listing and revoking sessions by handle or user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask_stsession.constants import DEFAULT_TENANT

from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route, invalid_field
from ..storage.session_records import SessionRecord, SessionTable
from ..storage.store import Store

_NO_SESSION: Final = {"status": "UNAUTHORISED", "message": "Session does not exist."}


class SessionAdministration:
    """The operations that need no token.

    :param clock_ms: the time now, ms.
    """

    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return what is to be served."""
        return [
            Route("GET", "/recipe/session", self.information),
            Route("POST", "/recipe/session/remove", self.remove, of_tenant=True),
            Route("GET", "/recipe/session/user", self.list_of_user, of_tenant=True),
            Route("GET", "/recipe/session/data", self.data_in_database),
            Route("PUT", "/recipe/session/data", self.set_data_in_database),
            Route("GET", "/recipe/jwt/data", self.data_in_jwt, of_tenant=True),
            Route("PUT", "/recipe/jwt/data", self.set_data_in_jwt, of_tenant=True),
        ]

    def information(self, request: CoreRequest) -> Answer:
        """Say what is known of a session."""
        record = self._find(request)
        if record is None:
            return dict(_NO_SESSION)
        return {
            "sessionHandle": record.handle,
            "userId": record.user_id,
            "recipeUserId": record.user_id,
            "userDataInDatabase": record.data_in_database,
            "expiry": record.expires_at,
            "userDataInJWT": record.data_in_jwt,
            "timeCreated": record.created_at,
            "tenantId": record.tenant_id,
            "status": "OK",
        }

    def remove(self, request: CoreRequest) -> Answer:
        """Revoke sessions by handle, or those of a user."""
        user_id, handles = request.optional_text("userId"), request.texts("sessionHandles")
        if (user_id is None) == (handles is None):
            raise RequestRefusedError(400, "Invalid JSON input - use one of userId or sessionHandles array")
        tenant_id = None
        if user_id is not None:
            tenant_id = _tenant_unless_all(request, request.flag("revokeAcrossAllTenants", default=True))
        with self._store.write() as connection:
            table = SessionTable(connection, self._clock_ms())
            if user_id is not None:
                handles = table.handles_of_user(user_id, tenant_id)
            revoked = table.delete(handles or [])
        return {"status": "OK", "sessionHandlesRevoked": revoked}

    def list_of_user(self, request: CoreRequest) -> Answer:
        """List the sessions of a user."""
        user_id = request.parameter("userId")
        across = request.query.get("fetchAcrossAllTenants", "true").lower()
        if across not in ("true", "false"):
            raise invalid_field("fetchAcrossAllTenants")
        tenant_id = _tenant_unless_all(request, across == "true")
        with self._store.read() as connection:
            handles = SessionTable(connection, self._clock_ms()).handles_of_user(user_id, tenant_id)
        return {"status": "OK", "sessionHandles": handles}

    def data_in_database(self, request: CoreRequest) -> Answer:
        """Return the user's data that stay in the database."""
        record = self._find(request)
        if record is None:
            return dict(_NO_SESSION)
        return {"status": "OK", "userDataInDatabase": record.data_in_database}

    def data_in_jwt(self, request: CoreRequest) -> Answer:
        """Return the user's data that the next access token will carry."""
        record = self._find(request)
        if record is None:
            return dict(_NO_SESSION)
        return {"status": "OK", "userDataInJWT": record.data_in_jwt}

    def set_data_in_database(self, request: CoreRequest) -> Answer:
        """Replace the user's data that stay in the database."""
        handle = request.text("sessionHandle")
        data = request.object("userDataInDatabase")
        return self._change(lambda table: table.set_data_in_database(handle, data))

    def set_data_in_jwt(self, request: CoreRequest) -> Answer:
        """Replace the user's data that the next access token will carry."""
        handle = request.text("sessionHandle")
        data = request.user_payload("userDataInJWT")
        return self._change(lambda table: table.set_data_in_jwt(handle, data))

    def _find(self, request: CoreRequest) -> SessionRecord | None:
        handle = request.parameter("sessionHandle")
        with self._store.read() as connection:
            return SessionTable(connection, self._clock_ms()).find(handle)

    def _change(self, change: Callable[[SessionTable], bool]) -> dict[str, Any]:
        with self._store.write() as connection:
            found = change(SessionTable(connection, self._clock_ms()))
        return {"status": "OK"} if found else dict(_NO_SESSION)


def _tenant_unless_all(request: CoreRequest, across_all: bool) -> str | None:
    if not across_all:
        return request.tenant_id
    if request.tenant_id != DEFAULT_TENANT:
        raise RequestRefusedError(403, "Only the public tenant may act on the sessions of all tenants")
    return None
