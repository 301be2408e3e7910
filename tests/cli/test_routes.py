"""``flask stsession routes``: how each route is guarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask_restful
import flask_sock
import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View
from support.app_factory import AppFactory
from support.commands import json_of, output_of, run_on

from flask_stsession import STSession, any_of, session_exempt, verify_session
from flask_stsession.claims import AuthTimeClaim, BooleanClaim

SecondFactor = BooleanClaim(key="2fa", fetch_value=lambda user_id, tenant_id, context: False)

MISORDERED = (
    "The view of the endpoint 'misordered' is not protected: @verify_session() stands above the route, so "
    "the function was registered without it. Put @app.route(...) (or @app.get, @blueprint.post, ...) on top "
    "and @verify_session() below it. If the view is meant to be public as well, mark it with @session_exempt."
)


def new_view() -> Callable[[], dict[str, Any]]:
    """Return a new view, because guards and exemptions mark a function."""

    def view() -> dict[str, Any]:
        return {}

    return view


def routes_of(app: Flask, *, exit_code: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the routes of an app by rule and methods."""
    found = json_of(run_on(app, "routes", "--json"), exit_code=exit_code)
    return {(each["rule"], " ".join(each["methods"])): each for each in found}


def guards_of(app: Flask, rule: str, methods: str = "GET") -> tuple[list[str], list[str]]:
    """Return what guards a route, and what that asks for."""
    route = routes_of(app)[rule, methods]
    return route["guards"], route["asks"]


def test_each_kind_of_guard_is_told_apart(app: Flask, stsession: STSession) -> None:
    admin = Blueprint("admin", __name__, url_prefix="/admin")
    stsession.protect(admin, roles="admin", exempt=["admin.named"])
    admin.add_url_rule("/all", "all", new_view())
    admin.add_url_rule("/both", "both", verify_session()(new_view()))
    admin.add_url_rule("/named", "named", new_view())
    admin.add_url_rule("/marked", "marked", session_exempt(new_view()))
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/deep", "deep", new_view())
    admin.register_blueprint(inner)
    shop = Blueprint("shop", __name__, url_prefix="/shop")
    shop.before_request(verify_session(tenant="customer1")(lambda: None))
    shop.add_url_rule("/", "index", new_view())
    app.register_blueprint(admin)
    app.register_blueprint(shop)
    as_admin = ["st-role must include 'admin'"]
    assert guards_of(app, "/admin/all") == (["protect"], as_admin)
    assert guards_of(app, "/admin/inner/deep") == (["protect"], as_admin)
    assert guards_of(app, "/admin/both") == (["protect", "verify_session"], as_admin)
    assert guards_of(app, "/admin/named") == (["exempt"], [])
    assert guards_of(app, "/admin/marked") == (["exempt"], [])
    assert guards_of(app, "/shop/") == (["before_request"], ["tenant 'customer1'"])
    assert guards_of(app, "/user", "DELETE GET POST PUT") == (["verify_session"], [])
    assert guards_of(app, "/open") == (["none"], [])
    assert guards_of(app, "/static/<path:filename>") == (["static"], [])
    assert guards_of(app, "/auth/signout", "POST") == (["own"], [])


def test_a_protected_app_leaves_out_its_login_page_static_files_and_our_routes(make_app: AppFactory) -> None:
    app = make_app(login_url="/sign-in?tab=1")
    stsession: Any = app.extensions["stsession"]
    stsession.protect(app)
    app.add_url_rule("/sign-in", "sign_in", new_view())
    assert guards_of(app, "/sign-in") == (["exempt"], [])
    assert guards_of(app, "/open") == (["protect"], [])
    assert guards_of(app, "/static/<path:filename>") == (["static"], [])
    assert guards_of(app, "/auth/signout", "POST") == (["own"], [])
    by_endpoint = make_app(name="by_endpoint", login_url="login")
    by_endpoint.extensions["stsession"].protect(by_endpoint)
    by_endpoint.add_url_rule("/login", "form", new_view())
    assert guards_of(by_endpoint, "/login", "POST") == (["exempt"], [])
    assert guards_of(by_endpoint, "/login") == (["exempt"], [])


@pytest.mark.parametrize(
    ("login", "rule", "others"),
    [
        ("/sign-in", "/sign-in/", []),
        ("/anmelden-%C3%BC#top", "/anmelden-ü", []),
        ("/sign-in", "/sign-in", ["/sign-in/"]),
    ],
)
def test_the_login_page_is_left_out_however_its_url_is_written(
    make_app: AppFactory, login: str, rule: str, others: list[str]
) -> None:
    app = make_app(login_url=login)
    app.extensions["stsession"].protect(app)
    for path in (rule, *others):
        app.add_url_rule(path, path, new_view())
    assert guards_of(app, rule) == (["exempt"], [])
    assert [guards_of(app, path) for path in others] == [(["protect"], [])] * len(others)


