"""Every verdict arrives with its exact status and body, whatever framework runs the view.

The tests make one app per framework, with the same views in it, and ask each of them in every mode that
Flask has for errors: debug, testing, ``PROPAGATE_EXCEPTIONS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import flask_restful
import flask_restful.fields
import flask_restx
import flask_restx.fields
import flask_smorest
import pytest
from flask import Blueprint, Flask, current_app, g
from flask.testing import FlaskClient
from flask.views import MethodView
from support.app_factory import NO_CORE, AppFactory, NewCore
from werkzeug.test import TestResponse

from flask_stsession import (
    ClaimValidationError,
    STSession,
    UnauthorisedError,
    get_session,
    raise_invalid_claims_exception,
    verify_session,
)
from flask_stsession.claims import BooleanClaim

Body = Callable[..., Any]
Guard = Callable[[Body], Body]

#: Never in a session.
MISSING = BooleanClaim(key="missing", fetch_value=lambda *_: None)

MODES = list(product((False, True), (False, True), (None, False, True)))


def set_mode(app: Flask, mode: tuple[bool, bool, bool | None]) -> None:
    app.debug, app.testing, app.config["PROPAGATE_EXCEPTIONS"] = mode


@dataclass(frozen=True)
class View:
    """A view in terms that every framework can be told."""

    path: str
    guard: Guard
    body: Body

    @property
    def name(self) -> str:
        return self.path.strip("/").replace("/", "_")


def plain(app: Flask, views: list[View]) -> None:
    for view in views:
        app.add_url_rule(view.path, view.name, view.guard(view.body), methods=["GET", "POST"])


def handled_blueprint(app: Flask, views: list[View]) -> None:
    """Its handler says what anybody's would: whatever it is, it becomes the response."""
    blueprint = Blueprint("handled", __name__)

    @blueprint.errorhandler(Exception)
    def handle(error: Exception) -> Any:
        return error

    for view in views:
        blueprint.add_url_rule(view.path, view.name, view.guard(view.body), methods=["GET", "POST"])
    app.register_blueprint(blueprint)


def method_view(app: Flask, views: list[View]) -> None:
    for view in views:

        def run(_self: object, body: Body = view.body) -> Any:
            return body()

        guarded = view.guard(run)
        cls: type[MethodView] = type(view.name, (MethodView,), {"get": guarded, "post": guarded})
        app.add_url_rule(view.path, view_func=cls.as_view(view.name))


def method_view_decorators(app: Flask, views: list[View]) -> None:
    for view in views:
        run = staticmethod(view.body)
        cls: type[MethodView] = type(
            view.name, (MethodView,), {"get": run, "post": run, "decorators": [view.guard]}
        )
        app.add_url_rule(view.path, view_func=cls.as_view(view.name))


def restful(app: Flask, views: list[View], marshal: Guard = lambda body: body) -> None:
    api = flask_restful.Api(app)
    for view in views:
        run = staticmethod(marshal(view.guard(view.body)))
        cls = type(view.name, (flask_restful.Resource,), {"get": run, "post": run})
        api.add_resource(cls, view.path)


def restful_marshal(app: Flask, views: list[View]) -> None:
    restful(app, views, flask_restful.marshal_with({"userId": flask_restful.fields.String}))


def restful_first(app: Flask, views: list[View]) -> None:
    """An ``Api`` that is complete before ``init_app``."""
    restful(app, views)


def restx(app: Flask, views: list[View], marshal: Guard | None = None) -> None:
    api = flask_restx.Api(app)
    for view in views:
        run = view.guard(view.body)
        if marshal is not None:
            run = marshal(run)
        cls = type(view.name, (flask_restx.Resource,), {"get": staticmethod(run), "post": staticmethod(run)})
        api.add_resource(cls, view.path)


def restx_marshal(app: Flask, views: list[View]) -> None:
    model = flask_restx.Model("User", {"userId": flask_restx.fields.String})
    restx(app, views, flask_restx.marshal_with(model))


