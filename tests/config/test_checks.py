"""Settings that contradict each other or are suspicious, and hosts that they do not allow for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st

from flask_stsession.config import load
from flask_stsession.config.checks import insecure_none_problem, unconfigured_host_problem
from flask_stsession.config.config import Config
from flask_stsession.config.domains import Sites
from flask_stsession.errors import ConfigError, Reason

NO_LIST = Sites(lambda: None)


def read(settings: Mapping[str, Any], sites: Sites | None = None) -> Config:
    return load({f"STSESSION_{key}": value for key, value in settings.items()}, sites=sites)


def logged(caplog: pytest.LogCaptureFixture, settings: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Read the settings; return the level and message of each line in the log."""
    caplog.clear()
    read(settings)
    return [(record.levelno, record.message) for record in caplog.records]


IMPOSSIBLE_COMBINATIONS: list[tuple[dict[str, Any], str]] = [
    (
        {"CONNECTION_URI": "http://core:3567", "EMBEDDED_CORE": {"access_token_validity": 30}},
        "STSESSION_EMBEDDED_CORE is for the embedded core, but STSESSION_CONNECTION_URI = "
        "'http://core:3567' is another. Remove STSESSION_EMBEDDED_CORE and put its settings into that "
        "core's config.yaml.",
    ),
    (
        {"CORE_PROXY": "http://proxy:3128"},
        "STSESSION_CORE_PROXY is for a core on the network, but STSESSION_CONNECTION_URI = 'embedded:' is "
        "the core in this process. Remove STSESSION_CORE_PROXY.",
    ),
    (
        {"CORE_TLS": {"ca": "/no/such/file.pem"}},
        "STSESSION_CORE_TLS['ca'] = '/no/such/file.pem': there is no such file. Write the name of one.",
    ),
    (
        {"CORE_TLS": {"ca": __file__}, "CONNECTION_URI": "https://one:3567;http://two:3567"},
        "STSESSION_CORE_TLS has files for TLS, but 'http://two:3567' in STSESSION_CONNECTION_URI is reached "
        "without TLS. Write https there, or remove STSESSION_CORE_TLS.",
    ),
    (
        {"SESSION_EXPIRED_STATUS_CODE": 403},
        "STSESSION_SESSION_EXPIRED_STATUS_CODE and STSESSION_INVALID_CLAIM_STATUS_CODE are both 403, but "
        "frontends tell the two cases apart by them. Write two that differ, for example 401 and 403.",
    ),
    (
        {"SESSION_EXPIRED_STATUS_CODE": 440, "INVALID_CLAIM_STATUS_CODE": "440"},
        "STSESSION_SESSION_EXPIRED_STATUS_CODE and STSESSION_INVALID_CLAIM_STATUS_CODE are both 440, but "
        "frontends tell the two cases apart by them. Write two that differ, for example 401 and 403.",
    ),
    (
        {"JWKS_MAX_STALE_SECONDS": 30},
        "STSESSION_JWKS_MAX_STALE_SECONDS = 30 is below STSESSION_JWKS_REFRESH_SECONDS = 60: keys would "
        "be too old before they are refetched. Write 60 or more for the first.",
    ),
    (
        {"LOGIN_URL": "/login", "TOKEN_TRANSFER_METHOD": "header"},
        "STSESSION_LOGIN_URL = '/login' is for server-rendered pages, which need cookies, but "
        "STSESSION_TOKEN_TRANSFER_METHOD = 'header' allows none. Write STSESSION_TOKEN_TRANSFER_METHOD "
        "= 'any' or 'cookie', or remove STSESSION_LOGIN_URL.",
    ),
    (
        {"LOGIN_URL": "/login", "ANTI_CSRF": "VIA_TOKEN"},
        "STSESSION_LOGIN_URL = '/login' is for server-rendered pages, which cannot send the header that "
        "STSESSION_ANTI_CSRF = 'VIA_TOKEN' asks for. Write STSESSION_ANTI_CSRF = 'VIA_ORIGIN', or "
        "remove STSESSION_LOGIN_URL.",
    ),
    (
        {"OLDER_COOKIE_DOMAIN": ""},
        "STSESSION_OLDER_COOKIE_DOMAIN = '', but STSESSION_COOKIE_DOMAIN is not set: that is the same, "
        "and the cookies in use would be cleared as old ones. Write the domain that the cookies had "
        "before, or remove STSESSION_OLDER_COOKIE_DOMAIN.",
    ),
    (
        {"OLDER_COOKIE_DOMAIN": ".example.com", "COOKIE_DOMAIN": "example.com"},
        "STSESSION_OLDER_COOKIE_DOMAIN = '.example.com', but STSESSION_COOKIE_DOMAIN = 'example.com': "
        "that is the same, and the cookies in use would be cleared as old ones. Write the domain that "
        "the cookies had before, or remove STSESSION_OLDER_COOKIE_DOMAIN.",
    ),
    (
        {"COOKIE_PREFIX": "__Secure-shop_"},
        "STSESSION_COOKIE_PREFIX = '__Secure-shop_' is for Secure cookies; browsers drop others of such a "
        "name. Write STSESSION_API_DOMAIN with https, or STSESSION_COOKIE_SECURE = True, or another prefix.",
    ),
    (
        {"COOKIE_PREFIX": "__secure-", "API_DOMAIN": "http://localhost:5000"},
        "STSESSION_COOKIE_PREFIX = '__secure-' is for Secure cookies; browsers drop others of such a name. "
        "Write STSESSION_API_DOMAIN with https, or STSESSION_COOKIE_SECURE = True, or another prefix.",
    ),
    (
        {"API_DOMAIN": "https://api.example.com", "COOKIE_DOMAIN": "other.com"},
        "STSESSION_COOKIE_DOMAIN = 'other.com' is neither the host of STSESSION_API_DOMAIN = "
        "'https://api.example.com' nor a parent of it, so browsers keep no such cookie. Write "
        "'api.example.com' or a parent of it, or remove STSESSION_COOKIE_DOMAIN.",
    ),
    (
        {"API_DOMAIN": "https://api.example.com", "COOKIE_DOMAIN": "ample.com"},
        "STSESSION_COOKIE_DOMAIN = 'ample.com' is neither the host of STSESSION_API_DOMAIN = "
        "'https://api.example.com' nor a parent of it, so browsers keep no such cookie. Write "
        "'api.example.com' or a parent of it, or remove STSESSION_COOKIE_DOMAIN.",
    ),
    (
        {"API_DOMAIN": "https://api.example.com", "OLDER_COOKIE_DOMAIN": "www.api.example.com"},
        "STSESSION_OLDER_COOKIE_DOMAIN = 'www.api.example.com' is neither the host of "
        "STSESSION_API_DOMAIN = 'https://api.example.com' nor a parent of it, so browsers keep no such "
        "cookie. Write 'api.example.com' or a parent of it, or remove STSESSION_OLDER_COOKIE_DOMAIN.",
    ),
    (
        {"API_DOMAIN": "https://127.0.0.1", "COOKIE_DOMAIN": "localhost"},
        "STSESSION_COOKIE_DOMAIN = 'localhost' is neither the host of STSESSION_API_DOMAIN = "
        "'https://127.0.0.1' nor a parent of it, so browsers keep no such cookie. Write '127.0.0.1' or "
        "a parent of it, or remove STSESSION_COOKIE_DOMAIN.",
    ),
    (
        {"API_DOMAIN": "https://api.shop.co.uk", "COOKIE_DOMAIN": ".co.uk"},
        "STSESSION_COOKIE_DOMAIN = '.co.uk' is a public suffix, for which browsers keep no cookie. Write "
        "'shop.co.uk', or remove STSESSION_COOKIE_DOMAIN.",
    ),
    (
        {"API_DOMAIN": "https://api.example.com", "COOKIE_DOMAIN": "com"},
        "STSESSION_COOKIE_DOMAIN = 'com' is a public suffix, for which browsers keep no cookie. Write "
        "'example.com', or remove STSESSION_COOKIE_DOMAIN.",
    ),
    (
        {"API_DOMAIN": "https://my.vercel.app", "OLDER_COOKIE_DOMAIN": "vercel.app"},
        "STSESSION_OLDER_COOKIE_DOMAIN = 'vercel.app' is a public suffix, for which browsers keep no "
        "cookie. Write 'my.vercel.app', or remove STSESSION_OLDER_COOKIE_DOMAIN.",
    ),
]


