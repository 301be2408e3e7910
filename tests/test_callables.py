"""Functions that an app hands in: called, async or not, and looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from flask import Flask, current_app, request

from flask_stsession.callables import (
    BuiltPayload,
    call,
    current_flask_app,
    is_asynchronous,
    number_taken,
    refuse_asynchronous,
)
from flask_stsession.errors import ConfigError


async def waits(*_: Any) -> None:
    """Stand for any ``async def``."""


async def yields(*_: Any) -> AsyncIterator[int]:
    """Stand for any asynchronous generator."""
    yield 1


class Waits:
    """Stand for objects whose call has to be awaited."""

    async def __call__(self) -> None:
        """Do nothing."""

    async def method(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("function", [waits, yields, partial(waits, 1), Waits(), Waits().method])
def test_a_function_whose_result_must_be_awaited_is_asynchronous(function: Any) -> None:
    assert is_asynchronous(function)
    with pytest.raises(TypeError) as caught:
        refuse_asynchronous(function, "The hook")
    assert str(caught.value) == (
        "The hook must not be async, as its result is not awaited: write def, not async def."
    )


@pytest.mark.parametrize("function", [len, lambda: waits, Waits, dict.get, partial(len), "text", None])
def test_anything_else_is_not(function: Any) -> None:
    assert not is_asynchronous(function)
    refuse_asynchronous(function, "The hook")


ONE_OR_TWO = (("user_id",), ("user_id", "tenant_id"))
LAST = (("response",), ("request", "response"))


@pytest.mark.parametrize(
    ("function", "forms", "taken"),
    [
        (lambda user_id: None, ONE_OR_TWO, 1),
        (lambda a, b: None, ONE_OR_TWO, 2),
        (lambda user_id, tenant_id="public": None, ONE_OR_TWO, 2),
        (lambda user_id, other=None: None, ONE_OR_TWO, 1),
        (lambda *args: None, ONE_OR_TWO, 1),
        (lambda *args, tenant_id=None: None, ONE_OR_TWO, 2),
        (lambda response: None, LAST, 1),
        (lambda request, response: None, LAST, 2),
        (lambda request, response=None: None, LAST, 2),
        (lambda: None, ((),), 0),
        (dict.get, (("a", "b"),), 2),
    ],
)
def test_the_first_form_that_a_function_takes_counts_unless_it_names_more(
    function: Any, forms: Any, taken: int
) -> None:
    assert number_taken(function, "The hook", *forms) == taken


def test_a_function_without_a_signature_is_called_in_the_shortest_form() -> None:
    assert number_taken(iter, "The hook", *ONE_OR_TWO) == 1


def test_a_function_that_takes_other_parameters_is_refused_in_words() -> None:
    with pytest.raises(TypeError) as caught:
        number_taken(lambda a, b, c: None, "The hook", *ONE_OR_TWO)
    assert str(caught.value) == (
        "The hook takes (a, b, c). Give it the parameters (user_id) or (user_id, tenant_id)."
    )


# Calling


async def later(value: Any) -> Any:
    """Return the value, asynchronously."""
    return value


def test_call_returns_what_a_plain_function_returns() -> None:
    assert call(lambda value: value, 7, ensure_sync=None) == 7
    built = BuiltPayload(a=1)
    assert call(lambda: built, ensure_sync=None) is built


def test_call_awaits_by_the_current_app_where_none_is_given() -> None:
    app = Flask("app")
    with app.app_context():
        assert current_flask_app() is not None
        assert call(later, 7, ensure_sync=None) == 7
    assert current_flask_app() is None


def test_call_without_an_app_names_the_function_and_the_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        call(later, 7, ensure_sync=None)
    assert str(caught.value) == (
        "later is asynchronous, and there is no app here that could await it. Pass a plain function, or "
        "ensure_sync=app.ensure_sync."
    )


def test_call_works_below_an_asynchronous_function_that_is_running() -> None:
    app = Flask("app")

    async def inner(value: str) -> str:
        return f"{value} {current_app.name} {request.path}"

    async def outer() -> Any:
        return call(lambda: inner("in"), ensure_sync=app.ensure_sync)

    with app.test_request_context("/here"):
        assert call(outer, ensure_sync=app.ensure_sync) == "in app /here"


def test_an_error_below_an_asynchronous_function_reaches_the_caller() -> None:
    app = Flask("app")

    async def inner() -> None:
        raise LookupError("nobody")

    async def outer() -> Any:
        return call(inner, ensure_sync=app.ensure_sync)

    with app.app_context(), pytest.raises(LookupError, match="nobody"):
        call(outer, ensure_sync=app.ensure_sync)


def test_a_built_payload_is_a_dict_that_may_be_awaited() -> None:
    built = BuiltPayload({"plan": {"v": "pro"}})

    async def awaiting() -> Any:
        return {**(await built)}

    with Flask("app").app_context():
        assert call(awaiting, ensure_sync=None) == {"plan": {"v": "pro"}} == built
