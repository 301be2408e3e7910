"""The Blueprint of our routes: on all hosts of an app, and open to extensions of others at set-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, current_app, url_for
from flask.testing import FlaskClient
from flask_cors import CORS
from flask_seasurf import SeaSurf
from flask_wtf import CSRFProtect
from support.app_factory import NO_CORE, add_views

from flask_stsession import ConfigError, STSession
from flask_stsession.testing import TestCore, expire, login
from flask_stsession.web.context import app_state_of

pytestmark = pytest.mark.embedded_core

KEYS = "/auth/jwt/jwks.json"
WEBSITE = "https://www.example.com"

MakeApp = Callable[..., Flask]


@pytest.fixture
def make() -> Iterator[MakeApp]:
    """Return a maker of apps by the arguments of ``Flask``, with their core in memory."""
    apps: list[Flask] = []

    def make_app(*, init: bool = True, config: dict[str, Any] | None = None, **arguments: Any) -> Flask:
        app = Flask("app", **arguments)
        app.config.update(TestCore.settings, SECRET_KEY="of the app", **(config or {}))
        if init:
            STSession(app)
        apps.append(app)
        return app

    yield make_app
    for app in apps:
        with app.app_context():
            app.extensions["stsession"].close()


def statuses(app: Flask, *urls: str) -> list[int]:
    return [app.test_client().get(KEYS, base_url=url).status_code for url in urls]


# Hosts


def test_with_host_matching_our_routes_respond_on_all_hosts(make: MakeApp) -> None:
    app = make(host_matching=True, static_host="static.example.com")
    assert statuses(app, "http://localhost", "https://a.example.com", "http://127.0.0.1:5000") == [200] * 3


def test_with_host_matching_our_routes_respond_on_the_configured_host(make: MakeApp) -> None:
    app = make(
        host_matching=True,
        static_host="static.example.com",
        config={"STSESSION_HOST": "API.example.com:8080"},
    )
    urls = ("http://api.example.com:8080", "http://api.example.com", "http://www.example.com:8080")
    assert statuses(app, *urls) == [200, 404, 404]


def test_with_subdomain_matching_our_routes_respond_on_all_subdomains(make: MakeApp) -> None:
    app = make(subdomain_matching=True, config={"SERVER_NAME": "shop.localhost:5000"})
    urls = ("http://shop.localhost:5000", "http://a.shop.localhost:5000", "http://b.a.shop.localhost:5000")
    assert statuses(app, *urls) == [200] * 3


@pytest.mark.parametrize(("subdomain", "found"), [("api", [404, 200, 404]), ("", [200, 404, 404])])
def test_with_subdomain_matching_our_routes_respond_on_the_configured_subdomain(
    make: MakeApp, subdomain: str, found: list[int]
) -> None:
    config = {"SERVER_NAME": "shop.localhost", "STSESSION_SUBDOMAIN": subdomain}
    app = make(subdomain_matching=True, config=config)
    urls = ("http://shop.localhost", "http://api.shop.localhost", "http://www.shop.localhost")
    assert statuses(app, *urls) == found


@pytest.mark.parametrize(
    "arguments", [{"host_matching": True, "static_host": "s"}, {"subdomain_matching": True}]
)
def test_sessions_work_on_a_separate_host(make: MakeApp, arguments: dict[str, Any]) -> None:
    config = {"SERVER_NAME": "localhost", "STSESSION_LOGIN_URL": "/sign-in"}
    app = make(config=config, **arguments)

    @app.get("/urls", **({"host": "a.localhost"} if "host_matching" in arguments else {"subdomain": "a"}))
    def urls() -> list[str]:
        return [url_for("stsession.signout"), url_for("stsession.refresh", _external=True)]

    client = app.test_client()
    here, elsewhere = "http://a.localhost", "http://b.localhost"
    login(client, "alice", base_url=here)
    expire(client, base_url=here)
    assert client.post("/auth/session/refresh", base_url=elsewhere).status_code == 401
    assert client.post("/auth/session/refresh", base_url=here).status_code == 200
    found = client.get("/urls", base_url=here).get_json()
    assert found == ["/auth/signout", "http://a.localhost/auth/session/refresh"]
    assert client.post("/auth/signout", base_url=here).status_code == 303


@pytest.mark.parametrize(
    ("arguments", "key", "problem"),
    [
        ({}, "STSESSION_HOST", "does not match hosts: write Flask(..., host_matching=True)"),
        ({}, "STSESSION_SUBDOMAIN", "does not match subdomains: write Flask(..., subdomain_matching=True)"),
        (
            {"host_matching": True, "static_host": "s"},
            "STSESSION_SUBDOMAIN",
            "matches hosts: write STSESSION_HOST instead",
        ),
    ],
)
def test_a_host_or_subdomain_that_the_app_does_not_match_is_refused(
    arguments: dict[str, Any], key: str, problem: str
) -> None:
    app = Flask("app", **arguments)
    app.config.update(NO_CORE, **{key: "api"})
    with pytest.raises(ConfigError) as caught:
        STSession(app)
    assert str(caught.value) == f"{key} is set, but the app {problem}, or remove {key}."


@pytest.mark.parametrize("host", ["https://a.example.com", "a.example.com/path", "<any>.example.com", ""])
def test_an_invalid_host_is_refused(host: str) -> None:
    app = Flask("app", host_matching=True, static_host="s")
    app.config.update(NO_CORE, STSESSION_HOST=host)
    with pytest.raises(ConfigError, match=r"^STSESSION_HOST = "):
        STSession(app)


@pytest.mark.parametrize("subdomain", ["<tenant>", "a.", "a/b", "a:80"])
def test_an_invalid_subdomain_is_refused(subdomain: str) -> None:
    app = Flask("app", subdomain_matching=True)
    app.config.update(NO_CORE, STSESSION_SUBDOMAIN=subdomain)
    with pytest.raises(ConfigError, match=r"^STSESSION_SUBDOMAIN = "):
        STSession(app)


# Extensions that take the Blueprint


def preflight(client: FlaskClient, path: str, website: str = WEBSITE) -> dict[str, str]:
    asked = {"Origin": website, "Access-Control-Request-Method": "POST"}
    return dict(client.options(path, headers=asked).headers)


def test_cors_can_be_allowed_for_our_routes_alone(make: MakeApp) -> None:
    app = make()
    CORS(app.extensions["stsession"].blueprint, origins=[WEBSITE], supports_credentials=True)
    add_views(app)
    client = app.test_client()
    allowed = preflight(client, "/auth/session/refresh")
    assert allowed["Access-Control-Allow-Origin"] == WEBSITE
    assert allowed["Access-Control-Allow-Credentials"] == "true"
    refused = client.post("/auth/session/refresh", headers={"Origin": WEBSITE})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, WEBSITE)
    assert "Access-Control-Allow-Origin" not in preflight(client, "/user")


def test_hooks_of_other_extensions_run_for_our_routes_only(make: MakeApp) -> None:
    app = make()
    blueprint: Blueprint = app.extensions["stsession"].blueprint
    ran: list[str] = []

    @blueprint.before_request
    def before() -> None:
        ran.append("before")

    @blueprint.after_request
    def after(response: Response) -> Response:
        ran.append("after")
        return response

    @blueprint.teardown_request
    def teardown(error: BaseException | None) -> None:
        ran.append("teardown")

    add_views(app)
    client = app.test_client()
    client.get("/open")
    assert ran == []
    client.get(KEYS)
    assert ran == ["before", "after", "teardown"]


def test_an_app_factory_gets_the_blueprint_of_each_app(make: MakeApp) -> None:
    stsession = STSession()
    with pytest.raises(RuntimeError, match="has no app yet"):
        _ = stsession.blueprint
    apps = []
    for website in ("https://one.example.com", "https://two.example.com"):
        app = make(init=False)
        stsession.init_app(app)
        CORS(stsession.blueprint, origins=[website])
        apps.append(app)
    for app, website in zip(apps, ("https://one.example.com", "https://two.example.com"), strict=True):
        allowed = preflight(app.test_client(), "/auth/signout", website)
        assert allowed["Access-Control-Allow-Origin"] == website
        with app.app_context():
            assert stsession.blueprint is app.blueprints["stsession"]


def test_our_routes_are_registered_with_no_other_app(make: MakeApp) -> None:
    app = make()
    for other in (Flask(app.import_name), make()):
        with pytest.raises(ConfigError, match=r"with <Flask '.*'>. Call stsession\.init_app\(\) on that app"):
            other.register_blueprint(app.blueprints["stsession"], name="again")


def test_the_current_app_can_be_initialised(make: MakeApp) -> None:
    app = make(init=False)
    with app.app_context():
        STSession(current_app)
    assert app_state_of(app).app is app
    assert app.test_client().get(KEYS).status_code == 200


# Extensions against CSRF


def _wtf(app: Flask) -> None:
    CSRFProtect(app)


def _sea_surf(app: Flask) -> None:
    app.testing = False  # it does nothing while an app is tested
    SeaSurf(app)
    app.testing = True


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # Flask-SeaSurf's
@pytest.mark.parametrize("protect", [_wtf, _sea_surf], ids=["Flask-WTF", "Flask-SeaSurf"])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("path", ["/auth/session/refresh", "/auth/signout"])
def test_our_routes_are_exempt_from_the_first_request_on(
    make: MakeApp, protect: Callable[[Flask], None], is_first: bool, path: str
) -> None:
    app = make(init=False)
    if is_first:
        protect(app)
    STSession(app)
    if not is_first:
        protect(app)
    add_views(app)
    client = app.test_client()
    login(client, "alice")
    assert client.post(path).status_code == 200
    login(client, "alice")
    assert client.post("/user").status_code in (400, 403)
