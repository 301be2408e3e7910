"""The results that the app's loaders may return, and guards of sessions without a time of login."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, g
from support.app_factory import AppFactory

from flask_stsession import STSession, verify_session
from flask_stsession.claims import AuthTimeClaim, UserRoleClaim


def _guarded_by_role(make_app: AppFactory, answer: object) -> Flask:
    app = make_app(token_transfer_method="cookie", claims=[])
    ext: STSession = app.extensions["stsession"]
    ext.roles_loader(lambda user_id, tenant_id: answer)

    @app.get("/admin")
    @verify_session(roles="admin")
    def admin() -> dict[str, str]:
        return {"status": "OK"}

    return app


@pytest.mark.parametrize("answer", [["admin"], ("admin", "editor"), {"admin"}])
def test_a_loader_may_return_any_collection_of_names(answer: object, make_app: AppFactory) -> None:
    client = _guarded_by_role(make_app, answer).test_client()
    client.post("/login")

    assert client.get("/admin").status_code == 200


def test_a_loader_that_returns_none_means_no_roles(make_app: AppFactory) -> None:
    client = _guarded_by_role(make_app, None).test_client()
    client.post("/login")

    response = client.get("/admin")

    assert response.status_code == 403
    assert response.get_json()["claimValidationErrors"] == [
        {
            "id": UserRoleClaim.key,
            "reason": {"message": "wrong value", "expectedToInclude": "admin", "actualValue": []},
        }
    ]


def test_a_loader_that_returns_one_string_is_refused_rather_than_read_letter_by_letter(
    make_app: AppFactory,
) -> None:
    app = _guarded_by_role(make_app, "admin")
    app.testing = True
    client = app.test_client()
    client.post("/login")

    with pytest.raises(TypeError) as caught:
        client.get("/admin")

    assert str(caught.value) == (
        "The roles_loader returned 'admin'; it must return a list of names, or None for none."
    )


def test_a_session_without_a_time_of_login_does_not_pass_as_a_fresh_login(
    make_app: AppFactory,
) -> None:
    app = make_app(token_transfer_method="cookie", claims=[AuthTimeClaim])

    @app.get("/step-up")
    @verify_session(max_auth_age=60)
    def step_up() -> dict[str, str]:
        return {"status": "OK"}

    @app.post("/forget")
    @verify_session()
    def forget() -> dict[str, str]:
        g.session.remove_claim(AuthTimeClaim)
        return {"status": "OK"}

    client = app.test_client()
    client.post("/login")
    client.post("/forget")

    response = client.get("/step-up")

    assert response.status_code == 403
    assert response.get_json() == {
        "message": "invalid claim",
        "claimValidationErrors": [{"id": "st-auth-time", "reason": {"message": "value does not exist"}}],
    }


def two(user_id: str, tenant: str) -> str:
    return f"{user_id} {tenant}"


def two_with_default(user_id: str, tenant_id: str = "none") -> str:
    return f"{user_id} {tenant_id}"


def one_with_other_default(user_id: str, with_deleted: bool = False) -> str:
    return f"{user_id} {with_deleted}"


@pytest.mark.parametrize(
    ("loader", "loaded"),
    [
        (two, "alice public"),
        (two_with_default, "alice public"),
        (one_with_other_default, "alice False"),
        (lambda user_id: user_id, "alice"),
        (lambda *ids: ids, ("alice",)),
        ({"alice": "a row"}.get, "a row"),
        (str, "alice"),
    ],
)
def test_a_user_loader_is_given_the_tenant_if_it_takes_one(
    make_app: AppFactory, loader: Any, loaded: Any
) -> None:
    ext = make_app().extensions["stsession"]
    assert ext.user_loader(loader) is loader
    assert ext.load_user("alice", "public") == loaded


def test_a_user_loader_of_other_parameters_is_refused(make_app: AppFactory) -> None:
    with pytest.raises(TypeError) as caught:
        make_app().extensions["stsession"].user_loader(lambda user_id, tenant, request: None)
    assert str(caught.value) == (
        "The user_loader function takes (user_id, tenant, request). Give it the parameters (user_id) or "
        "(user_id, tenant_id)."
    )
