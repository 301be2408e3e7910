"""What a claim is, and what checks it: the two classes that users may subclass.

A claim is a fact about the user that lies in the access token payload under the claim's key,
together with the time at which it was asked for. A validator looks at the payload and says
whether it proves enough. Neither talks to a request or to the core; who does is given to them.

Source: the interfaces ``SessionClaim`` and ``SessionClaimValidator`` of the SuperTokens
documentation. Where supertokens-python is stricter or laxer than the documents (values that are
not what a claim stores, a maximal age of 0), the documents win.
"""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

from ..constants import DEFAULT_TENANT, PROTECTED_CLAIMS
from ..errors import ConfigError, ProtectedClaimError, Reason

T = TypeVar("T")

#: Turns an asynchronous function into one that waits for its result: ``app.ensure_sync``.
EnsureSync = Callable[[Callable[..., Any]], Callable[..., Any]]

#: Key of the user context under which one verification keeps its time (ms). It is taken once: a value
#: fetched and validated in the same verification has the age 0, however long the source took.
NOW_MS: Final = "_stsession_now_ms"

# Keys of what is stored under a claim's own key.
_VALUE: Final = "v"
_TIME: Final = "t"

# Beyond this no JavaScript number is exact, and no time of ours either. The comparison also sorts out
# NaN, infinities, and integers so long that dividing them overflows.
_LARGEST_TIME_MS: Final = 2**53


