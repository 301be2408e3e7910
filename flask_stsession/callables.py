"""Call functions that an app supplies, async or not, and determine which arguments they take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextvars import copy_context
from inspect import Signature, isasyncgenfunction, iscoroutine, iscoroutinefunction, signature
from typing import Any, TypeVar

from .concurrency import thread_pool
from .errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

#: Wraps an asynchronous function so that a call waits for its result: ``app.ensure_sync``.
EnsureSync = Callable[[Callable[..., Any]], Callable[..., Any]]


class BuiltPayload(dict[str, Any]):
    """A part of a payload, which may be awaited: code written for supertokens-python does."""

    def __await__(self) -> Generator[None, None, BuiltPayload]:
        yield from ()
        return self


def call(
    func: Callable[..., Any], *args: Any, ensure_sync: EnsureSync | None, name: str | None = None
) -> Any:
    """Call a function of the app, asynchronous or not, and return its result.

    :param func: the function or method.
    :param ensure_sync: ``app.ensure_sync``, which awaits the result of an asynchronous one; ``None``: that of
        the current app.
    :param name: the name of ``func`` for messages, where its own does not say enough.
    :raises ConfigError: the result has to be awaited, and there is no app.
    """
    result = func(*args)
    # Look at the result rather than the function: a lambda that calls an async function looks like any other,
    # and an async function has done nothing yet.
    if not hasattr(type(result), "__await__") or isinstance(result, BuiltPayload):
        return result

    async def waited() -> Any:
        return await result

    try:
        wrap = ensure_sync or _ensure_sync_of_current_app()
        if wrap is None:
            raise ConfigError(
                f"{name or getattr(func, '__qualname__', repr(func))} is asynchronous, and there is no app "
                "here that could await it. Pass a plain function, or ensure_sync=app.ensure_sync."
            )
        return _run(wrap, waited)
    finally:
        # Python would warn of a coroutine that was never awaited, at some later time and place.
        if iscoroutine(result):
            result.close()


def _run(ensure_sync: EnsureSync, function: Callable[..., Any]) -> Any:
    """Call an asynchronous function and wait for its result, even inside a running event loop."""

    def run() -> Any:
        return ensure_sync(function)()

    if not _is_in_event_loop():
        return run()
    # No event loop can run another one in its thread: an async view, or an async fetch_value that builds
    # another claim, waits here for a thread that can.
    with thread_pool(1, "async") as pool:
        return pool.submit(copy_context().run, run).result()


def _is_in_event_loop() -> bool:
    # A running event loop implies that asyncio is imported; to import it here would be slow.
    module: Any = sys.modules.get("asyncio")
    if module is None:
        return False
    try:
        module.get_running_loop()
    except RuntimeError:
        return False
    return True


def _ensure_sync_of_current_app() -> EnsureSync | None:
    app = current_flask_app()
    return None if app is None else app.ensure_sync


def current_flask_app() -> Any:
    """Return the current Flask app, or ``None``; without importing Flask."""
    flask: Any = sys.modules.get("flask")
    return flask.current_app if flask is not None and flask.has_app_context() else None


def is_asynchronous(function: object) -> bool:
    """Return whether calling it returns an awaitable, as far as inspection can tell."""
    called = getattr(type(function), "__call__", None)  # noqa: B004  of an object that can be called
    return any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in (function, called))


def refuse_asynchronous(function: object, name: str) -> None:
    """Refuse an asynchronous function where nothing awaits its result.

    :param name: the name of the function, for the message.
    :raises TypeError: it is one.
    """
    if is_asynchronous(function):
        raise TypeError(f"{name} must not be async, as its result is not awaited: write def, not async def.")


def number_taken(function: Callable[..., Any], name: str, *forms: Sequence[str]) -> int:
    """Return how many arguments to call a function with.

    :param name: the name of the function, for the message.
    :param forms: the parameters that it may have, shorter forms first. The last form that it can take and
        whose final parameter it names counts, else the first that it can take.
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


def shown_as(form: Callable[..., Any]) -> Callable[[F], F]:
    """Give a function that must take ``*args`` or ``**kwargs`` the signature of ``form``, for ``help``.

    :param form: has the parameters to show.
    """

    def decorate(function: F) -> F:
        function.__signature__ = signature(form)  # type: ignore[attr-defined]
        return function

    return decorate


def spelled(forms: Sequence[Sequence[str]]) -> str:
    """Return the parameters that a function may have, for a message."""
    return " or ".join(f"({', '.join(form)})" for form in forms)
