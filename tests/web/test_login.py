"""Signing in and signing out: what goes to the client, and what never must."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from support.answers import cleared, cookie_header, cookies_of, is_untouched, says, set_cookies
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import (
    STSession,
    create_new_session,
    current_session,
    get_session,
    sign_out,
    verify_session,
)
from flask_stsession.claims import BooleanClaim
from flask_stsession.errors import ConfigError, CoreError, CoreUnavailableError

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}
REMOVE = "POST /recipe/session/remove"
REFRESH_PATH = "/auth/session/refresh"
USAGE = (
    "create_new_session(user_id, *, tenant_id=None, recipe_user_id=None, access_token_payload=None, "
    "session_data_in_database=None, disable_anti_csrf=None, remember=None, allow_cross_site=False, "
    "keep_previous=False, access_token_validity_seconds=None)"
)


# Creating


@pytest.mark.parametrize("user_id", [None, 7, "", b"alice", ["alice"]])
def test_a_user_id_that_is_not_a_string_is_refused_with_the_remedy(
    stsession: STSession, user_id: Any
) -> None:
    for create in (stsession.create_new_session, stsession.create_new_session_without_request_response):
        with pytest.raises(TypeError) as caught:
            create(user_id)
        assert str(caught.value) == (
            f"user_id must be a non-empty str, not {user_id!r}: write str(user.id) for a number."
        )


def test_arguments_in_another_sdks_order_are_refused_with_our_spelling(stsession: STSession) -> None:
    supertokens_python: Any = stsession.create_new_session
    with pytest.raises(TypeError) as caught:
        supertokens_python("request", "public", "alice", {}, {})
    assert str(caught.value) == (
        f"create_new_session() takes only user_id as a positional argument: write {USAGE}. Unlike in "
        "supertokens-python, the current request is used."
    )


def test_only_the_current_request_is_accepted(app: Flask, stsession: STSession) -> None:
    wrong: Any = {"my": "request"}
    with app.test_request_context(), pytest.raises(TypeError) as caught:
        stsession.refresh_session(wrong)
    assert str(caught.value) == (
        "{'my': 'request'} is not the current request, the only one that can be answered. Omit the "
        "argument; the current request is used."
    )


def test_an_unconfigured_app_on_a_public_host_refuses_its_first_session_with_the_line_to_add(
    app: Flask,
) -> None:
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login", base_url="http://shop.example.com")
    assert str(caught.value) == (
        "A session was asked for on the public host 'shop.example.com', but STSESSION_API_DOMAIN is not set, "
        "which is for local development only. Add this line before init_app: "
        'app.config["STSESSION_API_DOMAIN"] = "http://shop.example.com"'
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:5000",
        "https://app.localhost",
        "http://127.0.0.1:5000",
        "http://[::1]:5000",
        "http://192.168.1.7",
        "http://10.0.0.3:8080",
        "http://web:8000",
        "http://shop.test",
        "http://host.docker.internal:5000",
    ],
)
def test_an_unconfigured_app_works_on_a_private_network(app: Flask, origin: str) -> None:
    answer = app.test_client().post("/login", base_url=origin, headers=BY_COOKIE)
    assert answer.status_code == 200
    assert ("Secure" in set_cookies(answer)["sAccessToken"]) == origin.startswith("https")


def through_a_proxy(origin: str) -> str:
    host = origin.partition("://")[2]
    return (
        f"A session was asked for through a proxy, for the host {host!r}, but STSESSION_API_DOMAIN is not "
        "set, which is for local development only. Add this line before init_app, with the scheme and host "
        f'that browsers use: app.config["STSESSION_API_DOMAIN"] = "{origin}"'
    )


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Prefix", "X-Real-IP"])
@pytest.mark.parametrize("origin", ["https://web:8000", "http://shop.test", "http://shop.localhost:5000"])
def test_an_unconfigured_app_behind_a_proxy_works_on_loopback_only(
    app: Flask, header: str, origin: str
) -> None:
    app.testing = True
    client = app.test_client()
    forwarded = {**BY_COOKIE, header: "192.168.1.7"}
    assert client.post("/login", base_url="http://127.0.0.1:5000", headers=forwarded).status_code == 200
    with pytest.raises(ConfigError) as caught:
        client.post("/login", base_url=origin, headers=forwarded)
    assert str(caught.value) == through_a_proxy(origin)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-For": "203.0.113.7:4711, 10.0.0.2"},
        {"X-Real-IP": "2001:db8::7"},
        {"Forwarded": 'for="[2001:db8::7]:4711"'},
        {"Forwarded": "for=10.0.0.2, FOR=203.0.113.7;proto=https"},
        {"X-Forwarded-Host": "localhost", "X-Forwarded-For": "203.0.113.7"},
    ],
)
@pytest.mark.parametrize("origin", ["http://127.0.0.1:5000", "http://localhost"])
def test_an_unconfigured_app_refuses_internet_clients_behind_a_proxy(
    app: Flask, headers: dict[str, str], origin: str
) -> None:
    """nginx gives the address of the app as Host, unless it is told otherwise."""
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login", base_url=origin, headers={**BY_COOKIE, **headers})
    assert str(caught.value) == through_a_proxy(origin)


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"X-Forwarded-Host": "shop.example.com"}, "http://shop.example.com"),
        (
            {"X-Forwarded-Host": "shop.example.com, web", "X-Forwarded-Proto": "https, http"},
            "https://shop.example.com",
        ),
        ({"Forwarded": "for=192.0.2.1;HOST=shop.example.com;proto=https"}, "https://shop.example.com"),
        ({"Forwarded": 'for="[2001:db8::1]", host="shop.example.com:8443"'}, "http://shop.example.com:8443"),
        ({"X-Forwarded-Host": "shop.example.com", "X-Forwarded-Proto": "ftp"}, "http://shop.example.com"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "web:8000"])
def test_a_proxy_in_front_of_an_unconfigured_app_does_not_hide_a_public_host(
    app: Flask, host: str, headers: dict[str, str], origin: str
) -> None:
    app.testing = True
    with pytest.raises(ConfigError) as caught:
        app.test_client().post("/login", base_url=f"http://{host}", headers={**BY_COOKIE, **headers})
    assert "on the public host 'shop.example.com" in str(caught.value)
    assert f'app.config["STSESSION_API_DOMAIN"] = "{origin}"' in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "localhost:3000", "X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "192.168.1.7, ::1", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "shop.test"},
        {"Forwarded": 'for=127.0.0.1;host="localhost:3000";proto=http'},
        {"Forwarded": "for=unknown;;, by=_hidden"},
        {"X-Forwarded-Host": ""},
    ],
)
def test_an_unconfigured_app_works_behind_the_proxy_of_a_developer(
    app: Flask, headers: dict[str, str]
) -> None:
    answer = app.test_client().post("/login", base_url="http://127.0.0.1", headers={**BY_COOKIE, **headers})
    assert answer.status_code == 200


def test_the_suggested_line_is_sufficient(make_app: AppFactory) -> None:
    app = make_app(api_domain="https://shop.example.com")
    answer = app.test_client().post("/login", base_url="https://shop.example.com", headers=BY_COOKIE)
    assert answer.status_code == 200


def test_cookies_that_browsers_would_drop_are_refused_and_headers_are_allowed(make_app: AppFactory) -> None:
    app = make_app(api_domain="http://api.example.com", website_domain="http://www.example.org")
    app.testing = True
    client = app.test_client()
    with pytest.raises(ConfigError) as caught:
        client.post("/login", headers=BY_COOKIE)
    assert str(caught.value) == (
        "The session's cookies would be SameSite none without Secure, which browsers do not keep (API: "
        "http://api.example.com, website: http://www.example.org). Serve both over https and say so in "
        "STSESSION_API_DOMAIN and STSESSION_WEBSITE_DOMAIN, or put both on one site, or write "
        'STSESSION_TOKEN_TRANSFER_METHOD = "header".'
    )
    assert client.post("/login", headers=BY_HEADER).status_code == 200


FORGOTTEN = (
    "The tokens of a new session are sent in headers, because POST '/login' has no header st-auth-mode. "
    'Write fetch(url, {headers: {"st-auth-mode": "cookie"}}) to make the browser keep them, or "header" if '
    "the client keeps them itself."
)


@pytest.mark.parametrize(
    ("headers", "settings", "is_warned"),
    [
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}, {}, True),
        ({"Origin": "http://localhost"}, {}, True),
        ({"Origin": "http://localhost", "st-auth-mode": "header"}, {}, False),
        ({"Origin": "http://localhost"}, {"token_transfer_method": "header"}, False),
        ({"Origin": "http://localhost"}, {"token_transfer_method": "cookie"}, False),
        ({"Origin": "http://localhost"}, {"token_transfer_method": lambda *_: "header"}, False),
        ({}, {}, False),
    ],
)
def test_a_script_without_st_auth_mode_is_warned_of(
    make_app: AppFactory,
    headers: dict[str, str],
    settings: dict[str, Any],
    is_warned: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_app(**settings).test_client().post("/login", headers=headers)
    assert caplog.messages == ([FORGOTTEN] if is_warned else [])


IN_TESTS = (
    " In a test, post the fields of the login form, or sign the client in by "
    "flask_stsession.testing.login(client, user_id)."
)


@pytest.mark.parametrize(("flag", "remedy"), [("debug", ""), ("testing", IN_TESTS)])
def test_in_development_any_client_without_st_auth_mode_is_warned_of(
    app: Flask, flag: str, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    setattr(app, flag, True)
    client = app.test_client()
    token = client.post("/login").headers["st-access-token"]
    assert caplog.messages == [FORGOTTEN + remedy]
    client.post("/login", headers={"Authorization": f"Bearer {token}"})  # knows by now how it travels
    assert caplog.messages == [FORGOTTEN + remedy]


def test_header_tokens_for_a_client_that_accepts_pages_are_warned_of(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answer = app.test_client().post("/login", headers={"Accept": "text/html,*/*"})
    assert "st-access-token" in answer.headers
    assert caplog.messages == [
        "The tokens of a new session are sent in headers to a client that accepts text/html. A browser "
        "without a SuperTokens SDK does not keep them: for such clients, set "
        "STSESSION_TOKEN_TRANSFER_METHOD = 'cookie'."
    ]


@pytest.mark.parametrize("remember", [True, False])
def test_cookies_that_end_with_the_browser_stay_so_across_refreshes_and_changes(
    app: Flask, remember: bool
) -> None:
    @app.post("/merge")
    @verify_session()
    def merge() -> dict[str, str]:
        g.session.merge_into_access_token_payload({"a": 1})
        return {}

    @app.post("/login-and-merge")
    def login_and_merge() -> dict[str, str]:
        create_new_session("alice", remember=remember).merge_into_access_token_payload({"b": 2})
        return {}

    client = app.test_client()
    answers = [client.post("/login", headers=BY_COOKIE, json={"remember": remember})]
    answers.append(client.post(REFRESH_PATH))
    answers.append(client.post("/merge"))
    answers.append(client.post(REFRESH_PATH))
    answers.append(app.test_client().post("/login-and-merge", headers=BY_COOKIE))
    for answer in answers:
        assert answer.status_code == 200
        for line in set_cookies(answer).values():
            assert ("Expires=" in line) == remember
            assert "Max-Age" not in line


def test_a_view_that_signs_in_again_and_then_ends_the_old_session_keeps_the_new_one(app: Flask) -> None:
    @app.post("/again")
    @verify_session()
    def again() -> dict[str, str]:
        old = g.session
        new = create_new_session("bob", keep_previous=True)
        old.merge_into_access_token_payload({"late": True})
        old.revoke_session()
        return {"handle": new.get_handle()}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    new = client.post("/again", headers=BY_COOKIE)
    assert new.status_code == 200
    assert client.get("/user").get_json()["payload"]["sessionHandle"] == new.get_json()["handle"]
    assert client.post(REFRESH_PATH).status_code == 200


@pytest.mark.parametrize(("mode", "other"), [(BY_COOKIE, "header"), (BY_HEADER, "cookie")])
def test_a_new_session_clears_the_tokens_of_the_other_method(
    app: Flask, mode: dict[str, str], other: str
) -> None:
    client = app.test_client(use_cookies=False)
    old = {"Authorization": "Bearer x"} if other == "header" else cookie_header(sAccessToken="x")
    answer = client.post("/login", headers={**mode, **old})
    assert answer.headers["front-token"] != "remove"
    if other == "header":
        assert answer.headers["st-access-token"] == answer.headers["st-refresh-token"] == ""
    else:
        assert cookies_of(answer) == {"sAccessToken": "", "sRefreshToken": ""}


# Signing out


@pytest.fixture
def leaving(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app with a view that signs out whoever asks."""
    app = make_app(connection_uri=served_core.url)

    @app.post("/leave")
    def leave() -> dict[str, str]:
        sign_out()
        return {"status": "bye"}

    return app


