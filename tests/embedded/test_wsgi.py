"""WSGI environs and responses."""

from __future__ import annotations

import io
from wsgiref.validate import validator

from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.wsgi import build_environ, run


def test_a_core_and_an_environ_follow_pep_3333() -> None:
    body = b'{"role": "r"}'
    with EmbeddedCore(":memory:") as core:
        environ = build_environ(
            "PUT",
            "/recipe/role",
            "",
            headers=[("Host", "localhost"), ("cdi-version", "5.4")],
            body=io.BytesIO(body),
            content_length=len(body),
        )
        response = run(core, environ)
        assert (response.status, response.reason) == (200, "OK")
        validated = run(validator(core), {**environ, "wsgi.input": io.BytesIO(body)})
    assert (validated.status, validated.body) == (200, b'{"status": "OK", "createdNewRole": false}')


def test_header_fields_of_equal_name_are_joined_and_those_with_underscores_dropped() -> None:
    environ = build_environ(
        "GET",
        "/a%C3%A9",
        "q=1",
        headers=[("Api-Key", "a"), ("api-key", "b"), ("api_key", "c")],
        body=io.BytesIO(),
        content_length=0,
    )
    assert environ["HTTP_API_KEY"] == "a,b"
    assert environ["PATH_INFO"] == "/aÃ©"
    assert environ["QUERY_STRING"] == "q=1"
