"""The functions of the package: the methods of the current app's extension object."""

from __future__ import annotations

import inspect

import pytest
from flask import Flask

import flask_stsession
from flask_stsession import STSession, functions

#: They ask no app, or need none.
STATIC = ("get_all_cors_headers", "next_url", "openapi_security_schemes")
FUNCTIONS = sorted(
    name
    for name in flask_stsession.__all__
    if inspect.isfunction(getattr(functions, name, None)) and name not in STATIC
)


@pytest.mark.parametrize("name", flask_stsession.__all__)
def test_help_shows_the_signature_that_a_caller_uses(name: str) -> None:
    exported = getattr(flask_stsession, name)
    if not inspect.isfunction(exported):
        return
    parameters = inspect.signature(exported).parameters
    assert "self" not in parameters
    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    assert name == "any_of" or all(
        each.kind is not inspect.Parameter.VAR_POSITIONAL for each in parameters.values()
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_signature_and_the_text_of_its_method(app: Flask, name: str) -> None:
    function, method = getattr(functions, name), getattr(app.extensions["stsession"], name)
    assert inspect.signature(function) == inspect.signature(method)
    assert inspect.getdoc(function) == inspect.getdoc(method)


def test_every_public_method_has_its_function() -> None:
    assert [name for name in FUNCTIONS if not hasattr(STSession, name)] == []
