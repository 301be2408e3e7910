"""``flask stsession token``: inspect tokens, and create some for ``curl``."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.commands import json_of, output_of, run_on
from werkzeug.test import TestResponse

from flask_stsession import verify_session
from flask_stsession.claims import BooleanClaim
from flask_stsession.multitenancy import create_or_update_tenant

SecondFactor = BooleanClaim(key="2fa", fetch_value=lambda user_id, tenant_id, context: True)


def created(app: Flask, *options: str) -> dict[str, Any]:
    """Create a session by the command, and return its JSON."""
    found: dict[str, Any] = json_of(run_on(app, "token", "create", "alice", *options, "--json"))
    return found


def pasted(client: FlaskClient, line: str) -> TestResponse:
    """Send the request of a command line for curl."""
    command, *words = shlex.split(line)
    assert command == "curl"
    method, url = "GET", words.pop()
    headers: dict[str, str] = {}
    while words:
        option = words.pop(0)
        if option == "-X":
            method = words.pop(0)
        elif option == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif option == "-b":
            headers["Cookie"] = words.pop(0)
        else:
            assert option == "-i"
    return client.open(url, method=method, headers=headers)


# Create


def test_the_command_lines_work_when_pasted(app: Flask) -> None:
    found = created(app)
    client = app.test_client()
    assert found["curl"].endswith(" http://127.0.0.1:5000/user")
    assert pasted(client, found["curl"]).get_json()["userId"] == "alice"
    refreshed = pasted(client, found["curl_refresh"])
    assert refreshed.status_code == 200
    assert refreshed.headers["st-access-token"]


@pytest.mark.parametrize("anti_csrf", ["VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN", "NONE"])
def test_command_lines_by_cookie_pass_the_anti_csrf_check(make_app: AppFactory, anti_csrf: str) -> None:
    app = make_app(
        token_transfer_method="cookie",
        anti_csrf=anti_csrf,
        cookie_prefix="shop_",
        api_domain="https://api.example.com",
        api_gateway_path="/gateway",
    )
    found = created(app)
    assert found["curl"].endswith(" https://api.example.com/gateway/user")
    # The gateway removes its path.
    as_post = found["curl"].replace("curl ", "curl -X POST ").replace("/gateway", "")
    client = app.test_client(use_cookies=False)
    assert pasted(client, as_post).get_json()["userId"] == "alice"
    assert pasted(client, found["curl_refresh"].replace("/gateway", "")).status_code == 200


def test_the_json_has_all_tokens(make_app: AppFactory) -> None:
    found = created(make_app(anti_csrf="VIA_TOKEN"))
    assert (found["user_id"], found["tenant_id"]) == ("alice", "public")
    assert found["access_token"] in found["curl"]
    assert found["refresh_token"] in found["curl_refresh"]
    assert found["anti_csrf_token"]
    assert isinstance(found["access_token_expires_at"], int)


def test_claims_are_built_and_the_tenant_counts(make_app: AppFactory) -> None:
    app = make_app(claims=[SecondFactor])
    with app.app_context():
        create_or_update_tenant("customer1")
    found = created(app, "--tenant", "customer1")
    assert found["tenant_id"] == "customer1"
    inspected = json_of(run_on(app, "token", "inspect", found["access_token"], "--json"))
    assert inspected["tenant_id"] == "customer1"
    assert inspected["payload"]["2fa"]["v"] is True


def test_the_view_of_the_line_asks_for_nothing_but_a_session(make_app: AppFactory) -> None:
    app = make_app()
    app.add_url_rule("/admin", "admin", verify_session(roles="admin")(lambda **_: {}))
    app.add_url_rule("/<name>", "named", verify_session()(lambda name: {}))
    assert created(app)["curl"].endswith("/user")
    del app.view_functions["user"]
    assert created(app)["curl"].endswith("http://127.0.0.1:5000/")


def test_people_get_lines_to_paste(app: Flask) -> None:
    lines = output_of(run_on(app, "token", "create", "alice")).splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == ["Session", "User", "Tenant", "Access token"]
    assert lines[5] == "Send a request:"
    assert pasted(app.test_client(), lines[7]).get_json()["userId"] == "alice"
    assert lines[9] == "Refresh the session:"
    assert pasted(app.test_client(), lines[11]).status_code == 200


# Inspect


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "{}\n",
        "  '{}'  ",
        "Bearer {}",
        "Authorization: Bearer {}",
        "authorization:bearer {}",
        "st-access-token: {}",
        "sAccessToken={};",
        "shop_sAccessToken={}",
        "Cookie: theme=dark; sRefreshToken=abc; sAccessToken={}; lang=en",
        'cookie: sAccessToken="{}"',
        "Set-Cookie: sAccessToken={}; Path=/; HttpOnly; Secure\nSet-Cookie: sRefreshToken=abc; Path=/",
        '"{}",',
    ],
)
def test_a_token_may_be_pasted_with_what_was_around_it(app: Flask, wrap: str) -> None:
    token = created(app)["access_token"]
    for result in (
        run_on(app, "token", "inspect", wrap.format(token), "--json"),
        run_on(app, "token", "inspect", "-", "--json", given=wrap.format(token)),
    ):
        assert json_of(result)["accepted"] is True


def test_the_byte_order_mark_of_a_file_is_ignored(app: Flask) -> None:
    token = created(app)["access_token"]
    given = f"\ufeff{token}\r\n".encode()
    assert json_of(run_on(app, "token", "inspect", "--json", given=given))["accepted"] is True


def test_a_refresh_token_may_be_pasted_with_the_cookies_around_it(app: Flask) -> None:
    line = f"Cookie: theme=dark; sRefreshToken={created(app)['refresh_token']}"
    assert json_of(run_on(app, "token", "inspect", line, "--json"), exit_code=1)["kind"] == "refresh_token"


def test_line_ends_of_a_terminal_are_ignored(app: Flask) -> None:
    token = created(app)["access_token"]
    broken = "\n".join(token[start : start + 80] for start in range(0, len(token), 80))
    assert json_of(run_on(app, "token", "inspect", "--json", given=broken))["accepted"] is True


def test_people_get_the_verdict_in_words(app: Flask) -> None:
    token = created(app)["access_token"]
    lines = output_of(run_on(app, "token", "inspect", token)).splitlines()
    assert [line.split()[0] for line in lines] == [
        "Kind",
        "Session",
        "User",
        "Tenant",
        "Issued",
        "Expires",
        "Header",
        "Payload",
        "Verdict",
    ]
    assert lines[0] == "Kind     access token of a session"
    assert lines[-1] == "Verdict  accepted"
    result = run_on(app, "token", "inspect", "abc")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "Kind     unknown",
        "Verdict  refused with 401 (malformed)",
        "Because  This is not a JWT. A JWT is three parts of base64url with dots between them, the first two "
        "of them JSON.",
        "Remedy   Guards take access tokens: the header st-access-token, or the cookie sAccessToken.",
    ]


def test_bytes_that_are_not_text_are_not_a_token(app: Flask) -> None:
    result = run_on(app, "token", "inspect", "--json", given=b"\xff\xfe\x00")
    assert json_of(result, exit_code=1)["reason"] == "malformed"
