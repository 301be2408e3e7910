"""Flask-Login whose user needs no database."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from flask import Flask

from . import ANSWER
from .sessions import USER_ID

flask_login: Any = import_module("flask_login")


def make() -> Flask:
    """Return an app with ``LoginManager``; ``/user`` needs a user, ``/login`` signs one in."""
    app = Flask("flask-login")
    app.secret_key = "a secret key of thirty-two bytes"
    manager = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):  # type: ignore[misc]
        id = USER_ID

    manager.user_loader(lambda _: User())

    @app.get("/login")
    def login() -> str:
        flask_login.login_user(User())
        return ANSWER

    def user() -> str:
        return ANSWER

    app.add_url_rule("/user", view_func=flask_login.login_required(user))
    return app
