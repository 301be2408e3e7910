"""The calls about sessions: verdicts, sessions that are gone, and lists."""

from __future__ import annotations

import threading
import time

import pytest
from support.app_factory import AppFactory
from support.core_calls import ACCESS, REFRESH, SESSION
from support.scripted_core import Link, ScriptedCore, reply
from support.served_core import ServedCore

from flask_stsession import (
    create_new_session_without_request_response,
    get_session_information,
    list_sessions,
)
from flask_stsession.core.models import Refusal, Status, TokenTheft
from flask_stsession.errors import ConfigError, CoreError, CoreUnavailableError

from .conftest import MakeClient


@pytest.mark.parametrize("status", ["TRY_REFRESH_TOKEN", "UNAUTHORISED"])
def test_a_refusal_of_a_token_is_a_result_and_not_an_error(
    status: Status, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": status, "message": "because"})
    client = make_client()
    expected = Refusal(status, "because")
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


def test_reuse_that_is_configured_not_to_be_theft_is_a_refusal(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "UNAUTHORISED", "recentTokenReuseSubtype": "ORPHANED_BRANCH"})
    assert make_client().refresh_session("refresh") == Refusal("UNAUTHORISED")


def test_regenerating_without_a_payload_sends_none_and_an_expired_token_yields_none(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": SESSION})
    answer = make_client().regenerate("access")
    assert not isinstance(answer, Refusal)
    assert answer.access_token is None
    assert core.received[0].json == {"accessToken": "access"}


def test_an_anti_csrf_token_is_sent_only_when_given(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "OK", "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH})
    client = make_client()
    client.refresh_session("refresh")
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


def test_revoking_nothing_makes_no_request(core: ScriptedCore, make_client: MakeClient) -> None:
    assert make_client().revoke_sessions([]) == []
    assert core.requests == []


def test_login_method_and_tenant_default_to_the_user_and_the_default_tenant(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(information("h"))
    found = make_client(cdi_version="4.0").get_session_information("h")
    assert found is not None
    assert (found.recipe_user_id, found.tenant_id) == ("u", "public")


# A tenant that was deleted

GONE = reply(raw=b"AppId or tenantId not found => Tenant not found: (, public, gone)", status=400)
VERSIONS = reply({"versions": ["5.4"]})


def test_a_session_of_a_deleted_tenant_has_ended(core: ScriptedCore, make_client: MakeClient) -> None:
    core.answers = {"": GONE, "/apiversion": VERSIONS}
    client = make_client()
    ended = Refusal("UNAUTHORISED", "the tenant of the session no longer exists")
    assert client.verify_session("access", check_database=True) == ended
    assert client.refresh_session("refresh") == ended
    assert client.regenerate("access", {}) == ended
    assert client.get_session_information("h_gone") is None
    assert client.update_session_data("h_gone", {}) is False
    assert client.update_access_token_payload("h_gone", {}) is False
    assert client.revoke_sessions(["h_gone"]) == []


def test_sessions_of_other_tenants_are_revoked_beside_one_of_a_deleted_tenant(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers["/apiversion"] = VERSIONS
    core.will(GONE)
    core.script.append(VERSIONS)
    core.will(reply({"status": "OK", "sessionHandlesRevoked": ["a", "b"]}), GONE, VERSIONS)
    core.will(reply({"status": "OK", "sessionHandlesRevoked": ["d_acme"]}))
    assert make_client().revoke_sessions(["a", "b", "c_gone", "d_acme"]) == ["a", "b", "d_acme"]
    sent = [request.json["sessionHandles"] for request in core.received if request.body]
    assert sent == [["a", "b", "c_gone", "d_acme"], ["a", "b"], ["c_gone"], ["d_acme"]]


@pytest.mark.parametrize("version", ["5.4", None])
def test_an_app_that_the_core_does_not_have_is_a_config_error_and_ends_no_session(
    core: ScriptedCore, make_client: MakeClient, version: str | None
) -> None:
    core.answers[""] = GONE
    client = make_client(cdi_version=version)
    first = "GET /apiversion" if version is None else "POST /recipe/session/"
    for call in (lambda: client.refresh_session("refresh"), lambda: client.verify_session("access")):
        with pytest.raises(ConfigError) as caught:
            call()
        assert str(caught.value).startswith(f"STSESSION_CONNECTION_URI: {first}")
        assert str(caught.value).endswith(". Check the path of the address (/appid-…).")
    with pytest.raises(ConfigError, match="Check the path of the address"):
        client.create_session("alice")


def test_a_session_of_a_deleted_tenant_has_ended_for_a_core_that_was_replaced_as_well(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    client = make_client(cdi_version=None)
    client._versions.known = "5.4"
    core.will(reply(raw=b"cdi-version 5.4 not supported", status=400), reply({"versions": ["5.3"]}))
    core.will(GONE, reply({"versions": ["5.3"]}))
    assert client.refresh_session("refresh") == Refusal(
        "UNAUTHORISED", "the tenant of the session no longer exists"
    )


def test_a_refusal_to_revoke_ends_no_session(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "UNAUTHORISED", "message": "no"})
    with pytest.raises(CoreError, match="returned the unexpected status 'UNAUTHORISED'"):
        make_client().revoke_sessions(["a"])


def test_a_core_that_does_not_say_whether_it_has_the_app_ends_no_session_and_keeps_its_own_refusal(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers = {"": GONE, "/apiversion": reply(raw=b"Invalid API key", status=401)}
    with pytest.raises(CoreError, match=r"^GET /apiversion .* was refused with 401"):
        make_client().refresh_session("refresh")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, b"Field name 'accessToken' is missing in JSON input"),
        (404, b"AppId or tenantId not found => Tenant not found: (, public, gone)"),
    ],
)
def test_other_refusals_are_core_errors(
    core: ScriptedCore, make_client: MakeClient, status: int, text: bytes
) -> None:
    core.answers[""] = reply(raw=text, status=status)
    with pytest.raises(CoreError, match=f"was refused with {status}"):
        make_client().verify_session("access")
    assert len(core.received) == 1


# Lists


def information(handle: str) -> dict[str, object]:
    return {
        "status": "OK",
        "sessionHandle": handle,
        "userId": "u",
        "userDataInDatabase": {},
        "userDataInJWT": {},
        "timeCreated": 1,
        "expiry": 2,
    }


def test_the_sessions_of_a_user_are_read_a_few_at_a_time(core: ScriptedCore, make_client: MakeClient) -> None:
    handles = [f"h-{number}" for number in range(40)]
    at_once: list[int] = [0, 0]
    lock = threading.Lock()

    def read(link: Link) -> None:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        reply(information("h"))(link)

    core.answers = {"/recipe/session/user": reply({"status": "OK", "sessionHandles": handles})}
    core.answers["/recipe/session"] = read
    found = make_client().list_sessions("u")
    assert len(found) == 40
    assert sorted(request.query["sessionHandle"] for request in core.received[1:]) == sorted(handles)
    assert 2 <= at_once[1] <= 8


@pytest.mark.slow
@pytest.mark.embedded_core
def test_an_embedded_core_lists_a_thousand_sessions_in_one_round_trip(
    served_core: ServedCore, make_app: AppFactory
) -> None:
    app = make_app(connection_uri=served_core.url)
    with app.app_context():
        for number in range(1000):
            create_new_session_without_request_response("alice", access_token_payload={"n": number})
        create_new_session_without_request_response("bob")
        served_core.counted()
        found = list_sessions("alice")
        assert served_core.counted() == {"GET /recipe/session/user": 1}
        numbers = sorted(each.custom_claims_in_access_token_payload["n"] for each in found)
        assert numbers == list(range(1000))
        assert found[0] == get_session_information(found[0].session_handle)


def test_sessions_missing_from_the_list_response_are_read_one_by_one(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    described = {key: value for key, value in information("a").items() if key != "status"}
    listed = {"status": "OK", "sessionHandles": ["a", "b"], "sessions": [described]}
    core.answers = {"/recipe/session/user": reply(listed), "/recipe/session": reply(information("b"))}
    assert [each.session_handle for each in make_client().list_sessions("u")] == ["a", "b"]
    assert [request.query.get("sessionHandle") for request in core.received] == [None, "b"]


def test_sessions_that_end_while_they_are_listed_are_left_out(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers["/recipe/session/user"] = reply({"status": "OK", "sessionHandles": ["a", "b"]})
    core.answers["/recipe/session"] = reply({"status": "UNAUTHORISED", "message": ""})
    assert make_client().list_sessions("u") == []


def test_an_outage_while_sessions_are_listed_is_raised_as_one(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers["/recipe/session/user"] = reply({"status": "OK", "sessionHandles": ["a", "b", "c"]})
    core.answers["/recipe/session"] = reply({}, status=500)
    with pytest.raises(CoreUnavailableError):
        make_client().list_sessions("u")
