"""Which requests are navigations, which redirects are safe, and where the login page is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask, request
from hypothesis import example, given, strategies as st
from support.app_factory import AppFactory
from werkzeug.urls import iri_to_uri

from flask_stsession.config.config import Config
from flask_stsession.web.navigation import (
    LONGEST_URL,
    comes_from_itself,
    is_ahead_of_time,
    is_download,
    is_for_part_of_page,
    is_htmx,
    is_kept_by_same_site_strict,
    is_local_path,
    is_login_page,
    is_navigation,
    login_url,
    may_have_been_here,
    next_url,
    origin_problem,
    page_of,
    referring_page,
    url_of,
)

PLAIN = Flask("plain")
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FORM = "application/x-www-form-urlencoded"


def config(**settings: Any) -> Config:
    keys = {f"STSESSION_{key.upper()}": value for key, value in settings.items()}
    return Config.from_mapping({"STSESSION_LOGIN_URL": "/login", **keys})


# Navigations


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "Navigate "}, True),
        ({"Sec-Fetch-Mode": "navigate", "Accept": "application/json"}, True),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, True),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": CHROMIUM}, False),
        ({"Sec-Fetch-Mode": "same-origin", "Accept": CHROMIUM}, False),
        ({"Sec-Fetch-Mode": "no-cors", "Accept": CHROMIUM}, False),
        ({"Sec-Fetch-Mode": "", "Accept": CHROMIUM}, False),
        ({"Accept": CHROMIUM}, True),
        ({"Accept": SAFARI}, True),
        ({"Accept": "text/html"}, True),
        ({"Accept": "text/*"}, True),
        ({"Accept": "*/*"}, False),
        ({"Accept": "application/json"}, False),
        ({"Accept": "application/json, text/plain, */*"}, False),
        ({"Accept": "application/json, text/html;q=0.5"}, False),
        ({"Accept": "text/html, application/json"}, False),
        ({"Accept": "text/html;q=0"}, False),
        ({"Accept": CHROMIUM, "X-Requested-With": "XMLHttpRequest"}, False),
        ({"Accept": CHROMIUM, "Content-Type": "application/json"}, False),
        ({"Accept": CHROMIUM, "Content-Type": FORM}, True),
        ({"Accept": CHROMIUM, "Content-Type": "multipart/form-data; boundary=x"}, True),
        ({"Accept": CHROMIUM, "HX-Request": "true"}, False),
        ({"Sec-Fetch-Mode": "navigate", "HX-Request": "true"}, False),
        ({"Sec-Fetch-Mode": "cors", "X-Turbo-Request-Id": "1"}, True),
        ({"Sec-Fetch-Mode": "cors", "Turbo-Frame": "part"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/vnd.turbo-stream.html, text/html"}, True),
        ({"Sec-Fetch-Mode": "cors", "X-Up-Version": "3.14.3"}, True),
    ],
)
def test_sec_fetch_mode_marks_a_navigation_and_accept_only_where_it_is_absent(
    headers: dict[str, str], expected: bool
) -> None:
    with PLAIN.test_request_context("/", headers=headers):
        assert is_navigation(request) is expected


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("TRUE", True), ("false", False), ("", False), ("1", False)]
)
def test_htmx_is_recognised_by_its_header(value: str, expected: bool) -> None:
    with PLAIN.test_request_context("/", headers={"HX-Request": value}):
        assert is_htmx(request) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"Sec-Purpose": "prefetch"}, True),
        ({"Sec-Purpose": "prefetch;prerender"}, True),
        ({"Purpose": "prefetch"}, True),
        ({"X-Moz": "prefetch"}, True),
        ({"X-Sec-Purpose": "prefetch"}, True),
        ({"Sec-Purpose": "partitioned-popin"}, False),
    ],
)
def test_prefetches_are_recognised(headers: dict[str, str], expected: bool) -> None:
    with PLAIN.test_request_context("/", headers=headers):
        assert is_ahead_of_time(request) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"}, True),
        ({"Sec-Fetch-Mode": "Navigate ", "Sec-Fetch-Dest": "Empty "}, True),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, False),
        ({}, False),
    ],
)
def test_a_download_is_a_navigation_whose_destination_is_empty(
    headers: dict[str, str], expected: bool
) -> None:
    with PLAIN.test_request_context("/", headers=headers):
        assert is_download(request) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Turbo-Frame": "part"}, True),
        ({"X-Up-Version": "3.14.3"}, True),
        ({"X-Turbo-Request-Id": "1"}, False),
        ({}, False),
    ],
)
def test_frames_of_turbo_and_everything_of_unpoly_are_parts_of_a_page(
    headers: dict[str, str], expected: bool
) -> None:
    with PLAIN.test_request_context("/", headers=headers):
        assert is_for_part_of_page(request) is expected


@pytest.mark.parametrize(
    ("method", "site", "expected"),
    [
        ("GET", "cross-site", True),
        ("GET", "same-site", False),
        ("GET", "same-origin", False),
        ("GET", "none", False),
        ("POST", "cross-site", False),
    ],
)
def test_strict_cookies_are_missing_only_where_another_site_leads_to_a_page(
    method: str, site: str, expected: bool
) -> None:
    with PLAIN.test_request_context("/", method=method, headers={"Sec-Fetch-Site": site}):
        assert is_kept_by_same_site_strict(request) is expected


# Requests of our own pages


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {"Sec-Fetch-Site": "same-origin"}, None),
        ("POST", {"Sec-Fetch-Site": "none"}, None),
        ("POST", {"Origin": "http://localhost"}, None),
        ("POST", {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, None),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, "csrf_mismatch"),
        ("POST", {"Origin": "null"}, "csrf_missing"),
        ("POST", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, None),
        ("POST", {}, "csrf_missing"),
        ("POST", {"Referer": "http://localhost/form"}, "csrf_missing"),
        ("GET", {"Referer": "http://localhost/page?a=1"}, None),
        ("GET", {"Referer": "http://localhost.evil.example/page"}, "csrf_mismatch"),
        ("GET", {"Referer": "http://[/"}, "csrf_missing"),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, "csrf_missing"),
        ("GET", {"Origin": "http://evil.example", "Referer": "http://localhost/"}, "csrf_mismatch"),
        ("GET", {}, "csrf_missing"),
    ],
)
def test_requests_of_our_own_pages_have_no_origin_problem(
    method: str, headers: dict[str, str], expected: str | None
) -> None:
    with PLAIN.test_request_context("/", method=method, headers=headers):
        problem = origin_problem(config(), request, "http://localhost")
        assert (problem and str(problem[0])) == expected


# Safe redirects

SAFE = [
    "/",
    "/a",
    "/a/b?c=d&e=%2F",
    "/a?u=https://x.example/",
    "/ä",
    "/.//evil.example",
    "/a//b",
    "/@evil.example",
]
UNSAFE = [
    "",
    "a",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    " /a",
    "/\t/evil.example",
    "/\n/evil.example",
    "/a\r\nSet-Cookie: a=b",
    "/a\x00",
    "/a\x7f",
    "\t//evil.example",
]


@pytest.mark.parametrize("target", SAFE)
def test_a_path_of_this_site_is_a_safe_next(target: str) -> None:
    assert is_local_path(target)
    with PLAIN.test_request_context("/login", query_string={"next": target}):
        assert next_url("/home") == target
    with PLAIN.test_request_context("/login?next=/other", method="POST", data={"next": target}):
        assert next_url("/home") == target


@pytest.mark.parametrize("target", UNSAFE)
def test_a_next_that_could_leave_this_site_is_replaced_by_the_default(target: str) -> None:
    assert not is_local_path(target)
    with PLAIN.test_request_context("/login", query_string={"next": target}):
        assert next_url("/home") == "/home"


def test_without_a_next_the_default_is_returned() -> None:
    with PLAIN.test_request_context("/login"):
        assert (next_url(), next_url("/home")) == ("/", "/home")


def as_browsers_read(target: str) -> str:
    """Resolve a URL as browsers do (WHATWG URL): they drop some characters and read others as slashes."""
    for dropped in "\t\r\n":
        target = target.replace(dropped, "")
    return urljoin("https://us.example/login", target.strip("".join(map(chr, range(33)))).replace("\\", "/"))


PIECES = st.sampled_from(
    [
        "/",
        "\\",
        "//",
        ".",
        "..",
        "@",
        ":",
        "http:",
        "evil.example",
        "\t",
        "\n",
        "\r",
        " ",
        "\x00",
        "%2f",
        "?",
        "#",
        "a",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join))
@example("/\t/evil.example")
def test_a_safe_next_stays_on_this_site_in_every_browser(target: str) -> None:
    if is_local_path(target):
        assert urlsplit(as_browsers_read(target)).netloc == "us.example"
        assert urlsplit(as_browsers_read(iri_to_uri(target))).netloc == "us.example"


# URLs of pages and of the login page


@pytest.mark.parametrize(
    ("root", "settings", "path", "query", "expected"),
    [
        ("", {}, "/page", "", "/page"),
        ("", {}, "/page", "a=1&b=%C3%A4", "/page?a=1&b=%C3%A4"),
        ("", {}, "/ä b%?", "", "/%C3%A4%20b%25%3F"),
        ("", {}, "//evil.example", "", "/evil.example"),
        ("", {}, "/\\evil.example", "", "/%5Cevil.example"),
        ("/mounted", {}, "/page", "", "/mounted/page"),
        ("/mounted", {}, "//evil.example", "", "/mounted/evil.example"),
        ("", {"api_gateway_path": "/gate"}, "/page", "a", "/gate/page?a"),
        ("/mounted", {"api_gateway_path": "/gate", "api_base_path": ""}, "/page", "", "/gate/page"),
        ("", {"api_base_path": "/"}, "/page", "", "/page"),
    ],
)
def test_the_url_of_a_request_is_path_and_query_as_its_client_wrote_them(
    root: str, settings: dict[str, str], path: str, query: str, expected: str | None
) -> None:
    environ = {"SCRIPT_NAME": root, "PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": query}
    with PLAIN.test_request_context("/", environ_overrides=environ):
        assert url_of(config(**settings), request) == expected


@given(st.text(max_size=20), st.binary(max_size=20))
def test_the_url_of_any_request_is_a_safe_next(path: str, query: bytes) -> None:
    environ = {
        "PATH_INFO": ("/" + path).encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
    }
    with PLAIN.test_request_context("/", environ_overrides=environ):
        target = url_of(config(), request)
        assert target is None or (is_local_path(target) and target.isascii())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"HX-Current-URL": "http://localhost/page?a=1#part"}, "/page?a=1"),
        ({"HX-Current-URL": "http://localhost"}, "/"),
        ({"HX-Current-URL": "http://localhost//evil.example"}, None),
        ({"HX-Current-URL": "http://evil.example/page"}, None),
        ({"HX-Current-URL": "https://localhost/page"}, None),
        ({"HX-Current-URL": "nonsense"}, None),
        ({"HX-Current-URL": "http://[/"}, None),
        ({"HX-Current-URL": "http://localhost/page", "HX-Boosted": "true"}, "/rows?b=2"),
        ({"HX-History-Restore-Request": "true"}, "/rows?b=2"),
    ],
)
def test_the_page_of_an_htmx_request_is_read_from_its_headers(
    headers: dict[str, str], expected: str | None
) -> None:
    with PLAIN.test_request_context("/rows?b=2", headers=headers):
        assert page_of(config(), request, "http://localhost") == expected


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        (None, False),
        ("http://localhost/page?a=%C3%A4", True),
        ("https://behind-a-proxy/page?a=%C3%A4", True),
        ("http://localhost/page", False),
        ("http://localhost/", False),
        ("http://[/", False),
    ],
)
def test_a_page_that_requests_itself_is_recognised_by_its_referer(
    referrer: str | None, expected: bool
) -> None:
    headers = {} if referrer is None else {"Referer": referrer}
    with PLAIN.test_request_context("/page?a=%C3%A4", headers=headers):
        assert comes_from_itself(config(), request) is expected


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        (None, False),
        ("http://localhost/", True),
        ("http://localhost", True),
        ("http://localhost/page", False),
        ("http://localhost/?a=1", False),
        ("http://[/", False),
    ],
)
def test_a_form_that_may_have_been_redirected_is_recognised_by_its_short_referer(
    referrer: str | None, expected: bool
) -> None:
    headers = {} if referrer is None else {"Referer": referrer}
    with PLAIN.test_request_context("/", headers=headers):
        assert may_have_been_here(request) is expected


@pytest.mark.parametrize(
    ("login", "root", "settings", "then", "expected"),
    [
        ("/sign-in", "", {}, None, "/sign-in"),
        ("/sign-in", "", {}, "/a?b=c&d", "/sign-in?next=%2Fa%3Fb%3Dc%26d"),
        ("/sign-in?from=app", "", {}, "/a", "/sign-in?from=app&next=%2Fa"),
        ("log_in", "", {}, "/a", "/accounts/log-in?next=%2Fa"),
        ("/sign-in", "/mounted", {}, "/mounted/a", "/mounted/sign-in?next=%2Fmounted%2Fa"),
        ("log_in", "/mounted", {}, None, "/mounted/accounts/log-in"),
        ("/sign-in", "", {"api_gateway_path": "/gate"}, None, "/gate/sign-in"),
        ("log_in", "/mounted", {"api_gateway_path": "/gate"}, None, "/gate/accounts/log-in"),
        ("log_in", "", {"api_gateway_path": "/gate", "api_base_path": "/"}, None, "/gate/accounts/log-in"),
        ("/sign-in#top", "", {}, "/a", "/sign-in?next=%2Fa#top"),
        ("/?tab=1#/sign-in", "", {}, "/a", "/?tab=1&next=%2Fa#/sign-in"),
        ("/anmelden-ü%20", "", {}, "/a", "/anmelden-%C3%BC%20?next=%2Fa"),
    ],
)
def test_the_login_url_is_made_from_an_endpoint_or_a_path(
    login: str, root: str, settings: dict[str, str], then: str | None, expected: str
) -> None:
    app = Flask("app")
    app.add_url_rule("/accounts/log-in", "log_in", lambda: "")
    with app.test_request_context("/", environ_overrides={"SCRIPT_NAME": root}):
        assert login_url(config(**settings), request, login, then=then) == expected


def test_the_url_of_a_login_page_on_another_subdomain_has_its_host() -> None:
    app = Flask("app", subdomain_matching=True)
    app.config["SERVER_NAME"] = "us.example"
    app.add_url_rule("/log-in", "log_in", lambda: "", subdomain="accounts")
    with app.test_request_context("/"):
        assert login_url(config(), request, "log_in") == "http://accounts.us.example/log-in"


@pytest.mark.parametrize(
    ("login", "expected"),
    [("/login", True), ("/login?from=app", True), ("login", True), ("/log", False), ("user", False)],
)
def test_the_login_page_is_recognised_by_endpoint_or_path(
    make_app: AppFactory, login: str, expected: bool
) -> None:
    with make_app().test_request_context("/login?next=/a", method="POST"):
        assert is_login_page(request, login) is expected


@pytest.mark.parametrize(
    ("login", "path", "method", "expected"),
    [
        ("/sign-in", "/sign-in/", "GET", True),  # to which the app redirects
        ("/sign-in#top", "/sign-in/", "GET", True),
        ("/slashed", "/slashed", "GET", True),
        ("/slashed", "/slashed/", "GET", False),  # a view of its own
        ("/moved", "/moved/", "GET", False),  # the app redirects to another page
        ("/nowhere", "/nowhere/", "GET", False),
        ("/anmelden-%C3%BC", "/anmelden-ü", "GET", True),
        ("/anmelden-ü", "/anmelden-ü", "GET", True),
        ("/log%20in", "/log in", "GET", True),
        ("form", "/form", "POST", True),  # another endpoint with its URL
        ("form", "/form/old", "POST", False),  # its other URL, to which nobody is sent
        ("of_language", "/en/form", "POST", False),
        ("form", "/sign-in/", "POST", False),
        ("no_such", "/form", "POST", False),
        ("form", "/nowhere", "POST", False),
    ],
)
def test_the_login_page_is_recognised_by_its_url(login: str, path: str, method: str, expected: bool) -> None:
    def view(**_arguments: str) -> str:
        return ""

    app = Flask("app")
    for rule, endpoint in [
        ("/sign-in/", "sign_in"),
        ("/slashed", "without"),
        ("/slashed/", "with"),
        ("/form", "form"),
        ("/form/old", "form"),
        ("/<lang>/form", "of_language"),
        ("/anmelden-ü", "umlaut"),
        ("/log in", "blank"),
    ]:
        app.add_url_rule(rule, endpoint, view)
        app.add_url_rule(rule, f"post_{rule}", view, methods=["POST"])
    app.add_url_rule("/moved", "moved", redirect_to="/sign-in/")
    app.add_url_rule("/moved/", "not_moved", view)
    with app.test_request_context(path, method=method):
        assert is_login_page(request, login) is expected


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        ("http://localhost/page?a=%C3%A4", "/page?a=%C3%A4"),
        ("http://localhost//evil.example", None),
        ("http://evil.example/page", None),
        ("http://[/", None),
        ("", None),
    ],
)
def test_the_referer_names_only_pages_of_this_site(referrer: str, expected: str | None) -> None:
    with PLAIN.test_request_context("/", headers={"Referer": referrer}):
        assert referring_page(config(), request, "http://localhost") == expected


def test_the_login_url_is_never_longer_than_servers_and_proxies_accept() -> None:
    with PLAIN.test_request_context("/"):
        room = LONGEST_URL - len("/login?next=")
        for then, kept in [
            ("/" + "a" * (room - 3), True),
            ("/" + "a" * (room - 2), False),
            ("/" + "%" * room, False),
        ]:
            url = login_url(config(), request, "/login", then=then)
            assert (len(url) <= LONGEST_URL, "next=" in url) == (True, kept)
        assert login_url(config(), request, "/login", then="/a?" + "b" * room) == "/login?next=%2Fa"
