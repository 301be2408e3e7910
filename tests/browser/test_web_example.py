"""The page of ``examples/web``, used by a person."""

from __future__ import annotations

from typing import Any

import pytest
from support.sdk_site import SdkSite
from support.served_core import ServedCore

from .conftest import PersonFactory, SiteFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Longer than any session lives (s).
A_YEAR: float = 365 * 86_400

SUB_DOMAINS = {"website_host": "www.harbour.test", "api_host": "api.harbour.test"}


@pytest.mark.parametrize("transfer", ["cookie", "header"])
@pytest.mark.parametrize("hosts", [{}, SUB_DOMAINS], ids=["one origin", "two sub-domains"])
def test_a_person_works_with_the_page(
    make_person: PersonFactory, make_site: SiteFactory, hosts: dict[str, str], transfer: str
) -> None:
    person = make_person(make_site(**hosts), transfer)
    page = person.page
    person.sign_in(password="wrong")
    person.sees("That password is wrong.")
    person.sign_in("alice")
    person.sees("Harbour dues")
    person.sees(f"kept in {transfer}s.")

    person.sees("Only for the role admin.")
    assert page.get_by_role("button", name="Publish").is_disabled()
    page.get_by_role("switch").check()
    person.sees("Open to you: your role is admin.")
    person.click("Publish")
    person.sees("The reports are public now.")

    person.click("Open the vault")
    page.get_by_label("Code").fill("000000")
    person.click("Confirm")
    person.sees("wrong code")
    page.get_by_label("Code").fill("123456")
    person.click("Confirm")
    person.sees("The combination is")

    person.click("20 calls at once")
    person.sees("20 of 20 calls succeeded.")
    person.click("Sign out")
    page.get_by_role("heading", name="Harbour office").wait_for()


def test_an_expired_token_is_refreshed_before_the_page_shows_anything(
    make_person: PersonFactory, site: SdkSite
) -> None:
    person = make_person(site)
    person.sign_in_with_an_expired_token()
    person.page.reload()
    person.sees("Harbour dues")
    person.sees("REFRESH_SESSION")
    assert site.refreshed == 1


def test_a_person_chooses_where_to_keep_the_session(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site)
    with person.page.expect_navigation():
        person.page.get_by_label("headers").check()
    person.sees("Sign in to see the reports.")
    person.sign_in()
    person.sees("kept in headers.")
    assert "sAccessToken" not in {each["name"] for each in person.context.cookies()}


def test_tabs_share_the_session(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site)
    other = person.open()
    person.sees("Sign in to see the reports.", other)
    person.sign_in()
    person.sees("Harbour dues", other)
    person.click("Sign out")
    person.sees("Sign in to see the reports.", other)


def test_a_session_that_was_ended_in_another_browser_is_noticed(
    make_person: PersonFactory, site: SdkSite
) -> None:
    person, elsewhere = make_person(site), make_person(site)
    for each in (person, elsewhere):
        each.sign_in()
        each.sees("Harbour dues")
    elsewhere.click("Sign out everywhere")
    elsewhere.sees("Sign in to see the reports.")
    person.click("Reload")
    person.sees("Your session has ended. Please sign in again.")


def test_the_end_of_a_session_reaches_every_tab_and_closes_the_vault(
    make_person: PersonFactory, site: SdkSite
) -> None:
    person = make_person(site)
    person.sign_in()
    person.sees("Harbour dues")
    other = person.open()
    for page in (person.page, other):
        page.get_by_role("button", name="Open the vault").click()
        if page is person.page:
            page.get_by_label("Code").fill("123456")
            person.click("Confirm")
        person.sees("The combination is", page)
    with site.app.app_context():
        site.stsession.revoke_all_sessions_for_user("alice")
    person.click("20 calls at once")
    person.sees("Your session has ended. Please sign in again.")
    person.sees("Sign in to see the reports.", other)
    person.sign_in("bob")
    for page in (person.page, other):
        person.sees("bob", page)
        person.sees("Harbour dues", page)
        assert page.locator("#secret").is_hidden()
        assert page.locator("#secret").text_content() == ""


