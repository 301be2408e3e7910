"""A Flask API and a React app with ``supertokens-auth-react``, unmodified.

    python examples/react/app.py [--port 5000]

Build the page first: ``npm install && npm run build`` in this folder. ``README.md`` says what there is to
see.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, request, send_from_directory
from werkzeug.serving import make_server

from flask_stsession import STSession, create_new_session, userroles, verify_session
from flask_stsession.claims import BooleanClaim, EmailVerificationClaim, PermissionClaim, UserRoleClaim

HERE = Path(__file__).resolve().parent
PAGE_FILES = {"style.css": HERE / "src", "app.js": HERE / "dist"}

#: Stands for a real password and for a real second factor.
PASSWORD = "demo"
CODE = "123456"

#: Nothing remembers a second factor but the session itself, so the value to fetch is always false.
SecondFactorClaim = BooleanClaim(key="2fa-completed", fetch_value=lambda *_: False)


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """Return the app of this example.

    :param settings: override those of the example and of the environment.
    """
    app = Flask(__name__, instance_path=str(HERE / "instance"), static_folder=None)
    app.config["STSESSION_CONNECTION_URI"] = "embedded:"
    app.config.from_prefixed_env()
    app.config.from_mapping(settings or {})
    stsession = STSession(
        app,
        claims=[UserRoleClaim, PermissionClaim, SecondFactorClaim, EmailVerificationClaim],
        get_email=lambda user_id, _: f"{user_id}@harbour.example",
    )
    add_mail(app, stsession)
    add_api(app)
    add_page(app)
    return app


def add_mail(app: Flask, stsession: STSession) -> None:
    """Keep the links that a real app would send by e-mail, and show them to their users."""
    outbox: dict[str, str] = {}

    @stsession.send_verification_email
    def send(user_id: str, _email: str, link: str, _tenant_id: str) -> None:
        outbox[user_id] = link

    @app.get("/api/outbox")
    @verify_session()
    def show_outbox() -> Any:
        return jsonify(link=outbox.get(g.session.get_user_id()))


def add_api(app: Flask) -> None:
    """Add what the page calls. Refresh, sign-out and e-mail verification are routes of the extension."""

    @app.post("/api/login")
    def login() -> Any:
        user_id, password = field_of_body("userId"), field_of_body("password")
        if not is_name(user_id):
            return jsonify(message="userId is missing"), 400
        if not isinstance(password, str):
            return jsonify(message="password is missing"), 400
        if password != PASSWORD:
            return jsonify(message="wrong password"), 401
        create_new_session(user_id.strip())
        return jsonify(status="OK")

    @app.get("/api/me")
    @verify_session()
    def me() -> Any:
        return jsonify(userId=g.session.get_user_id())

    @app.post("/api/publish")
    @verify_session(permissions=["report:publish"], max_age_in_sec=0)
    def publish() -> Any:
        return jsonify(message="The report is public now.")

    @app.post("/api/second-factor")
    @verify_session()
    def second_factor() -> Any:
        if field_of_body("code") != CODE:
            return jsonify(message="wrong code"), 400
        g.session.set_claim_value(SecondFactorClaim, True)
        return jsonify(status="OK")

    @app.post("/api/role")
    @verify_session()
    def role() -> Any:  # a real app lets only an administrator do this
        user_id, is_admin = g.session.get_user_id(), field_of_body("admin")
        if not isinstance(is_admin, bool):
            return jsonify(message="admin must be true or false"), 400
        userroles.create_new_role_or_add_permissions("admin", ["report:publish"])
        if is_admin:
            userroles.add_role_to_user(user_id, "admin")
        else:
            userroles.remove_user_role(user_id, "admin")
        return jsonify(status="OK")

    @app.post("/api/claims/refresh")
    @verify_session()
    def refresh_claims() -> Any:  # the ``refresh`` of the claims in the frontend
        g.session.fetch_and_set_claim(UserRoleClaim)
        g.session.fetch_and_set_claim(PermissionClaim)
        return jsonify(status="OK")


def field_of_body(name: str) -> Any:
    """Return a field of the JSON object in the request body, or ``None``."""
    body = request.get_json(silent=True)
    return body.get(name) if isinstance(body, dict) else None


def is_name(value: Any) -> bool:
    """Return whether a value is a short line of text: the user id is in every token."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= 60


def add_page(app: Flask) -> None:
    """Add the page under all of its paths, its style and its script; none is cached."""

    @app.get("/")
    @app.get("/auth", strict_slashes=False)
    @app.get("/auth/verify-email")
    @app.get("/<any('admin', 'fleet', 'not-an-admin', 'publish', 'lounge', 'mail'):_page>")
    def single_page(_page: str = "") -> Response:
        response = send_from_directory(HERE / "src", "index.html", max_age=0)
        # The components of the SDK bring styles of their own into the page.
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    @app.get("/<any('style.css', 'app.js'):name>")
    def page_file(name: str) -> Response:
        return send_from_directory(PAGE_FILES[name], name, max_age=0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app until it is interrupted."""
    parser = argparse.ArgumentParser(description="A Flask API and a React app with sessions.")
    parser.add_argument(
        "--port", default=5000, type=int, help="port to listen on; 0 takes a free one (default: 5000)"
    )
    options = parser.parse_args(arguments)
    if not (HERE / "dist" / "app.js").exists():
        parser.error(f"the page has not been built; in {HERE}, run: npm install && npm run build")
    server = make_server("127.0.0.1", options.port, create_app(), threaded=True)
    print(f"Open http://localhost:{server.port} in a browser. Press Ctrl+C to stop.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
