"""Create, verify, refresh and regenerate sessions.

For each session the core stores the SHA-256 of the hash of the current refresh token, and of the previous
one. Two protocols work on that record. Up to CDI 5.5 a refresh returns a child pair, which becomes
current when it is first used; until then the parent may be refreshed again. From CDI 5.6 on a refresh
rotates at once, and the replaced token may be used again for a grace period.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from typing import Any, Final

from flask_stsession.constants import CDI_ROTATES_AT_REFRESH, DEFAULT_TENANT

from ..crypto import InvalidTokenError, RefreshTokenContent, sha256_hex
from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route
from ..settings import Settings
from ..storage.session_records import SessionRecord, SessionTable, same_json
from ..storage.store import Store
from ..tenancy import Scope, Tenants, require_public
from ..tokens import AccessToken, NewPair, SessionTokens, describe_session

#: From this version on a refresh has to say which kind of key signs the new access token.
_CDI_KEY_IS_REQUIRED: Final = (5, 0)
_RECENT_PREV: Final = "RECENT_PREV"
_ORPHANED_BRANCH: Final = "ORPHANED_BRANCH"
_STALE_LINEAGE: Final = "STALE_LINEAGE"


class SessionOperations:
    """The operations that create, read and replace tokens.

    :param clock_ms: returns the current time, in ms.
    """

    def __init__(
        self,
        store: Store,
        tenants: Tenants,
        tokens: SessionTokens,
        settings: Settings,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._tokens = tokens
        self._settings = settings
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return the operations."""
        return [
            Route("POST", "/recipe/session", self.create, Scope.TENANT),
            Route("POST", "/recipe/session/verify", self.verify, Scope.ANY),
            Route("POST", "/recipe/session/refresh", self.refresh, Scope.TENANT),
            Route("POST", "/recipe/session/regenerate", self.regenerate, Scope.ANY),
        ]

    # Create

    def create(self, request: CoreRequest) -> Answer:
        """Create a session and its first pair of tokens."""
        user_id = request.text("userId")
        enable_anti_csrf = request.flag("enableAntiCsrf")
        data_in_jwt = request.user_payload("userDataInJWT")
        data_in_database = request.object("userDataInDatabase")
        dynamic = request.optional_flag("useDynamicSigningKey", default=True)
        validity = self._validity_asked_for(request)
        handle = str(uuid.uuid4())
        if request.tenant_id != DEFAULT_TENANT:
            handle += f"_{request.tenant_id}"
        pair = self._tokens.seal_first(handle, user_id, request.tenant_id, enable_anti_csrf=enable_anti_csrf)
        now = self._clock_ms()
        record = SessionRecord(
            handle=handle,
            tenant_id=request.tenant_id,
            user_id=user_id,
            current_hash2=_hash2(pair.refresh_token),
            previous_hash2=None,
            rotated_at=now,
            data_in_jwt=data_in_jwt,
            data_in_database=data_in_database,
            dynamic_key=dynamic,
            created_at=now,
            expires_at=now + self._settings.refresh_token_validity_ms,
        )
        with self._store.write() as connection:
            table = SessionTable(connection, now)
            table.purge()
            table.insert(record)
        return self._tokens.pair_response(record, pair, now, validity)

    def _validity_asked_for(self, request: CoreRequest) -> int | None:
        if request.cdi_version < CDI_ROTATES_AT_REFRESH:
            return None
        asked = request.optional_number("accessTokenValidity")
        most = self._settings.access_token_validity_ms
        if asked is not None and not 0 < asked <= most:
            raise RequestRefusedError(
                400,
                "accessTokenValidity must be greater than 0 and at most the configured"
                f" access_token_validity ({most} ms)",
            )
        return None if asked is None else int(asked)

    # Verify

    def verify(self, request: CoreRequest) -> Answer:
        """Verify an access token, and check it against the database if requested."""
        if request.cdi_version >= CDI_ROTATES_AT_REFRESH:
            require_public(request.tenant_id, request.cdi_version)
        token = request.text("accessToken")
        do_anti_csrf_check = request.flag("doAntiCsrfCheck")
        check_csrf = request.flag("enableAntiCsrf") and do_anti_csrf_check
        check_database = request.flag("checkDatabase")
        anti_csrf_token = request.optional_text("antiCsrfToken")
        try:
            access = self._tokens.read_access_token(token)
        except InvalidTokenError as error:
            return _verdict("TRY_REFRESH_TOKEN", str(error))
        if check_csrf and access.anti_csrf_token is None:
            return _verdict(
                "TRY_REFRESH_TOKEN",
                "Access token does not contain all the information. Maybe the structure has changed?",
            )
        if access.expiry <= self._clock_ms():
            return _verdict("TRY_REFRESH_TOKEN", "Access token expired")
        self._tenants.require(access.tenant_id)
        if check_csrf and not _equal(anti_csrf_token, access.anti_csrf_token):
            return _verdict("TRY_REFRESH_TOKEN", "anti-csrf check failed")
        if request.cdi_version >= CDI_ROTATES_AT_REFRESH:
            return self._verify_without_writing(access, check_database=check_database)
        if check_database or access.parent_refresh_token_hash1 is not None:
            return self._verify_and_promote(access, check_database=check_database)
        return {"session": access.describe_session(), "status": "OK"}

    def _verify_without_writing(self, access: AccessToken, *, check_database: bool) -> Answer:
        """Verify with the rules of CDI 5.6 and newer."""
        answer = {"session": access.describe_session(), "status": "OK"}
        if not check_database:
            return answer
        with self._store.read() as connection:
            record = SessionTable(connection, self._clock_ms()).find(access.session_handle)
        if record is None or not _is_recent(record, access):
            return _verdict("UNAUTHORISED", "Either the session has ended or has been blacklisted")
        stale = not same_json(record.data_in_jwt, access.user_payload)
        return {**answer, "payloadUpdateAvailable": stale}

    def _verify_and_promote(self, access: AccessToken, *, check_database: bool) -> Answer:
        """Verify with the rules up to CDI 5.5: the first use of a child's access token makes it current."""
        now = self._clock_ms()
        record = self._find_and_update(access.session_handle, None, now)
        if record is not None and _is_child_of_current(access, record):
            record = self._promote(access, now)
        if record is None:
            return _verdict("UNAUTHORISED", "Either the session has ended or has been blacklisted")
        stale = check_database and not same_json(record.data_in_jwt, access.user_payload)
        promoted = (
            access.parent_refresh_token_hash1 is not None
            and sha256_hex(access.refresh_token_hash1) == record.current_hash2
        )
        if not stale and not promoted:
            return {"session": access.describe_session(), "status": "OK"}
        return self._tokens.access_token_response(record, access, now, parent_refresh_token_hash1=None)

    def _promote(self, access: AccessToken, now: int) -> SessionRecord | None:
        with self._store.write() as connection:
            table = SessionTable(connection, now)
            record = table.find(access.session_handle)
            if record is None or not _is_child_of_current(access, record):
                return record
            hash2 = sha256_hex(access.refresh_token_hash1)
            table.rotate(record, hash2, now + self._settings.refresh_token_validity_ms)
            return record.with_current(hash2)

    # Refresh

    def refresh(self, request: CoreRequest) -> Answer:
        """Exchange a refresh token for a new pair."""
        token = request.text("refreshToken")
        enable_anti_csrf = request.flag("enableAntiCsrf")
        dynamic = self._asked_for_dynamic_key(request)
        anti_csrf_token = request.optional_text("antiCsrfToken")
        validity = self._validity_asked_for(request)
        try:
            content = self._tokens.read_refresh_token(token)
        except InvalidTokenError as error:
            return _verdict("UNAUTHORISED", str(error))
        if (
            enable_anti_csrf
            and content.anti_csrf_token is not None
            and not _equal(anti_csrf_token, content.anti_csrf_token)
        ):
            return _verdict("UNAUTHORISED", "Anti CSRF token missing, or not matching")
        self._tenants.require(content.tenant_id)
        rotates = request.cdi_version >= CDI_ROTATES_AT_REFRESH
        pair = self._tokens.seal_next(
            token, content, enable_anti_csrf=enable_anti_csrf, shows_parent=not rotates
        )
        now = self._clock_ms()
        with self._store.write() as connection:
            table = SessionTable(connection, now)
            table.purge()
            record = table.find(content.session_handle)
            if record is None:
                return _verdict("UNAUTHORISED", "Session missing in db or has expired")
            if rotates:
                refusal = self._rotate(table, record, token, content, pair)
            else:
                refusal = self._promote_presented(table, record, token, content)
            if refusal is not None:
                return refusal
            if dynamic is not None and record.dynamic_key != dynamic:
                table.use_dynamic_key(record, dynamic)
                record = record.with_key(dynamic)
        return self._tokens.pair_response(record, pair, now, validity)

    @staticmethod
    def _asked_for_dynamic_key(request: CoreRequest) -> bool | None:
        """Return the requested kind of key; None keeps that of the session (CDI 4.0)."""
        if request.cdi_version < _CDI_KEY_IS_REQUIRED and "useDynamicSigningKey" not in request.body:
            return None
        return request.flag("useDynamicSigningKey")

    def _promote_presented(
        self, table: SessionTable, record: SessionRecord, token: str, content: RefreshTokenContent
    ) -> Answer | None:
        """Make the presented token current (up to CDI 5.5), or return the refusal."""
        hash2 = _hash2(token)
        if hash2 == record.current_hash2:
            return None
        if _parent_hash2(content) == record.current_hash2:
            table.rotate(record, hash2, table.now + self._settings.refresh_token_validity_ms)
            return None
        return _theft(record)

    def _rotate(
        self,
        table: SessionTable,
        record: SessionRecord,
        token: str,
        content: RefreshTokenContent,
        pair: NewPair,
    ) -> Answer | None:
        """Make the new token current (CDI 5.6 and newer), or return the refusal."""
        presented, new = _hash2(token), _hash2(pair.refresh_token)
        parent = _parent_hash2(content)
        expiry = table.now + self._settings.refresh_token_validity_ms
        if presented == record.current_hash2:
            table.rotate(record, new, expiry)
            return None
        if parent == record.current_hash2:
            # An unused child, returned to an SDK that speaks an older version.
            table.rotate(record.with_current(presented), new, expiry)
            return None
        if presented == record.previous_hash2:
            if table.now - record.rotated_at < self._settings.grace_period_ms:
                table.displace(record, new, expiry)
                return None
            subtype = _RECENT_PREV
        elif parent is not None and parent == record.previous_hash2:
            subtype = _ORPHANED_BRANCH
        else:
            subtype = _STALE_LINEAGE
        table.delete([record.handle])
        if subtype in self._settings.recent_token_reuse_behaviour:
            verdict = _verdict("UNAUTHORISED", "The refresh token was used before; the session has ended")
        else:
            verdict = _theft(record)
        return {**verdict, "recentTokenReuseSubtype": subtype}

    # Regenerate

    def regenerate(self, request: CoreRequest) -> Answer:
        """Return an access token with the new payload, or the stored one, and the expiry of the old token."""
        token = request.text("accessToken")
        data = request.user_payload("userDataInJWT") if "userDataInJWT" in request.body else None
        try:
            access = self._tokens.read_access_token(token)
        except InvalidTokenError as error:
            return _verdict("UNAUTHORISED", str(error))
        self._tenants.require(access.tenant_id)
        now = self._clock_ms()
        record = self._find_and_update(access.session_handle, data, now)
        if record is None:
            return _verdict("UNAUTHORISED", "Session does not exist.")
        if access.expiry <= now:
            return {"session": describe_session(record), "status": "OK"}
        return self._tokens.access_token_response(
            record, access, now, parent_refresh_token_hash1=access.parent_refresh_token_hash1
        )

    def _find_and_update(self, handle: str, data: dict[str, Any] | None, now: int) -> SessionRecord | None:
        if data is None:
            with self._store.read() as connection:
                return SessionTable(connection, now).find(handle)
        with self._store.write() as connection:
            table = SessionTable(connection, now)
            table.set_data_in_jwt(handle, data)
            return table.find(handle)


