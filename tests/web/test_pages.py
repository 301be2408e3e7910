"""Server-rendered pages: verdicts lead browsers to the login page, or are shown as pages."""

from __future__ import annotations

from html import unescape
from typing import Any
from urllib.parse import urlencode

import flask_restful
import pytest
from flask import Flask, g, redirect, request
from support.app_factory import AppFactory
from support.pages_visitor import (
    BY_SCRIPT,
    CONTINUE,
    NAVIGATES,
    ON_PLAIN_HTTP,
    TRY_REFRESH,
    UNAUTHORISED,
    Visitor,
    add_pages,
    is_our_page,
    link_of,
    went_to,
)
from support.served_core import ServedCore
from werkzeug.exceptions import HTTPException

import flask_stsession
from flask_stsession import (
    SessionHTTPError,
    STSession,
    UnauthorisedError,
    create_new_session,
    current_session,
    next_url,
    revoke_all_sessions_for_user,
    session_exempt,
    verify_session,
)
from flask_stsession.claims import AuthTimeClaim


@pytest.fixture
def app(make_app: AppFactory, expiring: ServedCore) -> Flask:
    """Return an app with pages, whose access tokens expire at once."""
    return add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in"))


# Cookies that other sites keep back


def test_with_strict_cookies_a_link_from_another_site_is_requested_again_by_our_page(
    make_app: AppFactory,
) -> None:
    app = add_pages(make_app(login_url="/sign-in", cookie_same_site="strict"))
    visitor = Visitor(app, signed_in=False)
    from_a_mail = visitor.get("/page?a=1&b=2", Sec_Fetch_Site="cross-site")
    assert from_a_mail.status_code == 401
    assert '<meta http-equiv="refresh" content="0; url=/page?a=1&amp;b=2">' in from_a_mail.text
    assert link_of(from_a_mail) == "/page?a=1&b=2"
    assert "<script" not in from_a_mail.text
    assert went_to(visitor.get("/page?a=1&b=2")) == (302, "/sign-in?next=%2Fpage%3Fa%3D1%26b%3D2")


# A login that is too old


@pytest.fixture
def with_old_login(make_app: AppFactory) -> Visitor:
    """Return a browser that signed in too long ago for ``/fresh``."""
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


def test_after_a_new_login_the_requested_page_is_shown(make_app: AppFactory) -> None:
    app = add_pages(make_app(login_url="/sign-in", claims=[AuthTimeClaim]))

    @app.post("/grow-old")
    @verify_session()
    def grow_old() -> str:
        g.session.set_claim_value(AuthTimeClaim, g.session.get_claim_value(AuthTimeClaim) - 301)
        return "older"

    @app.post("/sign-in")
    def sign_in_again() -> Any:
        create_new_session(request.form["name"])
        return redirect(next_url(), 303)

    app.add_url_rule("/fresh", "fresh", verify_session(max_auth_age=300)(lambda: "fresh"))
    visitor = Visitor(app)
    assert visitor.get("/fresh?a=1").text == "fresh"
    visitor.post("/grow-old")
    login = "/sign-in?next=%2Ffresh%3Fa%3D1"
    assert went_to(visitor.get("/fresh?a=1")) == (302, login)
    assert went_to(visitor.post(login, {"name": "alice"})) == (303, "/fresh?a=1")
    assert visitor.get("/fresh?a=1").text == "fresh"


def test_a_login_page_that_redirects_signed_in_users_causes_no_loop(with_old_login: Visitor) -> None:
    assert went_to(with_old_login.get("/fresh"))[0] == 302
    again = with_old_login.get("/fresh")
    assert (again.status_code, again.mimetype) == (403, "text/html")
    assert went_to(with_old_login.get("/fresh?other"))[0] == 302


def test_a_login_that_is_too_old_is_a_403_beside_other_failures_and_for_apis(with_old_login: Visitor) -> None:
    assert with_old_login.get("/both").status_code == 403
    assert with_old_login.client.get("/fresh", headers=BY_SCRIPT).status_code == 403


# Without a session


