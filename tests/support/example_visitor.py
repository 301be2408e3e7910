"""People in front of the page of an example."""

from __future__ import annotations

from typing import Any

from support.sdk_site import TIMEOUT, SdkSite, Tab


class Person:
    """Somebody in front of the page, and what went wrong in it.

    :param browser: of Playwright.
    :param transfer: how the page is to keep the session, ``cookie`` or ``header``, as if chosen before.
    """

    def __init__(self, browser: Any, site: SdkSite, transfer: str | None = None, **context: Any) -> None:
        self.site = site
        self.context = browser.new_context(**context)
        self.problems: list[str] = []
        self.context.on("page", self._watch)
        if transfer is not None:
            remember = f"localStorage.setItem('transfer', '{transfer}')"
            self.context.add_init_script(f"if (location.protocol !== 'about:') {remember}")
        self.page = self.open()

    def _watch(self, page: Any) -> None:
        page.set_default_timeout(TIMEOUT)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A 401 or 403 is said there too, and belongs to what is shown.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def open(self, path: str = "/") -> Any:
        """Open a tab."""
        page = self.context.new_page()
        page.goto(self.site.url + path)
        return page

    def sign_in(self, user_id: str = "alice", password: str = "demo") -> None:
        """Fill in the form."""
        self.page.get_by_label("User id").fill(user_id)
        self.page.get_by_label("Password").fill(password)
        self.click("Sign in")

    def sign_in_with_an_expired_token(self) -> None:
        """Sign in by cookie, in another tab; the access token has expired when it arrives."""
        tab = Tab(self.context.new_page(), self.site, "website", {"tokenTransferMethod": "cookie"})
        tab.sign_in_with_an_expired_token()

    def click(self, name: str) -> None:
        """Press the button with this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def sees(self, text: str, page: Any = None) -> None:
        """Wait until a text is visible."""
        (page or self.page).locator(f"text={text} >> visible=true").first.wait_for()

    def forgive(self, problem: str) -> None:
        """Require that something has gone wrong, and allow it."""
        expected = [each for each in self.problems if problem in each]
        assert expected
        self.problems = [each for each in self.problems if each not in expected]

    def close(self) -> None:
        """Close all tabs, and fail if one of them had an error."""
        assert self.problems == []
        self.context.close()
