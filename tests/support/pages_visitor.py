"""An app with pages, and browsers that visit it by Flask's test client."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from flask import Flask, g, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_stsession import InvalidClaimsError, verify_session

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
ON_PLAIN_HTTP = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
BY_SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "rid": "anti-csrf"}
CONTINUE = "/auth/session/refresh/continue"
UNAUTHORISED = {"message": "unauthorised"}
TRY_REFRESH = {"message": "try refresh token"}


def add_pages(app: Flask) -> Flask:
    """Add ``/page``, ``/form`` (returns what was posted), ``/admin`` (forbidden) and ``/sign-in``."""

    @app.get("/page")
    @verify_session()
    def page() -> str:
        return f"the page of {g.session.get_user_id()}"

    @app.post("/form")
    @verify_session()
    def form() -> dict[str, Any]:
        files = {name: file.read().decode() for name, file in request.files.items()}
        return {"fields": request.form.to_dict(flat=False), "files": files}

    @app.get("/admin")
    @verify_session()
    def admin() -> str:
        raise InvalidClaimsError

    @app.get("/sign-in")
    def sign_in() -> str:
        return "please sign in"

    return app


class Visitor:
    """A browser that once signed in: its access token has expired.

    :param app: on a core whose clock was two hours slow at the login, if the token is to have expired.
    """

    def __init__(self, app: Flask, *, signed_in: bool = True) -> None:
        self.client: FlaskClient = app.test_client()
        if signed_in:
            self.client.post("/login", json={"userId": "alice"}, headers={"st-auth-mode": "cookie"})

    def get(self, url: str, **headers: str) -> TestResponse:
        """Follow a link."""
        return self.client.get(url, headers={**NAVIGATES, **_named(headers)})

    def post(self, url: str, data: Any = None, **headers: str) -> TestResponse:
        """Send a form."""
        return self.client.post(url, data=data, headers={**NAVIGATES, **_named(headers)})

    def tokens(self) -> tuple[str | None, str | None]:
        """Return the access token and the refresh token that it holds."""
        access = self.client.get_cookie("sAccessToken")
        refresh = self.client.get_cookie("sRefreshToken", path="/auth/session/refresh")
        return access.value if access else None, refresh.value if refresh else None


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def went_to(response: TestResponse) -> tuple[int, str | None]:
    """Return status and target of a redirect, which no cache may keep."""
    assert response.headers.get("Cache-Control") == "no-store"
    return response.status_code, response.headers.get("Location")


def is_our_page(response: TestResponse) -> bool:
    """Return whether this is the page that refreshes."""
    return response.mimetype == "text/html" and "session/refresh.js" in response.text


def link_of(response: TestResponse) -> str:
    """Return the target of the first link of a page."""
    found = re.search(r'<a href="([^"]*)">', response.text)
    assert found is not None
    return unescape(found[1])