@pytest.mark.parametrize("headers", [NAVIGATES, ON_PLAIN_HTTP])
def test_a_visitor_without_a_session_is_redirected_to_the_login_page_with_next(
    stranger: Visitor, headers: dict[str, str]
) -> None:
    response = stranger.client.get("/page?a=1&b=2", headers=headers)
    assert went_to(response) == (302, "/sign-in?next=%2Fpage%3Fa%3D1%26b%3D2")
    assert "Set-Cookie" not in response.headers
    assert went_to(stranger.client.post("/form", headers=headers)) == (303, "/sign-in?next=%2Fform")


@pytest.mark.parametrize("path", ["/form", f"{CONTINUE}?next=/form"])
def test_after_signing_in_a_form_that_has_no_page_of_its_own_leads_back_to_the_page_with_it(
    stranger: Visitor, path: str
) -> None:
    def target_after(page: str) -> str | None:
        return went_to(stranger.post(path, Referer=f"http://localhost{page}"))[1]

    assert target_after("/page?a=1") == "/sign-in?next=%2Fpage%3Fa%3D1"
    # There is no such page, or it is another site's.
    assert target_after("/form") == "/sign-in?next=%2Fform"
    assert went_to(stranger.post(path, Referer="http://else.example/page")) == (303, "/sign-in?next=%2Fform")


def test_after_signing_in_a_form_leads_to_the_page_that_has_its_url(app: Flask) -> None:
    @app.route("/notes", methods=["GET", "POST"])
    @verify_session()
    def notes() -> str:
        return "notes"

    stranger = Visitor(app, signed_in=False)
    response = stranger.post("/notes?a=1", Referer="http://localhost/page")
    assert went_to(response) == (303, "/sign-in?next=%2Fnotes%3Fa%3D1")


def test_below_a_mount_a_form_leads_back_to_its_page(app: Flask) -> None:
    response = app.test_client().post(
        "/form",
        headers={**NAVIGATES, "Referer": "http://localhost/below/page"},
        environ_overrides={"SCRIPT_NAME": "/below"},
    )
    assert went_to(response) == (303, "/below/sign-in?next=%2Fbelow%2Fpage")


def test_a_link_from_another_site_leads_to_the_login_page(stranger: Visitor) -> None:
    assert went_to(stranger.get("/page", Sec_Fetch_Site="cross-site")) == (302, "/sign-in?next=%2Fpage")


def test_a_session_that_has_ended_is_cleared_before_the_login_page(app: Flask, visitor: Visitor) -> None:
    with app.app_context():
        revoke_all_sessions_for_user("alice")
    onwards = link_of(visitor.get("/page?a=1"))
    ended = visitor.client.post(onwards, headers=BY_SCRIPT)
    assert (ended.status_code, ended.json) == (401, UNAUTHORISED)
    assert visitor.tokens() == (None, None)


@pytest.mark.parametrize("by", ["get", "post"])
def test_a_failed_refresh_leads_to_the_login_page(app: Flask, visitor: Visitor, by: str) -> None:
    with app.app_context():
        revoke_all_sessions_for_user("alice")
    response = getattr(visitor, by)(f"{CONTINUE}?next=/page%3Fa%3D1")
    assert went_to(response) == ({"get": 302, "post": 303}[by], "/sign-in?next=%2Fpage%3Fa%3D1")
    assert visitor.tokens() == (None, None)


def test_token_theft_clears_the_session_and_leads_to_the_login_page(
    visitor: Visitor, expiring: ServedCore
) -> None:
    _, stolen = visitor.tokens()
    visitor.get(f"{CONTINUE}?next=/page")
    visitor.get(f"{CONTINUE}?next=/page&force=1")  # the token of the first is used, and so is final
    assert stolen is not None
    visitor.client.set_cookie("sRefreshToken", stolen, path="/auth/session/refresh")
    response = visitor.get(f"{CONTINUE}?next=/page&force=1")
    assert went_to(response) == (302, "/sign-in?next=%2Fpage")
    assert visitor.tokens() == (None, None)


# The login page


def test_protect_leaves_the_login_page_open(make_app: AppFactory, expiring: ServedCore) -> None:
    app = add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in?from=app"))
    app.extensions["stsession"].protect(app, exempt=["login"])
    stranger = Visitor(app, signed_in=False)
    assert went_to(stranger.get("/page")) == (302, "/sign-in?from=app&next=%2Fpage")
    assert stranger.get("/sign-in?from=app&next=%2Fpage").text == "please sign in"