@pytest.mark.parametrize(("settings", "message"), IMPOSSIBLE_COMBINATIONS)
def test_an_impossible_combination_is_refused_with_the_remedy(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(settings)
    assert str(refused.value) == message
    assert refused.value.reason is Reason.MISCONFIGURED


NO_PARTITION = (
    "STSESSION_COOKIE_PARTITIONED = True is for cookies that are Secure and SameSite none. Write "
    "STSESSION_COOKIE_SAME_SITE = 'none', and STSESSION_API_DOMAIN with https or STSESSION_COOKIE_SECURE = "
    "True, or remove STSESSION_COOKIE_PARTITIONED."
)
HTTPS = {"API_DOMAIN": "https://api.example.com"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"COOKIE_SECURE": True},
        {"COOKIE_SAME_SITE": "none"},
        HTTPS,
        {**HTTPS, "WEBSITE_DOMAIN": "https://www.example.com"},
        {**HTTPS, "COOKIE_SAME_SITE": "strict"},
        {**HTTPS, "COOKIE_SAME_SITE": "none", "COOKIE_SECURE": False},
        {"API_DOMAIN": "http://localhost:5000", "COOKIE_SAME_SITE": "none"},
    ],
)
def test_partitioned_cookies_without_secure_or_same_site_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        read({"COOKIE_PARTITIONED": True, **settings})
    assert str(refused.value) == NO_PARTITION


