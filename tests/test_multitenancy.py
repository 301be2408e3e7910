"""Tenants, administered in the core of the current app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from support.app_factory import AppFactory
from support.scripted_core import ScriptedCore, reply

from flask_stsession import CoreError, create_new_session_without_request_response, get_session_information
from flask_stsession.multitenancy import (
    Tenant,
    associate_user_to_tenant,
    create_or_update_tenant,
    delete_tenant,
    disassociate_user_from_tenant,
    get_tenant,
    list_all_tenants,
)


@pytest.fixture
def core(make_app: AppFactory) -> Iterator[None]:
    """The context of an app."""
    with make_app(api_domain="http://localhost").app_context():
        yield


@pytest.mark.usefixtures("core")
def test_a_tenant_is_created_once_and_changed_after_that() -> None:
    assert create_or_update_tenant("customer1") is True
    assert create_or_update_tenant("customer1", first_factors=["emailpassword"]) is False
    assert get_tenant("customer1") == Tenant("customer1", ("emailpassword",))


@pytest.mark.usefixtures("core")
def test_omitted_settings_are_kept_and_none_unsets_them() -> None:
    create_or_update_tenant(
        "customer1", first_factors=["emailpassword"], required_secondary_factors=["otp-email"]
    )
    create_or_update_tenant("customer1", core_config={"email_verification_token_lifetime": 3_600_000})
    assert get_tenant("customer1") == Tenant(
        "customer1", ("emailpassword",), ("otp-email",), {"email_verification_token_lifetime": 3_600_000}
    )
    create_or_update_tenant("customer1", first_factors=None, required_secondary_factors=None)
    assert get_tenant("customer1") == Tenant(
        "customer1", None, None, {"email_verification_token_lifetime": 3_600_000}
    )


@pytest.mark.usefixtures("core")
def test_the_default_tenant_is_always_there() -> None:
    tenant = get_tenant()
    assert tenant is not None
    assert tenant.tenant_id == "public"
    assert [each.tenant_id for each in list_all_tenants()] == ["public"]
    with pytest.raises(CoreError, match="public tenant"):
        delete_tenant("public")


@pytest.mark.usefixtures("core")
def test_a_deleted_tenant_takes_its_sessions_along() -> None:
    create_or_update_tenant("customer1")
    session = create_new_session_without_request_response("alice", tenant_id="customer1")
    assert sorted(each.tenant_id for each in list_all_tenants()) == ["customer1", "public"]
    assert delete_tenant("customer1") is True
    assert delete_tenant("customer1") is False
    assert get_tenant("customer1") is None
    assert get_session_information(session.get_handle()) is None


@pytest.mark.usefixtures("core")
def test_one_factor_needs_no_list() -> None:
    create_or_update_tenant("customer1", first_factors="emailpassword")
    assert get_tenant("customer1") == Tenant("customer1", ("emailpassword",))


@pytest.mark.usefixtures("core")
def test_a_configuration_object_is_refused_with_our_spelling() -> None:
    create: Any = create_or_update_tenant
    with pytest.raises(TypeError) as caught:
        create("customer1", {"first_factors": []})
    assert str(caught.value) == (
        "create_or_update_tenant() takes only tenant_id as a positional argument: write "
        "create_or_update_tenant(tenant_id, *, first_factors=Keep.KEEP, "
        "required_secondary_factors=Keep.KEEP, core_config=None). There is no configuration "
        "object, unlike in supertokens-python."
    )


@pytest.mark.usefixtures("core")
def test_an_id_that_no_tenant_can_have_is_refused_by_the_core() -> None:
    with pytest.raises(CoreError, match=r"letters, (digits|numbers) and hyphens"):
        create_or_update_tenant("no spaces")


@pytest.fixture
def scripted() -> Iterator[ScriptedCore]:
    """A core that says what it is told: the embedded one keeps no login methods."""
    server = ScriptedCore()
    yield server
    server.stop()


def test_a_login_method_is_associated_with_a_tenant_or_the_reason_is_returned(
    make_app: AppFactory, scripted: ScriptedCore
) -> None:
    with make_app(connection_uri=scripted.url, cdi_version="5.4").app_context():
        scripted.will(reply({"status": "OK"}))
        associate_user_to_tenant("customer1", "alice")
        scripted.will(reply({"status": "UNKNOWN_USER_ID_ERROR"}))
        with pytest.raises(CoreError) as caught:
            associate_user_to_tenant("customer1", "alice")
    assert str(caught.value) == (
        "The login method 'alice' cannot be used in 'customer1': UNKNOWN_USER_ID_ERROR."
    )
    assert scripted.requests == ["POST /customer1/recipe/multitenancy/tenant/user"] * 2


def test_a_login_method_is_removed_from_a_tenant(make_app: AppFactory, scripted: ScriptedCore) -> None:
    with make_app(connection_uri=scripted.url, cdi_version="5.4").app_context():
        scripted.will(reply({"status": "OK", "wasAssociated": True}))
        assert disassociate_user_from_tenant("customer1", "alice") is True
        scripted.will(reply({"status": "OK", "wasAssociated": False}))
        assert disassociate_user_from_tenant("customer1", "alice") is False


def test_listing_tenants_of_an_app_without_the_extension_is_an_error(app: Flask) -> None:
    bare = Flask("bare")
    with bare.app_context(), pytest.raises(RuntimeError) as caught:
        list_all_tenants()
    assert str(caught.value) == (
        "The app 'bare' has no STSession. Initialise it: STSession(app), or stsession.init_app(app)."
    )
