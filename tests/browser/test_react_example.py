"""The React parts of the documents about claim validators, in ``examples/react``."""

from __future__ import annotations

from types import ModuleType
from urllib.parse import quote

import pytest
from support.example_modules import import_example
from support.example_visitor import Person
from support.sdk_site import SdkSite, Tab

from flask_stsession import emailverification

from .conftest import PersonFactory, VisitorFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of ``examples/react``, imported afresh."""
    return import_example("react/app", monkeypatch)


@pytest.fixture
def person(make_person: PersonFactory, site: SdkSite) -> Person:
    """Return alice, who has signed in."""
    person = make_person(site)
    person.sign_in()
    person.sees("Welcome, alice")
    return person


def go(person: Person, page: str) -> None:
    person.page.get_by_role("link", name=page, exact=True).click()


def take_the_role(person: Person) -> None:
    go(person, "Overview")
    person.click("Take the role admin")
    person.page.get_by_role("button", name="Give up the role admin").wait_for()


@pytest.mark.parametrize("transfer", ["cookie", "header"])
def test_without_a_session_a_guarded_page_leads_to_the_login_and_back(
    make_person: PersonFactory, site: SdkSite, transfer: str
) -> None:
    person = make_person(site, transfer)
    person.page.goto(f"{site.url}/lounge")
    person.page.wait_for_url("**/auth/?redirectToPath=%2Flounge")
    person.sign_in(password="wrong")
    person.sees("wrong password")
    person.sign_in()
    person.sees("Welcome as a guest.")
    assert person.page.url == f"{site.url}/lounge"
    person.page.reload()
    person.sees("Welcome as a guest.")
    person.click("Sign out")
    person.page.get_by_role("button", name="Sign in").wait_for()
    person.page.goto(f"{site.url}/lounge")
    person.page.get_by_role("button", name="Sign in").wait_for()


def test_a_global_validator_shows_in_the_session_context_until_it_passes(person: Person) -> None:
    person.sees("missing")
    person.page.get_by_label("Code").fill("000000")
    person.click("Confirm")
    person.sees("wrong code")
    person.page.get_by_label("Code").fill("123456")
    person.click("Confirm")
    person.sees("passed")
    person.page.get_by_role("heading", name="Second factor").wait_for(state="detached")


def test_the_access_denied_screen_of_the_sdk_replaces_the_page(person: Person) -> None:
    go(person, "Master")
    person.sees("Access denied")
    take_the_role(person)
    go(person, "Master")
    person.sees("All berths are taken.")


def test_a_failed_validator_redirects(person: Person, site: SdkSite) -> None:
    go(person, "Fleet")
    person.sees("The fleet is for admins.")
    assert person.page.url == f"{site.url}/not-an-admin"
    take_the_role(person)
    go(person, "Fleet")
    person.sees("Three tugs, two pilots.")


def test_a_screen_of_the_app_is_told_which_permission_is_missing(person: Person, site: SdkSite) -> None:
    go(person, "Publish")
    person.sees("The check st-perm failed: wrong value.")
    take_the_role(person)
    go(person, "Publish")
    person.page.locator("main").get_by_role("button", name="Publish").click()
    person.sees("The report is public now.")
    assert site.counted()["POST /api/publish 200"] == 1


def test_a_page_may_be_shown_although_its_validator_fails(person: Person) -> None:
    go(person, "Lounge")
    person.sees("Welcome as a guest.")
    take_the_role(person)
    go(person, "Lounge")
    person.sees("Welcome, admin.")


def test_the_value_of_a_claim_follows_the_payload(person: Person) -> None:
    roles = person.page.locator("dd").nth(2)
    assert roles.inner_text() == "none"
    take_the_role(person)
    assert roles.inner_text() == "admin"
    person.click("Give up the role admin")
    person.page.get_by_role("button", name="Take the role admin").wait_for()
    assert roles.inner_text() == "none"


def test_an_address_is_verified_with_the_screens_of_the_sdk(person: Person, site: SdkSite) -> None:
    person.sees("not verified")
    go(person, "Mail")
    person.sees("Verify your email!")
    person.click("Look for mail")
    go(person, "Verify your address")
    person.sees("Email verification successful!")
    person.page.get_by_role("button", name="Continue").click()
    go(person, "Mail")
    person.sees("Your address is verified.")
    assert site.counted()["POST /auth/user/email/verify 200"] == 1
    go(person, "Overview")
    person.page.get_by_text("verified", exact=True).wait_for()


def test_the_claim_of_the_address_is_refreshed_where_it_is_old(
    site: SdkSite, make_visitor: VisitorFactory
) -> None:
    tab = make_visitor(site, sdk="web-js", verifiesEmails=True).tab
    tab.sign_in()
    is_verified = "await sdk.validateClaims()"  # the recipe adds its validator to the global ones
    (failed,) = tab.run(is_verified)
    assert (failed["id"], failed["reason"]["actualValue"]) == ("st-ev", False)
    with site.app.app_context():
        token = emailverification.create_email_verification_token("alice")
        assert isinstance(token, str)
        assert emailverification.verify_email_using_token(token) is not None
        handle = tab.payload()["sessionHandle"]
        site.stsession.merge_into_access_token_payload(handle, {"st-ev": {"v": False, "t": 1}})
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    site.asked.clear()
    assert tab.run(is_verified) == []
    assert site.asked == ["GET /auth/user/email/verify 200"]
    assert tab.run("await sdk.getClaimValue({claim: claims.EmailVerificationClaim})") is True


def test_an_expired_session_is_refreshed_before_a_page_is_shown(person: Person, site: SdkSite) -> None:
    person.sign_in_with_an_expired_token()
    go(person, "Lounge")
    person.sees("Welcome as a guest.")
    assert site.refreshed == 1


def test_a_session_that_was_revoked_leads_to_the_login(person: Person, site: SdkSite) -> None:
    with site.app.app_context():
        site.stsession.revoke_all_sessions_for_user("alice")
    person.click("Take the role admin")
    person.page.get_by_role("button", name="Sign in").wait_for()


def test_a_sign_out_leads_every_tab_to_the_login(person: Person) -> None:
    other = person.open("/lounge")
    person.sees("Welcome as a guest.", other)
    person.click("Sign out")
    for page in (person.page, other):
        page.get_by_role("button", name="Sign in").wait_for()


@pytest.mark.parametrize(
    "target", ["//evil.test/x", "https://evil.test/x", "/\\evil.test", "javascript:alert(1)"]
)
def test_the_login_leads_only_to_pages_of_the_app(
    make_person: PersonFactory, site: SdkSite, target: str
) -> None:
    person = make_person(site)
    person.page.goto(f"{site.url}/auth/?redirectToPath={quote(target)}")
    person.sign_in()
    person.sees("Welcome, alice")
    assert person.page.url == f"{site.url}/"


def test_a_user_id_of_blanks_is_refused_in_words(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site)
    person.sign_in("   ")
    person.sees("userId is missing")


def test_without_a_network_the_pages_say_so_and_go_on_afterwards(person: Person) -> None:
    person.page.get_by_label("Code").fill("123456")
    person.context.set_offline(True)
    problems = person.page.get_by_role("alert")
    for count, button in enumerate(("Confirm", "Take the role admin", "Sign out"), start=1):
        person.click(button)
        problems.nth(count - 1).wait_for()
        assert set(problems.all_inner_texts()) == {"The app does not respond. Try again in a while."}
    go(person, "Mail")
    person.page.get_by_role("button", name="Try again").wait_for()
    person.context.set_offline(False)
    person.click("Try again")
    person.sees("Verify your email!")
    person.forgive("Failed to fetch")


def test_the_screens_of_the_sdk_ask_for_the_address_anew(person: Person, site: SdkSite) -> None:
    with site.app.app_context():
        (session,) = site.stsession.list_sessions("alice")
        token = emailverification.create_email_verification_token("alice")
        assert isinstance(token, str)
        assert emailverification.verify_email_using_token(token) is not None
        site.stsession.merge_into_access_token_payload(
            session.session_handle, {"st-ev": {"v": False, "t": 1}}
        )
    tab = Tab(person.context.new_page(), site, "website", {"tokenTransferMethod": "cookie"})
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    site.asked.clear()
    go(person, "Mail")
    person.sees("Your address is verified.")
    assert "GET /auth/user/email/verify 200" in site.asked


@pytest.mark.parametrize("page", ["Master", "Mail"])
def test_the_screens_of_the_sdk_are_in_the_middle_of_a_phone(
    make_person: PersonFactory, site: SdkSite, page: str
) -> None:
    person = make_person(site, viewport={"width": 390, "height": 844})
    person.sign_in()
    person.sees("Welcome, alice")
    for link in person.page.locator("nav a").all():
        box = link.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    go(person, page)
    screen = person.page.locator("[data-supertokens~=container]").first
    screen.wait_for()
    box = screen.bounding_box()
    assert box is not None
    assert abs(box["x"] - (390 - box["x"] - box["width"])) <= 1


def test_the_pages_fit_a_phone(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site, viewport={"width": 360, "height": 740})
    person.page.get_by_role("button", name="Sign in").wait_for()
    assert person.page.evaluate("document.documentElement.scrollWidth") == 360
    person.sign_in("a-user-with-a-long-name-that-has-no-place-to-break@example.com"[:60])
    person.sees("Welcome")
    for page in ("Overview", "Master", "Mail"):
        go(person, page)
        person.page.locator("nav .active" if page != "Mail" else "text=Your mailbox").wait_for()
        assert person.page.evaluate("document.documentElement.scrollWidth") == 360
