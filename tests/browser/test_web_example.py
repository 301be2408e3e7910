"""The page of ``examples/web``, used by a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.bundles import check_built
from support.sdk_site import TIMEOUT, SdkSite, Tab

from .conftest import SiteFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SUB_DOMAINS = {"website_host": "www.harbour.test", "api_host": "api.harbour.test"}


class Person:
    """Somebody in front of the page, and what went wrong in it.

    :param browser: of Playwright.
    :param transfer: where to keep the session: ``cookies`` or ``headers``.
    """

    def __init__(self, browser: Any, site: SdkSite, transfer: str = "cookies", **context: Any) -> None:
        self.site = site
        self.context = browser.new_context(**context)
        self.problems: list[str] = []
        self.context.on("page", self._watch)
        self.page = self.open()
        self.sees("Sign in to see the reports.")
        if transfer != "cookies":
            with self.page.expect_navigation():
                self.page.get_by_label(transfer).check()
            self.sees("Sign in to see the reports.")

    def _watch(self, page: Any) -> None:
        page.set_default_timeout(TIMEOUT)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A 401 or 403 is said there too, and belongs to what is shown.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def open(self) -> Any:
        """Open a tab."""
        page = self.context.new_page()
        page.goto(self.site.url)
        return page

    def sign_in(self, user_id: str = "alice", password: str = "demo") -> None:
        """Fill in the form."""
        self.page.get_by_label("User id").fill(user_id)
        self.page.get_by_label("Password").fill(password)
        self.click("Sign in")

    def click(self, name: str) -> None:
        """Press the button with this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def sees(self, text: str, page: Any = None) -> None:
        """Wait until a text is visible."""
        (page or self.page).locator(f"text={text} >> visible=true").first.wait_for()

    def close(self) -> None:
        """Close all tabs, and fail if one of them had an error."""
        assert self.problems == []
        self.context.close()


@pytest.fixture
def make_person(browser: Any) -> Iterator[Any]:
    """Return a factory of persons."""
    check_built("web")
    persons: list[Person] = []

    def make(*arguments: Any, **options: Any) -> Person:
        persons.append(Person(browser, *arguments, **options))
        return persons[-1]

    yield make
    for person in persons:
        person.close()


@pytest.mark.parametrize("transfer", ["cookies", "headers"])
@pytest.mark.parametrize("hosts", [{}, SUB_DOMAINS], ids=["one origin", "two sub-domains"])
def test_a_person_works_with_the_page(
    make_person: Any, make_site: SiteFactory, hosts: dict[str, str], transfer: str
) -> None:
    person = make_person(make_site(**hosts), transfer)
    page = person.page
    person.sign_in(password="wrong")
    person.sees("That password is wrong.")
    person.sign_in("alice")
    person.sees("Harbour dues")
    person.sees(f"kept in {transfer}.")

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
    make_person: Any, site: SdkSite
) -> None:
    person = make_person(site)
    tab = Tab(person.context.new_page(), site, "website", {"tokenTransferMethod": "cookie"})
    tab.sign_in_with_an_expired_token()
    person.page.reload()
    person.sees("Harbour dues")
    person.sees("REFRESH_SESSION")
    assert site.refreshed == 1


def test_tabs_share_the_session(make_person: Any, site: SdkSite) -> None:
    person = make_person(site)
    other = person.open()
    person.sees("Sign in to see the reports.", other)
    person.sign_in()
    person.sees("Harbour dues", other)
    person.click("Sign out")
    person.sees("Sign in to see the reports.", other)


def test_a_session_that_was_ended_in_another_browser_is_noticed(make_person: Any, site: SdkSite) -> None:
    person, elsewhere = make_person(site), make_person(site)
    for each in (person, elsewhere):
        each.sign_in()
        each.sees("Harbour dues")
    elsewhere.click("Sign out everywhere")
    elsewhere.sees("Sign in to see the reports.")
    person.click("Reload")
    person.sees("Your session has ended. Please sign in again.")


def test_the_page_fits_a_phone(make_person: Any, site: SdkSite) -> None:
    person = make_person(site, viewport={"width": 360, "height": 740}, color_scheme="dark")
    assert person.page.evaluate("document.documentElement.scrollWidth") == 360
    person.sign_in("a-user-with-a-long-name-that-has-no-place-to-break@example.com"[:60])
    person.sees("Harbour dues")
    person.click("Open the vault")
    person.page.get_by_label("Code").wait_for()
    assert person.page.evaluate("document.documentElement.scrollWidth") == 360
