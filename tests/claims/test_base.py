"""SessionClaim, SessionClaimValidator, and the helper that calls an app's functions."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from flask_stsession.callables import call
from flask_stsession.claims import ClaimValidationResult, PrimitiveClaim, SessionClaim, SessionClaimValidator
from flask_stsession.claims.base import NOW_MS
from flask_stsession.constants import PROTECTED_CLAIMS
from flask_stsession.errors import ConfigError, ProtectedClaimError

NOW = 1_700_000_000_000


def now() -> int:
    return NOW


def ensure_sync(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a stand-in for ``app.ensure_sync``: runs a coroutine that never has to wait for anything."""

    @functools.wraps(func)
    def run(*args: Any) -> Any:
        coroutine = func(*args)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("the coroutine waited for something")

    return run


def seen(claim: SessionClaim[Any], **options: Any) -> Any:
    return claim.fetch("alice", **options)


def test_a_value_is_stored_under_its_key_with_the_time_in_ms() -> None:
    claim = SessionClaim("plan", lambda *_: "pro", clock=now)
    assert claim.build("alice") == {"plan": {"v": "pro", "t": NOW}}


def test_the_value_and_its_time_can_be_read_again() -> None:
    claim = SessionClaim("plan", lambda *_: "pro", clock=now)
    payload = claim.build("alice")
    assert claim.get_value_from_payload(payload) == "pro"
    assert claim.get_last_refetch_time(payload) == NOW


def test_the_clock_of_the_machine_counts_by_default() -> None:
    before = int(time.time() * 1000)
    assert before <= SessionClaim("plan", lambda *_: "pro").now_ms() <= time.time() * 1000


def test_the_time_of_the_verification_wins_over_the_clock() -> None:
    claim = SessionClaim("plan", lambda *_: "pro", clock=now)
    assert claim.build("alice", "public", {NOW_MS: 5}) == {"plan": {"v": "pro", "t": 5}}


def test_removing_by_merge_leaves_none_and_removing_leaves_nothing() -> None:
    claim = SessionClaim("plan", lambda *_: "pro", clock=now)
    payload = claim.add_to_payload_({"other": 1}, "free")
    assert claim.remove_from_payload_by_merge_(payload) == {"other": 1, "plan": None}
    assert claim.remove_from_payload(payload) == {"other": 1}
    assert claim.remove_from_payload({"other": 1}) == {"other": 1}
    assert payload == {"other": 1, "plan": {"v": "free", "t": NOW}}


def test_none_from_the_source_means_no_value() -> None:
    assert SessionClaim("plan", lambda *_: None).build("alice") == {}


@pytest.mark.parametrize("stored", [None, "pro", ["pro"], True, 1, {}, {"t": NOW}, {"v": None, "t": NOW}])
def test_a_malformed_stored_value_counts_as_absent(stored: Any) -> None:
    claim = SessionClaim("plan", lambda *_: "pro")
    assert claim.get_value_from_payload({"plan": stored}) is None


@pytest.mark.parametrize(
    "stored", [None, "1", True, [], {}, -1, float("nan"), float("inf"), float("-inf"), 2**53 + 1, -(10**400)]
)
def test_a_malformed_stored_time_counts_as_unknown(stored: Any) -> None:
    claim = SessionClaim("plan", lambda *_: "pro")
    assert claim.get_last_refetch_time({"plan": {"v": "pro", "t": stored}}) is None


def test_fetch_value_with_three_parameters_gets_user_tenant_and_context() -> None:
    claim = SessionClaim("plan", lambda user_id, tenant_id, user_context: [user_id, tenant_id, user_context])
    assert seen(claim) == ["alice", "public", {}]
    assert seen(claim, tenant_id="t1", user_context={"a": 1}) == ["alice", "t1", {"a": 1}]


