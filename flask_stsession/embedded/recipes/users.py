"""Users of a SuperTokens core's own login recipes.

The embedded core does not implement these recipes and so has no such users. SDKs ask for them anyway, for
example before they create a session.
"""

from __future__ import annotations

from typing import Final

from ..request import Answer, CoreRequest, Route
from ..tenancy import Scope

_UNKNOWN_USER: Final = {"status": "UNKNOWN_USER_ID_ERROR"}


class UserOperations:
    """Respond that there is no such user."""

    def routes(self) -> list[Route]:
        """Return the operations."""
        membership = "/recipe/multitenancy/tenant/user"
        return [
            Route("GET", "/user/id", self.get),
            Route("POST", membership, self.change_membership, Scope.TENANT),
            Route("POST", f"{membership}/remove", self.change_membership, Scope.TENANT),
        ]

    def get(self, request: CoreRequest) -> Answer:
        """Return that there is no such user."""
        request.parameter("userId")
        return dict(_UNKNOWN_USER)

    def change_membership(self, request: CoreRequest) -> Answer:
        """Return that there is no such user to add to a tenant or to remove from it."""
        request.text("recipeUserId")
        return dict(_UNKNOWN_USER)
