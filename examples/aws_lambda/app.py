"""The Flask app in one function: sign-in, refresh, sign-out, the keys, and views of the app.

Handler ``app.handler``, behind an HTTP API, a REST API, a function URL or a load balancer. The settings come
from the environment, as Flask reads it: ``FLASK_STSESSION_CONNECTION_URI`` and so on.
"""

from __future__ import annotations

import hmac
import os
from typing import Any

from flask import Flask, abort, g, request
from flask_cors import CORS

from flask_stsession import STSession, create_new_session, get_all_cors_headers, verify_session
from flask_stsession.aws_lambda import make_handler

app = Flask(__name__)
app.config.from_prefixed_env()
stsession = STSession(app)
CORS(
    app,
    origins=[app.config["STSESSION_WEBSITE_DOMAIN"]],
    supports_credentials=True,
    allow_headers=["content-type", *get_all_cors_headers()],
)


@app.post("/login")
def login() -> dict[str, str]:
    """Sign a user in: replace this check of a shared password by your own."""
    given: Any = request.get_json()
    user_id = given.get("userId") if isinstance(given, dict) else None
    if not isinstance(user_id, str) or not user_id.strip() or not user_id.isprintable() or len(user_id) > 60:
        abort(400, "Send JSON with userId and password.")
    sent = str(given.get("password")).encode("utf-8", "replace")
    expected = os.environ.get("DEMO_PASSWORD", "").encode()
    if not expected or not hmac.compare_digest(sent, expected):
        abort(401)
    create_new_session(user_id)
    return {"status": "OK"}


@app.get("/user")
@verify_session()
def user() -> dict[str, Any]:
    """Return the session of the request."""
    return {
        "sessionHandle": g.session.get_handle(),
        "userId": g.session.get_user_id(),
        "accessTokenPayload": g.session.get_access_token_payload(),
    }


handler = make_handler(app)
