"""supertokens-python with its Flask middleware, as its documentation says."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

from flask import Flask
from supertokens_python import InputAppInfo, SupertokensConfig, init
from supertokens_python.framework.flask import Middleware
from supertokens_python.recipe import session
from supertokens_python.recipe.session.claims import PrimitiveClaim
from supertokens_python.recipe.session.framework.flask import verify_session

from . import ANSWER

_plan: Any = PrimitiveClaim("plan", fetch_value=lambda *_: "large")
_PASSES = _plan.validators.has_value("large")


def make(core_url: str, public_key: str) -> Flask:
    """Return an app with the SDK, which exists once in a process."""
    del public_key
    init(
        app_info=InputAppInfo(
            app_name="benchmark", api_domain="http://localhost:8000", website_domain="http://localhost:8000"
        ),
        supertokens_config=SupertokensConfig(connection_uri=core_url),
        framework="flask",
        recipe_list=[session.init()],
        mode="wsgi",
        telemetry=False,
    )
    app = Flask("supertokens")
    Middleware(app)

    @app.get("/open")
    def public() -> str:
        return ANSWER

    @app.get("/user")
    @verify_session()
    def user() -> str:
        return ANSWER

    @app.get("/claim-1")
    @verify_session(override_global_claim_validators=lambda validators, *_: [*validators, _PASSES])
    def one_claim() -> str:
        return ANSWER

    @app.get("/claim-3")
    @verify_session(
        override_global_claim_validators=lambda validators, *_: [*validators, _PASSES, _PASSES, _PASSES]
    )
    def three_claims() -> str:
        return ANSWER

    @app.get("/claim-10")
    @verify_session(override_global_claim_validators=lambda validators, *_: [*validators, *[_PASSES] * 10])
    def ten_claims() -> str:
        return ANSWER

    # As documented: without it, requests that only the middleware knows would be 404.
    @app.route("/<path:_path>", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    def catch_all(_path: str) -> tuple[str, int]:
        return "", 404

    return app
