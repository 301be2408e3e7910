"""Values for a core's data about sessions.

Times are in milliseconds since the epoch, as on the wire. A value that carries a token is a dataclass
without a ``repr`` of its fields; a tuple would show it to every reporter of local variables. Nobody changes
them, but only the public one is frozen: a frozen dataclass takes twice as long to import.
"""

# Without ``from __future__ import annotations``: a named tuple compiles each annotation that is text, which
# every import of the package would pay for.

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final, Literal, NamedTuple

#: The reason why the core refused a session's token.
Status = Literal["TRY_REFRESH_TOKEN", "UNAUTHORISED"]
STATUSES: Final[tuple[Status, ...]] = ("TRY_REFRESH_TOKEN", "UNAUTHORISED")


#: The last second that a ``datetime`` can hold, in ms since the epoch.
_LAST_MS: Final = 253_402_300_799_000


def _time_of(ms: int) -> datetime:
    """Return a time as an aware datetime, the end of the year 9999 for all later ones.

    A core sets no limit to the validity of refresh tokens.
    """
    return datetime.fromtimestamp(min(ms, _LAST_MS) / 1000, timezone.utc)


@dataclass(repr=False, eq=False)
class TokenInfo:
    """A token and its life.

    :param token: the token itself.
    :param expiry: when it expires, in ms.
    :param created_time: when it was created, in ms.
    """

    token: str
    expiry: int
    created_time: int

    @property
    def expires_at(self) -> datetime:
        """When it expires, aware, in UTC."""
        return _time_of(self.expiry)


class CoreSession(NamedTuple):
    """A session as the core describes it along with its tokens.

    :param handle: its id, stable across refreshes.
    :param user_id: the user of the session.
    :param payload: the user's own part of the access token's payload (``userDataInJWT``).
    """

    handle: str
    user_id: str
    payload: dict[str, Any]


@dataclass(repr=False, eq=False)
class IssuedTokens:
    """A new pair of tokens, from creating or refreshing a session."""

    session: CoreSession
    access_token: TokenInfo
    refresh_token: TokenInfo


@dataclass(repr=False, eq=False)
class VerifiedSession:
    """The verdict on a valid access token.

    :param access_token: the token to use from now on, if the core issued one (CDI 5.5 and older).
    :param payload_update_available: whether the stored payload differs from the token's; regenerate without
        a payload to get it (CDI 5.6 with the database checked).
    """

    session: CoreSession
    access_token: TokenInfo | None = None
    payload_update_available: bool = False


@dataclass(repr=False, eq=False)
class RegeneratedSession:
    """The result of storing a payload.

    :param access_token: a token with it, which expires with the old one; ``None`` if that had expired.
    """

    session: CoreSession
    access_token: TokenInfo | None = None


class Refusal(NamedTuple):
    """The core's refusal of a token: a verdict, not a failure.

    :param status: the verdict for the client.
    :param message: the core's message, for logs.
    """

    status: Status
    message: str = ""


class TokenTheft(NamedTuple):
    """The use of a refresh token that had been replaced.

    :param recent_token_reuse_subtype: which one: ``RECENT_PREV``, ``ORPHANED_BRANCH`` or ``STALE_LINEAGE``
        (CDI 5.6, where the core has revoked the session); ``None`` before 5.6, where we must revoke it.
    """

    session_handle: str
    user_id: str
    recipe_user_id: str
    recent_token_reuse_subtype: str | None = None


@dataclass(frozen=True, slots=True)
class SessionInformation:
    """The data that the core stores about a session.

    :param session_handle: its id.
    :param user_id: the user of the session.
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
        return _time_of(self.time_created)

    @property
    def expires_at(self) -> datetime:
        """When the session ends unless it is refreshed, aware, in UTC."""
        return _time_of(self.expiry)