def test_a_guard_on_the_only_method_of_a_view_class_is_shown(app: Flask) -> None:
    class Page(View):
        @verify_session(roles="editor")
        def dispatch_request(self) -> dict[str, Any]:
            return {}

    app.add_url_rule("/page", view_func=Page.as_view("page"))
    assert guards_of(app, "/page") == (["verify_session"], ["st-role must include 'editor'"])


def test_methods_of_a_class_are_told_apart(app: Flask) -> None:
    class Articles(MethodView):
        def get(self) -> dict[str, Any]:
            return {}

        @verify_session(roles="editor")
        def post(self) -> dict[str, Any]:
            return {}

        @verify_session(roles="editor")
        def put(self) -> dict[str, Any]:
            return {}

        @verify_session
        def delete(self) -> dict[str, Any]:
            return {}

    class Guarded(MethodView):
        decorators = [verify_session(permissions="read")]  # noqa: RUF012

        def get(self) -> dict[str, Any]:
            return {}

    app.add_url_rule("/articles", view_func=Articles.as_view("articles"))
    app.add_url_rule("/guarded", view_func=Guarded.as_view("guarded"))
    assert guards_of(app, "/articles") == (["none"], [])
    assert guards_of(app, "/articles", "POST PUT") == (["verify_session"], ["st-role must include 'editor'"])
    assert guards_of(app, "/articles", "DELETE") == (["verify_session"], [])
    assert guards_of(app, "/guarded") == (["verify_session"], ["st-perm must include 'read'"])


@pytest.mark.parametrize(
    ("decorators", "expected"),
    [
        ([verify_session(roles="admin")], (["verify_session"], ["st-role must include 'admin'"])),
        ([verify_session], (["verify_session"], [])),
        ({"get": [verify_session()]}, (["verify_session"], [])),
        ({"post": [verify_session()]}, (["none"], [])),
        ([], (["none"], [])),
    ],
)
def test_decorators_of_flask_restful_count(
    app: Flask, decorators: Any, expected: tuple[list[str], list[str]]
) -> None:
    class Item(flask_restful.Resource):  # type: ignore[misc]
        method_decorators = decorators

        def get(self) -> dict[str, Any]:
            return {}

    flask_restful.Api(app).add_resource(Item, "/item")
    assert guards_of(app, "/item") == expected


def test_a_socket_is_shown_as_one(app: Flask) -> None:
    @flask_sock.Sock(app).route("/echo")  # type: ignore[untyped-decorator]
    @verify_session()
    def echo(socket: Any) -> None: ...

    assert guards_of(app, "/echo", "WEBSOCKET") == (["verify_session"], [])


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        ({"session_required": False}, ["session optional"]),
        (
            {"check_database": True, "anti_csrf_check": False},
            ["check_database=True", "anti_csrf_check=False"],
        ),
        ({"override_global_claim_validators": lambda *_: []}, ["global validators overridden"]),
        ({"roles": ["a", "b"]}, ["st-role must include ['a', 'b']"]),
        ({"roles": any_of("a", "b")}, ["st-role must include at least one of ['a', 'b']"]),
        ({"validators": [SecondFactor.validators.is_true()]}, ["2fa must be True"]),
        ({"max_auth_age": 60}, ["st-auth-time"]),
    ],
)
def test_what_a_guard_asks_for_is_shown_in_words(
    make_app: AppFactory, options: dict[str, Any], asks: list[str]
) -> None:
    app = make_app(claims=[AuthTimeClaim])
    app.add_url_rule("/view", "view", verify_session(**options)(new_view()))
    assert guards_of(app, "/view") == (["verify_session"], asks)


def test_people_get_a_table(app: Flask) -> None:
    app.add_url_rule("/view", "view", verify_session(roles="admin", tenant="customer1")(new_view()))
    lines = [" ".join(line.split()) for line in output_of(run_on(app, "routes")).splitlines()]
    assert lines[0] == "METHODS RULE ENDPOINT GUARD"
    assert "POST /login login none (the view may call get_session)" in lines
    assert "POST /auth/signout stsession.signout a route of flask-stsession" in lines
    assert "GET /view view verify_session: tenant 'customer1', st-role must include 'admin'" in lines


def test_a_guard_above_its_route_is_a_finding(app: Flask) -> None:
    verify_session()(app.get("/misordered", endpoint="misordered")(new_view()))
    route = routes_of(app, exit_code=1)["/misordered", "GET"]
    assert (route["guards"], route["problem"]) == (["none"], MISORDERED)
    assert routes_of(app, exit_code=1)["/open", "GET"]["problem"] is None
    result = run_on(app, "routes")
    assert result.exit_code == 1
    assert "misordered                      MISPLACED" in result.output
    assert result.output.endswith(f"{MISORDERED}\n")


def test_a_before_request_function_without_its_guard_concerns_all_routes(app: Flask) -> None:
    verify_session()(app.before_request(lambda: None))
    problems = {each["problem"] for each in routes_of(app, exit_code=1).values()}
    assert len(problems) == 1
    assert "@before_request" in str(problems.pop())
