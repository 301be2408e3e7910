"""What is checked once the app is complete, at its first request."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import flask_restful
import flask_restx
import pytest
from flask import Flask, g, request
from flask.testing import FlaskClient
from flask.views import MethodView
from support.app_factory import AppFactory
from support.clients import signed_in
from werkzeug.exceptions import HTTPException

from flask_stsession import (
    ConfigError,
    SessionHTTPError,
    STSession,
    STSessionError,
    UnauthorisedError,
    session_exempt,
    verify_session,
)


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    """A client that is signed in by cookie."""
    return signed_in(app)


def noted(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator such as anybody writes."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return wrapper


# Guards in the wrong place


MISORDERED = (
    "The view of the endpoint 'secret' is not protected: @verify_session() stands above the route, so the "
    "function was registered without it. Put @app.route(...) (or @app.get, @blueprint.post, ...) on top and "
    "@verify_session() below it. If the view is meant to be public as well, mark it with @session_exempt."
)


def misordered(app: Flask) -> list[str]:
    ran: list[str] = []

    @verify_session()
    @app.get("/secret")
    def secret() -> str:
        ran.append("secret")
        return "SECRET"

    return ran


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("client", [signed_in, Flask.test_client])
def test_a_guard_above_the_route_answers_500_and_the_view_never_runs(
    app: Flask, caplog: pytest.LogCaptureFixture, debug: bool, client: Callable[[Flask], FlaskClient]
) -> None:
    ran = misordered(app)
    app.debug, app.config["PROPAGATE_EXCEPTIONS"] = debug, False
    asking = client(app)
    answers = [asking.get("/secret").status_code for _ in range(2)]
    assert (answers, ran) == ([500, 500], [])
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [MISORDERED] * 2


@pytest.mark.parametrize(
    ("debug", "testing", "propagate"), [(True, False, None), (False, True, None), (0, 0, 1)]
)
def test_a_misordered_guard_raises_if_exceptions_propagate(
    app: Flask, debug: bool, testing: bool, propagate: bool | None
) -> None:
    ran = misordered(app)
    app.debug, app.testing, app.config["PROPAGATE_EXCEPTIONS"] = bool(debug), bool(testing), propagate
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/secret")
    assert (str(caught.value), ran) == (MISORDERED, [])


def test_a_decorator_between_the_guard_and_the_route_does_not_hide_the_mistake(app: Flask) -> None:
    app.testing = True
    ran = []

    @verify_session()
    @noted
    @app.get("/secret")
    def secret() -> str:
        ran.append("secret")
        return "SECRET"

    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/secret")
    assert (str(caught.value), ran) == (MISORDERED, [])


def test_an_exempt_view_may_be_registered_with_and_without_its_guard(app: Flask, alice: FlaskClient) -> None:
    @session_exempt
    def both() -> dict[str, bool]:
        return {"session": g.session is not None}

    app.add_url_rule("/public", "public_both", both)
    app.add_url_rule("/guarded", "guarded_both", verify_session()(both))
    assert alice.get("/public").get_json() == {"session": False}
    assert alice.get("/guarded").get_json() == {"session": True}
    assert app.test_client().get("/guarded").status_code == 401


def test_a_guard_above_before_request_lets_no_request_pass(app: Flask) -> None:
    app.testing = True

    @verify_session()
    @app.before_request
    def check() -> None:
        """Registered without its guard."""

    client = app.test_client()
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            client.get("/open")
        assert str(caught.value) == (
            "The before_request function 'check' guards nothing: @verify_session() stands above "
            "@before_request, so the function was registered without it. Put @before_request on top and "
            "@verify_session() below it."
        )


# Exemptions that exempt nothing


@pytest.mark.parametrize("times", [1, 2])
def test_an_unknown_exempt_endpoint_is_an_error_at_every_request(app: Flask, times: int) -> None:
    app.testing = True
    app.extensions["stsession"].protect(app, exempt=["helth"])
    client = app.test_client()
    for _ in range(times):
        with pytest.raises(ConfigError) as caught:
            client.get("/open")
        assert str(caught.value).startswith(
            "protect() got the endpoint 'helth' in exempt=, which the app does not have. Its endpoints are "
        )


def test_an_exempt_function_must_be_a_view(app: Flask) -> None:
    app.testing = True

    def page() -> str:
        return "page"

    app.add_url_rule("/page", "page", noted(page))
    app.extensions["stsession"].protect(app, exempt=[page])
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/page")
    assert str(caught.value) == (
        "protect() got the function 'page' in exempt=, which is not the view of any endpoint. Name its "
        "endpoint, or give the function that was registered."
    )


def test_an_exemption_applies_only_to_the_marked_function_or_class(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.extensions["stsession"].protect(app)

    @app.get("/wrapped")
    @noted
    @session_exempt
    def wrapped() -> str:
        return "secret"

    @session_exempt
    class Public(MethodView):
        def get(self) -> str:
            return "public"

    class Private(Public):
        pass

    class Method(MethodView):
        @session_exempt
        def get(self) -> str:
            return "secret"

    app.add_url_rule("/page", view_func=Public.as_view("page"))
    app.add_url_rule("/private", view_func=Private.as_view("private"))
    app.add_url_rule("/method", view_func=Method.as_view("method"))
    client = app.test_client()
    statuses = {path: client.get(path).status_code for path in ("/wrapped", "/page", "/private", "/method")}
    assert statuses == {"/wrapped": 401, "/page": 200, "/private": 401, "/method": 401}
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == [
        f"The view of the endpoint {endpoint!r} is not exempt: @session_exempt marks a function that a "
        "decorator has wrapped since, a base class, or a method. Put @session_exempt right below the route, "
        "or on the class itself."
        for endpoint in ("wrapped", "private", "method")
    ]


# The age of a login


def guarded(app: Flask, way: str) -> None:
    guard: Any = verify_session(max_auth_age=60)
    if way == "view":
        app.add_url_rule("/recent", "recent", noted(guard(lambda: "recent")))
    elif way == "method":
        view_class = type("Recent", (MethodView,), {"get": guard(lambda self: "recent")})
        app.add_url_rule("/recent", view_func=view_class.as_view("recent"))  # type: ignore[attr-defined]
    elif way == "before_request":
        app.before_request(guard(lambda: None))
    else:
        app.extensions["stsession"].protect(app, max_auth_age=60)


@pytest.mark.parametrize("way", ["view", "method", "before_request", "protect"])
def test_max_auth_age_without_auth_time_claim_fails_at_the_first_request_to_any_route(
    app: Flask, way: str
) -> None:
    app.testing = True
    guarded(app, way)
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/open")
    assert str(caught.value) == (
        "max_auth_age= needs the time of the login in the session: STSession(claims=[AuthTimeClaim])."
    )


# Who responds to a verdict


@pytest.mark.parametrize("kind", [flask_restful.Api, flask_restx.Api, None])
def test_handle_user_exception_is_replaced_only_if_an_api_has_replaced_it(app: Flask, kind: Any) -> None:
    if kind is not None:
        kind(app)
    else:
        app.register_error_handler(401, lambda error: ("mine", 401))
    theirs = vars(app).get("handle_user_exception")
    app.test_client().get("/open")
    assert ("handle_user_exception" in vars(app)) is (kind is not None)
    assert (vars(app).get("handle_user_exception") is theirs) is (kind is None)


def test_handle_user_exception_as_replaced_by_another_extension_is_kept(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flask_restful", "flask_restx"):
        monkeypatch.delitem(sys.modules, name)
    theirs = noted(app.handle_user_exception)
    vars(app)["handle_user_exception"] = theirs
    app.test_client().get("/")
    assert vars(app)["handle_user_exception"] is theirs


@pytest.mark.parametrize("handles", [401, UnauthorisedError])
def test_an_error_handler_of_the_app_may_be_asynchronous(app: Flask, handles: Any) -> None:
    @app.errorhandler(handles)
    async def handle(error: Exception) -> tuple[str, int]:
        return "mine", 401

    @app.get("/leave")
    def leave() -> str:
        raise UnauthorisedError("Signed out by the view.")

    response = app.test_client().get("/leave")
    assert (response.status_code, response.text, response.headers["front-token"]) == (401, "mine", "remove")


# Caches


def cached_like_flask_caching(function: Callable[..., Any]) -> Any:
    """Decorate as Flask-Caching's ``cached`` does: with its attributes."""
    kept: list[Any] = []

    @wraps(function)
    def decorated(*args: Any, **named: Any) -> Any:
        if not kept:
            kept.append(function(*args, **named))
        return kept[0]

    marks: Any = decorated
    marks.uncached = function
    marks.cache_timeout = 60
    marks.make_cache_key = lambda *args, **named: "view//secret"
    return decorated


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return called


