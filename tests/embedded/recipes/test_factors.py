"""The two forms of login factors, and how a core 12.1 converts each into the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from support.running_cores import Client, client_of

from flask_stsession.embedded.app import EmbeddedCore

PATH = "/recipe/multitenancy/tenant"
PASSWORDLESS = ["otp-email", "otp-phone", "link-email", "link-phone"]
#: Absent from a description: nothing is restricted.
FREE: Any = None

Change: TypeAlias = "tuple[str, dict[str, Any]]"


@pytest.fixture
def client() -> Iterator[Client]:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        yield client.speaking("5.4")


def new(**fields: Any) -> Change:
    """Return a change in the newer form."""
    return "/v2", fields


def old(switches: str = "", **fields: Any) -> Change:
    """Return a change in the older form, for example ``"+email -third"``."""
    names = {"email": "emailPassword", "third": "thirdParty", "less": "passwordless"}
    return "", {**{f"{names[word[1:]]}Enabled": word[0] == "+" for word in switches.split()}, **fields}


def switched_on(described: dict[str, Any]) -> str:
    names = {"emailPassword": "email", "thirdParty": "third", "passwordless": "less"}
    return " ".join(word for name, word in names.items() if described[name]["enabled"])


@pytest.mark.parametrize(
    ("changes", "first", "required", "switches"),
    [
        # Created by either form
        ([new()], [], FREE, ""),
        ([old()], [], FREE, ""),
        ([old("+less")], PASSWORDLESS, FREE, "less"),
        ([old("+email +third +less")], FREE, FREE, "email third less"),
        ([new(firstFactors=None)], FREE, FREE, "email third less"),
        ([new(firstFactors=[])], [], FREE, ""),
        ([new(firstFactors=["thirdparty"])], ["thirdparty"], FREE, "email third less"),
        ([old(firstFactors=["x"])], ["x"], FREE, ""),
        ([old(firstFactors=["emailpassword"])], ["emailpassword"], FREE, "email"),
        ([new(requiredSecondaryFactors=["totp"])], [], ["totp"], ""),
        ([new(requiredSecondaryFactors=[])], [], FREE, ""),
        # The newer form after the older one
        ([old("+email"), new()], ["emailpassword"], FREE, "email"),
        ([old("+email"), new(firstFactors=["x"])], ["x"], FREE, "email third less"),
        (
            [old("+email"), new(requiredSecondaryFactors=["totp"])],
            ["emailpassword"],
            ["totp"],
            "email third less",
        ),
        # The older form after the newer one
        ([new(firstFactors=["thirdparty"]), old("-third")], [], FREE, ""),
        ([new(firstFactors=["thirdparty"]), old("-email")], ["thirdparty"], FREE, "third less"),
        (
            [new(firstFactors=["thirdparty", "x"]), old("-third"), old("+third")],
            ["x"],
            FREE,
            "email third less",
        ),
        ([new(firstFactors=["x", *PASSWORDLESS]), old("-less")], ["x"], FREE, "email third"),
        ([new(firstFactors=[]), old("+third")], ["thirdparty"], FREE, "third"),
        ([new(firstFactors=None), old("-email")], ["thirdparty", *PASSWORDLESS], FREE, "third less"),
        ([new(requiredSecondaryFactors=["otp-email", "x"]), old("-less")], [], ["x"], ""),
        # Lists in the older form
        (
            [old("+email", requiredSecondaryFactors=["otp-email"])],
            ["emailpassword"],
            ["otp-email"],
            "email less",
        ),
        ([old("+email"), old(firstFactors=["x"]), old(firstFactors=None)], ["emailpassword"], FREE, "email"),
    ],
)
def test_each_form_is_converted_into_the_other(
    client: Client, changes: list[Change], first: object, required: object, switches: str
) -> None:
    for suffix, fields in changes:
        client.call("PUT", PATH + suffix, {"tenantId": "t", **fields})
    newer = client.call("GET", f"/t{PATH}/v2")
    assert (newer.get("firstFactors"), newer.get("requiredSecondaryFactors")) == (first, required)
    assert switched_on(client.call("GET", f"/t{PATH}")) == switches
    listed = client.call("GET", f"{PATH}/list")["tenants"]
    assert switched_on(next(tenant for tenant in listed if tenant["tenantId"] == "t")) == switches


def test_unset_lists_are_absent_rather_than_null(client: Client) -> None:
    client.call("PUT", f"{PATH}/v2", {"tenantId": "t", "firstFactors": None})
    for suffix in ("", "/v2", "/list", "/list/v2"):
        assert None not in client.call("GET", PATH + suffix).values()


def test_before_5_0_the_older_form_has_no_lists(client: Client) -> None:
    older = client.speaking("4.0")
    older.call("PUT", PATH, {"tenantId": "t", "firstFactors": ["x"], "emailPasswordEnabled": True})
    client.call("PUT", f"{PATH}/v2", {"tenantId": "u", "firstFactors": ["otp-email"]})
    for tenant, switches in (("t", "email"), ("u", "less")):
        described = older.call("GET", f"/{tenant}{PATH}")
        assert switched_on(described) == switches
        assert "firstFactors" not in described


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (new(firstFactors=["a", "a"]), "firstFactors input should not contain duplicate values"),
        (
            new(requiredSecondaryFactors=["a b"]),
            "requiredSecondaryFactors should contain only 0-9,a-z,A-Z,_,.,- characters",
        ),
        (new(firstFactors="x"), "Field name 'firstFactors' is invalid in JSON input"),
        (old(firstFactors=[]), "firstFactors cannot be empty. Set null instead."),
        (
            old("-email", firstFactors=["emailpassword"]),
            "Invalid core config: emailPasswordEnabled switches a listed factor off",
        ),
        (old(emailPasswordEnabled=None), "Field name 'emailPasswordEnabled' is invalid in JSON input"),
    ],
)
def test_factors_that_a_core_refuses_are_refused(client: Client, change: Change, message: str) -> None:
    suffix, fields = change
    response = client.send("PUT", PATH + suffix, json={"tenantId": "t", **fields})
    assert (response.status_code, response.text) == (400, message)
