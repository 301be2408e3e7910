"""Other extensions in one app with this one: each does its work, and neither disturbs the other.

``docs/neighbours.md`` lists them, with these tests and those elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from apiflask import APIFlask
from authlib.integrations.flask_client import OAuth
from cachelib import SimpleCache
from flask import Flask, copy_current_request_context, g, redirect, render_template_string, session, url_for
from flask_babel import Babel
from flask_caching import Cache
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required
from flask_limiter import Limiter
from flask_login import LoginManager, UserMixin, login_required, login_user
from flask_session import Session as ServerSideSession
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import Talisman
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_stsession import (
    ConfigError,
    STSession,
    create_new_session,
    current_session,
    current_user,
    verify_session,
)
from flask_stsession.testing import TestCore, login

pytestmark = pytest.mark.embedded_core

MakeApp = Callable[..., Flask]
NAVIGATES = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}


@pytest.fixture
def make() -> Iterator[MakeApp]:
    """Return a maker of apps; ``before`` is called with the app before ``STSession`` is initialised."""
    apps: list[Flask] = []

    def make_app(
        *, before: Callable[[Flask], Any] | None = None, cls: type[Flask] = Flask, **config: Any
    ) -> Flask:
        app = cls("app")
        app.config.update(TestCore.settings, SECRET_KEY="of the app, at least 32 bytes long", **config)
        if before is not None:
            before(app)
        STSession(app)

        @app.get("/user")
        @verify_session()
        def user() -> dict[str, str]:
            return {"userId": g.session.get_user_id()}

        apps.append(app)
        return app

    yield make_app
    for app in apps:
        app.extensions["stsession"].close()


# Flask-Login


class Member(UserMixin):  # type: ignore[misc]
    def __init__(self, id_: str) -> None:
        self.id = id_


class Customer:
    """A user of a class that says nothing true about signing in."""

    is_authenticated = False
    is_anonymous = True

    def __init__(self, name: str) -> None:
        self.name = name


def _login_manager(app: Flask) -> None:
    manager = LoginManager(app)
    manager.user_loader(Member)


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("has_loader", [True, False], ids=["with our loader", "without"])
def test_flask_login_keeps_its_current_user_in_templates(
    make: MakeApp, is_first: bool, has_loader: bool
) -> None:
    app = make(before=_login_manager if is_first else None)
    if not is_first:
        _login_manager(app)
    if has_loader:
        app.extensions["stsession"].user_loader(Customer)

    @app.get("/enter")
    def enter() -> str:
        login_user(Member("bob"))
        return ""

    @app.get("/page")
    def page() -> str:
        return render_template_string("{{ current_user.id }} {{ current_user.is_authenticated }}")

    @app.get("/members")
    @login_required  # type: ignore[untyped-decorator]
    def members() -> str:
        return "members"

    client = app.test_client()
    assert client.get("/page").text == " False"
    assert client.get("/members").status_code == 401
    client.get("/enter")
    assert client.get("/page").text == "bob True"
    assert client.get("/user").status_code == 401
    login(client, "alice")
    assert client.get("/page").text == "bob True"
    assert client.get("/user").get_json() == {"userId": "alice"}
    assert client.get("/members").text == "members"


def test_our_current_user_is_signed_in_whatever_its_class_says(make: MakeApp) -> None:
    app = make()
    app.extensions["stsession"].user_loader(Customer)

    @app.get("/page")
    def page() -> str:
        return render_template_string(
            "{{ current_user.is_authenticated }} {{ current_user.is_anonymous }} {{ current_user.name }}"
        )

    @app.get("/view")
    def view() -> list[Any]:
        return [current_user.is_authenticated, current_user.is_anonymous, bool(current_user)]

    client = app.test_client()
    assert client.get("/page").text == "False True "
    assert client.get("/view").get_json() == [False, True, False]
    login(client, "alice")
    assert client.get("/page").text == "True False alice"
    assert client.get("/view").get_json() == [True, False, True]


@pytest.mark.parametrize("user", [{}, 0, ""])
def test_a_user_who_is_falsy_is_signed_in_all_the_same(make: MakeApp, user: object) -> None:
    app = make()
    app.extensions["stsession"].user_loader(lambda user_id: user)

    @app.get("/view")
    def view() -> list[Any]:
        return [current_user.is_authenticated, current_user.is_anonymous]

    client = app.test_client()
    login(client, "alice")
    assert client.get("/view").get_json() == [True, False]


@pytest.mark.parametrize("where", ["context processor", "global", "later context processor"])
def test_no_name_of_ours_replaces_one_in_templates(make: MakeApp, where: str) -> None:
    names = {"current_session": "theirs", "current_user": "theirs"}

    def before(app: Flask) -> None:
        if where == "context processor":
            app.context_processor(lambda: names)

    app = make(before=before)
    app.extensions["stsession"].user_loader(Customer)
    if where == "global":
        app.jinja_env.globals.update(names)
    elif where == "later context processor":
        app.context_processor(lambda: names)
    app.add_url_rule(
        "/page", view_func=lambda: render_template_string("{{ current_session }}{{ current_user }}")
    )
    assert app.test_client().get("/page").text == "theirstheirs"


def test_without_a_loader_there_is_no_current_user_in_templates(make: MakeApp) -> None:
    app = make()
    app.add_url_rule("/page", view_func=lambda: render_template_string("{{ current_user is defined }}"))
    assert app.test_client().get("/page").text == "False"


# Authlib

PROVIDER = "https://id.example.com"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, {}])
def test_the_callback_of_a_provider_signs_in_by_cookie(make: MakeApp, headers: dict[str, str]) -> None:
    app = make()
    oauth = OAuth(app)
    provider = oauth.register(
        "provider",
        client_id="shop",
        client_secret="of-the-shop",
        authorize_url=f"{PROVIDER}/authorize",
        access_token_url=f"{PROVIDER}/token",
        api_base_url=PROVIDER,
    )

    @app.get("/login")
    def start() -> Any:
        return provider.authorize_redirect(url_for("callback", _external=True))

    @app.get("/callback")
    def callback() -> Any:
        provider.authorize_access_token()
        create_new_session(provider.get("/me").json()["sub"])
        return redirect("/user")

    client = app.test_client()
    to_provider = urlsplit(client.get("/login", headers=headers).location)
    asked = parse_qs(to_provider.query)
    assert asked["redirect_uri"] == ["http://localhost/callback"]
    with responses.RequestsMock() as mocker:
        mocker.post(f"{PROVIDER}/token", json={"access_token": "of-the-provider", "token_type": "Bearer"})
        mocker.get(f"{PROVIDER}/me", json={"sub": "alice"})
        back = client.get(f"/callback?code=1&state={asked['state'][0]}", headers=headers)
    assert (back.status_code, back.location) == (302, "/user")
    assert {line.partition("=")[0] for line in back.headers.getlist("Set-Cookie")} >= {
        "sAccessToken",
        "sRefreshToken",
    }
    assert client.get("/user").get_json() == {"userId": "alice"}


# Flask-SQLAlchemy


class Base(DeclarativeBase):
    pass


def test_users_come_from_a_table(make: MakeApp) -> None:
    db = SQLAlchemy(model_class=Base)

    class User(db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    app = make(before=db.init_app, SQLALCHEMY_DATABASE_URI="sqlite://")
    app.extensions["stsession"].user_loader(lambda user_id: db.session.get(User, int(user_id)))

    @app.get("/name")
    @verify_session()
    def name() -> str:
        return str(current_user.name)

    with app.app_context():
        db.create_all()
        alice = User()
        alice.id, alice.name = 1, "Alice"
        db.session.add(alice)
        db.session.commit()
        client = app.test_client()
        login(client, "1")
        assert client.get("/name").text == "Alice"
        db.session.delete(db.session.scalars(select(User)).one())
        db.session.commit()
        assert client.get("/name").status_code == 401
        db.session.remove()
        db.engine.dispose()


def test_a_database_session_on_g_is_refused_in_words(make: MakeApp) -> None:
    app = make()

    @app.before_request
    def connect() -> None:
        g.session = object()

    client = app.test_client()
    login(client, "alice")
    with pytest.raises(ConfigError, match=r"Keep yours under another name, g\.db_session for example"):
        client.get("/user")


# Flask-Caching


def test_a_cache_below_the_guard_has_a_key_for_each_user(make: MakeApp) -> None:
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
    app = make(before=cache.init_app)
    made: list[str] = []

    @app.get("/report")
    @verify_session()
    @cache.cached(make_cache_key=lambda *args, **kwargs: f"report-{g.session.get_user_id()}")
    def report() -> str:
        made.append(g.session.get_user_id())
        return f"the report of {g.session.get_user_id()}"

    alice, bob = app.test_client(), app.test_client()
    login(alice, "alice")
    login(bob, "bob")
    for _ in range(2):
        assert alice.get("/report").text == "the report of alice"
        assert bob.get("/report").text == "the report of bob"
        assert app.test_client().get("/report").status_code == 401
    assert made == ["alice", "bob"]


def test_a_cache_above_the_guard_is_refused(make: MakeApp) -> None:
    cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
    app = make(before=cache.init_app)

    @app.get("/report")
    @cache.cached()
    @verify_session()
    def report() -> str:
        return "the report of whoever came first"

    with pytest.raises(ConfigError, match=r"is cached above @verify_session\(\)"):
        app.test_client().get("/report")


# Flask-Limiter


def test_requests_are_limited_by_user_and_refreshes_apart(make: MakeApp) -> None:
    limiter = Limiter(
        lambda: current_session.get_user_id() if current_session else "nobody",
        default_limits=["2 per hour"],
        storage_uri="memory://",
    )
    app = make(before=limiter.init_app)
    limiter.exempt(app.extensions["stsession"].blueprint)
    alice, bob = app.test_client(), app.test_client()
    login(alice, "alice")
    login(bob, "bob")
    assert [alice.get("/user").status_code for _ in range(3)] == [200, 200, 429]
    assert bob.get("/user").status_code == 200
    assert [alice.post("/auth/session/refresh").status_code for _ in range(3)] == [200, 200, 200]
    assert alice.get("/user").status_code == 429


# Flask-Talisman


def test_a_strict_content_security_policy_is_kept(make: MakeApp) -> None:
    app = make(STSESSION_LOGIN_URL="/login", STSESSION_API_DOMAIN="https://shop.example.com")
    Talisman(app, content_security_policy={"default-src": "'self'"})
    client = app.test_client()
    url = "https://shop.example.com"
    login(client, "alice", base_url=url)
    response = client.get("/user", base_url=url)
    assert response.get_json() == {"userId": "alice"}
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
    refused = app.test_client().get("/user", base_url=url, headers={"Sec-Fetch-Mode": "cors"})
    assert (refused.status_code, refused.headers["X-Frame-Options"]) == (401, "SAMEORIGIN")
    insecure = client.get("/user", base_url="http://shop.example.com")
    assert (insecure.status_code, insecure.location) == (302, "https://shop.example.com/user")


# Flask-Session


def test_flasks_own_session_may_be_kept_on_the_server(make: MakeApp) -> None:
    app = make(before=ServerSideSession, SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())

    @app.get("/visits")
    def visits() -> list[Any]:
        session["visits"] = session.get("visits", 0) + 1
        return [session["visits"], current_session.get_user_id() if current_session else None]

    client = app.test_client()
    assert client.get("/visits").get_json() == [1, None]
    login(client, "alice")
    assert client.get("/visits").get_json() == [2, "alice"]
    assert client.post("/auth/signout").status_code == 200
    assert client.get("/visits").get_json() == [3, None]


# Flask-Babel


def test_the_language_of_a_user_is_in_the_session(make: MakeApp) -> None:
    def select_locale() -> str:
        return str(current_session.get_access_token_payload()["language"]) if current_session else "en"

    app = make(before=lambda app: Babel(app, locale_selector=select_locale))

    @app.get("/number")
    def number() -> str:
        return render_template_string("{{ 1234.5|numberformat }}")

    client = app.test_client()
    assert client.get("/number").text == "1,234.5"
    login(client, "alice", payload={"language": "de"})
    assert client.get("/number").text == "1.234,5"


# APIFlask


def test_apiflask_documents_and_guards_a_view(make: MakeApp) -> None:
    app = make(cls=APIFlask)
    assert isinstance(app, APIFlask)
    app.security_schemes = app.extensions["stsession"].openapi_security_schemes()

    @app.get("/item")
    @app.doc(security="stsessionCookie")
    @verify_session()
    def item() -> dict[str, str]:
        return {"name": "an item"}

    client = app.test_client()
    refused = client.get("/item")
    assert (refused.status_code, refused.get_json()) == (401, {"message": "unauthorised"})
    login(client, "alice")
    assert client.get("/item").get_json() == {"name": "an item"}
    document = client.get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["stsessionCookie"]["in"] == "cookie"
    assert document["paths"]["/item"]["get"]["security"] == [{"stsessionCookie": []}]


# Flask-JWT-Extended


def test_flask_jwt_extended_guards_views_of_its_own(make: MakeApp) -> None:
    app = make(before=JWTManager)

    @app.get("/machine")
    @jwt_required()  # type: ignore[untyped-decorator]
    def machine() -> str:
        return str(get_jwt_identity())

    with app.app_context():
        token = create_access_token("a-machine")
    bearer = {"Authorization": f"Bearer {token}"}
    client = app.test_client()
    assert client.get("/machine", headers=bearer).text == "a-machine"
    assert client.get("/user", headers=bearer).get_json() == {"message": "unauthorised"}
    login(client, "alice", transfer="header")
    assert client.get("/user").get_json() == {"userId": "alice"}
    assert client.get("/machine").status_code == 422


# Threads of a request


def test_a_thread_of_a_request_has_its_session(make: MakeApp) -> None:
    app = make()

    @app.get("/threads")
    @verify_session()
    def threads() -> list[Any]:
        own = g.session
        found: list[Any] = []

        @copy_current_request_context
        def work() -> None:
            found.extend([own.get_user_id(), current_session.get_user_id(), current_session == own])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return found

    client = app.test_client()
    login(client, "alice")
    assert client.get("/threads").get_json() == ["alice", "alice", True]
