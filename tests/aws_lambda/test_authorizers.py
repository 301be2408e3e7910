"""Lambda authorizers: which requests they allow, and what they return to the gateway."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from support.app_factory import NO_CORE
from support.lambda_authorizers import AuthorizerCase, authorizer_cases, is_allowed
from support.lambda_events import json_values, spoilt
from support.served_core import ServedCore

from flask_stsession.aws_lambda import make_authorizer
from flask_stsession.aws_lambda.verification import FunctionSessions
from flask_stsession.claims import UserRoleClaim
from flask_stsession.core import RoleCalls
from flask_stsession.errors import ConfigError, CoreUnavailableError
from flask_stsession.sessions.session import Session

from .conftest import WEBSITE, SignIn, with_time_left

CASES = authorizer_cases()
CASE = {case.name: case for case in CASES}
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
REST, HTTP = CASE["rest-request"], CASE["http-2.0"]


def refuse_all(*_: Any) -> Any:
    return [UserRoleClaim.validators.includes("admin")]


def assert_unauthorized(call: Any, event: object) -> None:
    with pytest.raises(Exception, match="Unauthorized") as caught:
        call(event, None)
    assert (type(caught.value), str(caught.value)) == (Exception, "Unauthorized")
    assert caught.value.__context__ is None, "its frames hold tokens"


def context_of(session: Session) -> dict[str, str]:
    return {
        "userId": session.get_user_id(),
        "sessionHandle": session.get_handle(),
        "tenantId": session.get_tenant_id(),
    }


@each_case
def test_a_session_by_header_is_allowed_on_all_routes_of_its_stage(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn
) -> None:
    session = sign_in()
    answer = make_authorizer(function)(case.event(session.get_access_token()), None)
    assert (answer["principalId"], answer["context"]) == ("alice", context_of(session))
    assert [statement["Resource"] for statement in answer["policyDocument"]["Statement"]] == [case.stage]
    assert all(is_allowed(answer, route) for route in case.routes)
    assert not is_allowed(answer, case.other)


@each_case
def test_without_caching_exactly_the_requested_resource_is_allowed(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn
) -> None:
    authorizer = make_authorizer(function, result_caching=False)
    answer = authorizer(case.event(sign_in().get_access_token()), None)
    assert is_allowed(answer, case.routes[0])
    assert not any(is_allowed(answer, route) for route in [*case.routes[1:], case.other])


@pytest.mark.parametrize("case", [c for c in CASES if "cookie" in c.ways], ids=lambda case: case.name)
@pytest.mark.parametrize("result_caching", [True, False])
def test_a_session_by_cookie_is_allowed_where_cookies_are_looked_at(
    case: AuthorizerCase, result_caching: bool, function: dict[str, Any], sign_in: SignIn
) -> None:
    event = case.event(sign_in().get_access_token(), "cookie")
    authorizer = make_authorizer(function, transfer_method="cookie", result_caching=result_caching)
    assert authorizer(event, None)["principalId"] == "alice"
    assert_unauthorized(make_authorizer(function), event)


@each_case
@pytest.mark.parametrize("result_caching", [True, False])
def test_a_request_without_a_session_is_unauthorized(
    case: AuthorizerCase, result_caching: bool, function: dict[str, Any]
) -> None:
    authorizer = make_authorizer(function, result_caching=result_caching)
    assert_unauthorized(authorizer, case.event(None))
    assert_unauthorized(authorizer, case.event("no token of ours"))


@each_case
def test_an_expired_token_is_unauthorized(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    served_core.makes_expired_tokens = True
    assert_unauthorized(make_authorizer(function), case.event(sign_in().get_access_token()))


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "rest-token"], ids=lambda case: case.name)
def test_an_optional_session_is_allowed_without_a_user(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn
) -> None:
    authorizer = make_authorizer(function, session_required=False, result_caching=False)
    answer = authorizer(case.event(None), None)
    assert answer["principalId"] == ""
    assert "context" not in answer
    assert is_allowed(answer, case.routes[0])
    assert authorizer(case.event(sign_in().get_access_token()), None)["principalId"] == "alice"


@each_case
def test_an_outage_is_not_unauthorized(case: AuthorizerCase, sign_in: SignIn) -> None:
    authorizer = make_authorizer(dict(NO_CORE))
    with pytest.raises(CoreUnavailableError) as caught:
        authorizer(case.event(sign_in().get_access_token()), None)
    assert str(caught.value) != "Unauthorized"


@each_case
def test_failed_claims_are_denied_with_the_body_of_the_403_where_it_can_be_sent(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn
) -> None:
    authorizer = make_authorizer(function, override_global_claim_validators=refuse_all)
    answer = authorizer(case.event(sign_in().get_access_token()), None)
    assert answer["principalId"] == ""
    assert not any(is_allowed(answer, route) for route in case.routes)
    if not case.has_body:
        assert "context" not in answer
        return
    assert set(answer["context"]) == {"body"}
    body = json.loads(answer["context"]["body"])
    assert body["message"] == "invalid claim"
    assert body["claimValidationErrors"][0]["id"] == "st-role"


def test_the_body_of_a_403_is_shortened_to_what_a_context_can_hold(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    def many(length: int) -> Any:
        return lambda *_: [
            UserRoleClaim.validators.includes("x" * length, id_=f"{number}-{'y' * 60}")
            for number in range(60)
        ]

    event = REST.event(sign_in().get_access_token())
    short = make_authorizer(function, override_global_claim_validators=many(500))(event, None)
    errors = json.loads(short["context"]["body"])["claimValidationErrors"]
    assert len(json.dumps(short)) <= 8000
    assert len(errors) == 60
    assert set(errors[0]) == {"id"}


def test_a_resource_beyond_512_characters_is_replaced_by_the_stage(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    event = REST.event(sign_in().get_access_token())
    event["methodArn"] = REST.routes[0] + "/x" * 300
    answer = make_authorizer(function, result_caching=False)(event, None)
    assert answer["policyDocument"]["Statement"][0]["Resource"] == REST.stage


# Simple responses


def test_simple_responses_are_given_to_http_apis_with_payload_2_0(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    session = sign_in()
    event = HTTP.event(session.get_access_token())
    authorizer = make_authorizer(function, simple_responses=True)
    assert authorizer(event, None) == {"isAuthorized": True, "context": context_of(session)}
    refusing = make_authorizer(function, simple_responses=True, override_global_claim_validators=refuse_all)
    assert refusing(event, None) == {"isAuthorized": False}
    assert_unauthorized(authorizer, HTTP.event(None))


@pytest.mark.parametrize("case", [c for c in CASES if not c.simple], ids=lambda case: case.name)
def test_other_gateways_still_get_a_policy(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn
) -> None:
    answer = make_authorizer(function, simple_responses=True)(case.event(sign_in().get_access_token()), None)
    assert answer["policyDocument"]["Version"] == "2012-10-17"


# Changed cookies


@pytest.mark.parametrize("case", [c for c in CASES if "cookie" in c.ways], ids=lambda case: case.name)
def test_a_cookie_that_has_changed_is_handed_on_with_its_front_token(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn, sessions: FunctionSessions
) -> None:
    RoleCalls(sessions.manager.client).create_role("admin", [])
    RoleCalls(sessions.manager.client).add_role_to_user("alice", "admin")
    event = case.event(sign_in().get_access_token(), "cookie")
    authorizer = make_authorizer(function, result_caching=False, override_global_claim_validators=refuse_all)
    context = authorizer(event, None)["context"]
    assert context["setCookie"].startswith("sAccessToken=ey")
    assert "HttpOnly" in context["setCookie"]
    assert context["frontToken"].startswith("ey")
    assert all(isinstance(value, str) for value in context.values())
    again = make_authorizer(function, result_caching=False)(event, None)
    assert "setCookie" not in again["context"]


def test_a_changed_token_is_handed_on_neither_by_header_nor_with_caching(
    function: dict[str, Any], sign_in: SignIn, sessions: FunctionSessions
) -> None:
    RoleCalls(sessions.manager.client).create_role("admin", [])
    RoleCalls(sessions.manager.client).add_role_to_user("alice", "admin")
    ways: list[tuple[str, dict[str, Any]]] = [
        ("header", {"result_caching": False}),
        ("cookie", {"transfer_method": "cookie"}),
    ]
    for by, arguments in ways:
        authorizer = make_authorizer(function, override_global_claim_validators=refuse_all, **arguments)
        session = sign_in()
        answer = authorizer(REST.event(session.get_access_token(), by), None)
        assert answer["context"] == context_of(session)


def test_a_cookie_that_does_not_fit_into_the_context_is_left_to_the_next_refresh(
    function: dict[str, Any],
    sign_in: SignIn,
    sessions: FunctionSessions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    RoleCalls(sessions.manager.client).create_role("admin", [])
    RoleCalls(sessions.manager.client).add_role_to_user("alice", "admin")
    session = sign_in(large="x" * 2190)
    authorizer = make_authorizer(function, result_caching=False, override_global_claim_validators=refuse_all)
    event = REST.event(session.get_access_token(), "cookie")
    event["methodArn"] = REST.routes[0] + "/" + "x" * 400
    answer = authorizer(event, None)
    assert (answer["principalId"], answer["context"]) == ("alice", context_of(session))
    assert "does not fit into the context" in caplog.text


# Anti-CSRF


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize(
    ("mode", "name"), [("VIA_CUSTOM_HEADER", "rid"), ("VIA_TOKEN", "anti-csrf"), ("NONE", None)]
)
def test_with_caching_anti_csrf_is_checked_whatever_the_method(
    mode: str, name: str | None, method: str, function: dict[str, Any], sign_in: SignIn
) -> None:
    function["STSESSION_ANTI_CSRF"] = mode
    session = sign_in(anti_csrf=True)
    token = session.get_all_session_tokens_dangerously()["antiCsrfToken"]
    authorizer = make_authorizer(function, transfer_method="cookie")
    raw = session.get_access_token()
    good = {} if name is None else {name: token}
    assert authorizer(REST.event(raw, "cookie", good, method), None)["principalId"] == "alice"
    if name is not None:
        assert_unauthorized(authorizer, REST.event(raw, "cookie", method=method))


def test_without_caching_anti_csrf_is_checked_for_unsafe_methods(
    function: dict[str, Any], sign_in: SignIn
) -> None:
    function["STSESSION_ANTI_CSRF"] = "VIA_ORIGIN"
    token = sign_in().get_access_token()
    authorizer = make_authorizer(function, result_caching=False)
    assert authorizer(REST.event(token, "cookie"), None)["principalId"] == "alice"
    assert_unauthorized(authorizer, REST.event(token, "cookie", method="POST"))
    ours = {"Origin": WEBSITE}
    assert authorizer(REST.event(token, "cookie", ours, method="POST"), None)["principalId"] == "alice"


@pytest.mark.parametrize("result_caching", [True, False])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_socket_by_cookie_from_elsewhere_is_unauthorized(
    result_caching: bool, origin: str, function: dict[str, Any], sign_in: SignIn
) -> None:
    authorizer = make_authorizer(function, transfer_method="cookie", result_caching=result_caching)
    event = CASE["websocket"].event(sign_in().get_access_token(), "cookie", {"Origin": origin})
    assert_unauthorized(authorizer, event)


@pytest.mark.parametrize("mode", ["NONE", "VIA_CUSTOM_HEADER", "VIA_TOKEN"])
def test_a_handshake_is_recognised_without_event_type_and_route_key(
    mode: str, function: dict[str, Any], sign_in: SignIn
) -> None:
    function["STSESSION_ANTI_CSRF"] = mode
    authorizer = make_authorizer(function, result_caching=False)
    event = CASE["websocket"].event(
        sign_in().get_access_token(), "cookie", {"Origin": "https://evil.example"}
    )
    for key in ("eventType", "routeKey"):
        event["requestContext"].pop(key, None)
    assert_unauthorized(authorizer, event)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", ""])
def test_the_scheme_of_a_token_is_read_in_any_case(
    scheme: str, function: dict[str, Any], sign_in: SignIn
) -> None:
    event = CASE["rest-token"].event("")
    event["authorizationToken"] = scheme + sign_in().get_access_token()
    assert make_authorizer(function)(event, None)["principalId"] == "alice"


@each_case
def test_a_function_that_chooses_the_transfer_method_sees_the_request(
    case: AuthorizerCase, function: dict[str, Any], sign_in: SignIn
) -> None:
    seen: list[Any] = []

    def choose(request: Any, for_create_new_session: bool) -> str:
        seen.append(request)
        return "header" if request.headers.get("Authorization") else "cookie"

    function["STSESSION_TOKEN_TRANSFER_METHOD"] = choose
    answer = make_authorizer(function, result_caching=False)(case.event(sign_in().get_access_token()), None)
    assert answer.get("principalId", "alice") == "alice"
    assert answer.get("isAuthorized", True) is True
    assert (seen[0].method, seen[0].path[0]) == ("GET", "/")


# What cannot work is refused when the authorizer is made


@pytest.mark.parametrize(
    ("changes", "arguments", "complaint"),
    [
        ({}, {"transfer_method": "any"}, "got transfer_method='any', but an authorizer whose results"),
        ({}, {"session_required": False}, "got session_required=False, but an authorizer whose results"),
        (
            {},
            {"transfer_method": "query"},
            "takes 'header', 'cookie' or 'any' as transfer_method, not 'query'",
        ),
        (
            {"STSESSION_ANTI_CSRF": "VIA_ORIGIN"},
            {"transfer_method": "cookie"},
            "caches results of sessions by cookie, but STSESSION_ANTI_CSRF = 'VIA_ORIGIN'",
        ),
        (
            {"STSESSION_LOGIN_URL": "/login"},
            {"transfer_method": "cookie"},
            "caches results of sessions by cookie, but STSESSION_ANTI_CSRF = 'VIA_ORIGIN'",
        ),
        ({"STSESSION_TOKEN_TRANSFER_METHOD": "cookie"}, {}, "Write transfer_method='cookie'."),
        (
            {"STSESSION_TOKEN_TRANSFER_METHOD": "header"},
            {"transfer_method": "cookie", "result_caching": False},
            "Write transfer_method='header'.",
        ),
        ({"STSESSION_CONNECTION_URI": "embedded:"}, {}, "is the embedded core"),
        ({"STSESSION_NOTHING": 1}, {}, "There is no setting"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    changes: dict[str, Any], arguments: dict[str, Any], complaint: str
) -> None:
    config = {**NO_CORE, "STSESSION_API_DOMAIN": "https://api.example.com", **changes}
    with pytest.raises(ConfigError) as caught:
        make_authorizer(config, **arguments)
    assert complaint in str(caught.value)


def test_make_authorizer_refuses_to_decorate_a_function() -> None:
    with pytest.raises(TypeError) as caught:
        make_authorizer(refuse_all)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "make_authorizer() returns a handler and is not a decorator, so it does not take "
        f"{refuse_all!r}: write authorizer = make_authorizer()."
    )


@pytest.mark.parametrize("name", ["result_caching", "simple_responses", "session_required"])
def test_flags_must_be_true_or_false(name: str) -> None:
    arguments: dict[str, Any] = {name: "yes"}
    with pytest.raises(TypeError, match=name):
        make_authorizer(dict(NO_CORE), **arguments)


def test_without_a_mapping_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, function: dict[str, Any], sign_in: SignIn
) -> None:
    for key, value in function.items():
        monkeypatch.setenv(key, value)
    assert make_authorizer()(REST.event(sign_in().get_access_token()), None)["principalId"] == "alice"


def test_all_calls_to_the_core_end_before_the_function_times_out(
    function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    event = REST.event(sign_in().get_access_token())
    authorizer = make_authorizer(function)
    served_core.counted()
    with pytest.raises(CoreUnavailableError, match="time in which it had to respond is over"):
        authorizer(event, with_time_left(400))
    assert served_core.counted() == {}


def test_the_core_is_not_called_when_an_http_api_stops_waiting(
    monkeypatch: pytest.MonkeyPatch, function: dict[str, Any], sign_in: SignIn, served_core: ServedCore
) -> None:
    late, clock = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + late)

    def slow(*_: Any) -> list[Any]:
        nonlocal late
        late += 9.5
        return [UserRoleClaim.validators.includes("admin")]

    event = REST.event(sign_in().get_access_token())
    authorizer = make_authorizer(function, override_global_claim_validators=slow)
    served_core.counted()
    with pytest.raises(CoreUnavailableError, match="time in which it had to respond is over"):
        # The function itself may run for a quarter of an hour.
        authorizer(event, with_time_left(900_000))
    assert served_core.counted() == {"GET /.well-known/jwks.json": 1}


# Events of unknown shape


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"type": "TOKEN"},
        {"type": "TOKEN", "methodArn": "arn", "authorizationToken": "x"},
        {"type": "TOKEN", "methodArn": REST.routes[0], "authorizationToken": None},
        {"type": "REQUEST", "methodArn": 5, "headers": {}},
        {"type": "REQUEST", "methodArn": REST.routes[0], "headers": []},
        {"version": "2.0", "methodArn": REST.routes[0]},
    ],
)
def test_an_event_of_unknown_shape_is_unauthorized(event: object) -> None:
    assert_unauthorized(make_authorizer(dict(NO_CORE)), event)


_REFUSING = make_authorizer(dict(NO_CORE), transfer_method="cookie")


@settings(max_examples=150, deadline=None)
@given(event=spoilt([case.event("x", "cookie") for case in CASES]) | json_values)
def test_any_event_is_unauthorized_without_a_traceback_of_ours(event: object) -> None:
    assert_unauthorized(_REFUSING, event)
