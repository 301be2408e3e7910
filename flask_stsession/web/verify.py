"""Verify the session of a request once, and make the checks of each guard.

:func:`load_session` reads the tokens of the request, calls the manager to verify them, runs the validators,
and only then writes ``g.session``.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import signals
from ..claims.validation import overridden, quick_checks, surely_pass
from ..errors import (
    CoreUnavailableError,
    Reason,
    SessionHTTPError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from . import csrf
from .context import (
    RequestState,
    is_handshake,
    origin_of_api,
    publish,
    request_state,
    this_g,
    this_request,
)
from .hints import is_in_development
from .navigation import CONTINUE_ENDPOINT, SCRIPT_ENDPOINT, is_of_another_site
from .options import OPTIONAL, REQUIRED, OverrideValidators, VerifyOptions
from .sockets import check_origin_of_socket, is_event
from .stray_cookies import strays_of, warn_of
from .token_choice import no_token, verified_token
from .transport import allowed_transfer, read_tokens
from .verdict_record import announce_verdict

if TYPE_CHECKING:
    from flask import Request

    from ..claims.base import SessionClaimValidator
    from ..config.config import AllowedTransfer
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken
    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")


def load_session(app_state: AppState, options: VerifyOptions = REQUIRED) -> Session | None:
    """Verify the session of the current request as ``options`` say, and write it to ``g.session``.

    :returns: ``None`` where a session is optional and there is none.
    :raises SessionHTTPError: the verdict, with what it clears on the client already recorded.
    """
    return guard_of(app_state, options).session(this_request(), this_g())


class Inquiry:
    """The options of a guard that is calling an overridden ``get_session``, which takes only four of them.

    :param options: of the guard.
    :param promotes: whether to tell the core of the first use of a refreshed token.
    """

    #: The session that last passed all checks of the guard.
    passed: Session | None = None

    def __init__(self, options: VerifyOptions, promotes: bool) -> None:
        self.options = options
        self.promotes = promotes


def answer_inquiry(
    app_state: AppState,
    *,
    session_required: bool,
    anti_csrf_check: bool | None,
    check_database: bool | None,
    override_global_claim_validators: OverrideValidators | None,
) -> Session | None:
    """Do the work of ``get_session``; if a guard is calling, with the guard's other options too."""
    request = this_request()
    state = request_state(request)
    inquiry: Inquiry | None = state.inquiry
    options = replace(
        REQUIRED if inquiry is None else inquiry.options,
        session_required=session_required,
        anti_csrf_check=anti_csrf_check,
        check_database=check_database,
        override_global_claim_validators=override_global_claim_validators,
    )
    guard = Guard(app_state, options)
    if inquiry is None:
        return guard.session(request, this_g(), by_override=False)
    inquiry.passed = guard.checked_session(request, state, promotes=inquiry.promotes)
    return inquiry.passed


def guard_of(app_state: AppState, options: VerifyOptions) -> Guard:
    """Return the guard of this app with these options, created at its first use."""
    guard: Guard | None = app_state.guards.get(options)
    if guard is not None:
        return guard
    made: Guard = app_state.guards.setdefault(options, Guard(app_state, options))
    return made