def test_fetch_value_with_five_parameters_also_gets_the_login_method_and_the_payload() -> None:
    def fetch(
        user_id: str,
        recipe_user_id: str,
        tenant_id: str,
        current_payload: dict[str, Any],
        user_context: dict[str, Any],
    ) -> list[Any]:
        return [user_id, recipe_user_id, tenant_id, current_payload, user_context]

    claim = SessionClaim("plan", fetch)
    assert seen(claim) == ["alice", "alice", "public", {}, {}]
    assert seen(claim, recipe_user_id="r1", tenant_id="t1", payload={"iss": "x"}, user_context={"a": 1}) == [
        "alice",
        "r1",
        "t1",
        {"iss": "x"},
        {"a": 1},
    ]


def test_fetch_value_with_any_parameters_gets_three_arguments() -> None:
    assert seen(SessionClaim("plan", lambda *args: len(args))) == 3


def test_fetch_value_that_names_a_recipe_user_id_gets_five_arguments_even_if_it_takes_three() -> None:
    def fetch(
        user_id: str, recipe_user_id: str, tenant_id: str, payload: Any = None, context: Any = None
    ) -> Any:
        return recipe_user_id, tenant_id

    assert seen(SessionClaim("plan", fetch), recipe_user_id="r1") == ("r1", "public")


