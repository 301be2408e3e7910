"""Facts about functions that an app hands in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from flask_stsession.callables import is_asynchronous, number_taken, refuse_asynchronous


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
