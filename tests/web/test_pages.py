"""Server-rendered pages: navigations are carried through a refresh, or sent to sign in."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import flask_restful
import pytest
from flask import Flask, g, redirect, request
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

import flask_stsession
from flask_stsession import (
    InvalidClaimsError,
    SessionHTTPError,
    STSession,
    UnauthorisedError,
    current_session,
    revoke_all_sessions_for_user,
    session_exempt,
    signals,
    verify_session,
)
from flask_stsession.claims import AuthTimeClaim

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
ON_PLAIN_HTTP = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
BY_SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "rid": "anti-csrf"}
CONTINUE = "/auth/session/refresh/continue"
SCRIPT = Path(flask_stsession.__file__).parent / "web" / "static" / "refresh.js"
UNAUTHORISED = {"message": "unauthorised"}
TRY_REFRESH = {"message": "try refresh token"}


def add_pages(app: Flask) -> Flask:
    """``/page``, ``/form`` (echoes what was posted), ``/admin`` (forbidden) and the page ``/sign-in``."""

    @app.get("/page")
    @verify_session()
    def page() -> str:
        return f"the page of {g.session.get_user_id()}"

    @app.post("/form")
    @verify_session()
    def form() -> dict[str, Any]:
        files = {name: file.read().decode() for name, file in request.files.items()}
        return {"fields": request.form.to_dict(flat=False), "files": files}

    @app.get("/admin")
    @verify_session()
    def admin() -> str:
        raise InvalidClaimsError

    @app.get("/sign-in")
    def sign_in() -> str:
        return "please sign in"

    return app


class Visitor:
    """A browser that once signed in: its access token has expired.

    :param app: on a core whose clock was two hours slow at the login, if the token is to have expired.
    """

    def __init__(self, app: Flask, *, signed_in: bool = True) -> None:
        self.client: FlaskClient = app.test_client()
        if signed_in:
            self.client.post("/login", json={"userId": "alice"}, headers={"st-auth-mode": "cookie"})

    def get(self, url: str, **headers: str) -> TestResponse:
        return self.client.get(url, headers={**NAVIGATES, **_named(headers)})

    def post(self, url: str, data: Any = None, **headers: str) -> TestResponse:
        return self.client.post(url, data=data, headers={**NAVIGATES, **_named(headers)})

    def tokens(self) -> tuple[str | None, str | None]:
        """The cookies that it holds."""
        access = self.client.get_cookie("sAccessToken")
        refresh = self.client.get_cookie("sRefreshToken", path="/auth/session/refresh")
        return access.value if access else None, refresh.value if refresh else None


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def expiring(served_core: ServedCore) -> ServedCore:
    """A core whose access tokens have expired when they arrive."""
    served_core.makes_expired_tokens = True
    return served_core


@pytest.fixture
def app(make_app: AppFactory, expiring: ServedCore) -> Flask:
    """An app with pages."""
    return add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in"))


@pytest.fixture
def visitor(app: Flask, expiring: ServedCore) -> Visitor:
    """Signed in, with an expired access token."""
    visitor = Visitor(app)
    expiring.makes_expired_tokens = False
    return visitor


@pytest.fixture
def stranger(app: Flask) -> Visitor:
    """Not signed in."""
    return Visitor(app, signed_in=False)


def went_to(answer: TestResponse) -> tuple[int, str | None]:
    assert answer.headers.get("Cache-Control") == "no-store"
    return answer.status_code, answer.headers.get("Location")


def is_our_page(answer: TestResponse) -> bool:
    return answer.mimetype == "text/html" and "session/refresh.js" in answer.text


def link_of(answer: TestResponse) -> str:
    found = re.search(r'<a href="([^"]*)">', answer.text)
    assert found is not None
    return unescape(found[1])


# An expired access token, GET


def test_a_page_is_carried_through_the_refresh_and_shown(visitor: Visitor) -> None:
    carried = visitor.get("/page?tab=2&q=%C3%A4")
    assert carried.status_code == 401
    assert is_our_page(carried)
    assert carried.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in carried.headers
    before = visitor.tokens()
    onwards = link_of(carried)
    assert onwards == f"{CONTINUE}?next=%2Fpage%3Ftab%3D2%26q%3D%25C3%25A4"
    back = visitor.get(onwards)
    assert went_to(back) == (303, "/page?tab=2&q=%C3%A4")
    assert all(visitor.tokens())
    assert set(before).isdisjoint(visitor.tokens())
    assert visitor.get(back.headers["Location"]).text == "the page of alice"


def test_the_script_renews_with_a_fetch(visitor: Visitor) -> None:
    onwards = link_of(visitor.get("/page"))
    answer = visitor.client.post(onwards, headers=BY_SCRIPT)
    assert (answer.status_code, answer.text) == (204, "")
    assert visitor.get("/page").text == "the page of alice"


def test_several_tabs_at_once_refresh_once(visitor: Visitor, app: Flask) -> None:
    refreshed: list[object] = []

    def note(sender: Flask, **_: object) -> None:
        refreshed.append(sender)

    onwards = [link_of(visitor.get(url)) for url in ("/page", "/page?2", "/page?3")]
    with signals.session_refreshed.connected_to(note, app):
        assert [visitor.client.post(url, headers=BY_SCRIPT).status_code for url in onwards] == [204] * 3
    assert len(refreshed) == 1


def test_on_plain_http_what_is_accepted_and_the_origin_do(visitor: Visitor) -> None:
    carried = visitor.client.get("/page", headers=ON_PLAIN_HTTP)
    assert is_our_page(carried)
    assert carried.headers["Referrer-Policy"] == "same-origin"
    by_link = {**ON_PLAIN_HTTP, "Referer": "http://localhost/page"}
    assert went_to(visitor.client.get(link_of(carried), headers=by_link)) == (303, "/page")
    by_script = {"Accept": "application/json", "Origin": "http://localhost"}
    assert visitor.client.post(link_of(carried), headers=by_script).status_code == 204


def test_head_and_what_is_fetched_ahead_of_time_change_nothing(visitor: Visitor) -> None:
    onwards = link_of(visitor.get("/page"))
    before = visitor.tokens()
    ahead = visitor.get("/page", Sec_Purpose="prefetch;prerender")
    assert (ahead.status_code, ahead.json) == (401, TRY_REFRESH)
    head = visitor.client.head("/page", headers=NAVIGATES)
    assert (head.status_code, head.mimetype, head.data) == (401, "text/html", b"")
    assert visitor.client.head(onwards, headers=NAVIGATES).status_code == 204
    assert visitor.get(onwards, Sec_Purpose="prefetch").status_code == 204
    assert visitor.tokens() == before


class Markup(HTMLParser):
    """Collects elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def test_the_page_passes_a_strict_content_security_policy(visitor: Visitor) -> None:
    elements = Markup(visitor.get('/page?"><script>alert(1)</script>').text).elements
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    assert len(scripts) == 1
    assert scripts[0].get("src", "").startswith("/auth/session/refresh.js?v=")  # type: ignore[union-attr]
    names = {name for _, attributes in elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert "style" not in dict(elements)
    for _, attributes in elements:
        for name in ("src", "href", "data-continue", "data-login"):
            assert (attributes.get(name) or "/").startswith("/")


def test_every_element_that_the_script_looks_for_is_on_the_page(visitor: Visitor) -> None:
    page = visitor.get("/page").text
    script = SCRIPT.read_text(encoding="utf-8")
    wanted = re.findall(r'\("#(\w+)', script)
    assert set(wanted) == {"message", "retry", "back", "carry"}
    assert all(f'id="{each}"' in page for each in wanted)
    assert 'data-login="/sign-in?next=%2Fpage"' in page
    assert not re.search(r"https?:|innerHTML|eval|\.style", script)


def test_the_script_is_kept_for_long(visitor: Visitor) -> None:
    found = re.search(r'src="([^"]+)"', visitor.get("/page").text)
    assert found is not None
    with visitor.client.get(found[1]) as script:
        assert (script.status_code, script.mimetype) == (200, "text/javascript")
        assert "max-age=31536000" in script.headers["Cache-Control"]
        assert script.data == SCRIPT.read_bytes()
        assert "Set-Cookie" not in script.headers
    known = {"If-None-Match": script.headers["ETag"]}
    with visitor.client.get(found[1], headers=known) as again:
        assert again.status_code == 304


def test_without_script_it_goes_on_by_itself_but_not_in_circles(visitor: Visitor) -> None:
    automatic = '<noscript><meta http-equiv="refresh" content="0; url=/auth/session/refresh/continue?next='
    assert automatic in visitor.get("/page").text
    again = visitor.get("/page", Referer="http://localhost/page")
    assert "http-equiv" not in again.text
    assert link_of(again) == f"{CONTINUE}?next=%2Fpage"


# An expired access token, POST


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
def test_a_form_arrives_with_all_its_fields(visitor: Visitor, kind: str) -> None:
    def data() -> dict[str, Any]:
        fields: dict[str, Any] = {"text": ["ä & b", "c"]}
        if kind == "multipart":
            fields["file"] = (BytesIO(b"content"), "file.txt")
        return fields

    away = visitor.post("/form?step=2", data())
    assert went_to(away) == (307, f"{CONTINUE}?next=%2Fform%3Fstep%3D2")
    assert "Set-Cookie" not in away.headers
    back = visitor.post(away.headers["Location"], data())
    assert went_to(back) == (307, "/form?step=2")
    assert back.headers["Referrer-Policy"] == "origin"
    files = {"file": "content"} if kind == "multipart" else {}
    assert visitor.post("/form?step=2", data()).json == {"fields": {"text": ["ä & b", "c"]}, "files": files}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://other.localhost"},
    ],
)
@pytest.mark.parametrize("path", ["/form", f"{CONTINUE}?next=/form", "/auth/signout"])
def test_a_form_of_another_site_gets_401_and_no_refresh(
    visitor: Visitor, path: str, headers: dict[str, str]
) -> None:
    before = visitor.tokens()
    answer = visitor.post(path, {"a": "b"}, **headers)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert "Location" not in answer.headers
    assert visitor.tokens() == before


