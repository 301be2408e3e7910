"""Bodies are read before the response goes out, so that no server resets the connection."""

from __future__ import annotations

from io import BytesIO

import pytest
from flask import Flask, request
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import UnauthorisedError, verify_session
from flask_stsession.testing import expire, login
from flask_stsession.web.request_body import REFUSED_BYTES

FORM = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def app(make_app: AppFactory, served_core: ServedCore) -> Flask:
    """An app with a guarded view, and one that refuses by itself after it has read a part of the body."""
    served_core.makes_expired_tokens = True
    app = make_app(connection_uri=served_core.url, login_url="/sign-in")
    app.add_url_rule("/form", "form", verify_session()(lambda: "saved"), methods=["POST"])

    @app.post("/refuses")
    def refuses() -> str:
        request.stream.read(1000)
        raise UnauthorisedError

    return app


@pytest.mark.parametrize("headers", [FORM, SCRIPT])
@pytest.mark.parametrize("path", ["/form", "/refuses", "/auth/session/refresh/continue?next=/form"])
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_the_body_of_a_refused_request_is_read(
    app: Flask, served_core: ServedCore, headers: dict[str, str], path: str, is_signed_in: bool
) -> None:
    client = app.test_client()
    if is_signed_in:
        client.post("/login", json={}, headers={"st-auth-mode": "cookie"})
    served_core.makes_expired_tokens = False
    body = BytesIO(b"a" * 200_000)
    client.post(path, input_stream=body, content_length=200_000, headers=headers)
    assert body.tell() == 200_000


@pytest.mark.parametrize(
    "headers", [{"Content-Length": str(REFUSED_BYTES + 1)}, {"Transfer-Encoding": "chunked"}]
)
def test_at_most_16_mib_of_a_refused_request_are_read(app: Flask, headers: dict[str, str]) -> None:
    body = BytesIO(b"a" * (REFUSED_BYTES + 1))
    refused = app.test_client().post(
        "/form", input_stream=body, headers=headers, environ_overrides={"wsgi.input_terminated": True}
    )
    assert refused.status_code == 401
    assert body.tell() <= REFUSED_BYTES == 16 * 1024 * 1024


def test_at_most_max_content_length_of_a_refused_request_is_read(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    body = BytesIO(b"a" * 2000)
    refused = app.test_client().post("/form", input_stream=body, content_length=2000)
    assert (refused.status_code, body.tell()) == (401, 0)


@pytest.mark.embedded_core  # which makes expired tokens
def test_a_test_client_that_follows_the_refresh_sends_its_form_again(make_app: AppFactory) -> None:
    app = make_app(login_url="/sign-in")
    app.testing = True

    @app.post("/notes")
    @verify_session()
    def add_note() -> str:
        return request.form["text"]

    client = app.test_client()
    login(client, "alice")
    expire(client)
    sent = client.post("/notes", data={"text": "buy milk"}, follow_redirects=True)
    assert sent.text == "buy milk"
    assert [each.status_code for each in sent.history] == [307, 307]