def secret() -> str:
    return "secret"


@pytest.mark.parametrize("cache", [cached_like_flask_caching, lru_cache])
@pytest.mark.parametrize("above", [lambda function: function, plain])
def test_a_cache_above_the_guard_is_refused_with_the_remedy(app: Flask, cache: Any, above: Any) -> None:
    app.add_url_rule("/secret", "secret", above(cache(verify_session()(secret))))
    app.testing = True
    client = app.test_client()
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            client.get("/secret")
        assert str(caught.value) == (
            "The view of the endpoint 'secret' is cached above @verify_session(): the response to one user "
            "would be shown to everybody, with a session or without. Put the caching decorator below "
            "@verify_session() (before it in a list of decorators), with a key that contains the user id."
        )
    assert client.get("/open").status_code == 200


@pytest.mark.parametrize("cache", [cached_like_flask_caching, lru_cache])
@pytest.mark.parametrize("above", [lambda function: function, plain])
def test_a_cache_below_the_guard_is_allowed(app: Flask, cache: Any, above: Any) -> None:
    app.add_url_rule("/secret", "secret", above(verify_session()(cache(secret))))
    client = app.test_client()
    assert client.get("/secret").status_code == 401
    client.post("/login", headers={"st-auth-mode": "cookie"})
    assert client.get("/secret").text == "secret"