@pytest.mark.parametrize("by", ["cookie", "header"])
@pytest.mark.parametrize("is_expired", [False, True])
def test_signing_out_ends_the_session_even_if_its_token_has_expired(
    leaving: Flask, served_core: ServedCore, by: str, is_expired: bool
) -> None:
    client = leaving.test_client(use_cookies=False)
    served_core.makes_expired_tokens = is_expired
    created = client.post("/login", headers={"st-auth-mode": by})
    served_core.makes_expired_tokens = False
    if by == "cookie":
        sent = cookie_header(**cookies_of(created))
    else:
        sent = {"Authorization": f"Bearer {created.headers['st-access-token']}"}
    assert client.get("/user", headers=sent).status_code == (401 if is_expired else 200)
    answer = client.post("/leave", headers=sent)
    assert says(answer) == (200, {"status": "bye"})
    assert cleared(answer) == {by}
    with leaving.app_context():
        assert leaving.extensions["stsession"].get_all_session_handles_for_user("alice") == []


@pytest.mark.parametrize("allowed", ["cookie", "header"])
def test_signing_out_ends_no_session_whose_token_came_by_a_method_that_is_not_allowed(
    make_app: AppFactory, allowed: str
) -> None:
    app = make_app(token_transfer_method=allowed)
    app.add_url_rule("/leave", view_func=lambda: {"ended": sign_out()}, methods=["POST"])
    client = app.test_client(use_cookies=False)
    created = client.post("/login")
    if allowed == "cookie":
        sent = {"Authorization": f"Bearer {cookies_of(created)['sAccessToken']}"}
    else:
        sent = cookie_header(sAccessToken=created.headers["st-access-token"])
    assert client.post("/leave", headers=sent).get_json() == {"ended": False}
    with app.app_context():
        assert app.extensions["stsession"].get_all_session_handles_for_user("alice") != []


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer garbage"}, cookie_header(sAccessToken="x")]
)
def test_signing_out_without_a_session_clears_everything_and_is_no_error(
    leaving: Flask, served_core: ServedCore, headers: dict[str, str]
) -> None:
    answer = leaving.test_client(use_cookies=False).post("/leave", headers=headers)
    assert says(answer) == (200, {"status": "bye"})
    assert cleared(answer) == {"cookie", "header"}
    assert not served_core.counted()