def test_a_form_of_another_site_is_not_sent_to_sign_in(stranger: Visitor) -> None:
    answer = stranger.post("/form", Sec_Fetch_Site="cross-site", Origin="http://evil.example")
    assert (answer.status_code, answer.mimetype) == (401, "text/html")


def test_nobody_makes_us_refresh_from_elsewhere(visitor: Visitor) -> None:
    before = visitor.tokens()
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
        answer = visitor.get(f"{CONTINUE}?next=/page", **headers)
        assert (answer.status_code, answer.mimetype) == (401, "text/html")
    by_script = visitor.client.post(CONTINUE, headers={"Origin": "http://evil.example"})
    assert (by_script.status_code, by_script.json) == (401, TRY_REFRESH)
    assert visitor.tokens() == before


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "evil", ""]
)
def test_the_way_on_never_leads_elsewhere(visitor: Visitor, target: str) -> None:
    answer = visitor.client.get(CONTINUE, query_string={"next": target}, headers=NAVIGATES)
    assert went_to(answer) == (303, "/")


# Large forms, long URLs, downloads


def test_a_form_larger_than_the_app_takes_gets_413(app: Flask, visitor: Visitor) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    assert went_to(visitor.post("/form", {"text": "a" * 900}))[0] == 307
    for path in ("/form", f"{CONTINUE}?next=/form"):
        too_large = visitor.post(path, {"text": "a" * 1000})
        assert (too_large.status_code, too_large.mimetype) == (413, "text/html")
    assert visitor.post(f"{CONTINUE}?next=/form", {"text": "a" * 900}).status_code == 307


