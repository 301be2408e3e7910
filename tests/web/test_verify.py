"""Verifying the session of a request: every kind of token under every kind of guard."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask, g, request
from flask.testing import FlaskClient
from support.answers import cleared, cookies_of, is_untouched, says
from support.app_factory import AppFactory
from support.clients import signed_in
from support.served_core import ServedCore

from flask_stsession import STSession, current_session, get_session, verify_session
from flask_stsession.claims import AuthTimeClaim
from flask_stsession.errors import ConfigError, TryRefreshTokenError
from flask_stsession.multitenancy import create_or_update_tenant, delete_tenant

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}
VERIFY = "POST /recipe/session/verify"

NOBODY: Any = (200, {"session": False})
ALICE: Any = (200, {"session": True})
UNAUTHORISED: Any = (401, {"message": "unauthorised"})
TRY_REFRESH: Any = (401, {"message": "try refresh token"})


@pytest.fixture
def guarded(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app with views that ask for a session in all the ways there are."""
    app = make_app(connection_uri=served_core.url, cdi_version="5.6")

    def who() -> dict[str, bool]:
        return {"session": g.session is not None}

    kinds: dict[str, dict[str, Any]] = {
        "required": {},
        "optional": {"session_required": False},
        "ignored": {"session_required": False, "ignore_invalid": True},
        "database": {"check_database": True},
    }
    for name, options in kinds.items():
        app.add_url_rule(f"/{name}", name, verify_session(**options)(who))
    by_database = verify_session(check_database=True)
    app.add_url_rule("/twice", "twice", by_database(by_database(who)))
    app.add_url_rule("/then", "then", verify_session()(by_database(who)))

    @app.get("/stubborn")
    @verify_session()
    def stubborn() -> dict[str, int]:
        refused = 0
        for _ in range(2):
            try:
                get_session(check_database=True)
            except TryRefreshTokenError:
                refused += 1
        return {"refused": refused}

    return app


@pytest.mark.parametrize(
    ("kind", "required", "optional", "ignored"),
    [
        ("none", UNAUTHORISED, NOBODY, NOBODY),
        ("garbage", UNAUTHORISED, NOBODY, NOBODY),
        ("foreign", UNAUTHORISED, NOBODY, NOBODY),
        ("expired", TRY_REFRESH, TRY_REFRESH, NOBODY),
        ("forged", TRY_REFRESH, TRY_REFRESH, NOBODY),
        ("good", ALICE, ALICE, ALICE),
    ],
)
def test_each_kind_of_guard_has_its_verdict_on_each_kind_of_token(
    guarded: Flask, served_core: ServedCore, kind: str, required: Any, optional: Any, ignored: Any
) -> None:
    client = guarded.test_client(use_cookies=False)
    token = token_of_kind(kind, client, served_core)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for path, expected in (("/required", required), ("/optional", optional), ("/ignored", ignored)):
        answer = client.get(path, headers=headers)
        assert says(answer) == expected
        assert is_untouched(answer)


def token_of_kind(kind: str, client: FlaskClient, core: ServedCore) -> str | None:
    if kind == "none":
        return None
    if kind == "garbage":
        return "gärbage"
    if kind == "foreign":
        return "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    core.makes_expired_tokens = kind == "expired"
    good = client.post("/login", headers=BY_HEADER).headers["st-access-token"]
    core.makes_expired_tokens = False
    signed, _, signature = good.rpartition(".")
    return f"{signed}.{signature[::-1]}" if kind == "forged" else good


def test_a_revoked_session_counts_as_none_if_invalid_ones_are_ignored(guarded: Flask) -> None:
    client = guarded.test_client(use_cookies=False)
    headers = {
        "Authorization": f"Bearer {client.post('/login', headers=BY_HEADER).headers['st-access-token']}"
    }
    with guarded.app_context():
        guarded.extensions["stsession"].revoke_all_sessions_for_user("alice")
    assert says(client.get("/required", headers=headers)) == UNAUTHORISED
    assert says(client.get("/optional", headers=headers)) == UNAUTHORISED
    answer = client.get("/ignored", headers=headers)
    assert says(answer) == NOBODY
    assert is_untouched(answer)


@pytest.mark.parametrize("path", ["/database", "/twice", "/then"])
def test_the_database_is_asked_once_per_request_however_many_guards_need_it(
    guarded: Flask, served_core: ServedCore, path: str
) -> None:
    client = guarded.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert says(client.get("/required")) == ALICE
    served_core.counted()
    assert says(client.get(path)) == ALICE
    assert served_core.counted() == {VERIFY: 1}


