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
from ..claims.builtin import AuthTimeClaim
from ..claims.validation import overridden
from ..constants import ANTI_CSRF_HEADER, RID_HEADER, TransferMethod
from ..errors import (
    ConfigError,
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
from .context import RequestState, publish, state_of, this_request
from .navigation import CONTINUE_ENDPOINT, SCRIPT_ENDPOINT
from .transport import RequestTokens, allowed_transfer, read_tokens

if TYPE_CHECKING:
    from flask import Request

    from ..claims.base import SessionClaimValidator
    from ..extension import STSession
    from ..sessions.session import Session
    from ..tokens.access_token import AccessToken

logger = logging.getLogger("flask_stsession")

#: ``f(global_validators, session, user_context)`` that answers the validators to run.
OverrideValidators = Callable[
    [list["SessionClaimValidator"], "Session", dict[str, Any]], "Sequence[SessionClaimValidator]"
]


@dataclass(frozen=True)
class VerifyOptions:
    """What a guard asks of a session; see :func:`~flask_stsession.verify_session`."""

    anti_csrf_check: bool | None = None
    session_required: bool = True
    check_database: bool | None = None
    override_global_claim_validators: OverrideValidators | None = None
    validators: tuple[SessionClaimValidator, ...] = ()
    max_auth_age: float | None = None
    tenant: str | None = None
    ignore_invalid: bool = False
    allow_revoked: bool = False
    user_context: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.ignore_invalid and self.session_required:
            raise ConfigError(
                "ignore_invalid=True turns an invalid session into none, which a required session cannot be; "
                "write session_required=False, ignore_invalid=True."
            )


REQUIRED = VerifyOptions()
#: What our own routes ask for: a session, whatever it proves.
SESSION_ONLY = VerifyOptions(override_global_claim_validators=lambda *_: [])
#: What sign-out asks for: signing out twice is no error.
SESSION_TO_END = VerifyOptions(override_global_claim_validators=lambda *_: [], allow_revoked=True)


def load_session(ext: STSession, options: VerifyOptions = REQUIRED) -> Session | None:
    """The session of the current request, checked as ``options`` say, and written to ``g.session``.

    The token is verified once per request, however many guards there are.

    :returns: ``None`` where a session is optional and there is none.
    :raises SessionHTTPError: the verdict, with what it clears on the client already recorded.
    """
    request = this_request()
    if request.method == "OPTIONS":
        return None  # preflights carry no tokens (Fetch standard, CORS protocol)
    if request.endpoint in (CONTINUE_ENDPOINT, SCRIPT_ENDPOINT):
        return None  # they renew an expired token, also where a ``before_request`` function guards everything
    state = state_of(request)
    state.consulted = True
    if options.user_context:
        state.context.update(options.user_context)
    try:
        if request.method == "POST" and request.path == ext.refresh_route:
            return ext.refresh_session() if state.session is None else state.session
        session = _checked_session(ext, request, state, options)
    except SessionHTTPError as error:
        invalid = isinstance(error, UnauthorisedError | TryRefreshTokenError)
        if options.ignore_invalid and invalid:
            session = None
        else:
            refuse(ext, error)
            raise
    if session is not None:
        if state.session is None:
            state.session = session
            session.attach(state.changes)
            if signals.session_verified.receivers:
                signals.session_verified.send(ext.app, session=session)
        publish(session)
    return session


def required_session(ext: STSession, options: VerifyOptions = REQUIRED) -> Session:
    """As :func:`load_session`, where there must be one.

    :raises UnauthorisedError: also for OPTIONS, which is not checked and so has no session.
    """
    session = load_session(ext, options)
    if session is None:
        raise _no_token(read_tokens(this_request().environ))
    return session


def peek_session(ext: STSession) -> Session | None:
    """Whose request this is, for ``current_session``: optional, invalid ignored, no anti-CSRF, no core call.

    Looked up once per request. Writes nothing to ``g``, so a guard of the same request still makes all of
    its checks.
    """
    request = this_request()
    state = state_of(request)
    state.consulted = True
    if state.session is None and not state.has_peeked:
        state.peeked = _unguarded_session(ext, request, state)
        state.has_peeked = True
    return state.session or state.peeked


def _unguarded_session(ext: STSession, request: Request, state: RequestState) -> Session | None:
    try:
        token, method = _verified_token(ext, request, read_tokens(request.environ))
        if token is None:
            return None
        session = ext.manager.verify(token, transfer_method=method, context=state.context, ask_core=False)
    except (UnauthorisedError, TryRefreshTokenError):
        return None
    session.attach(state.changes)
    return session


def refuse(ext: STSession, error: SessionHTTPError) -> None:
    """Record a verdict: what it clears on the client, its status, a log record and a signal. Once."""
    request = this_request()
    state = state_of(request)
    if state.refused is error:
        return
    state.refused = error
    state.consulted = True
    if error.clear_tokens:
        state.changes.end_session()
    if isinstance(error, CoreUnavailableError):
        logger.error("503 for %s %s: %s (%s)", request.method, request.path, error, error.reason)
        signals.core_unavailable.send(ext.app, error=error, reason=error.reason)
        return
    is_plain = error.code == type(error).code  # not told ``status=``
    if is_plain and isinstance(error, InvalidClaimsError):
        error.code = ext.config.invalid_claim_status_code
    elif is_plain and isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError):
        error.code = ext.config.session_expired_status_code
    logger.info("%s for %s %s: %s (%s)", error.code, request.method, request.path, error, error.reason)
    if isinstance(error, InvalidClaimsError):
        signals.claims_invalid.send(ext.app, session=state.session, error=error)
    elif isinstance(error, UnauthorisedError | TryRefreshTokenError | TokenTheftError):
        signals.verification_failed.send(ext.app, error=error, reason=error.reason)


