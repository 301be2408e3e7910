"""Turbo, Unpoly and htmx in a real browser: carried through the refresh, or to the login page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort, g, redirect, request, send_file, url_for
from markupsafe import Markup
from support.browser_site import Site, Visit
from support.required import missing
from support.served_core import ServedCore

from flask_stsession import STSession, create_new_session, next_url, session_exempt, signals, verify_session

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NODE_MODULES = Path(__file__).parents[2] / ".ci" / "node_modules"
SCRIPTS = {
    "turbo": "@hotwired/turbo/dist/turbo.es2017-umd.js",
    "unpoly": "unpoly/unpoly.js",
    "htmx": "htmx.org/dist/htmx.js",
}
# The pointer rests where the button of the login page was: a link there would be prefetched at once.
BODIES = {
    "turbo": """
        <form method=post action=/save enctype=multipart/form-data><input name=text value="ä & b">
        <input type=file name=file><button>Save</button></form>
        <a href=/page/second>Second</a>
        <form method=post action=/auth/signout><button>Sign out</button></form>
        <form method=post action=/forbidden><button>Forbidden</button></form>
        <turbo-frame id=part><a href=/part>Load part</a>
        <form method=post action=/part><button>Send part</button></form></turbo-frame>
    """,
    "unpoly": """
        <a href=/page/second up-follow>Second</a>
        <a href=/part up-layer=new up-target=#part>Open part</a>
        <a href=/part up-target=#part>Load part</a>
        <form method=post action=/save enctype=multipart/form-data up-submit><input name=text value="ä & b">
        <input type=file name=file><button>Save</button></form>
        <form method=post action=/auth/signout up-submit><button>Sign out</button></form>
        <form method=post action=/forbidden up-submit><button>Forbidden</button></form>
        <div id=part><form method=post action=/part up-submit up-target=#part>
        <button>Send part</button></form></div>
    """,
    "htmx": """
        <a href=/page/second hx-boost=true>Second</a>
        <button hx-get=/part hx-target=#part hx-swap=outerHTML>Load part</button><div id=part></div>
    """,
}


@pytest.fixture(params=["turbo", "unpoly"])
def library(request: pytest.FixtureRequest) -> str:
    """The library that the pages use."""
    name: str = request.param
    if not (NODE_MODULES / SCRIPTS[name]).exists():
        missing(
            f"there is no {SCRIPTS[name]}: npm install --prefix .ci --no-save @hotwired/turbo unpoly htmx.org"
        )
    return name


@pytest.fixture
def site(served_core: ServedCore, library: str) -> Iterator[Site]:
    """A site all of whose pages need a session and use the library."""
    app = Flask("site")
    app.config.update(STSESSION_CONNECTION_URI=served_core.url, STSESSION_LOGIN_URL="login")
    stsession = STSession(app)
    stsession.protect(app)
    add_views(app, library)
    served = Site(app, served_core)

    @app.after_request
    def note(response: Any) -> Any:
        served.asked.append(f"{request.method} {request.path}")
        return response

    with signals.session_refreshed.connected_to(served.count, app):
        yield served
    served.close()
    stsession.close()


def add_views(app: Flask, library: str) -> None:
    """Add pages, parts of pages, forms and the login page."""

    def page_of(title: str, body: str = "") -> str:
        script = "<script src=/library.js></script>"
        return Markup("<!doctype html><title>{}</title>{}<main>{}</main>").format(
            title, Markup(script), Markup(body)
        )

    @app.get("/library.js")
    @session_exempt
    def script() -> Any:
        return send_file(NODE_MODULES / SCRIPTS[library])

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "POST":
            create_new_session("alice")
            return redirect(next_url(), 303)
        return page_of("Sign in", "<form method=post><button>Sign in</button></form>")

    @app.get("/page/<name>")
    def page(name: str) -> str:
        return page_of(f"{name} of {g.session.get_user_id()}", BODIES[library])

    @app.post("/save")
    def save() -> Any:
        size = len(request.files["file"].read())
        return redirect(url_for("page", name=f"{request.form['text']}, {size}"), 303)

    @app.route("/part", methods=["GET", "POST"])
    def part() -> str:
        tag = "turbo-frame" if library == "turbo" else "div"
        return page_of("Part", f"<{tag} id=part>The part, by {request.method}</{tag}>")

    @app.post("/forbidden")
    @verify_session()
    def forbidden() -> str:
        abort(403)


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Visit]:
    """Signed in, with a token that has expired."""
    visit = Visit(browser, site)
    visit.expire_token()
    visit.page.evaluate("window.isSamePage = true")
    yield visit
    visit.close()


def follow(visit: Visit, name: str) -> None:
    visit.page.get_by_role("link", name=name).click()


def is_same_page(visit: Visit) -> bool:
    same: bool = visit.page.evaluate("window.isSamePage === true")
    return same


def test_a_link_is_followed_in_spite_of_an_expired_token(visit: Visit) -> None:
    follow(visit, "Second")
    visit.wait_for_title("second of alice")
    assert visit.page.url == f"{visit.site.url}/page/second"
    assert (visit.site.refreshed, is_same_page(visit)) == (1, True)


def test_a_form_keeps_its_fields_and_files(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a" * 2_000_000)
    visit.page.set_input_files("input[type=file]", tmp_path / "file")
    visit.click("Save")
    visit.wait_for_title("ä & b, 2000000 of alice")
    assert (visit.site.refreshed, is_same_page(visit)) == (1, True)


@pytest.mark.parametrize("action", ["Load part", "Send part"])
def test_a_part_of_a_page_is_replaced(visit: Visit, action: str) -> None:
    if action == "Load part":
        follow(visit, action)
    else:
        visit.click(action)
    visit.page.get_by_text(f"The part, by {'GET' if action == 'Load part' else 'POST'}").wait_for()
    assert (visit.site.refreshed, is_same_page(visit)) == (1, True)


@pytest.mark.parametrize("action", ["Second", "Save", "Load part", "Send part"])
def test_without_a_session_everything_leads_to_the_login_page_and_back(visit: Visit, action: str) -> None:
    visit.context.clear_cookies()
    if action in ("Second", "Load part"):
        follow(visit, action)
    else:
        visit.click(action)
    visit.wait_for_title("Sign in")
    visit.page.get_by_role("button", name="Sign in").wait_for()
    visit.wait_for_login_url()
    if action == "Second":
        visit.click("Sign in")
        visit.wait_for_title("second of alice")


def test_signing_out_leads_to_the_login_page(visit: Visit) -> None:
    visit.click("Sign out")
    visit.wait_for_title("Sign in")
    assert visit.page.url == f"{visit.site.url}/login"
    assert visit.context.cookies() == []


def test_a_session_that_has_ended_leads_to_the_login_page(visit: Visit) -> None:
    with visit.site.app.app_context():
        visit.site.app.extensions["stsession"].revoke_all_sessions_for_user("alice")
    follow(visit, "Load part")
    visit.wait_for_title("Sign in")
    assert visit.context.cookies() == []


def test_a_browser_that_drops_new_cookies_causes_no_redirect_loop(visit: Visit) -> None:
    visit.site.drop_cookies()
    visit.click("Save")
    visit.wait_for_title("Sign in")
    assert visit.site.asked.count("POST /save") == 2


@pytest.mark.parametrize("library", ["turbo"], indirect=True)
def test_a_link_that_turbo_has_prefetched_is_followed(visit: Visit) -> None:
    with visit.page.expect_response("**/page/second"):
        visit.page.get_by_role("link", name="Second").hover()
    assert (visit.site.asked, visit.site.refreshed) == (["GET /page/second"], 0)
    follow(visit, "Second")
    visit.wait_for_title("second of alice")
    assert visit.site.refreshed == 1


def test_a_page_that_is_forbidden_is_shown(visit: Visit) -> None:
    visit.click("Forbidden")
    visit.page.get_by_text("You don't have the permission to access the requested resource.").wait_for()


@pytest.mark.parametrize("library", ["unpoly"], indirect=True)
def test_without_a_session_an_overlay_of_unpoly_leads_to_the_login_page(visit: Visit) -> None:
    visit.context.clear_cookies()
    follow(visit, "Open part")
    visit.wait_for_title("Sign in")
    visit.wait_for_login_url()


@pytest.mark.parametrize("library", ["htmx"], indirect=True)
def test_htmx_is_sent_through_the_refresh_back_to_its_page(visit: Visit) -> None:
    visit.click("Load part")
    visit.wait_for_title("first of alice")
    visit.page.wait_for_function("window.isSamePage !== true")
    assert visit.site.refreshed == 1
    visit.click("Load part")
    visit.page.get_by_text("The part, by GET").wait_for()
    visit.context.clear_cookies()
    follow(visit, "Second")
    visit.wait_for_title("Sign in")
    assert visit.page.url == f"{visit.site.url}/login?next=%2Fpage%2Fsecond"
