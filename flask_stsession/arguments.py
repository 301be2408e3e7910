"""What the modules of administration share: whose core they ask, and how they take their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .constants import DEFAULT_TENANT
from .web.context import current_app_state

if TYPE_CHECKING:
    from .core.client import CoreClient

P = ParamSpec("P")
R = TypeVar("R")


def core_of_current_app() -> CoreClient:
    """The core of the current app.

    :raises RuntimeError: there is no app context, or no STSession on the app.
    """
    return current_app_state().manager.client


def keyword_only(*positional: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a method take these arguments by position and all others by keyword, and say so in words.

    supertokens-python has other orders of arguments; what is meant for it must not be mistaken here.

    :param positional: names of the arguments after ``self`` that may go by position.
    :raises TypeError: at a call with more of them; the message shows how to write it.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @wraps(method)
        def called(*args: P.args, **named: P.kwargs) -> R:
            if len(args) > 1 + len(positional):
                shown = [str(each) for each in list(signature(method).parameters.values())[1:]]
                shown.insert(len(positional), "*")
                usage = ", ".join(name.partition(":")[0] + _default(name) for name in shown)
                raise TypeError(
                    f"{method.__name__}() takes only {' and '.join(positional)} as a positional argument: "
                    f"write {method.__name__}({usage}). Unlike in supertokens-python, the current "
                    "request is used."
                )
            return method(*args, **named)

        return called

    return decorate


def _default(parameter: str) -> str:
    _, equals, default = parameter.partition(" = ")
    return f"={default}" if equals else ""


def tenant_may_be_left_out(function: Callable[..., R]) -> Callable[..., R]:
    """Let a function of ``(tenant_id, …)`` be called without the tenant, which is then the default one.

    The tenant comes first, as in supertokens-python, or by keyword. It counts as left out where there
    are not enough arguments for it and for the others that are required.
    """
    required = [
        name for name, each in signature(function).parameters.items() if each.default is Parameter.empty
    ]

    @wraps(function)
    def called(*args: Any, **named: Any) -> R:
        tenant_id = named.pop("tenant_id", None)
        if tenant_id is None and len(args) + sum(name in named for name in required) >= len(required):
            tenant_id, *args = args  # type: ignore[assignment]
        return function(DEFAULT_TENANT if tenant_id is None else tenant_id, *args, **named)

    return called


def checked_user_id(user_id: str, argument: str = "user_id") -> str:
    """The user's id, if it can be one.

    :param argument: what the caller calls it.
    :raises TypeError: it is no non-empty string.
    """
    if not isinstance(user_id, str) or not user_id:
        raise TypeError(
            f"{argument} must be a non-empty str, not {user_id!r}: write str(user.id) for a number."
        )
    return user_id


def checked_names(names: str | Sequence[str], argument: str) -> list[str]:
    """A name or several, as a list.

    :param argument: what the caller calls them.
    :raises TypeError: one of them is no non-empty string.
    """
    listed = [names] if isinstance(names, str) else list(names)
    if not all(isinstance(name, str) and name for name in listed):
        raise TypeError(f"{argument} takes a name or a list of names, not {names!r}.")
    return listed
