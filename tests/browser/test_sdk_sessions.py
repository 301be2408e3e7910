"""The frontend SDKs, unmodified, against our routes: one origin, by cookie and by header."""

from __future__ import annotations

import pytest
from support.sdk_site import SdkSite, Tab, Visitor
from support.served_core import ServedCore

from .conftest import SiteFactory, VisitorFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRANSFERS = ["cookie", "header"]
#: Longer than any session lives (s).
A_YEAR: float = 365 * 86_400
#: The names of our cookies, and of those in which the SDK keeps what it was sent in headers.
OF_THE_API = {"sAccessToken", "sRefreshToken"}
BY_HEADER = {"st-access-token", "st-refresh-token"}


@pytest.fixture(params=TRANSFERS)
def visitor(request: pytest.FixtureRequest, site: SdkSite, make_visitor: VisitorFactory) -> Visitor:
    """Return a visitor whose session travels by cookie, and one whose session travels by header."""
    return make_visitor(site, transfer=request.param)


# Calls and refreshes


@pytest.mark.parametrize("sdk", ["website", "web-js"])
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_session_is_kept_where_the_sdk_wants_it(
    site: SdkSite, make_visitor: VisitorFactory, transfer: str, sdk: str
) -> None:
    visitor = make_visitor(site, transfer=transfer, sdk=sdk)
    assert visitor.tab.is_signed_in() is False
    visitor.tab.sign_in("älice")
    assert visitor.tab.is_signed_in() is True
    assert visitor.tab.run("await sdk.getUserId()") == "älice"
    ours = OF_THE_API if transfer == "cookie" else BY_HEADER
    assert set(visitor.cookies()) & (OF_THE_API | BY_HEADER) == ours
    assert (visitor.tab.run("await sdk.getAccessToken()") is None) == (transfer == "cookie")
    visitor.tab.load()
    assert visitor.tab.is_signed_in() is True
    assert visitor.tab.call("/api/me", "POST")[0] == 200


@pytest.mark.parametrize(("before", "after"), [("cookie", "header"), ("header", "cookie")])
def test_a_page_that_keeps_sessions_elsewhere_from_now_on_uses_the_new_session_only(
    site: SdkSite, make_visitor: VisitorFactory, before: str, after: str
) -> None:
    visitor = make_visitor(site, transfer=before)
    visitor.tab.sign_in("alice")
    left = [each for each in visitor.context.cookies() if each["name"] in OF_THE_API]
    tab = Tab(visitor.context.new_page(), site, "website", {"tokenTransferMethod": after})
    tab.sign_in("bob")
    ours = OF_THE_API if after == "cookie" else BY_HEADER
    assert set(visitor.cookies()) & (OF_THE_API | BY_HEADER) == ours
    if left:
        visitor.context.add_cookies(left)  # as if an older page had kept them
    assert tab.call("/api/me", "POST")[1]["userId"] == "bob"
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    assert tab.call("/api/me", "POST")[1]["userId"] == "bob"
    assert set(visitor.cookies()) & (OF_THE_API | BY_HEADER) == ours


@pytest.mark.parametrize("client", ["fetch", "XMLHttpRequest", "axios", "axios with interceptors"])
def test_an_expired_token_is_refreshed_and_the_call_repeated(
    visitor: Visitor, site: SdkSite, client: str
) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    visitor.tab.events()
    answer = visitor.tab.call("/api/role", "POST", {"admin": True}, client)
    assert answer == (200, {"roles": ["admin"]})
    assert site.asked == ["POST /api/role 401", "POST /auth/session/refresh 200", "POST /api/role 200"]
    assert visitor.tab.events().count("REFRESH_SESSION") == 1


def test_many_parallel_calls_refresh_once(visitor: Visitor, site: SdkSite) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    site.hold_refreshes_until("GET /api/me 401", 21)
    answers = visitor.tab.run(
        "await Promise.all(argument.map((client) => call(client, 'GET', '/api/me')))",
        ["fetch", "XMLHttpRequest", "axios"] * 7,
    )
    assert [each["status"] for each in answers] == [200] * 21
    assert (site.refreshed, site.counted()["POST /auth/session/refresh 200"]) == (1, 1)


def test_two_tabs_refresh_once(visitor: Visitor, site: SdkSite) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    tabs = [visitor.tab, visitor.new_tab()]
    site.hold_refreshes_until("GET /api/me 401", 6)
    for tab in tabs:
        tab.begin("await Promise.all([1, 2, 3].map(() => call('fetch', 'GET', '/api/me')))")
    answers = [answer["status"] for tab in tabs for answer in tab.finish()]
    assert answers == [200] * 6
    assert (site.refreshed, site.counted()["POST /auth/session/refresh 200"]) == (1, 1)