class Guard:
    """Verifies the sessions of requests to one app, with the checks that its options demand.

    The constructor computes everything that depends only on the options and the settings.

    :param app_state: of the app.
    :param options: of the guard.
    """

    def __init__(self, app_state: AppState, options: VerifyOptions) -> None:
        config, extension = app_state.config, app_state.extension
        if options.needs_auth_time:
            extension.require_auth_time()
        self._app_state = app_state
        self._options = options
        self._manager = app_state.manager
        self._refresh_route = app_state.refresh_route
        self._asks_override = app_state.overrides_get_session
        checks = options.check_database
        self._checks_database = config.check_database if checks is None else checks
        #: Whether the core is asked for every token, or a revoked session may pass.
        self._asks_more_of_manager = self._checks_database or options.allow_revoked
        transfer = config.token_transfer_method
        #: ``None`` if a function of the app decides for each request.
        self._transfer: AllowedTransfer | None = None if callable(transfer) else transfer
        self._cookie_names = config.cookie_names
        self._enables_anti_csrf = config.anti_csrf == "VIA_TOKEN"
        self._is_anti_csrf_off = config.anti_csrf_of_all_requests == "NONE"
        self._checks_tenant = options.tenant is not None or extension.asks_for_tenant
        #: ``None`` if functions of the app choose them for each session.
        self._validators: tuple[SessionClaimValidator, ...] | None = None
        if options.override_global_claim_validators is None and not extension.asks_for_validators:
            self._validators = (*extension.global_claim_validators, *options.validators)
        #: The validators as plain data; ``None`` if one of them needs code of the app.
        self._quick_checks = (
            None if self._validators is None else quick_checks(self._validators, config.claim_max_age_seconds)
        )

    def session(self, request: Request, g: Any, *, by_override: bool = True) -> Session | None:
        """Verify the session of the current request, and write it to ``g.session``.

        The token is verified once per request, however many guards there are.

        :param request: the current one.
        :param g: the current one.
        :param by_override: call an overridden ``get_session``.
        :returns: ``None`` if the session is optional and there is none.
        :raises SessionHTTPError: the verdict, with what it clears on the client already recorded.
        """
        state = request_state(request)
        options = self._options
        refused: SessionHTTPError | None = None
        if options.user_context:
            state.context.update(options.user_context)
        try:
            if request.method == "POST" and request.path == self._refresh_route:
                session = state.session
                return self._app_state.extension.refresh_session() if session is None else session
            if self._asks_override and by_override:
                session = self.session_by_override(request, state)
            else:
                session = self.checked_session(request, state)
        except SessionHTTPError as error:
            # Its frames hold tokens, which an error reporter would show if a receiver or handler failed.
            session = None
            refused = error.with_traceback(None)
        if refused is not None:
            invalid = isinstance(refused, UnauthorisedError | TryRefreshTokenError)
            if not (options.ignore_invalid and invalid):
                record_verdict(self._app_state, refused)
                raise refused
            expire_strays(self._app_state, refused)
        if session is not None:
            if state.session is None:
                state.session = session
                if signals.session_verified.receivers:
                    signals.session_verified.send(self._app_state.app, session=session)
            publish(session, g)
        return session

    def session_by_override(
        self, request: Request, state: RequestState, *, promotes: bool = True
    ) -> Session | None:
        """Call the overridden ``get_session``, unless the call comes from there.

        :param promotes: tell the core of the first use of a refreshed token (CDI up to 5.5).
        :returns: ``None`` if the session is optional and there is none.
        :raises SessionHTTPError: the verdict.
        """
        if state.inquiry is not None:
            return self.checked_session(request, state, promotes=promotes)
        options = self._options
        state.inquiry = inquiry = Inquiry(options, promotes)
        try:
            session = self._app_state.extension.get_session(
                session_required=options.session_required,
                anti_csrf_check=options.anti_csrf_check,
                check_database=options.check_database,
                override_global_claim_validators=options.override_global_claim_validators,
            )
        finally:
            state.inquiry = None
        if session is None and options.session_required:
            raise no_token(read_tokens(request.environ, self._cookie_names))
        if session is not None and session is not inquiry.passed:
            # The override did not get it from our get_session: make the checks of a second guard.
            before, state.session = state.session, session
            try:
                self.checked_session(request, state, promotes=promotes)
            finally:
                state.session = before
            session.send_with(state)
        return session

    def checked_session(
        self, request: Request, state: RequestState, *, promotes: bool = True
    ) -> Session | None:
        """Return the session of a request if it passes every check; write nothing.

        :param promotes: tell the core of the first use of a refreshed token (CDI up to 5.5).
        :returns: ``None`` if the session is optional and there is none.
        :raises SessionHTTPError: the verdict.
        """
        session = state.session
        if session is not None:
            self._check_again(request, session)
        else:
            allowed = self._transfer
            if allowed is None:  # a function of the app may raise here, so no variable holds a token yet
                allowed = allowed_transfer(self._app_state.config, request, for_create_new_session=False)
            token, method = verified_token(request.environ, self._cookie_names, allowed, self._manager)
            if token is None:
                if self._options.session_required:
                    raise no_token(read_tokens(request.environ, self._cookie_names))
                return None
            by_cookie = method == "cookie"
            if by_cookie and (
                request.method != "GET"
                or self._options.anti_csrf_check
                or state.is_written  # true from the start for a socket
            ):
                self._check_sender(request, token)
            if token.parent_refresh_token_hash1 is None and not self._asks_more_of_manager:
                session = self._manager.verify_locally(token, method, state)
            else:
                session = self._manager.verify(
                    token,
                    check_database=self._checks_database,
                    enable_anti_csrf=by_cookie and self._enables_anti_csrf,
                    transfer_method=method,
                    request=state,
                    allow_revoked=self._options.allow_revoked,
                    ask_core=promotes or self._checks_database,
                )
        try:
            if self._checks_tenant:
                check_tenant(self._app_state, session, self._options.tenant)
            if self._validators is None or self._validators:
                self._check_claims(session)
        except SessionHTTPError:
            # A refusal sends no token, neither one that the core renewed nor one with fetched claims.
            if state.pending is not None:
                state.pending.withdraw(session.get_handle())
            raise
        return session

    def _check_again(self, request: Request, session: Session) -> None:
        """Make the checks of a second guard that the first one may not have made."""
        if session.transfer_method == "cookie" and not session.is_new:
            self._check_sender(request, session.access_token)
        if self._checks_database and not session.database_checked:
            self._manager.check_database(session, enable_anti_csrf=self._enables_anti_csrf)

    def _check_sender(self, request: Request, token: AccessToken) -> None:
        """Check that a page of ours sent a request whose session came by cookie."""
        if request.method == "GET" and (is_handshake(request) or is_event(request)):
            # No script can add headers to a handshake: every mode checks its origin instead.
            check_origin_of_socket(self._app_state.config, request)
        else:
            self._check_anti_csrf(request, token)

    def _check_anti_csrf(self, request: Request, token: AccessToken) -> None:
        if self._is_anti_csrf_off:
            return
        csrf.check(
            self._app_state.config,
            request,
            origin_of_api(request),
            anti_csrf_check=self._options.anti_csrf_check,
            anti_csrf_token=token.anti_csrf_token,
            is_tested=self._app_state.app.testing,
        )

    def _check_claims(self, session: Session) -> None:
        checks, payload = self._quick_checks, session.shared_payload
        if checks and payload is not None and surely_pass(checks, payload, self._manager.now_ms()):
            return
        validators = self._validators
        if validators is None:
            validators = tuple(validators_for(self._app_state, session, self._options))
        session.assert_claims(validators)