@pytest.mark.parametrize("path", ["/database", "/twice", "/then"])
def test_a_later_guard_finds_out_that_the_session_has_ended(
    guarded: Flask, make_app: AppFactory, served_core: ServedCore, path: str
) -> None:
    client = guarded.test_client()
    client.post("/login", headers=BY_COOKIE)
    elsewhere = make_app(name="elsewhere", connection_uri=served_core.url)
    with elsewhere.app_context():
        elsewhere.extensions["stsession"].revoke_all_sessions_for_user("alice")
    assert says(client.get("/required")) == ALICE
    answer = client.get(path)
    assert says(answer) == TRY_REFRESH
    assert is_untouched(answer)
    assert says(client.get("/stubborn")) == (200, {"refused": 2})


def test_the_core_refuses_a_token_that_it_never_signed(make_app: AppFactory, served_core: ServedCore) -> None:
    """The token is good by our keys, but has expired by the core's clock."""
    app = make_app(connection_uri=served_core.url, cdi_version="5.4", check_database=True)
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    served_core.core.offset = 7200.0
    answer = client.get("/user")
    assert says(answer) == TRY_REFRESH
    assert is_untouched(answer)


@pytest.mark.parametrize("offset", [-600.0, 600.0])
def test_a_core_whose_clock_differs_does_no_harm(
    make_app: AppFactory, served_core: ServedCore, offset: float
) -> None:
    served_core.core.offset = offset
    client = make_app(connection_uri=served_core.url).test_client()
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/user").status_code == 200
    assert client.post("/auth/session/refresh").status_code == 200
    payload = client.get("/user").get_json()["payload"]
    assert payload["iat"] == pytest.approx(time.time() + offset, abs=5)


OTHER_TENANT = (
    403,
    {
        "message": "invalid claim",
        "claimValidationErrors": [
            {
                "id": "st-tenant",
                "reason": {"message": "wrong value", "expectedValue": "acme", "actualValue": "public"},
            }
        ],
    },
)


def test_a_session_of_another_tenant_is_refused_but_not_cleared(make_app: AppFactory) -> None:
    class ByHost(STSession):
        def get_tenant_id(self) -> str | None:
            return request.host.partition(".")[0] if "." in request.host else None

    app = make_app(extension=ByHost)

    @app.get("/acme")
    @verify_session(tenant="acme")
    def acme() -> dict[str, str]:
        return {"tenant": g.session.get_tenant_id()}

    with app.app_context():
        create_or_update_tenant("acme")
    client = app.test_client(use_cookies=False)
    public = {"Authorization": f"Bearer {client.post('/login').headers['st-access-token']}"}
    login = client.post("/login", json={"tenant_id": "acme"})
    of_acme = {"Authorization": f"Bearer {login.headers['st-access-token']}"}
    assert says(client.get("/acme", headers=of_acme)) == (200, {"tenant": "acme"})
    answer = client.get("/acme", headers=public)
    assert says(answer) == OTHER_TENANT
    assert is_untouched(answer)
    assert client.get("/user", headers=of_acme, base_url="http://acme.localhost").status_code == 200
    answer = client.get("/user", headers=public, base_url="http://acme.localhost")
    assert says(answer) == OTHER_TENANT
    assert is_untouched(answer)


def test_tenant_ids_are_compared_without_case(make_app: AppFactory) -> None:
    class ByHeader(STSession):
        def get_tenant_id(self) -> str | None:
            return request.headers.get("X-Tenant")

    app = make_app(extension=ByHeader)
    app.add_url_rule("/acme", "acme", verify_session(tenant="ACME")(lambda: {"ok": True}))
    with app.app_context():
        create_or_update_tenant("Acme")
    client = signed_in(app, tenant_id="ACME")
    assert client.get("/acme").status_code == 200
    assert client.get("/user", headers={"X-Tenant": "Acme"}).status_code == 200
    assert client.get("/user", headers={"X-Tenant": "Other"}).status_code == 403
    assert signed_in(app).get("/acme").status_code == 403


