"""Verify the sessions of events, without Flask.

:class:`FunctionSessions` lives as long as the process, so that keys, verified tokens and connections survive
from one invocation to the next. :class:`EventGuard` checks what a guard of views checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Request

from .. import signals
from ..callables import refuse_asynchronous
from ..claims.validation import overridden, quick_checks, surely_pass
from ..concurrency import TimeLimit
from ..errors import ConfigError, SessionHTTPError, TryRefreshTokenError, UnauthorisedError
from ..sessions.assembly import make_manager, make_transport
from ..sessions.client_changes import ChangeRecord
from ..sessions.loaders import Loaders
from ..web import csrf
from ..web.token_choice import no_token, verified_token
from ..web.transport import Turns, read_tokens
from ..web.verdict_record import announce_verdict
from .invocations import time_for_core

if TYPE_CHECKING:
    from ..config.config import AllowedTransfer, Config
    from ..sessions.manager import SessionManager
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken
    from ..web.options import VerifyOptions
    from .events import EventRequest

#: How long (s) a request waits for keys to be renewed while the old ones can still be used. No thread runs
#: between two invocations, so a renewal in the background would rarely end.
_PATIENCE_SECONDS: Final = 1.0


class EventRecord(ChangeRecord):
    """The changes that one invocation makes on its client, and the ``user_context``."""

    def __init__(self) -> None:
        #: The ``user_context``.
        self.context: dict[str, Any] = {}


class FunctionSessions:
    """Verifies the sessions of one function. Makes no request until one is needed.

    :param config: the settings.
    :param get_email: ``f(user_id, tenant_id)``, which returns the user's address or ``None``; needed where
        ``EmailVerificationClaim`` is refetched.
    """

    def __init__(self, config: Config, *, get_email: Callable[[str, str], str | None] | None = None) -> None:
        self.config = config
        self._time_limit = TimeLimit()
        if get_email is not None and not callable(get_email):
            raise TypeError(f"get_email must be a function of (user_id, tenant_id), not {get_email!r:.100}.")
        refuse_asynchronous(get_email, "get_email")
        self._loaders = Loaders(get_email)
        #: Decide which stray cookies a response clears if it has no room to clear all of them.
        self.turns: Turns = Turns()
        self.manager: SessionManager = make_manager(
            config,
            make_transport(config, time_left=self._time_limit.left),
            sender=self,
            extension=None,
            claim_sources=self,
            patience_seconds=_PATIENCE_SECONDS,
        )

    def begin(self, context: object, *, limit_seconds: float = math.inf) -> None:
        """Begin an invocation: all its calls to the core together must end before it times out.

        :param context: of the invocation, as the runtime passes it to a handler.
        :param limit_seconds: the gateway's own limit (s).
        """
        self._time_limit.set(time_for_core(context, limit_seconds=limit_seconds))

    # The sources of built-in claims

    @property
    def claim_max_age_seconds(self) -> float | None:
        """``STSESSION_CLAIM_MAX_AGE_SECONDS``, which built-in claims ask for."""
        return self.config.claim_max_age_seconds

    def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
        """Return the user's roles, from the core."""
        return self._loaders.roles_of(self.manager, user_id, tenant_id)

    def permissions_of(self, user_id: str, tenant_id: str, *, max_age: float = 0) -> list[str]:
        """Return the user's permissions, from the core.

        :param max_age: the age (s) up to which a cached response of the core may be used; 0: ask now.
        """
        return self._loaders.permissions_of(self.manager, user_id, tenant_id, max_age=max_age)

    def is_email_of_user_verified(self, user_id: str, tenant_id: str) -> bool:
        """Return whether the user's address is verified; true for a user without an address.

        :raises ConfigError: there is no ``get_email``.
        """
        if self._loaders.get_email is None:
            raise ConfigError(
                "E-mail verification needs the users' addresses: pass get_email=f with the other options, "
                "where f(user_id, tenant_id) returns the address or None."
            )
        return self._loaders.is_email_verified(self.manager, user_id, tenant_id)


