"""Facts about functions that an app hands in: which arguments they take, and whether they are async."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Signature, isasyncgenfunction, iscoroutinefunction, signature
from typing import Any


def is_asynchronous(function: object) -> bool:
    """Return whether the result of a call would have to be awaited, as far as the function shows it."""
    called = getattr(type(function), "__call__", None)  # noqa: B004  of an object that can be called
    return any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in (function, called))


def refuse_asynchronous(function: object, name: str) -> None:
    """Refuse an asynchronous function where nothing awaits its result.

    :param name: of the function, for the message.
    :raises TypeError: it is one.
    """
    if is_asynchronous(function):
        raise TypeError(f"{name} must not be async, as its result is not awaited: write def, not async def.")


def number_taken(function: Callable[..., Any], name: str, *forms: Sequence[str]) -> int:
    """Return how many arguments to call a function with.

    :param name: of the function, for the message.
    :param forms: the parameters that it may have; of several forms, the first that it takes counts, unless
        it names the last parameter of a longer one.
    :raises TypeError: it can be called in none of these ways.
    """
    try:
        parameters = signature(function)
    except ValueError:  # some callables written in C have no signature
        return len(forms[0])
    taken = [form for form in forms if _can_take(parameters, form)]
    for form in reversed(taken):
        if form == taken[0] or form[-1] in parameters.parameters:
            return len(form)
    raise TypeError(f"{name} takes {parameters}. Give it the parameters {spelled(forms)}.")


def _can_take(parameters: Signature, form: Sequence[str]) -> bool:
    try:
        parameters.bind(*form)
    except TypeError:
        return False
    return True


def spelled(forms: Sequence[Sequence[str]]) -> str:
    """Return the parameters that a function may have, for a message."""
    return " or ".join(f"({', '.join(form)})" for form in forms)