def _hash2(refresh_token: str) -> str:
    return sha256_hex(sha256_hex(refresh_token))


def _parent_hash2(content: RefreshTokenContent) -> str | None:
    parent1 = content.parent_refresh_token_hash1
    return None if parent1 is None else sha256_hex(parent1)


def _equal(given: str | None, expected: str | None) -> bool:
    if given is None or expected is None:
        return False
    return hmac.compare_digest(given.encode(), expected.encode())


def _is_recent(record: SessionRecord, access: AccessToken) -> bool:
    recent = {record.current_hash2, record.previous_hash2}
    hashes = (access.refresh_token_hash1, access.parent_refresh_token_hash1)
    return any(hash1 is not None and sha256_hex(hash1) in recent for hash1 in hashes)


def _is_child_of_current(access: AccessToken, record: SessionRecord) -> bool:
    parent1 = access.parent_refresh_token_hash1
    return parent1 is not None and sha256_hex(parent1) == record.current_hash2


def _verdict(status: str, message: str) -> dict[str, Any]:
    return {"status": status, "message": message}


def _theft(record: SessionRecord) -> dict[str, Any]:
    return {
        "status": "TOKEN_THEFT_DETECTED",
        "session": {
            "handle": record.handle,
            "userId": record.user_id,
            "recipeUserId": record.user_id,
        },
    }
