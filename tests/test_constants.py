"""Names and numbers of the wire, as the interfaces say them."""

from __future__ import annotations

import re

import pytest

from flask_stsession import constants
from flask_stsession.embedded.tenancy import is_tenant_id


def test_versions_of_the_core_driver_interface_are_listed_oldest_first() -> None:
    numbers = [tuple(map(int, version.split("."))) for version in constants.CDI_VERSIONS]
    assert numbers == sorted(numbers)
    assert numbers[0] == (4, 0)
    assert constants.CDI_ROTATES_AT_REFRESH in numbers


def test_the_keys_of_a_session_are_those_that_the_reference_sdks_protect() -> None:
    assert set(constants.PROTECTED_CLAIMS) == {
        "sub",
        "iat",
        "exp",
        "sessionHandle",
        "parentRefreshTokenHash1",
        "refreshTokenHash1",
        "antiCsrfToken",
        "rsub",
        "tId",
        "stt",
    }


def test_frontends_may_send_the_headers_that_the_interface_names() -> None:
    assert set(constants.CORS_REQUEST_HEADERS) == {
        "anti-csrf",
        "rid",
        "fdi-version",
        "authorization",
        "st-auth-mode",
    }


@pytest.mark.parametrize("tenant_id", ["public", "customer-1", "ACME", "-", "1", "recipes", "x-appid-1"])
def test_tenants_are_named_by_letters_digits_and_hyphens(tenant_id: str) -> None:
    assert re.fullmatch(constants.TENANT_ID, tenant_id)
    assert is_tenant_id(tenant_id.lower())


@pytest.mark.parametrize(
    "tenant_id", ["", " ", "a b", "a_b", "a/b", "é", "\u212a", "a\n", "appid-1", "APPID-1", "recipe", "Users"]
)
def test_other_text_is_no_id_of_a_tenant(tenant_id: str) -> None:
    assert not re.fullmatch(constants.TENANT_ID, tenant_id)
