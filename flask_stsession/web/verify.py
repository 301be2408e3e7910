"""The session of a request: verified once, with the checks that each guard asks for.

Reads top to bottom: :func:`load_session` takes the tokens off the request, has the manager verify
them, runs the claims, and only then writes ``g.session``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import signals
from ..claims.validation import overridden
from ..constants import ANTI_CSRF_HEADER, RID_HEADER, TENANT_VALIDATOR, TransferMethod
from ..errors import (
    ClaimValidationError,
    CoreUnavailableError,
    InvalidClaimsError,
    Reason,
    SessionHTTPError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from ..tokens import access_token as tokens
from . import csrf
from .context import RequestState, origin_of_api, publish, request_state, this_request
from .navigation import CONTINUE_ENDPOINT, SCRIPT_ENDPOINT
from .transport import RequestTokens, allowed_transfer, read_tokens

if TYPE_CHECKING:
    from flask import Request

    from ..claims.base import SessionClaimValidator
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken
    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")

#: ``f(global_validators, session, user_context)`` that returns the validators to run.
OverrideValidators = Callable[
    [list["SessionClaimValidator"], "Session", dict[str, Any]], "Sequence[SessionClaimValidator]"
]


@dataclass(frozen=True, eq=False)
class VerifyOptions:
    """What a guard asks of a session; see :func:`~flask_stsession.verify_session`."""

    anti_csrf_check: bool | None = None
    session_required: bool = True
    check_database: bool | None = None
    override_global_claim_validators: OverrideValidators | None = None
    validators: tuple[SessionClaimValidator, ...] = ()
    #: Is one of the validators about the time of the login?
    needs_auth_time: bool = False
    tenant: str | None = None
    ignore_invalid: bool = False
    allow_revoked: bool = False
    user_context: Mapping[str, Any] | None = None


REQUIRED = VerifyOptions()
#: What our own routes ask for: a session, whatever it proves.
SESSION_ONLY = VerifyOptions(override_global_claim_validators=lambda *_: [])
#: What sign-out asks for: signing out twice is no error.
SESSION_TO_END = VerifyOptions(override_global_claim_validators=lambda *_: [], allow_revoked=True)
#: What ``current_session`` asks for: an optional guard that ignores invalid sessions.
OPTIONAL = VerifyOptions(session_required=False, ignore_invalid=True)


def load_session(app_state: AppState, options: VerifyOptions = REQUIRED) -> Session | None:
    """Verify the session of the current request as ``options`` say, and write it to ``g.session``.

    The token is verified once per request, however many guards there are.

    :returns: ``None`` where a session is optional and there is none.
    :raises SessionHTTPError: the verdict, with what it clears on the client already recorded.
    """
    request = this_request()
    state = request_state(request)
    state.consulted = True
    if options.user_context:
        state.context.update(options.user_context)
    try:
        if request.method == "POST" and request.path == app_state.refresh_route:
            return app_state.extension.refresh_session() if state.session is None else state.session
        session = _checked_session(app_state, request, state, options)
    except SessionHTTPError as error:
        invalid = isinstance(error, UnauthorisedError | TryRefreshTokenError)
        if not (options.ignore_invalid and invalid):
            record_verdict(app_state, error)
            raise
        session = None
    if session is not None:
        if state.session is None:
            state.session = session
            session.attach(state.changes)
            if signals.session_verified.receivers:
                signals.session_verified.send(app_state.app, session=session)
        publish(session)
    return session


def required_session(app_state: AppState, options: VerifyOptions = REQUIRED) -> Session:
    """Do as :func:`load_session` does where a session is required.

    :raises SessionHTTPError: there is none.
    """
    session = load_session(app_state, options)
    if session is None:
        raise _no_token(read_tokens(this_request().environ, app_state.config.cookie_names))
    return session


def renews_by_itself(request: Request) -> bool:
    """Return whether this is a route of ours that renews an expired token, which no guard may stop."""
    return request.endpoint in (CONTINUE_ENDPOINT, SCRIPT_ENDPOINT)


def peek_session(app_state: AppState) -> Session | None:
    """Return the session of this request, or ``None``: what an optional guard would let pass.

    Ignores invalid sessions, failed claims and (with an ERROR in the log) an outage of the core, so that
    public pages stay up. Runs once per request, and writes nothing to ``g``: a guard of the same request
    still makes all of its checks.
    """
    request = this_request()
    state = request_state(request)
    state.consulted = True
    if state.session is None and not state.has_peeked:
        state.has_peeked = True
        try:
            state.peeked = _checked_session(app_state, request, state, OPTIONAL, promotes=False)
        except CoreUnavailableError as error:
            logger.error("current_session is empty, because the core is unavailable: %s", error)
        except SessionHTTPError as error:
            logger.debug("current_session is empty: %s (%s)", error, error.reason)
        if state.peeked is not None:
            state.peeked.attach(state.changes)
    return state.session or state.peeked


def holds_good_token(app_state: AppState) -> bool:
    """Return whether this request's access token is genuine and alive, whatever guards would say of it."""
    request = this_request()
    if request_state(request).session is not None:
        return True
    try:
        token, method = _verified_token(
            app_state, request, read_tokens(request.environ, app_state.config.cookie_names)
        )
        if token is None:
            return False
        app_state.manager.verify(token, transfer_method=method, ask_core=False)
    except SessionHTTPError:
        return False
    return True


