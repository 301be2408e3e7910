"""Roles, their permissions, and the users who have them."""

from __future__ import annotations

import sqlite3
from typing import Final

from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route, invalid_field, without_blanks
from ..storage.store import Store
from ..tenancy import Scope

_UNKNOWN_ROLE: Final = {"status": "UNKNOWN_ROLE_ERROR"}


class RoleOperations:
    """Manage roles, which belong to the application, and their assignment, which belongs to a tenant.

    Blanks around the names of roles and permissions are removed; blanks around user ids are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Return the operations."""
        return [
            Route("PUT", "/recipe/role", self.create_role),
            Route("POST", "/recipe/role/remove", self.remove_role),
            Route("GET", "/recipe/roles", self.list_roles),
            Route("GET", "/recipe/role/permissions", self.permissions_of_role),
            Route("POST", "/recipe/role/permissions/remove", self.remove_permissions),
            Route("GET", "/recipe/permission/roles", self.roles_with_permission),
            Route("PUT", "/recipe/user/role", self.add_to_user, Scope.TENANT),
            Route("POST", "/recipe/user/role/remove", self.remove_from_user, Scope.TENANT),
            Route("GET", "/recipe/user/roles", self.roles_of_user, Scope.TENANT),
            Route("GET", "/recipe/role/users", self.users_with_role, Scope.TENANT),
        ]

    def create_role(self, request: CoreRequest) -> Answer:
        """Create a role, or add permissions to an existing one."""
        role, permissions = request.name("role"), _permissions(request) or []
        with self._store.write() as connection:
            created = connection.execute("INSERT OR IGNORE INTO roles (role) VALUES (?)", (role,)).rowcount
            connection.executemany(
                "INSERT OR IGNORE INTO role_permissions (role, permission) VALUES (?, ?)",
                [(role, permission) for permission in permissions],
            )
        return {"status": "OK", "createdNewRole": created > 0}

    def remove_role(self, request: CoreRequest) -> Answer:
        """Delete a role and its permissions, and remove it from all users."""
        role = request.name("role")
        with self._store.write() as connection:
            deleted = connection.execute("DELETE FROM roles WHERE role = ?", (role,)).rowcount
            connection.execute("DELETE FROM role_permissions WHERE role = ?", (role,))
            connection.execute("DELETE FROM user_roles WHERE role = ?", (role,))
        return {"status": "OK", "didRoleExist": deleted > 0}

    def list_roles(self, request: CoreRequest) -> Answer:
        """Return all roles."""
        return {"status": "OK", "roles": self._column("SELECT role FROM roles")}

    def permissions_of_role(self, request: CoreRequest) -> Answer:
        """Return the permissions of a role."""
        role = request.name_parameter("role")
        return self._column_of_role(
            "permissions", role, "SELECT permission FROM role_permissions WHERE role = ?"
        )

    def remove_permissions(self, request: CoreRequest) -> Answer:
        """Remove permissions from a role: the named ones, or all if none are named."""
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
        """Return the roles that have a permission."""
        permission = request.name_parameter("permission")
        roles = self._column("SELECT role FROM role_permissions WHERE permission = ?", permission)
        return {"status": "OK", "roles": roles}

    def add_to_user(self, request: CoreRequest) -> Answer:
        """Add a role to a user."""
        changed = self._change_user(
            request, "INSERT OR IGNORE INTO user_roles (tenant_id, user_id, role) VALUES (?, ?, ?)"
        )
        return (
            dict(_UNKNOWN_ROLE)
            if changed is None
            else {"status": "OK", "didUserAlreadyHaveRole": not changed}
        )

    def remove_from_user(self, request: CoreRequest) -> Answer:
        """Remove a role from a user."""
        changed = self._change_user(
            request, "DELETE FROM user_roles WHERE tenant_id = ? AND user_id = ? AND role = ?"
        )
        return dict(_UNKNOWN_ROLE) if changed is None else {"status": "OK", "didUserHaveRole": changed}

    def roles_of_user(self, request: CoreRequest) -> Answer:
        """Return the roles of a user."""
        user_id = request.parameter("userId")
        roles = self._column(
            "SELECT role FROM user_roles WHERE tenant_id = ? AND user_id = ?", request.tenant_id, user_id
        )
        return {"status": "OK", "roles": roles}

    def users_with_role(self, request: CoreRequest) -> Answer:
        """Return the users who have a role."""
        role = request.name_parameter("role")
        return self._column_of_role(
            "users",
            role,
            "SELECT user_id FROM user_roles WHERE role = ? AND tenant_id = ?",
            request.tenant_id,
        )

    def _change_user(self, request: CoreRequest, statement: str) -> bool | None:
        """Add or remove a role; return whether anything changed, None if there is no such role."""
        user_id, role = request.text("userId"), request.name("role")
        with self._store.write() as connection:
            if not _exists(connection, role):
                return None
            return connection.execute(statement, (request.tenant_id, user_id, role)).rowcount > 0

    def _column_of_role(self, name: str, role: str, statement: str, *more: str) -> Answer:
        with self._store.read() as connection:
            if not _exists(connection, role):
                return dict(_UNKNOWN_ROLE)
        return {"status": "OK", name: self._column(statement, role, *more)}

    def _column(self, statement: str, *parameters: str) -> list[str]:
        with self._store.read() as connection:
            return [str(row[0]) for row in connection.execute(statement, parameters)]


def _permissions(request: CoreRequest) -> list[str] | None:
    found = request.optional_texts("permissions")
    if found is None:
        return None
    permissions = [without_blanks(permission) for permission in found]
    if not all(permissions):
        raise RequestRefusedError(400, f"{invalid_field('permissions').text}: a permission is empty")
    return permissions


def _exists(connection: sqlite3.Connection, role: str) -> bool:
    return connection.execute("SELECT 1 FROM roles WHERE role = ?", (role,)).fetchone() is not None
