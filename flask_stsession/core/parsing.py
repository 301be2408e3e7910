"""Reading the JSON of a core: the only place that knows the names in its answers.

An answer without what the interface promises comes from something that is not a core, or from a
broken one: an outage (503), never a ``KeyError`` in somebody's view.
"""

from __future__ import annotations

from typing import Any

from ..constants import DEFAULT_TENANT
from ..errors import CoreError, CoreUnavailableError
from .models import (
    CoreSession,
    Refusal,
    RegeneratedSession,
    SessionInformation,
    SessionTokens,
    Status,
    Tenant,
    TokenInfo,
    TokenTheft,
    VerifiedSession,
)

PASSWORDLESS_FACTORS = ("otp-email", "otp-phone", "link-email", "link-phone")


class Answer:
    """One JSON object from a core, read by key and kind.

    :param body: the object.
    :param source: the host and request that it answers, for messages.
    """

    __slots__ = ("body", "source")

    def __init__(self, body: dict[str, Any], source: str) -> None:
        self.body = body
        self.source = source

    @property
    def status(self) -> str:
        """The verdict, ``OK`` or another of the interface's words."""
        return self.text("status")

    def text(self, key: str) -> str:
        """The string under ``key``."""
        value = self.body.get(key)
        if isinstance(value, str):
            return value
        raise self._broken(key, "a string")

    def optional_text(self, key: str) -> str | None:
        """The string under ``key``, or ``None`` where there is none."""
        return None if self.body.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        """The whole number under ``key``."""
        value = self.body.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._broken(key, "a number")

    def flag(self, key: str) -> bool:
        """The boolean under ``key``."""
        value = self.body.get(key)
        if isinstance(value, bool):
            return value
        raise self._broken(key, "true or false")

    def texts(self, key: str) -> list[str]:
        """The list of strings under ``key``."""
        value = self.body.get(key)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return list(value)
        raise self._broken(key, "a list of strings")

    def optional_texts(self, key: str) -> tuple[str, ...] | None:
        """The list of strings under ``key``, or ``None`` where there is none."""
        return None if self.body.get(key) is None else tuple(self.texts(key))

    def mapping(self, key: str) -> dict[str, Any]:
        """The object under ``key``."""
        value = self.body.get(key)
        if isinstance(value, dict):
            return value
        raise self._broken(key, "an object")

    def mappings(self, key: str) -> list[dict[str, Any]]:
        """The list of objects under ``key``."""
        value = self.body.get(key)
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return list(value)
        raise self._broken(key, "a list of objects")

    def inner(self, key: str) -> Answer:
        """The object under ``key``, to be read in turn."""
        return Answer(self.mapping(key), self.source)

    def expect_ok(self) -> Answer:
        """This answer, if its status is ``OK``.

        :raises CoreError: it is another; the interface knows no other here.
        """
        if self.status != "OK":
            raise self.unexpected()
        return self

    def unexpected(self) -> CoreError:
        """The error for a status that the interface does not have for this request."""
        return CoreError(
            f"{self.source} was answered with the status {self.status!r}, which we did not expect."
        )

    def _broken(self, key: str, kind: str) -> CoreUnavailableError:
        return CoreUnavailableError(
            f"{self.source} was answered with JSON without {kind} under {key!r}. Is "
            "STSESSION_CONNECTION_URI the address of a SuperTokens core?"
        )


def read_tokens(answer: Answer) -> SessionTokens:
    """A new pair of tokens."""
    return SessionTokens(
        session=_session(answer.inner("session")),
        access_token=_token(answer.inner("accessToken")),
        refresh_token=_token(answer.inner("refreshToken")),
        anti_csrf_token=answer.optional_text("antiCsrfToken"),
    )


def read_verified(answer: Answer) -> VerifiedSession:
    """A good access token, with what the core adds to it."""
    return VerifiedSession(
        session=_session(answer.inner("session")),
        access_token=_optional_token(answer),
        payload_update_available=answer.body.get("payloadUpdateAvailable") is True,
    )


def read_regenerated(answer: Answer) -> RegeneratedSession:
    """A stored payload, with the token that carries it if the old one had not expired."""
    return RegeneratedSession(_session(answer.inner("session")), _optional_token(answer))


def read_refusal(answer: Answer) -> Refusal:
    """A no, which must be one of those that the interface knows."""
    try:
        status = Status(answer.status)
    except ValueError as error:
        raise answer.unexpected() from error
    return Refusal(
        status, answer.optional_text("message") or "", answer.optional_text("recentTokenReuseSubtype")
    )


def read_theft(answer: Answer) -> TokenTheft:
    """The session whose replaced refresh token was used."""
    session = answer.inner("session")
    user_id = session.text("userId")
    return TokenTheft(
        session_handle=session.text("handle"),
        user_id=user_id,
        recipe_user_id=session.optional_text("recipeUserId") or user_id,
        recent_token_reuse_subtype=answer.optional_text("recentTokenReuseSubtype"),
    )


def read_information(answer: Answer) -> SessionInformation:
    """What the core stores about a session."""
    user_id = answer.text("userId")
    return SessionInformation(
        session_handle=answer.text("sessionHandle"),
        user_id=user_id,
        recipe_user_id=answer.optional_text("recipeUserId") or user_id,
        tenant_id=answer.optional_text("tenantId") or DEFAULT_TENANT,
        session_data_in_database=answer.mapping("userDataInDatabase"),
        custom_claims_in_access_token_payload=answer.mapping("userDataInJWT"),
        time_created=answer.number("timeCreated"),
        expiry=answer.number("expiry"),
    )


def read_tenant(answer: Answer) -> Tenant:
    """A tenant, as CDI 5.1 and newer describe it."""
    return Tenant(
        tenant_id=answer.text("tenantId"),
        first_factors=answer.optional_texts("firstFactors"),
        required_secondary_factors=answer.optional_texts("requiredSecondaryFactors"),
        core_config=_core_config(answer),
    )


def read_tenant_before_5_1(answer: Answer) -> Tenant:
    """A tenant, as CDI 5.0 and older describe it: three kinds of login, each on or off."""
    factors = {
        kind: answer.inner(key).flag("enabled")
        for key, kind in (
            ("emailPassword", ("emailpassword",)),
            ("thirdParty", ("thirdparty",)),
            ("passwordless", PASSWORDLESS_FACTORS),
        )
    }
    return Tenant(
        tenant_id=answer.text("tenantId"),
        first_factors=None
        if all(factors.values())
        else tuple(factor for kind, enabled in factors.items() if enabled for factor in kind),
        core_config=_core_config(answer),
    )


def _core_config(answer: Answer) -> dict[str, Any]:
    return {} if answer.body.get("coreConfig") is None else answer.mapping("coreConfig")


def _session(session: Answer) -> CoreSession:
    user_id = session.text("userId")
    return CoreSession(
        handle=session.text("handle"),
        user_id=user_id,
        recipe_user_id=session.optional_text("recipeUserId") or user_id,
        tenant_id=session.optional_text("tenantId") or DEFAULT_TENANT,
        payload=session.mapping("userDataInJWT"),
    )


def _token(token: Answer) -> TokenInfo:
    return TokenInfo(token.text("token"), token.number("expiry"), token.number("createdTime"))


def _optional_token(answer: Answer) -> TokenInfo | None:
    return None if answer.body.get("accessToken") is None else _token(answer.inner("accessToken"))
