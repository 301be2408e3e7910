"""A process is frozen between two invocations, and thawed for the next: minutes may have passed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aws_lambda.conftest import SignIn
from support.example_modules import EXAMPLES
from support.lambda_events import gateway_event, header_of
from support.lambda_runtime import running_function
from support.nat_gateway import NatGateway, running_nat_gateway
from support.served_core import ServedCore

from flask_stsession.aws_lambda import verify_session_event
from flask_stsession.core.connections import MAX_IDLE_SECONDS

#: Longer (s) than a NAT gateway keeps an idle connection, and than keys stay fresh.
LONG = 400.0
PASSWORD = "only for this test"


@pytest.fixture
def nat(served_core: ServedCore) -> Iterator[NatGateway]:
    """A NAT gateway between the functions and the core."""
    port = urlsplit(served_core.url).port
    assert port is not None
    with running_nat_gateway(port) as gateway:
        yield gateway


class Thaw:
    """Lets time pass on one clock, or on both, while nothing runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def after(self, clocks: tuple[str, ...], seconds: float) -> None:
        for name in clocks:
            clock = getattr(time, name)
            self._patch.setattr(time, name, lambda clock=clock: clock() + seconds)


@pytest.mark.parametrize("clocks", [("time",), ("monotonic",), ("time", "monotonic")])
def test_a_thawed_process_renews_old_keys_over_a_new_connection(
    function: dict[str, Any],
    sign_in: SignIn,
    served_core: ServedCore,
    nat: NatGateway,
    monkeypatch: pytest.MonkeyPatch,
    clocks: tuple[str, ...],
) -> None:
    function["STSESSION_CONNECTION_URI"] = f"http://127.0.0.1:{nat.port}"
    token = sign_in().get_access_token()
    event = gateway_event("http-2.0", headers={"authorization": f"Bearer {token}"})

    @verify_session_event(function)
    def handler(event: Any, context: object) -> dict[str, Any]:
        return {"statusCode": 200, "body": event["session"].get_user_id()}

    assert handler(dict(event))["statusCode"] == 200
    served_core.counted()
    assert nat.forget() == 1
    Thaw(monkeypatch).after(clocks, LONG)
    assert handler(dict(event))["statusCode"] == 200
    assert served_core.counted() == {"GET /.well-known/jwks.json": 1}
    assert nat.lost == []


@pytest.mark.parametrize("clocks", [("time",), ("monotonic",)])
def test_a_confirmation_of_the_core_ages_while_the_process_is_frozen(
    function: dict[str, Any],
    sign_in: SignIn,
    served_core: ServedCore,
    monkeypatch: pytest.MonkeyPatch,
    clocks: tuple[str, ...],
) -> None:
    function.update(STSESSION_CHECK_DATABASE=True, STSESSION_CHECK_DATABASE_TTL_SECONDS=60)
    session = sign_in()
    event = gateway_event("http-2.0", headers={"authorization": f"Bearer {session.get_access_token()}"})
    handler = verify_session_event(function)(lambda *_: {"statusCode": 200})
    assert [handler(dict(event))["statusCode"] for _ in range(2)] == [200, 200]
    assert served_core.counted()["POST /recipe/session/verify"] == 1
    session.revoke_session()
    Thaw(monkeypatch).after(clocks, LONG)
    assert handler(dict(event))["statusCode"] == 401


@pytest.mark.slow
def test_a_stopped_process_goes_on_with_its_first_request_and_loses_nothing(
    served_core: ServedCore, nat: NatGateway
) -> None:
    folder: Path = EXAMPLES / "aws_lambda"
    environment = {
        "FLASK_STSESSION_CONNECTION_URI": f"http://127.0.0.1:{nat.port}",
        "FLASK_STSESSION_API_DOMAIN": "https://api.example.com",
        "FLASK_STSESSION_WEBSITE_DOMAIN": "https://www.example.com",
        "FLASK_STSESSION_COOKIE_SAME_SITE": "lax",
        "FLASK_STSESSION_JWKS_REFRESH_SECONDS": "1",
        "DEMO_PASSWORD": PASSWORD,
    }
    body = json.dumps({"userId": "alice", "password": PASSWORD})
    json_by_header = {"content-type": "application/json", "st-auth-mode": "header"}
    login = gateway_event("http-2.0", "/login", method="POST", headers=json_by_header, body=body)
    with running_function("app.handler", folder, environment) as function:
        token = header_of(function.invoke(login).result, "st-access-token")
        user = gateway_event("http-2.0", headers={"authorization": f"Bearer {token}"})
        assert function.invoke(user).result["statusCode"] == 200
        for event, asked in (
            # The core must not make two sessions, so this is never sent twice.
            (login, "POST /recipe/session"),
            (user, "GET /.well-known/jwks.json"),
        ):
            served_core.counted()
            with function.frozen():
                assert nat.forget() >= 1
                time.sleep(MAX_IDLE_SECONDS + 0.2)
            assert function.invoke(event).result["statusCode"] == 200
            assert served_core.counted()[asked] == 1
    assert nat.lost == []