LONG = "/page?q=" + "a" * 2700


def test_a_long_url_is_carried_without_being_sent_as_another_one(visitor: Visitor) -> None:
    carried = visitor.get(LONG)
    assert f'data-continue="{CONTINUE}"' in carried.text
    assert visitor.client.post(CONTINUE, headers=BY_SCRIPT).status_code == 204
    assert visitor.get(LONG).text == "the page of alice"


def test_without_script_a_long_url_is_found_in_the_referer(visitor: Visitor) -> None:
    carried = visitor.get(LONG)
    assert carried.headers["Referrer-Policy"] == "same-origin"
    assert link_of(carried) == CONTINUE
    assert went_to(visitor.get(CONTINUE, Referer=f"http://localhost{LONG}")) == (303, LONG)
    assert went_to(visitor.get(CONTINUE, Referer="http://localhost//evil.example")) == (303, "/")
    assert went_to(visitor.get(CONTINUE, Referer="http://evil.example/page")) == (303, "/")


def test_a_form_with_a_long_url_is_posted_again_by_the_page(visitor: Visitor) -> None:
    carried = visitor.post(LONG.replace("/page", "/form"), {"a": "b"})
    assert carried.status_code == 401
    assert is_our_page(carried)


@pytest.mark.parametrize(("length", "then"), [(1900, "%3Fq%3D" + "a" * 1900), (2000, ""), (2700, "")])
def test_a_long_url_is_cut_down_to_its_path_on_the_way_to_sign_in(
    stranger: Visitor, length: int, then: str
) -> None:
    assert went_to(stranger.get("/page?q=" + "a" * length)) == (302, f"/sign-in?next=%2Fpage{then}")


def test_a_long_path_is_left_out_on_the_way_to_sign_in(app: Flask, stranger: Visitor) -> None:
    app.add_url_rule("/<path:path>", "any", verify_session()(lambda path: path))
    assert went_to(stranger.get("/" + "a" * 2700)) == (302, "/sign-in")


def test_a_download_is_carried_by_redirects(visitor: Visitor) -> None:
    saves = {"Sec_Fetch_Dest": "empty"}
    away = visitor.get("/page", **saves)
    assert went_to(away) == (307, f"{CONTINUE}?next=%2Fpage")
    assert went_to(visitor.get(away.headers["Location"], **saves)) == (307, "/page")
    assert visitor.get("/page", **saves).text == "the page of alice"


# Cookies that other sites keep back


def test_a_link_from_another_site_is_asked_for_again_where_cookies_are_strict(make_app: AppFactory) -> None:
    app = add_pages(make_app(login_url="/sign-in", cookie_same_site="strict"))
    visitor = Visitor(app, signed_in=False)
    from_a_mail = visitor.get("/page?a=1&b=2", Sec_Fetch_Site="cross-site")
    assert from_a_mail.status_code == 401
    assert '<meta http-equiv="refresh" content="0; url=/page?a=1&amp;b=2">' in from_a_mail.text
    assert link_of(from_a_mail) == "/page?a=1&b=2"
    assert "<script" not in from_a_mail.text
    assert went_to(visitor.get("/page?a=1&b=2")) == (302, "/sign-in?next=%2Fpage%3Fa%3D1%26b%3D2")


def test_a_link_from_another_site_leads_to_sign_in_where_cookies_are_lax(stranger: Visitor) -> None:
    assert went_to(stranger.get("/page", Sec_Fetch_Site="cross-site")) == (302, "/sign-in?next=%2Fpage")


