"""Server-rendered pages in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask import Flask, Response, g, redirect
from markupsafe import escape
from support.browser_site import Site, Visit
from support.served_core import ServedCore

from flask_stsession import STSession, create_new_session, next_url, signals

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STRICT = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "require-trusted-types-for 'script'"
)


@pytest.fixture
def site(served_core: ServedCore, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site all of whose pages need a session, under a strict Content-Security-Policy.

    Parameters are settings of its app.
    """
    app = Flask("site")
    app.config.update(STSESSION_CONNECTION_URI=served_core.url, STSESSION_LOGIN_URL="login")
    app.config.update(getattr(request, "param", {}))
    stsession = STSession(app)
    stsession.protect(app)

    @app.after_request
    def restrict(response: Any) -> Any:
        served.asked.append(f"{flask.request.method} {flask.request.path}")
        for name, value in served.headers.items():
            response.headers.setdefault(name, value)
        return response

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if flask.request.method == "POST":
            create_new_session("alice")
            return redirect(next_url(), 303)
        return "<title>Sign in</title><form method=post><button>Sign in</button></form>"

    @app.get("/page/<name>")
    def page(name: str) -> str:
        title = f"<title>{escape(name)} of {g.session.get_user_id()}</title>"
        return (
            f"{title}<form method=post action=/save enctype=multipart/form-data>"
            "<input name=text><button name=which value=save>Save</button></form>"
            "<form method=post action=/auth/signout><button>Sign out</button></form>"
            "<a href=/report>Report</a> <a href=/report download>Save report</a>"
            f"<form method=post action='/save?q={'a' * 2700}'><input type=hidden name=text value=long>"
            "<button name=which value=far>Save far away</button></form>"
        )

    @app.post("/save")
    def save() -> str:
        form = flask.request.form
        return f"<title>Saved</title><p>{escape(form['text'])} by {escape(form['which'])}"

    @app.get("/report")
    def report() -> Any:
        return Response("a,b", mimetype="text/csv", headers={"Content-Disposition": "attachment"})

    served = Site(app, served_core)
    served.headers["Content-Security-Policy"] = STRICT
    with signals.session_refreshed.connected_to(served.count, app):
        yield served
    served.close()
    app.extensions["stsession"].close()


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Visit]:
    """Signed in, with a token that has expired."""
    visit = Visit(browser, site)
    visit.expire_token()
    yield visit
    visit.close()


WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })"


def test_a_page_is_shown_in_spite_of_an_expired_token(visit: Visit) -> None:
    site = visit.site
    visit.page.goto(f"{site.url}/page/second?a=1#part")
    visit.wait_for_title("second of alice")
    assert visit.page.url == f"{site.url}/page/second?a=1#part"
    assert site.refreshed == 1
    assert [each for each in site.asked if "favicon" not in each] == [
        "GET /page/second",
        "GET /auth/session/refresh.js",
        "POST /auth/session/refresh/continue",
        "GET /page/second",
    ]
    visit.page.go_back()
    visit.wait_for_title("first of alice")


@pytest.mark.parametrize("has_locks", [True, False])
def test_several_tabs_at_once_refresh_once(visit: Visit, has_locks: bool) -> None:
    if not has_locks:
        visit.context.add_init_script(WITHOUT_LOCKS)
    tabs = [visit.context.new_page() for _ in range(4)]
    leave = "url => { setTimeout(() => location.assign(url)); }"
    for number, tab in enumerate(tabs):
        tab.evaluate(leave, f"{visit.site.url}/page/tab{number}")
    for number, tab in enumerate(tabs):
        visit.wait_for_title(f"tab{number} of alice", tab)
    assert visit.site.refreshed == 1


def test_a_form_keeps_its_fields(visit: Visit) -> None:
    visit.page.get_by_role("textbox").fill("ä & b" * 20_000)
    visit.click("Save")
    visit.wait_for_title("Saved")
    assert visit.page.locator("p").inner_text() == "ä & b" * 20_000 + " by save"
    assert visit.site.refreshed == 1


def test_signing_out_leads_to_the_login(visit: Visit) -> None:
    visit.click("Sign out")
    visit.wait_for_title("Sign in")
    assert visit.page.url == f"{visit.site.url}/login"
    assert visit.context.cookies() == []


def test_without_javascript_the_page_is_shown_after_redirects(browser: Any, site: Site) -> None:
    visit = Visit(browser, site, java_script_enabled=False)
    visit.expire_token()
    visit.page.goto(f"{site.url}/page/second?a=1")
    visit.page.wait_for_selector("text=Save")
    assert visit.page.url == f"{site.url}/page/second?a=1"
    assert visit.page.title() == "second of alice"
    assert site.refreshed == 1
    visit.close()


def test_a_browser_that_drops_new_cookies_causes_no_redirect_loop(visit: Visit) -> None:
    visit.site.drop_cookies()
    visit.page.goto(f"{visit.site.url}/page/second")
    visit.wait_for_title("Sign in")
    assert visit.page.url == f"{visit.site.url}/login?next=%2Fpage%2Fsecond"
    assert visit.site.asked.count("GET /page/second") == 2


def test_a_form_causes_no_redirect_loop_either(visit: Visit) -> None:
    visit.site.drop_cookies()
    visit.click("Save")
    visit.wait_for_title("Sign in")
    assert visit.page.url == f"{visit.site.url}/login?next=%2Fsave"
    assert visit.site.asked.count("POST /save") == 2


