"""The examples for AWS Lambda, run by the real Lambda runtime interface client; the template, linted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml
from support.example_modules import EXAMPLES
from support.lambda_authorizers import authorizer_cases, is_allowed
from support.lambda_events import GATEWAYS, cookies_of, gateway_event, header_of
from support.lambda_runtime import RunningFunction, running_function
from support.served_core import ServedCore

from flask_stsession.aws_lambda.cors import EXPOSED_HEADERS
from flask_stsession.aws_lambda.settings import environment_settings, read_settings
from flask_stsession.constants import CORS_REQUEST_HEADERS
from flask_stsession.tokens.access_token import parse

FOLDER = EXAMPLES / "aws_lambda"
WEBSITE = "https://www.example.com"
PASSWORD = "only for this test"
#: How long API Gateway waits for a discovery document, and for the keys (s).
GATEWAY_WAITS_SECONDS = 1.5
CASES = {case.name: case for case in authorizer_cases()}

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(served_core: ServedCore) -> dict[str, str]:
    """The environment of the functions, as the template sets it."""
    return {
        "FLASK_STSESSION_CONNECTION_URI": served_core.url,
        "FLASK_STSESSION_API_DOMAIN": "https://api.example.com",
        "FLASK_STSESSION_WEBSITE_DOMAIN": WEBSITE,
        "FLASK_STSESSION_COOKIE_SAME_SITE": "lax",
        "FLASK_STSESSION_AUDIENCE": "jwtAuthorizers",
        "FLASK_STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY": "false",
        "DEMO_PASSWORD": PASSWORD,
    }


@pytest.fixture
def app(environment: dict[str, str]) -> Iterator[RunningFunction]:
    """The function with the Flask app."""
    with running_function("app.handler", FOLDER, environment) as function:
        yield function


def signed_in(app: RunningFunction, mode: str = "header", password: str = PASSWORD) -> dict[str, Any]:
    """Sign alice in; return the response."""
    body = json.dumps({"userId": "alice", "password": password})
    headers = {"content-type": "application/json", "st-auth-mode": mode, "origin": WEBSITE}
    event = gateway_event("http-2.0", "/login", method="POST", headers=headers, body=body)
    result: dict[str, Any] = app.invoke(event).result
    return result


def bearer(app: RunningFunction) -> str:
    token = header_of(signed_in(app), "st-access-token")
    assert token is not None
    return token


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "5",
        '{"password": "\\ud800"}',
        '{"userId": 5}',
        '{"userId": " "}',
        json.dumps({"userId": "a" * 5000, "password": PASSWORD}),
    ],
)
def test_a_login_without_a_user_id_is_a_400(app: RunningFunction, body: str) -> None:
    headers = {"content-type": "application/json", "origin": WEBSITE}
    event = gateway_event("http-2.0", "/login", method="POST", headers=headers, body=body)
    assert app.invoke(event).result["statusCode"] == 400


def test_the_app_signs_in_refreshes_and_signs_out_behind_every_gateway(app: RunningFunction) -> None:
    assert signed_in(app, password="wrong")["statusCode"] == 401
    login = signed_in(app, "cookie")
    assert header_of(login, "access-control-allow-origin") == WEBSITE
    cookies = dict(line.partition(";")[0].split("=", 1) for line in cookies_of(login))
    for gateway in GATEWAYS:
        user = app.invoke(gateway_event(gateway, cookies=cookies)).result
        assert json.loads(user["body"])["userId"] == "alice"
        refresh = gateway_event(gateway, "/auth/session/refresh", method="POST", cookies=cookies)
        refreshed = app.invoke(refresh).result
        assert refreshed["statusCode"] == 200
        cookies = dict(line.partition(";")[0].split("=", 1) for line in cookies_of(refreshed))
    signed_out = app.invoke(gateway_event("rest", "/auth/signout", method="POST", cookies=cookies)).result
    assert json.loads(signed_out["body"]) == {"status": "OK"}
    assert app.invoke(gateway_event("rest", cookies=cookies)).result["statusCode"] == 401


def test_the_function_of_one_route_returns_the_session_behind_every_gateway(
    app: RunningFunction, environment: dict[str, str]
) -> None:
    token = bearer(app)
    with running_function("user.handler", FOLDER, environment) as function:
        for gateway in GATEWAYS:
            headers = {"Authorization": f"Bearer {token}", "Origin": WEBSITE}
            response = function.invoke(gateway_event(gateway, headers=headers)).result
            body = json.loads(response["body"])
            assert (response["statusCode"], body["userId"]) == (200, "alice")
            assert body["accessTokenPayload"]["sessionHandle"] == body["sessionHandle"]
            assert header_of(response, "Access-Control-Allow-Origin") == WEBSITE
            assert function.invoke(gateway_event(gateway)).result["statusCode"] == 401
        assert function.invoke(None).result["statusCode"] == 400


@pytest.mark.parametrize(
    ("handler", "names", "by"),
    [
        ("rest_handler", ["rest-request"], "cookie"),
        ("cached_rest_handler", ["rest-token", "rest-request"], "header"),
        ("http_handler", ["http-2.0"], "header"),
        ("websocket_handler", ["websocket"], "cookie"),
    ],
)
def test_the_authorizers_let_a_session_pass_and_say_unauthorized_otherwise(
    app: RunningFunction, environment: dict[str, str], handler: str, names: list[str], by: str
) -> None:
    token = bearer(app)
    with running_function(f"authorizer.{handler}", FOLDER, environment) as function:
        for case in map(CASES.__getitem__, names):
            answer = function.invoke(case.event(token, by, {"Origin": WEBSITE})).result
            assert answer["context"]["userId"] == "alice"
            assert answer.get("isAuthorized") or is_allowed(answer, case.routes[0])
            outcome = function.invoke(case.event(None))
            if handler == "rest_handler":
                assert outcome.result["principalId"] == ""
            else:
                assert outcome.error is not None
                assert outcome.error["errorMessage"] == "Unauthorized"


def test_an_authorizer_reports_an_outage_as_another_error(
    app: RunningFunction, environment: dict[str, str]
) -> None:
    token = bearer(app)
    down = {**environment, "FLASK_STSESSION_CONNECTION_URI": "http://127.0.0.1:9"}
    with running_function("authorizer.http_handler", FOLDER, down) as function:
        error = function.invoke(CASES["http-2.0"].event(token)).error
    assert error is not None
    assert error["errorType"] == "CoreUnavailableError"


def test_the_function_behind_a_jwt_authorizer_checks_claims(app: RunningFunction) -> None:
    token = bearer(app)
    with running_function("behind_jwt.handler", FOLDER) as function:
        event = gateway_event("http-2.0", headers={"Authorization": f"Bearer {token}"})
        assert function.invoke(event).result["statusCode"] == 401
        parsed = parse(token)
        assert parsed is not None
        claims = {
            "sub": parsed.user_id,
            "sessionHandle": parsed.session_handle,
            "exp": str(parsed.expires_at),
        }
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        response = function.invoke(event).result
    assert response["statusCode"] == 403
    assert json.loads(response["body"])["claimValidationErrors"][0]["id"] == "st-ev"


@pytest.mark.parametrize("path", ["/auth/.well-known/openid-configuration", "/auth/jwt/jwks.json"])
def test_a_jwt_authorizer_has_its_answer_in_time_even_from_a_cold_start(
    environment: dict[str, str], path: str
) -> None:
    took = []
    for _ in range(3):  # another test may have had the processor for a while
        began = time.monotonic()
        with running_function("app.handler", FOLDER, environment) as function:
            response = function.invoke(gateway_event("http-2.0", path)).result
            took.append(time.monotonic() - began)
        assert response["statusCode"] == 200
    assert min(took) < GATEWAY_WAITS_SECONDS


def test_a_function_without_a_core_does_not_start() -> None:
    with running_function("user.handler", FOLDER) as function:
        error = function.next_outcome().error
    assert error is not None
    assert error["errorType"] == "ConfigError"
    assert "STSESSION_CONNECTION_URI" in error["errorMessage"]


# The template


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template, with CloudFormation's functions as dicts."""
    loaded: dict[str, Any] = cfn_yaml.load(str(FOLDER / "template.yaml"))
    return loaded


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by their names."""
    found = template["Resources"].items()
    return {name: resource["Properties"] for name, resource in found if resource["Type"] == kind}


def test_the_template_passes_the_linter_of_cloudformation() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(FOLDER / "template.yaml")]
    linted = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_every_function_of_the_template_is_in_the_examples(template: dict[str, Any]) -> None:
    handlers = {each["Handler"] for each in of_type(template, "AWS::Serverless::Function").values()}
    assert handlers == {
        "app.handler",
        "user.handler",
        "behind_jwt.handler",
        "authorizer.rest_handler",
        "authorizer.cached_rest_handler",
        "authorizer.http_handler",
        "authorizer.websocket_handler",
    }
    for handler in handlers:
        module, _, name = handler.partition(".")
        assert f"{name} = " in (text := (FOLDER / f"{module}.py").read_text()) or f"def {name}(" in text


def test_no_result_of_an_authorizer_is_cached_for_more_than_a_minute(template: dict[str, Any]) -> None:
    body = of_type(template, "AWS::Serverless::Api")["RestApi"]["DefinitionBody"]
    schemes = body["components"]["securitySchemes"].values()
    found = [each["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] for each in schemes]
    http = of_type(template, "AWS::ApiGatewayV2::Authorizer")["HttpAuthorizer"]
    assert sorted([*found, http["AuthorizerResultTtlInSeconds"]]) == [0, 60, 60]


def test_browsers_can_read_the_responses_of_the_gateways_themselves(template: dict[str, Any]) -> None:
    body = of_type(template, "AWS::Serverless::Api")["RestApi"]["DefinitionBody"]
    responses = body["x-amazon-apigateway-gateway-responses"]
    assert set(responses) == {"ACCESS_DENIED", "UNAUTHORIZED", "AUTHORIZER_FAILURE", "DEFAULT_5XX"}
    for response in responses.values():
        parameters = response["responseParameters"]
        assert "gatewayresponse.header.Access-Control-Allow-Origin" in parameters
        assert parameters["gatewayresponse.header.Access-Control-Allow-Credentials"] == "'true'"
    assert responses["ACCESS_DENIED"]["responseTemplates"]["application/json"] == "$context.authorizer.body"
    cors = of_type(template, "AWS::ApiGatewayV2::Api")["HttpApi"]["CorsConfiguration"]
    assert set(cors["ExposeHeaders"]) == set(EXPOSED_HEADERS)
    assert set(cors["AllowHeaders"]) == {"content-type", *CORS_REQUEST_HEADERS}


def test_the_environment_of_the_template_is_understood(
    template: dict[str, Any], environment: dict[str, str]
) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    given = {name: value for name, value in variables.items() if isinstance(value, str)}
    config = read_settings(environment_settings({**environment, **given}))
    assert config.audience == ("jwtAuthorizers",)
    assert config.use_dynamic_access_token_signing_key is False
    assert config.expose_access_token_to_frontend_in_cookie_based_auth is True
