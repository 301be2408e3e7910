"""The core's calls about roles and permissions."""

from __future__ import annotations

from collections.abc import Sequence

from ..constants import DEFAULT_TENANT
from .calls import CallGroup

_RID = "userroles"
_UNKNOWN_ROLE = "UNKNOWN_ROLE_ERROR"


class RoleCalls(CallGroup):
    """Calls about roles, their permissions, and the users who have them."""

    def get_roles_for_user(self, user_id: str, *, tenant_id: str = DEFAULT_TENANT) -> list[str]:
        """Return the roles of a user in a tenant, in no particular order.

        :raises CoreUnavailableError: no response.
        """
        reply = self._client.get(_RID, "/recipe/user/roles", {"userId": user_id}, tenant_id=tenant_id)
        return reply.expect_ok().texts("roles")

    def get_permissions_for_role(self, role: str, *, max_age: float = 0) -> list[str] | None:
        """Return the permissions of a role, in no particular order; ``None`` if there is no such role.

        :param max_age: how old (s) a cached response may be, the TTL of the cache at most; 0 asks now.
        :raises CoreUnavailableError: no response.
        """

        def ask() -> tuple[str, ...] | None:
            reply = self._client.get(_RID, "/recipe/role/permissions", {"role": role})
            return None if reply.status == _UNKNOWN_ROLE else tuple(reply.expect_ok().texts("permissions"))

        known = self._client.cache.read(("permissions", role), ask, max_age=max_age)
        return None if known is None else list(known)

    def create_role(self, role: str, permissions: Sequence[str] = ()) -> bool:
        """Create a role, or add permissions to one; safe to send again.

        :returns: whether it was created; ``False``: it existed.
        :raises CoreUnavailableError: no response.
        """
        with self._client.cache.changing(("permissions", role)):
            reply = self._client.put(_RID, "/recipe/role", {"role": role, "permissions": list(permissions)})
            return reply.expect_ok().flag("createdNewRole")

    def remove_permissions(self, role: str, permissions: Sequence[str]) -> bool:
        """Remove permissions from a role; safe to send again.

        :returns: whether there is such a role.
        :raises CoreUnavailableError: no response.
        """
        with self._client.cache.changing(("permissions", role)):
            body = {"role": role, "permissions": list(permissions)}
            reply = self._client.post(_RID, "/recipe/role/permissions/remove", body, repeatable=True)
            return reply.status != _UNKNOWN_ROLE and reply.expect_ok() is reply

    def delete_role(self, role: str) -> bool:
        """Delete a role, and remove it from all users; safe to send again.

        :returns: whether there was such a role.
        :raises CoreUnavailableError: no response.
        """
        with self._client.cache.changing(("permissions", role)):
            reply = self._client.post(_RID, "/recipe/role/remove", {"role": role}, repeatable=True)
            return reply.expect_ok().flag("didRoleExist")

    def list_roles(self) -> list[str]:
        """Return all roles, in no particular order.

        :raises CoreUnavailableError: no response.
        """
        return self._client.get(_RID, "/recipe/roles").expect_ok().texts("roles")

    def get_users_with_role(self, role: str, *, tenant_id: str = DEFAULT_TENANT) -> list[str] | None:
        """Return the users who have a role in a tenant, in any order; ``None`` if there is no such role.

        :raises CoreUnavailableError: no response.
        """
        reply = self._client.get(_RID, "/recipe/role/users", {"role": role}, tenant_id=tenant_id)
        return None if reply.status == _UNKNOWN_ROLE else reply.expect_ok().texts("users")

    def get_roles_with_permission(self, permission: str) -> list[str]:
        """Return the roles that have a permission, in no particular order.

        :raises CoreUnavailableError: no response.
        """
        reply = self._client.get(_RID, "/recipe/permission/roles", {"permission": permission})
        return reply.expect_ok().texts("roles")

    def add_role_to_user(self, user_id: str, role: str, *, tenant_id: str = DEFAULT_TENANT) -> bool | None:
        """Give a user a role; safe to send again.

        :returns: whether it was new to the user; ``None``: there is no such role.
        :raises CoreUnavailableError: no response.
        """
        body = {"userId": user_id, "role": role}
        reply = self._client.put(_RID, "/recipe/user/role", body, tenant_id=tenant_id)
        if reply.status == _UNKNOWN_ROLE:
            return None
        return not reply.expect_ok().flag("didUserAlreadyHaveRole")

    def remove_role_from_user(
        self, user_id: str, role: str, *, tenant_id: str = DEFAULT_TENANT
    ) -> bool | None:
        """Remove a role from a user; safe to send again.

        :returns: whether the user had it; ``None``: there is no such role.
        :raises CoreUnavailableError: no response.
        """
        body = {"userId": user_id, "role": role}
        reply = self._client.post(
            _RID, "/recipe/user/role/remove", body, tenant_id=tenant_id, repeatable=True
        )
        if reply.status == _UNKNOWN_ROLE:
            return None
        return reply.expect_ok().flag("didUserHaveRole")
