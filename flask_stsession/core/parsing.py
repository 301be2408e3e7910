"""Read the JSON of a core. Only this module knows the names in its responses about sessions.

A response without a field that the interface promises comes from a broken core, or from another
server: an outage (503), never a ``KeyError`` in a view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..constants import DEFAULT_TENANT
from ..errors import CoreError, CoreUnavailableError
from .models import (
    STATUSES,
    CoreSession,
    IssuedTokens,
    Refusal,
    RegeneratedSession,
    SessionInformation,
    TokenInfo,
    TokenTheft,
    VerifiedSession,
)

_SESSION: Final[Mapping[str, type]] = {"handle": str, "userId": str, "userDataInJWT": dict}
_TOKEN: Final[Mapping[str, type]] = {"token": str, "expiry": int, "createdTime": int}
_ISSUED = {"session": _SESSION, "accessToken": _TOKEN, "refreshToken": _TOKEN}
_IN_WORDS = {str: "a string", int: "a number", dict: "an object"}


class CoreReply:
    """The JSON object of a core's 200, read by key and type.

    :param body: the object.
    :param source: the request and the host that it came from, for messages.
    :param date: the header ``Date`` of the response (RFC 9110, 6.6.1).
    """

    __slots__ = ("body", "date", "is_ok", "source")

    def __init__(self, body: dict[str, Any], source: str, date: str | None = None) -> None:
        self.body: dict[str, Any] = body
        self.source: str = source
        self.date: str | None = date
        #: Whether its status is ``OK``.
        self.is_ok: bool = body.get("status") == "OK"

    @property
    def status(self) -> str:
        """The verdict: ``OK``, or another status of the interface."""
        status = self.body.get("status")
        if isinstance(status, str):
            return status
        raise self._broken("status", str)

    def objects(self, kinds: Mapping[str, Mapping[str, type]]) -> list[Iterable[Any]]:
        """Return the values of objects in this one.

        :param kinds: by the key of each object, the keys and types of its values, in the order in which they
            are returned.
        """
        found: list[Iterable[Any]] = []
        for key, fields in kinds.items():
            inner = self.body.get(key)
            if type(inner) is not dict:
                raise self._broken(key, dict)
            for name, kind in fields.items():
                if type(inner.get(name)) is not kind:  # exactly: JSON's true is no number
                    raise self._broken(name, kind)
            found.append(map(inner.get, fields))
        return found

    def text(self, key: str) -> str:
        """Return the string under ``key``."""
        value = self.body.get(key)
        if isinstance(value, str):
            return value
        raise self._broken(key, str)

    def optional_text(self, key: str) -> str | None:
        """Return the string under ``key``, or ``None`` if there is none."""
        return None if self.body.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        """Return the whole number under ``key``."""
        value = self.body.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._broken(key, int)

    def flag(self, key: str) -> bool:
        """Return the boolean under ``key``."""
        value = self.body.get(key)
        if isinstance(value, bool):
            return value
        raise self._broken(key, "true or false")

    def texts(self, key: str) -> list[str]:
        """Return the list of strings under ``key``."""
        value = self.body.get(key)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return list(value)
        raise self._broken(key, "a list of strings")

    def optional_texts(self, key: str) -> tuple[str, ...] | None:
        """Return the list of strings under ``key``, or ``None`` if there is none."""
        return None if self.body.get(key) is None else tuple(self.texts(key))

    def mapping(self, key: str) -> dict[str, Any]:
        """Return the object under ``key``."""
        value = self.body.get(key)
        if isinstance(value, dict):
            return value
        raise self._broken(key, dict)

    def mappings(self, key: str) -> list[dict[str, Any]]:
        """Return the list of objects under ``key``."""
        value = self.body.get(key)
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return list(value)
        raise self._broken(key, "a list of objects")

    def inner(self, key: str) -> CoreReply:
        """Return the object under ``key``, to be read in turn."""
        return CoreReply(self.mapping(key), self.source)

    def inners(self, key: str) -> list[CoreReply]:
        """Return the objects in the list under ``key``, to be read in turn."""
        return [CoreReply(each, self.source) for each in self.mappings(key)]

    def expect_ok(self) -> CoreReply:
        """Return this reply if its status is ``OK``.

        :raises CoreError: the status is another, which the interface does not define for this request.
        """
        if not self.is_ok:
            raise self.unexpected()
        return self

    def unexpected(self) -> CoreError:
        """Return the error for a status that the interface does not have for this request."""
        return CoreError(f"{self.source} returned the unexpected status {self.status!r}.")

    def _broken(self, key: str, kind: type | str) -> CoreUnavailableError:
        what = kind if isinstance(kind, str) else _IN_WORDS[kind]
        return CoreUnavailableError(
            f"{self.source} returned JSON without {what} under {key!r}. Is STSESSION_CONNECTION_URI the "
            "address of a SuperTokens core?"
        )


def read_issued(reply: CoreReply) -> IssuedTokens:
    """Return the new pair of tokens."""
    session, access_token, refresh_token = reply.objects(_ISSUED)
    return IssuedTokens(CoreSession(*session), TokenInfo(*access_token), TokenInfo(*refresh_token))


def read_verified(reply: CoreReply) -> VerifiedSession:
    """Return the session of a valid access token."""
    return VerifiedSession(
        session=_session(reply),
        access_token=_optional_token(reply),
        payload_update_available=reply.body.get("payloadUpdateAvailable") is True,
    )


def read_regenerated(reply: CoreReply) -> RegeneratedSession:
    """Return the stored payload, with the token that carries it unless the old one had expired."""
    return RegeneratedSession(_session(reply), _optional_token(reply))


def read_refusal(reply: CoreReply) -> Refusal:
    """Return the refusal, with one of the statuses of the interface."""
    for status in STATUSES:
        if reply.status == status:
            return Refusal(status, reply.optional_text("message") or "")
    raise reply.unexpected()


def read_theft(reply: CoreReply) -> TokenTheft:
    """Return the session whose replaced refresh token was used."""
    session = reply.inner("session")
    user_id = session.text("userId")
    return TokenTheft(
        session_handle=session.text("handle"),
        user_id=user_id,
        recipe_user_id=session.optional_text("recipeUserId") or user_id,
        recent_token_reuse_subtype=reply.optional_text("recentTokenReuseSubtype"),
    )


def read_information(reply: CoreReply) -> SessionInformation:
    """Return what the core stores about a session."""
    user_id = reply.text("userId")
    return SessionInformation(
        session_handle=reply.text("sessionHandle"),
        user_id=user_id,
        recipe_user_id=reply.optional_text("recipeUserId") or user_id,
        tenant_id=reply.optional_text("tenantId") or DEFAULT_TENANT,
        session_data_in_database=reply.mapping("userDataInDatabase"),
        custom_claims_in_access_token_payload=reply.mapping("userDataInJWT"),
        time_created=reply.number("timeCreated"),
        expiry=reply.number("expiry"),
    )


def _session(reply: CoreReply) -> CoreSession:
    (session,) = reply.objects({"session": _SESSION})
    return CoreSession(*session)


def _optional_token(reply: CoreReply) -> TokenInfo | None:
    if reply.body.get("accessToken") is None:
        return None
    (access_token,) = reply.objects({"accessToken": _TOKEN})
    return TokenInfo(*access_token)
