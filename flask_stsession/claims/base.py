"""Claims and their validators: the two classes that apps may subclass.

A claim is a fact about the user. The access token payload stores it under the claim's key, together with
the time at which it was fetched. A validator checks the payload. Neither knows a request or the core: they
receive what they need as arguments.

Source: the interfaces ``SessionClaim`` and ``SessionClaimValidator`` of the SuperTokens documentation.
Where supertokens-python differs from it (malformed stored values, a maximal age of 0), the documentation
wins.
"""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar, overload

from ..callables import BuiltPayload, EnsureSync, call, refuse_asynchronous, shown_as
from ..constants import DEFAULT_TENANT, PROTECTED_CLAIMS
from ..errors import ProtectedClaimError, Reason

T = TypeVar("T")

#: Key of the ``user_context`` for the time (ms) of a verification. It is taken once, so that a value that
#: is fetched and validated in one verification has the age 0, however long the source took.
NOW_MS: Final = "_stsession_now_ms"

# Keys of the object that is stored under a claim's key.
STORED_VALUE: Final = "v"
STORED_TIME: Final = "t"

# Beyond this, JavaScript numbers skip integers. The comparison also refuses NaN, infinities, and integers so
# long that dividing them overflows.
_LARGEST_TIME_MS: Final = 2**53


#: The methods of a claim whose results nothing awaits, unlike that of ``fetch_value``.
_NEVER_AWAITED: Final = (
    "fetch",
    "build",
    "add_to_payload_",
    "remove_from_payload_by_merge_",
    "remove_from_payload",
    "get_value_from_payload",
    "get_last_refetch_time",
    "now_ms",
)


def _system_clock() -> int:
    """Return the time of this machine, in ms since 1970."""
    return time.time_ns() // 1_000_000


class ClaimValidationResult(NamedTuple):
    """The result of a validator.

    :param is_valid: whether the payload passes.
    :param reason: if it does not, what was expected and found, as JSON; sent to the client in the 403.
    """

    is_valid: bool
    reason: Any = None


#: The result of every check that passes.
VALID: Final = ClaimValidationResult(True)