def record_verdict(app_state: AppState, error: SessionHTTPError) -> None:
    """Record a verdict once: what it clears on the client, its status, a log record and a signal."""
    request = this_request()
    state = request_state(request)
    if state.refused is error:
        return
    state.refused = error
    state.consulted = True
    if error.clear_tokens:
        state.changes.end_session()
    if isinstance(error, CoreUnavailableError):
        logger.error("503 for %s %r: %s (%s)", request.method, request.path, error, error.reason)
        signals.core_unavailable.send(app_state.app, error=error, reason=error.reason)
        return
    is_plain = error.code == type(error).code  # not given ``status=``
    if is_plain and isinstance(error, InvalidClaimsError):
        error.code = app_state.config.invalid_claim_status_code
    elif is_plain and isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError):
        error.code = app_state.config.session_expired_status_code
    logger.info("%s for %s %r: %s (%s)", error.code, request.method, request.path, error, error.reason)
    if isinstance(error, InvalidClaimsError):
        signals.claims_invalid.send(app_state.app, session=state.session, error=error)
    elif isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError):
        signals.verification_failed.send(app_state.app, error=error, reason=error.reason)


def check_tenant(app_state: AppState, session: Session, tenant: str | None) -> None:
    """Refuse the session of another tenant than the guard or the app names.

    :param tenant: of the guard; ``None``: the app's ``get_tenant_id()``.
    :raises InvalidClaimsError: a 403, because a 401 makes the frontend SDKs refresh again and again.
    """
    if tenant is None:
        tenant = app_state.extension.get_tenant_id()
    found = session.get_tenant_id()
    if tenant is None or tenant == found:
        return
    reason = {"message": "wrong value", "expectedValue": tenant, "actualValue": found}
    raise InvalidClaimsError(
        f"The session belongs to the tenant {found!r}, not to {tenant!r}.",
        [ClaimValidationError(TENANT_VALIDATOR, reason)],
        reason=Reason.TENANT_MISMATCH,
    )


def validators_for(
    app_state: AppState, session: Session, options: VerifyOptions
) -> list[SessionClaimValidator]:
    """Return what the session has to satisfy: the global validators, as overridden, and the guard's."""
    if options.needs_auth_time:
        app_state.extension.require_auth_time()
    validators = app_state.extension.global_validators_for(session)
    override = options.override_global_claim_validators
    if override is not None:
        ensure_sync = app_state.manager.ensure_sync
        validators = overridden(validators, override, session, session.context(), ensure_sync=ensure_sync)
    return [*validators, *options.validators] if options.validators else validators


def _checked_session(
    app_state: AppState,
    request: Request,
    state: RequestState,
    options: VerifyOptions,
    *,
    promotes: bool = True,
) -> Session | None:
    session = state.session
    if session is None:
        session = _verified_session(app_state, request, state, options, promotes=promotes)
        if session is None:
            return None
    else:
        _check_again(app_state, request, session, options)
    check_tenant(app_state, session, options.tenant)
    validators = validators_for(app_state, session, options)
    if validators:
        try:
            session.assert_claims(validators)
        except InvalidClaimsError:
            # What was fetched is stored in the session, but a 403 carries no tokens.
            state.changes.withdraw(session.get_handle())
            raise
    return session