@pytest.mark.parametrize(
    "settings",
    [
        {**HTTPS, "COOKIE_SAME_SITE": "none"},
        {**HTTPS, "WEBSITE_DOMAIN": "https://shop.example.org"},
        {"COOKIE_SAME_SITE": "none", "COOKIE_SECURE": True},
    ],
)
def test_secure_cookies_of_same_site_none_may_be_partitioned(settings: dict[str, Any]) -> None:
    assert read({"COOKIE_PARTITIONED": True, **settings}).cookie_partitioned is True


@pytest.mark.parametrize("secure", [{"API_DOMAIN": "https://api.example.com"}, {"COOKIE_SECURE": True}])
def test_a_prefix_for_secure_cookies_is_taken_where_they_are_secure(secure: dict[str, Any]) -> None:
    assert read({"COOKIE_PREFIX": "__Secure-", **secure}).cookie_prefix == "__Secure-"


def test_older_cookies_may_have_had_no_domain() -> None:
    assert read({"OLDER_COOKIE_DOMAIN": "", "COOKIE_DOMAIN": ".example.com"}).older_cookie_domain == ""


def test_two_hosts_of_one_suffix_need_the_suffix_list_or_a_setting() -> None:
    domains = {"API_DOMAIN": "https://api.example.com", "WEBSITE_DOMAIN": "https://www.example.com"}
    with pytest.raises(ConfigError) as refused:
        read(domains, NO_LIST)
    assert str(refused.value) == (
        "Whether STSESSION_API_DOMAIN = 'https://api.example.com' and STSESSION_WEBSITE_DOMAIN = "
        "'https://www.example.com' are one site depends on the public suffix list. Install it with "
        "pip install 'flask-stsession[domains]', or write STSESSION_COOKIE_SAME_SITE = 'lax' if they are one "
        "site and 'none' if they are not."
    )
    read({**domains, "TOKEN_TRANSFER_METHOD": "header"}, NO_LIST)
    for decided in ({"COOKIE_SAME_SITE": "lax"}, {"WEBSITE_DOMAIN": "https://example.com"}):
        assert read({**domains, **decided}, NO_LIST).decisions("").same_site == "lax"


