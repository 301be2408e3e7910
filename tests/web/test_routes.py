"""Our own routes: what they are, which are served, and what they say to anybody."""

from __future__ import annotations

import pytest
from flask import Flask
from support.app_factory import AppFactory

from flask_stsession import ConfigError, STSession


@pytest.fixture
def ext(app: Flask) -> STSession:
    """The extension object of ``app``."""
    found: STSession = app.extensions["stsession"]
    return found


def paths_of(app: Flask) -> dict[str, set[str]]:
    """Return our paths, with the methods that they take."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("stsession.")]
    return {rule.rule: (rule.methods or set()) - {"HEAD", "OPTIONS"} for rule in rules}


def test_the_routes_are_those_of_the_frontend_driver_interface(app: Flask) -> None:
    assert paths_of(app) == {
        "/auth/session/refresh": {"POST"},
        "/auth/signout": {"POST"},
        "/auth/jwt/jwks.json": {"GET"},
        "/auth/.well-known/openid-configuration": {"GET"},
    }


def test_login_url_and_get_email_add_routes(make_app: AppFactory) -> None:
    ext = STSession(get_email=lambda user_id, tenant_id: None)
    app = make_app(init=False)
    app.config["STSESSION_LOGIN_URL"] = "/login"
    ext.init_app(app)
    assert set(paths_of(app)) > {
        "/auth/user/email/verify",
        "/auth/session/refresh/continue",
        "/auth/session/refresh.js",
    }
    ext.close()


@pytest.mark.parametrize("routes", [False, ("refresh",), ("signout", "jwks")])
def test_only_the_configured_routes_exist(make_app: AppFactory, routes: object) -> None:
    app = make_app(routes=routes)
    names = {"refresh": "/session/refresh", "signout": "/signout", "jwks": "/jwt/jwks.json"}
    wanted = routes if isinstance(routes, tuple) else ()
    assert set(paths_of(app)) == {"/auth" + names[name] for name in wanted}


@pytest.mark.parametrize("path", ["/auth/session/refresh", "/auth/signout", "/auth/jwt/jwks.json"])
def test_the_routes_answer_options(app: Flask, path: str) -> None:
    assert app.test_client().options(path).status_code == 200


def test_discovery_names_the_url_of_the_keys(app: Flask, ext: STSession) -> None:
    with pytest.raises(ConfigError) as caught:
        ext.get_open_id_discovery_configuration()
    assert str(caught.value) == (
        "The URL of this API is not known outside of a request, unless STSESSION_API_DOMAIN is set to its "
        'scheme and host, "https://api.example.com" for example.'
    )
    client = app.test_client()
    found = client.get("/auth/.well-known/openid-configuration").get_json()
    assert found["issuer"] == "http://localhost/auth"
    assert found["jwks_uri"] == "http://localhost/auth/jwt/jwks.json"
    keys = client.get("/auth/jwt/jwks.json")
    assert {key["kid"][:2] for key in keys.get_json()["keys"]} == {"d-", "s-"}
    assert keys.headers["Cache-Control"] == "max-age=60, must-revalidate"
    assert keys.headers["Access-Control-Allow-Origin"] == "*"
