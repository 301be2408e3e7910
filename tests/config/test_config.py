"""The settings of an app: defaults, and the values derived from the domains and the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st

from flask_stsession.config.config import SETTINGS, Config
from flask_stsession.config.domains import Origin, Sites
from flask_stsession.errors import ConfigError

KEYS = list(SETTINGS)
NO_LIST = Sites(lambda: None)


def read(settings: Mapping[str, Any], sites: Sites | None = None) -> Config:
    return Config.from_mapping({f"STSESSION_{key}": value for key, value in settings.items()}, sites=sites)


@pytest.mark.parametrize("key", [key for key in KEYS if key != "STSESSION_CLAIM_MAX_AGE_SECONDS"])
def test_none_counts_as_not_set(key: str) -> None:
    config = Config.from_mapping({key: None})
    assert getattr(config, SETTINGS[key].name) == SETTINGS[key].default
    assert config.keys_set == frozenset()


def test_claims_of_no_maximal_age_are_fetched_only_when_missing() -> None:
    assert read({"CLAIM_MAX_AGE_SECONDS": None}).claim_max_age_seconds is None
    assert read({}).claim_max_age_seconds == 300


def test_keys_of_other_extensions_are_ignored() -> None:
    config = Config.from_mapping({"SECRET_KEY": "x", "stsession_x": 1, 5: 6})  # type: ignore[dict-item]
    assert config.keys_set == frozenset()


def test_a_config_cannot_be_changed_and_shows_no_secrets() -> None:
    given_core = {"api_keys": "hunter2"}
    config = read(
        {"API_KEY": "hunter2", "EMBEDDED_CORE": given_core, "CORE_PROXY": "http://me:hunter2@proxy"}
    )
    given_core["api_keys"] = "another"
    assert config.embedded_core == {"api_keys": "hunter2"}
    assert "hunter2" not in repr(config)
    with pytest.raises(AttributeError, match=r"^api_key cannot be changed: settings are read from app\.c"):
        config.api_key = "x"
    with pytest.raises(AttributeError, match=r"^api_key cannot be removed: settings are read from app\.c"):
        del config.api_key
    with pytest.raises(TypeError, match=r"^There is no setting api_keys\.$"):
        Config({"api_keys": "hunter2"})
    assert repr(read({"COOKIE_PREFIX": "shop_"})) == "<Config cookie_prefix='shop_'>"


def test_every_setting_is_described_with_its_default() -> None:
    assert [each.name for each in SETTINGS.values()] == list(Config.__annotations__)[:-2]
    assert all(setting.doc.endswith(".") and setting.otherwise for setting in SETTINGS.values())
    assert SETTINGS["STSESSION_CONNECTION_URI"].otherwise == "'embedded:'"
    assert SETTINGS["STSESSION_COOKIE_DOMAIN"].otherwise == "None"


def test_the_core_is_the_embedded_one_or_hosts_in_their_order() -> None:
    assert read({}).is_embedded
    assert read({}).core_hosts == ()
    assert read({}).embedded_database == ""
    assert read({"CONNECTION_URI": "embedded::memory:"}).embedded_database == ":memory:"
    assert read({"CONNECTION_URI": "embedded:data/core.db"}).embedded_database == "data/core.db"
    remote = read({"CONNECTION_URI": "http://b;http://a/appid-x"})
    assert not remote.is_embedded
    assert remote.core_hosts == ("http://b", "http://a/appid-x")
    assert remote.embedded_database == ""


# What the domains decide: (API, website) -> SameSite, Secure, anti-CSRF
ATTRIBUTES: list[tuple[str, str | list[str] | None, str, bool, str]] = [
    ("https://api.example.com", None, "lax", True, "NONE"),
    ("https://api.example.com", "https://www.example.com", "lax", True, "NONE"),
    ("https://api.example.com", "https://app.example.org", "none", True, "VIA_CUSTOM_HEADER"),
    ("https://api.shop.co.uk", "https://shop.co.uk", "lax", True, "NONE"),
    ("https://api.shop.co.uk", "https://other.co.uk", "none", True, "VIA_CUSTOM_HEADER"),
    ("https://one.vercel.app", "https://two.vercel.app", "none", True, "VIA_CUSTOM_HEADER"),
    ("https://a.one.vercel.app", "https://b.one.vercel.app", "lax", True, "NONE"),
    ("https://example.com", "http://example.com", "none", True, "VIA_CUSTOM_HEADER"),
    ("http://example.com", "https://example.com", "none", False, "VIA_CUSTOM_HEADER"),
    ("http://api.example.com", "http://www.example.com", "lax", False, "NONE"),
    ("http://localhost:8080", "http://localhost:3000", "lax", False, "NONE"),
    ("http://localhost:8080", "http://127.0.0.1:3000", "lax", False, "NONE"),
    ("http://10.0.0.1", "http://[::1]:3000", "lax", False, "NONE"),
    ("http://localhost:8080", "https://localhost:3000", "none", False, "VIA_CUSTOM_HEADER"),
    ("http://localhost:8080", "http://example.com", "none", False, "VIA_CUSTOM_HEADER"),
    ("https://api.example.com", ["https://www.example.com", "https://example.com"], "lax", True, "NONE"),
    (
        "https://api.example.com",
        ["https://www.example.com", "https://b.org"],
        "none",
        True,
        "VIA_CUSTOM_HEADER",
    ),
]


@pytest.mark.parametrize(("api", "website", "same_site", "secure", "anti_csrf"), ATTRIBUTES)
def test_the_domains_decide_the_attributes_of_cookies(
    api: str, website: str | list[str] | None, same_site: str, secure: bool, anti_csrf: str
) -> None:
    configured = read({"API_DOMAIN": api, "WEBSITE_DOMAIN": website})
    by_request = read({"WEBSITE_DOMAIN": website})
    for config, request_root in ((configured, "http://elsewhere.example/"), (by_request, f"{api}/")):
        assert config.decisions(request_root).same_site == same_site
        assert config.decisions(request_root).secure is secure
        assert config.decisions(request_root).anti_csrf == anti_csrf


@pytest.mark.parametrize(
    ("settings", "decided"),
    [
        ({"COOKIE_SAME_SITE": "strict"}, ("strict", True, "NONE")),
        ({"COOKIE_SAME_SITE": "none"}, ("none", True, "VIA_CUSTOM_HEADER")),
        ({"COOKIE_SECURE": False}, ("lax", False, "NONE")),
        ({"LOGIN_URL": "/login"}, ("lax", True, "VIA_ORIGIN")),
        ({"LOGIN_URL": "/login", "COOKIE_SAME_SITE": "none"}, ("none", True, "VIA_CUSTOM_HEADER")),
        ({"LOGIN_URL": "/login", "ANTI_CSRF": "NONE"}, ("lax", True, "NONE")),
        ({"ANTI_CSRF": "VIA_TOKEN"}, ("lax", True, "VIA_TOKEN")),
    ],
)
def test_explicit_settings_override_what_follows_from_the_domains(
    settings: dict[str, Any], decided: object
) -> None:
    assert read({"API_DOMAIN": "https://api.example.com", **settings}).decisions("") == decided


@pytest.mark.parametrize("root", ["https://www.example.com/", "http://[/", ""])
def test_an_unconfigured_app_that_cannot_tell_the_sites_apart_uses_the_stricter_anti_csrf(root: str) -> None:
    config = read({"WEBSITE_DOMAIN": "https://api.example.com"}, NO_LIST)
    assert config.decisions(root).anti_csrf == "VIA_CUSTOM_HEADER"


def test_without_api_domain_everything_follows_the_request() -> None:
    config = read({})
    assert config.decisions("http://localhost:5000/") == ("lax", False, "NONE")
    assert config.decisions("https://localhost:5000/") == ("lax", True, "NONE")
    assert config.own_origin("http://LOCALHOST:80/app/") == "http://localhost"
    assert config.own_origin("http://[/") == "http://["
    assert config.base_url("http://localhost:5000/app/", "/app") == "http://localhost:5000/app/auth"
    assert config.trusted_origins("http://localhost:5000/") == ("http://localhost:5000",)


def test_the_url_of_our_routes_is_api_domain_gateway_path_and_base_path() -> None:
    settings = {"API_DOMAIN": "https://api.example.com", "API_BASE_PATH": "v1/auth"}
    assert read(settings).base_url("http://x/", "") == "https://api.example.com/v1/auth"
    assert read(settings).base_url("http://x/", "/app/") == "https://api.example.com/app/v1/auth"
    assert read({**settings, "API_GATEWAY_PATH": "/gw"}).base_url("http://x/", "/app") == (
        "https://api.example.com/gw/v1/auth"
    )
    assert read({**settings, "API_GATEWAY_PATH": ""}).mount_path("/app") == "/v1/auth"


def test_our_origins_are_the_api_and_the_websites() -> None:
    config = read(
        {"API_DOMAIN": "https://api.example.com", "WEBSITE_DOMAIN": ["https://a.b", "http://c.d:1"]}
    )
    assert config.trusted_origins("http://x/") == ("https://api.example.com", "https://a.b", "http://c.d:1")
    assert config.websites == (Origin("https", "a.b"), Origin("http", "c.d", 1))
    assert config.accepted_origins("http://X/app/") == {*config.trusted_origins("http://x/"), "http://x"}


def test_origins_of_app_shells_are_ours_but_have_no_site() -> None:
    shells = ["capacitor://localhost", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb"]
    config = read({"API_DOMAIN": "https://api.example.com", "WEBSITE_DOMAIN": shells})
    assert config.trusted_origins("") == ("https://api.example.com", *shells)
    assert config.websites == ()
    assert config.decisions("").same_site == "lax"
    for root in ("http://localhost:5000/", "http://[/"):
        assert read({"WEBSITE_DOMAIN": shells}).decisions(root).same_site == "lax"
    beside = read({"API_DOMAIN": "https://api.example.com", "WEBSITE_DOMAIN": [*shells, "https://b.org"]})
    assert beside.decisions("").same_site == "none"


@given(st.text(), st.text())
def test_no_request_makes_the_decisions_fail(claimed: str, script_root: str) -> None:
    config = read({"WEBSITE_DOMAIN": "https://www.example.com"}, NO_LIST)
    config.decisions(claimed)
    config.base_url(claimed, script_root)


def test_a_function_may_return_a_transfer_method_and_nothing_else() -> None:
    config = read({"TOKEN_TRANSFER_METHOD": lambda request, for_create_new_session: "cookie"})
    for answer in ("any", "cookie", "header"):
        assert config.checked_transfer_method(answer) == answer
    with pytest.raises(ConfigError) as refused:
        config.checked_transfer_method(None)
    assert str(refused.value) == (
        "The function given as STSESSION_TOKEN_TRANSFER_METHOD returned None, but must return one of any, "
        "cookie, header."
    )


def test_the_origin_of_the_api_comes_from_the_settings_only() -> None:
    assert read({}).api is None
    assert read({"API_DOMAIN": "https://api.example.com:8443"}).api == Origin(
        "https", "api.example.com", 8443
    )