def test_without_cookies_a_visitor_is_redirected_to_sign_in(visit: Visit) -> None:
    visit.context.clear_cookies()
    visit.page.goto(f"{visit.site.url}/page/second")
    visit.wait_for_title("Sign in")
    assert visit.site.asked.count("GET /page/second") == 1


def test_a_session_that_has_ended_leads_to_the_login(visit: Visit) -> None:
    with visit.site.app.app_context():
        visit.site.app.extensions["stsession"].revoke_all_sessions_for_user("alice")
    visit.page.goto(f"{visit.site.url}/page/second")
    visit.wait_for_title("Sign in")
    assert visit.page.url == f"{visit.site.url}/login?next=%2Fpage%2Fsecond"
    assert visit.context.cookies() == []


def test_during_an_outage_the_page_offers_a_button_to_try_again(visit: Visit) -> None:
    visit.context.route("**/refresh/continue*", lambda route: route.fulfill(status=503, body="{}"))
    visit.page.goto(f"{visit.site.url}/page/second")
    visit.page.get_by_text("The service cannot be reached at the moment.").wait_for()
    visit.page.reload()
    visit.page.get_by_text("The service cannot be reached at the moment.").wait_for()
    visit.context.unroute("**/refresh/continue*")
    visit.click("Try again")
    visit.wait_for_title("second of alice")
    assert visit.site.refreshed == 1


# Downloads


def test_a_download_by_a_link_arrives_and_the_page_says_so(visit: Visit) -> None:
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Report", exact=True).click()
    assert download.value.path().read_text() == "a,b"
    visit.page.get_by_text("Your session has been renewed.").wait_for()
    assert visit.site.refreshed == 1
    visit.click("Back")
    visit.wait_for_title("first of alice")


def test_a_download_by_the_attribute_arrives_and_the_page_stays(visit: Visit) -> None:
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Save report").click()
    assert download.value.path().read_text() == "a,b"
    assert visit.page.url == f"{visit.site.url}/page/first"
    assert visit.site.refreshed == 1


def test_a_download_causes_no_redirect_loop(visit: Visit) -> None:
    visit.site.drop_cookies()
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Save report").click()
    download.value.failure()  # waits for its end
    assert visit.site.asked.count("GET /report") <= 2


# Long URLs


def test_a_page_with_a_long_url_is_shown(visit: Visit) -> None:
    long = f"{visit.site.url}/page/second?q={'a' * 2700}"
    visit.page.goto(long)
    visit.wait_for_title("second of alice")
    assert (visit.page.url, visit.site.refreshed) == (long, 1)


def test_a_form_with_a_long_url_keeps_its_fields(visit: Visit) -> None:
    visit.click("Save far away")
    visit.wait_for_title("Saved")
    assert visit.page.locator("p").inner_text() == "long by far"
    assert visit.site.refreshed == 1


def test_without_javascript_a_page_with_a_long_url_is_shown(browser: Any, site: Site) -> None:
    visit = Visit(browser, site, java_script_enabled=False)
    visit.expire_token()
    long = f"{site.url}/page/second?q={'a' * 2700}"
    visit.page.goto(long)
    visit.page.wait_for_selector("text=Save far away")
    assert (visit.page.url, visit.page.title(), site.refreshed) == (long, "second of alice", 1)
    visit.close()


# Policies of the app


@pytest.mark.parametrize(
    "policy",
    [
        "script-src 'nonce-abc'",
        "script-src 'nonce-abc' 'strict-dynamic'; object-src 'none'; base-uri 'none'",
        "default-src 'none'; script-src 'nonce-abc'; form-action 'self'",
    ],
)
def test_a_policy_with_nonces_lets_the_refresh_pass(visit: Visit, policy: str) -> None:
    visit.site.app.extensions["stsession"].csp_nonce(lambda: "abc")
    visit.site.headers["Content-Security-Policy"] = policy
    visit.page.goto(f"{visit.site.url}/page/second")
    visit.wait_for_title("second of alice")
    assert visit.site.refreshed == 1
    visit.problems.clear()  # a fetch that the policy forbids is logged in the console


@pytest.mark.parametrize("has_javascript", [True, False])
def test_pages_that_send_no_referer_are_carried(browser: Any, site: Site, has_javascript: bool) -> None:
    site.headers["Referrer-Policy"] = "no-referrer"
    visit = Visit(browser, site, java_script_enabled=has_javascript)
    visit.expire_token()
    visit.click("Save")
    visit.page.get_by_text("by save").wait_for()
    assert site.refreshed == 1
    visit.expire_token()
    visit.page.goto(f"{site.url}/page/second")
    visit.page.get_by_role("button", name="Sign out").wait_for()
    assert site.refreshed == 1
    visit.close()


# Links from other sites

ELSEWHERE = "data:text/html,<a href='{}/page/second?a=1%23part'>Open</a>"


@pytest.mark.parametrize("site", [{"STSESSION_COOKIE_SAME_SITE": "strict"}], indirect=True)
def test_a_link_from_another_site_finds_the_session_with_strict_cookies(visit: Visit) -> None:
    visit.page.goto(ELSEWHERE.format(visit.site.url))
    visit.page.get_by_role("link", name="Open").click()
    visit.wait_for_title("second of alice")
    assert visit.page.url == f"{visit.site.url}/page/second?a=1"
    visit.context.clear_cookies()
    visit.page.goto(ELSEWHERE.format(visit.site.url))
    visit.page.get_by_role("link", name="Open").click()
    visit.wait_for_title("Sign in")