def test_a_session_outlives_many_refreshes(visitor: Visitor, site: SdkSite) -> None:
    visitor.tab.sign_in()
    for _ in range(5):
        assert visitor.tab.run("await sdk.attemptRefreshingSession()") is True
        assert visitor.tab.call("/api/me")[0] == 200
    assert site.refreshed == 5


def test_a_token_that_is_old_by_the_clock_of_the_browser_is_refreshed_before_it_is_read(
    visitor: Visitor, site: SdkSite
) -> None:
    visitor.tab.sign_in()
    before = visitor.tab.payload()
    visitor.tab.run("(() => { const now = Date.now; Date.now = () => now() + 7_200_000; })()")
    assert visitor.tab.is_signed_in() is True
    after = visitor.tab.payload()
    assert site.refreshed == 1
    assert after["sessionHandle"] == before["sessionHandle"]
    assert after["refreshTokenHash1"] != before["refreshTokenHash1"]


# Anti-CSRF

CSRF_MODES = ["NONE", "VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN"]
#: A call that the SDK does not see, with cookies, as a forged form could make it.
FORGED = "(await unwrappedFetch('/api/me', {method: 'POST'})).status"


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("mode", CSRF_MODES)
def test_the_sdk_passes_every_anti_csrf_check(
    make_site: SiteFactory, make_visitor: VisitorFactory, mode: str, transfer: str
) -> None:
    site = make_site(anti_csrf=mode)
    visitor = make_visitor(site, transfer=transfer)
    visitor.tab.sign_in_with_an_expired_token()
    assert visitor.tab.call("/api/me", "POST")[0] == 200
    assert site.asked == [
        "POST /api/me 401",
        "POST /auth/session/refresh 200",
        "POST /api/me 200",
    ]
    assert ("sAntiCsrf" in visitor.cookies()) == (mode == "VIA_TOKEN" and transfer == "cookie")
    visitor.tab.load()
    assert visitor.tab.call("/api/me", "POST", client="XMLHttpRequest")[0] == 200
    assert site.refreshed == 1
    visitor.tab.run("await sdk.signOut()")
    assert visitor.tab.is_signed_in() is False


@pytest.mark.parametrize(
    ("mode", "status"), [("NONE", 200), ("VIA_TOKEN", 401), ("VIA_CUSTOM_HEADER", 401), ("VIA_ORIGIN", 200)]
)
def test_a_call_without_what_the_sdk_adds_is_refused(
    make_site: SiteFactory, make_visitor: VisitorFactory, mode: str, status: int
) -> None:
    visitor = make_visitor(make_site(anti_csrf=mode))
    visitor.tab.sign_in()
    assert visitor.tab.run(FORGED) == status  # of the same origin, so that VIA_ORIGIN has nothing against it


# The end of a session


@pytest.mark.parametrize("has_expired", [False, True])
def test_signing_out_ends_the_session_everywhere(visitor: Visitor, site: SdkSite, has_expired: bool) -> None:
    if has_expired:
        visitor.tab.sign_in_with_an_expired_token()
    else:
        visitor.tab.sign_in()
    other = visitor.new_tab()
    visitor.tab.events()
    visitor.tab.run("await sdk.signOut()")
    assert visitor.tab.events()[-1] == "SIGN_OUT"
    for tab in (visitor.tab, other):
        assert tab.is_signed_in() is False
        assert tab.call("/api/me") == (401, {"message": "unauthorised"})
    assert set(visitor.cookies()) == {"st-last-access-token-update"}
    with site.app.app_context():
        assert site.stsession.list_sessions("alice") == []


@pytest.mark.parametrize("has_expired", [False, True])
def test_a_session_revoked_on_the_server_ends_in_the_browser(
    visitor: Visitor, site: SdkSite, has_expired: bool
) -> None:
    if has_expired:
        visitor.tab.sign_in_with_an_expired_token()
    else:
        visitor.tab.sign_in()
    with site.app.app_context():
        site.stsession.revoke_all_sessions_for_user("alice")
    visitor.tab.events()
    assert visitor.tab.call("/api/me") == (401, {"message": "unauthorised"})
    assert set(visitor.tab.events()) == {"UNAUTHORISED"}
    assert visitor.tab.is_signed_in() is False
    assert set(visitor.cookies()) == {"st-last-access-token-update"}


def test_a_session_that_has_expired_in_the_core_ends_in_the_browser(
    visitor: Visitor, site: SdkSite, served_core: ServedCore
) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    visitor.tab.events()
    served_core.core.offset = A_YEAR
    assert visitor.tab.call("/api/me") == (401, {"message": "unauthorised"})
    assert site.asked == ["GET /api/me 401", "POST /auth/session/refresh 401"]
    (event,) = visitor.tab.run("events")
    assert (event["action"], event["sessionExpiredOrRevoked"]) == ("UNAUTHORISED", True)
    assert visitor.tab.is_signed_in() is False
    assert set(visitor.cookies()) == {"st-last-access-token-update"}