def test_fetch_value_may_be_a_method_or_a_partial_function() -> None:
    class Table:
        def plan_of(self, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
            return f"{user_id}/{tenant_id}"

    def plan(prefix: str, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return prefix + user_id

    assert seen(SessionClaim("plan", Table().plan_of)) == "alice/public"
    assert seen(SessionClaim("plan", functools.partial(plan, "the "))) == "the alice"


def test_fetch_value_with_two_parameters_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        SessionClaim("plan", lambda user_id, tenant_id: "pro")
    assert str(caught.value) == (
        "fetch_value of the claim 'plan' takes (user_id, tenant_id). Give it the parameters (user_id, "
        "tenant_id, user_context) or (user_id, recipe_user_id, tenant_id, current_payload, user_context)."
    )


def test_fetch_value_without_a_signature_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        SessionClaim("plan", {}.pop)
    assert str(caught.value).endswith(
        " has no signature. Give the claim 'plan' a function of (user_id, tenant_id, user_context) that "
        "calls it."
    )


def test_fetch_value_that_is_not_a_function_is_refused() -> None:
    value: Any = "pro"
    with pytest.raises(TypeError, match=r"^fetch_value of the claim 'plan' must be a function, not 'pro'\.$"):
        SessionClaim("plan", value)


def test_a_claim_without_fetch_value_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        SessionClaim("plan")
    assert str(caught.value) == (
        "The claim 'plan' has no fetch_value. Pass a function of (user_id, tenant_id, user_context), or "
        "define the method; it may return None for no value."
    )


@pytest.mark.parametrize("key", [None, "", 7])
def test_a_claim_without_a_key_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match=rf"^The key of a claim must be a non-empty string, not {key!r}\.$"):
        SessionClaim(key, lambda *_: None)


@pytest.mark.parametrize("key", PROTECTED_CLAIMS)
def test_a_claim_cannot_have_a_key_of_the_sessions_own(key: str) -> None:
    with pytest.raises(ProtectedClaimError):
        SessionClaim(key, lambda *_: None)


def test_a_claim_shows_its_class_and_key() -> None:
    assert repr(PrimitiveClaim("plan", lambda *_: "pro")) == "<PrimitiveClaim 'plan'>"


def test_an_error_of_fetch_value_passes_unchanged() -> None:
    def fetch(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        raise LookupError("the table is gone")

    with pytest.raises(LookupError, match=r"^the table is gone$"):
        SessionClaim("plan", fetch).build("alice")


class Plan(SessionClaim[str]):
    """A user's own claim: the key as an attribute, the source as a method, another way to store it."""

    key = "plan"

    def fetch_value(self, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return f"plan of {user_id}"

    def add_to_payload_(
        self, payload: dict[str, Any], value: str, user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {**payload, self.key: value}

    def get_value_from_payload(
        self, payload: dict[str, Any], user_context: dict[str, Any] | None = None
    ) -> str | None:
        value = payload.get(self.key)
        return value if isinstance(value, str) else None


def test_a_subclass_may_define_key_fetch_value_and_storage() -> None:
    payload = Plan().build("alice")
    assert payload == {"plan": "plan of alice"}
    assert Plan().get_value_from_payload(payload) == "plan of alice"


def test_the_method_of_a_subclass_may_take_five_parameters_and_wrap_the_function_given() -> None:
    class Loud(SessionClaim[str]):
        def fetch_value(
            self, user_id: str, recipe_user_id: str, tenant_id: str, payload: Any, user_context: Any
        ) -> str:
            value: str = super().fetch_value(user_id, tenant_id, user_context)
            return value.upper()

    assert Loud("plan", lambda *_: "pro").build("alice")["plan"]["v"] == "PRO"


def test_the_fetch_value_of_the_base_class_returns_none_without_a_function() -> None:
    class Nothing(SessionClaim[str]):
        def fetch_value(self, *args: Any) -> str | None:
            value: str | None = super().fetch_value(*args)
            return value

    assert Nothing("plan").build("alice") == {}


def build_with(*args: Any, **kwargs: Any) -> Any:
    """Return the arguments that a source of five parameters gets from these arguments of build."""
    claim = SessionClaim("plan", lambda user_id, recipe_user_id, tenant, payload, context: [
        user_id, recipe_user_id, tenant, payload, context
    ])  # fmt: skip
    build: Any = claim.build
    return build(*args, **kwargs)["plan"]["v"]


@pytest.mark.parametrize(
    ("args", "named", "told"),
    [
        (("u",), {}, ["u", "u", "public", {}, {}]),
        (("u", "t1"), {}, ["u", "u", "t1", {}, {}]),
        (("u", "t1", {"c": 1}), {}, ["u", "u", "t1", {}, {"c": 1}]),
        (("u", "t1", None), {}, ["u", "u", "t1", {}, {}]),
        (("u",), {"tenant_id": "t1", "user_context": {"c": 1}}, ["u", "u", "t1", {}, {"c": 1}]),
        (("u", "t1"), {"user_context": {"c": 1}}, ["u", "u", "t1", {}, {"c": 1}]),
        (("u", "r1", "t1"), {}, ["u", "r1", "t1", {}, {}]),
        (("u", "r1", "t1", {"p": 1}), {}, ["u", "r1", "t1", {"p": 1}, {}]),
        (("u", "r1", "t1", {"p": 1}, {"c": 1}), {}, ["u", "r1", "t1", {"p": 1}, {"c": 1}]),
        (("u", "r1"), {"tenant_id": "t1", "current_payload": {}}, ["u", "r1", "t1", {}, {}]),
        (
            (),
            {"user_id": "u", "recipe_user_id": "r1", "tenant_id": "t1", "current_payload": {"p": 1}},
            ["u", "r1", "t1", {"p": 1}, {}],
        ),
    ],
)
def test_build_takes_the_documented_arguments_and_those_of_supertokens_python(
    args: Any, named: Any, told: Any
) -> None:
    assert build_with(*args, **named) == told


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("u", "r1", "t1", {}, {}, "more"), {}),
        (("u", "t1", {}), {"user_context": {}}),
        (("u",), {"tenant": "t1"}),
    ],
)
def test_other_arguments_of_build_are_refused(args: Any, named: Any) -> None:
    with pytest.raises(TypeError) as caught:
        build_with(*args, **named)
    assert str(caught.value) == (
        "build of the claim 'plan' takes (user_id, tenant_id='public', user_context=None) or "
        "(user_id, recipe_user_id, tenant_id, current_payload, user_context=None)."
    )


async def fetch_later(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
    return f"later: {user_id}"


def test_an_asynchronous_fetch_value_is_awaited_through_ensure_sync() -> None:
    assert SessionClaim[str]("plan", fetch_later).fetch("alice", ensure_sync=ensure_sync) == "later: alice"
    assert SessionClaim[str]("plan", fetch_later, clock=now).build("alice", ensure_sync=ensure_sync) == {
        "plan": {"v": "later: alice", "t": NOW}
    }


def test_a_plain_function_that_returns_a_coroutine_is_awaited_too() -> None:
    claim = SessionClaim[str]("plan", lambda user_id, *rest: fetch_later(user_id.upper(), *rest))
    assert claim.fetch("alice", ensure_sync=ensure_sync) == "later: ALICE"


def test_an_asynchronous_fetch_value_without_an_app_names_the_claim_and_the_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        SessionClaim[str]("plan", fetch_later).build("alice")
    assert str(caught.value) == (
        "fetch_value of the claim 'plan' is asynchronous, and there is no app here that could await it. "
        "Pass a plain function, or ensure_sync=app.ensure_sync."
    )


def test_a_coroutine_is_closed_when_nothing_could_await_it() -> None:
    made: list[Any] = []

    def fetch(*args: Any) -> Any:
        made.append(fetch_later(*args))
        return made[0]

    def without_the_extra(func: Callable[..., Any]) -> Callable[..., Any]:
        raise RuntimeError("Install Flask with the 'async' extra in order to use async views.")

    with pytest.raises(RuntimeError, match="'async' extra"):
        SessionClaim("plan", fetch).fetch("alice", ensure_sync=without_the_extra)
    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED


class Never(SessionClaimValidator):
    """The least that an app's own validator must define."""

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        return ClaimValidationResult(False, {"message": "never"})


def test_a_custom_validator_has_no_claim_and_never_refetches_by_default() -> None:
    validator = Never("never")
    assert validator.id == "never"
    assert validator.claim is None
    assert validator.should_refetch({}, {}) is False
    assert validator.validate({}, {}) == ClaimValidationResult(is_valid=False, reason={"message": "never"})


def test_the_methods_of_a_validator_may_be_asynchronous() -> None:
    class Later(SessionClaimValidator):
        async def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
            return True

        async def validate(
            self, payload: dict[str, Any], user_context: dict[str, Any]
        ) -> ClaimValidationResult:
            return ClaimValidationResult(True)

    later = Later("later")
    assert call(later.should_refetch, {}, {}, ensure_sync=ensure_sync) is True
    assert call(later.validate, {}, {}, ensure_sync=ensure_sync) == ClaimValidationResult(True)


@pytest.mark.parametrize("id_", [None, "", 7])
def test_a_validator_needs_an_id(id_: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"^The id of a validator must be a non-empty string, not {id_!r}\.$"
    ):
        Never(id_)


def test_a_result_cannot_be_changed() -> None:
    result: Any = ClaimValidationResult(True)
    assert result.reason is None
    with pytest.raises(AttributeError):
        result.is_valid = False


def test_claims_are_imported_without_flask() -> None:
    script = "import sys, flask_stsession.claims; sys.exit('flask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("name", ["add_to_payload_", "get_value_from_payload", "build", "now_ms"])
def test_a_method_of_a_claim_that_nothing_awaits_is_refused_where_the_class_is_defined(name: str) -> None:
    with pytest.raises(TypeError) as caught:
        type("Late", (SessionClaim,), {name: fetch_later})
    assert str(caught.value) == (
        f"Late.{name} must not be async, as its result is not awaited: write def, not async def."
    )


def test_a_subclass_may_fetch_its_value_asynchronously() -> None:
    class Late(SessionClaim[str]):
        key = "late"

        async def fetch_value(self, user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
            return f"later: {user_id}"

    assert Late().fetch("alice", ensure_sync=ensure_sync) == "later: alice"


def test_a_maximal_age_is_not_awaited() -> None:
    later: Any = fetch_later
    with pytest.raises(TypeError) as caught:
        PrimitiveClaim("plan", lambda *_: "pro", later)
    assert str(caught.value) == (
        "default_max_age_in_sec must not be async, as its result is not awaited: write def, not async def."
    )
