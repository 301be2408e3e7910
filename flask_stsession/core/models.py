"""What a core says about sessions and tenants, as frozen values.

Times are in milliseconds since the epoch, as on the wire. Tokens are left out of every ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any


class Status(str, Enum):
    """Why the core did not do what was asked of it with a session's token."""

    TRY_REFRESH_TOKEN = "TRY_REFRESH_TOKEN"
    UNAUTHORISED = "UNAUTHORISED"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token and its life.

    :param token: the token itself; not in the ``repr``.
    :param expiry: when it expires, in ms.
    :param created_time: when it was made, in ms.
    """

    token: str = field(repr=False)
    expiry: int
    created_time: int


@dataclass(frozen=True, slots=True)
class CoreSession:
    """A session as answers about its tokens describe it.

    :param handle: its id, stable across refreshes.
    :param user_id: whose it is.
    :param recipe_user_id: the login method behind it; the user id where the core tells none.
    :param tenant_id: the tenant that it belongs to.
    :param payload: the user's own part of the access token's payload (``userDataInJWT``).
    """

    handle: str
    user_id: str
    recipe_user_id: str
    tenant_id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """A new pair of tokens, from creating or refreshing a session.

    :param anti_csrf_token: where anti-CSRF tokens were asked for.
    """

    session: CoreSession
    access_token: TokenInfo
    refresh_token: TokenInfo
    anti_csrf_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedSession:
    """The access token is good.

    :param access_token: the token to use from now on, where the core made one (CDI 5.5 and older).
    :param payload_update_available: the stored payload differs from the token's; regenerate without
        a payload to get it (CDI 5.6 with the database asked).
    """

    session: CoreSession
    access_token: TokenInfo | None = None
    payload_update_available: bool = False


@dataclass(frozen=True, slots=True)
class RegeneratedSession:
    """The payload is stored.

    :param access_token: a token with it, expiring when the old one did; ``None`` if that had expired.
    """

    session: CoreSession
    access_token: TokenInfo | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The core said no to a token; an answer, not a failure.

    :param status: what the client should be told.
    :param message: the core's words, for logs.
    :param recent_token_reuse_subtype: with ``UNAUTHORISED`` to a refresh: a replaced token was used, the
        core is configured not to call that theft, and has revoked the session all the same.
    """

    status: Status
    message: str = ""
    recent_token_reuse_subtype: str | None = None


@dataclass(frozen=True, slots=True)
class TokenTheft:
    """A refresh token was used that had been replaced.

    :param recent_token_reuse_subtype: which one: ``RECENT_PREV``, ``ORPHANED_BRANCH`` or ``STALE_LINEAGE``
        (CDI 5.6, where the core has revoked the session); ``None`` before, where revoking is left to us.
    """

    session_handle: str
    user_id: str
    recipe_user_id: str
    recent_token_reuse_subtype: str | None = None


@dataclass(frozen=True, slots=True)
class SessionInformation:
    """What the database of the core holds about a session.

    :param session_handle: its id.
    :param user_id: whose it is.
    :param recipe_user_id: the login method behind it.
    :param tenant_id: the tenant that it belongs to.
    :param session_data_in_database: data that never leaves the backend.
    :param custom_claims_in_access_token_payload: the user's own part of the payload.
    :param time_created: ms since the epoch.
    :param expiry: when it ends unless refreshed, ms since the epoch.
    """

    session_handle: str
    user_id: str
    recipe_user_id: str
    tenant_id: str
    session_data_in_database: dict[str, Any]
    custom_claims_in_access_token_payload: dict[str, Any]
    time_created: int
    expiry: int

    @property
    def created_at(self) -> datetime:
        """When the session was created, aware, in UTC."""
        return datetime.fromtimestamp(self.time_created / 1000, timezone.utc)

    @property
    def expires_at(self) -> datetime:
        """When the session ends unless it is refreshed, aware, in UTC."""
        return datetime.fromtimestamp(self.expiry / 1000, timezone.utc)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of the app.

    :param first_factors: ids of the login methods on offer; ``None`` means all.
    :param required_secondary_factors: ids of what else a login needs; ``None`` means nothing.
    :param core_config: settings of the core that differ for this tenant.
    """

    tenant_id: str
    first_factors: tuple[str, ...] | None = None
    required_secondary_factors: tuple[str, ...] | None = None
    core_config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifiedEmail:
    """An e-mail address that its user has just proven to own."""

    user_id: str
    email: str
