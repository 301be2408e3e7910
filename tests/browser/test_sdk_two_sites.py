"""The frontend SDKs with the page and the API on two sites over https, by cookie and by header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.authority import Authority
from support.chromium_browser import chromium_at_home
from support.sdk_site import SdkSite, Visitor

from .conftest import API, FOREIGN, TO_THIS_MACHINE, WEBSITE, PersonFactory, SiteFactory, VisitorFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CSRF_MODES = ["VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN"]


@pytest.fixture(scope="module")
def browser(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a browser that trusts the authority of the tests, and checks certificates as ever."""
    home = tmp_path_factory.mktemp("home")
    authority.trusted_by(home)
    with chromium_at_home(home, TO_THIS_MACHINE) as chromium:
        yield chromium


@pytest.fixture
def site(make_https_site: SiteFactory) -> SdkSite:
    """Return such a site, with nothing configured."""
    return make_https_site()


@pytest.fixture(params=["cookie", "header"])
def visitor(request: pytest.FixtureRequest, site: SdkSite, make_visitor: VisitorFactory) -> Visitor:
    """Return a visitor, by each transfer method."""
    return make_visitor(site, transfer=request.param)


@pytest.mark.parametrize("client", ["fetch", "XMLHttpRequest", "axios"])
def test_a_session_works_across_sites(visitor: Visitor, site: SdkSite, client: str) -> None:
    tab = visitor.tab
    tab.sign_in_with_an_expired_token()
    status, body = tab.call("/api/me", "POST", client=client)
    assert (status, body["userId"]) == (200, "alice")
    assert [each for each in site.asked if not each.startswith("OPTIONS")] == [
        "POST /api/me 401",
        "POST /auth/session/refresh 200",
        "POST /api/me 200",
    ]
    tab.run("await sdk.signOut()")
    assert tab.is_signed_in() is False
    assert set(visitor.cookies()) == {"st-last-access-token-update"}


def test_the_cookies_of_another_site_are_secure_and_samesite_none(
    site: SdkSite, make_visitor: VisitorFactory
) -> None:
    visitor = make_visitor(site)
    visitor.tab.sign_in()
    ours = [each for each in visitor.context.cookies() if each["domain"] == API]
    assert {each["name"] for each in ours} == {"sAccessToken", "sRefreshToken"}
    assert {(each["secure"], each["httpOnly"], each["sameSite"]) for each in ours} == {(True, True, "None")}


def test_many_calls_across_sites_refresh_once(visitor: Visitor, site: SdkSite) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    tabs = [visitor.tab, visitor.new_tab()]
    site.hold_refreshes_until("GET /api/me 401", 8)
    for tab in tabs:
        tab.begin("await Promise.all([1, 2, 3, 4].map(() => call('fetch', 'GET', '/api/me')))")
    assert [each["status"] for tab in tabs for each in tab.finish()] == [200] * 8
    assert site.refreshed == 1


@pytest.mark.parametrize("mode", CSRF_MODES)
def test_only_the_website_passes_anti_csrf(
    make_https_site: SiteFactory, make_visitor: VisitorFactory, mode: str
) -> None:
    site = make_https_site(anti_csrf=mode)
    visitor = make_visitor(site)
    visitor.tab.sign_in_with_an_expired_token()
    assert visitor.tab.call("/api/me", "POST")[0] == 200
    visitor.tab.load()
    assert visitor.tab.call("/api/me", "POST", client="XMLHttpRequest")[0] == 200
    assert site.refreshed == 1
    foreign = visitor.context.new_page()
    foreign.goto(site.url.replace(WEBSITE, FOREIGN) + "/sdk")
    site.asked.clear()
    forge = "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).then(() => 0)"
    for path in ("/api/me", "/auth/session/refresh"):
        foreign.evaluate(forge, site.api + path)
    assert site.asked[0] == "POST /api/me 401"
    assert visitor.tab.call("/api/me", "POST")[0] == 200


@pytest.mark.parametrize("transfer", ["cookie", "header"])
def test_the_page_works_with_its_api_on_another_site(
    site: SdkSite, make_person: PersonFactory, transfer: str
) -> None:
    person = make_person(site, transfer)
    person.sign_in("alice")
    person.sees("Harbour dues")
    person.click("20 calls at once")
    person.sees("20 of 20 calls succeeded.")
    person.click("Sign out")
    person.sees("Sign in to see the reports.")