def smorest(app: Flask, views: list[View]) -> None:
    app.config.update(API_TITLE="API", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    api = flask_smorest.Api(app)
    blueprint = flask_smorest.Blueprint("smorest", __name__)
    for view in views:

        def run(_self: object, body: Body = view.body) -> Any:
            return body()

        guarded = blueprint.response(200)(view.guard(run))
        cls: type[MethodView] = type(view.name, (MethodView,), {"get": guarded, "post": guarded})
        blueprint.add_url_rule(view.path, view_func=cls.as_view(view.name))
    api.register_blueprint(blueprint)


def before_request(app: Flask, views: list[View]) -> None:
    """The guard, and what it lets through, run before the view does."""
    for view in views:
        blueprint = Blueprint(view.name, __name__)
        blueprint.before_request(view.guard(view.body))
        blueprint.add_url_rule(view.path, "never", lambda: "never reached", methods=["GET", "POST"])
        app.register_blueprint(blueprint)


FRAMEWORKS: dict[str, Callable[[Flask, list[View]], None]] = {
    each.__name__: each
    for each in (
        plain,
        handled_blueprint,
        method_view,
        method_view_decorators,
        restful,
        restful_first,
        restful_marshal,
        restx,
        restx_marshal,
        smorest,
        before_request,
    )
}


def user() -> Any:
    return {"userId": g.session.get_user_id()}


def raised_by_hand() -> Any:
    raise UnauthorisedError("Signed out by the view.")


def claims_by_hand() -> Any:
    raise_invalid_claims_exception("not enough", [ClaimValidationError("own", {"why": "because"})])


def end_elsewhere() -> None:
    """Revoke this request's session as another process would: this one learns nothing of it."""
    current_app.extensions["stsession"].manager.client.revoke_sessions([g.session.get_handle()])


def data_of_a_revoked_session() -> Any:
    end_elsewhere()
    return g.session.get_session_data_from_database()


def merge_into_a_revoked_session() -> Any:
    end_elsewhere()
    return g.session.merge_into_access_token_payload({"more": 1})


def verified_by_hand() -> Any:
    return {"userId": get_session().get_user_id()}


def nothing_to_check(body: Body) -> Body:
    return body


VIEWS = [
    View("/guarded", verify_session(), user),
    View("/checked", verify_session(check_database=True), user),
    View("/claims", verify_session(validators=[MISSING.validators.is_true()]), user),
    View("/auth/session/refresh", verify_session(), user),
    View("/by-hand", nothing_to_check, raised_by_hand),
    View("/claims-by-hand", nothing_to_check, claims_by_hand),
    View("/get-session", nothing_to_check, verified_by_hand),
    View("/data", verify_session(), data_of_a_revoked_session),
    View("/merge", verify_session(), merge_into_a_revoked_session),
]


class Frameworks:
    """The apps of all frameworks, made when first asked for."""

    def __init__(self, live: AppFactory, dead: AppFactory) -> None:
        self._factories = {True: live, False: dead}
        self._apps: dict[Any, Flask] = {}

    def __call__(self, framework: str, *, core: bool = True, **settings: Any) -> Flask:
        key = (framework, core, *settings.items())
        if key not in self._apps:
            init_last = framework == "restful_first"
            app = self._factories[core](
                name=framework,
                init=not init_last,
                cdi_version="5.4",  # in 5.6 the core cannot tell a revoked session from a rotated token
                routes=("signout",),
                core_timeout_seconds=(0.5, 0.5),
                **settings,
            )
            FRAMEWORKS[framework](app, VIEWS)
            if init_last:
                STSession(app)
                self._factories[core].apps.append(app)
            self._apps[key] = app
        return self._apps[key]


@pytest.fixture(scope="module")
def apps(new_core: NewCore) -> Iterator[Frameworks]:
    dead = AppFactory(NO_CORE)
    with new_core() as config:
        live = AppFactory(config)
        yield Frameworks(live, dead)
        live.close()
    dead.close()


@dataclass(frozen=True)
class Told:
    """What a client is told: the answer, and what it clears."""

    status: int
    body: Any
    clears_cookies: bool = False
    clears_headers: bool = False
    retry_after: str | None = None


def told(response: TestResponse) -> Told:
    cookies = sorted(each.split(";")[0] for each in response.headers.getlist("Set-Cookie"))
    headers = [response.headers.getlist(name) for name in ("st-access-token", "st-refresh-token")]
    assert cookies in ([], ["sAccessToken=", "sRefreshToken="])
    assert headers in ([[], []], [[""], [""]])
    assert response.headers.getlist("front-token") == (["remove"] if cookies or headers[0] else [])
    assert response.mimetype == "application/json"
    return Told(
        response.status_code,
        response.get_json(),
        bool(cookies),
        bool(headers[0]),
        response.headers.get("Retry-After"),
    )


@dataclass
class SignedIn:
    """A client with a session whose tokens it sends by itself."""

    client: FlaskClient
    handle: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", **more: str) -> TestResponse:
        return self.client.open(path, method=method, headers={"rid": "session", **self.headers, **more})


def sign_in(app: Flask, mode: str = "cookie") -> SignedIn:
    client = app.test_client()
    response = client.post("/login", headers={"st-auth-mode": mode})
    headers = {}
    if mode == "header":
        headers = {"Authorization": f"Bearer {response.headers['st-access-token']}"}
    return SignedIn(client, response.get_json()["handle"], headers)


def in_every_mode(
    app: Flask, ask: Callable[[], TestResponse], modes: Sequence[Any] = MODES
) -> dict[Any, Told]:
    """What a client is told in each mode; the app is left in the last one."""
    answers = {}
    for mode in modes:
        set_mode(app, mode)
        answers[mode] = told(ask())
    return answers


every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
UNAUTHORISED = {"message": "unauthorised"}
CLEARED = Told(401, UNAUTHORISED, clears_cookies=True, clears_headers=True)


@every_framework
def test_without_a_token_401_unauthorised_and_nothing_cleared(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    answers = in_every_mode(app, lambda: app.test_client().get("/guarded"))
    assert answers == dict.fromkeys(MODES, Told(401, UNAUTHORISED))


@every_framework
@pytest.mark.parametrize("path", ["/guarded", "/get-session"])
def test_with_a_tampered_token_401_try_refresh_token(apps: Frameworks, framework: str, path: str) -> None:
    app = apps(framework)
    token = sign_in(app, "header").headers["Authorization"]
    spoilt = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    answers = in_every_mode(app, lambda: app.test_client().get(path, headers={"Authorization": spoilt}))
    assert answers == dict.fromkeys(MODES, Told(401, {"message": "try refresh token"}))


@every_framework
def test_a_revoked_session_is_401_unauthorised_and_cleared(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    alice = sign_in(app)
    app.extensions["stsession"].revoke_session(alice.handle)

    def ask() -> TestResponse:
        return app.test_client(use_cookies=False).get("/checked", headers={"Cookie": f"sAccessToken={token}"})

    cookie = alice.client.get_cookie("sAccessToken")
    assert cookie is not None
    token = cookie.value
    assert in_every_mode(app, ask) == dict.fromkeys(MODES, CLEARED)


@every_framework
def test_a_failed_claim_is_403_with_the_validators(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    alice = sign_in(app)
    reason = {"message": "value does not exist", "expectedValue": True}
    body = {"message": "invalid claim", "claimValidationErrors": [{"id": "missing", "reason": reason}]}
    assert in_every_mode(app, lambda: alice.ask("/claims")) == dict.fromkeys(MODES, Told(403, body))


@every_framework
def test_theft_is_reported_at_the_refresh_and_clears_the_client(apps: Frameworks, framework: str) -> None:
    app = apps(framework)

    def ask() -> TestResponse:
        alice = sign_in(app)
        stolen = alice.client.get_cookie("sRefreshToken", path="/auth/session/refresh")
        assert stolen is not None
        assert alice.ask("/auth/session/refresh", "POST").status_code == 200
        # The child becomes final when it is first used, and the parent is then of no use to anybody.
        assert alice.ask("/guarded").status_code == 200
        thief = app.test_client(use_cookies=False)
        cookie = {"Cookie": f"sRefreshToken={stolen.value}", "rid": "session"}
        return thief.post("/auth/session/refresh", headers=cookie)

    expected = Told(401, {"message": "token theft detected"}, clears_cookies=True, clears_headers=True)
    assert in_every_mode(app, ask) == dict.fromkeys(MODES, expected)


@every_framework
def test_a_core_that_is_down_is_503_and_clears_nothing(apps: Frameworks, framework: str) -> None:
    app = apps(framework, core=False)
    token = sign_in(apps(framework), "header").headers
    expected = Told(503, {"message": "session service unavailable"}, retry_after="5")
    answers = in_every_mode(app, lambda: app.test_client().get("/guarded", headers=token))
    assert answers == dict.fromkeys(MODES, expected)


@every_framework
def test_a_view_may_raise_the_verdict_itself(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    assert in_every_mode(app, lambda: app.test_client().get("/by-hand")) == dict.fromkeys(MODES, CLEARED)


@every_framework
def test_a_view_may_refuse_claims_itself(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    body = {
        "message": "invalid claim",
        "claimValidationErrors": [{"id": "own", "reason": {"why": "because"}}],
    }
    assert in_every_mode(app, lambda: app.test_client().get("/claims-by-hand")) == dict.fromkeys(
        MODES, Told(403, body)
    )


@every_framework
def test_a_session_that_ends_while_a_view_uses_it_clears_the_client(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    modes = [(False, False, None), (True, False, True), (False, True, False), (True, True, None)]
    answers = in_every_mode(app, lambda: sign_in(app).ask("/data"), modes)
    assert answers == dict.fromkeys(modes, CLEARED)


@every_framework
@pytest.mark.parametrize(("path", "transfer"), [("/merge", "cookie"), ("/data", "header")])
def test_an_ended_session_is_cleared_for_every_view_and_transfer_method(
    apps: Frameworks, framework: str, path: str, transfer: str
) -> None:
    assert told(sign_in(apps(framework), transfer).ask(path)) == CLEARED


@every_framework
def test_the_statuses_can_be_configured(apps: Frameworks, framework: str) -> None:
    app = apps(framework, session_expired_status_code=410, invalid_claim_status_code=409)
    alice = sign_in(app)
    found = {
        path: told(alice.ask(path)).status for path in ("/claims", "/by-hand", "/claims-by-hand", "/data")
    }
    found["/guarded"] = told(app.test_client().get("/guarded")).status
    assert found == {"/guarded": 410, "/claims": 409, "/by-hand": 410, "/claims-by-hand": 409, "/data": 410}


def test_flask_restx_answers_500_where_it_does_not_know_the_status(apps: Frameworks) -> None:
    app = apps("restx", session_expired_status_code=440)
    set_mode(app, (False, False, None))
    response = app.test_client().get("/by-hand")
    assert (response.status_code, "front-token" in response.headers) == (500, False)


@every_framework
def test_a_good_session_passes(apps: Frameworks, framework: str) -> None:
    app = apps(framework)
    alice = sign_in(app)
    answers = {path: alice.ask(path).get_json() for path in ("/guarded", "/checked", "/get-session")}
    assert list(answers.values()) == [{"userId": "alice"}] * 3


def test_a_handler_of_the_status_changes_the_body_but_not_the_clearing(make_app: AppFactory) -> None:
    app = make_app(cdi_version="5.4")
    plain(app, VIEWS)

    @app.errorhandler(401)
    def page(error: Exception) -> Any:
        return {"page": "Please sign in."}, 401

    data, by_hand, no_token = (
        told(sign_in(app).ask("/data")),
        told(app.test_client().get("/by-hand")),
        told(app.test_client().get("/guarded")),
    )
    body = {"page": "Please sign in."}
    assert (data, by_hand) == (Told(401, body, True, True), Told(401, body, True, True))
    assert no_token == Told(401, body)


def test_a_handler_of_the_class_decides_everything_but_the_clearing(make_app: AppFactory) -> None:
    app = make_app(cdi_version="5.4")
    plain(app, VIEWS)

    @app.errorhandler(UnauthorisedError)
    def page(error: UnauthorisedError) -> Any:
        return {"reason": error.reason}, 200

    assert told(app.test_client().get("/by-hand")) == Told(200, {"reason": "session_ended"}, True, True)
    assert told(app.test_client().get("/guarded")) == Told(200, {"reason": "no_token"})


def test_verdicts_are_handled_even_if_http_exceptions_are_trapped(make_app: AppFactory) -> None:
    app = make_app()
    plain(app, VIEWS)
    app.config["TRAP_HTTP_EXCEPTIONS"] = True
    assert told(app.test_client().get("/guarded")) == Told(401, UNAUTHORISED)
    assert told(app.test_client().get("/by-hand")) == CLEARED


def test_an_error_of_the_view_is_not_handled(make_app: AppFactory) -> None:
    app = make_app()

    @app.get("/broken")
    @verify_session()
    def broken() -> str:
        raise ZeroDivisionError("of the view")

    alice = sign_in(app)
    assert alice.ask("/broken").status_code == 500
    app.testing = True
    with pytest.raises(ZeroDivisionError, match=r"^of the view$"):
        alice.ask("/broken")
    assert alice.ask("/user").get_json()["userId"] == "alice"
