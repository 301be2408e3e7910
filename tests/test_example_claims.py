"""The example about claims: roles, a second factor and an own claim, and that it runs as it says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from support.example_modules import import_example
from werkzeug.test import TestResponse

EXAMPLE = Path(__file__).parent.parent / "examples" / "claims.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, imported afresh."""
    return import_example("claims", monkeypatch)


@pytest.fixture
def app(example: ModuleType, core_config: dict[str, Any]) -> Iterator[Flask]:
    """The example's app, with a database of this test's own."""
    app: Flask = example.create_app(core_config)
    yield app
    app.extensions["stsession"].close()


def signed_in(app: Flask, user: str, *, code: str | None = "123456") -> FlaskClient:
    client = app.test_client()
    login = client.post("/login", data={"user": user}, headers={"st-auth-mode": "cookie"})
    assert login.status_code == 200
    if code is not None:
        assert client.post("/second-factor", data={"code": code}).status_code == 200
    return client


def refusal(response: TestResponse) -> list[dict[str, Any]]:
    assert response.status_code == 403
    body = response.get_json()
    assert body["message"] == "invalid claim"
    failed: list[dict[str, Any]] = body["claimValidationErrors"]
    return failed


def test_the_first_page_lists_the_calls_to_try(app: Flask) -> None:
    page = app.test_client().get("/", base_url="http://127.0.0.1:5001")
    assert page.status_code == 200
    assert page.mimetype == "text/plain"
    assert "call 127.0.0.1:5001/second-factor -d code=123456" in page.text


@pytest.mark.parametrize("user", ["", " ", "a" * 5000, "a\0"])
def test_nobody_signs_in_without_a_name(app: Flask, user: str) -> None:
    answer = app.test_client().post("/login", data={"user": user})
    assert (answer.status_code, answer.get_json()) == (400, {"status": "INVALID_USER"})


# Roles and permissions


def test_roles_permit_what_the_core_says(app: Flask) -> None:
    admin, editor, reader = (signed_in(app, user) for user in ("alice", "bob", "carol"))
    assert editor.post("/articles", data={"title": "Claims"}).get_json() == {"articles": ["Claims"]}
    (failed,) = refusal(reader.post("/articles", data={"title": "Spam"}))
    assert failed == {
        "id": "st-perm",
        "reason": {"message": "wrong value", "expectedToInclude": "article:write", "actualValue": []},
    }
    (failed,) = refusal(editor.delete("/articles/Claims"))
    assert failed["reason"]["actualValue"] == ["article:write"]
    assert admin.delete("/articles/Claims").get_json() == {"articles": []}


def test_a_removed_role_is_refused_at_once_by_guards_that_ask_the_core(app: Flask) -> None:
    admin = signed_in(app, "alice")
    (failed,) = refusal(signed_in(app, "bob").delete("/users/alice/roles/admin"))
    assert failed["reason"] == {
        "message": "wrong value",
        "expectedToInclude": "admin",
        "actualValue": ["editor"],
    }
    assert admin.delete("/users/alice/roles/admin").get_json() == {"taken": True}
    (failed,) = refusal(admin.delete("/users/alice/roles/admin"))
    assert failed["reason"]["actualValue"] == []
    assert refusal(admin.delete("/articles/Claims"))[0]["id"] == "st-perm"
    assert admin.post("/articles", data={"title": "Claims"}).status_code == 200  # for five minutes yet


def test_roles_may_be_set_up_again(example: ModuleType, app: Flask, core_config: dict[str, Any]) -> None:
    again: Flask = example.create_app(core_config)
    me = signed_in(again, "alice").get("/me").get_json()
    again.extensions["stsession"].close()
    assert (me["roles"], sorted(me["permissions"])) == (["admin"], ["article:delete", "article:write"])


# The second factor

NO_SECOND_FACTOR = {
    "id": "2fa-completed",
    "reason": {"message": "wrong value", "expectedValue": True, "actualValue": False},
}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/me"), ("GET", "/reports"), ("DELETE", "/articles/Claims"), ("POST", "/plan")],
)
def test_nothing_works_without_the_second_factor(app: Flask, method: str, path: str) -> None:
    client = signed_in(app, "alice", code=None)
    assert refusal(client.open(path, method=method)) == [NO_SECOND_FACTOR]


