"""An app with pages for real server processes: its core's database is named by the environment."""

from __future__ import annotations

from flask import Flask, g, request

from flask_stsession import STSession, create_new_session, verify_session

app = Flask(__name__)
app.config.from_prefixed_env()
app.config.update(
    STSESSION_LOGIN_URL="/sign-in",
    STSESSION_EMBEDDED_CORE={"access_token_validity": 3, "access_token_validity_jitter": 0},
)
STSession(app)


@app.post("/login")
def login() -> dict[str, str]:
    """Sign in."""
    return {"handle": create_new_session("alice").get_handle()}


@app.get("/sign-in")
def sign_in() -> str:
    """Say what is wanted afterwards."""
    return f"please sign in for {request.args.get('next')}"


@app.get("/page")
@verify_session()
def page() -> str:
    """A page."""
    return f"the page of {g.session.get_user_id()}"


@app.post("/upload")
@verify_session()
def upload() -> dict[str, int]:
    """Count the bytes of an uploaded file."""
    return {"bytes": len(request.files["file"].read())}