def test_a_stolen_refresh_token_ends_the_session_of_both(
    visitor: Visitor, site: SdkSite, make_visitor: VisitorFactory, served_core: ServedCore
) -> None:
    visitor.tab.sign_in()
    stolen = visitor.context.cookies()
    assert visitor.tab.run("await sdk.attemptRefreshingSession()") is True
    assert visitor.tab.call("/api/me")[0] == 200
    transfer = "header" if set(visitor.cookies()) >= BY_HEADER else "cookie"
    thief = make_visitor(site, transfer=transfer)
    thief.context.clear_cookies()
    thief.context.add_cookies(stolen)
    served_core.end_grace_period()
    site.asked.clear()
    assert thief.tab.run("await sdk.attemptRefreshingSession()") is False
    assert site.asked == ["POST /auth/session/refresh 401"]
    assert thief.tab.is_signed_in() is False
    assert visitor.tab.call("/api/me") == (401, {"message": "unauthorised"})
    assert visitor.tab.is_signed_in() is False


# A core that is away, and responses that are not about the session


def test_an_outage_of_the_core_signs_nobody_out(visitor: Visitor, served_core: ServedCore) -> None:
    visitor.tab.sign_in_with_an_expired_token()
    before = visitor.cookies()
    served_core.kill()
    for client in ("fetch", "XMLHttpRequest", "axios"):
        assert visitor.tab.call("/api/me", client=client) == (503, {"message": "session service unavailable"})
    assert visitor.cookies() == before
    served_core.start()
    assert visitor.tab.call("/api/me")[0] == 200
    assert visitor.tab.is_signed_in() is True


def test_a_sign_out_during_an_outage_fails_and_can_be_repeated(
    visitor: Visitor, site: SdkSite, served_core: ServedCore
) -> None:
    visitor.tab.sign_in()
    before = visitor.cookies()
    sign_out = "await sdk.signOut().then(() => 'signed out', (error) => error.status)"
    served_core.kill()
    assert visitor.tab.run(sign_out) == 503
    assert visitor.cookies() == before
    served_core.start()
    assert visitor.tab.call("/api/me")[0] == 200
    assert visitor.tab.run(sign_out) == "signed out"
    assert visitor.tab.is_signed_in() is False


def test_a_wrong_password_is_a_401_that_reaches_the_page(visitor: Visitor, site: SdkSite) -> None:
    wrong = {"userId": "alice", "password": "wrong"}
    for client in ("fetch", "XMLHttpRequest", "axios"):
        assert visitor.tab.call("/api/login", "POST", wrong, client) == (401, {"message": "wrong password"})
    assert visitor.tab.is_signed_in() is False
    assert site.counted()["POST /api/login 401"] == 3
    visitor.tab.sign_in()
    assert visitor.tab.is_signed_in() is True


GIVEN_UP = {
    "fetch": "Attempted to refresh the session and retry the request",
    "XMLHttpRequest": "no response",
    "axios": "Network Error",
}


@pytest.mark.parametrize("client", GIVEN_UP)
def test_a_401_of_the_app_signs_nobody_out(visitor: Visitor, site: SdkSite, client: str) -> None:
    """Let the SDK take it for an expired session: it refreshes and tries again, ten times, and gives up."""
    visitor.tab.sign_in()
    site.asked.clear()
    wrong = {"userId": "alice", "password": "wrong"}
    error = visitor.tab.run(
        "await call(argument[0], 'POST', '/api/login', argument[1]).catch((error) => error.message)",
        [client, wrong],
    )
    assert GIVEN_UP[client] in error
    assert site.counted() == {"POST /api/login 401": 11, "POST /auth/session/refresh 200": 10}
    assert visitor.tab.is_signed_in() is True
    assert visitor.tab.call("/api/me")[0] == 200


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_with_another_status_for_expired_sessions_a_401_of_the_app_reaches_the_page(
    make_site: SiteFactory, make_visitor: VisitorFactory, transfer: str
) -> None:
    site = make_site(session_expired_status_code=440)
    visitor = make_visitor(site, transfer=transfer, sessionExpiredStatusCode=440)
    visitor.tab.sign_in_with_an_expired_token()
    wrong = {"userId": "alice", "password": "wrong"}
    assert visitor.tab.call("/api/login", "POST", wrong) == (401, {"message": "wrong password"})
    assert site.asked == ["POST /api/login 401"]
    assert visitor.tab.call("/api/me")[0] == 200
    assert site.asked[1:] == ["GET /api/me 440", "POST /auth/session/refresh 200", "GET /api/me 200"]
