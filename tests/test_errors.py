"""The errors: one tree, a reason and a response each, and nothing in them that belongs to a request."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest
from flask import Flask
from support.app_factory import AppFactory
from werkzeug import exceptions as http

from flask_stsession import (
    ClaimValidationError,
    ClearDuplicateSessionCookiesError,
    ConfigError,
    CoreError,
    CoreUnavailableError,
    InvalidClaimsError,
    ProtectedClaimError,
    Reason,
    SessionDoesNotExistError,
    SessionHTTPError,
    STSession,
    STSessionError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
    raise_invalid_claims_exception,
)

FAILURES = [ClaimValidationError("st-role", {"expectedValue": "admin"}), ClaimValidationError("own")]

#: error, Werkzeug's class, status, body, reason, does it clear the client's tokens?
VERDICTS = [
    (UnauthorisedError(), http.Unauthorized, 401, {"message": "unauthorised"}, "session_ended", True),
    (
        UnauthorisedError("told", reason="no_token", clear_tokens=False),
        http.Unauthorized,
        401,
        {"message": "unauthorised"},
        "no_token",
        False,
    ),
    (TryRefreshTokenError(), http.Unauthorized, 401, {"message": "try refresh token"}, "expired", False),
    (
        TokenTheftError("handle-1", "alice"),
        http.Unauthorized,
        401,
        {"message": "token theft detected"},
        "token_theft",
        True,
    ),
    (
        InvalidClaimsError("not enough", FAILURES),
        http.Forbidden,
        403,
        {
            "message": "invalid claim",
            "claimValidationErrors": [
                {"id": "st-role", "reason": {"expectedValue": "admin"}},
                {"id": "own"},
            ],
        },
        "claims_invalid",
        False,
    ),
    (
        CoreUnavailableError("http://core:3567 does not answer"),
        http.ServiceUnavailable,
        503,
        {"message": "session service unavailable"},
        "core_unreachable",
        False,
    ),
    (
        ClearDuplicateSessionCookiesError(),
        http.HTTPException,
        200,
        {
            "message": "The request contains multiple session cookies. All but those that this app sets now "
            "are being cleared; the next refresh will find one of each."
        },
        "duplicate_cookies",
        False,
    ),
]

OTHERS = [
    (CoreError("POST /recipe/session at http://core was refused with 400: no", status=400), "core_refused"),
    (ConfigError("STSESSION_X is wrong"), "misconfigured"),
    (SessionDoesNotExistError("handle-1"), "session_ended"),
    (ProtectedClaimError("sub"), "misconfigured"),
]

EVERY_ERROR = [*(row[0] for row in VERDICTS), *(row[0] for row in OTHERS)]


def name_of(error: object) -> str | None:
    return type(error).__name__ if isinstance(error, STSessionError) else None


@pytest.mark.parametrize(("error", "kind", "status", "body", "reason", "clears"), VERDICTS, ids=name_of)
def test_a_verdict_owns_its_response(
    error: SessionHTTPError,
    kind: type[http.HTTPException],
    status: int,
    body: dict[str, Any],
    reason: str,
    clears: bool,
) -> None:
    response = error.get_response()
    assert (response.status_code, response.get_json(), response.mimetype) == (
        status,
        body,
        "application/json",
    )
    assert (error.code, error.data, error.reason, error.clear_tokens) == (status, body, reason, clears)
    assert isinstance(error, kind)
    assert isinstance(error, STSessionError)


@pytest.mark.parametrize(("error", "reason"), OTHERS, ids=name_of)
def test_an_error_that_is_not_a_verdict_is_not_an_http_exception(error: STSessionError, reason: str) -> None:
    assert error.reason == reason
    assert isinstance(error, STSessionError)
    assert not isinstance(error, http.HTTPException)


def test_a_protected_claim_is_a_value_error() -> None:
    error = ProtectedClaimError("sub")
    assert isinstance(error, ValueError)
    assert error.key == "sub"
    assert str(error) == (
        "The key 'sub' of the access token payload belongs to the session itself and cannot be set or "
        "removed; choose another key."
    )


def test_a_session_that_does_not_exist_is_named() -> None:
    error = SessionDoesNotExistError("handle-1")
    assert error.session_handle == "handle-1"
    assert str(error) == "There is no session with the handle 'handle-1': it has ended or never existed."


def test_the_base_of_the_verdicts_has_no_code_so_that_one_handler_serves_them_all() -> None:
    assert SessionHTTPError.code is None
    assert [cls.code for cls in (UnauthorisedError, InvalidClaimsError, CoreUnavailableError)] == [
        401,
        403,
        503,
    ]


def test_an_outage_says_when_to_ask_again() -> None:
    assert CoreUnavailableError().get_response().headers["Retry-After"] == "5"


def test_the_message_is_for_logs_and_the_body_for_clients() -> None:
    error = UnauthorisedError("The session of alice was revoked.")
    assert str(error) == error.message == "The session of alice was revoked."
    assert error.args == ("The session of alice was revoked.",)
    assert error.description == "unauthorised"
    assert error.get_response().get_json() == {"message": "unauthorised"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnauthorisedError("eyJ.secret.token"), "<UnauthorisedError '401: Unauthorized'>"),
        (TryRefreshTokenError("eyJ.secret.token"), "<TryRefreshTokenError '401: Unauthorized'>"),
        (TokenTheftError("handle-1", "alice"), "<TokenTheftError '401: Unauthorized'>"),
        (InvalidClaimsError("m", FAILURES), "<InvalidClaimsError '403: Forbidden'>"),
        (CoreUnavailableError("m"), "<CoreUnavailableError '503: Service Unavailable'>"),
        (
            ClearDuplicateSessionCookiesError(),
            "<ClearDuplicateSessionCookiesError '200: OK'>",
        ),
        (ConfigError("STSESSION_X is wrong"), "ConfigError('STSESSION_X is wrong')"),
    ],
    ids=name_of,
)
def test_the_repr_of_a_verdict_shows_class_and_status_only(error: STSessionError, expected: str) -> None:
    assert repr(error) == expected


def test_a_theft_error_names_the_session_and_its_user() -> None:
    error = TokenTheftError("handle-1", "alice")
    assert (error.session_handle, error.user_id, error.recipe_user_id) == ("handle-1", "alice", "alice")
    assert TokenTheftError("handle-1", "alice", "login-1").recipe_user_id == "login-1"


def test_a_reason_is_its_code() -> None:
    assert str(Reason.NO_TOKEN) == f"{Reason.NO_TOKEN}" == "no_token"
    assert UnauthorisedError(reason="user_gone").reason is Reason.USER_GONE


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'because' is not a valid Reason$"):
        UnauthorisedError(reason="because")


def test_the_reasons_are_those_that_are_documented() -> None:
    documented = (
        "no_token malformed expired bad_signature unknown_kid key_type_mismatch csrf_missing csrf_mismatch "
        "wrong_transfer legacy_session duplicate_cookies refresh_token_missing session_ended token_theft "
        "claims_invalid tenant_mismatch user_gone auth_too_old cross_site core_unreachable "
        "core_rate_limited core_refused keys_unavailable misconfigured"
    )
    assert [reason.value for reason in Reason] == documented.split()


def test_a_failed_claim_is_sent_to_clients_as_the_interface_says() -> None:
    assert ClaimValidationError("st-ev", {"message": "wrong value"}).to_json() == {
        "id": "st-ev",
        "reason": {"message": "wrong value"},
    }
    assert ClaimValidationError("st-ev").to_json() == {"id": "st-ev"}
    assert ClaimValidationError("st-ev").id == "st-ev"


def test_claims_can_be_refused_by_hand() -> None:
    with pytest.raises(InvalidClaimsError) as caught:
        raise_invalid_claims_exception("not enough", FAILURES)
    assert caught.value.payload == FAILURES
    assert str(caught.value) == "not enough"


@pytest.mark.parametrize("error", EVERY_ERROR, ids=name_of)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_error_can_be_copied_and_pickled(error: STSessionError, duplicate: Any) -> None:
    again = duplicate(error)
    assert type(again) is type(error)
    assert (str(again), again.reason, again.args) == (str(error), error.reason, error.args)
    assert again.__dict__ == error.__dict__


@pytest.mark.parametrize("error", [row[0] for row in VERDICTS], ids=name_of)
def test_an_error_makes_a_new_response_each_time(error: SessionHTTPError) -> None:
    error.get_response().headers["Set-Cookie"] = "somebody's"
    assert "Set-Cookie" not in error.get_response().headers


def test_one_error_raised_in_two_requests_clears_both_clients(app: Flask) -> None:
    error = UnauthorisedError("gone")

    @app.get("/gone")
    def gone() -> str:
        raise error

    answers = [app.test_client().get("/gone") for _ in range(2)]
    assert [len(answer.headers.getlist("Set-Cookie")) for answer in answers] == [2, 2]
    assert [answer.headers.getlist("front-token") for answer in answers] == [["remove"], ["remove"]]


def test_requests_that_share_a_failed_refresh_are_all_cleared(make_app: AppFactory) -> None:
    app = make_app(cdi_version="5.6")
    login = app.test_client().post("/login")
    token = login.headers["st-refresh-token"]
    ext: STSession = app.extensions["stsession"]
    ext.revoke_session(login.get_json()["handle"])
    answers: list[Any] = []
    barrier = threading.Barrier(8)

    def refresh() -> None:
        barrier.wait()
        answers.append(
            app.test_client().post("/auth/session/refresh", headers={"Authorization": f"Bearer {token}"})
        )

    threads = [threading.Thread(target=refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [(a.status_code, a.get_json(), a.headers.getlist("front-token")) for a in answers]
    assert told == [(401, {"message": "unauthorised"}, ["remove"])] * 8
    assert [len(answer.headers.getlist("Set-Cookie")) for answer in answers] == [2] * 8


def test_a_status_that_was_asked_for_is_kept(app: Flask) -> None:
    @app.get("/mine")
    def mine() -> str:
        raise UnauthorisedError(status=440)

    response = app.test_client().get("/mine")
    assert (response.status_code, response.get_json()) == (440, {"message": "unauthorised"})


def test_a_verdict_of_the_apps_own_without_a_status_is_a_500(app: Flask) -> None:
    class BlockedError(SessionHTTPError):
        wire_message = "blocked"

    @app.get("/mine")
    def mine() -> str:
        raise BlockedError

    response = app.test_client().get("/mine")
    assert (response.status_code, response.get_json()) == (500, {"message": "blocked"})
