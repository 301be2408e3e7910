"""The core's calls about sessions, the tokens of sessions, and JWTs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..constants import ALGORITHM, DEFAULT_TENANT
from .calls import CoreCalls
from .http import CoreCall
from .models import (
    Refusal,
    RegeneratedSession,
    SessionInformation,
    SessionTokens,
    TokenTheft,
    VerifiedSession,
)
from .parsing import (
    read_information,
    read_refusal,
    read_regenerated,
    read_theft,
    read_tokens,
    read_verified,
)

_RID = "session"


class SessionCalls(CoreCalls):
    """Sessions: create, verify, refresh, look up, change, revoke."""

    def create_session(
        self,
        user_id: str,
        *,
        tenant_id: str = DEFAULT_TENANT,
        recipe_user_id: str | None = None,
        payload: Mapping[str, Any] | None = None,
        database_data: Mapping[str, Any] | None = None,
        enable_anti_csrf: bool = False,
        use_dynamic_signing_key: bool = True,
    ) -> SessionTokens:
        """Create a session; never sent twice.

        :param user_id: whose session.
        :param recipe_user_id: the login method used. The interface has one field for both: a core given
            a login method finds the user that it belongs to.
        :param payload: of the access token; without the keys that belong to the session.
        :param database_data: kept in the core only.
        :raises CoreError: the tenant does not exist, or the core refuses the payload.
        :raises CoreUnavailableError: no answer; the session may exist, but nobody has its tokens.
        """
        body = {
            "userId": user_id if recipe_user_id is None else recipe_user_id,
            "userDataInJWT": dict(payload or {}),
            "userDataInDatabase": dict(database_data or {}),
            "enableAntiCsrf": enable_anti_csrf,
            "useDynamicSigningKey": use_dynamic_signing_key,
        }
        reply = self._post(_RID, "/recipe/session", body, tenant_id=tenant_id, repeatable=False)
        return read_tokens(reply.expect_ok())

    def verify_session(
        self,
        access_token: str,
        *,
        anti_csrf_token: str | None = None,
        do_anti_csrf_check: bool = False,
        enable_anti_csrf: bool = False,
        check_database: bool = False,
    ) -> VerifiedSession | Refusal:
        """Let the core look at an access token; safe to send again.

        On CDI 5.5 and older this also makes a refreshed pair of tokens the current one.

        :raises CoreUnavailableError: no reply.
        """
        body = {
            "accessToken": access_token,
            "doAntiCsrfCheck": do_anti_csrf_check,
            "enableAntiCsrf": enable_anti_csrf,
            "checkDatabase": check_database,
        }
        if anti_csrf_token is not None:
            body["antiCsrfToken"] = anti_csrf_token
        reply = self._post(_RID, "/recipe/session/verify", body, repeatable=True)
        return read_verified(reply) if reply.status == "OK" else read_refusal(reply)

    def refresh_session(
        self,
        refresh_token: str,
        *,
        anti_csrf_token: str | None = None,
        enable_anti_csrf: bool = False,
        use_dynamic_signing_key: bool = True,
    ) -> SessionTokens | Refusal | TokenTheft:
        """Exchange a refresh token for a new pair; never sent twice.

        :raises CoreUnavailableError: no answer; the token may have been used. The client keeps it and asks
            again, which the core allows for a while.
        """
        body = {
            "refreshToken": refresh_token,
            "enableAntiCsrf": enable_anti_csrf,
            "useDynamicSigningKey": use_dynamic_signing_key,
        }
        if anti_csrf_token is not None:
            body["antiCsrfToken"] = anti_csrf_token
        reply = self._post(_RID, "/recipe/session/refresh", body, repeatable=False)
        if reply.status == "OK":
            return read_tokens(reply)
        return read_theft(reply) if reply.status == "TOKEN_THEFT_DETECTED" else read_refusal(reply)

    def regenerate(
        self, access_token: str, payload: Mapping[str, Any] | None = None
    ) -> RegeneratedSession | Refusal:
        """Store a new payload and get an access token with it; safe to send again.

        :param payload: replaces the session's; ``None`` takes the stored one.
        :raises CoreUnavailableError: no reply.
        """
        body: dict[str, Any] = {"accessToken": access_token}
        if payload is not None:
            body["userDataInJWT"] = dict(payload)
        reply = self._post(_RID, "/recipe/session/regenerate", body, repeatable=True)
        return read_regenerated(reply) if reply.status == "OK" else read_refusal(reply)

    def get_session_information(self, handle: str) -> SessionInformation | None:
        """What the core stores about a session, ``None`` if it has ended or never was.

        :raises CoreUnavailableError: no reply.
        """
        reply = self._get(_RID, "/recipe/session", {"sessionHandle": handle})
        return None if reply.status == "UNAUTHORISED" else read_information(reply.expect_ok())

    def list_session_handles(
        self, user_id: str, *, tenant_id: str | None = None, all_tenants: bool = True
    ) -> list[str]:
        """The handles of a user's sessions, in no order.

        :param tenant_id: whose sessions count where ``all_tenants`` is false.
        :raises CoreUnavailableError: no reply.
        """
        # Only the default tenant's path may ask about all of them.
        query = {"userId": user_id, "fetchAcrossAllTenants": "true" if all_tenants else "false"}
        reply = self._get(_RID, "/recipe/session/user", query, tenant_id=None if all_tenants else tenant_id)
        return reply.expect_ok().texts("sessionHandles")

    def revoke_sessions(self, handles: Iterable[str]) -> list[str]:
        """End sessions, all in one request; safe to send again.

        :returns: the handles of those that had not ended before.
        :raises CoreUnavailableError: no reply.
        """
        wanted = list(handles)
        if not wanted:
            return []
        reply = self._post(_RID, "/recipe/session/remove", {"sessionHandles": wanted}, repeatable=True)
        return reply.expect_ok().texts("sessionHandlesRevoked")

    def revoke_sessions_of_user(
        self, user_id: str, *, tenant_id: str | None = None, all_tenants: bool = True
    ) -> list[str]:
        """End all sessions of a user; safe to send again.

        :param tenant_id: whose sessions end where ``all_tenants`` is false.
        :returns: the handles of those that had not ended before.
        :raises CoreUnavailableError: no reply.
        """
        body = {"userId": user_id, "revokeAcrossAllTenants": all_tenants}
        reply = self._post(
            _RID,
            "/recipe/session/remove",
            body,
            tenant_id=None if all_tenants else tenant_id,
            repeatable=True,
        )
        return reply.expect_ok().texts("sessionHandlesRevoked")

    def update_session_data(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the data that the core keeps with a session; safe to send again.

        :returns: does the session exist?
        :raises CoreUnavailableError: no reply.
        """
        body = {"sessionHandle": handle, "userDataInDatabase": dict(data)}
        reply = self._put(_RID, "/recipe/session/data", body)
        return reply.status != "UNAUTHORISED" and reply.expect_ok() is reply

    def update_access_token_payload(self, handle: str, payload: Mapping[str, Any]) -> bool:
        """Replace the stored payload; it reaches the client's token at the next refresh.

        Safe to send again.

        :returns: does the session exist?
        :raises CoreUnavailableError: no reply.
        """
        body = {"sessionHandle": handle, "userDataInJWT": dict(payload)}
        reply = self._put(_RID, "/recipe/jwt/data", body)
        return reply.status != "UNAUTHORISED" and reply.expect_ok() is reply

    def create_jwt(
        self,
        payload: Mapping[str, Any],
        *,
        issuer: str,
        validity_seconds: int,
        use_static_signing_key: bool = True,
    ) -> str:
        """Sign a JWT that is no session's; never sent twice.

        :param issuer: the ``iss`` claim, where the payload has none.
        :param validity_seconds: its life, in s.
        :raises CoreError: the core refuses payload or validity.
        :raises CoreUnavailableError: no reply.
        """
        body = {
            "payload": dict(payload),
            "algorithm": ALGORITHM,
            "jwksDomain": issuer,
            "validity": validity_seconds,
            "useStaticSigningKey": use_static_signing_key,
        }
        return self._post("jwt", "/recipe/jwt", body, repeatable=False).expect_ok().text("jwt")

    def get_jwks(self) -> list[dict[str, Any]]:
        """The public keys in use, as JWKs (RFC 7517); needs no version, so asks for none.

        :raises CoreUnavailableError: no reply.
        """
        reply = self._transport.send(CoreCall("GET", "/.well-known/jwks.json", repeatable=True))
        return reply.mappings("keys")
