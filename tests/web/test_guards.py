"""``verify_session`` and ``session_exempt`` on what Flask calls a view."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import flask_cors
import pytest
from flask import Flask, Response, abort, g, stream_with_context
from flask.testing import FlaskClient
from flask.views import MethodView, View
from support.app_factory import AppFactory
from support.clients import signed_in

from flask_stsession import (
    Session,
    UnauthorisedError,
    get_session,
    signals,
    verify_session,
)
from flask_stsession.claims import ClaimValidationResult, SessionClaimValidator

P = ParamSpec("P")
R = TypeVar("R")

UNAUTHORISED = {"message": "unauthorised"}


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    """A client that is signed in by cookie."""
    return signed_in(app)


def noted(view: Callable[P, R]) -> Callable[P, R]:
    """A decorator such as anybody writes."""

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        g.notes = [*g.get("notes", []), "noted"]
        return view(*args, **kwargs)

    return wrapper


class Fails(SessionClaimValidator):
    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(False, {"message": "no"})


def refused_by(*names: str) -> dict[str, Any]:
    errors = [{"id": name, "reason": {"message": "no"}} for name in names]
    return {"message": "invalid claim", "claimValidationErrors": errors}


# How it is written


def test_parentheses_are_optional(app: Flask, alice: FlaskClient) -> None:
    @app.get("/bare")
    @verify_session
    def bare() -> dict[str, str]:
        return {"userId": g.session.get_user_id()}

    assert alice.get("/bare").get_json() == {"userId": "alice"}
    assert (app.test_client().get("/bare").status_code, app.test_client().get("/bare").get_json()) == (
        401,
        UNAUTHORISED,
    )


def test_the_view_keeps_its_name_signature_and_documentation() -> None:
    def show(page: int, *, sort: str = "name") -> str:
        """Show a page."""
        return f"{page} {sort}"

    guarded = verify_session()(show)
    assert (guarded.__name__, guarded.__doc__) == ("show", "Show a page.")
    assert inspect.signature(guarded) == inspect.signature(show)
    typed: Callable[[int], str] = guarded
    assert callable(typed)


def test_arguments_of_the_url_reach_the_view(app: Flask, alice: FlaskClient) -> None:
    @app.get("/blog/<int:id>/<word>")
    @verify_session()
    def blog(id: int, word: str) -> dict[str, Any]:  # noqa: A002
        return {"id": id, "word": word}

    assert alice.get("/blog/7/x").get_json() == {"id": 7, "word": "x"}


def test_a_bound_method_a_partial_and_a_callable_object_can_be_guarded(
    app: Flask, alice: FlaskClient
) -> None:
    class Greeter:
        def greet(self) -> str:
            return f"hello {g.session.get_user_id()}"

        def __call__(self, word: str = "hi") -> str:
            return f"{word} {g.session.get_user_id()}"

    app.add_url_rule("/method", "method", verify_session()(Greeter().greet))
    app.add_url_rule("/partial", "partial", verify_session()(partial(Greeter(), word="yo")))
    app.add_url_rule("/object", "object", verify_session()(Greeter()))
    paths = ("/method", "/partial", "/object")
    assert [alice.get(path).text for path in paths] == ["hello alice", "yo alice", "hi alice"]
    assert [app.test_client().get(path).status_code for path in paths] == [401, 401, 401]


def test_one_function_may_be_guarded_twice_for_two_routes(app: Flask, alice: FlaskClient) -> None:
    def show() -> dict[str, str]:
        return {"userId": g.session.get_user_id()}

    app.add_url_rule("/one", "one", verify_session()(show))
    app.add_url_rule("/two", "two", verify_session(check_database=True)(show))
    assert [alice.get(path).get_json() for path in ("/one", "/two")] == [{"userId": "alice"}] * 2


def test_a_class_is_refused_with_the_remedy() -> None:
    class Page(MethodView):
        pass

    with pytest.raises(TypeError) as caught:
        verify_session()(Page)
    assert str(caught.value) == (
        "verify_session decorates functions, and Page is a class. Decorate its methods, or all of them by "
        "decorators = [verify_session()] in the class."
    )


# Methods of HTTP


def test_options_is_never_checked_and_head_is(app: Flask) -> None:
    client = app.test_client()
    options = client.options("/user")
    assert (options.status_code, sorted(options.allow or ())) == (
        200,
        ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"],
    )
    assert client.head("/user").status_code == 401
    assert signed_in(app).head("/user").status_code == 200


@pytest.mark.parametrize("session_required", [True, False])
def test_options_never_reaches_a_guarded_view_whatever_its_route_says(
    app: Flask, alice: FlaskClient, session_required: bool
) -> None:
    ran = []

    @app.route("/own", methods=["POST", "OPTIONS"], provide_automatic_options=False)
    @verify_session(session_required=session_required)
    def own() -> str:
        ran.append("own")
        return "ran"

    class Own(MethodView):
        @verify_session(session_required=session_required)
        def options(self) -> str:
            ran.append("method")
            return "ran"

        def get(self) -> str:
            return "public"

    app.add_url_rule("/method", view_func=Own.as_view("method"))
    for client in (alice, app.test_client()):
        responses = [client.options(path) for path in ("/own", "/method")]
        assert [(each.status_code, each.text) for each in responses] == [(200, ""), (200, "")]
        assert sorted(responses[0].allow or ()) == ["OPTIONS", "POST"]
    assert ran == []
    assert alice.post("/own").text == "ran"


def test_get_session_ends_an_options_request_where_a_session_is_required(app: Flask) -> None:
    ran = []

    @app.route("/own", methods=["DELETE", "OPTIONS"], provide_automatic_options=False)
    def own() -> str:
        get_session()
        ran.append("own")
        return "ran"

    @app.errorhandler(Exception)
    def handle(error: Exception) -> tuple[str, int]:
        return "handled", 500

    response = app.test_client().options("/own")
    assert (response.status_code, sorted(response.allow or ()), ran) == (200, ["DELETE", "OPTIONS"], [])


def test_help_shows_the_signature_that_a_user_writes() -> None:
    shown = str(inspect.signature(verify_session))
    assert shown.startswith("(anti_csrf_check: 'bool | None' = None, session_required: 'bool' = True, ")
    assert "roles: 'Names | None' = None" in shown
    assert not {"flags", "options", "unknown", "caller"} & set(inspect.signature(verify_session).parameters)


def test_arguments_beside_a_view_take_effect(app: Flask, alice: FlaskClient) -> None:
    def show() -> str:
        return "secret"

    guard: Any = verify_session
    app.add_url_rule("/show", view_func=guard(show, validators=[Fails("x")]))
    assert alice.get("/show").get_json() == refused_by("x")


def test_a_cors_decorator_below_the_guard_is_named(caplog: pytest.LogCaptureFixture) -> None:
    def page() -> str:
        return "page"

    verify_session()(flask_cors.cross_origin()(page))
    assert caplog.messages == [
        "@verify_session() stands above a decorator of the view 'page' that answers OPTIONS, a CORS "
        "decorator for example. The guard answers preflights, so that decorator never sees them. Put it "
        "above @verify_session()."
    ]


def test_a_cors_decorator_above_the_guard_still_works(app: Flask, alice: FlaskClient) -> None:
    @app.route("/page", methods=["POST", "OPTIONS"])
    @flask_cors.cross_origin(origins="https://shop.example", supports_credentials=True)
    @verify_session()
    def page() -> str:
        return "page"

    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    preflight = app.test_client().options("/page", headers=headers)
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert app.test_client().post("/page").status_code == 401


def test_a_post_to_the_refresh_path_refreshes_once_behind_several_guards(make_app: AppFactory) -> None:
    app = make_app(routes=("signout",))
    refreshed: list[Any] = []

    @app.post("/auth/session/refresh")
    @verify_session(validators=[Fails("never asked at a refresh")])
    @verify_session()
    def refresh() -> dict[str, str]:
        return {"userId": g.session.get_user_id()}

    alice = signed_in(app)
    assert alice.get("/user").status_code == 200
    before = alice.get_cookie("sAccessToken")
    with signals.session_refreshed.connected_to(lambda _app, **sent: refreshed.append(sent), app):
        response = alice.post("/auth/session/refresh")
    after = alice.get_cookie("sAccessToken")
    assert (response.status_code, response.get_json()) == (200, {"userId": "alice"})
    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert len(refreshed) == 1


# Asynchronous views


def test_an_async_view_runs_with_its_session(app: Flask, alice: FlaskClient) -> None:
    @app.get("/async")
    @verify_session()
    async def show() -> dict[str, str]:
        return {"userId": g.session.get_user_id()}

    assert alice.get("/async").get_json() == {"userId": "alice"}
    assert app.test_client().get("/async").get_json() == UNAUTHORISED


def test_async_methods_of_a_method_view_run_with_their_session(app: Flask, alice: FlaskClient) -> None:
    class Page(MethodView):
        @verify_session()
        async def get(self, word: str) -> dict[str, str]:
            return {"userId": g.session.get_user_id(), "word": word}

        async def post(self, word: str) -> dict[str, Any]:
            return {"session": g.session is not None}

    app.add_url_rule("/page/<word>", view_func=Page.as_view("page"))
    assert alice.get("/page/x").get_json() == {"userId": "alice", "word": "x"}
    assert app.test_client().get("/page/x").get_json() == UNAUTHORISED
    assert alice.post("/page/x").get_json() == {"session": False}


def test_async_views_may_be_decorated_above_and_below(app: Flask, alice: FlaskClient) -> None:
    def awaited(view: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @wraps(view)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            g.notes = ["awaited"]
            return await view(*args, **kwargs)

        return wrapper

    @app.get("/async")
    @noted
    @verify_session()
    @awaited
    async def show() -> dict[str, Any]:
        return {"notes": g.notes}

    assert alice.get("/async").get_json() == {"notes": ["awaited"]}


def test_a_before_request_function_may_be_async_and_guarded(app: Flask, alice: FlaskClient) -> None:
    @app.before_request
    @verify_session(session_required=False)
    async def remember() -> None:
        g.seen = g.session.get_user_id() if g.session else None

    app.add_url_rule("/seen", "seen", lambda: {"seen": g.seen})
    assert alice.get("/seen").get_json() == {"seen": "alice"}
    assert app.test_client().get("/seen").get_json() == {"seen": None}


# Stacking


def test_guards_add_up_in_any_order(app: Flask, alice: FlaskClient) -> None:
    one, two = verify_session(validators=[Fails("one")]), verify_session(validators=[Fails("two")])
    loose = verify_session(session_required=False)
    for path, decorators in {
        "/loose-one": (loose, one),
        "/one-loose": (one, loose),
        "/loose-two": (loose, noted, two),
        "/loose-loose": (loose, loose),
    }.items():

        def view() -> dict[str, Any]:
            return {"session": g.session is not None}

        guarded: Callable[[], Any] = view
        for decorator in reversed(decorators):
            guarded = decorator(guarded)
        app.add_url_rule(path, path, guarded)
    anonymous = app.test_client()
    assert {path: alice.get(path).get_json() for path in ("/loose-one", "/one-loose", "/loose-two")} == {
        "/loose-one": refused_by("one"),
        "/one-loose": refused_by("one"),
        "/loose-two": refused_by("two"),
    }
    assert [anonymous.get(path).status_code for path in ("/loose-one", "/one-loose", "/loose-two")] == [
        401
    ] * 3
    assert alice.get("/loose-loose").get_json() == {"session": True}
    assert anonymous.get("/loose-loose").get_json() == {"session": False}


def test_other_decorators_may_stand_anywhere_below_the_route(app: Flask, alice: FlaskClient) -> None:
    @app.get("/above")
    @noted
    @verify_session()
    def above() -> dict[str, Any]:
        return {"notes": g.notes, "userId": g.session.get_user_id()}

    @app.get("/below")
    @verify_session()
    @noted
    def below() -> dict[str, Any]:
        return {"notes": g.notes, "userId": g.session.get_user_id()}

    expected = {"notes": ["noted"], "userId": "alice"}
    assert [alice.get(path).get_json() for path in ("/above", "/below")] == [expected, expected]
    assert [app.test_client().get(path).status_code for path in ("/above", "/below")] == [401, 401]


def test_decorators_of_a_view_class_may_guard_it(app: Flask, alice: FlaskClient) -> None:
    class Page(View):
        decorators = [verify_session(), noted]  # noqa: RUF012

        def dispatch_request(self) -> dict[str, str]:
            return {"userId": g.session.get_user_id()}

    app.add_url_rule("/page", view_func=Page.as_view("page"))
    assert alice.get("/page").get_json() == {"userId": "alice"}
    assert app.test_client().get("/page").get_json() == UNAUTHORISED


def test_a_session_is_verified_once_however_many_guards_ask(app: Flask, alice: FlaskClient) -> None:
    verified: list[Session] = []

    @app.get("/many")
    @verify_session()
    @verify_session
    @verify_session(session_required=False)
    def many() -> dict[str, bool]:
        return {"same": get_session() is g.session}

    def note(_app: Flask, session: Session, **_extra: Any) -> None:
        verified.append(session)

    with signals.session_verified.connected_to(note, app):
        assert alice.get("/many").get_json() == {"same": True}
    assert [session.get_user_id() for session in verified] == ["alice"]


# Above the route


# What a view returns and raises is its own


def test_the_return_value_of_a_view_is_not_changed(app: Flask, alice: FlaskClient) -> None:
    made = Response("made", 201, {"X-Made": "yes"})

    def chunks() -> Iterator[str]:
        yield g.session.get_user_id()
        yield "!"

    views: dict[str, Callable[[], Any]] = {
        "text": lambda: "text",
        "tuple": lambda: ({"a": 1}, 202, {"X-Own": "1"}),
        "list": lambda: [1, 2],
        "response": lambda: made,
        "bytes": lambda: b"bytes",
        "stream": lambda: stream_with_context(chunks()),
        "wsgi": lambda: Response("wsgi", 207),
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, verify_session()(view))
    answers = {name: alice.get(f"/{name}") for name in views}
    assert {name: (answer.status_code, answer.text.strip()) for name, answer in answers.items()} == {
        "text": (200, "text"),
        "tuple": (202, '{"a":1}'),
        "list": (200, "[1,2]"),
        "response": (201, "made"),
        "bytes": (200, "bytes"),
        "stream": (200, "alice!"),
        "wsgi": (207, "wsgi"),
    }
    assert (answers["tuple"].headers["X-Own"], answers["response"].headers["X-Made"]) == ("1", "yes")


def test_the_session_is_verified_before_a_generator_streams(app: Flask, alice: FlaskClient) -> None:
    @app.get("/stream")
    @verify_session()
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    assert alice.get("/stream").text == "ab"
    assert app.test_client().get("/stream").get_json() == UNAUTHORISED


def test_a_guard_on_an_app_without_the_extension_says_so() -> None:
    returned = object()
    app = Flask("bare")
    view = verify_session()(lambda: returned)
    with app.test_request_context("/"), pytest.raises(RuntimeError) as caught:
        view()
    assert str(caught.value) == (
        "The app 'bare' has no STSession. Initialise it: STSession(app), or stsession.init_app(app)."
    )


def test_an_exception_of_a_view_is_not_swallowed(app: Flask, alice: FlaskClient) -> None:
    app.testing = True

    @app.get("/broken")
    @verify_session(session_required=False, ignore_invalid=True)
    def broken() -> str:
        raise LookupError("of the view")

    @app.get("/teapot")
    @verify_session(session_required=False, ignore_invalid=True)
    def teapot() -> str:
        abort(418)

    @app.get("/verdict")
    @verify_session(session_required=False, ignore_invalid=True)
    def verdict() -> str:
        raise UnauthorisedError("of the view")

    for client in (alice, app.test_client()):
        with pytest.raises(LookupError, match=r"^of the view$"):
            client.get("/broken")
        assert client.get("/teapot").status_code == 418
        assert client.get("/verdict").get_json() == UNAUTHORISED


# The context that claims and validators get


class Remembers(SessionClaimValidator):
    """Keeps the contexts it is given, and writes into them."""

    def __init__(self) -> None:
        super().__init__("remembers")
        self.contexts: list[dict[str, Any]] = []
        self.found: list[Any] = []

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        self.contexts.append(user_context)
        self.found.append((user_context.get("who"), user_context.get("given")))
        user_context["who"] = payload["sub"]
        return ClaimValidationResult(True)


def test_the_user_context_is_new_in_every_request(app: Flask) -> None:
    remembers = Remembers()
    given = {"given": 1}

    @app.get("/context")
    @verify_session(validators=[remembers], user_context=given)
    def context() -> str:
        return "ok"

    alice, bob = signed_in(app, "alice"), signed_in(app, "bob")
    assert [client.get("/context").text for client in (alice, bob, alice)] == ["ok"] * 3
    assert remembers.found == [(None, 1)] * 3
    assert len({id(context) for context in remembers.contexts}) == 3
    assert [context["who"] for context in remembers.contexts] == ["alice", "bob", "alice"]
    assert given == {"given": 1}


def test_guards_of_one_request_share_a_context_and_each_adds_its_own(app: Flask, alice: FlaskClient) -> None:
    remembers = Remembers()

    @app.get("/context")
    @verify_session(user_context={"outer": 1})
    @verify_session(validators=[remembers], user_context={"given": 2})
    def context() -> str:
        return "ok"

    assert alice.get("/context").text == "ok"
    assert remembers.found == [(None, 2)]
    assert remembers.contexts[0]["outer"] == 1
