"""The client and a core together, in every version of the interface that both speak."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from support.given_core import GivenApp, GivenCore

from flask_stsession.constants import CDI_VERSIONS
from flask_stsession.core import EmailVerificationCalls, RoleCalls, TenantCalls
from flask_stsession.core.client import CoreClient
from flask_stsession.core.emails import VerifiedEmail
from flask_stsession.core.models import (
    IssuedTokens,
    Refusal,
    RegeneratedSession,
    TokenTheft,
    VerifiedSession,
)
from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore

from .conftest import MakeClient, MakeTransport

FOREVER = math.inf


@pytest.fixture(params=[*CDI_VERSIONS, None], ids=lambda version: version or "negotiated")
def client(
    request: pytest.FixtureRequest,
    given_core: GivenCore | None,
    make_client: MakeClient,
    make_transport: MakeTransport,
) -> Iterator[CoreClient]:
    """Provide a client of a new core in memory, or of an app of the core that ``--core-uri`` names."""
    if given_core is not None:
        app: GivenApp = request.getfixturevalue("given_app")
        transport = make_transport(hosts=[app.url], api_key=given_core.api_key)
        yield make_client(cdi_version=request.param, transport=transport)
        return
    with EmbeddedCore(":memory:") as core:
        transport = make_transport(hosts=["http+embedded://core"], adapter=EmbeddedAdapter(core))
        yield make_client(cdi_version=request.param, transport=transport)


def test_a_session_lives_and_ends(client: CoreClient) -> None:
    created = client.create_session("u", payload={"a": 1}, database_data={"x": 1})
    handle = created.session.handle
    assert created.session.payload == {"a": 1}
    verified = client.verify_session(created.access_token.token, check_database=True)
    assert isinstance(verified, VerifiedSession)
    assert verified.session == created.session

    regenerated = client.regenerate(created.access_token.token, {"b": 2})
    assert isinstance(regenerated, RegeneratedSession)
    assert regenerated.access_token is not None
    assert client.update_access_token_payload(handle, {"c": 3})
    assert client.update_session_data(handle, {"y": 2})
    information = client.get_session_information(handle)
    assert information is not None
    assert information.custom_claims_in_access_token_payload == {"c": 3}
    assert information.session_data_in_database == {"y": 2}

    refreshed = client.refresh_session(created.refresh_token.token)
    assert isinstance(refreshed, IssuedTokens)
    assert refreshed.session.payload == {"c": 3}
    assert client.list_session_handles("u") == [handle]
    assert client.revoke_sessions([handle, "none"]) == [handle]
    assert client.get_session_information(handle) is None
    refused = client.refresh_session(refreshed.refresh_token.token)
    assert isinstance(refused, Refusal)
    assert refused.status == "UNAUTHORISED"


def test_a_refresh_token_that_was_replaced_for_good_is_theft(client: CoreClient) -> None:
    first = client.create_session("u")
    token = first.refresh_token.token
    for _ in range(2):
        refreshed = client.refresh_session(token)
        assert isinstance(refreshed, IssuedTokens)
        verified = client.verify_session(refreshed.access_token.token)
        assert isinstance(verified, VerifiedSession)
        # Up to 5.5 the pair becomes the current one now, as a new access token shows.
        assert (verified.access_token is None) is client.rotates_at_refresh
        token = refreshed.refresh_token.token
    theft = client.refresh_session(first.refresh_token.token)
    assert isinstance(theft, TokenTheft)
    assert theft.session_handle == first.session.handle
    assert theft.recent_token_reuse_subtype == ("STALE_LINEAGE" if client.rotates_at_refresh else None)


def test_sessions_of_tenants_are_kept_apart(client: CoreClient) -> None:
    assert TenantCalls(client).create_or_update_tenant("acme", first_factors=None) is True
    assert TenantCalls(client).create_or_update_tenant("acme", core_config={}) is False
    theirs = client.create_session("u", tenant_id="acme").session
    public = client.create_session("u").session
    assert theirs.handle.endswith("_acme")
    assert client.list_session_handles("u", tenant_id="acme", all_tenants=False) == [theirs.handle]
    assert set(client.list_session_handles("u")) == {theirs.handle, public.handle}
    assert client.revoke_sessions_of_user("u", tenant_id="acme", all_tenants=False) == [theirs.handle]
    assert client.revoke_sessions_of_user("u") == [public.handle]
    assert {tenant.tenant_id for tenant in TenantCalls(client).list_tenants()} == {"public", "acme"}
    tenant = TenantCalls(client).get_tenant("acme")
    assert tenant is not None
    assert tenant.first_factors is None
    assert TenantCalls(client).get_tenant("nowhere") is None
    assert TenantCalls(client).delete_tenant("acme") is True
    assert TenantCalls(client).delete_tenant("acme") is False


def test_roles_are_given_and_taken(client: CoreClient) -> None:
    assert RoleCalls(client).create_role("editor", ["read", "edit"]) is True
    assert RoleCalls(client).create_role("editor", ["publish"]) is False
    assert RoleCalls(client).add_role_to_user("u", "editor") is True
    assert RoleCalls(client).add_role_to_user("u", "editor") is False
    assert RoleCalls(client).add_role_to_user("u", "nobody") is None
    assert RoleCalls(client).get_roles_for_user("u") == ["editor"]
    assert RoleCalls(client).get_users_with_role("editor") == ["u"]
    assert RoleCalls(client).get_roles_with_permission("publish") == ["editor"]
    assert RoleCalls(client).remove_permissions("editor", ["publish"]) is True
    assert sorted(RoleCalls(client).get_permissions_for_role("editor", max_age=FOREVER) or []) == [
        "edit",
        "read",
    ]
    assert RoleCalls(client).delete_role("editor") is True
    assert RoleCalls(client).get_roles_for_user("u") == []
    assert RoleCalls(client).get_permissions_for_role("editor", max_age=FOREVER) is None
    assert RoleCalls(client).list_roles() == []


def test_an_address_is_verified_once(client: CoreClient) -> None:
    assert EmailVerificationCalls(client).is_email_verified("u", "a@b.c") is False
    token = EmailVerificationCalls(client).create_email_verification_token("u", "a@b.c")
    assert token is not None
    assert EmailVerificationCalls(client).verify_email_with_token(token) == VerifiedEmail("u", "a@b.c")
    assert EmailVerificationCalls(client).verify_email_with_token(token) is None
    assert EmailVerificationCalls(client).is_email_verified("u", "a@b.c") is True
    assert EmailVerificationCalls(client).create_email_verification_token("u", "a@b.c") is None
    EmailVerificationCalls(client).unverify_email("u", "a@b.c")
    assert EmailVerificationCalls(client).is_email_verified("u", "a@b.c") is False
    EmailVerificationCalls(client).revoke_email_verification_tokens("u", "a@b.c")


def test_keys_and_jwts_come_from_the_core(client: CoreClient) -> None:
    kinds = {key["kid"][:2] for key in client.get_jwks()}
    assert kinds == {"d-", "s-"}
    assert client.create_jwt({"a": 1}, issuer="https://x", validity_seconds=60).count(".") == 2
