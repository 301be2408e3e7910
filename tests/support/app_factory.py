"""Apps for tests, with views that every session test needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from flask import Flask, g, request

from flask_stsession import STSession, create_new_session, verify_session

#: Takes settings of the core as keywords; the context gives the settings that connect an app to it.
NewCore = Callable[..., AbstractContextManager[dict[str, Any]]]

#: The core of apps that have none.
NO_CORE: Mapping[str, Any] = {"STSESSION_CONNECTION_URI": "http://127.0.0.1:9"}

#: Arguments of ``STSession``; all other keywords are settings.
_EXTENSION_ARGUMENTS = ("claims", "global_claim_validators", "get_email")


class AppFactory:
    """Makes apps on one core, and closes what they opened.

    :param core_config: ``STSESSION_CONNECTION_URI``, and what else connects an app to the core.
    """

    def __init__(self, core_config: Mapping[str, Any]) -> None:
        self.core_config = core_config
        self.apps: list[Flask] = []

    def __call__(
        self, *, name: str = "app", extension: type[STSession] = STSession, init: bool = True, **keywords: Any
    ) -> Flask:
        """Make an app with ``STSession``, and with the views ``/login``, ``/user`` and ``/open``.

        :param extension: the class of the extension object.
        :param init: ``False`` leaves ``init_app`` to the test.
        """
        arguments = {key: keywords.pop(key) for key in _EXTENSION_ARGUMENTS if key in keywords}
        app = Flask(name)
        app.config.update(self.core_config)
        app.config.update({f"STSESSION_{key.upper()}": value for key, value in keywords.items()})
        if init:
            extension(**arguments).init_app(app)
            self.apps.append(app)
        add_views(app)
        return app

    def close(self) -> None:
        """Close connections and databases."""
        for app in self.apps:
            with app.app_context():
                app.extensions["stsession"].close()


def add_views(app: Flask) -> None:
    """Add ``POST /login`` (``userId``, arguments of ``create_new_session``), ``/user``, ``/open``."""

    @app.post("/login")
    def login() -> dict[str, str]:
        options = request.get_json(silent=True) or {}
        session = create_new_session(options.pop("userId", "alice"), **options)
        return {"handle": session.get_handle()}

    @app.route("/user", methods=["GET", "POST", "PUT", "DELETE"])
    @verify_session()
    def user() -> dict[str, Any]:
        return {"userId": g.session.get_user_id(), "payload": g.session.get_access_token_payload()}

    @app.get("/open")
    def public() -> dict[str, Any]:
        return {"session": g.session is not None}