# A login that is too old


@pytest.fixture
def with_old_login(make_app: AppFactory) -> Visitor:
    """Signed in too long ago for ``/fresh``."""
    app = add_pages(make_app(login_url="/sign-in", claims=[AuthTimeClaim], cdi_version="5.6"))
    app.add_url_rule(
        "/fresh", "fresh", verify_session(max_auth_age=0.0)(lambda: "fresh"), methods=["GET", "POST"]
    )
    app.add_url_rule("/both", "both", verify_session(max_auth_age=0.0, roles="admin")(lambda: "both"))
    return Visitor(app)


def test_a_login_that_is_too_old_leads_to_the_login_page(with_old_login: Visitor) -> None:
    before = with_old_login.tokens()
    assert went_to(with_old_login.get("/fresh?a=1")) == (302, "/sign-in?next=%2Ffresh%3Fa%3D1")
    assert went_to(with_old_login.post("/fresh")) == (303, "/sign-in?next=%2Ffresh")
    assert with_old_login.tokens() == before
    by_htmx = with_old_login.client.get("/fresh", headers={"HX-Request": "true", **BY_SCRIPT})
    assert (by_htmx.status_code, by_htmx.headers["HX-Redirect"]) == (403, "/sign-in")


def test_a_login_page_that_returns_whoever_is_signed_in_makes_no_circle(with_old_login: Visitor) -> None:
    assert went_to(with_old_login.get("/fresh"))[0] == 302
    again = with_old_login.get("/fresh")
    assert (again.status_code, again.mimetype) == (403, "text/html")
    assert went_to(with_old_login.get("/fresh?other"))[0] == 302


def test_a_login_that_is_too_old_is_a_403_beside_other_failures_and_for_apis(with_old_login: Visitor) -> None:
    assert with_old_login.get("/both").status_code == 403
    assert with_old_login.client.get("/fresh", headers=BY_SCRIPT).status_code == 403


# Nobody is signed in


@pytest.mark.parametrize("headers", [NAVIGATES, ON_PLAIN_HTTP])
def test_a_stranger_is_sent_to_sign_in_and_back(stranger: Visitor, headers: dict[str, str]) -> None:
    answer = stranger.client.get("/page?a=1&b=2", headers=headers)
    assert went_to(answer) == (302, "/sign-in?next=%2Fpage%3Fa%3D1%26b%3D2")
    assert "Set-Cookie" not in answer.headers
    assert went_to(stranger.client.post("/form", headers=headers)) == (303, "/sign-in?next=%2Fform")


def test_a_stranger_who_navigates_from_another_site_is_sent_to_sign_in(stranger: Visitor) -> None:
    assert went_to(stranger.get("/page", Sec_Fetch_Site="cross-site")) == (302, "/sign-in?next=%2Fpage")


def test_a_session_that_was_ended_is_cleared_on_the_way_to_the_login(app: Flask, visitor: Visitor) -> None:
    with app.app_context():
        revoke_all_sessions_for_user("alice")
    onwards = link_of(visitor.get("/page?a=1"))
    ended = visitor.client.post(onwards, headers=BY_SCRIPT)
    assert (ended.status_code, ended.json) == (401, UNAUTHORISED)
    assert visitor.tokens() == (None, None)


@pytest.mark.parametrize("by", ["get", "post"])
def test_a_refresh_that_fails_leads_to_the_login(app: Flask, visitor: Visitor, by: str) -> None:
    with app.app_context():
        revoke_all_sessions_for_user("alice")
    answer = getattr(visitor, by)(f"{CONTINUE}?next=/page%3Fa%3D1")
    assert went_to(answer) == ({"get": 302, "post": 303}[by], "/sign-in?next=%2Fpage%3Fa%3D1")
    assert visitor.tokens() == (None, None)


def test_theft_leads_to_the_login_and_clears(visitor: Visitor, expiring: ServedCore) -> None:
    _, stolen = visitor.tokens()
    visitor.get(f"{CONTINUE}?next=/page")
    visitor.get(f"{CONTINUE}?next=/page&force=1")  # the token of the first is used, and so is final
    assert stolen is not None
    visitor.client.set_cookie("sRefreshToken", stolen, path="/auth/session/refresh")
    answer = visitor.get(f"{CONTINUE}?next=/page&force=1")
    assert went_to(answer) == (302, "/sign-in?next=%2Fpage")
    assert visitor.tokens() == (None, None)


def test_a_form_that_comes_back_must_have_kept_its_cookies(visitor: Visitor) -> None:
    back = {"Referer": "http://localhost/"}
    held = visitor.tokens()
    again = visitor.post(f"{CONTINUE}?next=/form", **back)
    assert went_to(again) == (307, f"{CONTINUE}?next=%2Fform&kept=1")
    assert went_to(visitor.post(again.headers["Location"], **back)) == (307, "/form")
    assert visitor.post("/form").status_code == 200
    visitor.client.set_cookie("sAccessToken", held[0] or "")
    assert went_to(visitor.post(again.headers["Location"], **back)) == (303, "/sign-in?next=%2Fform")


