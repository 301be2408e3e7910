"""Views that claims guard, their sources, and a client that says what it was sent."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask, g, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_stsession import verify_session
from flask_stsession.claims import SessionClaimValidator

NEW_TOKEN = ("front-token", "st-access-token")


class Source:
    """Where the values of a claim come from: answers or raises what it is told to, and counts."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def __call__(self, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> Any:
        self.asked.append((user_id, tenant_id))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Client:
    """Keeps its tokens as a header client does, and tells whether a response brought new ones."""

    def __init__(self, app: Flask, user_id: str = "alice", **login: Any) -> None:
        self._client: FlaskClient = app.test_client()
        self.access = self.refresh = ""
        self.handle: str = self.post("/login", {"userId": user_id, **login}).get_json()["handle"]

    def get(self, path: str) -> TestResponse:
        return self._keep(self._client.get(path, headers={"Authorization": f"Bearer {self.access}"}))

    def post(self, path: str, body: Any = None) -> TestResponse:
        token = self.refresh if path.endswith("/session/refresh") else self.access
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._keep(self._client.post(path, json=body, headers=headers))

    def payload(self) -> dict[str, Any]:
        """What the client's token says."""
        payload: dict[str, Any] = self.get("/payload").get_json()
        return payload

    def _keep(self, response: TestResponse) -> TestResponse:
        self.access = response.headers.get("st-access-token", self.access)
        self.refresh = response.headers.get("st-refresh-token", self.refresh)
        return response


def brings_token(response: TestResponse) -> bool:
    found = {name in response.headers for name in NEW_TOKEN}
    assert len(found) == 1
    return found.pop()


def add_guard(app: Flask, path: str, *validators: SessionClaimValidator) -> None:
    @verify_session(validators=validators)
    def view() -> dict[str, Any]:
        return {"payload": g.session.get_access_token_payload()}

    app.add_url_rule(path, path, view)


def add_payload_views(app: Flask) -> Flask:
    """``GET /payload`` and ``POST /merge``, which no validator guards."""

    @app.get("/payload")
    @verify_session(override_global_claim_validators=lambda *_: [])
    def payload() -> dict[str, Any]:
        found: dict[str, Any] = g.session.get_access_token_payload()
        return found

    @app.post("/merge")
    @verify_session(override_global_claim_validators=lambda *_: [])
    def merge() -> dict[str, Any]:
        g.session.merge_into_access_token_payload(request.get_json())
        return {}

    return app


def seconds_ago(seconds: float) -> int:
    return int((time.time() - seconds) * 1000)


def refused(response: TestResponse) -> list[Any]:
    """The failed validators of a 403."""
    assert response.status_code == 403
    body = response.get_json()
    assert set(body) == {"message", "claimValidationErrors"}
    assert body["message"] == "invalid claim"
    failed: list[Any] = body["claimValidationErrors"]
    return failed
