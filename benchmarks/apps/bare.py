"""The views with nothing around them: what all others are measured against."""

from __future__ import annotations

from flask import Flask

from . import ANSWER


def make(core_url: str, public_key: str) -> Flask:
    """A bare Flask app."""
    del core_url, public_key
    app = Flask("bare")

    @app.get("/open")
    def public() -> str:
        return ANSWER

    @app.get("/user")
    def user() -> str:
        return ANSWER

    return app