def test_a_session_that_has_expired_in_the_core_is_noticed(
    make_person: PersonFactory, site: SdkSite, served_core: ServedCore
) -> None:
    person = make_person(site)
    person.sign_in_with_an_expired_token()
    served_core.core.offset = A_YEAR
    person.page.reload()
    person.sees("Your session has ended. Please sign in again.")


def test_a_role_that_was_given_up_in_another_tab_locks_the_button(
    make_person: PersonFactory, site: SdkSite
) -> None:
    person = make_person(site)
    person.sign_in()
    person.page.get_by_role("switch").check()
    person.sees("Open to you: your role is admin.")
    other = person.open()
    person.sees("Open to you: your role is admin.", other)
    other.get_by_role("switch").uncheck()
    person.sees("Only for the role admin.", other)
    person.click("Publish")
    person.sees("You may no longer do that.")
    person.sees("Only for the role admin.")
    assert not person.page.get_by_role("switch").is_checked()


def test_the_switch_waits_until_the_role_is_known(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site)
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    person.page.route("**/api/reports", hold)
    with person.page.expect_request("**/api/reports"):
        person.sign_in()
    person.sees("alice")
    assert person.page.get_by_role("switch").is_disabled()
    assert person.page.get_by_role("button", name="Publish").is_disabled()
    held.pop().continue_()
    person.sees("Only for the role admin.")
    assert person.page.get_by_role("switch").is_enabled()


def test_without_a_network_the_page_says_so_and_goes_on_afterwards(
    make_person: PersonFactory, site: SdkSite
) -> None:
    person = make_person(site)
    person.sign_in()
    person.sees("Only for the role admin.")
    person.context.set_offline(True)
    toast = person.page.locator("#toast")
    for button in ("Reload", "20 calls at once", "Open the vault", "Sign out everywhere", "Sign out"):
        person.click(button)
        person.sees("The app does not respond.")
        person.page.evaluate("document.getElementById('toast').textContent = ''")
    person.page.get_by_role("switch").click()
    person.sees("The app does not respond.")
    assert not person.page.get_by_role("switch").is_checked()
    person.context.set_offline(False)
    person.page.get_by_role("switch").check()
    person.sees("Open to you: your role is admin.")
    assert toast.text_content() == ""
    person.forgive("Failed to fetch")


def test_a_page_that_cannot_start_offers_to_try_again(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site)
    person.sign_in()
    person.sees("Harbour dues")
    person.page.route("**/settings.json", lambda route: route.abort())
    person.page.reload()
    person.sees("The app does not respond.")
    person.page.unroute("**/settings.json")
    person.click("Try again")
    person.sees("Harbour dues")
    person.forgive("Failed to fetch")


def test_an_outage_of_the_core_signs_nobody_out_of_the_page(
    make_person: PersonFactory, site: SdkSite, served_core: ServedCore
) -> None:
    person = make_person(site)
    person.sign_in_with_an_expired_token()
    served_core.kill()
    person.page.reload()
    person.sees("The app does not respond.")
    served_core.start()
    person.page.reload()
    person.sees("Harbour dues")


def test_a_user_id_of_blanks_is_refused_in_words(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site)
    person.sign_in("   ")
    person.sees("Enter a user id.")


def test_the_page_fits_a_phone(make_person: PersonFactory, site: SdkSite) -> None:
    person = make_person(site, viewport={"width": 360, "height": 740}, color_scheme="dark")
    assert person.page.evaluate("document.documentElement.scrollWidth") == 360
    person.sign_in("a-user-with-a-long-name-that-has-no-place-to-break@example.com"[:60])
    person.sees("Harbour dues")
    person.click("Open the vault")
    person.page.get_by_label("Code").wait_for()
    assert person.page.evaluate("document.documentElement.scrollWidth") == 360