@pytest.mark.parametrize("options", [{"roles": "admin"}, {"permissions": "write"}])
def test_a_guard_that_asks_for_roles_ends_a_session_of_a_deleted_tenant(
    make_app: AppFactory, options: dict[str, Any]
) -> None:
    app = make_app()

    @app.get("/guarded")
    @verify_session(**options, max_age_in_sec=0)
    def guarded() -> dict[str, bool]:
        return {"guarded": True}

    with app.app_context():
        create_or_update_tenant("acme")
    client = app.test_client()
    client.post("/login", json={"tenant_id": "acme"}, headers=BY_COOKIE)
    with app.app_context():
        delete_tenant("acme")
    answer = client.get("/guarded")
    assert says(answer) == UNAUTHORISED
    assert cleared(answer) == {"cookie", "header"}


def test_a_login_that_is_too_long_ago_is_an_invalid_claim(make_app: AppFactory) -> None:
    app = make_app(claims=[AuthTimeClaim])

    @app.get("/recent/<int:seconds>")
    def recent(seconds: int) -> dict[str, bool]:
        return guard(seconds)

    def guard(seconds: int) -> dict[str, bool]:
        answer: dict[str, bool] = verify_session(max_auth_age=seconds)(lambda: {"session": True})()
        return answer

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert says(client.get("/recent/100")) == ALICE
    time.sleep(1.05)
    answer = client.get("/recent/0")
    assert answer.status_code == 403
    [error] = answer.get_json()["claimValidationErrors"]
    assert error["id"] == "st-auth-time"
    assert error["reason"]["message"] == "expired"
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/recent/0").status_code == 403


def test_max_auth_age_needs_auth_time_claim(app: Flask) -> None:
    app.testing = True

    @app.get("/recent")
    @verify_session(max_auth_age=10)
    def recent() -> dict[str, str]:
        return {}

    client = app.test_client()
    with pytest.raises(ConfigError):
        client.get("/user")
    with pytest.raises(ConfigError) as caught:  # every time, whichever route is asked for
        client.get("/nowhere")
    assert str(caught.value) == (
        "max_auth_age= needs the time of the login in the session: STSession(claims=[AuthTimeClaim])."
    )


@pytest.mark.parametrize(("method", "reason"), [("cookie", "wrong_transfer"), ("header", "wrong_transfer")])
def test_a_token_by_a_method_that_is_not_allowed_is_unauthorised_and_says_why(
    make_app: AppFactory, method: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="flask_stsession")
    token = make_app().test_client().post("/login", headers=BY_HEADER).headers["st-access-token"]
    client = make_app(name="strict", token_transfer_method=method).test_client(use_cookies=False)
    by_header = {"Authorization": f"Bearer {token}"}
    by_cookie = {"Cookie": f"sAccessToken={token}"}
    assert says(client.get("/user", headers=by_header if method == "cookie" else by_cookie)) == UNAUTHORISED
    assert caplog.messages[-1] == (
        "401 for GET '/user': The access token came by a transfer method that "
        f"STSESSION_TOKEN_TRANSFER_METHOD does not allow. ({reason})"
    )
    assert client.get("/user", headers=by_cookie if method == "cookie" else by_header).status_code == 200


