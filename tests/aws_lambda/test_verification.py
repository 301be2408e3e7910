"""Verifying the sessions of events: which checks are made, and when the core is asked."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from support.app_factory import NO_CORE
from support.lambda_events import gateway_event
from support.served_core import ServedCore

from flask_stsession import signals
from flask_stsession.aws_lambda.events import parse_event
from flask_stsession.aws_lambda.settings import read_settings
from flask_stsession.aws_lambda.verification import EventGuard, EventRecord, FunctionSessions
from flask_stsession.claims import (
    AllowedDomainsClaim,
    AuthTimeClaim,
    EmailVerificationClaim,
    MultiFactorAuthClaim,
    PermissionClaim,
    UserRoleClaim,
)
from flask_stsession.claims.base import ClaimValidationResult, SessionClaim, SessionClaimValidator
from flask_stsession.core import RoleCalls
from flask_stsession.errors import (
    ConfigError,
    CoreUnavailableError,
    InvalidClaimsError,
    Reason,
    TryRefreshTokenError,
    UnauthorisedError,
)
from flask_stsession.sessions.session import Session
from flask_stsession.web.options import verify_options

from .conftest import SignIn, hanging, with_time_left


def verified(
    function: dict[str, Any] | FunctionSessions,
    session: Session | None,
    *,
    by: str = "header",
    method: str = "GET",
    record: EventRecord | None = None,
    headers: dict[str, str] | None = None,
    context: dict[str, Any] | None = None,
    **options: Any,
) -> Session | None:
    """Verify an event that carries the token of a session."""
    given = function if isinstance(function, FunctionSessions) else FunctionSessions(read_settings(function))
    headers = dict(headers or {})
    cookies = {}
    if session is not None and by == "header":
        headers["Authorization"] = f"Bearer {session.get_access_token()}"
    elif session is not None:
        cookies["sAccessToken"] = session.get_access_token()
    event = gateway_event("http-2.0", method=method, headers=headers, cookies=cookies)
    event["requestContext"].update(context or {})
    guard = EventGuard(given, verify_options("test", **options))
    return guard.session(parse_event(event), record or EventRecord())


@pytest.mark.parametrize("by", ["header", "cookie"])
def test_a_session_is_verified_however_its_token_travels(
    function: dict[str, Any], sign_in: SignIn, by: str
) -> None:
    session = verified(function, sign_in("bob"), by=by)
    assert session is not None
    assert (session.get_user_id(), session.transfer_method) == ("bob", by)


def test_keys_are_fetched_once_however_many_events_there_are(
    function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    signed_in = [sign_in("alice"), sign_in("bob")]
    sessions = FunctionSessions(read_settings(function))
    served_core.counted()
    for session in signed_in * 3:
        verified(sessions, session)
    assert served_core.counted() == {"GET /.well-known/jwks.json": 1}


@pytest.mark.parametrize(
    ("transfer", "by", "reason"),
    [("cookie", "header", "wrong_transfer"), ("header", "cookie", "wrong_transfer")],
)
def test_only_the_allowed_transfer_method_counts(
    function: dict[str, Any], sign_in: SignIn, transfer: str, by: str, reason: str
) -> None:
    function["STSESSION_TOKEN_TRANSFER_METHOD"] = transfer
    with pytest.raises(UnauthorisedError) as caught:
        verified(function, sign_in(), by=by)
    assert caught.value.reason == reason


def test_a_function_may_choose_the_transfer_method_for_each_request(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    function["STSESSION_TOKEN_TRANSFER_METHOD"] = lambda request, for_create_new_session: request.headers.get(
        "x-way", "header"
    )
    session = sign_in()
    assert verified(function, session, by="cookie", headers={"x-way": "cookie"}) is not None
    with pytest.raises(UnauthorisedError):
        verified(function, session, by="cookie")


def test_such_a_function_is_given_the_request_as_in_a_flask_app(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    seen: list[Any] = []

    def choose(request: Any, for_create_new_session: bool) -> str:
        seen.append((request.method, request.path, request.headers.get("Authorization", "")[:7]))
        return "header"

    function["STSESSION_TOKEN_TRANSFER_METHOD"] = choose
    assert verified(function, sign_in()) is not None
    assert seen == [("GET", "/user", "Bearer ")]


def test_without_a_token_there_is_no_session(function: dict[str, Any]) -> None:
    with pytest.raises(UnauthorisedError) as caught:
        verified(function, None)
    assert (caught.value.reason, caught.value.clear_tokens) == (Reason.NO_TOKEN, False)
    assert verified(function, None, session_required=False) is None


def test_an_invalid_token_counts_as_none_only_where_that_is_asked_for(
    function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    served_core.makes_expired_tokens = True
    session = sign_in()
    with pytest.raises(TryRefreshTokenError) as caught:
        verified(function, session, session_required=False)
    assert caught.value.reason is Reason.EXPIRED
    assert verified(function, session, session_required=False, ignore_invalid=True) is None


def test_verdicts_have_their_configured_status(function: dict[str, Any], sign_in: SignIn) -> None:
    function["STSESSION_SESSION_EXPIRED_STATUS_CODE"] = 440
    with pytest.raises(UnauthorisedError) as caught:
        verified(function, None)
    assert caught.value.code == 440


def test_a_verdict_keeps_no_frame_with_a_token(function: dict[str, Any], sign_in: SignIn) -> None:
    with pytest.raises(InvalidClaimsError) as caught:
        verified(function, sign_in(), tenant="other")
    names = [entry.name for entry in caught.traceback]
    assert "_checked_session" not in names


# Anti-CSRF


@pytest.mark.parametrize(
    ("mode", "good", "reason"),
    [
        ("VIA_CUSTOM_HEADER", {"rid": "session"}, Reason.CSRF_MISSING),
        ("VIA_ORIGIN", {"Origin": "https://example.com"}, Reason.CSRF_MISSING),
    ],
)
def test_an_unsafe_request_by_cookie_must_come_from_us(
    function: dict[str, Any], sign_in: SignIn, mode: str, good: dict[str, str], reason: Reason
) -> None:
    function["STSESSION_ANTI_CSRF"] = mode
    sessions, session = FunctionSessions(read_settings(function)), sign_in()
    with pytest.raises(TryRefreshTokenError) as caught:
        verified(sessions, session, by="cookie", method="POST")
    assert caught.value.reason is reason
    assert verified(sessions, session, by="cookie", method="POST", headers=good) is not None
    assert verified(sessions, session, by="cookie", method="GET") is not None
    assert verified(sessions, session, by="header", method="POST") is not None
    with pytest.raises(TryRefreshTokenError):
        verified(sessions, session, by="cookie", method="GET", anti_csrf_check=True)
    assert verified(sessions, session, by="cookie", method="POST", anti_csrf_check=False) is not None


def test_the_anti_csrf_token_is_compared(function: dict[str, Any], sign_in: SignIn) -> None:
    function["STSESSION_ANTI_CSRF"] = "VIA_TOKEN"
    sessions, session = FunctionSessions(read_settings(function)), sign_in(anti_csrf=True)
    token = session.get_all_session_tokens_dangerously()["antiCsrfToken"]
    for headers in ({}, {"anti-csrf": "other"}):
        with pytest.raises(TryRefreshTokenError):
            verified(sessions, session, by="cookie", method="POST", headers=headers)
    good = {"anti-csrf": token}
    assert verified(sessions, session, by="cookie", method="POST", headers=good) is not None


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        ("https://example.com", True),
        ("https://api.example.com", True),
        ("https://evil.example", False),
        ("null", False),
        (None, False),
    ],
)
def test_a_socket_by_cookie_needs_an_origin_of_ours_whatever_the_mode(
    function: dict[str, Any], sign_in: SignIn, origin: str | None, passes: bool
) -> None:
    function["STSESSION_ANTI_CSRF"] = "NONE"
    headers = {} if origin is None else {"Origin": origin}
    connect = {"eventType": "CONNECT", "connectionId": "x"}
    session = sign_in()
    assert verified(function, session, headers=headers, context=connect) is not None
    if passes:
        assert verified(function, session, by="cookie", headers=headers, context=connect) is not None
        return
    with pytest.raises(UnauthorisedError) as caught:
        verified(function, session, by="cookie", headers=headers, context=connect)
    assert caught.value.reason in (Reason.CROSS_SITE, Reason.CSRF_MISSING)


def test_a_handshake_without_a_host_has_no_origin_of_its_own(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    connect = {"eventType": "CONNECT", "connectionId": "x", "domainName": None}
    headers = {"Host": "", "Origin": "None"}
    with pytest.raises(UnauthorisedError) as caught:
        verified(function, sign_in(), by="cookie", headers=headers, context=connect)
    assert caught.value.reason is Reason.CROSS_SITE


# What the core knows


def test_a_revoked_session_passes_until_the_database_is_checked(
    function: dict[str, Any], sign_in: SignIn, sessions: FunctionSessions
) -> None:
    session, record = sign_in(), EventRecord()
    sessions.manager.revoke([session.get_handle()])
    elsewhere = FunctionSessions(read_settings(function))
    assert verified(elsewhere, session) is not None
    with pytest.raises(UnauthorisedError):
        verified(elsewhere, session, check_database=True, record=record)
    assert record.changes.cleared == {"cookie", "header"}


def test_the_first_use_of_a_refreshed_token_makes_the_refresh_final_and_gives_a_new_token(
    function: dict[str, Any], sign_in: SignIn, sessions: FunctionSessions
) -> None:
    function["STSESSION_CDI_VERSION"] = "5.4"
    tokens = sign_in().get_all_session_tokens_dangerously()
    older = FunctionSessions(read_settings(function))
    refreshed = older.manager.refresh(tokens["refreshToken"])
    record = EventRecord()
    assert verified(function, refreshed, record=record) is not None
    assert record.changes.issued is not None
    assert record.changes.issued.access_token.raw != refreshed.get_access_token()


def test_an_outage_changes_nothing_on_the_client(sign_in: SignIn) -> None:
    record = EventRecord()
    with pytest.raises(CoreUnavailableError):
        verified(dict(NO_CORE), sign_in(), record=record)
    assert not record.pending


def test_the_calls_of_an_invocation_end_before_it_times_out(
    function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    session = sign_in()
    sessions = FunctionSessions(read_settings(function))
    served_core.counted()
    sessions.begin(with_time_left(500))
    with pytest.raises(CoreUnavailableError, match="time in which it had to respond is over"):
        verified(sessions, session)
    assert served_core.counted() == {}
    sessions.begin(with_time_left(30_000))
    assert verified(sessions, session) is not None


def test_an_invocation_that_was_short_of_time_makes_no_later_one_fail(
    function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    session = sign_in()
    sessions = FunctionSessions(read_settings(function))
    verified(sessions, session)
    sessions.begin(with_time_left(700))
    with (
        hanging(served_core),
        pytest.raises(CoreUnavailableError, match="No more time was left: earlier calls took long, or"),
    ):
        verified(sessions, session, check_database=True)
    sessions.begin(with_time_left(30_000))
    assert verified(sessions, session, check_database=True) is not None


def test_waiting_for_keys_ends_before_the_invocation_times_out(
    function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    function["STSESSION_JWKS_REFRESH_SECONDS"] = 0.01
    session = sign_in()
    sessions = FunctionSessions(read_settings(function))
    verified(sessions, session)
    time.sleep(0.01)
    with hanging(served_core):
        started = time.monotonic()
        sessions.begin(with_time_left(600))
        assert verified(sessions, session) is not None, "by the keys that it has"
        assert time.monotonic() - started < 0.9


@pytest.mark.parametrize("context", [None, object(), Mock(), MagicMock()])
def test_a_context_without_a_remaining_time_sets_no_limit(
    function: dict[str, Any], sign_in: SignIn, context: object
) -> None:
    sessions = FunctionSessions(read_settings(function))
    sessions.begin(context)
    assert verified(sessions, sign_in()) is not None


# Claims


def test_roles_and_permissions_are_fetched_from_the_core(
    function: dict[str, Any], sign_in: SignIn, sessions: FunctionSessions
) -> None:
    client = sessions.manager.client
    RoleCalls(client).create_role("editor", ["blog:write"])
    RoleCalls(client).add_role_to_user("alice", "editor")
    record = EventRecord()
    session = verified(function, sign_in(), roles="editor", permissions=["blog:write"], record=record)
    assert session is not None
    assert session.get_claim_value(UserRoleClaim) == ["editor"]
    assert session.get_claim_value(PermissionClaim) == ["blog:write"]
    assert record.changes.issued is not None, "the client gets the token that carries them"
    with pytest.raises(InvalidClaimsError) as caught:
        verified(function, sign_in("bob"), roles="editor")
    assert [error.id for error in caught.value.payload] == ["st-role"]


def test_a_refusal_sends_no_token_with_fetched_claims(function: dict[str, Any], sign_in: SignIn) -> None:
    record = EventRecord()
    with pytest.raises(InvalidClaimsError):
        verified(function, sign_in(), roles="editor", record=record)
    assert record.pending is not None
    assert record.pending.issued is None


def test_a_session_of_another_tenant_is_refused(function: dict[str, Any], sign_in: SignIn) -> None:
    session = sign_in()
    assert verified(function, session, tenant="public") is not None
    with pytest.raises(InvalidClaimsError) as caught:
        verified(function, session, tenant="other")
    assert caught.value.reason is Reason.TENANT_MISMATCH


def test_an_override_chooses_the_validators(function: dict[str, Any], sign_in: SignIn) -> None:
    seen: list[Any] = []

    def override(validators: Any, session: Session, context: dict[str, Any]) -> Any:
        seen.append((list(validators), session.get_user_id(), context["mark"]))
        return [*validators, UserRoleClaim.validators.includes("admin")]

    with pytest.raises(InvalidClaimsError):
        verified(
            function, sign_in(), override_global_claim_validators=override, user_context={"mark": "here"}
        )
    assert seen == [([], "alice", "here")]


def test_email_verification_needs_a_function_that_returns_addresses(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    check = [EmailVerificationClaim.validators.is_verified()]
    with pytest.raises(ConfigError, match="pass get_email=f with the other options"):
        verified(function, sign_in(), validators=check)
    asked: list[tuple[str, str]] = []

    def get_email(user_id: str, tenant_id: str) -> str:
        asked.append((user_id, tenant_id))
        return "alice@example.com"

    with pytest.raises(InvalidClaimsError):
        verified(FunctionSessions(read_settings(function), get_email=get_email), sign_in(), validators=check)
    assert asked == [("alice", "public")]


def test_a_signal_is_sent_for_each_verified_session(function: dict[str, Any], sign_in: SignIn) -> None:
    sessions, received = FunctionSessions(read_settings(function)), []

    def receive(sender: object, session: Session, **extra: object) -> None:
        received.append((sender, session.get_user_id()))

    with signals.session_verified.connected_to(receive):
        verified(sessions, sign_in())
    assert received == [(sessions, "alice")]


def test_asynchronous_functions_are_refused_when_they_are_given(
    function: dict[str, Any],
) -> None:
    async def later(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(TypeError) as caught:
        FunctionSessions(read_settings(function), get_email=later)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "get_email must not be async, as its result is not awaited: write def, not async def."
    )
    sessions = FunctionSessions(read_settings(function))
    with pytest.raises(TypeError, match=r"^override_global_claim_validators must not be async"):
        EventGuard(sessions, verify_options("test", override_global_claim_validators=later))  # type: ignore[arg-type]


def test_login_factors_are_those_of_the_token_and_a_session_without_them_is_refused(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    check = [MultiFactorAuthClaim.validators.has_completed_mfa_requirements_for_auth()]
    session = sign_in()
    for validators in (check, [AllowedDomainsClaim.validators.includes("example.com")]):
        with pytest.raises(InvalidClaimsError):
            verified(function, session, validators=validators)
    session.set_claim_value(MultiFactorAuthClaim, {"c": {"totp": 7}, "v": True})
    assert verified(function, session, validators=check) is not None


def test_a_completed_factor_counts_by_its_name_but_only_an_app_says_that_a_login_has_enough(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    signed_in = sign_in()
    session = verified(function, signed_in)
    assert session is not None
    session.complete_factor("totp")
    by_name = [MultiFactorAuthClaim.validators.has_completed_requirement_list(["totp"])]
    assert verified(function, session, validators=by_name) is not None
    check = [MultiFactorAuthClaim.validators.has_completed_mfa_requirements_for_auth()]
    with pytest.raises(InvalidClaimsError):
        verified(function, session, validators=check)
    session.set_claim_value(MultiFactorAuthClaim, {"c": {"totp": 7}, "v": True})  # as the app has said before
    session.complete_factor("otp-email")
    session.fetch_and_set_claim(MultiFactorAuthClaim)
    assert verified(function, session, validators=check) is not None
    value = session.get_claim_value(MultiFactorAuthClaim)
    assert (sorted(value.c), value.v) == (["otp-email", "totp"], True)


class _Passing(SessionClaimValidator):
    """Fetches its claim, and lets every session pass."""

    def __init__(self, claim: SessionClaim[Any]) -> None:
        super().__init__(claim.key)
        self.claim = claim

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        return True

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(True)


#: Every public method of a session, with arguments.
_METHODS: list[tuple[str, tuple[Any, ...]]] = [
    ("get_handle", ()),
    ("get_user_id", ()),
    ("get_recipe_user_id", ()),
    ("get_tenant_id", ()),
    ("get_access_token", ()),
    ("get_access_token_payload", ()),
    ("get_all_session_tokens_dangerously", ()),
    ("is_valid", ()),
    ("get_session_data_from_database", ()),
    ("update_session_data_in_database", ({"a": 1},)),
    ("get_time_created", ()),
    ("get_expiry", ()),
    ("merge_into_access_token_payload", ({"a": 1},)),
    ("complete_factor", ("totp",)),
    ("revoke_session", ()),
    *[
        (method, arguments)
        for claim in (
            AllowedDomainsClaim,
            AuthTimeClaim,
            EmailVerificationClaim,
            MultiFactorAuthClaim,
            PermissionClaim,
            UserRoleClaim,
        )
        for method, arguments in (
            ("get_claim_value", (claim,)),
            ("set_claim_value", (claim, None)),
            ("fetch_and_set_claim", (claim,)),
            ("remove_claim", (claim,)),
            ("assert_claims", ([_Passing(claim)],)),
        )
    ],
]


#: Methods for the rest of the package.
_INTERNAL = {
    "send_with",
    "context",
    "replace_access_token",
    "replace_payload",
    "require_tenant",
    "clear_on_client",
    "end_on_client",
    "refuse_late_change",
}


def test_the_list_of_methods_is_complete() -> None:
    names = {name for name in dir(Session) if callable(getattr(Session, name))}
    public = {name for name in names if not name.startswith(("_", "sync_"))}
    assert public - _INTERNAL == {name for name, _ in _METHODS}


@pytest.mark.parametrize(("method", "arguments"), _METHODS)
def test_every_method_of_a_session_works_without_an_app(
    function: dict[str, Any], sign_in: SignIn, method: str, arguments: tuple[Any, ...]
) -> None:
    sessions = FunctionSessions(read_settings(function), get_email=lambda user_id, tenant_id: None)
    session = verified(sessions, sign_in())
    assert session is not None
    getattr(session, method)(*arguments)
