"""Navigations with an expired access token are carried through the refresh and back to their target."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from support.app_factory import AppFactory
from support.pages_visitor import (
    BY_SCRIPT,
    CONTINUE,
    NAVIGATES,
    ON_PLAIN_HTTP,
    TRY_REFRESH,
    Visitor,
    add_pages,
    is_our_page,
    link_of,
    went_to,
)
from support.served_core import ServedCore

import flask_stsession
from flask_stsession import (
    STSession,
    revoke_all_sessions_for_user,
    signals,
    verify_session,
)

SCRIPT = Path(flask_stsession.__file__).parent / "web" / "static" / "refresh.js"


@pytest.fixture
def app(make_app: AppFactory, expiring: ServedCore) -> Flask:
    """Return an app with pages, whose access tokens expire at once."""
    return add_pages(make_app(connection_uri=expiring.url, login_url="/sign-in"))


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


def test_the_script_refreshes_by_a_fetch(visitor: Visitor) -> None:
    onwards = link_of(visitor.get("/page"))
    response = visitor.client.post(onwards, headers=BY_SCRIPT)
    assert (response.status_code, response.text) == (204, "")
    assert visitor.get("/page").text == "the page of alice"


def test_several_tabs_refresh_only_once(visitor: Visitor, app: Flask) -> None:
    refreshed: list[object] = []

    def note(sender: Flask, **_: object) -> None:
        refreshed.append(sender)

    onwards = [link_of(visitor.get(url)) for url in ("/page", "/page?2", "/page?3")]
    with signals.session_refreshed.connected_to(note, app):
        assert [visitor.client.post(url, headers=BY_SCRIPT).status_code for url in onwards] == [204] * 3
    assert len(refreshed) == 1


def test_on_plain_http_accept_and_origin_stand_in_for_sec_fetch_headers(visitor: Visitor) -> None:
    carried = visitor.client.get("/page", headers=ON_PLAIN_HTTP)
    assert is_our_page(carried)
    assert carried.headers["Referrer-Policy"] == "same-origin"
    by_link = {**ON_PLAIN_HTTP, "Referer": "http://localhost/page"}
    assert went_to(visitor.client.get(link_of(carried), headers=by_link)) == (303, "/page")
    by_script = {"Accept": "application/json", "Origin": "http://localhost"}
    assert visitor.client.post(link_of(carried), headers=by_script).status_code == 204


def test_head_and_prefetches_refresh_nothing(visitor: Visitor) -> None:
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
    """Collect elements with their attributes."""

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


def test_the_page_has_every_element_that_the_script_looks_for(visitor: Visitor) -> None:
    page = visitor.get("/page").text
    script = SCRIPT.read_text(encoding="utf-8")
    wanted = re.findall(r'\("#(\w+)', script)
    assert set(wanted) == {"message", "retry", "back", "carry"}
    assert all(f'id="{each}"' in page for each in wanted)
    assert 'data-login="/sign-in?next=%2Fpage"' in page
    assert not re.search(r"https?:|innerHTML|eval|\.style", script)


def test_the_script_is_cached_for_a_year(visitor: Visitor) -> None:
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


def test_without_script_the_page_redirects_only_once(visitor: Visitor) -> None:
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
    response = visitor.post(path, {"a": "b"}, **headers)
    assert (response.status_code, response.mimetype) == (401, "text/html")
    assert "Location" not in response.headers
    assert visitor.tokens() == before


def test_a_form_of_another_site_is_not_redirected_to_the_login_page(stranger: Visitor) -> None:
    response = stranger.post("/form", Sec_Fetch_Site="cross-site", Origin="http://evil.example")
    assert (response.status_code, response.mimetype) == (401, "text/html")


def test_no_other_site_causes_a_refresh(visitor: Visitor) -> None:
    before = visitor.tokens()
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
        response = visitor.get(f"{CONTINUE}?next=/page", **headers)
        assert (response.status_code, response.mimetype) == (401, "text/html")
    by_script = visitor.client.post(CONTINUE, headers={"Origin": "http://evil.example"})
    assert (by_script.status_code, by_script.json) == (401, TRY_REFRESH)
    assert visitor.tokens() == before


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "evil", ""]
)
def test_the_refresh_never_redirects_to_another_site(visitor: Visitor, target: str) -> None:
    response = visitor.client.get(CONTINUE, query_string={"next": target}, headers=NAVIGATES)
    assert went_to(response) == (303, "/")


@pytest.mark.parametrize("path", ["/form", f"{CONTINUE}?next=/form"])
def test_a_form_that_hides_its_origin_is_carried_only_with_sec_fetch_site(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    before = visitor.tokens()
    hidden = {**ON_PLAIN_HTTP, "Origin": "null"}
    refused = visitor.client.post(path, headers=hidden)
    assert (refused.status_code, refused.mimetype) == (401, "text/html")
    assert "write 'Referrer-Policy: same-origin'." in caplog.text
    assert visitor.tokens() == before
    assert visitor.post(path, Origin="null").status_code == 307


# Large forms, long URLs, downloads


def test_a_form_larger_than_max_content_length_gets_413(app: Flask, visitor: Visitor) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    assert went_to(visitor.post("/form", {"text": "a" * 900}))[0] == 307
    for path in ("/form", f"{CONTINUE}?next=/form"):
        too_large = visitor.post(path, {"text": "a" * 1000})
        assert (too_large.status_code, too_large.mimetype) == (413, "text/html")
    assert visitor.post(f"{CONTINUE}?next=/form", {"text": "a" * 900}).status_code == 307


LONG = "/page?q=" + "a" * 2700


def test_a_long_url_is_carried_without_a_next(visitor: Visitor) -> None:
    carried = visitor.get(LONG)
    assert f'data-continue="{CONTINUE}"' in carried.text
    assert visitor.client.post(CONTINUE, headers=BY_SCRIPT).status_code == 204
    assert visitor.get(LONG).text == "the page of alice"


def test_without_script_the_referer_names_a_long_url(visitor: Visitor) -> None:
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
def test_the_next_of_a_long_url_is_its_path(stranger: Visitor, length: int, then: str) -> None:
    assert went_to(stranger.get("/page?q=" + "a" * length)) == (302, f"/sign-in?next=%2Fpage{then}")


def test_a_long_path_leads_to_the_login_page_without_next(app: Flask, stranger: Visitor) -> None:
    app.add_url_rule("/<path:path>", "any", verify_session()(lambda path: path))
    assert went_to(stranger.get("/" + "a" * 2700)) == (302, "/sign-in")


def test_a_download_is_carried_by_redirects(visitor: Visitor) -> None:
    saves = {"Sec_Fetch_Dest": "empty"}
    away = visitor.get("/page", **saves)
    assert went_to(away) == (307, f"{CONTINUE}?next=%2Fpage")
    assert went_to(visitor.get(away.headers["Location"], **saves)) == (307, "/page")
    assert visitor.get("/page", **saves).text == "the page of alice"


def test_a_form_that_comes_back_is_carried_once_more_only_if_cookies_were_kept(visitor: Visitor) -> None:
    back = {"Referer": "http://localhost/"}
    held = visitor.tokens()
    again = visitor.post(f"{CONTINUE}?next=/form", **back)
    assert went_to(again) == (307, f"{CONTINUE}?next=%2Fform&kept=1")
    assert went_to(visitor.post(again.headers["Location"], **back)) == (307, "/form")
    assert visitor.post("/form").status_code == 200
    visitor.client.set_cookie("sAccessToken", held[0] or "")
    assert went_to(visitor.post(again.headers["Location"], **back)) == (303, "/sign-in?next=%2Fform")


# Settings


def test_without_our_refresh_route_an_expired_session_leads_to_the_login_page(
    make_app: AppFactory, expiring: ServedCore
) -> None:
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
def test_navigations_of_mounted_apps_are_carried(
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


def test_a_guard_before_every_request_does_not_stop_the_refresh(
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


def test_a_valid_token_that_the_core_refuses_is_refreshed(
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
def test_cookies_of_an_older_domain_are_cleared_by_the_refresh(
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
        response = client.post(CONTINUE, headers={**sent, **BY_SCRIPT})
        assert response.status_code == 200
    else:
        response = client.get(f"{CONTINUE}?next=/page", headers=sent)
        assert went_to(response) == (303, "/page")
    assert [line.split(";")[0] for line in response.headers.getlist("Set-Cookie")] == ["sRefreshToken="]
