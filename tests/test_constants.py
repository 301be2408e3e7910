"""Names and numbers of the wire, as the interfaces say them."""

from __future__ import annotations

from flask_stsession import constants


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
