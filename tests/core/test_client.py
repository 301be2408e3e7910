"""The client's calls: the requests they make, what they make of the answers, and what is never sent twice."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from support.core_calls import ACCESS, CALLS, REFRESH, SESSION, Call
from support.scripted_core import Behaviour, ScriptedCore, close, cut, nonsense, refusing, reply, reset

from flask_stsession.core.connections import CoreAdapter
from flask_stsession.core.models import Refusal, SessionInformation, Status, Tenant, TokenTheft
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
    """The first request arrives and is executed, but its answer comes too late."""

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

    assert call.do(make_client()) == call.result

    assert core.requests == [call.sends]
    request = core.received[0]
    assert request.query == call.query
    assert (request.json if request.body else None) == call.body
    assert request.headers.get("rid") == call.rid
    assert request.headers.get("cdi-version") == (None if call.name == "get_jwks" else "5.4")


@calls
@pytest.mark.parametrize("failure", FAILURES)
def test_what_may_have_been_executed_is_sent_again_only_if_that_does_no_harm(
    call: Call, failure: str, core: ScriptedCore, make_client: MakeClient, make_transport: MakeTransport
) -> None:
    adapter = LateOnce() if failure == "timeout" else None
    client = make_client(transport=make_transport(adapter=adapter))
    core.will(FAILURES[failure])
    core.always(call.answer)

    if call.repeatable and failure != "timeout":
        assert call.do(client) == call.result
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
        assert call.do(client) == call.result
    assert core.requests == [call.sends]


@calls
def test_any_call_is_sent_again_when_the_core_was_asked_too_often(
    call: Call, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.will(reply({}, status=429))
    core.always(call.answer)
    assert call.do(make_client()) == call.result
    assert core.requests == [call.sends, call.sends]


@calls
@pytest.mark.parametrize(
    "body", [{}, {"status": 1}, {"status": "OK", "session": [], "keys": 1}, {"status": "SOMETHING_NEW"}]
)
def test_an_answer_that_is_not_in_the_interface_is_an_error_of_ours(
    call: Call, body: dict[str, Any], core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(body)
    try:
        result = call.do(make_client())
    except (CoreError, CoreUnavailableError) as error:
        assert call.sends in str(error)  # noqa: PT017
    else:
        # The few that need nothing but a status pass on what they are told.
        assert result in (None, True, "OK", "SOMETHING_NEW")


@pytest.mark.parametrize(
    ("session", "token", "missing"),
    [
        ({**SESSION, "userId": 7}, ACCESS, "a string under 'userId'"),
        ({**SESSION, "userDataInJWT": None}, ACCESS, "an object under 'userDataInJWT'"),
        (SESSION, {**ACCESS, "expiry": True}, "a number under 'expiry'"),
        (SESSION, {**ACCESS, "createdTime": "1"}, "a number under 'createdTime'"),
    ],
)
def test_what_is_missing_from_an_answer_is_named(
    session: object, token: object, missing: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": session, "accessToken": token})
    with pytest.raises(CoreUnavailableError) as caught:
        make_client().verify_session("access")
    assert str(caught.value) == (
        f"POST /recipe/session/verify at {core.url} returned JSON without {missing}. "
        "Is STSESSION_CONNECTION_URI the address of a SuperTokens core?"
    )


def test_a_status_that_the_interface_does_not_have_is_named(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "CAMPAIGN"})
    told = r"returned the unexpected status 'CAMPAIGN'\.$"
    with pytest.raises(CoreError, match=told):
        make_client().verify_session("access")
    with pytest.raises(CoreError, match=told):
        make_client().create_session("u")


@pytest.mark.parametrize("status", ["TRY_REFRESH_TOKEN", "UNAUTHORISED"])
def test_a_refusal_of_a_token_is_an_answer(status: str, core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": status, "message": "because"})
    client = make_client()
    expected = Refusal(Status(status), "because")
    assert client.verify_session("access") == expected
    assert client.refresh_session("refresh") == expected
    assert client.regenerate("access") == expected


def test_theft_names_the_session_and_which_token_was_used_again(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    session = {"handle": "h", "userId": "u", "recipeUserId": "r"}
    core.always(
        {"status": "TOKEN_THEFT_DETECTED", "session": session, "recentTokenReuseSubtype": "RECENT_PREV"}
    )
    assert make_client().refresh_session("refresh") == TokenTheft("h", "u", "r", "RECENT_PREV")


def test_reuse_that_is_configured_to_be_no_theft_is_a_refusal_that_says_so(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "UNAUTHORISED", "recentTokenReuseSubtype": "ORPHANED_BRANCH"})
    assert make_client().refresh_session("refresh") == Refusal(Status.UNAUTHORISED, "", "ORPHANED_BRANCH")


def test_regenerating_without_a_payload_sends_none_and_an_expired_token_yields_none(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": SESSION})
    answer = make_client().regenerate("access")
    assert not isinstance(answer, Refusal)
    assert answer.access_token is None
    assert core.received[0].json == {"accessToken": "access"}


def test_optional_fields_are_sent_only_when_given(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "OK", "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH})
    client = make_client()
    client.verify_session("access")
    client.refresh_session("refresh", anti_csrf_token="csrf")
    assert "antiCsrfToken" not in core.received[0].json
    assert core.received[1].json["antiCsrfToken"] == "csrf"


def test_a_login_method_is_sent_where_the_core_expects_the_user(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH})
    make_client().create_session("u-1", recipe_user_id="r-1")
    assert core.requests == ["POST /recipe/session"]
    assert core.received[0].json["userId"] == "r-1"


def test_a_session_that_is_gone_is_none_or_false(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "UNAUTHORISED", "message": "Session does not exist."})
    client = make_client()
    assert client.get_session_information("h") is None
    assert client.update_session_data("h", {}) is False
    assert client.update_access_token_payload("h", {}) is False


def test_revoking_nothing_asks_nothing(core: ScriptedCore, make_client: MakeClient) -> None:
    assert make_client().revoke_sessions([]) == []
    assert core.requests == []


def test_what_does_not_exist_is_told_without_an_error(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client()
    core.always({"status": "UNKNOWN_ROLE_ERROR"})
    assert client.get_permissions_for_role("x") is None
    assert client.get_users_with_role("x") is None
    assert client.add_role_to_user("u", "x") is None
    assert client.remove_role_from_user("u", "x") is None
    assert client.remove_permissions("x", ["p"]) is False
    core.always({"status": "EMAIL_ALREADY_VERIFIED_ERROR"})
    assert client.create_email_verification_token("u", "a@b.c") is None
    core.always({"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"})
    assert client.verify_email_with_token("x") is None
    core.always({"status": "TENANT_NOT_FOUND_ERROR"})
    assert client.get_tenant("x") is None


def test_ids_are_quoted_in_the_query(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "OK", "roles": []})
    make_client().get_roles_for_user("a&b=c d+é/?#")
    assert core.received[0].query == {"userId": "a&b=c d+é/?#"}


def test_times_of_a_session_are_also_aware_datetimes() -> None:
    information = SessionInformation("h", "u", "u", "public", {}, {}, 1_000, 1_700_000_000_500)
    assert information.created_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)
    assert information.expires_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=timezone.utc)


def test_an_older_core_that_tells_no_login_method_or_tenant_means_the_user_and_the_default(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    session = {"handle": "h", "userId": "u", "userDataInJWT": {}}
    core.always({"status": "OK", "session": session, "accessToken": ACCESS, "refreshToken": REFRESH})
    created = make_client(cdi_version="4.0").create_session("u").session
    assert (created.recipe_user_id, created.tenant_id) == ("u", "public")


OLD_TENANT = {
    "tenantId": "acme",
    "emailPassword": {"enabled": True},
    "thirdParty": {"enabled": False, "providers": []},
    "passwordless": {"enabled": True},
    "coreConfig": {},
}


@pytest.mark.parametrize("version", ["4.0", "5.0"])
def test_tenants_are_told_to_an_older_core_in_its_words(
    version: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    client = make_client(cdi_version=version)
    core.always({"status": "OK", "createdNew": False})
    assert client.create_or_update_tenant("acme", first_factors=["otp-email"]) is False
    client.create_or_update_tenant("acme", first_factors=None)
    client.create_or_update_tenant("acme")
    core.always({"status": "OK", **OLD_TENANT})
    factors = ("emailpassword", "otp-email", "otp-phone", "link-email", "link-phone")
    assert client.get_tenant("acme") == Tenant("acme", factors)
    every = {**OLD_TENANT, "thirdParty": {"enabled": True}}
    core.always({"status": "OK", "tenants": [every]})
    assert client.list_tenants() == [Tenant("acme", None)]

    assert core.requests == [
        *["PUT /recipe/multitenancy/tenant"] * 3,
        "GET /acme/recipe/multitenancy/tenant",
        "GET /recipe/multitenancy/tenant/list",
    ]
    keys = ("emailPasswordEnabled", "thirdPartyEnabled", "passwordlessEnabled")
    sent = [tuple(request.json.get(key) for key in keys) for request in core.received[:3]]
    assert sent == [(False, False, True), (True, True, True), (None, None, None)]


def test_secondary_factors_are_not_dropped_silently_by_an_older_core(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    with pytest.raises(CoreError) as caught:
        make_client(cdi_version="5.0").create_or_update_tenant("acme", required_secondary_factors=["totp"])
    assert str(caught.value) == (
        "Secondary factors of a tenant need a core that speaks CDI 5.1 or newer; we speak 5.0 with this one."
    )
    assert core.requests == []


def test_a_tenant_is_changed_only_in_what_is_given(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "OK", "createdNew": False})
    client = make_client()
    client.create_or_update_tenant("acme", core_config={"a": None})
    client.create_or_update_tenant("acme", first_factors=None)
    assert core.received[0].json == {"tenantId": "acme", "coreConfig": {"a": None}}
    assert core.received[1].json == {"tenantId": "acme", "firstFactors": None}


def test_many_calls_share_one_connection(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client()
    core.always(
        {"status": "OK", "roles": [], "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH}
    )
    for _ in range(5):
        client.get_roles_for_user("u")
        client.create_session("u")
        client.refresh_session("refresh")
    assert (len(core.received), core.connections) == (15, 1)


def test_nothing_is_asked_before_it_is_needed(core: ScriptedCore, make_client: MakeClient) -> None:
    make_client(cdi_version=None)
    assert (core.requests, core.connections) == ([], 0)


def test_no_secret_is_in_the_repr_of_what_the_client_returns(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(
        {
            "status": "OK",
            "session": SESSION,
            "accessToken": ACCESS,
            "refreshToken": REFRESH,
            "antiCsrfToken": "csrf",
        }
    )
    client = make_client()
    told = repr([client.create_session("u"), client.verify_session("x"), client.regenerate("x")])
    for secret in ("'access'", "'refresh'", "csrf"):
        assert secret not in told


def test_a_payload_that_is_no_json_is_the_callers_error(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client()
    with pytest.raises(TypeError):
        client.create_session("u", payload={"when": datetime.now(timezone.utc)})
    with pytest.raises(ValueError, match="not JSON compliant"):
        client.create_session("u", payload={"ratio": float("nan")})
    assert core.requests == []


def test_an_outage_is_told_with_its_reason(core: ScriptedCore, make_client: MakeClient) -> None:
    core.will(reset, reset)
    with pytest.raises(CoreUnavailableError) as caught:
        make_client().get_jwks()
    assert caught.value.reason is Reason.CORE_UNREACHABLE
    assert caught.value.code == 503