NOT_HTTPS = (
    "STSESSION_API_DOMAIN = 'http://api.example.com' is not https, so tokens can be read on the way. Serve "
    "the API over https, if only through a proxy in front of it, and write STSESSION_API_DOMAIN = "
    "'https://api.example.com'."
)
INSECURE_NONE = (
    "The session's cookies would be SameSite none without Secure, which browsers do not keep (API: "
    "http://api.example.com, website: {website}). Serve both over https and say so in STSESSION_API_DOMAIN "
    "and STSESSION_WEBSITE_DOMAIN, or put both on one site, or write "
    'STSESSION_TOKEN_TRANSFER_METHOD = "header".'
)


@pytest.mark.parametrize(
    ("settings", "website"),
    [
        ({"WEBSITE_DOMAIN": "http://app.example.org"}, "http://app.example.org"),
        ({"COOKIE_SAME_SITE": "none"}, "the same"),
        ({"WEBSITE_DOMAIN": ["http://localhost", "http://b.org"]}, "http://localhost, http://b.org"),
    ],
)
def test_same_site_none_without_secure_is_logged_as_an_error(
    settings: dict[str, Any], website: str, caplog: pytest.LogCaptureFixture
) -> None:
    problem = INSECURE_NONE.format(website=website)
    configured = {"API_DOMAIN": "http://api.example.com", **settings}
    assert insecure_none_problem(read(configured), "") == problem
    error = (logging.ERROR, f"{problem} Until then no session is created by cookie.")
    assert logged(caplog, configured) == [(logging.WARNING, NOT_HTTPS), error]
    assert insecure_none_problem(read(settings), "http://api.example.com/") == problem
    assert logged(caplog, settings) == []


@pytest.mark.parametrize(
    ("api", "settings"),
    [
        ("http://localhost:8080", {"WEBSITE_DOMAIN": "https://localhost:3000"}),
        ("http://localhost:8080", {"WEBSITE_DOMAIN": "https://localhost:3000", "COOKIE_SECURE": False}),
        ("http://127.0.0.1", {"COOKIE_SAME_SITE": "none"}),
        ("http://api.example.com", {"WEBSITE_DOMAIN": "http://b.org", "COOKIE_SECURE": True}),
        ("http://api.example.com", {}),
    ],
)
def test_same_site_none_may_be_insecure_among_local_hosts_only(api: str, settings: dict[str, Any]) -> None:
    assert insecure_none_problem(read({"API_DOMAIN": api, **settings}), "") is None
    assert insecure_none_problem(read(settings), f"{api}/") is None


def refused_host(
    settings: dict[str, Any], host: str, scheme: str = "https", *, forwarded: bool = False
) -> str:
    return unconfigured_host_problem(read(settings), host, scheme=scheme, forwarded=forwarded) or ""


