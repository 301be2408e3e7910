"""What is checked once the app is complete: here, decorators that cache what a guard protects."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import pytest
from flask import Flask
from flask.views import MethodView

from flask_stsession import verify_session
from flask_stsession.errors import ConfigError


def cached_like_flask_caching(function: Callable[..., Any]) -> Any:
    """Decorate as Flask-Caching's ``cached`` does: with its attributes."""
    kept: list[Any] = []

    @wraps(function)
    def decorated(*args: Any, **named: Any) -> Any:
        if not kept:
            kept.append(function(*args, **named))
        return kept[0]

    marks: Any = decorated
    marks.uncached = function
    marks.cache_timeout = 60
    marks.make_cache_key = lambda *args, **named: "view//secret"
    return decorated


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return called


def secret() -> str:
    return "secret"


@pytest.mark.parametrize("cache", [cached_like_flask_caching, lru_cache])
@pytest.mark.parametrize("above", [lambda function: function, plain])
def test_a_cache_above_the_guard_is_refused_in_words(app: Flask, cache: Any, above: Any) -> None:
    app.add_url_rule("/secret", "secret", above(cache(verify_session()(secret))))
    app.testing = True
    client = app.test_client()
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            client.get("/secret")
        assert str(caught.value) == (
            "The view of the endpoint 'secret' is cached above @verify_session(): what one user was shown "
            "would be shown to everybody, with a session or without. Put the caching decorator below "
            "@verify_session(), with a key that has the user id in it."
        )
    assert client.get("/open").status_code == 200


@pytest.mark.parametrize("cache", [cached_like_flask_caching, lru_cache])
@pytest.mark.parametrize("above", [lambda function: function, plain])
def test_a_cache_below_the_guard_is_the_apps_own_affair(app: Flask, cache: Any, above: Any) -> None:
    app.add_url_rule("/secret", "secret", above(verify_session()(cache(secret))))
    client = app.test_client()
    assert client.get("/secret").status_code == 401
    client.post("/login", headers={"st-auth-mode": "cookie"})
    assert client.get("/secret").text == "secret"


def test_a_cache_of_a_public_view_is_fine(app: Flask) -> None:
    app.add_url_rule("/public", "public_page", cached_like_flask_caching(secret))
    assert app.test_client().get("/public").text == "secret"


@pytest.mark.parametrize("is_on_the_class", [True, False])
def test_a_cache_above_the_guard_of_a_view_class_is_found(app: Flask, is_on_the_class: bool) -> None:
    class Guarded(MethodView):
        decorators = [verify_session(), cached_like_flask_caching] if is_on_the_class else []

        def get(self) -> str:
            return "secret"

    if not is_on_the_class:
        Guarded.get = cached_like_flask_caching(verify_session()(Guarded.get))  # type: ignore[method-assign]
    app.add_url_rule("/secret", view_func=Guarded.as_view("secret"))
    app.testing = True
    with pytest.raises(ConfigError, match="'secret' is cached above"):
        app.test_client().get("/secret")
