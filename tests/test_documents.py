"""The Python of the SuperTokens documents, run as it stands there.

Every snippet that is about Flask, or plain synchronous Python, lies under ``data/documents`` with nothing
changed (the pages had lost the indentation, which is put back). A table says which import line becomes
which; beside them only ``g.supertokens`` becomes ``g.session``.

What Flask itself needs beside the documents' code is done by :func:`serve`: their views end in ``pass`` or
``print``, where Flask wants an answer, and those about ``get_session`` declare a parameter ``request``, which
Flask passes to no view.

Not run as they stand, with their spelling in ours, which is run at the end of this module:

===============================================  ==========================================================
in the documents                                 in ours
===============================================  ==========================================================
``init(app_info=..., recipe_list=[...])``        ``app.config["STSESSION_..."]`` and ``STSession(app)``
asynchronous override of ``create_new_session``  ``STSession(claims=...)``, or a subclass with a synchronous
with six positional parameters                   ``create_new_session(self, user_id, **options)``
nested function that overrides                   ``STSession(global_claim_validators=...)``, or a subclass;
``get_global_claim_validators``                  the documents' own function runs, only ``init`` does not
hand-made ``verify_session`` around              ``get_session`` with arguments by name; it takes the current
``FlaskRequest``                                 request by itself and writes ``g.session``
``Depends(verify_session())`` (FastAPI),         the Flask snippet beside it on the same page; for the one of
views of Django, ``await session...``            the AWS Lambda page there is none: its view, in Flask
===============================================  ==========================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, request
from flask.testing import FlaskClient
from support.app_factory import AppFactory, add_views

from flask_stsession import (
    InvalidClaimsError,
    Session,
    STSession,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
    get_session,
    userroles,
    verify_session,
)
from flask_stsession.claims import BooleanClaim, SessionClaimValidator, UserRoleClaim

DOCUMENTS = Path(__file__).parent / "data" / "documents"

#: Import lines of the documents, and ours.
IMPORTS = {
    "from supertokens_python.recipe.session.framework.flask import verify_session": (
        "from flask_stsession import verify_session"
    ),
    "from supertokens_python.recipe.session.syncio import get_session": (
        "from flask_stsession import get_session"
    ),
    "from supertokens_python.recipe.session import SessionContainer": (
        "from flask_stsession import SessionContainer"
    ),
    "from supertokens_python.recipe.session.interfaces import SessionContainer": (
        "from flask_stsession import SessionContainer"
    ),
    "from supertokens_python.recipe.session.exceptions import raise_invalid_claims_exception, "
    "ClaimValidationError": (
        "from flask_stsession import raise_invalid_claims_exception, ClaimValidationError"
    ),
    "from supertokens_python.recipe.session.claims import BooleanClaim": (
        "from flask_stsession.claims import BooleanClaim"
    ),
    "from supertokens_python.recipe.userroles import UserRoleClaim": (
        "from flask_stsession.userroles import UserRoleClaim"
    ),
    # What is overridden there is the recipe's implementation; here it is the extension object.
    "from supertokens_python.recipe.session.interfaces import RecipeInterface, SessionClaimValidator": (
        "from flask_stsession import STSession as RecipeInterface; "
        "from flask_stsession.claims import SessionClaimValidator"
    ),
    "from supertokens_python import init, InputAppInfo": "",
    "from supertokens_python.recipe import session": "",
}

WRONG_ROLES = {
    "message": "invalid claim",
    "claimValidationErrors": [
        {
            "id": "st-role",
            "reason": {"message": "wrong value", "expectedToInclude": "admin", "actualValue": []},
        }
    ],
}
NO_SECOND_FACTOR = {
    "message": "invalid claim",
    "claimValidationErrors": [
        {
            "id": "2fa-completed",
            "reason": {"message": "wrong value", "expectedValue": True, "actualValue": False},
        }
    ],
}
UNAUTHORISED = {"message": "unauthorised"}


def snippet(name: str) -> str:
    """A snippet as it stands in the documents."""
    return (DOCUMENTS / f"{name}.txt").read_text(encoding="utf-8")


def ported(source: str) -> str:
    """The same with our import lines."""
    lines = [IMPORTS.get(line, line) for line in source.splitlines()]
    return "\n".join(lines).replace("g.supertokens", "g.session")


def run(name: str, *, until: str | None = None, **given: Any) -> dict[str, Any]:
    """Execute a snippet; returns its names.

    :param until: the line at which to stop.
    :param given: names that the snippet takes for granted, such as ``app``.
    """
    source = ported(snippet(name))
    if until is not None:
        source, found, _ = source.partition(until)
        assert found, f"{until!r} is not in {name}"
    namespace = {"__name__": name, **given}
    exec(compile(source, name, "exec", dont_inherit=True), namespace)
    return namespace


def serve(app: Flask, endpoint: str) -> None:
    """Do for a view of the documents what Flask does not: pass the request, take ``None`` for an answer."""
    view = app.view_functions[endpoint]
    wants_request = "request" in inspect.signature(view).parameters

    def serving() -> Any:
        answer: Any = app.ensure_sync(view)(*([request] if wants_request else []))
        return {} if answer is None else answer

    app.view_functions[endpoint] = serving


def make_admin(app: Flask, user_id: str) -> None:
    with app.app_context():
        userroles.create_new_role_or_add_permissions("admin", [])
        userroles.add_role_to_user(user_id, "admin")


def signed_in(app: Flask, user_id: str) -> FlaskClient:
    client = app.test_client()
    client.post("/login", json={"userId": user_id}, headers={"st-auth-mode": "cookie"})
    return client


@pytest.fixture
def with_view(make_app: AppFactory) -> Callable[[str], Flask]:
    """Makes an app with the view of a snippet that takes ``app`` for granted; alice is an admin in it."""

    def make(name: str) -> Flask:
        app = make_app()
        run(name, app=app)
        serve(app, "like_comment")
        make_admin(app, "alice")
        return app

    return make


@pytest.mark.parametrize("name", sorted(path.stem for path in DOCUMENTS.glob("*.txt")))
def test_nothing_but_import_lines_changes(name: str) -> None:
    before = snippet(name).splitlines()
    after = ported(snippet(name)).splitlines()
    assert len(before) == len(after)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed
    for old, new in changed:
        imports = old in IMPORTS and new == IMPORTS[old]
        assert imports or new == old.replace("g.supertokens", "g.session")
    assert "supertokens_python" not in "\n".join(after)


def test_every_line_of_the_table_is_needed() -> None:
    lines = {line for path in DOCUMENTS.glob("*.txt") for line in snippet(path.stem).splitlines()}
    assert set(IMPORTS) <= lines


# Getting a session


def test_get_session_finds_the_session_of_the_request(
    with_view: Callable[[str], Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app = with_view("get_session")
    assert signed_in(app, "bob").post("/like-comment").status_code == 200
    assert capsys.readouterr().out == "bob\n"
    stranger = app.test_client().post("/like-comment")
    assert (stranger.status_code, stranger.json) == (401, UNAUTHORISED)
    assert capsys.readouterr().out == ""


def test_get_session_returns_none_without_a_session_if_it_is_optional(
    with_view: Callable[[str], Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app = with_view("get_session_optional")
    assert signed_in(app, "bob").post("/like-comment").status_code == 200
    assert capsys.readouterr().out == "bob\n"
    assert app.test_client().post("/like-comment").status_code == 200
    assert capsys.readouterr().out == ""


def test_get_session_runs_the_validators_it_is_given(
    with_view: Callable[[str], Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app = with_view("get_session_with_validator")
    assert signed_in(app, "alice").post("/like-comment").status_code == 200
    assert capsys.readouterr().out == "alice\n"
    refused = signed_in(app, "bob").post("/like-comment")
    assert (refused.status_code, refused.json) == (403, WRONG_ROLES)
    stranger = app.test_client().post("/like-comment")
    assert (stranger.status_code, stranger.json) == (401, UNAUTHORISED)
    assert capsys.readouterr().out == ""


# Claims of a session


def test_a_validator_of_a_route_lets_admins_in_only(with_view: Callable[[str], Flask]) -> None:
    app = with_view("validator_of_a_route")
    assert signed_in(app, "alice").post("/update-jwt").status_code == 200
    refused = signed_in(app, "bob").post("/update-jwt")
    assert (refused.status_code, refused.json) == (403, WRONG_ROLES)
    stranger = app.test_client().post("/update-jwt")
    assert (stranger.status_code, stranger.json) == (401, UNAUTHORISED)


def test_a_view_can_check_a_claim_itself(make_app: AppFactory) -> None:
    app: Flask = run("claim_checked_in_the_view")["app"]
    app.config.update(make_app.core_config)
    STSession(app, claims=[UserRoleClaim])
    make_app.apps.append(app)
    add_views(app)
    serve(app, "set_role_api")
    make_admin(app, "alice")
    assert signed_in(app, "alice").post("/update-blog").status_code == 200
    refused = signed_in(app, "bob").post("/update-blog")
    assert refused.status_code == 403
    assert refused.json == {"message": "invalid claim", "claimValidationErrors": [{"id": "st-role"}]}
    stranger = app.test_client().post("/update-blog")
    assert (stranger.status_code, stranger.json) == (401, UNAUTHORISED)


def with_changing_view(app: Flask, change: Callable[[Session], None]) -> None:
    @app.post("/change")
    @verify_session()
    def change_session() -> dict[str, Any]:
        change(g.session)
        return {}


def test_a_claim_is_fetched_and_set_after_the_session_was_made(app: Flask) -> None:
    with_changing_view(app, run("set_claim_by_fetching")["add_claim_to_session"])
    make_admin(app, "alice")
    client = signed_in(app, "alice")
    assert "st-role" not in client.get("/user").get_json()["payload"]
    assert client.post("/change").status_code == 200
    assert client.get("/user").get_json()["payload"]["st-role"]["v"] == ["admin"]


def test_a_claim_is_set_to_a_given_value(app: Flask) -> None:
    with_changing_view(app, run("set_claim_by_hand")["set_2fa_claim_as_completed"])
    client = signed_in(app, "alice")
    assert "2fa-completed" not in client.get("/user").get_json()["payload"]
    assert client.post("/change").status_code == 200
    assert client.get("/user").get_json()["payload"]["2fa-completed"]["v"] is True


def test_the_documents_override_adds_a_global_validator(make_app: AppFactory) -> None:
    documents = run("global_validators", until="\ninit(")
    app = make_app(init=False)
    documents["override_functions"](STSession()).init_app(app)
    make_app.apps.append(app)
    prove_second_factor(app, documents["SecondFactorClaim"])


def prove_second_factor(app: Flask, second_factor: BooleanClaim) -> None:
    """The 2FA of the documents: nothing passes until it is done, but what says so itself."""

    @app.post("/second-factor")
    @verify_session(override_global_claim_validators=lambda *_: [])
    def complete() -> dict[str, Any]:
        g.session.sync_set_claim_value(second_factor, True)
        return {}

    client = signed_in(app, "alice")
    refused = client.get("/user")
    assert (refused.status_code, refused.json) == (403, NO_SECOND_FACTOR)
    assert client.post("/second-factor").status_code == 200
    assert client.get("/user").status_code == 200
    stranger = app.test_client().get("/user")
    assert (stranger.status_code, stranger.json) == (401, UNAUTHORISED)


# What is spelled differently in ours


SecondFactorClaim = BooleanClaim(key="2fa-completed", fetch_value=lambda _, __, ___: False)


class WithSecondFactor(STSession):
    """The override of ``get_global_claim_validators``, as a subclass."""

    def get_global_claim_validators(
        self,
        *,
        tenant_id: str,
        user_id: str,
        claim_validators_added_by_other_recipes: list[SessionClaimValidator],
        user_context: dict[str, Any],
    ) -> list[SessionClaimValidator]:
        claim_validators_added_by_other_recipes.append(SecondFactorClaim.validators.is_true(None))
        return claim_validators_added_by_other_recipes


def test_a_subclass_adds_a_global_validator(make_app: AppFactory) -> None:
    prove_second_factor(make_app(extension=WithSecondFactor), SecondFactorClaim)


def test_the_constructor_takes_a_global_validator(make_app: AppFactory) -> None:
    app = make_app(global_claim_validators=[SecondFactorClaim.validators.is_true(None)])
    prove_second_factor(app, SecondFactorClaim)


class WithRoles(STSession):
    """The override of ``create_new_session``, as a subclass."""

    def create_new_session(self, user_id: str, *misplaced: Any, **options: Any) -> Session:
        payload = options.pop("access_token_payload", None)
        if payload is None:
            payload = {}

        payload = {
            **payload,
            **UserRoleClaim.build(user_id, options.get("tenant_id") or "public"),
        }
        return super().create_new_session(user_id, *misplaced, access_token_payload=payload, **options)


@pytest.mark.parametrize("spelling", [{"extension": WithRoles}, {"claims": [UserRoleClaim]}])
def test_a_claim_is_added_while_the_session_is_made(make_app: AppFactory, spelling: dict[str, Any]) -> None:
    app = make_app(**spelling)
    make_admin(app, "alice")
    client = app.test_client()
    login = {"userId": "alice", "access_token_payload": {"theme": "dark"}}
    client.post("/login", json=login, headers={"st-auth-mode": "cookie"})
    payload = client.get("/user").get_json()["payload"]
    assert payload["st-role"]["v"] == ["admin"]
    assert isinstance(payload["st-role"]["t"], int)
    assert payload["theme"] == "dark"


def my_verify_session(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The hand-made ``verify_session``, with its four places to do something of one's own."""

    def session_verify(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapped_function(*args: Any, **kwargs: Any) -> Any:
            try:
                get_session(**options)
            except TryRefreshTokenError:
                return {"seen": "try refresh token"}, 401
            except UnauthorisedError:
                return {"seen": "unauthorised"}, 401
            except TokenTheftError:
                return {"seen": "token theft"}, 401
            except InvalidClaimsError as error:
                return {"seen": [failed.id for failed in error.payload]}, 403
            return view(*args, **kwargs)

        return wrapped_function

    return session_verify


def test_a_hand_made_verify_session_handles_verdicts_itself(app: Flask) -> None:
    @app.post("/mine")
    @my_verify_session()
    def mine() -> dict[str, Any]:
        return {"user": g.session.get_user_id()}

    @app.post("/mine/admin")
    @my_verify_session(
        override_global_claim_validators=lambda validators, session, user_context: [
            *validators,
            UserRoleClaim.validators.includes("admin"),
        ]
    )
    def admin() -> dict[str, Any]:
        return {"user": g.session.get_user_id()}

    @app.post("/mine/optional")
    @my_verify_session(session_required=False)
    def optional() -> dict[str, Any]:
        return {"session": g.session is not None}

    client = signed_in(app, "bob")
    answers = [client.post(path) for path in ("/mine", "/mine/admin", "/mine/optional")]
    assert [(answer.status_code, answer.json) for answer in answers] == [
        (200, {"user": "bob"}),
        (403, {"seen": ["st-role"]}),
        (200, {"session": True}),
    ]
    stranger = app.test_client()
    answers = [stranger.post(path) for path in ("/mine", "/mine/admin", "/mine/optional")]
    assert [(answer.status_code, answer.json) for answer in answers] == [
        (401, {"seen": "unauthorised"}),
        (401, {"seen": "unauthorised"}),
        (200, {"session": False}),
    ]
    forged = app.test_client()
    token = client.get_cookie("sAccessToken")
    assert token is not None
    answer = forged.post("/mine", headers={"Authorization": f"Bearer {token.value[:-8]}AAAAAAAA"})
    assert (answer.status_code, answer.json) == (401, {"seen": "try refresh token"})


def test_the_user_route_of_the_lambda_page_answers_with_the_session(app: Flask) -> None:
    @app.get("/session")
    @verify_session()
    def session_of_user() -> dict[str, Any]:
        session = g.session
        return {
            "sessionHandle": session.get_handle(),
            "userId": session.get_user_id(),
            "accessTokenPayload": session.get_access_token_payload(),
        }

    client = app.test_client()
    login = client.post("/login", json={"userId": "alice"}, headers={"st-auth-mode": "cookie"})
    answer = client.get("/session").get_json()
    assert set(answer) == {"sessionHandle", "userId", "accessTokenPayload"}
    assert answer["sessionHandle"] == login.get_json()["handle"]
    assert answer["userId"] == answer["accessTokenPayload"]["sub"] == "alice"
    stranger = app.test_client().get("/session")
    assert (stranger.status_code, stranger.json) == (401, UNAUTHORISED)