def _checked_session(
    ext: STSession, request: Request, state: RequestState, options: VerifyOptions
) -> Session | None:
    session = state.session
    if session is None:
        session = _verified_session(ext, request, state, options)
        if session is None:
            return None
    else:
        _check_again(ext, request, session, options)
    tenant = options.tenant or ext.get_tenant_id()
    if tenant is not None and tenant != session.get_tenant_id():
        raise UnauthorisedError(
            f"The session is of the tenant {session.get_tenant_id()!r}, not of {tenant!r}.",
            reason=Reason.TENANT_MISMATCH,
            clear_tokens=False,
        )
    validators = validators_for(ext, session, options)
    if validators:
        try:
            session.assert_claims(validators)
        except InvalidClaimsError:
            # What was fetched is stored in the session, but a 403 carries no tokens.
            state.changes.withdraw(session.get_handle())
            raise
    return session


def _verified_session(
    ext: STSession, request: Request, state: RequestState, options: VerifyOptions
) -> Session | None:
    sent = read_tokens(request.environ)
    token, method = _verified_token(ext, request, sent)
    if token is None or method is None:
        if not options.session_required:
            return None
        raise _no_token(sent)
    if method == "cookie" and (request.method != "GET" or options.anti_csrf_check):
        _check_anti_csrf(ext, request, token, options.anti_csrf_check)
    return ext.manager.verify(
        token,
        check_database=_checks_database(ext, options),
        enable_anti_csrf=method == "cookie" and ext.config.anti_csrf == "VIA_TOKEN",
        transfer_method=method,
        context=state.context,
        allow_revoked=options.allow_revoked,
    )


def _verified_token(
    ext: STSession, request: Request, sent: RequestTokens
) -> tuple[AccessToken | None, TransferMethod | None]:
    """The token that counts: the header's if it is a session's at all, else the cookie's (FDI)."""
    if sent.legacy:
        raise TryRefreshTokenError(
            "The request carries a session of an SDK older than 2022 (cookie sIdRefreshToken); refreshing "
            "ends that.",
            reason=Reason.LEGACY_SESSION,
        )
    verify = ext.manager.verifier.verify
    allowed = allowed_transfer(ext.config, request, for_create_new_session=False)
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
            "What came in the place of an access token is none of a session.",
            reason=Reason.MALFORMED,
            clear_tokens=False,
        )
    return UnauthorisedError(
        "The request carries no access token.", reason=Reason.NO_TOKEN, clear_tokens=False
    )


def _check_again(ext: STSession, request: Request, session: Session, options: VerifyOptions) -> None:
    """What a further guard of the same request asks for beyond what the session has passed already."""
    if session.transfer_method == "cookie" and not session.is_new:
        _check_anti_csrf(ext, request, session.access_token, options.anti_csrf_check)
    if _checks_database(ext, options) and not session.database_checked:
        ext.manager.check_database(session, enable_anti_csrf=ext.config.anti_csrf == "VIA_TOKEN")


def _checks_database(ext: STSession, options: VerifyOptions) -> bool:
    return ext.config.check_database if options.check_database is None else options.check_database


def _check_anti_csrf(
    ext: STSession, request: Request, token: AccessToken, anti_csrf_check: bool | None
) -> None:
    origin = origin_of_api(request)
    mode = ext.config.decisions(origin).anti_csrf
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
        allowed_origins=ext.config.trusted_origins(origin),
    )


def origin_of_api(request: Request) -> str:
    """Scheme and host of this request, as its client wrote them."""
    environ = request.environ
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or request.host}"


def validators_for(ext: STSession, session: Session, options: VerifyOptions) -> list[SessionClaimValidator]:
    """What the session has to satisfy: the global validators, as overridden, and those of the guard."""
    validators = ext.global_validators_for(session)
    override = options.override_global_claim_validators
    if override is not None:
        context = session.context()
        validators = overridden(validators, override, session, context, ensure_sync=ext.manager.ensure_sync)
    if options.validators:
        validators = [*validators, *options.validators]
    if options.max_auth_age is not None:
        ext.require_auth_time()
        validators = [*validators, AuthTimeClaim.validators.max_auth_age(options.max_auth_age)]
    return validators