class EventGuard:
    """Verifies the sessions of events, with the checks that its options ask for.

    :param sessions: of the function.
    :param options: what to check.
    :param transfer: the only transfer method to read tokens from; by default what
        ``STSESSION_TOKEN_TRANSFER_METHOD`` allows.
    """

    def __init__(
        self, sessions: FunctionSessions, options: VerifyOptions, *, transfer: AllowedTransfer | None = None
    ) -> None:
        override = options.override_global_claim_validators
        refuse_asynchronous(override, "override_global_claim_validators")
        config = sessions.config
        self._sessions = sessions
        self._manager = sessions.manager
        self._config = config
        self._options = options
        checks = options.check_database
        self._checks_database = config.check_database if checks is None else checks
        allowed = transfer or config.token_transfer_method
        #: ``None`` where a function decides for each request.
        self._allowed: AllowedTransfer | None = None if callable(allowed) else allowed
        self._quick_checks = None
        if override is None:
            self._quick_checks = quick_checks(options.validators, config.claim_max_age_seconds)

    def session(self, request: EventRequest, record: EventRecord) -> Session | None:
        """Verify the session of a request.

        :param record: collects what changes on the client, even if the session is refused.
        :returns: ``None`` where a session is optional and there is none.
        :raises SessionHTTPError: the verdict, with its configured status.
        """
        if self._options.user_context:
            record.context.update(self._options.user_context)
        session = None
        refused: SessionHTTPError | None = None
        try:
            session = self._checked_session(request, record)
        except SessionHTTPError as error:
            # Its frames hold tokens, which an error reporter would show.
            refused = error.with_traceback(None)
        if refused is not None:
            invalid = isinstance(refused, UnauthorisedError | TryRefreshTokenError)
            if self._options.ignore_invalid and invalid:
                return None
            self.record_verdict(request, record, refused)
            raise refused
        if session is not None and signals.session_verified.receivers:
            signals.session_verified.send(self._sessions, session=session)
        return session

    def record_verdict(
        self,
        request: EventRequest,
        record: EventRecord,
        error: SessionHTTPError,
        session: Session | None = None,
    ) -> None:
        """Record what a verdict clears on the client; set its status, log it and send its signal.

        :param session: the session of the handler that raised the verdict; ``None`` before it runs.
        """
        if error.clear_tokens:
            record.changes.end_session()
        announce_verdict(
            self._config,
            error,
            sender=self._sessions,
            asked=request.asked,
            session=session,
        )

    def _checked_session(self, request: EventRequest, record: EventRecord) -> Session | None:
        allowed = self._allowed_for(request)
        environ, names = _environ(request), self._config.cookie_names
        token, method = verified_token(environ, names, allowed, self._manager)
        if token is None:
            if self._options.session_required:
                raise no_token(read_tokens(environ, names))
            return None
        if method == "cookie":
            self._check_sender(request, token)
        if token.parent_refresh_token_hash1 is None and not self._checks_database:
            session = self._manager.verify_locally(token, method, record)
        else:
            session = self._manager.verify(
                token,
                check_database=self._checks_database,
                enable_anti_csrf=method == "cookie" and self._config.anti_csrf == "VIA_TOKEN",
                transfer_method=method,
                request=record,
            )
        try:
            if self._options.tenant is not None:
                session.require_tenant(self._options.tenant)
            self._check_claims(session)
        except SessionHTTPError:
            # A refusal sends no token, neither one that the core renewed nor one with fetched claims.
            if record.pending is not None:
                record.pending.withdraw(session.get_handle())
            raise
        return session

    def _allowed_for(self, request: EventRequest) -> AllowedTransfer:
        if self._allowed is not None:
            return self._allowed
        # The function is given what it is given in a Flask app.
        sent = Request(request.environ(self._config.api_gateway_path))
        choose: Any = self._config.token_transfer_method
        return self._config.checked_transfer_method(choose(sent, False))

    def _check_sender(self, request: EventRequest, token: AccessToken) -> None:
        """Check that a page of ours sent a request whose session came by cookie."""
        config, origin = self._config, request.origin
        if request.is_of_socket:
            # No script can add headers to a handshake: every mode checks its origin instead.
            allowed = config.accepted_origins(origin)
            csrf.check_socket(request.headers, needs_origin=True, allowed_origins=allowed)
            return
        csrf.check(
            config,
            request,
            origin,
            anti_csrf_check=self._options.anti_csrf_check,
            anti_csrf_token=token.anti_csrf_token,
        )

    def _check_claims(self, session: Session) -> None:
        checks, payload = self._quick_checks, session.shared_payload
        if checks == ():
            return
        if checks and payload is not None and surely_pass(checks, payload, self._manager.now_ms()):
            return
        override = self._options.override_global_claim_validators
        chosen = overridden((), override, session, session.context(), ensure_sync=None)
        session.assert_claims([*chosen, *self._options.validators])


def _environ(request: EventRequest) -> dict[str, Any]:
    """Return the two headers that carry tokens, under their names in WSGI."""
    headers = request.headers
    return {"HTTP_AUTHORIZATION": headers.get("authorization"), "HTTP_COOKIE": headers.get("cookie")}
