"""Flask-JWT-Extended, given the core's public key: it verifies the very same tokens."""

# pyright: reportMissingImports=false
from __future__ import annotations

from flask import Flask
from flask_jwt_extended import JWTManager, jwt_required

from . import ANSWER


def make(core_url: str, public_key: str) -> Flask:
    """Return an app with ``JWTManager``."""
    del core_url
    app = Flask("jwt-extended")
    app.config.update(
        JWT_ALGORITHM="RS256",
        JWT_PUBLIC_KEY=public_key,
        JWT_TOKEN_LOCATION=["headers", "cookies"],
        JWT_ACCESS_COOKIE_NAME="sAccessToken",
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    JWTManager(app)

    @app.get("/open")
    def public() -> str:
        return ANSWER

    @app.get("/user")
    @jwt_required()
    def user() -> str:
        return ANSWER

    return app
