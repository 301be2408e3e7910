"""The quickstart's page in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.quickstart_server import running_quickstart

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Access tokens live this long (s): long enough for a slow machine to click twice, short enough to wait for.
VALIDITY = 4


class Visit:
    """A person in front of the page, and what went wrong in it.

    :param browser: of Playwright.
    :param url: of the page.
    """

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.said: list[str] = []
        self.page.goto(url)

    def _said(self, message: Any) -> None:
        self.said.append(message.text)
        # A 401 or 403 is said there too, and belongs to what is shown.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def wait_for_entries(self, count: int) -> list[str]:
        """Wait for that many entries in the log; answers status, method and path of each, newest first."""
        self.page.locator("#log li").nth(count - 1).wait_for()
        return [
            " ".join(entry.locator(".status, .path").all_inner_texts())
            for entry in self.page.locator("#log li").all()
        ]

    def sign_in(self, user_id: str) -> None:
        """Fill in the form."""
        self.page.get_by_label("User id").fill(user_id)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name=user_id).wait_for()

    def click(self, name: str) -> list[str]:
        """Press a button; answers the log once the request is in it."""
        before = self.page.locator("#log li").count()
        self.page.get_by_role("button", name=name).click()
        return self.wait_for_entries(before + 1)


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Visit]:
    """A visit of the page, on an app whose access tokens live ``VALIDITY`` seconds."""
    settings = {"access_token_validity": VALIDITY, "access_token_validity_jitter": 0}
    with running_quickstart(tmp_path, **settings) as url:
        visit = Visit(browser, url)
        yield visit
        assert visit.problems == []
        assert visit.hosts == {url.removeprefix("http://")}
        visit.context.close()


def test_a_session_lives_before_your_eyes(visit: Visit) -> None:
    page = visit.page
    visit.sign_in("alice")
    assert visit.wait_for_entries(2) == ["200 GET /api/me", "200 POST /api/login"]
    sent_and_set = page.locator("#log li", has_text="/api/login").locator("dd").all_inner_texts()
    assert [each.split("\n") for each in sent_and_set] == [
        ["header rid", "header st-auth-mode"],
        ["cookie sAccessToken", "cookie sRefreshToken", "header front-token"],
    ]
    assert page.evaluate("document.cookie") == "", "no script may read a token"

    page.get_by_text("Access token expired; the next call refreshes it").wait_for()
    assert page.locator("#seconds").inner_text() == "0"
    page.get_by_role("button", name="Call the API").click()
    assert visit.wait_for_entries(5)[:3] == [
        "200 GET /api/me",
        "200 POST /auth/session/refresh",
        "401 GET /api/me",
    ]
    page.get_by_text("Access token valid until").wait_for()
    page.locator("#try-expire.done").wait_for()

    assert visit.click("Refresh now")[0] == "200 POST /auth/session/refresh"
    assert visit.click("Sign out")[0] == "200 POST /auth/signout"
    page.get_by_role("heading", name="Sign in").wait_for()
    assert page.evaluate("document.activeElement.id") == "user-id"
    assert visit.context.cookies() == []


def test_the_page_opens_without_a_request_or_an_error(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("heading", name="Sign in").wait_for()
    page.get_by_text("Every request of this page will appear here").wait_for()
    assert page.locator("#log li").count() == 0
    assert visit.said == []


def test_a_page_that_is_opened_again_knows_who_is_signed_in(visit: Visit) -> None:
    visit.sign_in("dave")
    visit.page.get_by_text("Access token expired; the next call refreshes it").wait_for()
    visit.said.clear()
    visit.page.reload()
    visit.page.get_by_role("heading", name="dave").wait_for()
    assert visit.wait_for_entries(2)[-1] == "200 POST /auth/session/refresh"
    assert visit.said == []


def test_what_to_try_next_is_ticked_off(visit: Visit) -> None:
    page = visit.page
    visit.sign_in("erin")
    for button, item in (
        ("Call the admin API", "denied"),
        ("Give admin", "denied"),
        ("Call the admin API", "admin"),
        ("Remove it", "admin"),
        ("Call the admin API", "taken"),
    ):
        visit.click(button)
        page.locator(f"#try-{item}.done").wait_for()
    page.get_by_role("button", name="Call the API", exact=True).click()
    page.locator("#tries li.done").nth(3).wait_for()
    assert page.locator("#tries li.next").count() == 1


def test_each_button_has_a_link_to_its_view(visit: Visit) -> None:
    page = visit.page
    visit.sign_in("frank")
    hrefs = {
        link.get_attribute("aria-label").removeprefix("The view behind "): link.get_attribute("href")
        for link in page.locator("a.view").all()
    }
    actions = page.locator(".action button").all_text_contents()
    assert sorted(hrefs) == sorted(actions)
    page.get_by_role("link", name="The view behind Call the admin API").click()
    shown = page.locator("span:target")
    shown.wait_for()
    assert '@verify_session(roles="admin"' in shown.inner_text()
    for href in hrefs.values():
        page.goto(f"http://{next(iter(visit.hosts))}{href}")
        assert page.locator("span:target").count() == 1


def test_a_role_is_given_and_taken(visit: Visit) -> None:
    page = visit.page
    visit.sign_in("bob")
    # Whatever expires meanwhile is refreshed by the page; what counts is each answer shown in the end.
    answer = page.locator("#answer")
    visit.click("Call the admin API")
    answer.filter(has_text="expectedToInclude").wait_for()
    visit.click("Give admin")
    answer.filter(has_text='"admin"\n').wait_for()
    visit.click("Call the admin API")
    answer.filter(has_text="Only an admin reads this.").wait_for()
    page.get_by_text("The access token contains the role admin.").wait_for()
    visit.click("Remove it")
    answer.filter(has_text='"roles": []').wait_for()
    visit.click("Call the admin API")
    answer.filter(has_text="expectedToInclude").wait_for()


def test_a_session_that_was_ended_in_another_tab_is_noticed(visit: Visit) -> None:
    visit.sign_in("carol")
    other = visit.context.new_page()
    other.goto(visit.page.url)
    other.get_by_role("button", name="Sign out").click()
    other.get_by_role("heading", name="Sign in").wait_for()
    visit.page.get_by_role("button", name="Call the API").click()
    visit.page.get_by_role("heading", name="Sign in").wait_for()


def test_the_page_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    with running_quickstart(tmp_path) as url:
        visit = Visit(browser, url, viewport={"width": 360, "height": 740}, color_scheme="dark")
        visit.sign_in("a-user-with-a-rather-long-name-that-has-no-place-to-break@example.com"[:60])
        newest = visit.click("Refresh now")[0]
        assert newest == "200 POST /auth/session/refresh"
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
        # The entry is in sight, without scrolling, beside the button that was pressed.
        for seen in (
            visit.page.locator("#log li").first,
            visit.page.get_by_role("button", name="Refresh now"),
        ):
            box = seen.bounding_box()
            assert box is not None
            assert 0 <= box["y"] < 740 - 40
        log, button = (
            visit.page.locator(".wire").bounding_box(),
            visit.page.get_by_role("button", name="Refresh now").bounding_box(),
        )
        assert log is not None
        assert button is not None
        assert button["y"] + button["height"] <= log["y"]
        assert visit.problems == []
        visit.context.close()