# The login page


def test_the_login_page_is_open_under_protect_and_never_redirected_to_itself(
    make_app: AppFactory, expiring: ServedCore
) -> None:
    app = add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in?from=app"))
    app.extensions["stsession"].protect(app, exempt=["login"])
    stranger = Visitor(app, signed_in=False)
    assert went_to(stranger.get("/page")) == (302, "/sign-in?from=app&next=%2Fpage")
    assert stranger.get("/sign-in?from=app&next=%2Fpage").text == "please sign in"


def test_a_login_page_that_is_guarded_by_mistake_shows_401(make_app: AppFactory) -> None:
    app = make_app(login_url="guarded")
    app.add_url_rule("/guarded", "guarded", verify_session()(lambda: "unseen"))
    answer = Visitor(app, signed_in=False).get("/guarded")
    assert (answer.status_code, answer.mimetype) == (401, "text/html")


def test_a_login_page_that_looks_for_a_session_is_carried_but_not_to_itself(
    make_app: AppFactory, expiring: ServedCore
) -> None:
    app = make_app(connection_uri=expiring.url, login_url="/hello")
    app.add_url_rule("/hello", "hello", verify_session(session_required=False)(lambda: f"{bool(g.session)}"))
    visitor = Visitor(app)
    expiring.makes_expired_tokens = False
    carried = visitor.get("/hello")
    assert is_our_page(carried)
    assert "data-login" not in carried.text
    visitor.get(link_of(carried))
    assert visitor.get("/hello").text == "True"


def test_the_login_url_may_be_decided_per_request(make_app: AppFactory) -> None:
    class Extension(STSession):
        def get_login_url(self) -> str | None:
            return {"a": "/login-a", "b": "user"}.get(request.args.get("brand", ""))

    app = add_pages(make_app(extension=Extension, login_url="/sign-in"))
    stranger = Visitor(app, signed_in=False)
    assert went_to(stranger.get("/page?brand=a")) == (302, "/login-a?next=%2Fpage%3Fbrand%3Da")
    assert went_to(stranger.get("/page?brand=b")) == (302, "/user?next=%2Fpage%3Fbrand%3Db")
    assert (stranger.get("/page").status_code, stranger.get("/page").json) == (401, UNAUTHORISED)


# 403 and 503


def test_403_and_503_of_a_navigation_are_flasks_pages_where_the_app_has_none(
    app: Flask, visitor: Visitor, expiring: ServedCore
) -> None:
    visitor.get(f"{CONTINUE}?next=/")
    forbidden = visitor.get("/admin")
    assert (forbidden.status_code, forbidden.mimetype) == (403, "text/html")
    assert "<h1>Forbidden</h1>" in forbidden.text
    expiring.kill()
    down = visitor.get(f"{CONTINUE}?next=/&force=1")
    assert (down.status_code, down.mimetype, down.headers["Retry-After"]) == (503, "text/html", "5")
    assert "<h1>Service Unavailable</h1>" in down.text
    assert "Set-Cookie" not in down.headers
    by_script = visitor.client.post(f"{CONTINUE}?force=1", headers=BY_SCRIPT)
    assert (by_script.status_code, by_script.json) == (503, {"message": "session service unavailable"})


@pytest.mark.parametrize("handles", [403, HTTPException, Exception])
def test_the_apps_own_page_for_403_is_shown(make_app: AppFactory, handles: Any) -> None:
    app = add_pages(make_app(login_url="/sign-in", cdi_version="5.6"))

    @app.errorhandler(handles)
    def mine(error: HTTPException) -> tuple[str, int]:
        return f"<p>mine: {error.code}", error.code or 0

    answer = Visitor(app).get("/admin")
    assert (answer.status_code, answer.text) == (403, "<p>mine: 403")


@pytest.mark.parametrize(("status", "title"), [(418, "I'm a teapot"), (440, "Unknown Error")])
def test_a_status_of_the_settings_is_kept(make_app: AppFactory, status: int, title: str) -> None:
    app = add_pages(make_app(login_url="/sign-in", invalid_claim_status_code=status))
    answer = Visitor(app).get("/admin")
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert title in unescape(answer.text)


def revoked(make_app: AppFactory, handles: Any) -> Visitor:
    app = add_pages(make_app(login_url="/sign-in", cdi_version="5.6"))

    @app.errorhandler(handles)
    def mine(error: Exception) -> tuple[str, int]:
        return "mine", 401

    visitor = Visitor(app)
    with app.app_context():
        revoke_all_sessions_for_user("alice")
    return visitor


@pytest.mark.parametrize("handles", [401, HTTPException, Exception])
def test_people_are_sent_to_sign_in_whoever_else_answers_401(make_app: AppFactory, handles: Any) -> None:
    visitor = revoked(make_app, handles)
    assert went_to(visitor.get("/page")) == (302, "/sign-in?next=%2Fpage")
    assert visitor.tokens() == (None, None)


