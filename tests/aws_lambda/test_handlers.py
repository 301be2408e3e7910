"""Lambda handlers behind a guard, without Flask."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from support.app_factory import NO_CORE
from support.lambda_events import (
    GATEWAYS,
    cookies_of,
    gateway_event,
    header_of,
    json_values,
    spoilt_events,
)
from support.served_core import ServedCore

from flask_stsession import aws_lambda, signals
from flask_stsession.aws_lambda import error_response, verify_session_event
from flask_stsession.aws_lambda.events import EventError
from flask_stsession.aws_lambda.settings import read_settings
from flask_stsession.aws_lambda.verification import FunctionSessions
from flask_stsession.claims import EmailVerificationClaim, UserRoleClaim
from flask_stsession.errors import (
    ConfigError,
    CoreError,
    CoreUnavailableError,
    InvalidClaimsError,
    SessionDoesNotExistError,
    SessionHTTPError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from flask_stsession.sessions.new_session import NewSession
from flask_stsession.sessions.session import Session

from .conftest import WEBSITE, SignIn


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Origin": WEBSITE}


def user(event: dict[str, Any], context: object) -> dict[str, Any]:
    """The handler of the SuperTokens documentation."""
    session = event["session"]
    body = {
        "sessionHandle": session.get_handle(),
        "userId": session.get_user_id(),
        "accessTokenPayload": session.get_access_token_payload(),
    }
    return {"statusCode": 200, "body": json.dumps(body)}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_handler_finds_the_session_in_its_event(
    function: dict[str, Any], sign_in: SignIn, gateway: str
) -> None:
    session = sign_in(team="red")
    event = gateway_event(gateway, headers=bearer(session.get_access_token()))
    response = verify_session_event(function)(user)(event, None)
    body = json.loads(response["body"])
    assert (body["userId"], body["sessionHandle"]) == ("alice", session.get_handle())
    assert body["accessTokenPayload"]["team"] == "red"
    assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE
    assert header_of(response, "Access-Control-Allow-Credentials") == "true"
    assert "front-token" in (header_of(response, "Access-Control-Expose-Headers") or "")
    assert header_of(response, "Vary") == "Cookie, Authorization, Origin"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_request_without_a_session_is_a_401_and_the_handler_does_not_run(
    function: dict[str, Any], gateway: str
) -> None:
    ran: list[object] = []
    handler = verify_session_event(function)(lambda event, context: ran.append(event))
    response = handler(gateway_event(gateway, headers={"Origin": WEBSITE}), None)
    assert (response["statusCode"], json.loads(response["body"])) == (401, {"message": "unauthorised"})
    assert header_of(response, "Content-Type") == "application/json"
    assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE
    assert ran == []


def test_failed_claims_are_a_403_with_their_reasons(function: dict[str, Any], sign_in: SignIn) -> None:
    handler = verify_session_event(function, roles="admin")(user)
    response = handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None)
    body = json.loads(response["body"])
    assert (response["statusCode"], body["message"]) == (403, "invalid claim")
    assert [error["id"] for error in body["claimValidationErrors"]] == ["st-role"]
    assert header_of(response, "st-access-token") is None


def test_an_outage_is_a_503_that_says_when_to_try_again(sign_in: SignIn) -> None:
    handler = verify_session_event({**NO_CORE, "STSESSION_WEBSITE_DOMAIN": WEBSITE})(user)
    response = handler(gateway_event("http-2.0", headers=bearer(sign_in().get_access_token())), None)
    assert response["statusCode"] == 503
    assert json.loads(response["body"]) == {"message": "session service unavailable"}
    assert header_of(response, "Retry-After") == "5"
    assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE
    assert cookies_of(response) == []


def test_an_optional_session_is_none_where_there_is_none(function: dict[str, Any]) -> None:
    seen: list[object] = []

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        seen.append(event["session"])
        return {"statusCode": 200, "body": ""}

    verify_session_event(function, session_required=False)(handler)(gateway_event("rest"), None)
    assert seen == [None]


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("way", ["header", "cookie"])
def test_a_token_that_the_handler_changes_goes_out_with_its_response(
    function: dict[str, Any], sign_in: SignIn, gateway: str, way: str
) -> None:
    @verify_session_event(function)
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        event["session"].merge_into_access_token_payload({"step": 2})
        key = "multiValueHeaders" if gateway == "alb-multi-value" else "headers"
        return {"statusCode": 201, key: {"X-Mine": ["1"] if "multi" in key else "1"}, "body": "done"}

    token = sign_in().get_access_token()
    headers, cookies = (bearer(token), {}) if way == "header" else ({}, {"sAccessToken": token})
    response = handler(gateway_event(gateway, headers=headers, cookies=cookies), None)
    assert (response["statusCode"], response["body"]) == (201, "done")
    assert header_of(response, "X-Mine") == "1"
    assert header_of(response, "front-token")
    assert header_of(response, "Cache-Control") == "no-store"
    if way == "header":
        assert header_of(response, "st-access-token") not in (None, token)
    else:
        (line,) = cookies_of(response)
        assert line.startswith("sAccessToken=ey")


def test_a_session_that_the_handler_revokes_is_cleared_on_the_client(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    @verify_session_event(function)
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        event["session"].revoke_session()
        return {"statusCode": 200, "body": "bye"}

    token = sign_in().get_access_token()
    response = handler(gateway_event("rest", cookies={"sAccessToken": token}), None)
    assert [line.partition(";")[0] for line in cookies_of(response)] == ["sAccessToken=", "sRefreshToken="]
    assert header_of(response, "front-token") == "remove"


@pytest.mark.parametrize(
    ("error", "status"),
    [(UnauthorisedError("gone"), 401), (InvalidClaimsError("no"), 403), (TryRefreshTokenError("old"), 401)],
)
def test_a_verdict_that_the_handler_raises_is_the_response(
    function: dict[str, Any], sign_in: SignIn, error: Exception, status: int
) -> None:
    def handler(event: object, context: object) -> None:
        raise error

    event = gateway_event("rest", headers=bearer(sign_in().get_access_token()))
    response = verify_session_event(function)(handler)(event, None)
    assert response["statusCode"] == status
    assert bool(cookies_of(response)) is isinstance(error, UnauthorisedError)


def test_an_error_class_without_a_status_is_a_500(function: dict[str, Any], sign_in: SignIn) -> None:
    class BlockedError(SessionHTTPError):
        wire_message = "blocked"

    def handler(event: object, context: object) -> None:
        raise BlockedError

    event = gateway_event("rest", headers=bearer(sign_in().get_access_token()))
    response = verify_session_event(function)(handler)(event, None)
    assert (response["statusCode"], json.loads(response["body"])) == (500, {"message": "blocked"})


def test_claims_that_the_handler_asserts_are_a_403_with_a_signal_that_carries_the_session(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    @verify_session_event(function)
    def handler(event: dict[str, Any], context: object) -> None:
        event["session"].assert_claims([UserRoleClaim.validators.includes("admin")])

    seen: list[object] = []

    def receive(sender: object, session: Session, **extra: object) -> None:
        seen.append(session.get_user_id())

    event = gateway_event("http-2.0", headers=bearer(sign_in().get_access_token()))
    with signals.claims_invalid.connected_to(receive):
        assert handler(event, None)["statusCode"] == 403
    assert seen == ["alice"]


def test_any_other_error_of_the_handler_is_raised(function: dict[str, Any], sign_in: SignIn) -> None:
    @verify_session_event(function)
    def handler(event: object, context: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None)


def test_a_rejected_api_key_is_a_500_that_browsers_can_read(
    function: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(ServedCore(tmp_path / "core.db", {"api_keys": "x" * 24})) as core:
        function |= {"STSESSION_CONNECTION_URI": core.url, "STSESSION_API_KEY": "x" * 24}
        manager = FunctionSessions(read_settings(function)).manager
        token = manager.create(NewSession(user_id="alice"), enable_anti_csrf=False).get_access_token()
        function["STSESSION_API_KEY"] = "y" * 24
        handler = verify_session_event(function, check_database=True)(user)
        response = handler(gateway_event("http-2.0", headers=bearer(token)), None)
    assert_readable_500(response)
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage().startswith("500 for GET '/user': ")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], CoreError)


def assert_readable_500(response: dict[str, Any]) -> None:
    assert response["statusCode"] == 500
    assert json.loads(response["body"]) == {"message": "internal server error"}
    assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE


def test_a_missing_setting_found_only_by_a_request_is_a_500_that_browsers_can_read(
    function: dict[str, Any], sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    verified = EmailVerificationClaim.validators.is_verified()
    handler = verify_session_event(function, validators=[verified])(user)
    assert_readable_500(handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None))
    assert "pass get_email=f" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(CoreError("refused", status=401), 500), (SessionDoesNotExistError("x"), 500), (EventError("bad"), 400)],
)
def test_other_errors_of_ours_in_the_handler_become_responses_and_still_change_tokens(
    function: dict[str, Any], sign_in: SignIn, error: Exception, status: int
) -> None:
    @verify_session_event(function)
    def handler(event: dict[str, Any], context: object) -> None:
        event["session"].merge_into_access_token_payload({"step": 2})
        raise error

    response = handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None)
    assert response["statusCode"] == status
    assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE
    assert header_of(response, "st-access-token")


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_preflight_is_answered_without_the_handler(function: dict[str, Any], gateway: str) -> None:
    ran: list[object] = []
    handler = verify_session_event(function)(lambda event, context: ran.append(event))
    response = handler(gateway_event(gateway, method="OPTIONS", headers={"Origin": WEBSITE}), None)
    assert response["statusCode"] == 204
    assert "authorization" in (header_of(response, "Access-Control-Allow-Headers") or "")
    assert ran == []


@pytest.mark.parametrize("returned", [{"a": 1}, ["x"], "text", None, 5])
def test_with_payload_2_0_a_result_without_a_status_is_the_body(
    function: dict[str, Any], sign_in: SignIn, returned: object
) -> None:
    handler = verify_session_event(function)(lambda event, context: returned)
    response = handler(gateway_event("http-2.0", headers=bearer(sign_in().get_access_token())), None)
    assert response["statusCode"] == 200
    assert response["body"] == (returned if isinstance(returned, str) else json.dumps(returned))
    assert header_of(response, "Content-Type") == "application/json"


def test_with_payload_2_0_the_numbers_of_dynamodb_are_numbers(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    returned = {"price": Decimal("1.5"), "count": Decimal(2), "large": Decimal(10) ** 20}
    handler = verify_session_event(function)(lambda event, context: returned)
    response = handler(gateway_event("http-2.0", headers=bearer(sign_in().get_access_token())), None)
    assert response["body"] == '{"price": 1.5, "count": 2, "large": 100000000000000000000}'


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ({"a": {1}}, "set is not JSON serializable"),
        (b"x", "bytes is not JSON serializable"),
        ([float("nan")], "Out of range float values are not JSON compliant"),
        (Decimal("NaN"), "Out of range float values are not JSON compliant"),
        (Decimal("Infinity"), "cannot convert Infinity to integer"),
        (Decimal("sNaN"), "[<class 'decimal.InvalidOperation'>]"),
    ],
)
def test_with_payload_2_0_what_json_cannot_express_is_named(
    function: dict[str, Any], sign_in: SignIn, returned: object, complaint: str
) -> None:
    handler = verify_session_event(function)(lambda event, context: returned)
    with pytest.raises(TypeError) as caught:
        handler(gateway_event("http-2.0", headers=bearer(sign_in().get_access_token())), None)
    prefix = "The handler must return a dict with a statusCode, or what JSON can express: "
    assert str(caught.value).startswith(prefix + complaint)


def test_bytes_in_a_response_are_refused_with_what_to_write(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    handler = verify_session_event(function)(lambda event, context: {"statusCode": 200, "body": b"x"})
    with pytest.raises(TypeError, match=r"under 'body', not bytes: write base64\.b64encode\(body\)"):
        handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None)


@pytest.mark.parametrize("changes_token", [True, False])
def test_a_line_break_in_a_header_is_an_error_whether_or_not_a_token_changes(
    function: dict[str, Any], sign_in: SignIn, changes_token: bool
) -> None:
    @verify_session_event(function)
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        if changes_token:
            event["session"].merge_into_access_token_payload({"step": 2})
        return {"statusCode": 200, "headers": {"X-Mine": "a\nb"}, "body": ""}

    with pytest.raises(ValueError, match=r"^The handler's header 'X-Mine' must be one line"):
        handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None)


@pytest.mark.parametrize(
    ("returned", "found"), [({"a": 1}, "one without"), ("text", "str"), (None, "NoneType")]
)
def test_with_other_formats_the_handler_is_told_to_return_a_status(
    function: dict[str, Any], sign_in: SignIn, returned: object, found: str
) -> None:
    handler = verify_session_event(function)(lambda event, context: returned)
    with pytest.raises(TypeError) as caught:
        handler(gateway_event("rest", headers=bearer(sign_in().get_access_token())), None)
    assert str(caught.value) == f"The handler must return a dict with a statusCode, not {found}."


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_400_of_a_malformed_event_is_in_the_format_of_its_gateway(
    function: dict[str, Any], gateway: str
) -> None:
    good, bad = gateway_event(gateway), gateway_event(gateway)
    bad["path" if "path" in bad else "rawPath"] = 5
    handler = verify_session_event(function)(user)
    expected = set(handler(good, None))
    for response in (handler(bad, None), error_response(bad, EventError("x"), config=function)):
        assert (response["statusCode"], set(response)) == (400, expected)
    response = error_response(good, EventError("x"), config=function)
    assert (response["statusCode"], set(response)) == (400, expected)


@pytest.mark.parametrize("event", [None, {}, [], {"version": "9"}, {"headers": {}, "httpMethod": 5}])
def test_an_event_of_unknown_shape_is_a_400(event: object) -> None:
    assert verify_session_event(dict(NO_CORE))(user)(event, None)["statusCode"] == 400


_REFUSING = verify_session_event(dict(NO_CORE))(user)


@settings(max_examples=100, deadline=None)
@given(event=spoilt_events() | json_values)
def test_any_event_is_refused_without_a_traceback(event: object) -> None:
    response = _REFUSING(event, None)
    assert response["statusCode"] in (204, 400, 401)
    json.dumps(response)


def _end_the_session(event: dict[str, Any], context: object) -> None:
    raise UnauthorisedError


_ENDING = verify_session_event({**NO_CORE, "STSESSION_API_DOMAIN": WEBSITE}, session_required=False)(
    _end_the_session
)


@settings(max_examples=100, deadline=None)
@given(event=spoilt_events() | json_values)
def test_any_event_is_answered_without_a_traceback_where_the_session_ends(event: object) -> None:
    response = _ENDING(event, None)
    assert response["statusCode"] in (204, 400, 401)
    json.dumps([response, error_response(event, UnauthorisedError(), config=dict(NO_CORE))])


@pytest.mark.parametrize(
    ("gateway", "key", "value"),
    [
        ("rest", "path", None),
        ("rest", "path", 5),
        ("rest", "resource", 5),
        ("rest", "pathParameters", "x"),
        ("http-2.0", "rawPath", ["/user"]),
        ("http-2.0", "routeKey", 5),
        ("alb", "path", {"a": 1}),
    ],
)
def test_a_path_of_a_wrong_type_is_a_400_before_the_handler_runs(
    function: dict[str, Any], sign_in: SignIn, gateway: str, key: str, value: object
) -> None:
    ran: list[object] = []
    handler = verify_session_event(function)(lambda event, context: ran.append(event))
    event = {**gateway_event(gateway, headers=bearer(sign_in().get_access_token())), key: value}
    response = handler(event, None)
    assert response["statusCode"] == 400
    assert f"'{key}' of the event must be" in json.loads(response["body"])["message"]
    assert ran == []


@pytest.mark.parametrize("kind", ["MESSAGE", "DISCONNECT"])
def test_the_events_of_an_open_connection_need_no_path(function: dict[str, Any], kind: str) -> None:
    context = {"eventType": kind, "routeKey": "send", "connectionId": "c", "stage": "prod"}
    event = {"requestContext": context, "body": "{}", "isBase64Encoded": False}
    assert error_response(event, UnauthorisedError(), config=function)["statusCode"] == 401
    handler = verify_session_event(function, session_required=False)(_end_the_session)
    assert handler(event, None)["statusCode"] == 401


@pytest.mark.parametrize("handler", [None, "app.handler", {"a": 1}])
def test_only_a_function_can_be_guarded(handler: Any) -> None:
    with pytest.raises(TypeError) as caught:
        verify_session_event(dict(NO_CORE))(handler)
    assert str(caught.value) == f"verify_session_event() decorates a Lambda handler, not {handler!r}."


def test_a_decorator_without_parentheses_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"with parentheses: @verify_session_event\(\)\.$"):
        verify_session_event(user)  # type: ignore[arg-type]


def test_get_email_must_be_a_function() -> None:
    with pytest.raises(TypeError, match=r"^get_email must be a function of \(user_id, tenant_id\), not 5\.$"):
        verify_session_event(dict(NO_CORE), get_email=5)  # type: ignore[arg-type]


def test_the_embedded_core_and_arguments_that_protect_nothing_are_refused_when_decorating() -> None:
    with pytest.raises(ConfigError, match="embedded core"):
        verify_session_event({})
    with pytest.raises(ConfigError, match=r"verify_session_event\(\) got roles= with session_required=False"):
        verify_session_event(dict(NO_CORE), roles="admin", session_required=False)
    with pytest.raises(
        TypeError, match=r"verify_session_event\(\) has no argument 'role': did you mean role"
    ):
        verify_session_event(dict(NO_CORE), role="admin")


def test_an_unknown_argument_is_refused_with_the_one_that_was_meant() -> None:
    arguments: list[tuple[str, str]] = [
        ("get_emial", "did you mean get_email=?"),
        ("confg", "did you mean config=?"),
        ("zzz", "it takes config, get_email, anti_csrf_check, "),
    ]
    for name, advice in arguments:
        unknown: dict[str, Any] = {name: None}
        with pytest.raises(TypeError) as caught:
            verify_session_event(dict(NO_CORE), **unknown)
        message = f"verify_session_event() has no argument {name!r}: {advice}"
        assert str(caught.value)[: len(message)] == message


def test_the_decorated_handler_keeps_its_name() -> None:
    assert verify_session_event(dict(NO_CORE))(user).__name__ == "user"


# Imports


_SERVE = """
import sys
from flask_stsession.aws_lambda import verify_session_event
handler = verify_session_event({{"STSESSION_CONNECTION_URI": {uri!r}}})(
    lambda event, context: {{"statusCode": 200, "body": event["session"].get_user_id()}}
)
print(handler({event!r}, None)["body"])
parts = {{"flask", "jinja2", "sqlite3", "asyncio"}}
print(sorted(name for name in sys.modules if name.split(".")[0] in parts or "embedded" in name))
"""


@pytest.mark.slow
def test_it_imports_neither_flask_nor_the_embedded_core(sign_in: SignIn, served_core: ServedCore) -> None:
    event = gateway_event("rest", headers=bearer(sign_in().get_access_token()))
    code = _SERVE.format(uri=served_core.url, event=event)
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["alice", "[]"]


# error_response


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UnauthorisedError(clear_tokens=False), 401, "unauthorised"),
        (TryRefreshTokenError(), 401, "try refresh token"),
        (InvalidClaimsError(), 403, "invalid claim"),
        (CoreUnavailableError(), 503, "session service unavailable"),
        (CoreError("refused", status=401), 500, "internal server error"),
        (ConfigError("wrong"), 500, "internal server error"),
        (SessionDoesNotExistError("x"), 500, "internal server error"),
        (EventError("what is this?"), 400, "what is this?"),
    ],
)
def test_any_error_of_ours_becomes_a_response(
    gateway: str, error: Exception, status: int, message: str
) -> None:
    response = error_response(gateway_event(gateway), error)
    assert response["statusCode"] == status
    assert json.loads(response["body"])["message"] == message
    assert cookies_of(response) == []


def test_an_error_that_ends_the_session_clears_the_client() -> None:
    response = error_response(gateway_event("http-2.0"), UnauthorisedError())
    assert len(cookies_of(response)) == 2
    assert header_of(response, "front-token") == "remove"


def test_settings_determine_status_and_cors() -> None:
    config = {"STSESSION_WEBSITE_DOMAIN": WEBSITE, "STSESSION_INVALID_CLAIM_STATUS_CODE": 418}
    event = gateway_event("rest", headers={"Origin": WEBSITE})
    response = error_response(event, InvalidClaimsError(), config=config)
    assert response["statusCode"] == 418
    assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE


def test_the_environment_is_read_where_no_settings_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STSESSION_SESSION_EXPIRED_STATUS_CODE", "440")
    assert error_response(gateway_event("rest"), TryRefreshTokenError())["statusCode"] == 440


def test_the_environment_is_read_once_unless_it_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STSESSION_MY_OWN", "x")
    monkeypatch.setenv("STSESSION_SESSION_EXPIRED_STATUS_CODE", "440")
    event, error = gateway_event("rest"), UnauthorisedError()
    assert [error_response(event, error)["statusCode"] for _ in range(3)] == [440] * 3
    assert [each.getMessage()[:16] for each in caplog.records if each.levelname == "WARNING"] == [
        "STSESSION_MY_OWN"
    ]
    monkeypatch.setenv("STSESSION_SESSION_EXPIRED_STATUS_CODE", "441")
    assert error_response(event, UnauthorisedError())["statusCode"] == 441


def test_error_responses_log_no_warnings_about_the_mapping(caplog: pytest.LogCaptureFixture) -> None:
    config = {"STSESSION_COOKIE_SAME_SITE": "none", "STSESSION_ANTI_CSRF": "NONE"}
    error_response(gateway_event("rest"), UnauthorisedError(), config=config)
    assert [each for each in caplog.records if each.levelname != "INFO"] == []


def test_a_wrong_setting_is_an_error_where_no_guard_has_read_it() -> None:
    with pytest.raises(ConfigError, match=r"^STSESSION_INVALID_CLAIM_STATUS_CODE"):
        error_response(
            gateway_event("rest"),
            InvalidClaimsError(),
            config={"STSESSION_INVALID_CLAIM_STATUS_CODE": "no"},
        )


def test_an_error_of_another_package_is_raised_again() -> None:
    with pytest.raises(KeyError):
        error_response(gateway_event("rest"), KeyError("x"))


def test_an_error_response_needs_an_error_and_a_mapping() -> None:
    with pytest.raises(TypeError, match=r"^error_response\(\) takes an exception as error, not None\.$"):
        error_response(gateway_event("rest"), None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^config must be a mapping of STSESSION_ keys"):
        error_response(gateway_event("rest"), UnauthorisedError(), config="abc")  # type: ignore[arg-type]


def test_the_error_response_to_an_unknown_event_is_a_400() -> None:
    assert error_response(None, UnauthorisedError())["statusCode"] == 400


@pytest.mark.slow
def test_a_function_imports_only_what_it_uses() -> None:
    code = (
        "import sys\nfrom flask_stsession.aws_lambda import verify_session_event\n"
        "print(sorted(name for name in sys.modules if name.startswith('flask_stsession.aws_lambda.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"app", "authorizers", "jwt_authorizers"} & {
        each.split(".")[-1] for each in ran.stdout.strip("[]\n").replace("'", "").split(", ")
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        aws_lambda.nothing  # noqa: B018
    assert all(getattr(aws_lambda, name) for name in aws_lambda.__all__)


def test_an_asynchronous_handler_is_refused_since_the_runtime_would_not_await_it(
    function: dict[str, Any],
) -> None:
    async def handler(event: Any, context: Any) -> Any:
        raise AssertionError

    with pytest.raises(TypeError) as caught:
        verify_session_event(function)(handler)
    assert str(caught.value) == (
        "A Lambda handler must not be async, as its result is not awaited: write def, not async def."
    )