def _verified_session(
    app_state: AppState, request: Request, state: RequestState, options: VerifyOptions, *, promotes: bool
) -> Session | None:
    sent = read_tokens(request.environ, app_state.config.cookie_names)
    token, method = _verified_token(app_state, request, sent)
    if token is None or method is None:
        if not options.session_required:
            return None
        raise _no_token(sent)
    if method == "cookie" and (request.method != "GET" or options.anti_csrf_check):
        _check_anti_csrf(app_state, request, token, options.anti_csrf_check)
    checks_database = _checks_database(app_state, options)
    return app_state.manager.verify(
        token,
        check_database=checks_database,
        enable_anti_csrf=method == "cookie" and app_state.config.anti_csrf == "VIA_TOKEN",
        transfer_method=method,
        context=state.context,
        allow_revoked=options.allow_revoked,
        ask_core=promotes or checks_database,
    )


def _verified_token(
    app_state: AppState, request: Request, sent: RequestTokens
) -> tuple[AccessToken | None, TransferMethod | None]:
    """Return the token that counts: the header's if it is a session's at all, else the cookie's (FDI)."""
    if sent.legacy:
        raise TryRefreshTokenError(
            "The request carries a session of an SDK older than 2022 (cookie sIdRefreshToken); refreshing "
            "ends that.",
            reason=Reason.LEGACY_SESSION,
        )
    verify = app_state.manager.verifier.verify
    allowed = allowed_transfer(app_state.config, request, for_create_new_session=False)
    if sent.bearer is not None and allowed != "cookie":
        token = verify(sent.bearer)
        if token is not None:
            return token, "header"
    if sent.access_cookies and allowed != "header":
        if len(sent.access_cookies) > 1:
            if any(tokens.parse(value) is not None for value in sent.access_cookies):
                raise TryRefreshTokenError(
                    "The request carries several sAccessToken cookies, left over from another cookie domain; "
                    "refreshing clears them.",
                    reason=Reason.DUPLICATE_COOKIES,
                )
            return None, None
        token = verify(sent.access_cookies[0])
        if token is not None:
            return token, "cookie"
    return None, None


def _no_token(sent: RequestTokens) -> UnauthorisedError:
    """Nothing is cleared: another request of the same client may just be refreshing."""
    candidates = [sent.bearer, *sent.access_cookies]
    if any(value and tokens.parse(value) is not None for value in candidates):
        return UnauthorisedError(
            "The access token came by a transfer method that STSESSION_TOKEN_TRANSFER_METHOD does not allow.",
            reason=Reason.WRONG_TRANSFER,
            clear_tokens=False,
        )
    if any(candidates):
        return UnauthorisedError(
            "The value sent as access token is not a session token.",
            reason=Reason.MALFORMED,
            clear_tokens=False,
        )
    return UnauthorisedError(
        "The request carries no access token.", reason=Reason.NO_TOKEN, clear_tokens=False
    )


def _check_again(app_state: AppState, request: Request, session: Session, options: VerifyOptions) -> None:
    """Check what a further guard of the same request asks for beyond what the session has passed already."""
    if session.transfer_method == "cookie" and not session.is_new:
        _check_anti_csrf(app_state, request, session.access_token, options.anti_csrf_check)
    if _checks_database(app_state, options) and not session.database_checked:
        app_state.manager.check_database(session, enable_anti_csrf=app_state.config.anti_csrf == "VIA_TOKEN")


def _checks_database(app_state: AppState, options: VerifyOptions) -> bool:
    return app_state.config.check_database if options.check_database is None else options.check_database


def _check_anti_csrf(
    app_state: AppState, request: Request, token: AccessToken, anti_csrf_check: bool | None
) -> None:
    origin = origin_of_api(request)
    mode = app_state.config.decisions(origin).anti_csrf
    headers = request.headers
    csrf.check(
        mode,
        method=request.method,
        anti_csrf_check=anti_csrf_check,
        anti_csrf_token=token.anti_csrf_token,
        anti_csrf_header=headers.get(ANTI_CSRF_HEADER),
        rid_present=RID_HEADER in headers,
        sec_fetch_site=headers.get("Sec-Fetch-Site"),
        origin=headers.get("Origin"),
        allowed_origins=app_state.config.trusted_origins(origin),
    )