def test_an_api_of_flask_restful_does_not_keep_them(make_app: AppFactory) -> None:
    app = make_app(login_url="/sign-in")

    class Thing(flask_restful.Resource):  # type: ignore[misc]
        @verify_session()
        def get(self) -> dict[str, str]:
            return {}

    flask_restful.Api(app).add_resource(Thing, "/thing")
    stranger = Visitor(app, signed_in=False)
    assert went_to(stranger.get("/thing")) == (302, "/sign-in?next=%2Fthing")
    assert stranger.client.get("/thing").json == UNAUTHORISED


def test_a_guard_before_our_own_hooks_answers_the_first_request_alike(make_app: AppFactory) -> None:
    app = make_app(login_url="/sign-in", init=False)
    app.before_request(verify_session()(lambda: None))
    STSession(app)
    assert went_to(Visitor(app, signed_in=False).get("/page")) == (302, "/sign-in?next=%2Fpage")
    app.extensions["stsession"].close()


@pytest.mark.parametrize("handles", [UnauthorisedError, SessionHTTPError])
def test_a_handler_of_our_exceptions_answers_instead(make_app: AppFactory, handles: Any) -> None:
    visitor = revoked(make_app, handles)
    answer = visitor.get("/page")
    assert (answer.status_code, answer.text) == (401, "mine")
    assert visitor.tokens() == (None, None)


# APIs


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "application/json"},
        {"Accept": "*/*"},
        {"Sec-Fetch-Mode": "cors", "Accept": "text/html"},
        {"X-Requested-With": "XMLHttpRequest", "Accept": "text/html, */*;q=0.1"},
        {"Accept": "text/html", "Content-Type": "application/json"},
    ],
)
def test_apis_get_json_as_ever(app: Flask, visitor: Visitor, headers: dict[str, str]) -> None:
    expired = visitor.client.get("/page", headers=headers)
    assert (expired.status_code, expired.json) == (401, TRY_REFRESH)
    nobody = app.test_client().get("/page", headers=headers)
    assert (nobody.status_code, nobody.json) == (401, UNAUTHORISED)
    refresh = visitor.client.post("/auth/session/refresh", headers={**BY_SCRIPT, **headers})
    assert (refresh.status_code, refresh.json) == (200, {})
    assert visitor.client.get("/page", headers=headers).text == "the page of alice"
    assert visitor.client.get("/admin", headers=headers).json == {
        "message": "invalid claim",
        "claimValidationErrors": [],
    }
    bye = visitor.client.post("/auth/signout", headers={"Origin": "http://localhost", **headers})
    assert (bye.status_code, bye.json) == (200, {"status": "OK"})


def test_without_a_login_url_navigations_get_json_and_there_is_no_route(make_app: AppFactory) -> None:
    app = add_pages(make_app())
    stranger = Visitor(app, signed_in=False)
    assert (stranger.get("/page").status_code, stranger.get("/page").json) == (401, UNAUTHORISED)
    assert stranger.get(CONTINUE).status_code == 404
    assert stranger.get("/auth/session/refresh.js").status_code == 404


def test_a_token_by_header_is_not_carried(make_app: AppFactory, expiring: ServedCore) -> None:
    app = add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in"))
    login = app.test_client().post("/login", json={}, headers={"st-auth-mode": "header"})
    expiring.makes_expired_tokens = False
    bearer = {"Authorization": f"Bearer {login.headers['st-access-token']}"}
    answer = app.test_client().get("/page", headers={**ON_PLAIN_HTTP, **bearer})
    assert went_to(answer) == (302, "/sign-in?next=%2Fpage")


# htmx


def test_htmx_is_sent_through_the_refresh_back_to_its_page(visitor: Visitor) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost/list?p=2", **BY_SCRIPT}
    answer = visitor.client.get("/page", headers=htmx)
    assert (answer.status_code, answer.json) == (401, TRY_REFRESH)
    assert answer.headers["HX-Redirect"] == f"{CONTINUE}?next=%2Flist%3Fp%3D2"
    assert went_to(visitor.get(answer.headers["HX-Redirect"])) == (303, "/list?p=2")


def test_htmx_is_sent_to_sign_in(stranger: Visitor) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost/list", **BY_SCRIPT}
    answer = stranger.client.get("/page", headers=htmx)
    assert (answer.status_code, answer.json) == (401, UNAUTHORISED)
    assert answer.headers["HX-Redirect"] == "/sign-in?next=%2Flist"
    boosted = stranger.client.get("/page?a", headers={**htmx, "HX-Boosted": "true"})
    assert boosted.headers["HX-Redirect"] == "/sign-in?next=%2Fpage%3Fa"


def test_htmx_on_the_login_page_is_not_sent_in_circles(stranger: Visitor) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost/sign-in?next=%2F", **BY_SCRIPT}
    answer = stranger.client.get("/page", headers=htmx)
    assert (answer.status_code, answer.headers.get("HX-Redirect")) == (401, None)


