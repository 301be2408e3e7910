"""A Flask API and a single-page app that uses SuperTokens' frontend SDK.

    python examples/web/app.py [--port 5000] [--website ORIGIN --api ORIGIN] [--certificate FILE --key FILE]

Build the page first: ``npm install && npm run build`` in this folder. ``README.md`` shows three set-ups:
website and API on one origin, on two sub-domains, and on two sites over https. One process plays both parts.

Access tokens live 30 seconds here, so that you can watch them being refreshed; the default is one hour. More
settings can come from the environment, in Flask's usual way: ``FLASK_STSESSION_ANTI_CSRF=VIA_TOKEN``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, request, send_from_directory
from flask_cors import CORS
from werkzeug.serving import make_server

from flask_stsession import (
    STSession,
    create_new_session,
    get_all_cors_headers,
    revoke_all_sessions_for_user,
    userroles,
    verify_session,
)
from flask_stsession.claims import BooleanClaim, PermissionClaim, UserRoleClaim

HERE = Path(__file__).resolve().parent
PAGE_FILES = {"style.css": HERE / "src", "app.js": HERE / "dist"}

#: Stands for a real password and for a real second factor.
PASSWORD = "demo"
CODE = "123456"

#: Nothing remembers a second factor but the session itself, so the value to fetch is always false.
SecondFactorClaim = BooleanClaim(key="2fa-completed", fetch_value=lambda *_: False)


def create_app(
    settings: Mapping[str, Any] | None = None, *, website: str | None = None, api: str | None = None
) -> Flask:
    """Return the app of this example.

    :param settings: override those of the example and of the environment.
    :param website: the origin of the page where it differs from that of the API.
    :param api: the origin of the API; omit it where there is one origin only.
    """
    app = Flask(__name__, instance_path=str(HERE / "instance"), static_folder=None)
    app.config["STSESSION_EMBEDDED_CORE"] = {"access_token_validity": 30, "access_token_validity_jitter": 0}
    app.config["STSESSION_CONNECTION_URI"] = "embedded:"
    if api is not None:
        app.config["STSESSION_API_DOMAIN"] = api
        app.config["STSESSION_WEBSITE_DOMAIN"] = website
    app.config.from_prefixed_env()
    app.config.from_mapping(settings or {})

    STSession(app, claims=[UserRoleClaim, PermissionClaim, SecondFactorClaim])
    if website is not None:
        CORS(
            app,
            origins=[website],
            supports_credentials=True,
            allow_headers=["content-type", *get_all_cors_headers()],
        )
    add_api(app)
    add_page(app, api)
    return app


def add_api(app: Flask) -> None:
    """Add what the page calls. Refresh and sign-out are routes of the extension."""

    @app.post("/api/login")
    def login() -> Any:
        user_id, password = field_of_body("userId"), field_of_body("password")
        if not is_name(user_id):
            return jsonify(message="userId is missing"), 400
        if not isinstance(password, str):
            return jsonify(message="password is missing"), 400
        if password != PASSWORD:
            return jsonify(message="wrong password"), 401  # the app's own; there is no session to speak of
        create_new_session(user_id.strip())
        return jsonify(status="OK")

    @app.route("/api/me", methods=["GET", "POST"])
    @verify_session()
    def me() -> Any:
        return jsonify(
            userId=g.session.get_user_id(), accessTokenPayload=g.session.get_access_token_payload()
        )

    @app.get("/api/reports")
    @verify_session()
    def reports() -> Any:
        return jsonify(reports=REPORTS)

    @app.post("/api/reports/publish")
    @verify_session(roles="admin", max_age_in_sec=0)  # 0: ask the core for the roles, not the token
    def publish() -> Any:
        return jsonify(message="The reports are public now.")

    @app.get("/api/vault")
    @verify_session(validators=[SecondFactorClaim.validators.is_true()])
    def vault() -> Any:
        return jsonify(secret="The combination is 7 - 21 - 14.")

    @app.post("/api/second-factor")
    @verify_session()
    def second_factor() -> Any:
        if field_of_body("code") != CODE:
            return jsonify(message="wrong code"), 400
        g.session.set_claim_value(SecondFactorClaim, True)  # the new access token goes out at once
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
        return jsonify(roles=userroles.get_roles_for_user(user_id))

    @app.post("/api/claims/refresh")
    @verify_session()
    def refresh_claims() -> Any:  # the ``refresh`` of the claims in the frontend
        g.session.fetch_and_set_claim(UserRoleClaim)
        g.session.fetch_and_set_claim(PermissionClaim)
        return jsonify(status="OK")

    @app.post("/api/sign-out-everywhere")
    @verify_session()
    def sign_out_everywhere() -> Any:  # this browser is told at once, the others at their next call
        return jsonify(ended=len(revoke_all_sessions_for_user(g.session.get_user_id())))


def field_of_body(name: str) -> Any:
    """Return a field of the JSON object in the request body, or ``None``."""
    body = request.get_json(silent=True)
    return body.get(name) if isinstance(body, dict) else None


def is_name(value: Any) -> bool:
    """Return whether a value is a short line of text: the user id is in every token."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= 60


REPORTS = [
    {"title": "Harbour dues", "month": "September", "amount": "18,240"},
    {"title": "Crane hours", "month": "September", "amount": "1,312"},
    {"title": "Cold storage", "month": "October", "amount": "9,075"},
]


def add_page(app: Flask, api: str | None) -> None:
    """Add the page, its style and its script; none is cached, so that a new build takes effect.

    :param api: the origin of the API; ``None``: that of the page.
    """
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {api or ''}; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    @app.get("/")
    def page() -> Response:
        response = send_from_directory(HERE / "src", "index.html", max_age=0)
        response.headers["Content-Security-Policy"] = policy
        return response

    @app.get("/<any('style.css', 'app.js'):name>")
    def page_file(name: str) -> Response:
        return send_from_directory(PAGE_FILES[name], name, max_age=0)

    @app.get("/settings.json")
    def settings() -> Any:
        return jsonify(apiDomain=api or request.host_url.rstrip("/"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app until it is interrupted."""
    parser = argparse.ArgumentParser(description="A Flask API and a single-page app with sessions.")
    parser.add_argument(
        "--port", default=5000, type=int, help="port to listen on; 0 takes a free one (default: 5000)"
    )
    parser.add_argument("--website", help="origin of the page, such as http://www.web.localhost:5000")
    parser.add_argument("--api", help="origin of the API, such as http://api.web.localhost:5000")
    parser.add_argument("--certificate", help="file with the certificate of both hosts, for https")
    parser.add_argument("--key", help="file with its key")
    options = parser.parse_args(arguments)
    if (options.website is None) != (options.api is None):
        parser.error("--website and --api go together")
    if not (HERE / "dist" / "app.js").exists():
        parser.error(f"the page has not been built; in {HERE}, run: npm install && npm run build")
    app = create_app(website=options.website, api=options.api)
    tls = (options.certificate, options.key) if options.certificate else None
    server = make_server("127.0.0.1", options.port, app, threaded=True, ssl_context=tls)
    address = options.website or f"http{'s' if tls else ''}://localhost:{server.port}"
    print(f"Open {address} in a browser. Press Ctrl+C to stop.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