def required_session(app_state: AppState, options: VerifyOptions = REQUIRED) -> Session:
    """Do the same as :func:`load_session`, where a session is required.

    :raises SessionHTTPError: there is none.
    """
    session = load_session(app_state, options)
    if session is None:
        raise no_token(read_tokens(this_request().environ, app_state.config.cookie_names))
    return session


def is_renewal_route(request: Request) -> bool:
    """Return whether a request is for one of our routes that renew a token: no guard may block it."""
    return request.endpoint in (CONTINUE_ENDPOINT, SCRIPT_ENDPOINT)


def peek_session(app_state: AppState) -> Session | None:
    """Return the session of this request if an optional guard would accept it, or else ``None``.

    Ignores invalid sessions, failed claims and (with an ERROR in the log) an outage of the core, so that
    public pages stay up. Runs once per request, and writes nothing to ``g``: a guard of the same request
    still makes all of its checks.
    """
    request = this_request()
    state = request_state(request)
    if state.session is None and not state.has_peeked:
        state.has_peeked = True
        try:
            guard = guard_of(app_state, OPTIONAL)
            look = guard.session_by_override if app_state.overrides_get_session else guard.checked_session
            state.peeked = look(request, state, promotes=False)
        except CoreUnavailableError as error:
            logger.error("current_session is empty, because the core is unavailable: %s", error)
        except SessionHTTPError as error:
            expire_strays(app_state, error)
            logger.debug("current_session is empty: %s (%s)", error, error.reason)
    return state.session or state.peeked


def holds_good_token(app_state: AppState) -> bool:
    """Return whether this request's access token is valid, without the checks of guards."""
    request = this_request()
    if request_state(request).session is not None:
        return True
    try:
        allowed = allowed_transfer(app_state.config, request, for_create_new_session=False)
        names = app_state.config.cookie_names
        token, method = verified_token(request.environ, names, allowed, app_state.manager)
        if token is None:
            return False
        app_state.manager.verify(token, transfer_method=method, ask_core=False)
    except SessionHTTPError:
        return False
    return True


def record_verdict(app_state: AppState, error: SessionHTTPError) -> None:
    """Record a verdict once: clear the client if it says so, set its status, log it, send its signal."""
    request = this_request()
    state = request_state(request)
    if state.refused is error:
        return
    state.refused = error
    if error.clear_tokens:
        state.changes.end_session()
    expire_strays(app_state, error)
    announce_verdict(
        app_state.config,
        error,
        sender=app_state.app,
        asked=f"{request.method} {request.path!r}",
        session=state.session,
        level=logging.WARNING if is_in_development(app_state.app) else logging.INFO,
    )


def expire_strays(app_state: AppState, error: SessionHTTPError) -> None:
    """Expire the stray cookies that made verification fail."""
    if error.reason not in (Reason.DUPLICATE_COOKIES, Reason.LEGACY_SESSION):
        return
    request = this_request()
    changes = request_state(request).changes
    if (
        changes.strays is None
        and isinstance(error, TryRefreshTokenError)
        and not is_of_another_site(app_state.config, request)
    ):
        sent = read_tokens(request.environ, app_state.config.cookie_names)
        allowed = allowed_transfer(app_state.config, request, for_create_new_session=False)
        changes.strays = strays_of(app_state.config, request, sent, allowed)
        if changes.strays is not None:
            warn_of(changes.strays)


def check_tenant(app_state: AppState, session: Session, tenant: str | None) -> None:
    """Refuse a session of another tenant than that of the guard or the app.

    :param tenant: of the guard; ``None``: the app's ``get_tenant_id()``.
    :raises InvalidClaimsError: a 403, because a 401 makes the frontend SDKs refresh again and again.
    """
    if tenant is None:
        tenant = app_state.extension.get_tenant_id()
    if tenant is not None:
        session.require_tenant(tenant)


def validators_for(
    app_state: AppState, session: Session, options: VerifyOptions
) -> list[SessionClaimValidator]:
    """Return the validators to run: the global ones, as overridden, and those of the guard."""
    if options.needs_auth_time:
        app_state.extension.require_auth_time()
    validators = app_state.extension.global_validators_for(session)
    override = options.override_global_claim_validators
    if override is not None:
        ensure_sync = app_state.manager.ensure_sync
        validators = overridden(validators, override, session, session.context(), ensure_sync=ensure_sync)
    return [*validators, *options.validators] if options.validators else validators