def test_a_cache_of_a_public_view_is_allowed(app: Flask) -> None:
    app.add_url_rule("/public", "public_page", cached_like_flask_caching(secret))
    assert app.test_client().get("/public").text == "secret"


def test_a_cache_below_the_guard_does_not_hide_one_above_it(app: Flask) -> None:
    app.add_url_rule("/secret", "secret", lru_cache(verify_session()(cached_like_flask_caching(secret))))
    app.testing = True
    with pytest.raises(ConfigError, match="'secret' is cached above"):
        app.test_client().get("/secret")


def method(_view: MethodView) -> str:
    return "secret"


guard = verify_session()
cached = cached_like_flask_caching


@pytest.mark.parametrize(
    ("attributes", "decorators_of_api"),
    [
        ({"get": cached(guard(method))}, []),
        ({"get": method, "decorators": [guard, cached]}, []),
        ({"get": guard(method), "decorators": [cached]}, []),
        ({"get": method, "method_decorators": [guard, cached]}, []),
        ({"get": method, "method_decorators": {"get": [guard, cached]}}, []),
        ({"get": guard(method), "method_decorators": [cached]}, []),
        ({"get": guard(method)}, [cached]),
        ({"get": method, "method_decorators": [guard]}, [cached]),
        ({"dispatch_request": guard(method), "decorators": [cached]}, []),
    ],
)
def test_a_cache_above_the_guard_of_a_view_class_is_found(
    app: Flask, attributes: dict[str, Any], decorators_of_api: list[Any]
) -> None:
    app.testing = True
    api = flask_restful.Api(app, decorators=decorators_of_api)
    api.add_resource(type("Secret", (flask_restful.Resource,), attributes), "/secret")
    with pytest.raises(ConfigError, match="'secret' is cached above"):
        app.test_client().get("/secret")


@pytest.mark.parametrize("below", [[cached, guard], {"get": [cached, guard]}, {"post": [guard, cached]}])
def test_a_cache_below_the_guard_of_a_view_class_is_allowed(app: Flask, below: Any) -> None:
    attributes = {"get": method, "method_decorators": below}
    flask_restful.Api(app).add_resource(type("Secret", (flask_restful.Resource,), attributes), "/secret")
    assert signed_in(app).get("/secret").json == "secret"


