"""Apps for tests, with views that every session test needs."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, request

from flask_stsession import STSession, create_new_session, verify_session

#: Arguments of ``STSession``; all other keywords are settings.
_EXTENSION_ARGUMENTS = ("claims", "global_claim_validators", "get_email")


class AppFactory:
    """Makes apps on one core, and closes what they opened.

    :param connection_uri: of the core.
    """

    def __init__(self, connection_uri: str) -> None:
        self.connection_uri = connection_uri
        self.apps: list[Flask] = []

    def __call__(
        self, *, name: str = "app", extension: type[STSession] = STSession, init: bool = True, **keywords: Any
    ) -> Flask:
        """An app with ``STSession``, and with the views ``/login``, ``/user`` and ``/open``.

        :param extension: the class of the extension object.
        :param init: ``False`` leaves ``init_app`` to the test.
        """
        arguments = {key: keywords.pop(key) for key in _EXTENSION_ARGUMENTS if key in keywords}
        app = Flask(name)
        app.config["STSESSION_CONNECTION_URI"] = self.connection_uri
        app.config.update({f"STSESSION_{key.upper()}": value for key, value in keywords.items()})
        if init:
            extension(**arguments).init_app(app)
            self.apps.append(app)
        add_views(app)
        return app

    def close(self) -> None:
        """Close connections and databases."""
        for app in self.apps:
            app.extensions["stsession"].close()


def add_views(app: Flask) -> None:
    """``POST /login`` (``userId``, and what else ``create_new_session`` takes), ``/user``, ``/open``."""

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
