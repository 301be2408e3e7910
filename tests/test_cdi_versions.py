"""The versions of the core's interface: how often the core is asked, and that clients see no difference."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import STSession, verify_session
from flask_stsession.claims import PrimitiveClaim
from flask_stsession.embedded.crypto import SigningKey

VERIFY = "POST /recipe/session/verify"
REFRESH = "POST /recipe/session/refresh"
REMOVE = "POST /recipe/session/remove"
REGENERATE = "POST /recipe/session/regenerate"
NOTHING: Counter[str] = Counter()
#: Far beyond the grace period in which a previous refresh token may be used again.
LATER = 3600.0

plan: PrimitiveClaim[str] = PrimitiveClaim("plan", lambda *_: None)


class Client:
    """A client with a session by header, which keeps the tokens that it is given."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.keep(client.post("/login", headers={"st-auth-mode": "header"}, json={"userId": "alice"}))

    def keep(self, answer: TestResponse) -> TestResponse:
        if answer.headers.get("st-access-token"):
            self.access = answer.headers["st-access-token"]
        if answer.headers.get("st-refresh-token"):
            self.refresh_token = answer.headers["st-refresh-token"]
        return answer

    def get(self, path: str = "/user") -> TestResponse:
        return self.keep(self.client.get(path, headers={"Authorization": f"Bearer {self.access}"}))

    def refresh(self, token: str | None = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {token or self.refresh_token}"}
        return self.keep(self.client.post("/auth/session/refresh", headers=headers))


def make_client(make_app: AppFactory, core: ServedCore, version: str | None, **settings: Any) -> Client:
    app = make_app(connection_uri=core.url, cdi_version=version, **settings)

    @app.get("/checked")
    @verify_session(check_database=True)
    def checked() -> dict[str, Any]:
        return {"payload": g.session.get_access_token_payload()}

    @app.get("/pro")
    @verify_session(
        check_database=True, override_global_claim_validators=lambda *_: [plan.validators.has_value("pro")]
    )
    def pro() -> dict[str, Any]:
        return {"status": "OK"}

    client = Client(app.test_client(use_cookies=False))
    client.get()  # fetches the keys
    core.counted()
    return client


def extension(client: Client) -> STSession:
    app: Flask = client.client.application
    ext: Any = app.extensions["stsession"]
    assert isinstance(ext, STSession)
    return ext


def says(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.get_json()


def is_cleared(answer: TestResponse) -> bool:
    """Was everything taken from the client?"""
    emptied = answer.headers.get("st-access-token") == "" and answer.headers.get("st-refresh-token") == ""
    expired = sorted(line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie"))
    return (
        emptied
        and answer.headers.get("front-token") == "remove"
        and expired == ["sAccessToken", "sRefreshToken"]
    )


def is_untouched(answer: TestResponse) -> bool:
    """Was nothing set or cleared?"""
    ours = ("st-access-token", "st-refresh-token", "front-token", "anti-csrf", "Set-Cookie")
    return not any(name in answer.headers for name in ours)


@pytest.mark.parametrize("version", ["4.0", "5.0", "5.3", "5.4", "5.5", "5.6", None])
def test_verifying_a_session_never_asks_the_core(
    make_app: AppFactory, served_core: ServedCore, version: str | None
) -> None:
    client = make_client(make_app, served_core, version)
    for _ in range(3):
        assert client.get().status_code == 200
    assert served_core.counted() == NOTHING


def test_without_a_pinned_version_a_lost_response_to_a_refresh_is_never_theft(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    """5.6 would call it theft after the grace period, so it is not what is negotiated."""
    client = make_client(make_app, served_core, None)
    assert extension(client).manager.client.cdi == (5, 5)
    lost = client.refresh_token
    client.refresh()
    elsewhere = make_client(make_app, served_core, None, name="elsewhere")
    served_core.end_grace_period()
    assert says(elsewhere.refresh(lost)) == (200, {})
    assert elsewhere.get().status_code == 200


def test_with_cdi_5_6_a_response_that_was_lost_for_longer_than_the_grace_period_is_theft(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.6")
    lost = client.refresh_token
    client.refresh()
    elsewhere = make_client(make_app, served_core, "5.6", name="elsewhere")
    served_core.end_grace_period()
    assert says(elsewhere.refresh(lost)) == (401, {"message": "token theft detected"})


def test_with_cdi_5_6_the_core_is_not_asked_right_after_a_refresh_either(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.6")
    assert says(client.refresh()) == (200, {})
    assert served_core.counted() == Counter({REFRESH: 1})
    for _ in range(3):
        assert client.get().status_code == 200
    assert served_core.counted() == NOTHING


@pytest.mark.parametrize("version", ["4.0", "5.4", "5.5"])
def test_up_to_cdi_5_5_the_core_is_asked_exactly_once_after_a_refresh(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    client = make_client(make_app, served_core, version)
    assert says(client.refresh()) == (200, {})
    assert served_core.counted() == Counter({REFRESH: 1})
    for _ in range(3):
        assert client.get().status_code == 200
    assert served_core.counted() == Counter({VERIFY: 1})


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_a_refresh_token_used_twice_before_its_successor_is_no_theft(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    client = make_client(make_app, served_core, version)
    first = client.refresh_token
    assert client.refresh(first).status_code == 200
    assert client.refresh(first).status_code == 200
    assert client.get().status_code == 200


@pytest.mark.parametrize(
    ("version", "calls"), [("5.4", {REFRESH: 1, REMOVE: 1}), ("5.6", {REFRESH: 1})], ids=["5.4", "5.6"]
)
def test_theft_is_reported_in_the_same_words_whether_the_core_or_the_client_revokes(
    make_app: AppFactory, served_core: ServedCore, version: str, calls: dict[str, int]
) -> None:
    client = make_client(make_app, served_core, version)
    stolen = client.refresh_token
    client.refresh()
    client.get()
    served_core.end_grace_period()
    served_core.counted()
    answer = client.refresh(stolen)
    assert says(answer) == (401, {"message": "token theft detected"})
    assert is_cleared(answer)
    assert served_core.counted() == Counter(calls)
    answer = client.refresh()
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_cleared(answer)


def test_a_reuse_that_the_core_forgives_is_unauthorised_and_cleared(
    make_app: AppFactory, core_file: Path
) -> None:
    served = ServedCore(core_file, {"recent_token_reuse_behaviour": "RECENT_PREV"})
    try:
        client = make_client(make_app, served, "5.6")
        reused = client.refresh_token
        client.refresh()
        elsewhere = make_client(make_app, served, "5.6", name="elsewhere")
        served.core.offset = LATER
        answer = elsewhere.refresh(reused)
        assert says(answer) == (401, {"message": "unauthorised"})
        assert is_cleared(answer)
    finally:
        served.close()


# The database


@pytest.mark.parametrize("version", ["5.4", "5.6"])
def test_checking_the_database_calls_the_core_once_each_time(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    client = make_client(make_app, served_core, version)
    for _ in range(3):
        assert client.get("/checked").status_code == 200
    assert served_core.counted() == Counter({VERIFY: 3})


def test_with_cdi_5_6_a_revoked_session_found_in_the_database_is_left_to_the_refresh(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.6")
    revoke_elsewhere(make_app, served_core, client)
    answer = client.get("/checked")
    assert says(answer) == (401, {"message": "try refresh token"})
    assert is_untouched(answer)
    answer = client.refresh()
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_cleared(answer)


def test_with_cdi_5_4_a_revoked_session_found_in_the_database_is_cleared(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.4")
    revoke_elsewhere(make_app, served_core, client)
    answer = client.get("/checked")
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_cleared(answer)


def test_with_cdi_5_6_a_token_that_was_rotated_away_is_sent_to_refresh(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.6")
    oldest = client.access
    client.refresh()
    client.refresh()
    answer = client.client.get("/checked", headers={"Authorization": f"Bearer {oldest}"})
    assert says(answer) == (401, {"message": "try refresh token"})
    assert is_untouched(answer)
    assert client.get("/checked").status_code == 200


def test_with_cdi_5_6_a_payload_changed_elsewhere_reaches_the_client_and_the_claims(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.6")
    assert client.get("/pro").status_code == 403
    elsewhere = make_app(name="elsewhere", connection_uri=served_core.url)
    with elsewhere.app_context():
        handle = handle_of(client)
        assert elsewhere.extensions["stsession"].set_claim_value(plan, "pro", session_handle=handle)
    served_core.counted()
    old = client.access
    answer = client.get("/pro")
    assert says(answer) == (200, {"status": "OK"})
    assert served_core.counted() == Counter({VERIFY: 1, REGENERATE: 1})
    assert answer.headers["st-access-token"] not in ("", old)
    assert "st-refresh-token" not in answer.headers
    assert client.get().get_json()["payload"]["plan"]["v"] == "pro"
    answer = client.get("/pro")
    assert served_core.counted() == Counter({VERIFY: 1})
    assert is_untouched(answer)


def test_the_database_can_be_checked_at_every_verification(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.6", check_database=True)
    client.get()
    client.get()
    assert served_core.counted() == Counter({VERIFY: 2})


@pytest.mark.parametrize("version", ["5.4", "5.6"])
@pytest.mark.parametrize(("ttl", "calls"), [(3600, 0), (0.02, 1)])
def test_a_database_check_is_reused_for_as_long_as_the_setting_says(
    make_app: AppFactory, served_core: ServedCore, version: str, ttl: float, calls: int
) -> None:
    client = make_client(make_app, served_core, version, check_database=True, check_database_ttl_seconds=ttl)
    time.sleep(0.03)
    assert client.get().status_code == 200
    assert served_core.counted()[VERIFY] == calls


def test_a_session_revoked_through_this_process_never_passes_by_a_reused_check(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    client = make_client(make_app, served_core, "5.4", check_database=True, check_database_ttl_seconds=3600)
    assert client.get().status_code == 200
    ext = extension(client)
    with client.client.application.app_context():
        assert ext.revoke_session(handle_of(client)) is True
    assert says(client.get()) == (401, {"message": "unauthorised"})


@pytest.mark.parametrize("version", ["4.0", "5.4", "5.5", "5.6"])
def test_a_session_revoked_through_this_process_is_refused_at_once(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    client = make_client(make_app, served_core, version)
    with client.client.application.app_context():
        assert extension(client).revoke_session(handle_of(client)) is True
    served_core.counted()
    answer = client.get()
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_cleared(answer)
    assert served_core.counted() == NOTHING


@pytest.mark.parametrize("version", ["4.0", "5.4", "5.5"])
def test_up_to_cdi_5_5_the_access_token_of_a_session_revoked_elsewhere_verifies_until_it_expires(
    make_app: AppFactory, served_core: ServedCore, version: str
) -> None:
    client = make_client(make_app, served_core, version)
    elsewhere = make_client(make_app, served_core, version, name="elsewhere")
    with elsewhere.client.application.app_context():
        extension(elsewhere).revoke_session(handle_of(client))
    assert client.get().status_code == 200
    assert client.get("/checked").status_code == 401


# Tokens of older cores


@pytest.mark.parametrize("version", ["3", "4"])
def test_tokens_of_older_cores_verify(app: Flask, core_file: Path, version: str) -> None:
    payload = {
        "sub": "alice",
        "iat": int(time.time()),
        "exp": int(time.time()) + 100,
        "sessionHandle": "handle-1",
        "refreshTokenHash1": "ab" * 32,
        "parentRefreshTokenHash1": None,
        "antiCsrfToken": None,
        **({"tId": "public"} if version == "4" else {}),
    }
    token = signing_key(core_file).sign(payload, version=version)
    answer = app.test_client().get("/user", headers={"Authorization": f"Bearer {token}"})
    assert says(answer) == (200, {"userId": "alice", "payload": payload})


@pytest.mark.parametrize("version", [None, "2", "x"])
def test_tokens_of_other_kinds_count_as_absent(app: Flask, core_file: Path, version: str | None) -> None:
    token = signing_key(core_file).sign({"sub": "alice", "exp": int(time.time()) + 100}, version=version)
    answer = app.test_client().get("/user", headers={"Authorization": f"Bearer {token}"})
    assert says(answer) == (401, {"message": "unauthorised"})
    assert is_untouched(answer)


def signing_key(core_file: Path) -> SigningKey:
    """The key that the core signs with."""
    with closing(sqlite3.connect(core_file)) as connection:
        row = connection.execute("SELECT kid, private_pem FROM signing_keys WHERE dynamic = 1").fetchone()
    return SigningKey(*row)


def handle_of(client: Client) -> str:
    with client.client.application.app_context():
        return extension(client).verify_access_token(client.access).get_handle()


def revoke_elsewhere(make_app: AppFactory, core: ServedCore, client: Client) -> None:
    """As another process would."""
    elsewhere = make_app(name="elsewhere", connection_uri=core.url)
    with elsewhere.app_context():
        assert elsewhere.extensions["stsession"].revoke_session(handle_of(client)) is True
    core.counted()
