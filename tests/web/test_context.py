"""What belongs to the current app and request, and how it is looked up."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_stsession import create_new_session, get_jwks
from flask_stsession.web.context import current_extension, request_state, this_request


def test_outside_of_an_app_context_a_function_says_what_to_do() -> None:
    for use in (get_jwks, lambda: create_new_session("alice")):
        with pytest.raises(RuntimeError) as caught:
            use()
        assert str(caught.value) == (
            "flask-stsession was used outside of an app context, so it cannot know which app is meant. Use "
            'app.extensions["stsession"], or do it in "with app.app_context():".'
        )


def test_an_app_without_the_extension_says_so() -> None:
    with Flask("without").app_context(), pytest.raises(RuntimeError) as caught:
        get_jwks()
    assert str(caught.value) == (
        "The app 'without' has no STSession. Initialise it: STSession(app), or stsession.init_app(app)."
    )


def test_the_extension_of_the_app_is_the_object_that_was_registered(app: Flask) -> None:
    with app.app_context():
        assert current_extension() is app.extensions["stsession"]


def test_the_state_of_a_request_is_its_own_and_starts_empty(app: Flask) -> None:
    with app.test_request_context("/one"):
        state = request_state(this_request())
        state.context["who"] = "alice"
        state.changes.clear("cookie")
        assert request_state(this_request()) is state
    with app.test_request_context("/two"):
        other = request_state(this_request())
        assert (other.context, vars(other.changes), other.session) == ({}, {}, None)
