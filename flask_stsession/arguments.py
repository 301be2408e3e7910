"""Checks of the arguments of public functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

from .errors import not_text
from .sessions.ids import refuse_blanks, utf8_text

P = ParamSpec("P")
R = TypeVar("R")


def keyword_only(hint: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function to refuse surplus positional arguments with a message that shows the right call.

    supertokens-python has other orders of arguments; a call written for it must fail, and say why.

    :param hint: the difference from supertokens-python, as a sentence.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        most: int = function.__code__.co_argcount

        @wraps(function)
        def called(*args: P.args, **named: P.kwargs) -> R:
            if len(args) > most:
                raise _too_many_by_position(function, hint)
            return function(*args, **named)

        return called

    return decorate


def _too_many_by_position(function: Callable[..., Any], hint: str) -> TypeError:
    parameters = [each for each in signature(function).parameters.values() if each.name != "self"]
    names = [each.name for each in parameters if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
    taken = f"{' and '.join(names)} as {'positional arguments' if names[1:] else 'a positional argument'}"
    usage = _usage(function.__name__, parameters)
    return TypeError(f"{function.__name__}() takes only {taken}: write {usage}. {hint}")


def _usage(name: str, parameters: Iterable[Parameter]) -> str:
    """Return a call for messages: ``f(user_id, *, tenant_id='public')``."""
    shown: list[str] = []
    for each in parameters:
        if each.kind is Parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        shown.append(each.name + ("" if each.default is Parameter.empty else f"={each.default!r}"))
    return f"{name}({', '.join(shown)})"


def checked_user_id(user_id: str, argument: str = "user_id") -> str:
    """Return a user id, or refuse it.

    :param argument: the name of the caller's argument.
    :raises TypeError: it is not a non-empty str; the message says what to write.
    :raises ValueError: UTF-8 cannot encode it.
    """
    if not isinstance(user_id, str) or not user_id:
        raise TypeError(
            f"{argument} must be a non-empty str, not {user_id!r}: write str(user.id) for a number."
        )
    return user_id if user_id.isascii() else utf8_text(user_id, argument)


def checked_handle(handle: object, argument: str = "handle") -> str:
    """Return a session handle, or refuse it.

    Half a surrogate pair, which JSON can escape and UTF-8 cannot encode, is replaced: no core made such a
    handle, so it is looked up in vain, like any unknown one.

    :param argument: the name of the caller's argument.
    :raises TypeError: it is not a str; the message says what to write.
    """
    if not isinstance(handle, str):
        remedy = "handle.decode()" if isinstance(handle, bytes) else "session.get_handle()"
        raise TypeError(f"{argument} must be a str, not {handle!r:.100}: write {remedy}.")
    return handle if handle.isascii() else handle.encode("utf-8", "replace").decode()


def checked_names(names: str | Sequence[str], argument: str) -> list[str]:
    """Return a name or several as a list.

    :param argument: the name of the caller's argument.
    :raises TypeError: one of them is not a non-empty str.
    :raises ValueError: one of them has leading or trailing blanks, or UTF-8 cannot encode it.
    """
    several = isinstance(names, Iterable) and not isinstance(names, str | bytes | Mapping)
    listed: list[str] = list(names) if several else [names]  # type: ignore[list-item]
    if not all(isinstance(name, str) and name for name in listed):
        raise TypeError(f"{argument} takes a name or a list of names, not {names!r}.")
    return [checked_name(name, argument) for name in listed]


def checked_name(name: str, argument: str) -> str:
    """Return the name of a role, a permission or a factor, or refuse it.

    A core strips leading and trailing blanks, so two spellings would be one name.

    :param argument: the name of the caller's argument.
    :raises TypeError: it is not a non-empty str.
    :raises ValueError: it has leading or trailing blanks, or UTF-8 cannot encode it.
    """
    if not isinstance(name, str) or not name:
        raise not_text(argument, name)
    refuse_blanks(name, argument)
    return name


def checked_tenant_id(tenant_id: str) -> str:
    """Return the id of a tenant, or refuse it as :func:`checked_name` does."""
    return checked_name(tenant_id, "tenant_id")


def checked_text(text: str, argument: str) -> str:
    """Return a text, such as an e-mail address, whose content the core checks.

    :param argument: the name of the caller's argument.
    :raises TypeError: it is not a str; the message says what to write.
    """
    if not isinstance(text, str):
        raise not_text(argument, text)
    return text
