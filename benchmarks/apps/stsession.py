"""flask-stsession as its documentation says, with a core over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Flask

from flask_stsession import STSession, verify_session
from flask_stsession.claims import PrimitiveClaim

from . import ANSWER

_plan = PrimitiveClaim[str]("plan", fetch_value=lambda *_: "large")
_PASSES = _plan.validators.has_value("large")


def make(core_url: str, public_key: str, **settings: Any) -> Flask:
    """Return an app with ``STSession``.

    :param settings: further settings, without their prefix, in lower case.
    """
    del public_key
    app = Flask("stsession")
    app.config["STSESSION_CONNECTION_URI"] = core_url
    app.config.update({f"STSESSION_{key.upper()}": value for key, value in settings.items()})
    STSession(app)

    @app.get("/open")
    def public() -> str:
        return ANSWER

    @app.get("/user")
    @verify_session()
    def user() -> str:
        return ANSWER

    @app.get("/claim-1")
    @verify_session(validators=[_PASSES])
    def one_claim() -> str:
        return ANSWER

    @app.get("/claim-3")
    @verify_session(validators=[_PASSES, _PASSES, _PASSES])
    def three_claims() -> str:
        return ANSWER

    @app.get("/claim-10")
    @verify_session(validators=[_PASSES] * 10)
    def ten_claims() -> str:
        return ANSWER

    return app