def test_several_invalid_cookies_count_as_none(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    answer = client.get("/user", headers={"Cookie": "sAccessToken=a; sAccessToken=b"})
    assert says(answer) == UNAUTHORISED
    assert is_untouched(answer)


def test_get_session_returns_none_for_a_preflight(app: Flask) -> None:
    @app.route("/pre", methods=["OPTIONS"], provide_automatic_options=False)
    def pre() -> dict[str, bool]:
        return {"session": get_session(session_required=False) is not None}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert says(client.options("/pre")) == NOBODY


def test_a_payload_changed_between_two_requests_shows_in_the_cookie_once(app: Flask) -> None:
    @app.post("/touch")
    @verify_session()
    def touch() -> dict[str, str]:
        g.session.merge_into_access_token_payload({"touched": True})
        return {}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert list(cookies_of(client.post("/touch"))) == ["sAccessToken"]
    assert is_untouched(client.get("/user"))


def test_an_unchanged_session_that_an_override_returns_is_not_sent_again(make_app: AppFactory) -> None:
    class Peeking(STSession):
        def get_session(self, *_: Any, **__: Any) -> Any:
            return current_session._get_current_object()  # type: ignore[attr-defined]

    client = make_app(extension=Peeking).test_client()
    client.post("/login", headers=BY_COOKIE)
    answer = client.get("/user")
    assert answer.status_code == 200
    assert is_untouched(answer)


def test_an_override_set_on_the_object_itself_takes_effect(make_app: AppFactory) -> None:
    app = make_app(token_transfer_method="cookie")
    ext: STSession = app.extensions["stsession"]
    client = app.test_client()
    client.post("/login")
    ext.get_tenant_id = lambda: "other"  # type: ignore[method-assign]
    assert client.get("/user").status_code == 403


@pytest.mark.parametrize(
    ("method", "anti_csrf_check", "status"),
    [
        ("GET", None, 200),
        ("GET", False, 200),
        ("GET", True, 401),
        ("POST", None, 401),
        ("POST", True, 401),
        ("POST", False, 200),
    ],
)
def test_a_guard_decides_whether_anti_csrf_is_checked(
    make_app: AppFactory, method: str, anti_csrf_check: bool | None, status: int
) -> None:
    app = make_app(anti_csrf="VIA_CUSTOM_HEADER")

    @app.route("/checked", methods=["GET", "POST"])
    @verify_session(anti_csrf_check=anti_csrf_check)
    def checked() -> str:
        return "passed"

    client = signed_in(app)
    assert client.open("/checked", method=method).status_code == status
    assert client.open("/checked", method=method, headers={"rid": "any"}).status_code == 200


# A second guard of the same request


def verified() -> str:
    return "verified"


@pytest.mark.parametrize("first", ["optional", "current_session", "lax"])
def test_a_second_guard_checks_anti_csrf_that_the_first_did_not(make_app: AppFactory, first: str) -> None:
    app = make_app(anti_csrf="VIA_CUSTOM_HEADER")
    before: dict[str, Any] = {
        "optional": verify_session(anti_csrf_check=False, session_required=False)(verified),
        "current_session": lambda: str(bool(current_session)),
        "lax": verify_session(anti_csrf_check=False)(verified),
    }
    second = verify_session()(lambda: {"user": g.session.get_user_id()})

    @app.post("/guarded-twice")
    def guarded_twice() -> Any:
        before[first]()
        return second()

    client = signed_in(app)
    refused = client.post("/guarded-twice")
    assert (refused.status_code, refused.get_json()) == (401, {"message": "try refresh token"})
    assert client.post("/guarded-twice", headers={"rid": "anything"}).get_json() == {"user": "alice"}


@pytest.mark.parametrize("first", ["required", "optional", "current_session"])
def test_a_second_guard_checks_the_tenant_that_the_first_did_not(app: Flask, first: str) -> None:
    before: dict[str, Any] = {
        "required": verify_session()(verified),
        "optional": verify_session(session_required=False)(verified),
        "current_session": lambda: str(bool(current_session)),
    }
    guards = {tenant: verify_session(tenant=tenant)(lambda: {"ok": True}) for tenant in ("acme", "public")}

    @app.get("/of/<tenant>")
    def of(tenant: str) -> Any:
        before[first]()
        return guards[tenant]()

    client = signed_in(app)
    refused = client.get("/of/acme")
    assert refused.status_code == 403
    assert [each["id"] for each in refused.get_json()["claimValidationErrors"]] == ["st-tenant"]
    assert client.get("/of/public").get_json() == {"ok": True}


def test_the_tenant_of_a_guard_wins_over_the_tenant_of_the_app(make_app: AppFactory) -> None:
    class OfPublic(STSession):
        def get_tenant_id(self) -> str:
            return "public"

    app = make_app(extension=OfPublic)
    with app.app_context():
        create_or_update_tenant("acme")
    app.add_url_rule("/acme", "acme", verify_session(tenant="acme")(lambda: {"ok": True}))
    of_acme, of_public = signed_in(app, tenant_id="acme"), signed_in(app)
    assert of_acme.get("/acme").get_json() == {"ok": True}
    assert of_public.get("/acme").status_code == 403
    assert (of_acme.get("/user").status_code, of_public.get("/user").status_code) == (403, 200)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_of_the_header_is_case_insensitive(app: Flask, scheme: str) -> None:
    client = app.test_client()
    tokens = client.post("/login", headers=BY_HEADER).headers
    by_header = {"Authorization": f"{scheme} {tokens['st-access-token']}"}
    assert client.get("/user", headers=by_header).get_json()["userId"] == "alice"
    assert client.post("/user", headers=by_header).status_code == 200
    refresh = {"Authorization": f"{scheme} {tokens['st-refresh-token']}"}
    assert client.post("/auth/session/refresh", headers=refresh).status_code == 200
    assert client.post("/auth/signout", headers=by_header).get_json() == {"status": "OK"}
