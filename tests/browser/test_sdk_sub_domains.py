"""The frontend SDKs with the page and the API on two sub-domains of one site."""

from __future__ import annotations

from collections import Counter

import pytest
from support.sdk_site import SdkSite, Tab, Visitor

from .conftest import SiteFactory, VisitorFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTS = {"website_host": "www.harbour.test", "api_host": "api.harbour.test"}


@pytest.fixture
def site(make_site: SiteFactory) -> SdkSite:
    """Return a site whose page and API have a host each."""
    return make_site(**HOSTS)


@pytest.fixture(params=["cookie", "header"])
def visitor(request: pytest.FixtureRequest, site: SdkSite, make_visitor: VisitorFactory) -> Visitor:
    """Return a visitor, by each transfer method."""
    return make_visitor(site, transfer=request.param)


def calls(site: SdkSite) -> list[str]:
    """Return the requests since the last call, without preflights."""
    asked = [each for each in site.asked if not each.startswith("OPTIONS")]
    site.asked.clear()
    return asked


@pytest.mark.parametrize("client", ["fetch", "XMLHttpRequest", "axios"])
def test_a_session_works_across_origins(visitor: Visitor, site: SdkSite, client: str) -> None:
    tab = visitor.tab
    assert tab.is_signed_in() is False
    tab.sign_in_with_an_expired_token()
    status, body = tab.call("/api/me", "POST", client=client)
    assert (status, body["userId"]) == (200, "alice")
    assert calls(site) == ["POST /api/me 401", "POST /auth/session/refresh 200", "POST /api/me 200"]
    assert tab.call("/api/vault", client=client)[0] == 403
    assert tab.run("events.some((event) => event.action === 'API_INVALID_CLAIM')") is True
    tab.run("await sdk.signOut()")
    assert tab.is_signed_in() is False
    assert set(visitor.cookies()) == {"st-last-access-token-update"}


def test_every_call_with_headers_of_the_sdk_passes_its_preflight(visitor: Visitor, site: SdkSite) -> None:
    with site.tokens_have_expired():
        visitor.tab.sign_in()
    assert visitor.tab.call("/api/me")[0] == 200
    visitor.tab.run("await sdk.signOut()")
    preflights = {each for each in site.asked if each.startswith("OPTIONS")}
    assert preflights == {
        "OPTIONS /api/login 200",
        "OPTIONS /api/me 200",
        "OPTIONS /auth/session/refresh 200",
        "OPTIONS /auth/signout 200",
    }


@pytest.mark.parametrize("mode", ["VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN"])
def test_the_sdk_passes_anti_csrf_across_origins(
    make_site: SiteFactory, make_visitor: VisitorFactory, mode: str
) -> None:
    site = make_site(**HOSTS, anti_csrf=mode)
    tab = make_visitor(site).tab
    tab.sign_in_with_an_expired_token()
    assert tab.call("/api/me", "POST")[0] == 200
    tab.load()
    assert tab.call("/api/me", "POST", client="axios")[0] == 200
    assert site.refreshed == 1


def test_many_calls_across_origins_refresh_once(visitor: Visitor, site: SdkSite) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    tabs = [visitor.tab, visitor.new_tab()]
    site.hold_refreshes_until("GET /api/me 401", 8)
    for tab in tabs:
        tab.begin("await Promise.all([1, 2, 3, 4].map(() => call('axios', 'GET', '/api/me')))")
    assert [each["status"] for tab in tabs for each in tab.finish()] == [200] * 8
    assert site.refreshed == 1


# A cookie domain that has changed

PARENT, OWN = ".harbour.test", "api.harbour.test"


@pytest.mark.parametrize("domain", [PARENT, OWN])
def test_what_ends_a_session_clears_the_cookies_of_the_cookie_domain(
    make_site: SiteFactory, make_visitor: VisitorFactory, domain: str
) -> None:
    site = make_site(**HOSTS, cookie_domain=domain)
    visitor = make_visitor(site)
    visitor.tab.sign_in()
    visitor.tab.run("await sdk.signOut()")
    assert session_cookies(visitor) == {}
    visitor.tab.sign_in()
    with site.app.app_context():
        site.stsession.revoke_all_sessions_for_user("alice")
    assert visitor.tab.call("/api/me")[0] == 401
    assert session_cookies(visitor) == {}


@pytest.fixture(params=[(None, PARENT), (PARENT, None), (PARENT, OWN)], ids=str)
def domains(request: pytest.FixtureRequest) -> tuple[str | None, str | None]:
    """Return the cookie domain before and after the change."""
    before, after = request.param
    return before, after


def session_cookies(visitor: Visitor) -> Counter[str]:
    """Return how often the browser has each cookie of ours."""
    names = (each["name"] for each in visitor.context.cookies())
    return Counter(name for name in names if name in ("sAccessToken", "sRefreshToken"))


def sign_in_before_the_change(site: SdkSite, visitor: Visitor, domain: str | None) -> Tab:
    site.configure(cookie_domain=domain)
    visitor.tab.sign_in_with_an_expired_token()
    return visitor.tab


@pytest.mark.parametrize("names_the_older", [True, False])
def test_after_a_change_of_the_cookie_domain_no_call_of_the_page_fails(
    site: SdkSite,
    make_visitor: VisitorFactory,
    domains: tuple[str | None, str | None],
    names_the_older: bool,
) -> None:
    before, after = domains
    visitor = make_visitor(site)
    tab = sign_in_before_the_change(site, visitor, before)
    older = {"older_cookie_domain": before or ""} if names_the_older else {}
    site.configure(cookie_domain=after, **older)
    assert tab.call("/api/me", "POST")[0] == 200
    # The new cookies arrive beside the older ones; the second refresh leaves one of each.
    assert calls(site) == [
        "POST /api/me 401",
        "POST /auth/session/refresh 200",
        "POST /api/me 401",
        "POST /auth/session/refresh 200",
        "POST /api/me 200",
    ]
    assert session_cookies(visitor) == {"sAccessToken": 1, "sRefreshToken": 1}
    assert tab.call("/api/me", "POST")[0] == 200
    assert calls(site) == ["POST /api/me 200"]


def sign_in_again(site: SdkSite, visitor: Visitor, domain: str | None) -> None:
    """Leave the browser with a working session under one domain, and with the cookies of another one."""
    site.configure(cookie_domain=domain)
    stray = visitor.context.cookies()
    visitor.tab.sign_in()
    visitor.context.add_cookies([each for each in stray if each["httpOnly"]])


@pytest.mark.parametrize("names_the_older", [True, False])
def test_a_browser_that_has_two_sessions_recovers_within_two_round_trips(
    site: SdkSite,
    make_visitor: VisitorFactory,
    domains: tuple[str | None, str | None],
    names_the_older: bool,
) -> None:
    before, after = domains
    visitor = make_visitor(site)
    tab = sign_in_before_the_change(site, visitor, before)
    sign_in_again(site, visitor, after)
    assert session_cookies(visitor) == {"sAccessToken": 2, "sRefreshToken": 2}
    older = {"older_cookie_domain": before or ""} if names_the_older else {}
    site.configure(cookie_domain=after, **older)
    site.asked.clear()
    assert [tab.call("/api/me", "POST")[0] for _ in range(2)] == [200, 200]
    assert calls(site) == [
        "POST /api/me 401",
        "POST /auth/session/refresh 200",
        "POST /api/me 200",
        "POST /api/me 200",
    ]
    assert session_cookies(visitor) == {"sAccessToken": 1, "sRefreshToken": 1}
