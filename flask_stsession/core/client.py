"""The client of a core: its calls about sessions, the tokens of sessions, and JWTs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..concurrency import thread_pool
from ..constants import ALGORITHM, CDI_ROTATES_AT_REFRESH, DEFAULT_TENANT
from ..errors import ConfigError
from .calls import CoreCalls
from .http import CoreCall
from .models import (
    IssuedTokens,
    Refusal,
    RegeneratedSession,
    SessionInformation,
    TokenTheft,
    VerifiedSession,
)
from .parsing import (
    CoreReply,
    read_information,
    read_issued,
    read_refusal,
    read_regenerated,
    read_theft,
    read_verified,
)

_RID = "session"
#: How many sessions are read in parallel for a list.
_PARALLEL_READS = 8
#: The most data about sessions to read along with the list of their handles, in bytes.
_MOST_INFORMATION_BYTES = 4 * 1024 * 1024
#: The status of a session that has ended.
_ENDED = "UNAUTHORISED"
#: A session of a tenant that has been deleted has ended, whatever its tokens say.
_HAS_ENDED = {"status": _ENDED, "message": "the tenant of the session no longer exists"}
#: The core refuses to revoke several sessions if one of them is of such a tenant.
_NOT_REVOKED = {"status": "TENANT_IS_GONE"}


class CoreClient(CoreCalls):
    """A client of one core, for all threads of a process and for its forks: what sessions need.

    Makes no request until one is needed. Most methods send one request over a kept-alive connection;
    the very first request is preceded by one for the versions that the core speaks.
    The calls about roles, tenants and others (:class:`~flask_stsession.core.calls.CallGroup`) take a client.
    The parameters are those of :class:`~flask_stsession.core.calls.CoreCalls`.
    """

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
        access_token_validity_seconds: float | None = None,
    ) -> IssuedTokens:
        """Create a session; never sent twice.

        :param user_id: the user of the session.
        :param recipe_user_id: the login method used. The interface has one field for both: a core given
            a login method finds the user that it belongs to.
        :param payload: the payload of the access token, without the keys that belong to the session.
        :param database_data: kept in the core only.
        :param access_token_validity_seconds: the life of the first access token, in s; ``None``: as the core
            is configured, which is also the longest.
        :raises ConfigError: a validity is given, and the core takes none (before CDI 5.6).
        :raises CoreError: the tenant does not exist, or the core refuses the payload or the validity.
        :raises CoreUnavailableError: no response; the session may exist, but no client has its tokens.
        """
        body = {
            "userId": user_id if recipe_user_id is None else recipe_user_id,
            "userDataInJWT": dict(payload or {}),
            "userDataInDatabase": dict(database_data or {}),
            "enableAntiCsrf": enable_anti_csrf,
            "useDynamicSigningKey": use_dynamic_signing_key,
        }
        if access_token_validity_seconds is not None:
            self._require_validity_override()
            body["accessTokenValidity"] = int(access_token_validity_seconds * 1000)
        reply = self._ask("POST", _RID, "/recipe/session", tenant_id=tenant_id, body=body, repeatable=False)
        return self._tokens(reply.expect_ok())

    def verify_session(
        self,
        access_token: str,
        *,
        enable_anti_csrf: bool = False,
        check_database: bool = False,
    ) -> VerifiedSession | Refusal:
        """Let the core verify an access token, but not its anti-CSRF token; safe to send again.

        On CDI 5.5 and older this also makes a refreshed pair of tokens the current one.

        :raises CoreUnavailableError: no response.
        """
        body = {
            "accessToken": access_token,
            "doAntiCsrfCheck": False,
            "enableAntiCsrf": enable_anti_csrf,
            "checkDatabase": check_database,
        }
        reply = self._ask(
            "POST", _RID, "/recipe/session/verify", body=body, repeatable=True, if_gone=_HAS_ENDED
        )
        return read_verified(reply) if reply.is_ok else read_refusal(reply)

    def refresh_session(
        self,
        refresh_token: str,
        *,
        anti_csrf_token: str | None = None,
        enable_anti_csrf: bool = False,
        use_dynamic_signing_key: bool = True,
    ) -> IssuedTokens | Refusal | TokenTheft:
        """Exchange a refresh token for a new pair; never sent twice.

        :raises CoreUnavailableError: no response; the token may have been used. The client keeps it and tries
            again, which the core allows for a while.
        """
        body = {
            "refreshToken": refresh_token,
            "enableAntiCsrf": enable_anti_csrf,
            "useDynamicSigningKey": use_dynamic_signing_key,
        }
        if anti_csrf_token is not None:
            body["antiCsrfToken"] = anti_csrf_token
        reply = self._ask(
            "POST", _RID, "/recipe/session/refresh", body=body, repeatable=False, if_gone=_HAS_ENDED
        )
        if reply.is_ok:
            return self._tokens(reply)
        return read_theft(reply) if reply.status == "TOKEN_THEFT_DETECTED" else read_refusal(reply)

    def regenerate(
        self, access_token: str, payload: Mapping[str, Any] | None = None
    ) -> RegeneratedSession | Refusal:
        """Store a new payload and return an access token with it; safe to send again.

        :param payload: replaces the session's; ``None`` takes the stored one.
        :raises CoreUnavailableError: no response.
        """
        body: dict[str, Any] = {"accessToken": access_token}
        if payload is not None:
            body["userDataInJWT"] = dict(payload)
        reply = self._ask(
            "POST", _RID, "/recipe/session/regenerate", body=body, repeatable=True, if_gone=_HAS_ENDED
        )
        return read_regenerated(reply) if reply.is_ok else read_refusal(reply)

    def get_session_information(self, handle: str) -> SessionInformation | None:
        """Return what the core stores about a session; ``None`` if it has ended or never existed.

        :raises CoreUnavailableError: no response.
        """
        reply = self._ask(
            "GET",
            _RID,
            "/recipe/session",
            query={"sessionHandle": handle},
            repeatable=True,
            if_gone=_HAS_ENDED,
        )
        if reply.status == _ENDED:
            return None
        return read_information(reply.expect_ok())

    def list_sessions(
        self, user_id: str, *, tenant_id: str | None = None, all_tenants: bool = True
    ) -> list[SessionInformation]:
        """Return what the core stores about a user's sessions, in no particular order.

        The embedded core returns this data along with the handles. A SuperTokens core ignores that option,
        and the sessions are read a few at a time.

        :param tenant_id: the tenant to list, if ``all_tenants`` is false.
        :raises CoreUnavailableError: no response to one of the requests.
        """
        # Half of a response at most: the handles need their room, too.
        room = min(_MOST_INFORMATION_BYTES, self._transport.max_response_bytes // 2)
        reply = self._list(user_id, tenant_id, all_tenants=all_tenants, informationBytes=str(room))
        handles = reply.texts("sessionHandles")
        described = reply.mappings("sessions") if "sessions" in reply.body else []
        found = [read_information(CoreReply(each, reply.source)) for each in described]
        known = {session.session_handle for session in found}
        left = [handle for handle in handles if handle not in known]
        if not left:
            return found
        with thread_pool(min(_PARALLEL_READS, len(left)), "sessions") as pool:
            read = list(pool.map(self.get_session_information, left))
        return found + [session for session in read if session is not None]  # some may have ended meanwhile

    def list_session_handles(
        self, user_id: str, *, tenant_id: str | None = None, all_tenants: bool = True
    ) -> list[str]:
        """Return the handles of a user's sessions, in no particular order.

        :param tenant_id: the tenant to list, if ``all_tenants`` is false.
        :raises CoreUnavailableError: no response.
        """
        return self._list(user_id, tenant_id, all_tenants=all_tenants).texts("sessionHandles")

    def _list(self, user_id: str, tenant_id: str | None, *, all_tenants: bool, **more: str) -> CoreReply:
        # Only the default tenant's path may ask about all of them.
        query = {"userId": user_id, "fetchAcrossAllTenants": "true" if all_tenants else "false", **more}
        reply = self.get(_RID, "/recipe/session/user", query, tenant_id=None if all_tenants else tenant_id)
        return reply.expect_ok()

    def revoke_sessions(self, handles: Iterable[str]) -> list[str]:
        """End sessions, in one request if it can be; safe to send again.

        :returns: the handles of those that had not ended before.
        :raises CoreUnavailableError: no response.
        """
        wanted = list(handles)
        if not wanted:
            return []
        revoked = self._revoke(wanted)
        if revoked is not None:
            return revoked
        # The core refuses all of them if one is of a deleted tenant, so each tenant gets its own request.
        by_tenant: dict[str, list[str]] = defaultdict(list)
        for handle in wanted:
            by_tenant[handle.partition("_")[2]].append(handle)
        if len(by_tenant) == 1:
            return []
        return [handle for each in by_tenant.values() for handle in self._revoke(each) or ()]

    def revoke_sessions_of_user(
        self, user_id: str, *, tenant_id: str | None = None, all_tenants: bool = True
    ) -> list[str]:
        """End all sessions of a user; safe to send again.

        :param tenant_id: the tenant whose sessions end, if ``all_tenants`` is false.
        :returns: the handles of those that had not ended before.
        :raises CoreUnavailableError: no response.
        """
        body = {"userId": user_id, "revokeAcrossAllTenants": all_tenants}
        reply = self.post(
            _RID,
            "/recipe/session/remove",
            body,
            tenant_id=None if all_tenants else tenant_id,
            repeatable=True,
        )
        return reply.expect_ok().texts("sessionHandlesRevoked")

    def update_session_data(self, handle: str, data: Mapping[str, Any]) -> bool:
        """Replace the session data that the core stores; safe to send again.

        :returns: whether the session exists.
        :raises CoreUnavailableError: no response.
        """
        return self._replace("/recipe/session/data", handle, {"userDataInDatabase": dict(data)})

    def update_access_token_payload(self, handle: str, payload: Mapping[str, Any]) -> bool:
        """Replace the stored payload; the client's token carries the new one after the next refresh.

        Safe to send again.

        :returns: whether the session exists.
        :raises CoreUnavailableError: no response.
        """
        return self._replace("/recipe/jwt/data", handle, {"userDataInJWT": dict(payload)})

    def create_jwt(
        self,
        payload: Mapping[str, Any],
        *,
        issuer: str,
        validity_seconds: int,
        use_static_signing_key: bool = True,
    ) -> str:
        """Sign a JWT that belongs to no session; never sent twice.

        :param issuer: the ``iss`` claim, where the payload has none.
        :param validity_seconds: its life, in s.
        :raises CoreError: the core refuses payload or validity.
        :raises CoreUnavailableError: no response.
        """
        body = {
            "payload": dict(payload),
            "algorithm": ALGORITHM,
            "jwksDomain": issuer,
            "validity": validity_seconds,
            "useStaticSigningKey": use_static_signing_key,
        }
        return self.post("jwt", "/recipe/jwt", body, repeatable=False).expect_ok().text("jwt")

    def is_oauth2_token_active(self, token: str) -> bool:
        """Return whether the OAuth2 provider still knows an access token of its own; safe to send again.

        :raises CoreError: the core has no OAuth2 provider.
        :raises CoreUnavailableError: no response.
        """
        body = {"token": token}
        reply = self.post("oauth2provider", "/recipe/oauth/introspect", body, repeatable=True)
        return reply.expect_ok().flag("active")

    def get_jwks(self) -> list[dict[str, Any]]:
        """Return the public keys in use, as JWKs (RFC 7517). Negotiates no version, since it needs none.

        :raises CoreUnavailableError: no response.
        """
        reply = self._transport.send(CoreCall("GET", "/.well-known/jwks.json", repeatable=True))
        if reply.date is not None:
            self._clock_check.compare(reply.date)
        return reply.mappings("keys")

    def _require_validity_override(self) -> None:
        # An older version ignores the field, and the token would live longer than the app believes.
        if self.cdi < CDI_ROTATES_AT_REFRESH:
            version = ".".join(map(str, self.cdi))
            raise ConfigError(
                "access_token_validity_seconds= needs CDI 5.6, and CDI "
                f"{version} is spoken with the core. Set STSESSION_CDI_VERSION = "
                '"5.6", after reading what that means for lost responses and for several tabs, or configure '
                "access_token_validity in the core."
            )

    def _revoke(self, handles: list[str]) -> list[str] | None:
        """End sessions in one request; return ``None`` if the tenant of one of them has been deleted."""
        reply = self._ask(
            "POST",
            _RID,
            "/recipe/session/remove",
            body={"sessionHandles": handles},
            repeatable=True,
            if_gone=_NOT_REVOKED,
        )
        if reply.body == _NOT_REVOKED:
            return None
        return reply.expect_ok().texts("sessionHandlesRevoked")

    def _replace(self, path: str, handle: str, what: Mapping[str, Any]) -> bool:
        body = {"sessionHandle": handle, **what}
        reply = self._ask("PUT", _RID, path, body=body, repeatable=True, if_gone=_HAS_ENDED)
        return reply.status != _ENDED and reply.expect_ok() is reply

    def _tokens(self, reply: CoreReply) -> IssuedTokens:
        tokens = read_issued(reply)
        if reply.date is not None:
            life_ms = tokens.access_token.expiry - tokens.access_token.created_time
            self._clock_check.compare(reply.date, life_seconds=life_ms / 1000)
        return tokens