def system_clock() -> int:
    """The time of this machine, in ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class ClaimValidationResult:
    """What a validator found.

    :param is_valid: does the payload prove what was asked for?
    :param reason: if not, what was expected and found, as JSON; sent to the client in the 403.
    """

    is_valid: bool
    reason: Any = None


#: The one result of every check that passed.
VALID: Final = ClaimValidationResult(True)


class SessionClaim(Generic[T]):
    """A fact about the user that sessions carry, and where it comes from.

    Stored as ``{"v": value, "t": ms}`` under the key. A subclass may store it otherwise by
    overriding the methods that take a payload. None of them changes the payload it is given:
    use what it returns.

    :param key: where in the access token payload; a subclass may have it as a class attribute.
    :param fetch_value: asks the source for the value; ``None`` means that there is none. A function,
        asynchronous or not, of ``(user_id, tenant_id, user_context)`` or of ``(user_id, recipe_user_id,
        tenant_id, current_payload, user_context)``; one that takes both, such as ``lambda *args``,
        gets three, unless it names a ``recipe_user_id``. A subclass may define the method instead.
    :param clock: the time in ms, for tests.
    :raises TypeError: if ``fetch_value`` is missing, or takes neither three nor five arguments.
    :raises ProtectedClaimError: if the key is one of the session's own.
    """

    key: str

    def __init__(
        self,
        key: str | None = None,
        fetch_value: Callable[..., T | Awaitable[T | None] | None] | None = None,
        *,
        clock: Callable[[], int] = system_clock,
    ) -> None:
        self.key = _checked_key(getattr(self, "key", None) if key is None else key)
        overridden = type(self).fetch_value is not SessionClaim.fetch_value
        if fetch_value is None and not overridden:
            raise TypeError(
                f"The claim {self.key!r} has no fetch_value. Pass a function of (user_id, tenant_id, "
                "user_context), or define the method; it returns None if there is nothing to fetch."
            )
        self._fetch_value = fetch_value
        self._takes_five = _takes_five(self.key, self.fetch_value if overridden else fetch_value)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}>"

    def fetch_value(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the source: the function given as ``fetch_value``, with its own arguments.

        What comes back may have to be awaited; :meth:`fetch` sees to it.
        """
        if self._fetch_value is None:
            return None
        return self._fetch_value(*args, **kwargs)

    def fetch(
        self,
        user_id: str,
        *,
        recipe_user_id: Any = None,
        tenant_id: str = DEFAULT_TENANT,
        payload: dict[str, Any] | None = None,
        user_context: dict[str, Any] | None = None,
        ensure_sync: EnsureSync | None = None,
    ) -> T | None:
        """Ask the source and wait for the answer, whichever form ``fetch_value`` has.

        :param user_id: whose value.
        :param recipe_user_id: the login method behind it; by default the user's own id.
        :param tenant_id: in which tenant.
        :param payload: the access token payload as it is now.
        :param user_context: handed on to the source.
        :param ensure_sync: ``app.ensure_sync``, needed where the source is asynchronous.
        :raises ConfigError: if the source is asynchronous and there is no ``ensure_sync``.
        """
        context = {} if user_context is None else user_context
        arguments: tuple[Any, ...] = (user_id, tenant_id, context)
        if self._takes_five:
            login_method = user_id if recipe_user_id is None else recipe_user_id
            arguments = (user_id, login_method, tenant_id, {} if payload is None else payload, context)
        name = f"fetch_value of the claim {self.key!r}"
        value: T | None = call(self.fetch_value, *arguments, ensure_sync=ensure_sync, name=name)
        return value

    @overload
    def build(
        self,
        user_id: str,
        tenant_id: str = DEFAULT_TENANT,
        user_context: dict[str, Any] | None = None,
        *,
        ensure_sync: EnsureSync | None = None,
    ) -> dict[str, Any]: ...

    @overload
    def build(
        self,
        user_id: str,
        recipe_user_id: Any,
        tenant_id: str,
        current_payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
        *,
        ensure_sync: EnsureSync | None = None,
    ) -> dict[str, Any]: ...

    def build(
        self, user_id: str, *args: Any, ensure_sync: EnsureSync | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Fetch the value and return the part of a payload that carries it; ``{}`` if there is none.

        ``build(user_id, tenant_id="public", user_context=None)``, or with supertokens-python's
        arguments ``build(user_id, recipe_user_id, tenant_id, current_payload, user_context=None)``.

        :param ensure_sync: ``app.ensure_sync``, needed where the source is asynchronous.
        :raises TypeError: if the arguments fit neither form.
        """
        given = _build_arguments(self.key, args, kwargs)
        context = given.get("user_context")
        value = self.fetch(
            user_id,
            recipe_user_id=given.get("recipe_user_id"),
            tenant_id=given.get("tenant_id", DEFAULT_TENANT),
            payload=given.get("current_payload"),
            user_context=context,
            ensure_sync=ensure_sync,
        )
        return {} if value is None else self.add_to_payload_({}, value, context)

    def add_to_payload_(
        self, payload: dict[str, Any], value: T, user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The payload with this value in it, as of now."""
        return {**payload, self.key: {_VALUE: value, _TIME: self.now_ms(user_context)}}

    def remove_from_payload_by_merge_(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The payload with ``None`` under the key, which removes the claim once it is merged."""
        return {**payload, self.key: None}

    def remove_from_payload(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The payload without the claim."""
        return {key: value for key, value in payload.items() if key != self.key}

    def get_value_from_payload(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> T | None:
        """The claim's value; ``None`` if it is absent, or not what a claim stores."""
        stored = payload.get(self.key)
        return stored.get(_VALUE) if isinstance(stored, dict) else None

    def get_last_refetch_time(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> int | float | None:
        """When the value was fetched, in ms since the epoch; ``None`` if the payload does not say."""
        stored = payload.get(self.key)
        fetched_at = stored.get(_TIME) if isinstance(stored, dict) else None
        if type(fetched_at) is not int and type(fetched_at) is not float:
            return None
        return fetched_at if 0 <= fetched_at <= _LARGEST_TIME_MS else None

    def now_ms(self, user_context: dict[str, Any] | None = None) -> int:
        """The time of the verification going on if there is one, else the clock's, in ms."""
        now: int | None = user_context.get(NOW_MS) if user_context else None
        return self._clock() if now is None else now


class SessionClaimValidator(ABC):
    """A check of the access token payload; a request passes when all of its validators do.

    Both methods may be asynchronous in a subclass.

    :param id_: tells which check failed; usually the key of the claim.
    """

    #: The claim to fetch again when ``should_refetch`` says so; ``None``: there is nothing to fetch.
    claim: SessionClaim[Any] | None = None
    #: The ``reason`` of the 403 if only validators with this reason failed.
    failure_reason: Reason = Reason.CLAIMS_INVALID

    def __init__(self, id_: str) -> None:
        if not isinstance(id_, str) or not id_:
            raise TypeError(f"The id of a validator is a non-empty string, not {id_!r}.")
        self.id = id_

    def should_refetch(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any],
    ) -> bool | Awaitable[bool]:
        """Is the value missing or too old, so that the source must be asked first? By default, no."""
        return False

    @abstractmethod
    def validate(
        self, payload: dict[str, Any], user_context: dict[str, Any]
    ) -> ClaimValidationResult | Awaitable[ClaimValidationResult]:
        """Does the payload prove what is asked for?"""


def call(
    func: Callable[..., Any], *args: Any, ensure_sync: EnsureSync | None, name: str | None = None
) -> Any:
    """Call what a user wrote, asynchronous or not, and return the result itself.

    :param func: the user's function or method.
    :param ensure_sync: ``app.ensure_sync``, through which an asynchronous one is awaited.
    :param name: what to call ``func`` in the message, if its own name does not tell enough.
    :raises ConfigError: if the result has to be awaited and there is no ``ensure_sync``.
    """
    result = func(*args)
    # An async function does nothing before it is awaited, so the result tells as much as the function
    # would, and more: a lambda that calls an async function looks like any other.
    if not hasattr(type(result), "__await__"):
        return result

    async def waited() -> Any:
        return await result

    try:
        if ensure_sync is None:
            raise ConfigError(
                f"{name or getattr(func, '__qualname__', repr(func))} is asynchronous, and there is no app "
                "here that could await it. Pass a plain function, or ensure_sync=app.ensure_sync."
            )
        return ensure_sync(waited)()
    finally:
        # If nobody got to await it, Python would warn of it at some later time and place.
        if inspect.iscoroutine(result):
            result.close()


def _checked_key(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise TypeError(f"The key of a claim is a non-empty string, not {key!r}.")
    if key in PROTECTED_CLAIMS:
        raise ProtectedClaimError(key)
    return key


def _takes_five(key: str, fetch_value: Callable[..., Any] | None) -> bool:
    """Is this a fetch_value of five parameters, rather than three?"""
    if not callable(fetch_value):
        raise TypeError(f"fetch_value of the claim {key!r} is a function, not {fetch_value!r}.")
    try:
        signature = inspect.signature(fetch_value)
    except ValueError as error:  # some callables written in C do not tell
        raise TypeError(
            f"The parameters of {fetch_value!r} cannot be known. Give the claim {key!r} a function of "
            "(user_id, tenant_id, user_context) that calls it."
        ) from error
    three, five = _can_take(signature, 3), _can_take(signature, 5)
    if not three and not five:
        raise TypeError(
            f"fetch_value of the claim {key!r} takes {signature}. Give it the parameters (user_id, "
            "tenant_id, user_context) or (user_id, recipe_user_id, tenant_id, current_payload, user_context)."
        )
    return five and (not three or "recipe_user_id" in signature.parameters)


def _can_take(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _build_arguments(key: str, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Name the arguments of ``build`` after the user's id, in whichever of the two orders they come."""
    names: tuple[str, ...] = ("tenant_id", "user_context")
    others = ("recipe_user_id", "tenant_id", "current_payload", "user_context")
    # A string in the place of the user context is the tenant of the longer form.
    if (
        len(args) > len(names)
        or (len(args) > 1 and isinstance(args[1], str))
        or (args and ("tenant_id" in named or "current_payload" in named))
    ):
        names = others
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or given.keys() & named.keys() or named.keys() - set(others):
        raise TypeError(
            f"build of the claim {key!r} takes (user_id, tenant_id='public', user_context=None) or "
            "(user_id, recipe_user_id, tenant_id, current_payload, user_context=None)."
        )
    return {**given, **named}