def test_htmx_gets_403_and_forgeries_without_a_redirect(visitor: Visitor) -> None:
    htmx = {"HX-Request": "true", "Sec-Fetch-Mode": "cors"}
    visitor.get(f"{CONTINUE}?next=/")
    forbidden = visitor.client.get("/admin", headers=htmx)
    assert (forbidden.status_code, forbidden.headers.get("HX-Redirect")) == (403, None)
    forged = visitor.client.post("/form", headers={**htmx, "Origin": "http://evil.example"})
    assert (forged.status_code, forged.json) == (401, TRY_REFRESH)
    assert "HX-Redirect" not in forged.headers


# Turbo and Unpoly


TURBO = {"X-Turbo-Request-Id": "1", "Accept": "text/html, application/xhtml+xml", **BY_SCRIPT}
FRAME = {"Turbo-Frame": "part", **TURBO}
UNPOLY = {"X-Up-Version": "3.14.3", "X-Up-Target": "#part", **BY_SCRIPT}


@pytest.mark.parametrize("headers", [TURBO, FRAME, UNPOLY])
@pytest.mark.parametrize(("method", "path"), [("get", "/page"), ("post", "/form")])
def test_what_turbo_and_unpoly_fetch_is_carried_by_redirects(
    visitor: Visitor, headers: dict[str, str], method: str, path: str
) -> None:
    ask = getattr(visitor.client, method)
    away = ask(path, headers=headers)
    assert went_to(away) == (307, f"{CONTINUE}?next=%2F{path[1:]}")
    assert went_to(ask(away.headers["Location"], headers=headers)) == (307, path)
    assert ask(path, headers=headers).status_code == 200


def test_turbo_is_redirected_to_the_login_page(stranger: Visitor) -> None:
    assert went_to(stranger.client.get("/page", headers=TURBO)) == (302, "/sign-in?next=%2Fpage")
    assert went_to(stranger.client.post("/form", headers=TURBO)) == (303, "/sign-in?next=%2Fform")


@pytest.mark.parametrize(
    ("method", "path", "headers", "then"),
    [
        ("get", "/page?a", FRAME, "/list?b"),
        ("post", "/form", FRAME, "/list?b"),
        ("get", "/page?a", UNPOLY, "/page?a"),
        ("post", "/form", UNPOLY, "/list?b"),
    ],
)
def test_a_part_of_a_page_makes_the_page_leave_for_the_login_page(
    stranger: Visitor, method: str, path: str, headers: dict[str, str], then: str
) -> None:
    referrer = {"Referer": "http://localhost/list?b"}
    left = getattr(stranger.client, method)(path, headers={**headers, **referrer})
    assert (left.status_code, left.headers["X-Up-Target"]) == (401, "body")
    assert left.headers["Cache-Control"] == "no-store"
    assert link_of(left) == f"/sign-in?{urlencode({'next': then})}"


@pytest.mark.parametrize("headers", [FRAME, UNPOLY])
def test_a_part_of_the_login_page_does_not_lead_to_the_login_page(
    stranger: Visitor, headers: dict[str, str]
) -> None:
    on_login = {**headers, "Referer": "http://localhost/sign-in?next=%2F"}
    answer = stranger.client.get("/page", headers=on_login)
    assert (answer.status_code, answer.headers.get("X-Up-Target")) == (401, None)


def test_turbo_and_unpoly_get_403_as_a_page(visitor: Visitor) -> None:
    visitor.get(f"{CONTINUE}?next=/")
    for headers in (TURBO, FRAME, UNPOLY):
        forbidden = visitor.client.get("/admin", headers=headers)
        assert (forbidden.status_code, forbidden.mimetype) == (403, "text/html")


def test_what_turbo_prefetches_changes_nothing(visitor: Visitor) -> None:
    before = visitor.tokens()
    ahead = visitor.client.get("/page", headers={**TURBO, "X-Sec-Purpose": "prefetch"})
    assert (ahead.status_code, ahead.json) == (401, TRY_REFRESH)
    assert visitor.tokens() == before


def test_another_site_cannot_pass_for_turbo(visitor: Visitor) -> None:
    before = visitor.tokens()
    disguised = {
        "Accept": "text/vnd.turbo-stream.html",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "no-cors",
        "Origin": "http://evil.example",
    }
    for path in ("/form", f"{CONTINUE}?next=/form"):
        assert visitor.client.post(path, headers=disguised).status_code == 401
    assert visitor.tokens() == before


# Signing out


def test_signing_out_by_a_form_leads_to_the_login(visitor: Visitor) -> None:
    away = visitor.post("/auth/signout")
    assert went_to(away) == (307, f"{CONTINUE}?next=%2Fauth%2Fsignout")
    back = visitor.post(away.headers["Location"])
    assert went_to(back) == (307, "/auth/signout")
    assert went_to(visitor.post("/auth/signout")) == (303, "/sign-in")
    assert visitor.tokens() == (None, None)
    assert went_to(visitor.post("/auth/signout")) == (303, "/sign-in")


# Settings


def test_without_our_refresh_route_nobody_is_carried(make_app: AppFactory, expiring: ServedCore) -> None:
    app = add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in", routes=["signout"]))
    visitor = Visitor(app)
    expiring.makes_expired_tokens = False
    before = visitor.tokens()
    assert went_to(visitor.get("/page")) == (302, "/sign-in?next=%2Fpage")
    assert went_to(visitor.post("/form")) == (303, "/sign-in?next=%2Fform")
    assert visitor.get(CONTINUE).status_code == 404
    assert visitor.tokens() == before


