"""Tenants, as newer and older cores describe them."""

from __future__ import annotations

import pytest
from support.scripted_core import ScriptedCore

from flask_stsession.core import TenantCalls
from flask_stsession.core.tenants import Tenant
from flask_stsession.errors import CoreError

from .conftest import MakeClient

OLD_TENANT = {
    "tenantId": "acme",
    "emailPassword": {"enabled": True},
    "thirdParty": {"enabled": False, "providers": []},
    "passwordless": {"enabled": True},
    "coreConfig": {},
}


@pytest.mark.parametrize("version", ["4.0", "5.0"])
def test_tenants_are_sent_to_an_older_core_in_its_own_terms(
    version: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    client = make_client(cdi_version=version)
    core.always({"status": "OK", "createdNew": False})
    assert TenantCalls(client).create_or_update_tenant("acme", first_factors=["otp-email"]) is False
    TenantCalls(client).create_or_update_tenant("acme", first_factors=None)
    TenantCalls(client).create_or_update_tenant("acme", first_factors=[])
    TenantCalls(client).create_or_update_tenant("acme")
    core.always({"status": "OK", **OLD_TENANT})
    factors = ("emailpassword", "otp-email", "otp-phone", "link-email", "link-phone")
    assert TenantCalls(client).get_tenant("acme") == Tenant("acme", factors)
    every = {**OLD_TENANT, "thirdParty": {"enabled": True}}
    core.always({"status": "OK", "tenants": [every]})
    assert TenantCalls(client).list_tenants() == [Tenant("acme", None)]

    assert core.requests == [
        *["PUT /recipe/multitenancy/tenant"] * 4,
        "GET /acme/recipe/multitenancy/tenant",
        "GET /recipe/multitenancy/tenant/list",
    ]
    keys = ("emailPasswordEnabled", "thirdPartyEnabled", "passwordlessEnabled")
    sent = [tuple(request.json.get(key) for key in keys) for request in core.received[:4]]
    assert sent == [(False, False, True), (True, True, True), (False, False, False), (None, None, None)]


@pytest.mark.parametrize("version", ["5.1", "5.5"])
def test_tenants_have_factors_from_cdi_5_1_on(
    version: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "createdNew": True, "tenantId": "acme", "tenants": []})
    tenants = TenantCalls(make_client(cdi_version=version))
    tenants.create_or_update_tenant("acme", required_secondary_factors=["totp"])
    tenants.get_tenant("acme")
    tenants.list_tenants()
    assert core.requests == [
        "PUT /recipe/multitenancy/tenant/v2",
        "GET /acme/recipe/multitenancy/tenant/v2",
        "GET /recipe/multitenancy/tenant/list/v2",
    ]


def test_secondary_factors_are_not_dropped_silently_by_an_older_core(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    with pytest.raises(CoreError) as caught:
        TenantCalls(make_client(cdi_version="5.0")).create_or_update_tenant(
            "acme", required_secondary_factors=["totp"]
        )
    assert str(caught.value) == (
        "Secondary factors of a tenant need a core that speaks CDI 5.1 or newer; we speak 5.0 with this one."
    )
    assert core.requests == []


def test_a_tenant_is_changed_only_in_what_is_given(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"status": "OK", "createdNew": False})
    client = make_client()
    TenantCalls(client).create_or_update_tenant("acme", core_config={"a": None})
    TenantCalls(client).create_or_update_tenant("acme", first_factors=None)
    assert core.received[0].json == {"tenantId": "acme", "coreConfig": {"a": None}}
    assert core.received[1].json == {"tenantId": "acme", "firstFactors": None}


@pytest.mark.parametrize("told", [{}, {"requiredSecondaryFactors": None}, {"requiredSecondaryFactors": []}])
def test_no_secondary_factors_are_none_whatever_the_core_says(
    told: dict[str, object], core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "tenantId": "acme", "firstFactors": [], **told})
    assert TenantCalls(make_client()).get_tenant("acme") == Tenant("acme", (), None)


def test_no_secondary_factors_are_sent_as_null_which_all_cores_take(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "createdNew": True})
    TenantCalls(make_client()).create_or_update_tenant("acme", required_secondary_factors=[])
    assert core.received[0].json == {"tenantId": "acme", "requiredSecondaryFactors": None}
    assert TenantCalls(make_client(cdi_version="5.0")).create_or_update_tenant(
        "acme", required_secondary_factors=[]
    )


def test_tenants_do_not_share_a_configuration_that_can_be_changed() -> None:
    assert Tenant("a") == Tenant("a", None, None, {})
    assert not hasattr(Tenant("a").core_config, "update")
