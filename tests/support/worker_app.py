"""An app for real server processes: its core's database is named by the environment."""

from __future__ import annotations

import os

from flask import Flask, g

from flask_stsession import STSession, create_new_session, verify_session

app = Flask(__name__)
app.config.from_prefixed_env()
STSession(app)


@app.post("/login")
def login() -> dict[str, str]:
    """Sign in, and tell who answered."""
    return {"handle": create_new_session("alice").get_handle(), "pid": str(os.getpid())}


@app.route("/user", methods=["GET"])
@verify_session(check_database=True)
def user() -> dict[str, str]:
    """A protected view that asks the core each time."""
    return {"userId": g.session.get_user_id(), "pid": str(os.getpid())}


@app.get("/page")
@verify_session()
def page() -> dict[str, str]:
    """A protected view that asks the core only where it must."""
    return {"userId": g.session.get_user_id(), "pid": str(os.getpid())}


if os.environ.get("WORKER_APP_ASKS_FOR_KEYS_AT_ONCE"):
    app.extensions["stsession"].get_jwks()
