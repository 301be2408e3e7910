"""Which of the client's reads may come from the cache, and which writes drop them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from support.scripted_core import FakeClock, ScriptedCore, reply, reset

from flask_stsession.core import EmailVerificationCalls, RoleCalls
from flask_stsession.core.client import CoreClient
from flask_stsession.errors import CoreUnavailableError

from .conftest import MakeClient

FOREVER = math.inf

PERMISSIONS = {"status": "OK", "permissions": ["p"]}

WRITES: dict[str, tuple[Callable[[CoreClient], object], dict[str, Any], bool]] = {
    "add role": (lambda c: RoleCalls(c).add_role_to_user("u", "a"), {"didUserAlreadyHaveRole": False}, False),
    "create role": (lambda c: RoleCalls(c).create_role("a", ["q"]), {"createdNewRole": False}, True),
    "create another": (lambda c: RoleCalls(c).create_role("b"), {"createdNewRole": True}, False),
    "remove permissions": (lambda c: RoleCalls(c).remove_permissions("a", ["p"]), {}, True),
    "delete role": (lambda c: RoleCalls(c).delete_role("a"), {"didRoleExist": True}, True),
    "delete another": (lambda c: RoleCalls(c).delete_role("b"), {"didRoleExist": True}, False),
}


def test_the_permissions_of_a_role_may_come_from_the_cache(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(PERMISSIONS)
    client = make_client()
    for _ in range(3):
        assert RoleCalls(client).get_permissions_for_role("a", max_age=FOREVER) == ["p"]
    assert len(core.received) == 1
    assert RoleCalls(client).get_permissions_for_role("a") == ["p"]
    assert len(core.received) == 2


def test_cached_permissions_are_asked_for_again_after_their_ttl(
    core: ScriptedCore, make_client: MakeClient, clock: FakeClock
) -> None:
    core.always(PERMISSIONS)
    client = make_client(cache_ttl_seconds=30)
    for passed, asked in ((0, 1), (29, 1), (2, 2)):
        clock.now += passed
        assert RoleCalls(client).get_permissions_for_role("a", max_age=FOREVER) == ["p"]
        assert len(core.received) == asked


def test_roles_of_users_and_verified_addresses_are_never_cached(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "roles": ["a"], "isVerified": True})
    client = make_client()
    for _ in range(2):
        RoleCalls(client).get_roles_for_user("u")
        EmailVerificationCalls(client).is_email_verified("u", "a@b.c")
    assert len(core.received) == 4


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fails", [False, True], ids=["done", "answer lost"])
def test_a_write_drops_the_entries_that_it_touches_and_no_others(
    write: str, fails: bool, core: ScriptedCore, make_client: MakeClient
) -> None:
    client = make_client()
    core.will(reply(PERMISSIONS))
    RoleCalls(client).get_permissions_for_role("a", max_age=FOREVER)
    do, answer, drops = WRITES[write]
    if fails:
        core.will(reset, reset)
        with pytest.raises(CoreUnavailableError):
            do(client)
    else:
        core.will(reply({"status": "OK", **answer}))
        do(client)

    before = len(core.received)
    core.answers[""] = reply(PERMISSIONS)
    RoleCalls(client).get_permissions_for_role("a", max_age=FOREVER)
    assert (len(core.received) > before) is drops


def test_a_caller_cannot_change_a_cached_result(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always(PERMISSIONS)
    client = make_client()
    for _ in range(2):
        permissions = RoleCalls(client).get_permissions_for_role("a", max_age=FOREVER)
        assert permissions is not None
        assert permissions == ["p"]
        permissions.clear()