@pytest.mark.parametrize(
    ("root", "settings", "mount"),
    [
        ("/mounted", {}, "/mounted"),
        ("", {"api_gateway_path": "/gate"}, "/gate"),
        ("", {"api_base_path": "/"}, ""),
        ("/mounted", {"api_base_path": "/accounts"}, "/mounted"),
    ],
)
def test_apps_below_a_path_are_carried_there(
    make_app: AppFactory, expiring: ServedCore, root: str, settings: dict[str, Any], mount: str
) -> None:
    app = add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in", **settings))
    base = {"api_base_path": "/auth", **settings}["api_base_path"].rstrip("/")
    client = app.test_client(use_cookies=False)
    where: dict[str, Any] = {"environ_overrides": {"SCRIPT_NAME": root}}
    login = client.post("/login", json={}, headers={"st-auth-mode": "cookie"}, **where)
    expiring.makes_expired_tokens = False
    cookies = [line.split(";")[0] for line in login.headers.getlist("Set-Cookie")]
    sent = {**NAVIGATES, "Cookie": "; ".join(cookies)}
    assert f"Path={mount}{base}/session/refresh" in login.headers.getlist("Set-Cookie")[1]
    carried = client.get("/page", headers=sent, **where)
    assert f'src="{mount}{base}/session/refresh.js?v=' in carried.text
    onwards = link_of(carried)
    path, _, query = onwards.partition("?")
    assert path == f"{mount}{base}/session/refresh/continue"
    back = client.get(f"{path.removeprefix(mount)}?{query}", headers=sent, **where)
    assert went_to(back) == (303, f"{mount}/page")
    assert went_to(client.get("/page", headers=NAVIGATES, **where)) == (
        302,
        f"{mount}/sign-in?next={(mount + '/page').replace('/', '%2F')}",
    )


def test_a_guard_before_every_request_lets_the_way_through_the_refresh_pass(
    make_app: AppFactory, expiring: ServedCore
) -> None:
    app = add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in", init=False))
    STSession(app)

    @app.before_request
    def guard() -> None:
        if request.path != "/login":
            load()

    load = verify_session()(lambda: None)
    visitor = Visitor(app)
    expiring.makes_expired_tokens = False
    carried = visitor.get("/page")
    with visitor.client.get("/auth/session/refresh.js") as script:
        assert script.status_code == 200
    assert went_to(visitor.get(link_of(carried))) == (303, "/page")
    assert visitor.get("/page").text == "the page of alice"
    app.extensions["stsession"].close()


def test_a_session_that_was_ended_elsewhere_is_not_taken_for_refreshed(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    settings: Any = {"login_url": "/sign-in", "check_database": True, "cdi_version": "5.6"}
    app = add_pages(make_app(connection_uri=served_core.url, **settings))
    visitor = Visitor(app)
    with make_app(connection_uri=served_core.url).app_context():
        revoke_all_sessions_for_user("alice")
    onwards = link_of(visitor.get("/page"))
    assert onwards == f"{CONTINUE}?next=%2Fpage&force=1"
    assert went_to(visitor.get(onwards)) == (302, "/sign-in?next=%2Fpage")
    assert visitor.tokens() == (None, None)


@pytest.mark.parametrize("is_script", [True, False])
def test_cookies_of_an_older_domain_are_cleared_on_the_way(
    make_app: AppFactory, expiring: ServedCore, is_script: bool
) -> None:
    app = add_pages(
        make_app(
            connection_uri=expiring.url,
            login_url="/sign-in",
            api_domain="http://app.localhost",
            cookie_domain="app.localhost",
            older_cookie_domain="",
        )
    )
    client = app.test_client(use_cookies=False)
    cookies = "sRefreshToken=a; sRefreshToken=b; sAccessToken=c"
    sent = {**NAVIGATES, "Cookie": cookies, "Host": "app.localhost"}
    if is_script:
        answer = client.post(CONTINUE, headers={**sent, **BY_SCRIPT})
        assert answer.status_code == 200
    else:
        answer = client.get(f"{CONTINUE}?next=/page", headers=sent)
        assert went_to(answer) == (303, "/page")
    assert [line.split(";")[0] for line in answer.headers.getlist("Set-Cookie")] == ["sRefreshToken="]


def test_what_signs_people_in_may_read_where_to_go(make_app: AppFactory) -> None:
    app = add_pages(make_app(login_url="/sign-in"))

    @app.post("/sign-in")
    @session_exempt
    def signing_in() -> Any:
        flask_stsession.create_new_session(request.form["user"])
        assert current_session.get_user_id() == "bob"
        return redirect(flask_stsession.next_url())

    visitor = Visitor(app, signed_in=False)
    to_login = visitor.get("/page").headers["Location"]
    back = visitor.post(to_login, {"user": "bob"})
    assert back.headers["Location"] == "/page"
    assert visitor.get("/page").text == "the page of bob"
