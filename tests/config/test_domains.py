"""Hosts, origins and sites, with and without a public suffix list."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, strategies as st

from flask_stsession.config.domains import (
    Origin,
    Sites,
    host_of,
    is_host_or_parent,
    is_local_host,
    is_loopback,
    is_public_address,
    is_shell_origin,
    is_shell_url,
    normal_host,
    origin_of,
    split_url,
)

LISTED = Sites()
NO_LIST = Sites(lambda: None)


def origin(url: str) -> Origin:
    return split_url(url)[0]


# One site or not; the last column is the result without the list.
PAIRS: list[tuple[str, str, bool, bool | None]] = [
    ("https://example.com", "https://example.com:8443", True, True),
    ("https://example.com", "http://example.com", False, False),
    ("https://example.com", "https://www.example.com", True, True),
    ("https://example.com", "https://a.b.example.com", True, True),
    ("https://shop.co.uk", "https://api.shop.co.uk", True, True),
    ("https://example.com", "https://example.org", False, False),
    ("https://example.com", "https://notexample.com", False, None),
    ("https://api.example.com", "https://www.example.com", True, None),
    ("https://one.co.uk", "https://two.co.uk", False, None),
    ("https://one.vercel.app", "https://two.vercel.app", False, None),
    ("https://a.one.vercel.app", "https://b.one.vercel.app", True, None),
    ("https://a.bücher.example", "https://b.bücher.example", True, None),
    ("https://co.uk", "https://one.ac.uk", False, None),
    ("http://localhost:3000", "http://localhost:5000", True, True),
    ("http://localhost", "http://127.0.0.1", True, True),
    ("http://10.0.0.1", "http://[::1]", True, True),
    ("http://localhost", "https://localhost", False, False),
    ("http://localhost", "http://example.com", False, False),
    ("http://10.0.0.1", "http://example.com", False, False),
    ("http://localhost", "http://api.localhost", False, False),
    ("http://api.localhost", "http://app.localhost", False, False),
    ("http://a.app.localhost", "http://b.app.localhost", True, True),
    ("http://intranet", "http://app.intranet", False, False),
]


@pytest.mark.parametrize(("one", "other", "same", "same_without_list"), PAIRS)
def test_origins_are_one_site_where_browsers_say_so(
    one: str, other: str, same: bool, same_without_list: bool | None
) -> None:
    for first, second in ((one, other), (other, one)):
        assert LISTED.same_site(origin(first), origin(second)) is same
        assert NO_LIST.same_site(origin(first), origin(second)) is same_without_list


@pytest.mark.parametrize(
    ("one", "other", "expected", "without_list"),
    [
        ("https://example.com", "https://www.example.com", True, True),
        ("https://api.example.com", "https://www.example.com", True, False),
        ("https://a.example.co.uk", "https://b.example.co.uk", True, False),
        ("https://one.github.io", "https://two.github.io", False, False),
        ("http://example.com", "https://example.com", False, False),
        ("http://localhost:3000", "http://127.0.0.1:5000", True, True),
        ("http://localhost", "http://[::1]", True, True),
        ("http://192.168.1.7:3000", "http://192.168.1.7", True, True),
        ("http://192.168.1.7", "http://192.168.1.8", False, False),
        ("http://localhost", "http://203.0.113.7", False, False),
    ],
)
def test_only_hosts_that_are_certainly_one_site_may_change_each_others_cookies(
    one: str, other: str, expected: bool, without_list: bool
) -> None:
    for first, second in ((one, other), (other, one)):
        assert LISTED.may_share_cookies(origin(first), origin(second)) is expected
        assert NO_LIST.may_share_cookies(origin(first), origin(second)) is without_list


def test_the_list_is_loaded_once_when_it_is_first_needed() -> None:
    class Suffixes:
        def privatesuffix(self, domain: str, /) -> str | None:
            return domain.split(".", 1)[1]

    loaded: list[Suffixes] = []

    def load() -> Suffixes:
        loaded.append(Suffixes())
        return loaded[-1]

    sites = Sites(load)
    assert sites.same_site(origin("https://example.com"), origin("https://www.example.com"))
    assert loaded == []
    assert sites.same_site(origin("https://a.b.c"), origin("https://d.b.c"))
    assert not sites.same_site(origin("https://a.b.c"), origin("https://d.e.c"))
    assert len(loaded) == 1


def test_without_the_extra_there_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
    one, other = origin("https://a.example.com"), origin("https://b.example.com")
    assert Sites().same_site(one, other) is None


@pytest.mark.parametrize(
    ("host", "parents", "parents_without_list"),
    [
        ("example.com", ["example.com"], ["example.com"]),
        ("api.example.com", ["api.example.com", "example.com"], ["api.example.com", "example.com"]),
        (
            "a.shop.co.uk",
            ["a.shop.co.uk", "shop.co.uk"],
            ["a.shop.co.uk", "shop.co.uk", "co.uk"],
        ),
        ("my.vercel.app", ["my.vercel.app"], ["my.vercel.app", "vercel.app"]),
        ("co.uk", ["co.uk"], ["co.uk"]),
        ("localhost", ["localhost"], ["localhost"]),
        ("a.b.localhost", ["a.b.localhost", "b.localhost"], ["a.b.localhost", "b.localhost"]),
        ("127.0.0.1", ["127.0.0.1"], ["127.0.0.1"]),
        ("::1", ["::1"], ["::1"]),
    ],
)
def test_parents_of_a_host_end_at_the_registrable_domain(
    host: str, parents: list[str], parents_without_list: list[str]
) -> None:
    assert LISTED.registrable_parents(host) == parents
    assert NO_LIST.registrable_parents(host) == parents_without_list


def test_single_labels_and_addresses_have_no_registrable_domain() -> None:
    assert LISTED.registrable_domain("localhost") is None
    assert LISTED.registrable_domain("127.0.0.1") is None
    assert LISTED.registrable_domain("a.b.example.co.uk") == "example.co.uk"


@pytest.mark.parametrize(
    ("domain", "public", "public_without_list"),
    [
        ("com", True, True),
        ("co.uk", True, False),
        ("vercel.app", True, False),
        ("example.com", False, False),
        ("localhost", False, False),
        ("127.0.0.1", False, False),
    ],
)
def test_a_public_suffix_is_no_domain_for_cookies(
    domain: str, public: bool, public_without_list: bool
) -> None:
    assert LISTED.is_public_suffix(domain) is public
    assert NO_LIST.is_public_suffix(domain) is public_without_list


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:5000",
        "api.localhost",
        "127.0.0.1",
        "127.9.9.9:80",
        "::1",
        "[::1]:5000",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "fe80::1",
        "fd00::1",
        "::ffff:192.168.0.1",
        "100.64.0.1",
        "100.127.255.254:5000",
        "::ffff:100.64.0.1",
        "web",
        "WEB:8000",
        "my_core",
        "mylocalhost",
        "app.test",
        "shop.example:443",
        "printer.local",
        "core.corp.internal",
        "host.docker.internal:5000",
        "nas.home.arpa",
        "any.invalid",
        "bücher.test",
    ],
)
def test_a_host_that_only_its_own_network_can_reach_is_local(host: str) -> None:
    assert is_local_host(host)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("::ffff:127.0.0.1", True),
        ("api.localhost", False),
        ("web:8000", False),
        ("app.test", False),
        ("host.docker.internal", False),
        ("10.1.2.3", False),
        ("192.168.1.1:80", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
        ("169.254.1.1", False),
        ("example.com", False),
    ],
)
def test_behind_a_proxy_only_localhost_and_loopback_addresses_are_local(host: str, local: bool) -> None:
    assert is_local_host(host, forwarded=True) is local


@pytest.mark.parametrize(
    ("node", "public"),
    [
        ("8.8.8.8", True),
        ("192.0.2.43:47011", True),
        ("[2001:db8:cafe::17]:4711", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3:4711", False),
        ("::ffff:192.168.0.1", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
        ("unknown", False),
        ("_hidden", False),
        ("example.com", False),
        ("", False),
        ("[", False),
    ],
)
def test_clients_of_the_internet_have_public_addresses(node: str, public: bool) -> None:
    assert is_public_address(node) is public


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com",
        "test.com",
        "example.com.internal.example.org",
        "home.arpa.org",
        "arpa.com",
        "100.63.255.255",
        "100.128.0.1",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "2606:4700::1",
        "192.0.2.1",
        "198.51.100.7:443",
        "203.0.113.7",
        "[2001:db8::1]:443",
        "",
        "[",
        "a b",
    ],
)
def test_any_other_host_is_not_local(host: str) -> None:
    assert not is_local_host(host)


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("Example.COM", "example.com"),
        ("my_core", "my_core"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("my_core.bücher.example", "my_core.xn--bcher-kva.example"),
        ("日本。example", "xn--wgv71a.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("0:0::1", "::1"),
    ],
)
def test_a_host_has_one_spelling(host: str, normal: str) -> None:
    assert normal_host(host) == normal


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        "-a",
        "a-",
        "1.2.3",
        "1.2.3.256",
        "a.1",
        "fe80::1%eth0",
        "a" * 64,
        "a." * 127 + "a",
        "ü" * 300,
        "a\u3002\u3002b",
        "\ud800",
        ".".join(["ü" * 30] * 8),
    ],
)
def test_text_that_is_not_a_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r" is not a host name$"):
        normal_host(host)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("Straße.de", "'Straße.de' is 'xn--strae-oqa.de' by IDNA 2008, but 'strasse.de' by IDNA 2003"),
        ("STRAẞE.de", "'STRAẞE.de' is 'xn--strae-oqa.de' by IDNA 2008, but "),
        ("βόλος.com", "'βόλος.com' is 'xn--nxasmm1c.com' by IDNA 2008, but 'xn--nxasmq6b.com' by IDNA 2003"),
        ("क्\u200dष.in", "'क्\\u200dष.in' is 'xn--11b2ezcw70k.in' by IDNA 2008, but 'xn--11b2ezc.in' by IDNA"),
        ("pay\u200cpal.com", "'pay\\u200cpal.com' is not a host name by IDNA 2008; if 'paypal.com' is meant"),
        (
            "☃.net",
            "'☃.net' is not a host name by IDNA 2008; if 'xn--n3h.net' is meant, it must be",
        ),
    ],
)
def test_a_host_that_idna_2003_maps_to_another_is_refused_and_both_are_named(host: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        normal_host(host)


@pytest.mark.parametrize(
    ("url", "spelled", "path"),
    [
        ("http://A:80/x", "http://a", "/x"),
        ("HTTPS://a:443", "https://a", ""),
        ("https://a:80/", "https://a:80", "/"),
        ("http://[::0:1]:81", "http://[::1]:81", ""),
        ("http://a:", "http://a", ""),
    ],
)
def test_an_origin_is_spelled_as_browsers_send_it(url: str, spelled: str, path: str) -> None:
    parsed, rest = split_url(url)
    assert (str(parsed), rest) == (spelled, path)
    assert origin_of(url) == parsed


@pytest.mark.parametrize(
    ("url", "may_be", "is_one"),
    [
        ("capacitor://localhost", True, True),
        ("app://.", True, True),
        ("app://-", True, True),
        ("app://..", True, False),
        ("CAPACITOR://localhost", True, False),
        ("capacitor://localhost/", True, False),
        ("capacitor://", True, False),
        ("chrome-extension://*", True, False),
        ("https://localhost", False, False),
        ("htttp://localhost", False, False),
        ("file://localhost", False, False),
        ("localhost", False, False),
        ("://localhost", False, False),
    ],
)
def test_origins_of_app_shells_have_a_scheme_of_their_own(url: str, may_be: bool, is_one: bool) -> None:
    assert is_shell_url(url) is may_be
    assert is_shell_origin(url) is is_one


def test_the_host_of_a_request_comes_without_its_port() -> None:
    assert host_of("Example.com:80") == "example.com"
    assert host_of("[::1]:80") == host_of("::1") == "::1"
    assert host_of("localhost/a") is None
    assert host_of("a:b") is None


def test_cookies_of_a_parent_domain_reach_a_host_but_not_an_address() -> None:
    assert is_host_or_parent("example.com", "example.com")
    assert is_host_or_parent("example.com", "a.example.com")
    assert not is_host_or_parent("ample.com", "example.com")
    assert not is_host_or_parent("0.0.1", "127.0.0.1")


@given(st.text() | st.text(alphabet="ab.:/[]@?#1%\\ ", max_size=12).map("http://".__add__))
def test_the_functions_raise_nothing_whatever_the_text(text: str) -> None:
    is_local_host(text)
    is_loopback(text)
    is_shell_origin(text)
    host_of(text)
    parsed = origin_of(text)
    if parsed is not None:
        assert origin_of(str(parsed)) == parsed
        LISTED.registrable_parents(parsed.host)
        LISTED.same_site(parsed, origin("http://a.b.a"))
