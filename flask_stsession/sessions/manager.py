"""Verify, create, refresh and revoke sessions, from tokens rather than requests.

One manager serves one app and holds no state of a request. Its memory (revoked handles, and cached results of
the core) belongs to the app and is bounded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .. import claims as built_in, signals
from ..claims.validation import claims_context
from ..concurrency import KeyedLocks
from ..constants import REMEMBER_CLAIM, TransferMethod
from ..core.models import (
    IssuedTokens,
    Refusal,
    SessionInformation,
    TokenInfo,
    TokenTheft,
    VerifiedSession,
)
from ..errors import (
    ConfigError,
    MismatchedUserError,
    Reason,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from ..tokens.masked import MaskedToken
from ..tokens.refresh_token import has_shape_of_refresh_token
from .by_handle import SessionsByHandle
from .methods import DefaultMethods
from .outcomes import RecentOutcomes
from .payloads import (
    checked_update,
    json_object,
    merged,
    warn_of_inexact_integers,
    without_protected,
)
from .revocation import ConfirmedTokens, RevokedHandles
from .session import Session
from .sizes import TokenSizes, largest_keys

if TYPE_CHECKING:
    from ..callables import EnsureSync
    from ..claims.base import SessionClaim
    from ..config.config import Config
    from ..core.client import CoreClient
    from ..core.models import CoreSession
    from ..tokens.access_token import AccessToken
    from ..tokens.jwks import KeySet
    from ..tokens.verifier import TokenVerifier
    from .new_session import NewSession
    from .session import RequestRecord, SessionMethods

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Return the handle of the session that a reply of the core is about.
_HANDLE_OF = attrgetter("session.handle")


class SessionManager:
    """The operations on the sessions of one app.

    :param client: the client of the core.
    :param verifier: verifies access tokens.
    :param keys: the verifier's key set.
    :param config: the settings of the app.
    :param sizes: refuses tokens that are too large.
    :param sender: the app, sender of all signals.
    :param extension: passed to claims in their ``user_context``; sessions call its methods, or the default
        methods where it is ``None``.
    :param claim_sources: the object passed to claims if there is no extension object.
    :param find_own: returns the session of the current request if it has this handle.
    :param ensure_sync: ``app.ensure_sync``, which runs functions of the app that are ``async def``.
    """

    def __init__(
        self,
        *,
        client: CoreClient,
        verifier: TokenVerifier,
        keys: KeySet,
        config: Config,
        sizes: TokenSizes,
        sender: object,
        extension: SessionMethods | None,
        claim_sources: object = None,
        find_own: Callable[[str], Session | None] | None = None,
        ensure_sync: EnsureSync | None = None,
    ) -> None:
        self.client = client
        self._locks = KeyedLocks()
        self.extension: object = claim_sources if extension is None else extension
        #: Held around a change that depends on the stored value; the payload has a lock of its own.
        self._factor_locks = KeyedLocks()
        #: Sessions of which only the handle is known.
        self.by_handle: SessionsByHandle = SessionsByHandle(
            client,
            extension=self.extension,
            ensure_sync=ensure_sync,
            now_ms=self.now_ms,
            locks=self._locks,
            sizes=sizes,
        )
        self.verifier = verifier
        self.keys = keys
        self.default_methods: DefaultMethods = DefaultMethods(self, find_own)
        #: The methods that change a session, with the app's overrides.
        self.methods: SessionMethods = self.default_methods if extension is None else extension
        self.ensure_sync = ensure_sync
        self._config = config
        self._sizes = sizes
        self._sender = sender
        self._refreshed: RecentOutcomes[IssuedTokens] = RecentOutcomes(
            "refreshing with this token", handle_of=_HANDLE_OF
        )
        self._first_uses: RecentOutcomes[VerifiedSession] = RecentOutcomes(
            "verifying this new token", handle_of=_HANDLE_OF
        )
        self._revoked = RevokedHandles()
        #: Return whether a session was revoked through this process, by its handle.
        self.is_revoked: Callable[[str], bool] = self._revoked.handles.__contains__
        self._confirmed = ConfirmedTokens(config.check_database_ttl_seconds)

    def now_ms(self) -> int:
        """Return the time in ms since 1970."""
        return int(time.time() * 1000)

    def acting_on(self, session: Session) -> AbstractContextManager[None]:
        """Let the default methods act on this object, not only on its handle, while the block runs."""
        return self.default_methods.acting_on(session)

    # Verify

    def verify(
        self,
        token: AccessToken,
        *,
        check_database: bool = False,
        enable_anti_csrf: bool = False,
        transfer_method: TransferMethod | None = None,
        request: RequestRecord | None = None,
        ask_core: bool = True,
        allow_revoked: bool = False,
    ) -> Session:
        """Return the session of an access token whose signature and expiry have been checked.

        The core is asked only if the database is to be checked, or, with CDI up to 5.5, if the token is
        fresh from a refresh: its first use makes the refresh final. Requests that use such a token at the
        same time share one call to the core, whose result is cached for ten seconds.

        :param ask_core: ``False``: never ask the core.
        :param allow_revoked: also return a session that was revoked through this process.
        :raises UnauthorisedError: the session has been revoked.
        :raises TryRefreshTokenError: CDI 5.6: the core no longer knows this token.
        :raises CoreUnavailableError: the core was needed and did not answer.
        """
        if allow_revoked and token.session_handle in self._revoked.handles:
            session = Session(self, token, transfer_method, request)
        else:
            session = self.verify_locally(token, transfer_method, request)
        # A parent hash: CDI up to 5.5 makes the refresh final at the first use of its token.
        is_first_use = token.parent_refresh_token_hash1 is not None
        if ask_core and (check_database or (is_first_use and not self.client.rotates_at_refresh)):
            self._ask_core(session, check_database=check_database, enable_anti_csrf=enable_anti_csrf)
        return session

    def verify_locally(
        self, token: AccessToken, transfer_method: TransferMethod | None, request: RequestRecord | None
    ) -> Session:
        """Return the session of an access token without asking the core.

        :raises UnauthorisedError: the session was revoked through this process.
        """
        handle = token.session_handle
        if handle in self._revoked.handles:
            raise UnauthorisedError("The session was revoked through this process.")
        refreshed = self._refreshed.latest.get(handle)
        if refreshed is not None and refreshed.result.access_token.token == token.raw:
            # The client has the new pair: from now on, a use of the old refresh token is theft.
            self._refreshed.forget(handle)
        return Session(self, token, transfer_method, request)

    def check_database(self, session: Session, *, enable_anti_csrf: bool = False) -> None:
        """Ask the core about a session that has been verified without it.

        :raises UnauthorisedError: the session has been revoked.
        :raises TryRefreshTokenError: CDI 5.6: the core no longer knows this token.
        :raises CoreUnavailableError: the core did not answer.
        """
        self._ask_core(session, check_database=True, enable_anti_csrf=enable_anti_csrf)

    def _ask_core(self, session: Session, *, check_database: bool, enable_anti_csrf: bool) -> None:
        digest = sha256(session.get_access_token().encode()).digest()
        if not check_database:
            result, _ = self._first_uses.run(
                (digest, enable_anti_csrf),
                lambda: self._verify_at_core(session, enable_anti_csrf=enable_anti_csrf),
            )
        elif digest in self._confirmed:
            session.database_checked = True
            return
        else:
            result = self._verify_at_core(session, check_database=True, enable_anti_csrf=enable_anti_csrf)
            session.database_checked = True
        if result.access_token is not None:
            token = self._accept(result.access_token, result.session, session.transfer_method)
            session.replace_access_token(token, renewed=True)
        elif result.payload_update_available:
            self._regenerate(session, None)
        elif check_database:
            self._confirmed.add(digest)

    def _verify_at_core(
        self, session: Session, *, check_database: bool = False, enable_anti_csrf: bool
    ) -> VerifiedSession:
        result = self.client.verify_session(
            session.get_access_token(),
            enable_anti_csrf=enable_anti_csrf,
            check_database=check_database,
        )
        if not isinstance(result, Refusal):
            return result
        if result.status == "TRY_REFRESH_TOKEN":
            raise TryRefreshTokenError(f"The core does not accept the access token: {result.message}")
        if self.client.rotates_at_refresh:
            # CDI 5.6 returns this both for a revoked session and for a token that was rotated out. The
            # refresh decides which it is, so nothing is cleared here.
            raise TryRefreshTokenError(
                f"The core no longer knows the access token: {result.message}", reason=Reason.SESSION_ENDED
            )
        raise UnauthorisedError(f"The core refused the access token: {result.message}")

    # Create, refresh, revoke

    def create(
        self,
        new: NewSession,
        *,
        claims: Sequence[SessionClaim[Any]] = (),
        issuer: str | None = None,
        enable_anti_csrf: bool = False,
        transfer_method: TransferMethod | None = None,
        context: dict[str, Any] | None = None,
    ) -> Session:
        """Create a session in the core and return it with its first tokens.

        :param new: the arguments; protected keys of the payload are dropped, and named in the log.
        :param claims: claims to fetch and build into the payload.
        :param issuer: the ``iss`` of the payload; replaces any in it.
        :param enable_anti_csrf: create an anti-CSRF token, unless ``new`` disables it.
        :raises ConfigError: the access token would be too large; nothing is written.
        :raises MismatchedUserError: the login method belongs to another user; the session was ended.
        :raises CoreUnavailableError: the core does not answer.
        """
        own: dict[str, Any] = {}
        if new.access_token_payload is not None:
            own = without_protected(json_object(new.access_token_payload, argument="access_token_payload"))
        stored: dict[str, Any] | None = None
        if new.session_data_in_database is not None:
            stored = json_object(new.session_data_in_database, argument="session_data_in_database")
        if issuer is not None:
            own["iss"] = issuer
        audience = self._config.audience
        if audience is not None:
            own.setdefault("aud", audience[0] if len(audience) == 1 else list(audience))
        login_method = new.recipe_user_id or new.user_id
        if claims:
            context = claims_context(
                {} if context is None else context,
                extension=self.extension,
                recipe_user_id=login_method,
                payload=own,
                now_ms=self.now_ms(),
            )
            for claim in claims:
                built = claim.build(
                    new.user_id, login_method, new.tenant_id, own, context, ensure_sync=self.ensure_sync
                )
                own.update(without_protected(built))
            own = json_object(own, argument="access_token_payload")  # a claim may have returned anything
        if new.remember is False:
            own[REMEMBER_CLAIM] = False
        if claims or new.access_token_payload:
            warn_of_inexact_integers(own)
        self._sizes.check(
            own,
            user_id=new.user_id,
            recipe_user_id=login_method,
            tenant_id=new.tenant_id,
            transfer_method=transfer_method,
        )
        created = self.client.create_session(
            new.user_id,
            tenant_id=new.tenant_id,
            recipe_user_id=new.recipe_user_id,
            payload=own,
            database_data=stored,
            enable_anti_csrf=enable_anti_csrf and not new.disable_anti_csrf,
            use_dynamic_signing_key=self._config.use_dynamic_access_token_signing_key,
            access_token_validity_seconds=new.access_token_validity_seconds,
        )
        if new.recipe_user_id is not None and created.session.user_id != new.user_id:
            self.client.revoke_sessions([created.session.handle])
            raise MismatchedUserError(
                new.user_id, recipe_user_id=new.recipe_user_id, owner=created.session.user_id
            )
        token = self._accept(created.access_token, created.session, transfer_method)
        session = Session(self, token, transfer_method, refresh_token=created.refresh_token, context=context)
        signals.session_created.send(self._sender, session=session)
        return session

    def refresh(
        self,
        refresh_token: str,
        *,
        anti_csrf_token: str | None = None,
        enable_anti_csrf: bool = False,
        tenant_id: str | None = None,
        transfer_method: TransferMethod | None = None,
        context: dict[str, Any] | None = None,
    ) -> Session:
        """Exchange a refresh token for a new pair of tokens.

        Requests with the same refresh token share one call to the core. Its result is cached until the new
        pair is first used, for ten seconds at most, since a client may not have received it. Only requests
        with the same anti-CSRF token and tenant share it.

        :param tenant_id: the tenant of the request, or ``None``; only decides which requests share a call.
        :raises UnauthorisedError: the session has ended, or the value is not a refresh token.
        :raises TokenTheftError: the token had been replaced; the session is revoked.
        :raises CoreUnavailableError: the core did not answer; the token remains valid.
        """
        # Receivers of our signals may raise below this frame.
        refresh_token = MaskedToken(refresh_token)
        anti_csrf_token = None if anti_csrf_token is None else MaskedToken(anti_csrf_token)
        if not has_shape_of_refresh_token(refresh_token):
            raise UnauthorisedError(
                "The value sent as refresh token is not a refresh token.", reason=Reason.MALFORMED
            )
        digest = sha256(refresh_token.encode()).digest()
        key = (digest, anti_csrf_token, enable_anti_csrf, tenant_id)
        result, is_ours = self._refreshed.run(
            key,
            partial(self._refresh_at_core, refresh_token, anti_csrf_token, enable_anti_csrf),
        )
        token = self._accept(result.access_token, result.session, transfer_method)
        session = Session(self, token, transfer_method, refresh_token=result.refresh_token, context=context)
        if is_ours:
            signals.session_refreshed.send(self._sender, session=session)
        return session

    def _refresh_at_core(
        self, refresh_token: str, anti_csrf_token: str | None, enable_anti_csrf: bool
    ) -> IssuedTokens:
        result = self.client.refresh_session(
            refresh_token,
            anti_csrf_token=anti_csrf_token,
            enable_anti_csrf=enable_anti_csrf,
            use_dynamic_signing_key=self._config.use_dynamic_access_token_signing_key,
        )
        if isinstance(result, IssuedTokens):
            return result
        if isinstance(result, Refusal):
            raise UnauthorisedError(f"The core refused the refresh: {result.message}")
        raise self._ended_after_theft(result)

    def _ended_after_theft(self, theft: TokenTheft) -> TokenTheftError:
        if theft.recent_token_reuse_subtype is not None:  # a core that speaks CDI 5.6 has revoked it
            self._remember_revoked([theft.session_handle])
        was_revoked_here = self.methods.revoke_session(theft.session_handle)
        self._remember_revoked([theft.session_handle])
        logger.warning("Token theft detected: session %s has been revoked.", theft.session_handle)
        error = TokenTheftError(
            theft.session_handle,
            theft.user_id,
            theft.recipe_user_id,
            subtype=theft.recent_token_reuse_subtype,
        )
        if not was_revoked_here:
            signals.session_revoked.send(
                self._sender, session_handles=[theft.session_handle], user_id=theft.user_id
            )
        signals.token_theft_detected.send(
            self._sender,
            session_handle=theft.session_handle,
            user_id=theft.user_id,
            recipe_user_id=theft.recipe_user_id,
            subtype=theft.recent_token_reuse_subtype,
            error=error,
        )
        return error

    def revoke(self, handles: Sequence[str]) -> list[str]:
        """End sessions; return the handles of those that had not ended before.

        The core is not asked about sessions that this process knows to have ended.
        """
        alive = [handle for handle in handles if handle not in self._revoked.handles]
        revoked = self.client.revoke_sessions(alive) if alive else []
        self._after_revoking(handles, revoked, user_id=None)
        return revoked

    def revoke_all_of_user(self, user_id: str, *, tenant_id: str | None, all_tenants: bool) -> list[str]:
        """End all sessions of a user, in one tenant or in all; return their handles."""
        revoked = self.client.revoke_sessions_of_user(user_id, tenant_id=tenant_id, all_tenants=all_tenants)
        self._after_revoking(revoked, revoked, user_id=user_id)
        return revoked

    def _after_revoking(self, handles: Sequence[str], revoked: Sequence[str], *, user_id: str | None) -> None:
        self._remember_revoked(handles)
        if revoked:
            signals.session_revoked.send(self._sender, session_handles=list(revoked), user_id=user_id)

    def _remember_revoked(self, handles: Sequence[str]) -> None:
        self._revoked.add(handles)
        self._confirmed.clear()
        for handle in handles:
            self._refreshed.forget(handle)
            self._first_uses.forget(handle)

    # Query and change

    def information_of(self, session: Session) -> SessionInformation:
        """Return what the core stores about the session of this request.

        :raises UnauthorisedError: it has been revoked meanwhile.
        """
        found = self.by_handle.information(session.get_handle())
        if found is None:
            session.end_on_client()
            raise UnauthorisedError("The session has been revoked.")
        return found

    def update_data_of(self, session: Session, data: Mapping[str, Any]) -> None:
        """Replace the session data that the core stores for the session of this request.

        :raises UnauthorisedError: it has been revoked meanwhile.
        """
        if not self.by_handle.update_data(session.get_handle(), data):
            session.end_on_client()
            raise UnauthorisedError("The session has been revoked.")

    def merge_payload_of(self, session: Session, update: Mapping[str, Any]) -> None:
        """Merge keys into the stored payload of a session, and replace its access token.

        The access token's own payload may be outdated: others may have changed the session since.

        :param update: keys to set; ``None`` removes a key.
        :raises ProtectedClaimError: a key belongs to the session itself.
        :raises UnauthorisedError: the session has been revoked meanwhile.
        :raises ConfigError: the access token would be too large; nothing is written.
        """
        update = checked_update(update)
        with self._locks.hold(session.get_handle()):
            stored = self.information_of(session).custom_claims_in_access_token_payload
            payload = merged(stored, update)
            self._sizes.check(
                payload,
                user_id=session.get_user_id(),
                recipe_user_id=session.get_recipe_user_id(),
                tenant_id=session.get_tenant_id(),
                transfer_method=session.transfer_method,
                stored=stored,
            )
            self._regenerate(session, payload)
        self._first_uses.forget(session.get_handle())

    def complete_factor(self, session: Session, factor_id: str) -> bool:
        """Record that a session has completed a login factor; return whether the session still exists.

        The factor is added to those that the core holds: another request may have completed one since the
        token was made.
        """
        claim, handle = built_in.MultiFactorAuthClaim, session.get_handle()
        with self._factor_locks.hold(handle):
            stored = self.information_of(session).custom_claims_in_access_token_payload
            value = claim.value_with(
                factor_id,
                stored,
                user_id=session.get_user_id(),
                tenant_id=session.get_tenant_id(),
                user_context=session.context(fresh_time=True),
            )
            return self.methods.set_claim_value(claim, value, session_handle=handle)

    def _regenerate(self, session: Session, payload: dict[str, Any] | None) -> None:
        """Store the payload of a session, and replace its access token by one that carries it.

        :param payload: the whole payload without the session's own keys; ``None``: the one in the core.
        :raises UnauthorisedError: the session has been revoked meanwhile.
        """
        result = self.client.regenerate(session.get_access_token(), payload)
        if isinstance(result, Refusal):
            session.end_on_client()
            raise UnauthorisedError(f"The session has been revoked: {result.message}")
        if result.access_token is not None:
            token = self._accept(result.access_token, result.session, session.transfer_method)
            session.replace_access_token(token)
        else:
            session.replace_payload(result.session.payload)

    # Helpers

    def _accept(
        self, new: TokenInfo, owner: CoreSession, transfer_method: TransferMethod | None
    ) -> AccessToken:
        """Parse a token that the core has just returned; its key may be newer than our key set.

        :raises UnauthorisedError: it is too large to reach the client, so its session was ended.
        """
        if len(new.token) > self._sizes.limits[transfer_method]:
            raise self._ended_as_too_large(owner, self._sizes.problem(new.token, transfer_method))
        token = self.verifier.parse_issued(MaskedToken(new.token))
        if token is None:
            raise ConfigError(
                "The core returned an access token in an unknown format. Is STSESSION_CONNECTION_URI a "
                "SuperTokens core of a supported version?"
            )
        self.keys.expect(token.header.kid)
        self._revoked.note_life((new.expiry - new.created_time) / 1000)
        return token

    def _ended_as_too_large(self, session: CoreSession, problem: str) -> UnauthorisedError:
        """End a session that another program has let grow: its client would refresh in a loop."""
        logger.error(
            "Session %r of user %r was ended: %s. Another program has written its payload. Largest keys: %s. "
            "Keep large values in session_data_in_database.",
            session.handle,
            session.user_id,
            problem,
            largest_keys(session.payload),
        )
        self.revoke([session.handle])
        return UnauthorisedError(f"The session was ended: {problem}.")
