"""A Flask app behind gateways."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from flask import Flask, Response, request
from hypothesis import given, settings
from support.app_factory import AppFactory
from support.lambda_events import (
    GATEWAYS,
    Golden,
    cookies_of,
    gateway_event,
    golden_files,
    header_of,
    json_values,
    response_headers,
    spoilt_events,
)
from support.served_core import ServedCore

from flask_stsession import STSession
from flask_stsession.aws_lambda import make_handler

from .conftest import hanging, with_time_left


def looking_app(**settings: Any) -> Flask:
    """An app that responds with what it sees of a request."""
    app = Flask("looking")
    app.config.update(settings)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT"])
    def look(path: str) -> dict[str, Any]:
        body = request.get_data()
        is_binary = not request.mimetype.startswith(("application/json", "application/x-www", "text"))
        return {
            "method": request.method,
            "root": request.script_root,
            "path": request.path,
            "args": [list(pair) for pair in request.args.items(multi=True)],
            "cookies": dict(request.cookies),
            "x": request.headers.getlist("X-Two"),
            "body": f"hex {body.hex()}" if body and is_binary else body.decode(),
            "mimetype": request.mimetype,
            "remote": request.remote_addr,
            "url": request.base_url,
        }

    return app


@pytest.fixture(scope="module")
def looking() -> Flask:
    return looking_app()


@pytest.mark.parametrize("golden", golden_files(), ids=lambda golden: golden.name)
def test_an_app_sees_the_request_that_the_golden_event_carries(golden: Golden) -> None:
    app = looking_app()
    if golden.gateway_path is not None:
        app.config["STSESSION_CONNECTION_URI"] = "http://127.0.0.1:9"
        app.config["STSESSION_API_GATEWAY_PATH"] = golden.gateway_path
        STSession(app)
    response = make_handler(app)(golden.event, None)
    assert response["statusCode"] == 200
    assert json.loads(response["body"]) == golden.app_sees


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_session_lives_on_through_any_gateway(make_app: AppFactory, gateway: str) -> None:
    handler = make_handler(make_app(api_domain="https://api.example.com", token_transfer_method="cookie"))
    login = handler(gateway_event(gateway, "/login", method="POST"))
    assert login["statusCode"] == 200
    cookies = dict(line.partition(";")[0].split("=", 1) for line in cookies_of(login))
    assert set(cookies) == {"sAccessToken", "sRefreshToken"}
    user = handler(gateway_event(gateway, cookies=cookies))
    assert json.loads(user["body"])["userId"] == "alice"
    refreshed = handler(gateway_event(gateway, "/auth/session/refresh", method="POST", cookies=cookies))
    assert (refreshed["statusCode"], len(cookies_of(refreshed))) == (200, 2)
    signed_out = handler(gateway_event(gateway, "/auth/signout", method="POST", cookies=cookies))
    assert json.loads(signed_out["body"]) == {"status": "OK"}
    assert handler(gateway_event(gateway, cookies=cookies))["statusCode"] == 401


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_session_by_header_works_through_any_gateway(make_app: AppFactory, gateway: str) -> None:
    handler = make_handler(make_app(api_domain="https://api.example.com"))
    login = handler(gateway_event(gateway, "/login", method="POST", headers={"st-auth-mode": "header"}))
    bearer = {"Authorization": f"Bearer {header_of(login, 'st-access-token')}"}
    assert json.loads(handler(gateway_event(gateway, headers=bearer))["body"])["userId"] == "alice"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_repeated_headers_of_a_response_all_arrive(gateway: str) -> None:
    app = Flask("several")

    @app.get("/user")
    def several() -> Response:
        response = Response(b"\x89PNG\xff", mimetype="image/png")
        response.headers.extend([("Vary", "Origin"), ("Vary", "Cookie")])
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    response = make_handler(app)(gateway_event(gateway))
    assert [line.partition(";")[0] for line in cookies_of(response)] == ["a=1", "b=2"]
    vary = ", ".join(value for name, value in response_headers(response) if name == "vary")
    assert vary == "Origin, Cookie"
    assert (response["body"], response["isBase64Encoded"]) == ("iVBOR/8=", True)


def test_a_header_with_an_underscore_cannot_pass_for_another() -> None:
    app = Flask("spoofed")

    @app.get("/user")
    def spoofed() -> dict[str, Any]:
        return {"value": request.headers.get("X-Admin")}

    response = make_handler(app)(gateway_event("rest", headers={"X_Admin": "yes"}))
    assert json.loads(response["body"]) == {"value": None}


def test_the_app_finds_event_and_context_in_its_environment() -> None:
    app = Flask("looking")
    seen: list[object] = []

    @app.get("/user")
    def look() -> str:
        seen.extend([request.environ["aws_lambda.event"], request.environ["aws_lambda.context"]])
        return ""

    event, context = gateway_event("rest"), object()
    make_handler(app)(event, context)
    assert seen == [event, context]


def test_the_calls_of_an_invocation_end_before_it_times_out(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    app = make_app(connection_uri=served_core.url, api_domain="https://api.example.com")
    handler = make_handler(app)
    login = gateway_event("rest", "/login", method="POST")
    with hanging(served_core):
        started = time.monotonic()
        assert handler(login, with_time_left(700))["statusCode"] == 503
        assert time.monotonic() - started < 5, "the read timeout is 10 s"
    assert handler(login, with_time_left(500))["statusCode"] == 503
    assert handler(login)["statusCode"] == 200
    assert app.test_client().post("/login").status_code == 200, "the limit ends with the invocation"


@pytest.mark.embedded_core
def test_the_core_in_this_process_needs_no_time_limit(make_app: AppFactory) -> None:
    handler = make_handler(make_app(api_domain="https://api.example.com"))
    over = with_time_left(500)
    assert handler(gateway_event("rest", "/login", method="POST"), over)["statusCode"] == 200


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_lone_surrogate_in_a_query_becomes_a_question_mark(gateway: str) -> None:
    app = Flask(__name__)
    app.add_url_rule("/user", view_func=lambda: request.args["q"])
    event = gateway_event(gateway)
    event["rawQueryString"] = "q=\xe9\ud800"
    for key, value in (
        ("queryStringParameters", "\xe9\ud800"),
        ("multiValueQueryStringParameters", ["\xe9\ud800"]),
    ):
        event[key] = {"q": value}
    assert make_handler(app)(event)["body"] == "\xe9?"


def test_what_an_app_opens_for_a_response_is_closed() -> None:
    app = Flask("closing")
    closed: list[str] = []

    @app.get("/user")
    def stream() -> Response:
        response = Response(iter(["a", "b"]))
        response.call_on_close(lambda: closed.append("yes"))
        return response

    assert make_handler(app)(gateway_event("http-2.0"))["body"] == "ab"
    assert closed == ["yes"]


@pytest.mark.parametrize("event", [None, {}, [], {"version": "3.0"}, {"Records": [{}]}])
def test_an_event_of_unknown_shape_is_a_400(looking: Flask, event: object) -> None:
    response = make_handler(looking)(event, None)
    assert response["statusCode"] == 400
    assert "message" in json.loads(response["body"])


@settings(max_examples=100, deadline=None)
@given(event=spoilt_events() | json_values)
def test_any_event_gets_a_response(event: object) -> None:
    response = make_handler(looking_app())(event, None)
    assert response["statusCode"] in (200, 400, 404, 405)
    json.dumps(response)


@pytest.mark.parametrize("app", [None, "app", lambda: Flask("made")])
def test_only_an_app_can_be_served(app: Any) -> None:
    with pytest.raises(TypeError, match=r"^make_handler\(\) takes a Flask app, not .*create_app\(\)\)"):
        make_handler(app)
