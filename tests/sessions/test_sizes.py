"""Access tokens that are too large for a cookie or a header, on every path that can make them grow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, g
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import STSession, create_new_session, verify_session
from flask_stsession.claims import PrimitiveClaim
from flask_stsession.errors import ConfigError, UnauthorisedError

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}


@pytest.fixture
def core(served_core: ServedCore) -> ServedCore:
    return served_core


@pytest.fixture
def watched(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """Return an app on the core that counts."""
    return make_app(connection_uri=served_core.url)


@pytest.fixture
def ext(watched: Flask) -> Iterator[STSession]:
    """Provide its extension object, in an app context."""
    with watched.app_context():
        yield watched.extensions["stsession"]


def add_growing_views(app: Flask) -> None:
    @app.post("/create/<int:size>")
    def create(size: int) -> dict[str, str]:
        create_new_session(
            "alice", access_token_payload={"little": 1, "large": "x" * size, "larger": "y" * size}
        )
        return {}

    @app.post("/merge/<int:size>")
    @verify_session()
    def merge(size: int) -> dict[str, str]:
        g.session.merge_into_access_token_payload({"large": "x" * size})
        return {}

    app.testing = True


def test_large_response_headers_are_a_warning_once_with_the_remedy(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    add_growing_views(app)
    for _ in range(2):
        assert app.test_client().post("/create/600", headers=BY_COOKIE).status_code == 200
    [message] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert message == (
        "The access token and the front-token of a session have about 4874 bytes together. By default, "
        "nginx returns 502 for a response with 4096 bytes of headers: raise its proxy_buffer_size (and "
        "uwsgi_buffer_size) to 16k. Browsers keep no cookie beyond 4096 bytes. Largest keys of the payload: "
        "'larger' (612 bytes), 'large' (611 bytes), 'iss' (30 bytes). Keep large values in "
        "session_data_in_database."
    )


def test_sixty_permissions_are_a_warning(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @app.post("/admin")
    def admin() -> dict[str, str]:
        permissions = [f"resource-{number}:write" for number in range(60)]
        create_new_session("alice", access_token_payload={"st-perm": {"v": permissions, "t": 1}})
        return {}

    response = app.test_client().post("/admin", headers=BY_COOKIE)
    sent = sum(len(name) + len(value) + 4 for name, value in response.headers)
    assert sent > 4096
    assert "nginx" in caplog.text


def test_no_warning_about_tokens_of_usual_size(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    add_growing_views(app)
    response = app.test_client().post("/create/100", headers=BY_COOKIE)
    assert sum(len(name) + len(value) + 4 for name, value in response.headers) < 4096
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_token_by_header_may_be_larger_than_a_cookie(app: Flask) -> None:
    add_growing_views(app)
    answer = app.test_client().post("/create/2500", headers=BY_HEADER)
    assert answer.status_code == 200
    assert len(answer.headers["st-access-token"]) > 4096


def test_a_session_whose_token_fits_into_no_cookie_is_not_created(watched: Flask, core: ServedCore) -> None:
    add_growing_views(watched)
    with pytest.raises(ConfigError) as caught:
        watched.test_client().post("/create/1500", headers=BY_COOKIE)
    assert str(caught.value) == (
        "The access token would have about 5062 bytes, more than a cookie can hold (3988). Nothing was "
        "written. Largest keys of the payload: 'larger' (1512 bytes), 'large' (1511 bytes), "
        "'iss' (30 bytes). Keep large values in session_data_in_database, or send tokens by header "
        "(STSESSION_TOKEN_TRANSFER_METHOD)."
    )
    assert not core.counted()


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ({"user_id": "u" * 4000}, "user_id"),
        ({"user_id": "alice", "recipe_user_id": "r" * 4000}, "recipe_user_id"),
    ],
)
def test_a_long_id_is_named_where_it_makes_the_token_too_large(
    ext: STSession, core: ServedCore, ids: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        ext.create_new_session_without_request_response(**ids, access_token_payload={"own": "x" * 3000})
    assert str(caught.value).endswith(
        f"Nothing was written. Its {named} alone has 4002 bytes: use a shorter one, or raise "
        "STSESSION_MAX_ACCESS_TOKEN_BYTES."
    )
    assert not core.counted()


def test_a_session_whose_token_is_too_large_for_a_header_is_not_created(
    watched: Flask, core: ServedCore
) -> None:
    add_growing_views(watched)
    with pytest.raises(ConfigError) as caught:
        watched.test_client().post("/create/4000", headers=BY_HEADER)
    assert str(caught.value) == (
        "The access token would have about 11728 bytes, more than a header can hold (8192). Nothing was "
        "written. Largest keys of the payload: 'larger' (4012 bytes), 'large' (4011 bytes), "
        "'iss' (30 bytes). Keep large values in session_data_in_database, or raise "
        "STSESSION_MAX_ACCESS_TOKEN_BYTES."
    )
    assert not core.counted()


def test_the_limit_for_headers_is_a_setting_and_such_tokens_verify(make_app: AppFactory) -> None:
    app = make_app(max_access_token_bytes=40_000)
    add_growing_views(app)
    client = app.test_client(use_cookies=False)
    token = client.post("/create/10000", headers=BY_HEADER).headers["st-access-token"]
    assert len(token) > 16 * 1024
    for _ in range(2):
        assert client.get("/user", headers={"Authorization": f"Bearer {token}"}).status_code == 200


class Paths:
    """Every way to let a session by cookie or by header grow by 20 KB."""

    def __init__(self, watched: Flask, transfer: dict[str, str]) -> None:
        self.app = watched
        self.ext: STSession = watched.extensions["stsession"]
        self.claim: PrimitiveClaim[str] = PrimitiveClaim("large", lambda *_: "x" * 20_000)
        watched.testing = True
        watched.add_url_rule("/grow/<name>", "grow", verify_session()(self.grow), methods=["POST"])
        self.client = watched.test_client(use_cookies=False)
        login = self.client.post("/login", headers=transfer)
        self.handle = login.get_json()["handle"]
        if transfer == BY_HEADER:
            self.headers = {"Authorization": f"Bearer {login.headers['st-access-token']}"}
        else:
            lines = [line.partition(";")[0] for line in login.headers.getlist("Set-Cookie")]
            self.headers = {"Cookie": "; ".join(lines)}

    def grow(self, name: str) -> dict[str, str]:
        ext, session, claim, handle = self.ext, g.session, self.claim, self.handle
        ways: dict[str, Callable[[], object]] = {
            "merge": lambda: session.merge_into_access_token_payload({"large": "x" * 20_000}),
            "set": lambda: session.set_claim_value(claim, "x" * 20_000),
            "fetch": lambda: session.fetch_and_set_claim(claim),
            "refetch": lambda: session.assert_claims([claim.validators.has_value("")]),
            "merge by handle": lambda: ext.merge_into_access_token_payload(handle, {"large": "x" * 20_000}),
            "set by handle": lambda: ext.set_claim_value(claim, "x" * 20_000, session_handle=handle),
            "fetch by handle": lambda: ext.fetch_and_set_claim(claim, session_handle=handle),
            "validate by handle": lambda: ext.validate_claims_for_session_handle(
                handle, override_global_claim_validators=lambda *_: [claim.validators.has_value("")]
            ),
        }
        ways[name]()
        return {}


@pytest.mark.parametrize("transfer", [BY_COOKIE, BY_HEADER], ids=["cookie", "header"])
@pytest.mark.parametrize(
    "name",
    [
        "merge",
        "set",
        "fetch",
        "refetch",
        "merge by handle",
        "set by handle",
        "fetch by handle",
        "validate by handle",
    ],
)
def test_no_path_lets_a_token_grow_beyond_the_limit(
    watched: Flask, core: ServedCore, ext: STSession, transfer: dict[str, str], name: str
) -> None:
    paths = Paths(watched, transfer)
    with pytest.raises(ConfigError, match=r"Nothing was written\. Largest keys of the payload: 'large'"):
        paths.client.post(f"/grow/{name}", headers=paths.headers)
    asked = core.counted()
    assert not asked["POST /recipe/session/regenerate"]
    assert not asked["PUT /recipe/jwt/data"]
    assert "large" not in stored(ext, paths.handle)


def test_by_handle_a_session_whose_token_fits_into_no_cookie_counts_as_one_by_header(
    ext: STSession, watched: Flask
) -> None:
    add_growing_views(watched)
    by_header = watched.test_client(use_cookies=False).post("/create/2000", headers=BY_HEADER)
    handle = ext.verify_access_token(by_header.headers["st-access-token"]).get_handle()
    assert ext.merge_into_access_token_payload(handle, {"more": "x" * 100}) is True
    assert stored(ext, handle)["more"] == "x" * 100


@pytest.mark.parametrize(("allowed", "is_refused"), [("header", False), ("cookie", True), ("any", True)])
def test_by_handle_the_allowed_transfer_method_decides(
    make_app: AppFactory, allowed: str, is_refused: bool
) -> None:
    app = make_app(token_transfer_method=allowed, api_domain="http://localhost")
    ext: STSession = app.extensions["stsession"]
    with app.app_context():
        handle = ext.create_new_session_without_request_response("alice").get_handle()
        if is_refused:
            with pytest.raises(ConfigError, match="Nothing was written"):
                ext.merge_into_access_token_payload(handle, {"large": "x" * 3_000})
        else:
            assert ext.merge_into_access_token_payload(handle, {"large": "x" * 3_000}) is True


@pytest.mark.parametrize("size", [6_000, 30_000])
@pytest.mark.parametrize("transfer", ["cookie", "header"])
def test_a_session_that_grew_too_large_elsewhere_is_ended_and_its_largest_keys_are_named(
    watched: Flask, ext: STSession, transfer: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    client = watched.test_client()
    login = client.post("/login", headers={"st-auth-mode": transfer})
    handle = login.get_json()["handle"]
    ext.manager.client.update_access_token_payload(handle, {"large": "x" * size, "little": 1})
    headers = {}
    if transfer == "header":
        headers = {"Authorization": f"Bearer {login.headers['st-refresh-token']}"}
    caplog.clear()
    response = client.post("/auth/session/refresh", headers=headers)
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})
    assert response.headers["front-token"] == "remove"
    assert ext.get_session_information(handle) is None
    [error] = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert error.startswith(f"Session {handle!r} of user 'alice' was ended: its access token has ")
    assert error.endswith(
        f"Another program has written its payload. Largest keys: 'large' ({size + 11} bytes), "
        "'little' (11 bytes). Keep large values in session_data_in_database."
    )
    assert client.post("/auth/session/refresh", headers=headers).status_code == 401


def stored(ext: STSession, handle: str) -> dict[str, Any]:
    """Return the payload that the core holds."""
    found = ext.get_session_information(handle)
    assert found is not None
    return found.custom_claims_in_access_token_payload


def test_a_merge_after_which_the_token_fits_into_no_cookie_changes_nothing(
    watched: Flask, core: ServedCore, ext: STSession
) -> None:
    add_growing_views(watched)
    client = watched.test_client()
    handle = client.post("/login", headers=BY_COOKIE, json={"userId": "alice"}).get_json()["handle"]
    core.counted()
    with pytest.raises(ConfigError, match="Nothing was written"):
        client.post("/merge/3000")
    assert set(core.counted()) <= {"GET /.well-known/jwks.json", "GET /recipe/session"}
    found = ext.get_session_information(handle)
    assert found is not None
    assert found.custom_claims_in_access_token_payload == {"iss": "http://localhost/auth"}
    assert "large" not in client.get("/user").get_json()["payload"]


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀", '"'])
@pytest.mark.parametrize("user_id", ["a", "a" * 128])
def test_no_cookie_that_browsers_would_drop_is_ever_sent(app: Flask, letter: str, user_id: str) -> None:
    """Grow the payload until it is refused: the last that passed must fit."""

    @app.post("/grow/<int:size>")
    def grow(size: int) -> dict[str, str]:
        create_new_session(user_id, access_token_payload={"text": letter * size})
        return {}

    app.testing = True
    client = app.test_client()
    width = len(f"{letter}".encode()) + (letter == '"')
    passed, refused = 0, 4096 // width
    longest = ""
    while refused - passed > 4:
        middle = (passed + refused) // 2
        try:
            answer = client.post(f"/grow/{middle}", headers=BY_COOKIE)
        except ConfigError:
            refused = middle
            continue
        passed = middle
        longest = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith("sAccessToken="))
    assert 3850 < len(longest) <= 4096


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀", '"'])
@pytest.mark.parametrize("transfer", ["cookie", "header"])
def test_the_session_of_the_longest_user_id_that_passes_can_be_refreshed(
    make_app: AppFactory, letter: str, transfer: str
) -> None:
    app = make_app(max_access_token_bytes=65536)

    @app.post("/create/<int:length>")
    def create(length: int) -> dict[str, str]:
        return {"handle": create_new_session(letter * length).get_handle()}

    app.testing = True
    client = app.test_client()
    passed, refused = 1, 4096
    while refused - passed > 8:
        middle = (passed + refused) // 2
        try:
            client.post(f"/create/{middle}", headers={"st-auth-mode": transfer})
            passed = middle
        except ConfigError:
            refused = middle
    answer = client.post(f"/create/{passed}", headers={"st-auth-mode": transfer})
    for _ in range(2):
        token = answer.headers.get("st-refresh-token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = client.post("/auth/session/refresh", headers=headers)
        assert answer.status_code == 200
        assert all(len(line) <= 4096 for line in answer.headers.getlist("Set-Cookie"))


def test_a_user_id_that_is_too_long_for_a_refresh_token_is_refused_with_the_remedy(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    app = make_app(connection_uri=served_core.url, max_access_token_bytes=65536)
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login", headers=BY_HEADER, json={"userId": "a" * 3000})
    assert str(caught.value) == (
        "The user id has 3000 characters, so the refresh token would have about 4597 bytes, more than "
        "4096. Nothing was written. Use a shorter user id."
    )
    assert not served_core.counted()


@pytest.mark.parametrize(
    ("allowed", "limit"),
    [("cookie", r"a cookie can hold \(3988\)"), ("header", r"a header can hold \(8192\)")],
)
def test_without_a_request_the_limit_is_that_of_the_apps_transfer_method(
    make_app: AppFactory, allowed: str, limit: str
) -> None:
    app = make_app(token_transfer_method=allowed, api_domain="http://localhost")
    ext: STSession = app.extensions["stsession"]
    with app.app_context():
        session = ext.create_new_session_without_request_response("alice")
        token = session.get_all_session_tokens_dangerously()["refreshToken"]
        ext.manager.client.update_access_token_payload(session.get_handle(), {"large": "x" * 12_000})
        with pytest.raises(UnauthorisedError, match=f"more than {limit}"):
            ext.refresh_session_without_request_response(token)
