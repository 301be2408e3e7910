"""The client's calls: their requests, how they read the responses, and which are never repeated."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from support.core_calls import ACCESS, CALLS, REFRESH, SESSION, Call
from support.plain_data import as_data
from support.scripted_core import Behaviour, ScriptedCore, close, cut, nonsense, refusing, reply, reset

from flask_stsession.core import EmailVerificationCalls, RoleCalls, TenantCalls
from flask_stsession.core.connections import CoreAdapter
from flask_stsession.errors import CoreError, CoreUnavailableError, Reason

from .conftest import MakeClient, MakeTransport

calls = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)

FAILURES: dict[str, Behaviour] = {
    "reset": reset,
    "closed": close,
    "cut": cut,
    "nonsense": nonsense,
    "timeout": reply({}),
    "500": reply({}, status=500),
    "503": reply(raw=b"Service Unavailable", status=503),
    "not JSON": reply(raw=b"<html>Welcome to nginx!</html>"),
    "JSON but no object": reply([]),
}


class LateOnce(CoreAdapter):
    """The first request arrives and is executed, but its response comes too late."""

    def __init__(self) -> None:
        super().__init__(clock=time.monotonic)
        self.late = True

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **kwargs)
        if self.late and response.content:
            self.late = False
            raise requests.ReadTimeout
        return response


@calls
def test_a_call_is_one_request_of_the_shape_that_the_interface_has(
    call: Call, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(call.answer)

    assert as_data(call.do(make_client())) == as_data(call.result)

    assert core.requests == [call.sends]
    request = core.received[0]
    assert request.query == call.query
    assert (request.json if request.body else None) == call.body
    assert request.headers.get("rid") == call.rid
    assert request.headers.get("cdi-version") == (None if call.name == "get_jwks" else "5.4")


@calls
@pytest.mark.parametrize("failure", FAILURES)
def test_a_call_that_may_have_been_executed_is_repeated_only_if_that_is_safe(
    call: Call, failure: str, core: ScriptedCore, make_client: MakeClient, make_transport: MakeTransport
) -> None:
    adapter = LateOnce() if failure == "timeout" else None
    client = make_client(transport=make_transport(adapter=adapter))
    core.will(FAILURES[failure])
    core.always(call.answer)

    if call.repeatable and failure != "timeout":
        assert as_data(call.do(client)) == as_data(call.result)
        assert core.requests == [call.sends, call.sends]
    elif call.repeatable:
        # The host seems to hang: another one would be asked, but not the same again.
        with pytest.raises(CoreUnavailableError, match="no whole response within 10 s"):
            call.do(client)
        assert core.requests == [call.sends]
    else:
        with pytest.raises(
            CoreUnavailableError, match=r"may have been executed, so it was not sent again\.$"
        ):
            call.do(client)
        assert core.requests == [call.sends]


@calls
def test_a_refused_connection_sends_any_call_to_the_next_host(
    call: Call, core: ScriptedCore, make_client: MakeClient, make_transport: MakeTransport
) -> None:
    core.always(call.answer)
    with refusing() as dead:
        client = make_client(transport=make_transport(hosts=[dead, core.url]))
        assert as_data(call.do(client)) == as_data(call.result)
    assert core.requests == [call.sends]


#: The calls whose response has no status, or that return it.
ANY_STATUS = ("get_jwks", "associate_user_to_tenant")


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.name not in ANY_STATUS], ids=lambda call: call.name
)
def test_a_status_that_the_interface_does_not_have_is_refused(
    call: Call, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({**call.answer, "status": "CAMPAIGN"})
    with pytest.raises(CoreError, match=r"returned the unexpected status 'CAMPAIGN'\.$"):
        call.do(make_client())


@calls
def test_any_call_is_repeated_after_a_429(call: Call, core: ScriptedCore, make_client: MakeClient) -> None:
    core.will(reply({}, status=429))
    core.always(call.answer)
    assert as_data(call.do(make_client())) == as_data(call.result)
    assert core.requests == [call.sends, call.sends]


@calls
@pytest.mark.parametrize(
    "body", [{}, {"status": 1}, {"status": "OK", "session": [], "keys": 1}, {"status": "SOMETHING_NEW"}]
)
def test_a_response_outside_of_the_interface_raises_one_of_our_errors(
    call: Call, body: dict[str, Any], core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(body)
    try:
        result = call.do(make_client())
    except (CoreError, CoreUnavailableError) as error:
        assert call.sends in str(error)  # noqa: PT017
    else:
        # The few calls that need only a status return it as it is.
        assert result in (None, True, "OK", "SOMETHING_NEW")


def test_a_missing_object_is_a_result_and_not_an_error(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client()
    core.always({"status": "UNKNOWN_ROLE_ERROR"})
    assert RoleCalls(client).get_permissions_for_role("x") is None
    assert RoleCalls(client).get_users_with_role("x") is None
    assert RoleCalls(client).add_role_to_user("u", "x") is None
    assert RoleCalls(client).remove_role_from_user("u", "x") is None
    assert RoleCalls(client).remove_permissions("x", ["p"]) is False
    core.always({"status": "EMAIL_ALREADY_VERIFIED_ERROR"})
    assert EmailVerificationCalls(client).create_email_verification_token("u", "a@b.c") is None
    core.always({"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"})
    assert EmailVerificationCalls(client).verify_email_with_token("x") is None
    core.always({"status": "TENANT_NOT_FOUND_ERROR"})
    assert TenantCalls(client).get_tenant("x") is None


def test_ids_are_quoted_in_the_query(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "OK", "roles": []})
    RoleCalls(make_client()).get_roles_for_user("a&b=c d+é/?#")
    assert core.received[0].query == {"userId": "a&b=c d+é/?#"}


def test_many_calls_share_one_connection(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client()
    core.always(
        {"status": "OK", "roles": [], "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH}
    )
    for _ in range(5):
        RoleCalls(client).get_roles_for_user("u")
        client.create_session("u")
        client.refresh_session("refresh")
    assert (len(core.received), core.connections) == (15, 1)


def test_no_request_is_made_before_it_is_needed(core: ScriptedCore, make_client: MakeClient) -> None:
    make_client(cdi_version=None)
    assert (core.requests, core.connections) == ([], 0)


@pytest.mark.parametrize(("seconds", "sent"), [(None, None), (1.5, 1500), (3600, 3_600_000)])
def test_the_life_of_the_first_token_is_sent_in_whole_milliseconds(
    seconds: float | None, sent: int | None, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH})
    make_client(cdi_version="5.6").create_session("u", access_token_validity_seconds=seconds)
    assert repr(core.received[0].json.get("accessTokenValidity")) == repr(sent)


def test_a_payload_that_is_not_json_is_the_callers_error(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client()
    with pytest.raises(TypeError):
        client.create_session("u", payload={"when": datetime.now(timezone.utc)})
    with pytest.raises(ValueError, match="not JSON compliant"):
        client.create_session("u", payload={"ratio": float("nan")})
    assert core.requests == []


def test_an_outage_has_its_reason(core: ScriptedCore, make_client: MakeClient) -> None:
    core.will(reset, reset)
    with pytest.raises(CoreUnavailableError) as caught:
        make_client().get_jwks()
    assert caught.value.reason is Reason.CORE_UNREACHABLE
    assert caught.value.code == 503
