"""Claims and validators that users write themselves: they work wherever a built-in one does."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from flask import Blueprint, Flask, g
from support.app_factory import AppFactory, add_views
from support.clients import signed_in
from support.guarded_app import Client, add_guard, refused

from flask_stsession import (
    InvalidClaimsError,
    SessionDoesNotExistError,
    STSession,
    create_new_session_without_request_response,
    fetch_and_set_claim,
    get_session,
    get_session_information,
    remove_claim,
    set_claim_value,
    sync_get_claim_value,
    validate_claims_for_session_handle,
    verify_access_token,
    verify_session,
)
from flask_stsession.claims import (
    BooleanClaim,
    ClaimValidationResult,
    PrimitiveClaim,
    SessionClaim,
    SessionClaimValidator,
)

#: An app's own table. Bob has filled in half of his profile, and carol none of hers.
PROFILES = {"alice": {"name": "Alice", "city": "Ghent"}, "bob": {"name": "Bob"}}


class ProfileClaim(SessionClaim[dict[str, str]]):
    """A claim with a method for its source, and a shape of its own: the bare value under the key."""

    key = "profile"

    def fetch_value(
        self, user_id: str, tenant_id: str, user_context: dict[str, Any]
    ) -> dict[str, str] | None:
        return PROFILES.get(user_id)

    def add_to_payload_(
        self, payload: dict[str, Any], value: dict[str, str], user_context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {**payload, self.key: value}

    def get_value_from_payload(
        self, payload: dict[str, Any], user_context: dict[str, Any] | None = None
    ) -> dict[str, str] | None:
        return payload.get(self.key)


Profile = ProfileClaim()


class ProfileIsComplete(SessionClaimValidator):
    """All fields are there; the reason names those that are not."""

    claim = Profile

    def __init__(self, *fields: str) -> None:
        super().__init__("profile-complete")
        self.fields = fields

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        return Profile.get_value_from_payload(payload, user_context) is None

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        found = Profile.get_value_from_payload(payload, user_context) or {}
        missing = [field for field in self.fields if field not in found]
        return ClaimValidationResult(not missing, {"missing": missing} if missing else None)


COMPLETE = ProfileIsComplete("name", "city")
CITY_IS_MISSING = [{"id": "profile-complete", "reason": {"missing": ["city"]}}]
ALL_IS_MISSING = [{"id": "profile-complete", "reason": {"missing": ["name", "city"]}}]


def globally(make_app: AppFactory) -> Flask:
    app = make_app(global_claim_validators=[COMPLETE])
    add_guard(app, "/profile")
    return app


class Overriding(STSession):
    def get_global_claim_validators(self, **arguments: Any) -> list[SessionClaimValidator]:
        return [*super().get_global_claim_validators(**arguments), COMPLETE]


def by_subclass(make_app: AppFactory) -> Flask:
    app = make_app(extension=Overriding)
    add_guard(app, "/profile")
    return app


def by_argument(make_app: AppFactory) -> Flask:
    app = make_app()
    add_guard(app, "/profile", COMPLETE)
    return app


def by_override(make_app: AppFactory) -> Flask:
    app = make_app()

    @app.get("/profile")
    @verify_session(
        override_global_claim_validators=lambda validators, session, context: [*validators, COMPLETE]
    )
    def profile() -> dict[str, Any]:
        return {}

    return app


def by_get_session(make_app: AppFactory) -> Flask:
    app = make_app()

    @app.get("/profile")
    def profile() -> dict[str, Any]:
        get_session(override_global_claim_validators=lambda *_: [COMPLETE])
        return {}

    return app


def by_protect(make_app: AppFactory) -> Flask:
    app = make_app()
    blueprint = Blueprint("profiles", __name__)
    app.extensions["stsession"].protect(blueprint, validators=[COMPLETE])

    @blueprint.get("/profile")
    def profile() -> dict[str, Any]:
        return {}

    app.register_blueprint(blueprint)
    return app


def in_the_view(make_app: AppFactory) -> Flask:
    app = make_app()

    @app.get("/profile")
    @verify_session()
    def profile() -> dict[str, Any]:
        g.session.sync_assert_claims([COMPLETE])
        return {}

    return app


PLACES = [globally, by_subclass, by_argument, by_override, by_get_session, by_protect, in_the_view]


@pytest.mark.parametrize("place", PLACES)
def test_a_custom_validator_of_a_custom_claim_guards_a_view(
    make_app: AppFactory, place: Callable[[AppFactory], Flask]
) -> None:
    app = place(make_app)
    assert Client(app, "alice").get("/profile").status_code == 200
    assert refused(Client(app, "bob").get("/profile")) == CITY_IS_MISSING
    assert refused(Client(app, "carol").get("/profile")) == ALL_IS_MISSING


def test_a_custom_claim_is_built_into_new_sessions(make_app: AppFactory) -> None:
    app = make_app(claims=[Profile])
    assert Client(app, "alice").get("/user").get_json()["payload"]["profile"] == PROFILES["alice"]
    assert "profile" not in Client(app, "carol").get("/user").get_json()["payload"]


def test_a_custom_claim_is_changed_on_the_session_of_the_request(app: Flask) -> None:
    steps: list[Any] = []

    @app.get("/steps")
    @verify_session()
    def walk() -> dict[str, Any]:
        session = g.session
        steps.append(session.sync_get_claim_value(Profile))
        session.sync_fetch_and_set_claim(Profile)
        steps.append(session.sync_get_claim_value(Profile))
        session.sync_set_claim_value(Profile, {"name": "A."})
        steps.append(sync_get_claim_value(Profile))
        session.sync_remove_claim(Profile)
        steps.append(session.sync_get_claim_value(Profile))
        return {}

    client = Client(app, "alice")
    assert client.get("/steps").status_code == 200
    assert steps == [None, PROFILES["alice"], {"name": "A."}, None]
    assert "profile" not in client.get("/user").get_json()["payload"]


# Offline, by handle


def test_a_custom_claim_is_changed_by_handle(app: Flask) -> None:
    with app.app_context():
        handle = create_new_session_without_request_response("alice").get_handle()
        assert sync_get_claim_value(Profile, session_handle=handle) is None
        assert fetch_and_set_claim(Profile, session_handle=handle) is True
        assert sync_get_claim_value(Profile, session_handle=handle) == PROFILES["alice"]
        assert set_claim_value(Profile, {"name": "A."}, session_handle=handle) is True
        assert sync_get_claim_value(Profile, session_handle=handle) == {"name": "A."}
        assert remove_claim(Profile, session_handle=handle) is True
        assert sync_get_claim_value(Profile, session_handle=handle) is None


def test_a_claim_set_by_handle_shows_after_the_next_refresh(app: Flask) -> None:
    client = Client(app, "alice")
    with app.app_context():
        assert fetch_and_set_claim(Profile, session_handle=client.handle) is True
    assert "profile" not in client.get("/user").get_json()["payload"]
    client.post("/auth/session/refresh")
    assert client.get("/user").get_json()["payload"]["profile"] == PROFILES["alice"]


def test_an_unknown_handle_is_false_or_raises(app: Flask) -> None:
    handle = "00000000-0000-4000-8000-000000000000"
    message = f"^There is no session with the handle '{handle}': it has ended or never existed\\.$"
    with app.app_context():
        assert fetch_and_set_claim(Profile, session_handle=handle) is False
        assert set_claim_value(Profile, {"name": "A."}, session_handle=handle) is False
        assert remove_claim(Profile, session_handle=handle) is False
        with pytest.raises(SessionDoesNotExistError, match=message):
            sync_get_claim_value(Profile, session_handle=handle)
        with pytest.raises(SessionDoesNotExistError, match=message):
            validate_claims_for_session_handle(handle)


@pytest.mark.parametrize("place", [globally, by_subclass])
def test_offline_validation_runs_the_global_validators_and_stores_what_it_fetched(
    make_app: AppFactory, place: Callable[[AppFactory], Flask]
) -> None:
    with place(make_app).app_context():
        alice, bob = (
            create_new_session_without_request_response(user).get_handle() for user in ("alice", "bob")
        )
        assert validate_claims_for_session_handle(alice) == []
        failed = validate_claims_for_session_handle(bob)
        assert [each.to_json() for each in failed] == CITY_IS_MISSING
        found = get_session_information(bob)
        assert found is not None
        assert found.custom_claims_in_access_token_payload["profile"] == PROFILES["bob"]


def test_offline_validation_accepts_an_override(app: Flask) -> None:
    with app.app_context():
        handle = create_new_session_without_request_response("carol").get_handle()
        assert validate_claims_for_session_handle(handle) == []
        failed = validate_claims_for_session_handle(
            handle, override_global_claim_validators=lambda validators, found, context: [COMPLETE]
        )
        assert [each.to_json() for each in failed] == ALL_IS_MISSING


def test_a_token_without_a_request_is_checked_by_the_same_validators(make_app: AppFactory) -> None:
    with globally(make_app).app_context():
        tokens = {
            user: create_new_session_without_request_response(user).get_access_token()
            for user in ("alice", "bob")
        }
        assert verify_access_token(tokens["alice"]).get_claim_value(Profile) == PROFILES["alice"]
        with pytest.raises(InvalidClaimsError) as caught:
            verify_access_token(tokens["bob"])
        assert [each.to_json() for each in caught.value.payload] == CITY_IS_MISSING


# Asynchronous claims and validators


class PatientFlask(Flask):
    """Waits for coroutines that never have to wait for anything, and notes which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.waited_for: list[str] = []

    def async_to_sync(self, func: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        def wait(*args: Any, **kwargs: Any) -> Any:
            self.waited_for.append(func.__name__)
            coroutine = func(*args, **kwargs)
            try:
                coroutine.send(None)
            except StopIteration as stop:
                return stop.value
            raise AssertionError("the coroutine waits")

        return wait


class AsyncValidator(SessionClaimValidator):
    """Both methods are asynchronous; the claim must be true."""

    def __init__(self, claim: BooleanClaim) -> None:
        super().__init__("async-" + claim.key)
        self.claim = self.done = claim

    async def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        return self.done.get_value_from_payload(payload) is None

    async def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        value = self.done.get_value_from_payload(payload)
        return ClaimValidationResult(value is True, {"message": "not yet"})


@pytest.mark.parametrize(("answer", "status"), [(True, 200), (False, 403)])
def test_asynchronous_claims_and_validators_are_awaited_by_the_app(
    make_app: AppFactory, answer: bool, status: int
) -> None:
    async def fetch(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> bool:
        return answer

    app = PatientFlask("patient")
    app.config.update(make_app.core_config)
    STSession(app)
    make_app.apps.append(app)
    add_views(app)
    add_guard(app, "/async", AsyncValidator(BooleanClaim("done", fetch)))
    client = Client(app)
    response = client.get("/async")
    assert response.status_code == status
    assert len(app.waited_for) == 3  # should_refetch, fetch_value, validate
    if status == 403:
        assert refused(response) == [{"id": "async-done", "reason": {"message": "not yet"}}]


# Claims that build others


@pytest.mark.parametrize("awaits", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
def test_an_asynchronous_claim_may_build_another_one(
    make_app: AppFactory, is_async: bool, awaits: bool
) -> None:
    async def fetch_later(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return f"{user_id} of {tenant_id}"

    def fetch_now(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return f"{user_id} of {tenant_id}"

    inner = PrimitiveClaim[str]("inner", fetch_later if is_async else fetch_now)

    async def fetch(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        built: Any = inner.build(user_id, tenant_id, user_context)
        payload = await built if awaits else built
        return f"<{inner.get_value_from_payload(payload)}>"

    outer = PrimitiveClaim[str]("outer", fetch)
    app = make_app(token_transfer_method="cookie", claims=[outer])
    add_guard(app, "/guarded", outer.validators.has_value("<alice of public>", 0))
    client = signed_in(app)
    assert client.get("/user").get_json()["payload"]["outer"]["v"] == "<alice of public>"
    assert client.get("/guarded").status_code == 200


def test_a_synchronous_claim_may_build_an_asynchronous_one(make_app: AppFactory) -> None:
    async def fetch_later(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return user_id

    inner = PrimitiveClaim[str]("inner", fetch_later)
    outer = PrimitiveClaim[str]("outer", lambda *args: inner.build(*args)["inner"]["v"])
    client = signed_in(make_app(token_transfer_method="cookie", claims=[outer]))
    assert client.get("/user").get_json()["payload"]["outer"]["v"] == "alice"


def test_an_asynchronous_view_may_fetch_a_claim_with_an_asynchronous_source(make_app: AppFactory) -> None:
    async def fetch_later(user_id: str, tenant_id: str, user_context: dict[str, Any]) -> str:
        return user_id

    claim = PrimitiveClaim[str]("late", fetch_later)
    app = make_app(token_transfer_method="cookie")

    @app.post("/fetch")
    @verify_session()
    async def fetch() -> dict[str, Any]:
        g.session.fetch_and_set_claim(claim)
        return {"late": g.session.get_claim_value(claim)}

    client = signed_in(app)
    assert client.post("/fetch").get_json() == {"late": "alice"}
    assert client.get("/user").get_json()["payload"]["late"]["v"] == "alice"


#: What a source does once it has changed the payload that it was lent.
ENDS: dict[str, Callable[[], Any]] = {
    "returns a value": lambda: "dark",
    "returns None": lambda: None,
    "fails": lambda: PROFILES["nobody"],
}
FETCHES: dict[str, Callable[[PrimitiveClaim[Any]], Any]] = {
    "by a validator": lambda claim: g.session.assert_claims([claim.validators.has_value(1)]),
    "for the request": fetch_and_set_claim,
    "by handle": lambda claim: fetch_and_set_claim(claim, session_handle=g.session.get_handle()),
}


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_source_that_changes_its_current_payload_changes_no_session(
    make_app: AppFactory, end: Callable[[], Any], fetch: Callable[[PrimitiveClaim[Any]], Any]
) -> None:
    def source(
        user_id: str, recipe_user_id: str, tenant_id: str, current_payload: dict[str, Any], user_context: Any
    ) -> Any:
        current_payload["role"] = "admin"
        return end()

    app = make_app()
    claim = PrimitiveClaim[Any]("claim", source)

    @app.post("/fetch")
    @verify_session()
    def view() -> dict[str, Any]:
        with suppress(InvalidClaimsError, KeyError):
            fetch(claim)
        information = get_session_information(g.session.get_handle())
        assert information is not None
        stored = information.custom_claims_in_access_token_payload
        return {"payloads": [g.session.get_access_token_payload(), stored]}

    client = signed_in(app)
    payloads = client.post("/fetch").get_json()["payloads"]
    assert not any("role" in payload for payload in payloads)
    assert "role" not in client.get("/user").get_json()["payload"]
