"""Which of the client's reads may be answered from memory, and which of its writes end that."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from flask_stsession.core.client import CoreClient
from flask_stsession.errors import CoreUnavailableError

from .conftest import MakeClient
from .scripted_core import ScriptedCore, reply, reset

FOREVER = math.inf

CACHED: dict[str, tuple[Callable[[CoreClient, float], object], dict[str, Any], object]] = {
    "roles": (lambda c, age: c.get_roles_for_user("u", max_age=age), {"roles": ["a"]}, ["a"]),
    "permissions": (
        lambda c, age: c.get_permissions_for_role("a", max_age=age),
        {"permissions": ["p"]},
        ["p"],
    ),
    "email": (lambda c, age: c.is_email_verified("u", "a@b.c", max_age=age), {"isVerified": True}, True),
}

WRITES: dict[str, tuple[Callable[[CoreClient], object], dict[str, Any], set[str]]] = {
    "add role": (lambda c: c.add_role_to_user("u", "b"), {"didUserAlreadyHaveRole": False}, {"roles"}),
    "remove role": (lambda c: c.remove_role_from_user("u", "a"), {"didUserHaveRole": True}, {"roles"}),
    "remove role elsewhere": (
        lambda c: c.remove_role_from_user("u", "a", tenant_id="acme"),
        {"didUserHaveRole": True},
        {"roles"},
    ),
    "role of another": (lambda c: c.add_role_to_user("v", "a"), {"didUserAlreadyHaveRole": False}, set()),
    "create role": (lambda c: c.create_role("a", ["q"]), {"createdNewRole": False}, {"permissions"}),
    "create another": (lambda c: c.create_role("b"), {"createdNewRole": True}, set()),
    "remove permissions": (lambda c: c.remove_permissions("a", ["p"]), {}, {"permissions"}),
    "delete role": (lambda c: c.delete_role("a"), {"didRoleExist": True}, {"roles", "permissions"}),
    "verify": (lambda c: c.verify_email_with_token("t"), {"userId": "u", "email": "a@b.c"}, {"email"}),
    "verify another": (lambda c: c.verify_email_with_token("t"), {"userId": "v", "email": "a@b.c"}, set()),
    "unverify": (lambda c: c.unverify_email("u", "a@b.c"), {}, {"email"}),
}


@pytest.mark.parametrize("what", CACHED)
def test_a_read_that_allows_it_is_answered_from_memory(
    what: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    read, answer, result = CACHED[what]
    core.always({"status": "OK", **answer})
    client = make_client()
    for _ in range(3):
        assert read(client, FOREVER) == result
    assert len(core.received) == 1
    assert read(client, 0) == result
    assert len(core.received) == 2


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fails", [False, True], ids=["done", "answer lost"])
def test_a_write_drops_what_it_touches_and_no_more(
    write: str, fails: bool, core: ScriptedCore, make_client: MakeClient
) -> None:
    client = make_client()
    for read, answer, _ in CACHED.values():
        core.will(reply({"status": "OK", **answer}))
        read(client, FOREVER)
    do, answer, dropped = WRITES[write]
    if fails and not write.startswith("verify"):
        core.will(reset, reset)
        with pytest.raises(CoreUnavailableError):
            do(client)
    else:
        core.will(reply({"status": "OK", **answer}))
        do(client)

    asked = set()
    for what, (read, answer, _) in CACHED.items():
        before = len(core.received)
        core.answers[""] = reply({"status": "OK", **answer})
        read(client, FOREVER)
        if len(core.received) > before:
            asked.add(what)
    assert asked == dropped


def test_what_was_remembered_cannot_be_changed_by_who_got_it(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "roles": ["a"], "permissions": ["p"]})
    client = make_client()
    for _ in range(2):
        roles = client.get_roles_for_user("u", max_age=FOREVER)
        permissions = client.get_permissions_for_role("a", max_age=FOREVER)
        assert (roles, permissions) == (["a"], ["p"])
        roles.append("root")
        assert permissions is not None
        permissions.clear()
