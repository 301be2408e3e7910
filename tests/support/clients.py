"""Clients of an app that are signed in."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class LateClient(FlaskClient):
    """Signs in with its first request, so that a test may go on building its app until then."""

    #: What ``/login`` is given.
    login: dict[str, Any] | None = None
    #: ``"cookie"`` or ``"header"``.
    transfer: str = "cookie"

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request, signed in."""
        login, self.login = self.login, None
        if login is not None:
            answer = super().open(
                "/login", method="POST", json=login, headers={"st-auth-mode": self.transfer}
            )
            assert answer.status_code == 200, answer.text
            if self.transfer == "header":
                self.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {answer.headers['st-access-token']}"
        return super().open(*args, **kwargs)


def signed_in(app: Flask, user_id: str = "alice", *, transfer: str = "cookie", **login: Any) -> LateClient:
    """A client whose first request is preceded by its login."""
    client = LateClient(app, app.response_class, use_cookies=transfer == "cookie")
    client.login = {"userId": user_id, **login}
    client.transfer = transfer
    return client