def test_signing_out_by_a_forged_token_ends_no_session(leaving: Flask, served_core: ServedCore) -> None:
    client = leaving.test_client(use_cookies=False)
    token = client.post("/login", headers=BY_HEADER).headers["st-access-token"]
    signed, _, signature = token.rpartition(".")
    forged = f"{signed}.{signature[::-1]}"
    answer = client.post("/leave", headers={"Authorization": f"Bearer {forged}"})
    assert says(answer) == (200, {"status": "bye"})
    assert client.get("/user", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert not served_core.counted()[REMOVE]


def test_signing_out_while_the_core_is_down_is_503_and_clears_nothing(
    leaving: Flask, served_core: ServedCore
) -> None:
    client = leaving.test_client()
    client.post("/login", headers=BY_COOKIE)
    client.get("/user")
    served_core.kill()
    for path in ("/leave", "/auth/signout"):
        answer = client.post(path)
        assert says(answer) == (503, {"message": "session service unavailable"})
        assert is_untouched(answer)
    served_core.start()
    assert says(client.post("/auth/signout")) == (200, {"status": "OK"})


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_after_signing_out_the_rest_of_the_request_has_no_session(make_app: AppFactory, version: str) -> None:
    leaving = make_app(cdi_version=version)

    @leaving.post("/leave-and-look")
    @verify_session()
    def leave_and_look() -> dict[str, Any]:
        sign_out()
        return {
            "g": g.session is not None,
            "current": bool(current_session),
            "again": create_new_session("bob").get_user_id(),
        }

    client = leaving.test_client()
    client.post("/login", headers=BY_COOKIE)
    answer = client.post("/leave-and-look", headers=BY_COOKIE)
    assert answer.status_code == 200
    assert answer.get_json() == {"g": False, "current": False, "again": "bob"}
    assert client.get("/user").get_json()["userId"] == "bob"


def test_the_sign_out_route_requires_a_session(app: Flask) -> None:
    answer = app.test_client().post("/auth/signout")
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_untouched(answer)


def test_the_sign_out_route_runs_no_validators(make_app: AppFactory) -> None:
    claim = BooleanClaim("2fa", lambda *_: False)
    app = make_app(global_claim_validators=[claim.validators.is_true()])
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/user").status_code == 403
    answer = client.post("/auth/signout")
    assert says(answer) == (200, {"status": "OK"})
    assert cleared(answer) == {"cookie"}


# Signing in anew


def sessions_of(app: Flask, user_id: str) -> list[str]:
    with app.app_context():
        handles: list[str] = app.extensions["stsession"].get_all_session_handles_for_user(user_id)
        return handles


@pytest.mark.parametrize("state", ["verified", "peeked", "unused", "expired"])
@pytest.mark.parametrize("method", ["cookie", "header"])
def test_a_new_session_keeps_the_transfer_method_of_the_one_it_replaces(
    make_app: AppFactory, served_core: ServedCore, method: str, state: str
) -> None:
    app = make_app(connection_uri=served_core.url)

    @app.post("/again")
    def again() -> dict[str, str]:
        if state == "verified":
            get_session()
        assert state != "peeked" or current_session
        return {"handle": create_new_session("alice").get_handle()}

    client = app.test_client()
    if state == "expired":
        served_core.core.offset = -7200
    first = client.post("/login", headers={"st-auth-mode": method})
    served_core.core.offset = 0
    bearer = {"Authorization": f"Bearer {first.headers['st-access-token']}"} if method == "header" else {}
    second = client.post("/again", headers=bearer)
    assert bool(set_cookies(second)) is (method == "cookie")
    assert ("st-refresh-token" in second.headers) is (method == "header")
    assert sessions_of(app, "alice") == [second.get_json()["handle"]]


def test_a_client_may_ask_for_another_transfer_method_than_before(app: Flask) -> None:
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    switched = client.post("/login", headers=BY_HEADER)
    assert switched.headers["st-refresh-token"]
    assert client.get_cookie("sAccessToken") is None
    assert sessions_of(app, "alice") == [switched.get_json()["handle"]]


@pytest.mark.parametrize("before", [None, True, False])
@pytest.mark.parametrize("asked", [None, True, False])
def test_a_new_session_keeps_remember_of_the_one_it_replaces_by_default(
    app: Flask, before: bool | None, asked: bool | None
) -> None:
    client = app.test_client()
    if before is not None:
        client.post("/login", headers=BY_COOKIE, json={"remember": before})
    options = {} if asked is None else {"remember": asked}
    answer = client.post("/login", headers=BY_COOKIE, json=options)
    expected = before is not False if asked is None else asked
    assert [("Expires=" in line) for line in set_cookies(answer).values()] == [expected, expected]


def test_the_session_of_another_user_is_replaced_too_unless_keep_previous_is_set(app: Flask) -> None:
    client = app.test_client()
    alice = client.post("/login", headers=BY_COOKIE).get_json()["handle"]
    bob = client.post("/login", json={"userId": "bob", "keep_previous": True}).get_json()["handle"]
    assert (sessions_of(app, "alice"), sessions_of(app, "bob")) == ([alice], [bob])
    client.post("/login", json={"userId": "carol"})
    assert (sessions_of(app, "alice"), sessions_of(app, "bob")) == ([alice], [])


def test_signing_in_twice_in_one_request_leaves_one_session(app: Flask) -> None:
    @app.post("/twice")
    def twice() -> dict[str, str]:
        create_new_session("alice")
        return {"handle": create_new_session("alice").get_handle()}

    answer = app.test_client().post("/twice", headers=BY_COOKIE)
    assert sessions_of(app, "alice") == [answer.get_json()["handle"]]


def test_a_forged_token_ends_no_session_and_chooses_no_method(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    first = client.post("/login", headers=BY_HEADER)
    forged = first.headers["st-access-token"][:-9] + "AAAAAAAAA"
    second = client.post("/login", headers={"Cookie": f"sAccessToken={forged}"})
    assert "st-access-token" in second.headers
    assert len(sessions_of(app, "alice")) == 2


def test_a_login_succeeds_even_if_the_replaced_session_cannot_be_ended(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    class Unlucky(STSession):
        def revoke_session(self, handle: str) -> bool:
            raise CoreUnavailableError("it is down")

    app = make_app(extension=Unlucky)
    client = app.test_client()
    old = client.post("/login", headers=BY_COOKIE).get_json()["handle"]
    assert client.post("/login").status_code == 200
    assert client.get("/user").status_code == 200
    assert f"Session {old!r} has been replaced, but could not be ended: it is down" in caplog.messages


# Signing out by a token that cannot be verified


@pytest.fixture
def rotated(make_app: AppFactory) -> tuple[Flask, FlaskClient, TestResponse]:
    """An app whose core no longer has the key that signed the client's access token."""
    app = make_app(token_transfer_method="any")
    seen: list[bool] = []

    @app.post("/leave")
    def leave() -> dict[str, bool]:
        seen.append(sign_out())
        return {"ended": seen[-1]}

    client = app.test_client(use_cookies=False)
    return app, client, client.post("/login", headers=BY_COOKIE)


def unverifiable(login: TestResponse) -> str:
    """The access token under a key that nobody has."""
    head, payload, _ = cookies_of(login)["sAccessToken"].split(".")
    return f"{head}.{payload}.{'A' * 342}"


@pytest.mark.parametrize("path", ["/leave", "/auth/signout"])
@pytest.mark.parametrize("refresh_by", ["cookie", "header"])
def test_a_refresh_token_ends_a_session_whose_access_token_cannot_be_verified(
    rotated: tuple[Flask, FlaskClient, TestResponse], path: str, refresh_by: str
) -> None:
    app, client, login = rotated
    token = cookies_of(login)["sRefreshToken"]
    cookie = f"sAccessToken={unverifiable(login)}"
    headers = {"Cookie": cookie}
    if refresh_by == "cookie":
        headers["Cookie"] += f"; sRefreshToken={token}"
    else:
        headers["Authorization"] = f"Bearer {token}"
    answer = client.post(path, headers=headers)
    assert answer.get_json() == ({"ended": True} if path == "/leave" else {"status": "OK"})
    assert sessions_of(app, "alice") == []
    assert cleared(answer)


def test_signing_out_logs_that_it_could_not_end_the_session(
    rotated: tuple[Flask, FlaskClient, TestResponse], caplog: pytest.LogCaptureFixture
) -> None:
    app, client, login = rotated
    headers = {"Cookie": f"sAccessToken={unverifiable(login)}"}
    answer = client.post("/leave", headers=headers)
    handle = login.get_json()["handle"]
    assert answer.get_json() == {"ended": False}
    assert cleared(answer)
    assert sessions_of(app, "alice") == [handle]
    assert (
        f"Signed out on the client only: the access token of session {handle!r} can no longer be verified, "
        "so the session was not ended in the core. It ends there unless it is refreshed. Use "
        "revoke_session(handle) to end it now."
    ) in caplog.messages
    refused = client.post("/auth/signout", headers=headers)
    assert says(refused) == (401, {"message": "try refresh token"})


def test_signing_out_returns_true_where_no_session_is_left(app: Flask) -> None:
    @app.post("/leave")
    def leave() -> dict[str, bool]:
        return {"ended": sign_out()}

    client = app.test_client()
    assert client.post("/leave").get_json() == {"ended": True}
    client.post("/login", headers=BY_COOKIE)
    assert client.post("/leave").get_json() == {"ended": True}
    assert client.post("/leave", headers={"Authorization": "Bearer garbage"}).get_json() == {"ended": True}


# The life of the first access token


@pytest.mark.parametrize("in_request", [True, False])
def test_the_first_access_token_may_have_a_shorter_lifetime(make_app: AppFactory, in_request: bool) -> None:
    app = make_app(cdi_version="5.6")
    ext: STSession = app.extensions["stsession"]
    with app.test_request_context("/login", method="POST"):
        create = ext.create_new_session if in_request else ext.create_new_session_without_request_response
        session = create("alice", access_token_validity_seconds=60)
        payload = session.get_access_token_payload()
        assert 30 <= payload["exp"] - payload["iat"] <= 60  # the core takes off some, at random
        with pytest.raises(CoreError, match="accessTokenValidity must be greater than 0 and at most"):
            create("alice", access_token_validity_seconds=10**9)


def test_an_older_cdi_version_cannot_shorten_a_lifetime_and_creates_no_session(
    make_app: AppFactory,
) -> None:
    app = make_app(cdi_version="5.4")
    ext: STSession = app.extensions["stsession"]
    with app.test_request_context("/login", method="POST"):
        with pytest.raises(ConfigError) as caught:
            ext.create_new_session("alice", access_token_validity_seconds=60)
        assert ext.list_sessions("alice") == []
    assert str(caught.value) == (
        "access_token_validity_seconds= needs CDI 5.6, and CDI 5.4 is spoken with the core. Set "
        'STSESSION_CDI_VERSION = "5.6", after reading what that means for lost responses and for several '
        "tabs, or configure access_token_validity in the core."
    )