@pytest.mark.parametrize("host", ["localhost:5000", "[::1]:5000", "192.168.1.7", "web", "shop.test"])
def test_an_unconfigured_app_serves_local_hosts(host: str) -> None:
    assert refused_host({}, host) == ""


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.example.com:8443", "shop.example.com:8443"),
        ("203.0.114.5", "203.0.114.5"),
        ("evil\r\n", "api.example.com"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_unconfigured_app_refuses_public_hosts_with_the_line_to_add(
    host: str, line: str, scheme: str
) -> None:
    message = (
        f"A session was asked for on the public host {host!r}, but STSESSION_API_DOMAIN is not set, which is "
        "for local development only. Add this line before init_app: "
        f'app.config["STSESSION_API_DOMAIN"] = "{scheme}://{line}"'
    )
    for forwarded in (False, True):
        assert refused_host({}, host, scheme, forwarded=forwarded) == message
        assert refused_host({"API_DOMAIN": "https://api.example.com"}, host, forwarded=forwarded) == ""


def test_an_unconfigured_app_behind_a_proxy_refuses_hosts_that_may_stand_for_public_ones() -> None:
    assert refused_host({}, "127.0.0.1:8000", forwarded=True) == ""
    assert refused_host({}, "web:8000", "http", forwarded=True) == (
        "A session was asked for through a proxy, for the host 'web:8000', but STSESSION_API_DOMAIN is not "
        "set, which is for local development only. Add this line before init_app, with the scheme and host "
        'that browsers use: app.config["STSESSION_API_DOMAIN"] = "http://web:8000"'
    )


@given(st.text())
def test_the_checks_raise_nothing_whatever_the_host_of_the_request(claimed: str) -> None:
    config = Config.from_mapping({"STSESSION_WEBSITE_DOMAIN": "https://www.example.com"}, sites=NO_LIST)
    insecure_none_problem(config, claimed)
    unconfigured_host_problem(config, claimed, scheme="http", forwarded=True)


NO_ANTI_CSRF = (
    "STSESSION_ANTI_CSRF = 'NONE' while cookies are SameSite none: any website can act in the name of your "
    "users. Write STSESSION_ANTI_CSRF = 'VIA_CUSTOM_HEADER', or 'VIA_ORIGIN' for pages with forms."
)


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ({}, []),
        ({"COOKIE_SAME_SITE": "none", "ANTI_CSRF": "NONE"}, [NO_ANTI_CSRF]),
        ({"COOKIE_SAME_SITE": "none", "ANTI_CSRF": "NONE", "TOKEN_TRANSFER_METHOD": "header"}, []),
        (
            {"API_DOMAIN": "https://a.org", "WEBSITE_DOMAIN": "https://b.com", "ANTI_CSRF": "NONE"},
            [NO_ANTI_CSRF],
        ),
        (
            {"LOGIN_URL": "/login", "ROUTES": ("signout",)},
            [
                "STSESSION_LOGIN_URL = '/login' is for server-rendered pages, but STSESSION_ROUTES has no "
                "'refresh', which renews their expired access tokens: their users will have to sign in "
                "again each time. Add 'refresh' to STSESSION_ROUTES."
            ],
        ),
        (
            {"LOGIN_URL": "/login", "ANTI_CSRF": "VIA_CUSTOM_HEADER"},
            [
                "STSESSION_LOGIN_URL = '/login' is for server-rendered pages, whose forms cannot send the "
                "header that VIA_CUSTOM_HEADER asks for. Write STSESSION_ANTI_CSRF = 'VIA_ORIGIN'."
            ],
        ),
        (
            {"API_DOMAIN": "http://api.example.com", "COOKIE_SECURE": True},
            [
                NOT_HTTPS,
                "STSESSION_COOKIE_SECURE = True, but STSESSION_API_DOMAIN = 'http://api.example.com' is not "
                "https, and browsers drop such cookies. If a proxy speaks https for it, write "
                "STSESSION_API_DOMAIN = 'https://api.example.com'.",
            ],
        ),
        ({"API_DOMAIN": "http://api.example.com"}, [NOT_HTTPS]),
        ({"API_DOMAIN": "http://api.example.com", "TOKEN_TRANSFER_METHOD": "header"}, [NOT_HTTPS]),
        ({"API_DOMAIN": "http://shop.test"}, []),
        ({"API_DOMAIN": "http://10.0.0.1"}, []),
        (
            {"API_DOMAIN": "https://api.example.com", "COOKIE_SECURE": False},
            [
                "STSESSION_COOKIE_SECURE = False, but STSESSION_API_DOMAIN = 'https://api.example.com' is "
                "https: browsers send the session's cookies over http as well, where they can be read. "
                "Remove STSESSION_COOKIE_SECURE."
            ],
        ),
        ({"API_DOMAIN": "http://localhost:5000", "COOKIE_SECURE": False}, []),
        ({**HTTPS, "COOKIE_SECURE": False, "TOKEN_TRANSFER_METHOD": "header"}, []),
        (
            {"API_DOMAIN": "http://[2606:4700::1]"},
            [
                "STSESSION_API_DOMAIN = 'http://[2606:4700::1]' is not https, so tokens can be read on the "
                "way. Serve the API over https, if only through a proxy in front of it, and write "
                "STSESSION_API_DOMAIN = 'https://[2606:4700::1]'."
            ],
        ),
        (
            {
                "CONNECTION_URI": "http://core:3567;https://b.example;http://[::1]:1",
                "API_KEY": "hunter2hunter2",
            },
            [
                "STSESSION_API_KEY is sent over http to 'core', and can be read on the way. Serve the core "
                "over https and write https:// in STSESSION_CONNECTION_URI = "
                "'http://core:3567;https://b.example;http://[::1]:1'."
            ],
        ),
        ({"CONNECTION_URI": "http://127.0.0.1:3567;http://localhost", "API_KEY": "hunter2hunter2"}, []),
        ({"CONNECTION_URI": "http://core:3567"}, []),
        (
            {"API_KEY": "hunter2hunter2"},
            [
                "STSESSION_API_KEY is set, but STSESSION_CONNECTION_URI = 'embedded:' is the core in this "
                "process, which needs no key. Write the URL of your core in STSESSION_CONNECTION_URI, or "
                "remove STSESSION_API_KEY."
            ],
        ),
        ({"API_KEY": "hunter2hunter2", "EMBEDDED_CORE": {"api_keys": "hunter2hunter2"}}, []),
        (
            {"LOGIN_URL": "/login", "COOKIE_SAME_SITE": "strict"},
            [
                "STSESSION_LOGIN_URL = '/login' is for server-rendered pages, but with "
                "STSESSION_COOKIE_SAME_SITE = 'strict' browsers send no cookies when a page is opened by a "
                "link from elsewhere, an e-mail for example: users who are signed in see the login page. "
                "Remove STSESSION_COOKIE_SAME_SITE, or write 'lax'."
            ],
        ),
        ({"COOKIE_SAME_SITE": "strict"}, []),
        (
            {"API_DOMAIN": "http://10.0.0.1:5000", "COOKIE_SECURE": True},
            [
                "STSESSION_COOKIE_SECURE = True, but STSESSION_API_DOMAIN = 'http://10.0.0.1:5000' is not "
                "https, and browsers drop such cookies. If a proxy speaks https for it, write "
                "STSESSION_API_DOMAIN = 'https://10.0.0.1'."
            ],
        ),
        ({"API_DOMAIN": "http://localhost:5000", "COOKIE_SECURE": True}, []),
        ({"API_DOMAIN": "http://api.localhost", "COOKIE_SECURE": True}, []),
        (
            {"API_DOMAIN": "https://a.org", "WEBSITE_DOMAIN": "https://b.com", "COOKIE_SAME_SITE": "lax"},
            [
                "STSESSION_COOKIE_SAME_SITE = 'lax', but STSESSION_API_DOMAIN = 'https://a.org' and "
                "STSESSION_WEBSITE_DOMAIN = 'https://b.com' are not one site, so the website's requests "
                "come without cookies. Remove STSESSION_COOKIE_SAME_SITE, or write 'none'."
            ],
        ),
        (
            {"API_DOMAIN": "http://localhost:5000", "WEBSITE_DOMAIN": "http://127.0.0.1:3000"},
            [
                "Browsers take localhost and 127.0.0.1 for two sites and send no cookies from one to the "
                "other. Open the website as http://localhost:3000 and set STSESSION_WEBSITE_DOMAIN to that."
            ],
        ),
    ],
)
def test_suspicious_settings_are_logged_as_warnings(
    settings: dict[str, Any], messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert logged(caplog, settings) == [(logging.WARNING, message) for message in messages]