def test_a_resource_decorator_that_needs_its_request_breaks_no_other_view(app: Flask) -> None:
    def of_request(function: Any) -> Any:
        assert request.path == "/secret"
        return function

    attributes = {"get": method, "method_decorators": [guard, of_request]}
    flask_restful.Api(app).add_resource(type("Secret", (flask_restful.Resource,), attributes), "/secret")
    assert app.test_client().get("/open").status_code == 200
    assert signed_in(app).get("/secret").json == "secret"


# Settings that come too late


def late(app: Flask) -> str:
    """Return the error of the first request, and of any other."""
    app.testing = True
    messages = set()
    for path in ("/open", "/nowhere"):
        with pytest.raises(ConfigError) as caught:
            app.test_client().get(path)
        messages.add(str(caught.value))
    [message] = messages
    return message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"STSESSION_LOGIN_URL": "/login"}, "STSESSION_LOGIN_URL"),
        ({"STSESSION_CHECK_DATABASE": "true"}, "STSESSION_CHECK_DATABASE"),
        ({"STSESSION_CLAIM_MAX_AGE_SECONDS": None}, "STSESSION_CLAIM_MAX_AGE_SECONDS"),
        (
            {"STSESSION_COOKIE_PREFIX": "shop_", "STSESSION_API_KEY": "of-the-core"},
            "STSESSION_API_KEY and STSESSION_COOKIE_PREFIX",
        ),
    ],
)
def test_a_setting_after_init_app_is_an_error_at_every_request(
    app: Flask, settings: dict[str, Any], named: str
) -> None:
    app.config.update(settings)
    assert late(app) == (
        f"The value of {named} in app.config is not the one that STSession has read, and would have no "
        "effect: settings are read once, by STSession(app) or stsession.init_app(app). Set them before that. "
        "An app factory should take the settings of tests and deployments as an argument, and set them first."
    )


NO_LOGIN_PAGE = (
    "STSESSION_LOGIN_URL = 'logn' is neither an endpoint nor a path of this app, so browsers without a "
    "session cannot be sent there. Write the endpoint of the login view, or its path."
)


