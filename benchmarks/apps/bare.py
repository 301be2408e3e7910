"""The views with nothing around them: the reference for all others."""

from __future__ import annotations

from flask import Flask

from . import ANSWER


def make(core_url: str, public_key: str) -> Flask:
    """Return a bare Flask app."""
    del core_url, public_key
    app = Flask("bare")

    @app.get("/open")
    def public() -> str:
        return ANSWER

    @app.get("/user")
    def user() -> str:
        return ANSWER

    return app
