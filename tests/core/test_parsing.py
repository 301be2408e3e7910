"""Responses that are not what the interface promises."""

from __future__ import annotations

import pytest
from support.core_calls import ACCESS, SESSION
from support.scripted_core import ScriptedCore

from flask_stsession.core.models import VerifiedSession
from flask_stsession.core.parsing import CoreReply
from flask_stsession.errors import CoreError, CoreUnavailableError

from .conftest import MakeClient


@pytest.mark.parametrize(
    ("session", "token", "missing"),
    [
        ({**SESSION, "userId": 7}, ACCESS, "a string under 'userId'"),
        ({**SESSION, "userDataInJWT": None}, ACCESS, "an object under 'userDataInJWT'"),
        (SESSION, {**ACCESS, "expiry": True}, "a number under 'expiry'"),
        (SESSION, {**ACCESS, "createdTime": "1"}, "a number under 'createdTime'"),
    ],
)
def test_a_key_that_a_response_lacks_is_named(
    session: object, token: object, missing: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": session, "accessToken": token})
    with pytest.raises(CoreUnavailableError) as caught:
        make_client().verify_session("access")
    assert str(caught.value) == (
        f"POST /recipe/session/verify at {core.url} returned JSON without {missing}. "
        "Is STSESSION_CONNECTION_URI the address of a SuperTokens core?"
    )


@pytest.mark.parametrize(("said", "is_available"), [(True, True), (False, False), (None, False)])
def test_a_newer_payload_is_there_only_if_the_core_says_so(
    said: object, is_available: bool, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": SESSION, "payloadUpdateAvailable": said})
    verified = make_client(cdi_version="5.6").verify_session("access", check_database=True)
    assert isinstance(verified, VerifiedSession)
    assert verified.payload_update_available is is_available


def test_a_status_that_the_interface_does_not_have_is_named(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "CAMPAIGN"})
    told = r"returned the unexpected status 'CAMPAIGN'\.$"
    with pytest.raises(CoreError, match=told):
        make_client().verify_session("access")
    with pytest.raises(CoreError, match=told):
        make_client().create_session("u")


@pytest.mark.parametrize("wrong", [None, 1, True, "OK", ["a", 1], {"a": 1}, [{}, 1]])
def test_each_kind_of_value_is_checked(wrong: object) -> None:
    reply = CoreReply({"key": wrong}, "GET /x at http://core")
    readers = {
        "text": isinstance(wrong, str),
        "number": wrong == 1 and wrong is not True,
        "flag": wrong is True,
        "texts": False,
        "mapping": isinstance(wrong, dict),
        "mappings": False,
    }
    for name, fits in readers.items():
        read = getattr(reply, name)
        if fits:
            assert read("key") == wrong
        else:
            with pytest.raises(CoreUnavailableError, match=r"^GET /x at http://core returned JSON without "):
                read("key")