def failed_redirect(app: Flask) -> str:
    """Return the error of a redirect to the login page."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ConfigError) as raised:
        app.test_client().get("/user", headers={"Accept": "text/html"})
    return str(raised.value)


def test_a_login_page_that_is_no_endpoint_is_named_at_the_first_request(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(login_url="logn")
    app.test_client().get("/hello")
    assert NO_LOGIN_PAGE in caplog.messages


def test_a_redirect_to_a_login_page_that_is_no_endpoint_names_the_setting(make_app: AppFactory) -> None:
    app = make_app(login_url="logn")
    assert failed_redirect(app) == NO_LOGIN_PAGE


LOGIN_PAGE_WITH_ARGUMENT = (
    "STSESSION_LOGIN_URL = 'sign_in' is an endpoint whose URL needs 'lang', so browsers without a session "
    "cannot be sent there. Set a value in a function for @app.url_defaults, or override get_login_url() to "
    "return the path."
)


def test_a_login_page_whose_url_needs_an_argument_is_named_with_it(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(login_url="sign_in")
    app.add_url_rule("/<lang>/sign-in", "sign_in", lambda lang: lang)
    assert failed_redirect(app) == LOGIN_PAGE_WITH_ARGUMENT
    assert LOGIN_PAGE_WITH_ARGUMENT in caplog.messages


def test_the_url_of_the_login_page_takes_arguments_from_defaults(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(login_url="sign_in")
    app.add_url_rule("/<lang>/sign-in", "sign_in", lambda lang: lang)
    app.url_defaults(lambda endpoint, values: values.setdefault("lang", "en"))
    response = app.test_client().get("/user", headers={"Accept": "text/html"})
    assert response.headers["Location"] == "/en/sign-in?next=%2Fuser"
    assert not [each for each in caplog.messages if "STSESSION_LOGIN_URL" in each]


def test_an_override_may_give_the_path_of_a_login_page_whose_url_needs_an_argument(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    class Extension(STSession):
        def get_login_url(self) -> str:
            return "/en/sign-in"

    app = make_app(extension=Extension, login_url="sign_in")
    app.add_url_rule("/<lang>/sign-in", "sign_in", lambda lang: lang)
    response = app.test_client().get("/user", headers={"Accept": "text/html"})
    assert response.headers["Location"] == "/en/sign-in?next=%2Fuser"
    assert not [each for each in caplog.messages if "STSESSION_LOGIN_URL" in each]


def test_a_setting_that_is_removed_after_init_app_is_an_error(make_app: AppFactory) -> None:
    app = make_app(login_url="/login")
    del app.config["STSESSION_LOGIN_URL"]
    assert "value of STSESSION_LOGIN_URL in app.config is not the one that" in late(app)


def test_a_setting_that_is_changed_in_place_after_init_app_is_an_error(make_app: AppFactory) -> None:
    app = make_app(core_tls={})
    app.config["STSESSION_CORE_TLS"]["ca"] = __file__
    assert "The value of STSESSION_CORE_TLS in app.config is not the one" in late(app)


def test_an_unknown_key_after_init_app_is_an_error(app: Flask) -> None:
    app.config["STSESSION_LOGIN"] = "/login"
    assert late(app) == "There is no setting 'STSESSION_LOGIN'. Did you mean STSESSION_LOGIN_URL?"


@pytest.mark.parametrize(
    "settings",
    [
        {"TESTING": True, "DEBUG": True, "SECRET_KEY": "of the app"},
        {"STSESSION_SESSION_EXPIRED_STATUS_CODE": "401", "STSESSION_ROUTES": True, "STSESSION_API_KEY": None},
    ],
)
def test_an_equal_setting_after_init_app_is_no_error(app: Flask, settings: dict[str, Any]) -> None:
    app.config.update(settings)
    assert app.test_client().get("/open").status_code == 200


# Error handlers beside the APIs of Flask-RESTX and Flask-RESTful

MINE = {"error": "please sign in"}


def mine(error: Exception) -> tuple[dict[str, str], int]:
    return dict(MINE), 401


def add_api(app: Flask, kind: Any, namespace: bool = False) -> Any:
    """Return an API with the guarded resource ``/item``, or its namespace."""
    api = kind(app)
    holder = api.namespace("ns", path="/") if namespace else api
    resource: Any = flask_restful.Resource if kind is flask_restful.Api else flask_restx.Resource

    class Item(resource):  # type: ignore[misc]
        @verify_session()
        def get(self) -> dict[str, str]:
            return {}

    holder.add_resource(Item, "/item")
    return holder


def refused(app: Flask) -> tuple[int, Any]:
    response = app.test_client().get("/item", headers={"Authorization": "Bearer no-token"})
    return response.status_code, response.get_json()


@pytest.mark.parametrize("namespace", [False, True])
@pytest.mark.parametrize("kind", [UnauthorisedError, SessionHTTPError, STSessionError, HTTPException])
def test_the_response_of_a_restx_error_handler_is_sent(
    app: Flask, namespace: bool, kind: type[Exception]
) -> None:
    holder = add_api(app, flask_restx.Api, namespace)
    holder.errorhandler(kind)(mine)
    assert refused(app) == (401, MINE)


@pytest.mark.parametrize("api", [flask_restx.Api, flask_restful.Api])
@pytest.mark.parametrize("kind", [UnauthorisedError, SessionHTTPError, 401])
def test_an_api_sends_the_response_of_the_apps_error_handler(
    app: Flask, api: Any, kind: type[Exception] | int
) -> None:
    add_api(app, api)
    app.errorhandler(kind)(mine)
    assert refused(app) == (401, MINE)


def test_an_error_handler_of_an_api_takes_precedence_over_one_of_the_app(app: Flask) -> None:
    api = add_api(app, flask_restx.Api)
    app.errorhandler(UnauthorisedError)(lambda error: ({"error": "by the app"}, 401))
    api.errorhandler(UnauthorisedError)(mine)
    assert refused(app) == (401, MINE)


@pytest.mark.parametrize("api", [flask_restx.Api, flask_restful.Api])
def test_without_a_handler_an_api_sends_the_json_of_the_interface(app: Flask, api: Any) -> None:
    add_api(app, api)
    app.errorhandler(404)(mine)
    app.errorhandler(ValueError)(mine)
    assert refused(app) == (401, {"message": "unauthorised"})
