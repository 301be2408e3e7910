"""Caches are told what an answer depends on, whatever else the app tells them."""

from __future__ import annotations

import pytest
from flask import Flask, Response, make_response, session
from support.app_factory import AppFactory

from flask_stsession import verify_session


def _app_that_varies_by(make_app: AppFactory, *values: str) -> Flask:
    app = make_app()

    @app.get("/varied")
    @verify_session(session_required=False)
    def varied() -> Response:
        response = make_response("ok")
        for value in values:
            response.headers.add("Vary", value)
        return response

    return app


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), "Cookie, Authorization"),
        (("Accept-Language",), "Accept-Language, Cookie, Authorization"),
        (("cookie, Origin",), "cookie, Origin, Authorization"),
        (("Origin", "Accept-Language"), "Origin, Accept-Language, Cookie, Authorization"),
    ],
)
def test_a_view_that_looks_for_a_session_adds_to_the_vary_of_the_app(
    make_app: AppFactory, values: tuple[str, ...], expected: str
) -> None:
    response = _app_that_varies_by(make_app, *values).test_client().get("/varied")
    assert response.headers.getlist("Vary") == [expected]


def test_a_view_that_uses_no_session_has_no_vary(app: Flask) -> None:
    assert "Vary" not in app.test_client().get("/open").headers


def test_vary_names_cookie_once_beside_flasks_own_session(make_app: AppFactory) -> None:
    app = make_app()
    app.secret_key = "a secret of this test"

    @app.get("/both")
    @verify_session(session_required=False)
    def both() -> str:
        return str(session.get("anything"))

    assert app.test_client().get("/both").headers.getlist("Vary") == ["Cookie, Authorization"]