class SessionClaim(Generic[T]):
    """A fact about the user that sessions carry, and the function that fetches it.

    It is stored as ``{"v": value, "t": ms}`` under the key. A subclass may store it in another form by
    overriding the methods that take a payload. None of these methods changes its argument; use the payload
    that it returns.

    :param key: key in the access token payload; a subclass may define it as a class attribute.
    :param fetch_value: a function, asynchronous or not, that returns the value, or ``None`` if there is
        none. It takes ``(user_id, tenant_id, user_context)`` or ``(user_id, recipe_user_id, tenant_id,
        current_payload, user_context)``; a function that takes both, such as ``lambda *args``, is called
        with three arguments, unless it names a ``recipe_user_id``. A subclass may define the method instead.
    :param clock: returns the time in ms, for tests; by default that of this machine.
    :raises TypeError: the key is not a non-empty str; ``fetch_value`` is missing, or takes neither three nor
        five arguments. Defining a subclass raises it if a method that nothing awaits is asynchronous.
    :raises ProtectedClaimError: the key is one of the session's own.
    """

    key: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _NEVER_AWAITED:
            refuse_asynchronous(getattr(cls, name), f"{cls.__name__}.{name}")

    def __init__(
        self,
        key: str | None = None,
        fetch_value: Callable[..., T | Awaitable[T | None] | None] | None = None,
        *,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.key = _checked_key(getattr(self, "key", None) if key is None else key)
        overridden = type(self).fetch_value is not SessionClaim.fetch_value
        if fetch_value is None and not overridden:
            raise TypeError(
                f"The claim {self.key!r} has no fetch_value. Pass a function of (user_id, tenant_id, "
                "user_context), or define the method; it may return None for no value."
            )
        self._fetch_value = fetch_value
        self._takes_five = _takes_five(self.key, self.fetch_value if overridden else fetch_value)
        self._clock = clock or _system_clock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}>"

    @shown_as(lambda self, user_id, tenant_id, user_context: None)  # noqa: ARG005
    def fetch_value(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function given as ``fetch_value`` with these arguments.

        The result may have to be awaited; :meth:`fetch` does so.
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
        """Fetch the value and wait for it, whichever form ``fetch_value`` has.

        :param user_id: the user of the session.
        :param recipe_user_id: the login method of the session; by default the user id.
        :param tenant_id: the tenant of the session.
        :param payload: the current access token payload.
        :param user_context: passed to ``fetch_value``.
        :param ensure_sync: ``app.ensure_sync``, which awaits an asynchronous source; by default that of the
            current app.
        :raises ConfigError: the source is asynchronous and there is no app.
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
    ) -> BuiltPayload: ...

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
    ) -> BuiltPayload: ...

    @shown_as(lambda self, user_id, tenant_id=DEFAULT_TENANT, user_context=None, *, ensure_sync=None: None)  # noqa: ARG005
    def build(
        self, user_id: str, *args: Any, ensure_sync: EnsureSync | None = None, **kwargs: Any
    ) -> BuiltPayload:
        """Fetch the value and return the part of a payload that carries it; ``{}`` if there is none.

        ``build(user_id, tenant_id="public", user_context=None)``, or with supertokens-python's
        arguments ``build(user_id, recipe_user_id, tenant_id, current_payload, user_context=None)``. An
        asynchronous ``fetch_value`` may call it for another claim, with or without ``await``.

        :param ensure_sync: ``app.ensure_sync``, which awaits an asynchronous source; by default that of the
            current app.
        :raises TypeError: the arguments fit neither form.
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
        return BuiltPayload({} if value is None else self.add_to_payload_({}, value, context))

    def add_to_payload_(
        self, payload: dict[str, Any], value: T, user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the payload with this value in it, as of now."""
        return {**payload, self.key: {STORED_VALUE: value, STORED_TIME: self.now_ms(user_context)}}

    def remove_from_payload_by_merge_(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the payload with ``None`` under the key: merged, it removes the claim."""
        return {**payload, self.key: None}

    def remove_from_payload(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the payload without the claim."""
        return {key: value for key, value in payload.items() if key != self.key}

    def get_value_from_payload(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> T | None:
        """Return the claim's value; ``None`` if it is absent or malformed."""
        stored = payload.get(self.key)
        return stored.get(STORED_VALUE) if isinstance(stored, dict) else None

    def get_last_refetch_time(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any] | None = None,
    ) -> int | float | None:
        """Return when the value was fetched, in ms since 1970; ``None`` if the payload does not say."""
        stored = payload.get(self.key)
        fetched_at = stored.get(STORED_TIME) if isinstance(stored, dict) else None
        if type(fetched_at) is not int and type(fetched_at) is not float:
            return None
        return fetched_at if 0 <= fetched_at <= _LARGEST_TIME_MS else None

    def now_ms(self, user_context: dict[str, Any] | None = None) -> int:
        """Return the time of the current verification if there is one, else the clock's, in ms."""
        now: int | None = user_context.get(NOW_MS) if user_context else None
        return self._clock() if now is None else now


#: A validator as plain data: key of the claim, types of its value, maximal age in s, check of the value.
QuickCheck = tuple[str, type | tuple[type, ...], float | None, Callable[[Any], bool]]


class SessionClaimValidator(ABC):
    """A check of the access token payload; a request passes if all of its validators do.

    Both methods may be asynchronous in a subclass.

    :param id_: the name of the check in a 403; usually the key of the claim.
    """

    #: The claim to refetch if ``should_refetch`` returns true; ``None``: nothing is fetched.
    claim: SessionClaim[Any] | None = None
    #: The ``reason`` of the 403 if only validators with this reason failed.
    failure_reason: Reason = Reason.CLAIMS_INVALID

    def __init__(self, id_: str) -> None:
        if not isinstance(id_, str) or not id_:
            raise TypeError(f"The id of a validator must be a non-empty string, not {id_!r}.")
        self.id = id_

    def should_refetch(
        self,
        payload: dict[str, Any],
        user_context: dict[str, Any],
    ) -> bool | Awaitable[bool]:
        """Return whether to refetch the claim first, since it is missing or too old; false by default."""
        return False

    @abstractmethod
    def validate(
        self, payload: dict[str, Any], user_context: dict[str, Any]
    ) -> ClaimValidationResult | Awaitable[ClaimValidationResult]:
        """Check the payload."""

    def _quick_check(self, setting_max_age: float | None) -> QuickCheck | None:
        """Return this validator as plain data; ``None``, the default, if it runs code of the app.

        :param setting_max_age: ``STSESSION_CLAIM_MAX_AGE_SECONDS`` of the app.
        """
        return None

    def _reuse_seconds(self, user_context: dict[str, Any]) -> float | None:
        """Return the age (s) up to which a cached response of the core may serve; ``None``: any."""
        return 0


def _checked_key(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise TypeError(f"The key of a claim must be a non-empty string, not {key!r}.")
    if key in PROTECTED_CLAIMS:
        raise ProtectedClaimError(key)
    return key


def _takes_five(key: str, fetch_value: Callable[..., Any] | None) -> bool:
    """Return whether a ``fetch_value`` takes five arguments rather than three."""
    if not callable(fetch_value):
        raise TypeError(f"fetch_value of the claim {key!r} must be a function, not {fetch_value!r}.")
    try:
        signature = inspect.signature(fetch_value)
    except ValueError as error:  # some callables written in C have no signature
        raise TypeError(
            f"{fetch_value!r} has no signature. Give the claim {key!r} a function of (user_id, tenant_id, "
            "user_context) that calls it."
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
    """Return the arguments of ``build`` by name, whichever of the two orders they come in."""
    names: tuple[str, ...] = ("tenant_id", "user_context")
    others = ("recipe_user_id", "tenant_id", "current_payload", "user_context")
    # A string instead of the user context is the tenant id of the longer form.
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
