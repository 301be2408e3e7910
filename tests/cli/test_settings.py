"""``flask stsession settings``: the values in effect."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support.app_factory import NO_CORE, AppFactory
from support.commands import json_of, output_of, run_on

from flask_stsession.config.config import SETTINGS


def settings_of(app: Flask) -> dict[str, tuple[str, Any]]:
    """Return source and value of every setting of an app."""
    return {
        each["key"]: (each["source"], each["value"]) for each in json_of(run_on(app, "settings", "--json"))
    }


def test_every_setting_is_shown_in_order_with_its_source(make_app: AppFactory) -> None:
    app = make_app(api_domain="https://api.example.com")
    heads, *lines = [line.split() for line in output_of(run_on(app, "settings")).splitlines()]
    assert heads == ["KEY", "SOURCE", "VALUE"]
    assert [line[0] for line in lines] == list(SETTINGS)
    assert list(settings_of(app)) == list(SETTINGS)
    assert ["STSESSION_API_DOMAIN", "set", "'https://api.example.com'"] in lines
    assert ["STSESSION_API_BASE_PATH", "default", "'/auth'"] in lines
    assert ["STSESSION_API_GATEWAY_PATH", "request", "follows", "the", "request"] in lines
    assert ["STSESSION_COOKIE_SECURE", "derived", "True"] in lines


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {},
            {
                "ISSUER": ("request", None),
                "WEBSITE_DOMAIN": ("request", None),
                "COOKIE_SECURE": ("request", None),
                "COOKIE_SAME_SITE": ("derived", "lax"),
                "ANTI_CSRF": ("derived", "NONE"),
                "CDI_VERSION": ("default", None),
                "CORE_TIMEOUT_SECONDS": ("default", [2, 10]),
            },
        ),
        (
            {"api_domain": "https://api.example.com", "website_domain": "https://www.example.org"},
            {
                "ISSUER": ("derived", "https://api.example.com/auth"),
                "WEBSITE_DOMAIN": ("set", ["https://www.example.org"]),
                "COOKIE_SECURE": ("derived", True),
                "COOKIE_SAME_SITE": ("derived", "none"),
                "ANTI_CSRF": ("derived", "VIA_CUSTOM_HEADER"),
            },
        ),
        (
            {"website_domain": "http://localhost:3000", "cookie_secure": True},
            {
                "COOKIE_SECURE": ("set", True),
                "COOKIE_SAME_SITE": ("request", None),
                "ANTI_CSRF": ("request", None),
            },
        ),
        (
            {"login_url": "/login", "cookie_same_site": "strict"},
            {"COOKIE_SAME_SITE": ("set", "strict"), "ANTI_CSRF": ("derived", "VIA_ORIGIN")},
        ),
        (
            {"routes": False, "claim_max_age_seconds": None, "issuer": "https://id.example.com"},
            {
                "ROUTES": ("set", []),
                "CLAIM_MAX_AGE_SECONDS": ("set", None),
                "ISSUER": ("set", "https://id.example.com"),
            },
        ),
    ],
)
def test_values_that_follow_from_others_are_worked_out(
    make_app: AppFactory, settings: dict[str, Any], expected: dict[str, tuple[str, Any]]
) -> None:
    found = settings_of(make_app(**settings))
    assert {key: found[f"STSESSION_{key}"] for key in expected} == expected


def choose_method(request: object, for_create_new_session: bool) -> str:
    return "any"


def test_a_function_is_shown_by_its_name(make_app: AppFactory) -> None:
    found = settings_of(make_app(token_transfer_method=choose_method))
    assert found["STSESSION_TOKEN_TRANSFER_METHOD"] == ("set", "choose_method")


@pytest.mark.embedded_core
def test_the_file_of_the_embedded_core_is_shown(app: Flask, make_app: AppFactory) -> None:
    relative = make_app(name="relative", connection_uri="embedded:own.db")
    assert settings_of(relative)["STSESSION_CONNECTION_URI"] == (
        "set",
        f"embedded:{relative.instance_path}/own.db",
    )
    in_memory = make_app(name="memory", connection_uri="embedded::memory:")
    assert settings_of(in_memory)["STSESSION_CONNECTION_URI"] == ("set", "embedded::memory:")


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked(make_app: AppFactory, as_json: bool) -> None:
    secrets: dict[str, Any] = {
        "api_key": "a-key-of-a-core-0123",
        "core_proxy": "http://user:secret-0123@127.0.0.1:3128",
    }
    remote = make_app(connection_uri=NO_CORE["STSESSION_CONNECTION_URI"], **secrets)
    settings = {"access_token_validity": 60, "api_keys": "another-key-of-a-core-0123"}
    own = make_app(name="own", connection_uri="embedded:", embedded_core=settings)
    for app in (remote, own):
        output = output_of(run_on(app, "settings", *(["--json"] if as_json else [])))
        assert "0123" not in output
        assert "***" in output
    if as_json:
        assert settings_of(remote)["STSESSION_API_KEY"] == ("set", "***")
        assert settings_of(own)["STSESSION_EMBEDDED_CORE"] == (
            "set",
            {"access_token_validity": 60, "api_keys": "***"},
        )
