"""The backend that the recorded conversations between clients and the reference SDKs talk to.

Its routes do what the recordings say they do, each in a line or two of the public API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from flask import Flask, g, jsonify, request
from flask.typing import ResponseReturnValue

from flask_stsession import STSession, UnauthorisedError, create_new_session, verify_session
from flask_stsession.claims import BooleanClaim, PermissionClaim, PrimitiveClaim, UserRoleClaim

SecondFactorClaim = BooleanClaim("2fa-completed", lambda user_id, tenant_id, user_context: False)
PlanClaim: PrimitiveClaim[str] = PrimitiveClaim("plan", lambda user_id, tenant_id, user_context: None)

#: Names of the recordings' options, and ours.
_OPTIONS = {
    "anti_csrf": "ANTI_CSRF",
    "transfer": "TOKEN_TRANSFER_METHOD",
    "cookie_secure": "COOKIE_SECURE",
    "cookie_same_site": "COOKIE_SAME_SITE",
    "cookie_domain": "COOKIE_DOMAIN",
    "older_cookie_domain": "OLDER_COOKIE_DOMAIN",
    "expose_access_token": "EXPOSE_ACCESS_TOKEN_TO_FRONTEND_IN_COOKIE_BASED_AUTH",
    "use_dynamic_signing_key": "USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY",
    "api_domain": "API_DOMAIN",
    "website_domain": "WEBSITE_DOMAIN",
    "api_base_path": "API_BASE_PATH",
}
_DEFAULTS = {"api_domain": "http://localhost:8080", "website_domain": "http://localhost:3000"}


def make_backend(
    config: Mapping[str, Any],
    core: requests.Session,
    core_url: str,
    core_config: Mapping[str, Any],
) -> Flask:
    """The backend for one configuration of the recordings.

    :param config: the recordings' options.
    :param core: passes requests on to the core; what is done so, is done by "something else".
    :param core_url: the core's address for it.
    :param core_config: the settings that connect an app to the core.
    """
    app = Flask("fdi_backend")
    app.config.update(core_config)
    app.config["STSESSION_CDI_VERSION"] = "5.4"  # in which they were recorded
    for name, value in {**_DEFAULTS, **config}.items():
        if name != "roles":
            app.config[f"STSESSION_{_OPTIONS[name]}"] = value
    STSession(app, claims=[UserRoleClaim, PermissionClaim] if config.get("roles") else [])
    _add_session_views(app)
    _add_claim_views(app)
    _add_data_views(app)

    @app.post("/_core")
    def pass_on() -> ResponseReturnValue:
        wanted = _json()
        answer = core.request(
            wanted["method"],
            core_url + wanted["path"],
            params=wanted.get("query"),
            json=wanted.get("json"),
            headers={"cdi-version": "5.4"},
            timeout=20,
        )
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return {"status": answer.status_code, "body": answer.json() if is_json else answer.text}

    return app


def _json() -> dict[str, Any]:
    body: dict[str, Any] = request.get_json()
    return body


def _describe() -> ResponseReturnValue:
    return jsonify(
        userId=g.session.get_user_id(),
        recipeUserId=g.session.get_recipe_user_id().get_as_string(),
        tenantId=g.session.get_tenant_id(),
        handle=g.session.get_handle(),
        payload=g.session.get_access_token_payload(),
    )


def _add_session_views(app: Flask) -> None:
    @app.post("/login")
    def login() -> ResponseReturnValue:
        asked = _json()
        session = create_new_session(
            asked["userId"],
            tenant_id=asked.get("tenantId"),
            access_token_payload=asked.get("payload"),
            session_data_in_database=asked.get("data"),
        )
        return {"userId": session.get_user_id(), "handle": session.get_handle()}

    @app.route("/verify", methods=["GET", "POST", "PUT", "DELETE"])
    @verify_session()
    def verify() -> ResponseReturnValue:
        return _describe()

    @app.route("/optional", methods=["GET", "POST"])
    @verify_session(session_required=False)
    def optional() -> ResponseReturnValue:
        return {"session": g.session is not None}

    @app.post("/verify-no-csrf")
    @verify_session(anti_csrf_check=False)
    def verify_no_csrf() -> ResponseReturnValue:
        return _describe()

    @app.get("/verify-csrf-forced")
    @verify_session(anti_csrf_check=True)
    def verify_csrf_forced() -> ResponseReturnValue:
        return _describe()

    @app.get("/check-db")
    @verify_session(check_database=True)
    def check_db() -> ResponseReturnValue:
        return _describe()

    @app.post("/merge")
    @verify_session()
    def merge() -> ResponseReturnValue:
        g.session.merge_into_access_token_payload(_json()["update"])
        return {"payload": g.session.get_access_token_payload()}

    @app.post("/merge-then-fail")
    @verify_session()
    def merge_then_fail() -> ResponseReturnValue:
        g.session.merge_into_access_token_payload(_json()["update"])
        return {"message": "the application says no"}, 418

    @app.post("/merge-then-unauthorised")
    @verify_session()
    def merge_then_unauthorised() -> ResponseReturnValue:
        g.session.merge_into_access_token_payload(_json()["update"])
        raise UnauthorisedError("the application has seen enough of this session")

    @app.post("/revoke")
    @verify_session()
    def revoke() -> ResponseReturnValue:
        g.session.revoke_session()
        return {"status": "OK"}

    @app.get("/tokens")
    @verify_session()
    def tokens() -> ResponseReturnValue:
        found = g.session.get_all_session_tokens_dangerously()
        return {
            "keys": sorted(found),
            "updated": found["accessAndFrontTokenUpdated"],
            "refreshToken": found["refreshToken"] is not None,
            "antiCsrfToken": found["antiCsrfToken"] is not None,
        }


def _add_claim_views(app: Flask) -> None:
    @app.get("/admin")
    @verify_session(
        override_global_claim_validators=lambda validators, session, user_context: [
            *validators,
            UserRoleClaim.validators.includes(
                "admin", float(request.args["max_age"]) if "max_age" in request.args else None
            ),
        ]
    )
    def admin() -> ResponseReturnValue:
        return {"status": "OK"}

    @app.get("/2fa")
    @verify_session(validators=[SecondFactorClaim.validators.is_true()])
    def second_factor() -> ResponseReturnValue:
        return {"status": "OK"}

    @app.get("/pro")
    @verify_session(validators=[PlanClaim.validators.has_value("pro")])
    def pro() -> ResponseReturnValue:
        return {"status": "OK"}

    @app.post("/set-claim")
    @verify_session()
    def set_claim() -> ResponseReturnValue:
        value = _json()["value"]
        if value is None:
            g.session.remove_claim(SecondFactorClaim)
        else:
            g.session.set_claim_value(SecondFactorClaim, value)
        return {"payload": g.session.get_access_token_payload()}

    @app.get("/claim")
    @verify_session()
    def claim() -> ResponseReturnValue:
        return {"value": g.session.get_claim_value(SecondFactorClaim)}

    @app.post("/fetch-claim")
    @verify_session()
    def fetch_claim() -> ResponseReturnValue:
        g.session.fetch_and_set_claim(SecondFactorClaim)
        return {"payload": g.session.get_access_token_payload()}

    @app.post("/fetch-roles")
    @verify_session()
    def fetch_roles() -> ResponseReturnValue:
        g.session.fetch_and_set_claim(UserRoleClaim)
        return {"payload": g.session.get_access_token_payload()}


def _add_data_views(app: Flask) -> None:
    @app.get("/data")
    @verify_session()
    def data() -> ResponseReturnValue:
        return {"data": g.session.get_session_data_from_database()}

    @app.post("/data")
    @verify_session()
    def replace_data() -> ResponseReturnValue:
        g.session.update_session_data_in_database(_json()["data"])
        return {"status": "OK"}