@pytest.mark.parametrize(
    ("login", "rule"),
    [
        ("/enter", "/enter/"),
        ("/enter", "/enter"),
        ("/enter#top", "/enter"),
        ("/anmelden-%C3%BC", "/anmelden-ü"),
        ("/anmelden-ü", "/anmelden-ü"),
        ("/log%20in", "/log in"),
        ("enter", "/enter/"),
    ],
)
def test_browsers_reach_the_login_page_and_post_its_form_however_its_url_is_written(
    make_app: AppFactory, login: str, rule: str
) -> None:
    app = add_pages(make_app(login_url=login))
    app.extensions["stsession"].protect(app)
    app.add_url_rule(rule, "enter", lambda: f"please sign in for {request.args['next']}")
    app.add_url_rule(rule, "do_sign_in", lambda: create_new_session("bob").get_user_id(), methods=["POST"])
    stranger = Visitor(app, signed_in=False)
    page = stranger.client.get("/page", headers=NAVIGATES, follow_redirects=True)
    assert page.text == "please sign in for /page"
    assert stranger.post(page.request.path).text == "bob"
    assert stranger.get("/page").text == "the page of bob"


def test_a_guarded_login_page_shows_401_and_is_not_redirected_to_itself(make_app: AppFactory) -> None:
    app = make_app(login_url="guarded")
    app.add_url_rule("/guarded", "guarded", verify_session()(lambda: "unseen"))
    response = Visitor(app, signed_in=False).get("/guarded")
    assert (response.status_code, response.mimetype) == (401, "text/html")


