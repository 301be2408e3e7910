"""``flask_stsession.testing``: test clients with real sessions of every kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from support.app_factory import AppFactory

from flask_stsession import STSession, current_session, get_session_information, verify_session
from flask_stsession.claims import BooleanClaim, PrimitiveClaim, UserRoleClaim
from flask_stsession.testing import (
    STSessionClient,
    STSessionClientMixin,
    TestCore,
    end,
    expire,
    login,
    logout,
)

pytestmark = pytest.mark.embedded_core

TRY_REFRESH = {"message": "try refresh token"}
UNAUTHORISED = {"message": "unauthorised"}
PlanClaim = PrimitiveClaim("plan", lambda user_id, tenant_id, user_context: "free")
SecondFactorClaim = BooleanClaim("2fa", lambda user_id, tenant_id, user_context: False)

#: Settings under which tokens travel in different ways.
WAYS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "by header only": {"token_transfer_method": "header"},
    "by cookie only": {"token_transfer_method": "cookie"},
    "pages": {"login_url": "/login"},
    "anti-csrf token": {"anti_csrf": "VIA_TOKEN"},
    "a website on another site": {
        "api_domain": "https://api.example.com",
        "website_domain": "https://www.example.org",
    },
    "prefix and path": {"cookie_prefix": "shop_", "api_base_path": "/st", "api_gateway_path": "/gateway"},
    "partitioned": {
        "api_domain": "https://api.example.com",
        "website_domain": "https://www.example.org",
        "cookie_partitioned": True,
    },
    "checked in the core": {"check_database": True},
    "cdi 5.6": {"cdi_version": "5.6"},
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def client(make_app: AppFactory, request: pytest.FixtureRequest) -> FlaskClient:
    app = make_app(**request.param)
    app.testing = True
    return app.test_client()


@pytest.fixture
def app(make_app: AppFactory) -> Flask:
    """Return an app with views for roles, permissions and claims."""
    app = make_app(claims=[PlanClaim, SecondFactorClaim])
    app.testing = True

    @app.get("/admins")
    @verify_session(roles="admin")
    def admins() -> dict[str, Any]:
        return {"roles": g.session.get_claim_value(UserRoleClaim)}

    @app.get("/editors")
    @verify_session(permissions="page:edit")
    def editors() -> str:
        return "may edit"

    @app.get("/editors-now")
    @verify_session(permissions="page:edit", max_age_in_sec=0)
    def editors_now() -> str:
        return "may edit, says the core now"

    return app


def user_of(client: FlaskClient) -> Any:
    """Return the user that the app sees, or the status of its refusal."""
    response = client.get("/user", headers={"Sec-Fetch-Mode": "cors"})
    return response.get_json()["userId"] if response.status_code == 200 else response.status_code


def payload_of(client: FlaskClient) -> dict[str, Any]:
    payload: dict[str, Any] = client.get("/user").get_json()["payload"]
    return payload


# Signing in and out, however tokens travel


def test_a_client_is_signed_in_until_it_signs_out(client: FlaskClient) -> None:
    assert user_of(client) == 401
    session = login(client, "alice")
    assert user_of(client) == "alice"
    assert client.post("/user").status_code == 200
    with client.application.app_context():
        assert get_session_information(session.get_handle()) is not None
        assert logout(client) is True
        assert get_session_information(session.get_handle()) is None
    assert user_of(client) == 401
    assert logout(client) is True


def test_another_login_replaces_the_session_of_the_client(client: FlaskClient) -> None:
    first = login(client, "alice")
    login(client, "bob")
    assert user_of(client) == "bob"
    with client.application.app_context():
        assert get_session_information(first.get_handle()) is None


def test_two_clients_have_a_session_each(client: FlaskClient) -> None:
    other = client.application.test_client()
    login(client, "alice")
    login(other, "bob")
    assert (user_of(client), user_of(other)) == ("alice", "bob")


def test_an_expired_token_is_refused(client: FlaskClient) -> None:
    login(client, "alice")
    expire(client)
    response = client.get("/user", headers={"Sec-Fetch-Mode": "cors"})
    assert (response.status_code, response.get_json()) == (401, TRY_REFRESH)


def test_a_session_that_ended_elsewhere_cannot_be_refreshed(make_app: AppFactory) -> None:
    client = make_app().test_client()
    login(client, "alice")
    end(client)
    assert user_of(client) == "alice"
    response = client.post("/auth/session/refresh")
    assert (response.status_code, response.get_json()) == (401, UNAUTHORISED)
    assert user_of(client) == 401


def test_a_session_that_ended_elsewhere_is_refused_where_the_core_is_asked(make_app: AppFactory) -> None:
    client = make_app(check_database=True).test_client()
    login(client, "alice")
    end(client)
    assert user_of(client) == 401


@pytest.mark.parametrize("anti_csrf", ["NONE", "VIA_TOKEN", "VIA_CUSTOM_HEADER"])
def test_an_expired_token_can_be_refreshed(make_app: AppFactory, anti_csrf: str) -> None:
    client = make_app(anti_csrf=anti_csrf).test_client()
    login(client, "alice")
    for _ in range(2):
        expire(client)
        assert user_of(client) == 401
        response = client.post("/auth/session/refresh")
        assert (response.status_code, response.get_json()) == (200, {})
        client.environ_base.update(
            {"HTTP_ANTI_CSRF": response.headers["anti-csrf"]} if anti_csrf == "VIA_TOKEN" else {}
        )
        assert user_of(client) == "alice"


@pytest.mark.parametrize(("transfer", "has_cookie"), [("cookie", True), ("header", False), (None, True)])
def test_the_transfer_method_is_chosen(make_app: AppFactory, transfer: Any, has_cookie: bool) -> None:
    client = make_app().test_client()
    session = login(client, "alice", transfer=transfer)
    assert session.transfer_method == ("cookie" if has_cookie else "header")
    assert (client.get_cookie("sAccessToken") is not None) is has_cookie
    assert ("HTTP_AUTHORIZATION" in client.environ_base) is not has_cookie


def test_a_transfer_method_that_the_app_does_not_allow_is_refused(make_app: AppFactory) -> None:
    client = make_app(token_transfer_method="header").test_client()
    with pytest.raises(ValueError, match="STSESSION_TOKEN_TRANSFER_METHOD of this app chose 'header'"):
        login(client, "alice", transfer="cookie")
    assert user_of(client) == 401


def test_an_unknown_transfer_method_is_refused_with_the_known_ones(make_app: AppFactory) -> None:
    unknown: Any = "Cookie"
    message = r"^login\(\) takes 'cookie' or 'header' as transfer=, not 'Cookie'\.$"
    with pytest.raises(ValueError, match=message):
        login(make_app().test_client(), "alice", transfer=unknown)


def test_changing_from_header_to_cookie_leaves_no_header(make_app: AppFactory) -> None:
    client = make_app().test_client()
    login(client, "alice", transfer="header")
    login(client, "bob", transfer="cookie")
    assert "HTTP_AUTHORIZATION" not in client.environ_base
    assert user_of(client) == "bob"


def test_a_client_that_keeps_no_cookies_sends_a_header(make_app: AppFactory) -> None:
    client = make_app().test_client(use_cookies=False)
    for transfer in (None, "header"):
        login(client, "alice", transfer=transfer)
        assert user_of(client) == "alice"
        expire(client)
        assert user_of(client) == 401
    logout(client)
    assert user_of(client) == 401


@pytest.mark.parametrize("function", [logout, expire, end, lambda app: login(app, "alice")])
def test_an_app_is_not_a_client(make_app: AppFactory, function: Any) -> None:
    with pytest.raises(TypeError, match=r"such as app\.test_client\(\), not <Flask 'app'>"):
        function(make_app())


def test_an_app_without_the_extension_is_named() -> None:
    with pytest.raises(RuntimeError, match="The app 'plain' has no STSession"):
        login(Flask("plain").test_client(), "alice")


def test_a_header_of_the_test_stays(make_app: AppFactory) -> None:
    client = make_app().test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Basic YWxpY2U6c2VjcmV0"
    login(client, "alice")
    logout(client)
    assert client.environ_base["HTTP_AUTHORIZATION"] == "Basic YWxpY2U6c2VjcmV0"


@pytest.mark.parametrize("cookie_domain", [None, ".example.com"])
def test_a_client_of_another_host_is_signed_in_there(make_app: AppFactory, cookie_domain: str | None) -> None:
    app = make_app(api_domain="https://api.example.com", cookie_domain=cookie_domain)
    client = app.test_client()
    url = "https://api.example.com"
    login(client, "alice", base_url=url)
    assert client.get("/user", base_url=url).status_code == 200
    assert client.get("/user", base_url="https://www.example.org").status_code == 401
    expire(client, base_url=url)
    assert client.get("/user", base_url=url).get_json() == TRY_REFRESH
    login(client, "alice", base_url=url)
    logout(client, base_url=url)
    assert client.get("/user", base_url=url).get_json() == UNAUTHORISED


@pytest.mark.parametrize(
    ("api_domain", "base_url"),
    [("https://api.example.com", "https://api.example.com"), (None, "http://example.com")],
)
def test_a_login_whose_cookies_a_browser_would_drop_is_refused_with_the_host_to_use(
    make_app: AppFactory, api_domain: str | None, base_url: str
) -> None:
    client = make_app(api_domain=api_domain, cookie_domain=".example.com").test_client()
    message = (
        "A browser would drop the cookies of this login: STSESSION_COOKIE_DOMAIN = '.example.com' is neither "
        "'localhost', the host of the client, nor a parent of it. Pass "
        f"base_url={base_url!r} to login() and to the client's requests."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        login(client, "alice")
    login(client, "alice", transfer="header")
    assert user_of(client) == "alice"


@pytest.mark.parametrize("url", ["http://[::1]:5000/", "http://127.0.0.1:5000/", "http://LocalHost:5000/"])
def test_a_client_of_an_address_with_a_port_is_signed_in_there(make_app: AppFactory, url: str) -> None:
    client = make_app().test_client()
    login(client, "alice", base_url=url)
    assert client.get("/user", base_url=url).status_code == 200
    expire(client, base_url=url)
    assert client.get("/user", base_url=url).get_json() == TRY_REFRESH
    assert client.post("/auth/session/refresh", base_url=url).status_code == 200
    logout(client, base_url=url)
    assert client.get("/user", base_url=url).get_json() == UNAUTHORISED


def test_a_client_sends_rid_where_website_and_api_differ_in_the_scheme(make_app: AppFactory) -> None:
    client = make_app(website_domain="http://localhost:3000").test_client()
    for url in ("https://localhost", "http://localhost"):
        login(client, "alice", base_url=url)
        assert client.post("/user", base_url=url).status_code == 200
        assert ("HTTP_RID" in client.environ_base) is url.startswith("https")


def test_a_client_without_a_session_cannot_be_expired(make_app: AppFactory) -> None:
    client = make_app().test_client()
    for function in (expire, end):
        with pytest.raises(RuntimeError, match=r"no session for localhost\. Sign it in: login"):
            function(client)


def test_nothing_is_left_in_an_app_context_that_the_test_keeps_open(make_app: AppFactory) -> None:
    app = make_app()
    with app.app_context():
        login(app.test_client(), "alice")
        assert g.session is None
        assert not current_session


# What the session carries


def test_roles_are_those_of_the_core(app: Flask) -> None:
    client = app.test_client()
    login(client, "alice")
    assert client.get("/admins").status_code == 403
    login(client, "alice", roles=["admin", "author"])
    assert sorted(client.get("/admins").get_json()["roles"]) == ["admin", "author"]
    login(client, "alice", roles=["author"])
    assert client.get("/admins").status_code == 403
    login(client, "bob", roles=["author"])
    assert client.get("/admins").status_code == 403


def test_permissions_are_those_of_the_core(app: Flask) -> None:
    client = app.test_client()
    login(client, "alice", permissions=["page:edit"])
    assert [client.get(path).status_code for path in ("/editors", "/editors-now")] == [200, 200]
    login(client, "bob", roles=["author"], permissions=["page:read"])
    assert [client.get(path).status_code for path in ("/editors", "/editors-now")] == [403, 403]
    login(client, "alice", permissions=["page:read"])
    assert [client.get(path).status_code for path in ("/editors", "/editors-now")] == [403, 403]


def test_a_login_without_roles_leaves_them_as_they_are(app: Flask) -> None:
    client = app.test_client()
    login(client, "alice", roles=["admin"])
    login(client, "alice")
    assert client.get("/admins").status_code == 200


def test_if_the_app_has_its_own_loaders_the_session_has_the_roles(app: Flask) -> None:
    stsession: STSession = app.extensions["stsession"]
    stsession.roles_loader(lambda user_id, tenant_id: [])
    stsession.permissions_loader(lambda user_id, tenant_id: [])
    client = app.test_client()
    login(client, "alice", roles=["admin"], permissions=["page:edit"])
    assert [client.get(path).status_code for path in ("/admins", "/editors")] == [200, 200]


@pytest.mark.parametrize("kind", [list, tuple, set, iter])
@pytest.mark.parametrize("has_loaders", [False, True])
def test_names_may_come_from_any_iterable(app: Flask, kind: Any, has_loaders: bool) -> None:
    if has_loaders:
        stsession: STSession = app.extensions["stsession"]
        stsession.roles_loader(lambda user_id, tenant_id: [])
        stsession.permissions_loader(lambda user_id, tenant_id: [])
    client = app.test_client()
    login(client, "alice", roles=kind(["admin"]), permissions=kind(["page:edit"]))
    assert [client.get(path).status_code for path in ("/admins", "/editors")] == [200, 200]


@pytest.mark.parametrize("argument", ["roles", "permissions"])
@pytest.mark.parametrize("names", ["admin", 5])
def test_anything_but_a_list_of_names_is_refused(app: Flask, argument: str, names: Any) -> None:
    arguments: Any = {argument: names}
    with pytest.raises(TypeError, match=rf"takes a list of names as {argument}=, not {names!r}"):
        login(app.test_client(), "alice", **arguments)


def test_claims_without_values_are_refused(app: Flask) -> None:
    wrong: Any = [PlanClaim]
    with pytest.raises(TypeError, match=r"^login\(\) takes \{claim: value\} as claims=, not \["):
        login(app.test_client(), "alice", claims=wrong)


def test_claims_payload_and_data_are_in_the_session(app: Flask) -> None:
    client = app.test_client()
    session = login(client, "alice", claims={PlanClaim: "pro"}, payload={"theme": "dark"}, data={"cart": [1]})
    payload = payload_of(client)
    assert (payload["plan"]["v"], payload["2fa"]["v"], payload["theme"]) == ("pro", False, "dark")
    with app.app_context():
        information = get_session_information(session.get_handle())
    assert information is not None
    assert information.session_data_in_database == {"cart": [1]}


def test_a_tenant_is_made_for_its_first_user(app: Flask) -> None:
    client = app.test_client()
    for _ in range(2):
        login(client, "alice", tenant_id="acme", roles=["admin"])
        assert payload_of(client)["tId"] == "acme"
        assert client.get("/admins").status_code == 200


def test_an_overridden_method_makes_the_session(make_app: AppFactory) -> None:
    class Named(STSession):
        def create_new_session(self, user_id: str, **options: Any) -> Any:
            payload = {**(options.pop("access_token_payload", None) or {}), "name": user_id.title()}
            return super().create_new_session(user_id, access_token_payload=payload, **options)

    client = make_app(extension=Named).test_client()
    login(client, "alice")
    assert payload_of(client)["name"] == "Alice"


# As methods of a client


def test_a_client_class_has_the_functions_as_methods(app: Flask) -> None:
    app.test_client_class = STSessionClient
    client = app.test_client()
    assert isinstance(client, STSessionClient)
    client.login("alice", roles=["admin"])
    assert client.get("/admins").status_code == 200
    client.expire()
    assert user_of(client) == 401
    client.login("alice")
    client.end()
    assert client.post("/auth/session/refresh").status_code == 401
    client.login("alice")
    assert client.logout() is True
    assert user_of(client) == 401


def test_the_methods_can_be_mixed_into_another_client_class(app: Flask) -> None:
    class JSONClient(FlaskClient):
        pass

    class Client(STSessionClientMixin, JSONClient):
        pass

    app.test_client_class = Client
    client: Any = app.test_client()
    client.login("alice")
    assert user_of(client) == "alice"


@pytest.fixture
def following(app: Flask) -> STSessionClient:
    """Return a client of an app whose views change the session, signed in by header."""

    @app.post("/theme")
    @verify_session()
    def theme() -> str:
        g.session.merge_into_access_token_payload({"theme": "dark"})
        return "changed"

    @app.post("/sign-out")
    @verify_session()
    def leave() -> str:
        g.session.revoke_session()
        return "left"

    client = STSessionClient(app, app.response_class, use_cookies=True)
    client.login("alice", transfer="header")
    return client


def test_a_client_sends_the_new_access_token_of_a_response(following: STSessionClient) -> None:
    following.post("/theme")
    assert payload_of(following)["theme"] == "dark"


def test_a_client_sends_the_new_access_token_of_a_refresh(following: STSessionClient) -> None:
    session = following.login("alice", transfer="header")
    refresh_token = session.get_all_session_tokens_dangerously()["refreshToken"]
    following.expire()
    assert user_of(following) == 401
    following.post("/auth/session/refresh", headers={"Authorization": f"Bearer {refresh_token}"})
    assert user_of(following) == "alice"


def test_a_client_whose_session_was_ended_by_a_view_sends_no_access_token(
    following: STSessionClient,
) -> None:
    following.post("/sign-out")
    assert "HTTP_AUTHORIZATION" not in following.environ_base


def test_a_client_keeps_no_access_token_that_it_would_not_send(app: Flask) -> None:
    client = STSessionClient(app, app.response_class, use_cookies=True)
    client.post("/login", json={})  # tokens by header, which a browser without an SDK does not keep
    assert user_of(client) == 401


def test_a_client_sends_the_new_anti_csrf_token_of_a_response(make_app: AppFactory) -> None:
    app = make_app(anti_csrf="VIA_TOKEN")
    client = STSessionClient(app, app.response_class, use_cookies=True)
    client.post("/login", headers={"st-auth-mode": "cookie"})
    for _ in range(2):
        assert client.post("/user").status_code == 200
        assert client.post("/auth/session/refresh").status_code == 200


def test_the_mixin_alone_is_not_a_client() -> None:
    class Client(STSessionClientMixin):
        pass

    with pytest.raises(TypeError, match=r"write class Client\(STSessionClientMixin, FlaskClient\)"):
        Client().login("alice")


# The core


def test_an_outage_of_the_core_is_simulated(app: Flask) -> None:
    client = app.test_client()
    login(client, "alice")
    assert user_of(client) == "alice"
    with TestCore(lambda: app).down():
        assert user_of(client) == "alice"  # the signing keys are known
        response = client.post("/auth/session/refresh")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert client.post("/auth/session/refresh").status_code == 200


def test_an_outage_ends_with_its_block(app: Flask) -> None:
    client = app.test_client()
    login(client, "alice")
    for _ in range(2):
        with TestCore(lambda: app).down():
            assert client.get("/user").status_code == 503, "no signing keys have been fetched"
    assert user_of(client) == "alice"


def test_an_outage_lasts_until_the_outer_block_ends(app: Flask) -> None:
    client = app.test_client()
    login(client, "alice")
    with TestCore(lambda: app).down():
        with TestCore(lambda: app).down():
            pass
        assert client.post("/auth/session/refresh").status_code == 503
    assert client.post("/auth/session/refresh").status_code == 200


def test_a_core_elsewhere_cannot_be_taken_down_or_asked_to_expire_tokens(make_app: AppFactory) -> None:
    app = make_app(connection_uri="http://127.0.0.1:9")
    remedy = 'write STSESSION_CONNECTION_URI = "embedded::memory:"'
    with pytest.raises(RuntimeError, match=remedy), TestCore(lambda: app).down():
        pass


#: What an environment may configure for another core.
PRODUCTION = {
    "STSESSION_CONNECTION_URI": "https://core.example.com:3567",
    "STSESSION_API_KEY": "the-api-key-of-that-core",
    "STSESSION_CORE_PROXY": "http://proxy.example.com:3128",
    "STSESSION_CORE_TLS": {"ca": "/of/another/machine.pem"},
}


@pytest.fixture(params=[{}, PRODUCTION], ids=["alone", "over those of production"])
def memory_app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    app = Flask("memory")
    app.config.update({**request.param, **TestCore.settings})
    STSession(app)
    yield app
    app.extensions["stsession"].close()


def test_the_settings_of_a_test_core_keep_it_in_memory(
    memory_app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client = memory_app.test_client()
    login(client, "alice")
    assert memory_app.extensions["stsession.state"].core.locate() == ":memory:"
    assert caplog.get_records("setup") == []
