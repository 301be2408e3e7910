"""``protect``: a whole app or blueprint behind a guard, and what stays outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, g
from flask.testing import FlaskClient
from flask.views import MethodView
from support.app_factory import AppFactory
from support.clients import signed_in

from flask_stsession import ConfigError, Session, STSession, session_exempt, signals, verify_session
from flask_stsession.claims import BooleanClaim

UNAUTHORISED = {"message": "unauthorised"}
NEVER = BooleanClaim(key="never", fetch_value=lambda *_: None).validators.is_true()


def who() -> dict[str, str | None]:
    return {"userId": g.session.get_user_id() if g.session else None}


def add_views(app: Flask) -> None:
    app.add_url_rule("/one", "one", who)
    app.add_url_rule("/two", "two", who, methods=["GET", "POST"])


def statuses(client: FlaskClient, *paths: str) -> dict[str, int]:
    return {path: client.get(path).status_code for path in paths}


def before_init_app(make_app: AppFactory, **options: Any) -> Flask:
    app = make_app(init=False)
    ext = STSession()
    ext.protect(app, **options)
    ext.init_app(app)
    make_app.apps.append(app)
    return app


def after_init_app(make_app: AppFactory, **options: Any) -> Flask:
    app = make_app()
    app.extensions["stsession"].protect(app, **options)
    return app


moments = pytest.mark.parametrize("protected", [before_init_app, after_init_app])


@moments
def test_every_view_of_a_protected_app_needs_a_session(make_app: AppFactory, protected: Any) -> None:
    app = protected(make_app, exempt=["login"])
    add_views(app)
    client = app.test_client()
    assert statuses(client, "/one", "/two", "/open") == {"/one": 401, "/two": 401, "/open": 401}
    assert client.get("/one").get_json() == UNAUTHORISED
    alice = signed_in(app)
    assert [alice.get(path).get_json() for path in ("/one", "/two")] == [{"userId": "alice"}] * 2


@moments
def test_requests_without_a_view_are_not_changed(
    make_app: AppFactory, protected: Any, tmp_path: Path
) -> None:
    (tmp_path / "page.css").write_text("body {}")
    app = protected(make_app)
    app.static_folder = str(tmp_path)
    add_views(app)
    app.add_url_rule("/slash/", "slash", who)
    client = app.test_client()
    assert statuses(client, "/nowhere", "/one", "/slash", "/slash/") == {
        "/nowhere": 404,
        "/one": 401,
        "/slash": 308,
        "/slash/": 401,
    }
    assert client.post("/one").status_code == 405
    assert client.options("/two").status_code == 200
    with client.get("/static/page.css") as response:
        assert (response.status_code, response.text, response.headers.get("Vary")) == (200, "body {}", None)


@moments
def test_our_own_routes_stay_open(make_app: AppFactory, protected: Any) -> None:
    app = protected(make_app, exempt=["login"])
    alice = signed_in(app)
    client = app.test_client()
    assert statuses(client, "/auth/jwt/jwks.json", "/auth/.well-known/openid-configuration") == {
        "/auth/jwt/jwks.json": 200,
        "/auth/.well-known/openid-configuration": 200,
    }
    assert (alice.get("/user").status_code, alice.post("/auth/session/refresh").get_json()) == (200, {})
    assert alice.post("/auth/signout").get_json() == {"status": "OK"}


def test_endpoints_and_functions_can_be_exempt(make_app: AppFactory) -> None:
    app = make_app()

    def health() -> str:
        return "fine"

    app.add_url_rule("/health", "health", health)
    add_views(app)
    app.extensions["stsession"].protect(app, exempt=["one", health])
    paths = ("/one", "/health", "/two", "/open")
    assert statuses(app.test_client(), *paths) == {"/one": 200, "/health": 200, "/two": 401, "/open": 401}


@pytest.mark.parametrize("exempt", ["health", who, 5, None])
def test_exempt_must_be_a_list(app: Flask, exempt: Any) -> None:
    with pytest.raises(TypeError) as caught:
        app.extensions["stsession"].protect(app, exempt=exempt)
    assert str(caught.value) == (
        f"protect() takes a list of endpoint names and functions as exempt=, not {exempt!r}."
    )


def test_only_apps_and_blueprints_can_be_protected(app: Flask) -> None:
    wrong: Any = who
    with pytest.raises(
        TypeError, match=r"^protect\(\) takes the Flask app or a Blueprint, not <function who"
    ):
        app.extensions["stsession"].protect(wrong)


def test_views_can_be_marked_as_exempt(make_app: AppFactory) -> None:
    app = make_app()
    app.extensions["stsession"].protect(app)

    @app.get("/below")
    @session_exempt
    def below() -> str:
        return "public"

    @session_exempt
    @app.get("/above")
    def above() -> str:
        return "public"

    @session_exempt
    class Page(MethodView):
        def get(self) -> str:
            return "public"

    class Guarded(MethodView):
        def get(self) -> str:
            return "guarded"

    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/guarded-page", view_func=Guarded.as_view("guarded_page"))
    paths = ("/below", "/above", "/page", "/guarded-page")
    expected = {"/below": 200, "/above": 200, "/page": 200, "/guarded-page": 401}
    assert statuses(app.test_client(), *paths) == expected


@pytest.mark.parametrize("view", ["login", None, "text".upper, MethodView().dispatch_request])
def test_only_a_function_or_a_class_can_be_marked_as_exempt(view: Any) -> None:
    with pytest.raises(TypeError) as caught:
        session_exempt(view)
    assert str(caught.value) == (
        f"session_exempt marks a view function or a View class, not {view!r}. To exempt a view by the name "
        "of its endpoint, write protect(app, exempt=[name])."
    )


def test_an_exempt_view_may_still_guard_itself(app: Flask) -> None:
    app.extensions["stsession"].protect(app, exempt=["login"], validators=[NEVER])

    @app.get("/self")
    @verify_session()
    @session_exempt
    def itself() -> dict[str, str | None]:
        return who()

    assert app.test_client().get("/self").get_json() == UNAUTHORISED
    assert signed_in(app).get("/self").get_json() == {"userId": "alice"}


def test_a_view_named_static_is_guarded_like_any_other(app: Flask) -> None:
    blueprint = Blueprint("pages", __name__)
    blueprint.add_url_rule("/pages/static", "static", who)
    app.register_blueprint(blueprint)
    app.extensions["stsession"].protect(app)
    assert app.test_client().get("/pages/static").status_code == 401


def test_static_files_of_a_blueprint_are_served(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "page.css").write_text("body {}")
    blueprint = Blueprint("pages", __name__, static_folder=str(tmp_path), static_url_path="/pages/files")
    app.register_blueprint(blueprint)
    app.extensions["stsession"].protect(app)
    with app.test_client().get("/pages/files/page.css") as response:
        assert (response.status_code, response.data) == (200, b"body {}")


@pytest.mark.parametrize("early", [False, True])
def test_a_blueprint_can_be_protected_alone(make_app: AppFactory, early: bool) -> None:
    app = make_app()
    ext: STSession = app.extensions["stsession"]
    admin, inner = Blueprint("admin", __name__), Blueprint("inner", __name__)
    if early:
        ext = STSession()  # one that is never initialised: the guard asks the app that it runs in
    ext.protect(admin, exempt=["admin.health"])
    admin.add_url_rule("/admin", "index", who)
    admin.add_url_rule("/admin/health", "health", who)
    inner.add_url_rule("/admin/inner", "index", who)
    admin.register_blueprint(inner)
    app.register_blueprint(admin)
    add_views(app)
    paths = ("/admin", "/admin/health", "/admin/inner", "/one")
    expected = {"/admin": 401, "/admin/health": 200, "/admin/inner": 401, "/one": 200}
    assert statuses(app.test_client(), *paths) == expected
    assert signed_in(app).get("/admin/inner").get_json() == {"userId": "alice"}


def test_options_of_the_guard_and_of_the_view_add_up(app: Flask) -> None:
    app.extensions["stsession"].protect(app, exempt=["login"], session_required=False)

    @app.get("/required")
    @verify_session()
    def required() -> dict[str, str | None]:
        return who()

    @app.get("/strict")
    @verify_session(validators=[NEVER])
    def strict() -> dict[str, str | None]:
        return who()

    add_views(app)
    anonymous, alice = app.test_client(), signed_in(app)
    paths = ("/one", "/required", "/strict")
    assert statuses(anonymous, *paths) == {"/one": 200, "/required": 401, "/strict": 401}
    assert statuses(alice, *paths) == {"/one": 200, "/required": 200, "/strict": 403}
    assert alice.get("/one").get_json() == {"userId": "alice"}


def test_options_of_the_guard_apply_to_every_view(app: Flask) -> None:
    app.extensions["stsession"].protect(app, exempt=["login"], validators=[NEVER])
    alice = signed_in(app)
    response = alice.get("/user")
    reason = {"message": "value does not exist", "expectedValue": True}
    assert (response.status_code, response.get_json()) == (
        403,
        {"message": "invalid claim", "claimValidationErrors": [{"id": "never", "reason": reason}]},
    )


@pytest.mark.parametrize(("name", "meant"), [("role", "roles"), ("exemt", "exempt")])
def test_an_unknown_option_is_refused_at_once(app: Flask, name: str, meant: str) -> None:
    message = rf"^protect\(\) has no argument '{name}': did you mean {meant}=\?$"
    with pytest.raises(TypeError, match=message):
        app.extensions["stsession"].protect(app, **{name: "admin"})


def test_the_token_is_verified_once_per_request(app: Flask) -> None:
    ext: STSession = app.extensions["stsession"]
    ext.protect(app, exempt=["login"])
    verified: list[Session] = []

    def note(_app: Flask, session: Session, **_extra: Any) -> None:
        verified.append(session)

    alice = signed_in(app)
    with signals.session_verified.connected_to(note, app):
        assert alice.get("/user").get_json()["userId"] == "alice"
        assert len(verified) == 1
        assert alice.get("/user").get_json()["userId"] == "alice"
    assert len(verified) == 2
    assert verified[0] is not verified[1]


def test_a_protected_app_without_the_extension_says_so() -> None:
    app = Flask("forgotten")
    app.testing = True
    STSession().protect(app)
    app.add_url_rule("/one", "one", who)
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/one")
    assert str(caught.value) == (
        "protect() guards the app 'forgotten', which has no STSession: call stsession.init_app(app) before "
        "the first request."
    )