def test_a_login_page_with_an_optional_session_is_carried_without_a_link_to_itself(
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


def test_an_override_chooses_the_login_page_of_each_request(make_app: AppFactory) -> None:
    class Extension(STSession):
        def get_login_url(self) -> str | None:
            return {"a": "/login-a", "b": "user"}.get(request.args.get("brand", ""))

    app = add_pages(make_app(extension=Extension, login_url="/sign-in"))
    stranger = Visitor(app, signed_in=False)
    assert went_to(stranger.get("/page?brand=a")) == (302, "/login-a?next=%2Fpage%3Fbrand%3Da")
    assert went_to(stranger.get("/page?brand=b")) == (302, "/user?next=%2Fpage%3Fbrand%3Db")
    assert (stranger.get("/page").status_code, stranger.get("/page").json) == (401, UNAUTHORISED)


# 403 and 503


def test_403_and_503_of_a_navigation_are_flasks_own_pages_by_default(
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
def test_a_403_shows_the_apps_own_error_page(make_app: AppFactory, handles: Any) -> None:
    app = add_pages(make_app(login_url="/sign-in", cdi_version="5.6"))

    @app.errorhandler(handles)
    def mine(error: HTTPException) -> tuple[str, int]:
        return f"<p>mine: {error.code}", error.code or 0

    response = Visitor(app).get("/admin")
    assert (response.status_code, response.text) == (403, "<p>mine: 403")


@pytest.mark.parametrize(("status", "title"), [(418, "I'm a teapot"), (440, "Unknown Error")])
def test_a_configured_status_is_kept(make_app: AppFactory, status: int, title: str) -> None:
    app = add_pages(make_app(login_url="/sign-in", invalid_claim_status_code=status))
    response = Visitor(app).get("/admin")
    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert title in unescape(response.text)


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
def test_the_redirect_to_the_login_page_wins_over_the_apps_handler_of_401(
    make_app: AppFactory, handles: Any
) -> None:
    visitor = revoked(make_app, handles)
    assert went_to(visitor.get("/page")) == (302, "/sign-in?next=%2Fpage")
    assert visitor.tokens() == (None, None)


def test_the_redirect_to_the_login_page_wins_over_flask_restful(make_app: AppFactory) -> None:
    app = make_app(login_url="/sign-in")

    class Thing(flask_restful.Resource):  # type: ignore[misc]
        @verify_session()
        def get(self) -> dict[str, str]:
            return {}

    flask_restful.Api(app).add_resource(Thing, "/thing")
    stranger = Visitor(app, signed_in=False)
    assert went_to(stranger.get("/thing")) == (302, "/sign-in?next=%2Fthing")
    assert stranger.client.get("/thing").json == UNAUTHORISED


def test_a_guard_that_runs_before_our_hooks_redirects_the_first_request(make_app: AppFactory) -> None:
    app = make_app(login_url="/sign-in", init=False)
    app.before_request(verify_session()(lambda: None))
    STSession(app)
    assert went_to(Visitor(app, signed_in=False).get("/page")) == (302, "/sign-in?next=%2Fpage")
    app.extensions["stsession"].close()


@pytest.mark.parametrize("handles", [UnauthorisedError, SessionHTTPError])
def test_the_apps_handler_of_our_exceptions_wins_over_the_redirect(
    make_app: AppFactory, handles: Any
) -> None:
    visitor = revoked(make_app, handles)
    response = visitor.get("/page")
    assert (response.status_code, response.text) == (401, "mine")
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
def test_api_clients_get_json(app: Flask, visitor: Visitor, headers: dict[str, str]) -> None:
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
    response = app.test_client().get("/page", headers={**ON_PLAIN_HTTP, **bearer})
    assert went_to(response) == (302, "/sign-in?next=%2Fpage")


# htmx


def test_htmx_is_redirected_through_the_refresh_back_to_its_page(visitor: Visitor) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost/list?p=2", **BY_SCRIPT}
    response = visitor.client.get("/page", headers=htmx)
    assert (response.status_code, response.json) == (401, TRY_REFRESH)
    assert response.headers["HX-Redirect"] == f"{CONTINUE}?next=%2Flist%3Fp%3D2"
    assert went_to(visitor.get(response.headers["HX-Redirect"])) == (303, "/list?p=2")


def test_htmx_is_redirected_to_the_login_page(stranger: Visitor) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost/list", **BY_SCRIPT}
    response = stranger.client.get("/page", headers=htmx)
    assert (response.status_code, response.json) == (401, UNAUTHORISED)
    assert response.headers["HX-Redirect"] == "/sign-in?next=%2Flist"
    boosted = stranger.client.get("/page?a", headers={**htmx, "HX-Boosted": "true"})
    assert boosted.headers["HX-Redirect"] == "/sign-in?next=%2Fpage%3Fa"


def test_htmx_on_the_login_page_is_not_redirected(stranger: Visitor) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost/sign-in?next=%2F", **BY_SCRIPT}
    response = stranger.client.get("/page", headers=htmx)
    assert (response.status_code, response.headers.get("HX-Redirect")) == (401, None)


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
def test_fetches_of_turbo_and_unpoly_are_carried_by_redirects(
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
def test_the_whole_page_leaves_for_the_login_page_when_a_part_of_it_needs_a_session(
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
    response = stranger.client.get("/page", headers=on_login)
    assert (response.status_code, response.headers.get("X-Up-Target")) == (401, None)


def test_turbo_and_unpoly_get_403_as_a_page(visitor: Visitor) -> None:
    visitor.get(f"{CONTINUE}?next=/")
    for headers in (TURBO, FRAME, UNPOLY):
        forbidden = visitor.client.get("/admin", headers=headers)
        assert (forbidden.status_code, forbidden.mimetype) == (403, "text/html")


def test_a_prefetch_of_turbo_refreshes_nothing(visitor: Visitor) -> None:
    before = visitor.tokens()
    ahead = visitor.client.get("/page", headers={**TURBO, "X-Sec-Purpose": "prefetch"})
    assert (ahead.status_code, ahead.json) == (401, TRY_REFRESH)
    assert visitor.tokens() == before


def test_another_site_cannot_impersonate_turbo(visitor: Visitor) -> None:
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


def test_signing_out_by_a_form_leads_to_the_login_page(visitor: Visitor) -> None:
    away = visitor.post("/auth/signout")
    assert went_to(away) == (307, f"{CONTINUE}?next=%2Fauth%2Fsignout")
    back = visitor.post(away.headers["Location"])
    assert went_to(back) == (307, "/auth/signout")
    assert went_to(visitor.post("/auth/signout")) == (303, "/sign-in")
    assert visitor.tokens() == (None, None)
    assert went_to(visitor.post("/auth/signout")) == (303, "/sign-in")


# Settings


def test_a_login_view_redirects_back_to_next(make_app: AppFactory) -> None:
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