def test_the_second_factor_opens_the_session_and_only_the_right_code_does(app: Flask) -> None:
    client = signed_in(app, "alice", code=None)
    for code in ("654321", "", "é"):
        wrong = client.post("/second-factor", data={"code": code})
        assert (wrong.status_code, wrong.get_json()) == (400, {"status": "WRONG_CODE"})
    assert refusal(client.get("/me")) == [NO_SECOND_FACTOR]
    assert client.post("/second-factor", data={"code": "123456"}).get_json() == {"status": "OK"}
    assert client.get("/me").get_json()["userId"] == "alice"


def test_the_second_factor_needs_a_session(app: Flask) -> None:
    answer = app.test_client().post("/second-factor", data={"code": "123456"})
    assert (answer.status_code, answer.get_json()) == (401, {"message": "unauthorised"})


def test_a_user_without_the_second_factor_can_sign_out(app: Flask) -> None:
    client = signed_in(app, "alice", code=None)
    assert client.post("/auth/signout").get_json() == {"status": "OK"}
    assert client.post("/second-factor", data={"code": "123456"}).status_code == 401


def test_the_second_factor_outlives_a_refresh(app: Flask) -> None:
    client = signed_in(app, "alice")
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/me").status_code == 200


# The claim of its own


def test_reports_require_a_paid_plan(app: Flask) -> None:
    assert signed_in(app, "alice").get("/reports").status_code == 200
    client = signed_in(app, "bob")
    assert refusal(client.get("/reports")) == [
        {
            "id": "plan",
            "reason": {"message": "plan is too small", "expectedAtLeast": "pro", "actualValue": "free"},
        }
    ]
    wrong = client.post("/plan", data={"plan": "golden"})
    assert (wrong.status_code, wrong.get_json()) == (400, {"status": "UNKNOWN_PLAN"})
    assert client.post("/plan", data={"plan": "pro"}).get_json() == {"plan": "pro"}
    assert client.get("/reports").get_json() == {"reports": ["Who reads what"]}
    assert client.get("/me").get_json()["plan"] == "pro"


def test_a_plan_that_ended_is_noticed_after_a_minute(
    example: ModuleType, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(app, "alice")
    example.PLAN_OF["alice"] = "free"
    assert client.get("/reports").status_code == 200
    handle = next(each.session_handle for each in app.extensions["stsession"].list_sessions("alice"))
    claim = example.PlanClaim
    old = claim.add_to_payload_({}, "team")
    old["plan"]["t"] -= 61_000
    assert app.extensions["stsession"].merge_into_access_token_payload(handle, old)
    client.post("/auth/session/refresh")
    assert refusal(client.get("/reports"))[0]["reason"]["actualValue"] == "free"


@pytest.mark.slow
def test_the_example_runs_as_its_documentation_says(example: ModuleType, tmp_path: Path) -> None:
    environment = {**os.environ, "FLASK_STSESSION_CONNECTION_URI": f"embedded:{tmp_path / 'core.db'}"}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Listening on http://127.0.0.1:")
        url = line.split()[2]
        assert example.__doc__ is not None
        statuses = statuses_of_commands(example.__doc__, url)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert statuses == [200, 403, 200, 200, 200, 403, 403, 200, 200]


def statuses_of_commands(documentation: str, url: str) -> list[int]:
    """Do what the example's documentation has one do with curl."""
    statuses = []
    with requests.Session() as session:
        session.headers["st-auth-mode"] = "cookie"
        for line in documentation.splitlines():
            words = shlex.split(line.strip(), comments=True) if line.startswith("    call ") else []
            if not words:
                continue
            method, data = "GET", None
            if "-X" in words:
                at = words.index("-X")
                _, method = words.pop(at), words.pop(at)
            if "-d" in words:
                method, data = "POST", words[words.index("-d") + 1]
            path = words[1].removeprefix("localhost:5000")
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = session.request(method, url + path, data=data, headers=headers, timeout=20)
            statuses.append(answer.status_code)
    return statuses
