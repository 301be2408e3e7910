"""Roles, their permissions, and who has them."""

from __future__ import annotations

import sqlite3
from typing import Final

from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route, invalid_field
from ..storage.store import Store

_UNKNOWN_ROLE: Final = {"status": "UNKNOWN_ROLE_ERROR"}


class RoleOperations:
    """Roles belong to the application; which user has them, to a tenant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Return what is to be served."""
        return [
            Route("PUT", "/recipe/role", self.create_role),
            Route("POST", "/recipe/role/remove", self.remove_role),
            Route("GET", "/recipe/roles", self.list_roles),
            Route("GET", "/recipe/role/permissions", self.permissions_of_role),
            Route("POST", "/recipe/role/permissions/remove", self.remove_permissions),
            Route("GET", "/recipe/permission/roles", self.roles_with_permission),
            Route("PUT", "/recipe/user/role", self.give_role, of_tenant=True),
            Route("POST", "/recipe/user/role/remove", self.take_role, of_tenant=True),
            Route("GET", "/recipe/user/roles", self.roles_of_user, of_tenant=True),
            Route("GET", "/recipe/role/users", self.users_with_role, of_tenant=True),
        ]

    def create_role(self, request: CoreRequest) -> Answer:
        """Make a role, or add permissions to one."""
        role, permissions = request.name("role"), _permissions(request) or []
        with self._store.write() as connection:
            created = connection.execute("INSERT OR IGNORE INTO roles (role) VALUES (?)", (role,)).rowcount
            connection.executemany(
                "INSERT OR IGNORE INTO role_permissions (role, permission) VALUES (?, ?)",
                [(role, permission) for permission in permissions],
            )
        return {"status": "OK", "createdNewRole": created > 0}

    def remove_role(self, request: CoreRequest) -> Answer:
        """Delete a role, with its permissions, from everybody."""
        role = request.name("role")
        with self._store.write() as connection:
            deleted = connection.execute("DELETE FROM roles WHERE role = ?", (role,)).rowcount
            connection.execute("DELETE FROM role_permissions WHERE role = ?", (role,))
            connection.execute("DELETE FROM user_roles WHERE role = ?", (role,))
        return {"status": "OK", "didRoleExist": deleted > 0}

    def list_roles(self, request: CoreRequest) -> Answer:
        """List all roles."""
        with self._store.read() as connection:
            return {"roles": _column(connection.execute("SELECT role FROM roles")), "status": "OK"}

    def permissions_of_role(self, request: CoreRequest) -> Answer:
        """List the permissions of a role."""
        role = request.name_parameter("role")
        with self._store.read() as connection:
            if not _exists(connection, role):
                return dict(_UNKNOWN_ROLE)
            found = connection.execute("SELECT permission FROM role_permissions WHERE role = ?", (role,))
            return {"permissions": _column(found), "status": "OK"}

    def remove_permissions(self, request: CoreRequest) -> Answer:
        """Take permissions from a role; all of them if none are named."""
        role, permissions = request.name("role"), _permissions(request)
        with self._store.write() as connection:
            if not _exists(connection, role):
                return dict(_UNKNOWN_ROLE)
            if permissions is None:
                connection.execute("DELETE FROM role_permissions WHERE role = ?", (role,))
            else:
                connection.executemany(
                    "DELETE FROM role_permissions WHERE role = ? AND permission = ?",
                    [(role, permission) for permission in permissions],
                )
        return {"status": "OK"}

    def roles_with_permission(self, request: CoreRequest) -> Answer:
        """List the roles that have a permission."""
        permission = request.name_parameter("permission")
        with self._store.read() as connection:
            found = connection.execute(
                "SELECT role FROM role_permissions WHERE permission = ?", (permission,)
            )
            return {"roles": _column(found), "status": "OK"}

    def give_role(self, request: CoreRequest) -> Answer:
        """Give a user a role."""
        user_id, role = request.name("userId"), request.name("role")
        with self._store.write() as connection:
            if not _exists(connection, role):
                return dict(_UNKNOWN_ROLE)
            given = connection.execute(
                "INSERT OR IGNORE INTO user_roles (tenant_id, user_id, role) VALUES (?, ?, ?)",
                (request.tenant_id, user_id, role),
            ).rowcount
        return {"status": "OK", "didUserAlreadyHaveRole": given <= 0}

    def take_role(self, request: CoreRequest) -> Answer:
        """Take a role from a user."""
        user_id, role = request.name("userId"), request.name("role")
        with self._store.write() as connection:
            if not _exists(connection, role):
                return dict(_UNKNOWN_ROLE)
            taken = connection.execute(
                "DELETE FROM user_roles WHERE tenant_id = ? AND user_id = ? AND role = ?",
                (request.tenant_id, user_id, role),
            ).rowcount
        return {"status": "OK", "didUserHaveRole": taken > 0}

    def roles_of_user(self, request: CoreRequest) -> Answer:
        """List the roles of a user."""
        user_id = request.name_parameter("userId")
        with self._store.read() as connection:
            found = connection.execute(
                "SELECT role FROM user_roles WHERE tenant_id = ? AND user_id = ?",
                (request.tenant_id, user_id),
            )
            return {"roles": _column(found), "status": "OK"}

    def users_with_role(self, request: CoreRequest) -> Answer:
        """List the users who have a role."""
        role = request.name_parameter("role")
        with self._store.read() as connection:
            if not _exists(connection, role):
                return dict(_UNKNOWN_ROLE)
            found = connection.execute(
                "SELECT user_id FROM user_roles WHERE tenant_id = ? AND role = ?", (request.tenant_id, role)
            )
            return {"users": _column(found), "status": "OK"}


def _permissions(request: CoreRequest) -> list[str] | None:
    found = request.texts("permissions")
    if found is None:
        return None
    permissions = [permission.strip() for permission in found]
    if not all(permissions):
        raise RequestRefusedError(400, str(invalid_field("permissions")) + ": a permission is empty")
    return permissions


def _exists(connection: sqlite3.Connection, role: str) -> bool:
    return connection.execute("SELECT 1 FROM roles WHERE role = ?", (role,)).fetchone() is not None


def _column(cursor: sqlite3.Cursor) -> list[str]:
    return [str(row[0]) for row in cursor]
