"""Flask's own signed session cookie."""

from __future__ import annotations

from uuid import uuid4

from flask import Flask, session

from . import ANSWER

USER_ID = "d1c40f3c-6c3a-4c9c-9d3f-5a0f8a1c7a11"


def make() -> Flask:
    """Return an app with a ``SECRET_KEY``.

    ``/open`` leaves the session alone, ``/user`` reads it, ``/login`` writes it.
    """
    app = Flask("flask-session")
    app.secret_key = "a secret key of thirty-two bytes"

    @app.get("/open")
    def public() -> str:
        return ANSWER

    @app.get("/user")
    def user() -> str:
        return ANSWER if session["user_id"] == USER_ID else ""

    @app.get("/login")
    def login() -> str:
        # What an access token says too.
        session["user_id"], session["session_handle"] = USER_ID, str(uuid4())
        session["plan"] = {"v": "large", "t": 1_700_000_000_000}
        return ANSWER

    return app
