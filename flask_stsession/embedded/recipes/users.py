"""Users of a SuperTokens core's own login recipes.

The embedded core has none of these recipes, so it knows no such user. SDKs ask for them all the same:
before they create a session, for example.
"""

from __future__ import annotations

from typing import Final

from ..request import Answer, CoreRequest, Route
from ..tenancy import Scope

_UNKNOWN_USER: Final = {"status": "UNKNOWN_USER_ID_ERROR"}


class UserOperations:
    """Say that a user is not one of a login recipe."""

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
