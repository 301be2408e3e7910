"""The core is gone or hangs, or strangers make us ask it: users keep their sessions, and outages are ours."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, current_app, g
from flask.testing import FlaskClient
from support.app_factory import AppFactory
from support.served_core import ServedCore
from werkzeug.test import TestResponse

from flask_stsession import signals, verify_session

BY_COOKIE = {"st-auth-mode": "cookie"}
BY_HEADER = {"st-auth-mode": "header"}
JWKS = "GET /.well-known/jwks.json"
UNAVAILABLE = (503, {"message": "session service unavailable"})
OURS = ("st-access-token", "st-refresh-token", "front-token", "anti-csrf", "Set-Cookie")


def says(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.get_json()


def is_untouched(answer: TestResponse) -> bool:
    return not any(name in answer.headers for name in OURS)


def is_outage(answer: TestResponse) -> bool:
    """Is it told as ours, with a time to come back, and nothing taken away?"""
    return says(answer) == UNAVAILABLE and answer.headers["Retry-After"] == "5" and is_untouched(answer)


@pytest.fixture
def warm(make_app: AppFactory, served_core: ServedCore) -> FlaskClient:
    """A client with a good session, of an app that knows the keys."""
    app = make_app(connection_uri=served_core.url)

    @app.get("/checked")
    @verify_session(check_database=True)
    def checked() -> dict[str, str]:
        return {}

    @app.post("/merge")
    @verify_session()
    def merge() -> dict[str, str]:
        g.session.merge_into_access_token_payload({"a": 1})
        return {}

    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/user").status_code == 200
    served_core.counted()
    return client


def test_known_keys_outlive_the_core(warm: FlaskClient, served_core: ServedCore) -> None:
    served_core.kill()
    for _ in range(3):
        assert warm.get("/user").status_code == 200


def test_keys_that_are_due_for_a_refetch_outlive_the_core_too(
    make_app: AppFactory, served_core: ServedCore, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(connection_uri=served_core.url, jwks_refresh_seconds=0.01)
    told: list[float] = []
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    assert client.get("/user").status_code == 200
    served_core.kill()
    time.sleep(0.02)

    def hear(sender: Flask, *, error: Exception, age_seconds: float) -> None:
        assert current_app._get_current_object() is sender  # type: ignore[attr-defined]
        told.append(age_seconds)

    with signals.keys_stale.connected_to(hear, sender=app):
        for _ in range(5):
            assert client.get("/user").status_code == 200
            time.sleep(0.05)  # the keys are renewed in the background
    assert len(told) == 1
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) <= 1


@pytest.mark.parametrize("by", ["cookie", "header"])
def test_a_new_process_without_a_core_responds_503_and_clears_nothing(
    warm: FlaskClient, make_app: AppFactory, served_core: ServedCore, by: str
) -> None:
    token = warm.get_cookie("sAccessToken")
    assert token is not None
    sent = (
        {"Cookie": f"sAccessToken={token.value}"}
        if by == "cookie"
        else {"Authorization": f"Bearer {token.value}"}
    )
    served_core.kill()
    # Without any keys the core is left alone for as long as the last attempt took, up to the cooldown: on a
    # busy machine, for longer than this test takes to bring the core back.
    cold = make_app(name="cold", connection_uri=served_core.url, jwks_cooldown_seconds=0)
    client = cold.test_client(use_cookies=False)
    assert is_outage(client.get("/user", headers=sent))
    assert is_outage(client.post("/auth/signout", headers=sent))
    assert is_outage(client.post("/login", headers=sent))
    assert is_outage(client.get("/auth/jwt/jwks.json"))
    served_core.start()
    assert client.get("/user", headers=sent).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/session/refresh"),
        ("POST", "/auth/signout"),
        ("GET", "/checked"),
        ("POST", "/merge"),
        ("POST", "/login"),
    ],
)
def test_operations_that_need_the_core_fail_during_an_outage_and_work_afterwards(
    warm: FlaskClient, served_core: ServedCore, method: str, path: str
) -> None:
    served_core.kill()
    for _ in range(2):
        assert is_outage(warm.open(path, method=method, headers=BY_COOKIE))
    assert warm.get("/user").status_code == 200
    served_core.start()
    assert warm.open(path, method=method, headers=BY_COOKIE).status_code == 200


def test_an_outage_is_reported_by_a_signal_and_a_log_record_without_tokens(
    warm: FlaskClient, served_core: ServedCore, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def hear(sender: Flask, *, error: Exception, reason: str) -> None:
        told.append(str(reason))

    token = warm.get_cookie("sRefreshToken", path="/auth/session/refresh")
    assert token is not None
    served_core.kill()
    with signals.core_unavailable.connected_to(hear, sender=warm.application):
        warm.post("/auth/session/refresh")
    assert told == ["core_unreachable"]
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    prefix = "503 for POST '/auth/session/refresh': The core did not answer POST "
    assert record.getMessage().startswith(prefix)
    assert token.value not in caplog.text


def test_an_outage_is_not_taken_for_an_absent_optional_session(
    warm: FlaskClient, make_app: AppFactory, served_core: ServedCore
) -> None:
    """To treat a signed-in user as nobody would show the wrong page, or lose a cart."""
    app = make_app(name="cold", connection_uri=served_core.url)

    @app.get("/maybe")
    @verify_session(session_required=False, ignore_invalid=True)
    def maybe() -> dict[str, bool]:
        return {"session": g.session is not None}

    token = warm.get_cookie("sAccessToken")
    assert token is not None
    served_core.kill()
    client = app.test_client(use_cookies=False)
    assert is_outage(client.get("/maybe", headers={"Cookie": f"sAccessToken={token.value}"}))
    assert says(client.get("/maybe")) == (200, {"session": False})


# A core that hangs: it accepts requests and says nothing


class Hang:
    """Makes every request to a core hang until released."""

    def __init__(self, core: ServedCore) -> None:
        self.core = core
        self.over = threading.Event()
        self.core.core.before = self._hold

    def _hold(self, asked: str) -> None:
        assert self.over.wait(60)


@pytest.fixture
def hang(served_core: ServedCore) -> Iterator[Callable[[], Hang]]:
    """Lets the core hang from now on, to the end of the test at most."""
    made: list[Hang] = []

    def start() -> Hang:
        made.append(Hang(served_core))
        return made[-1]

    yield start
    for each in made:
        each.over.set()


def milliseconds(client: FlaskClient, path: str = "/user", status: int = 200) -> float:
    """How long a request takes."""
    started = time.perf_counter()
    assert client.get(path).status_code == status
    return (time.perf_counter() - started) * 1000


def test_renewing_keys_while_the_core_hangs_delays_no_request(
    make_app: AppFactory, served_core: ServedCore, hang: Callable[[], Hang]
) -> None:
    app = make_app(
        connection_uri=served_core.url,
        core_timeout_seconds=(5, 5),
        jwks_refresh_seconds=0.05,
        jwks_cooldown_seconds=0.05,
    )
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    client.get("/user")
    hanging = hang()
    time.sleep(0.06)
    assert max(milliseconds(client) for _ in range(20)) < 1000
    hanging.over.set()


def test_after_a_timeout_operations_that_need_the_core_fail_at_once(
    make_app: AppFactory, served_core: ServedCore, hang: Callable[[], Hang]
) -> None:
    app = make_app(connection_uri=served_core.url, check_database=True, core_timeout_seconds=(0.5, 0.5))
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    hanging = hang()
    assert 400 < milliseconds(client, status=503) < 5000
    started = time.monotonic()
    assert max(milliseconds(client, status=503) for _ in range(10)) < 400
    assert is_outage(client.get("/user"))
    assert is_outage(client.post("/auth/session/refresh"))
    hanging.over.set()
    time.sleep(max(0.0, started + 2.1 - time.monotonic()))
    assert client.get("/user").status_code == 200


@pytest.mark.slow
def test_while_the_core_hangs_99_of_100_verifications_take_less_than_50_ms(
    make_app: AppFactory, served_core: ServedCore, hang: Callable[[], Hang]
) -> None:
    app = make_app(
        connection_uri=served_core.url,
        core_timeout_seconds=(1, 2),
        jwks_refresh_seconds=0.5,
        jwks_cooldown_seconds=0.1,
    )
    client = app.test_client()
    client.post("/login", headers=BY_COOKIE)
    token = client.get_cookie("sAccessToken")
    assert token is not None
    headers = {"Cookie": f"sAccessToken={token.value}"}
    client.get("/user")
    hang()
    until = time.monotonic() + 8

    def verify() -> list[float]:
        own, taken = app.test_client(use_cookies=False), []
        while time.monotonic() < until:
            started = time.perf_counter()
            assert own.get("/user", headers=headers).status_code == 200
            taken.append((time.perf_counter() - started) * 1000)
            time.sleep(0.002)
        return taken

    def log_in() -> list[float]:
        own, taken = app.test_client(use_cookies=False), []
        while time.monotonic() < until:
            started = time.perf_counter()
            assert own.post("/login", headers=BY_HEADER).status_code == 503
            taken.append((time.perf_counter() - started) * 1000)
            time.sleep(0.02)
        return taken

    with ThreadPoolExecutor(5) as pool:
        verifying = [pool.submit(verify) for _ in range(3)]
        logging_in = [pool.submit(log_in) for _ in range(2)]
        verified = sorted(each for future in verifying for each in future.result())
        refused = sorted(each for future in logging_in for each in future.result())
    assert len(verified) > 200
    assert verified[len(verified) * 99 // 100] < 50
    # Each probe makes one login wait: few of them, and all others fail at once.
    assert len([each for each in refused if each > 1000]) <= 6
    assert refused[len(refused) // 2] < 50


# Strangers


def made_up(kid: str) -> str:
    """A token that looks like a session's, signed by nobody."""
    header = {"kid": kid, "typ": "JWT", "alg": "RS256", "version": "5"}
    payload = {
        "sub": "alice",
        "rsub": "alice",
        "tId": "public",
        "iat": int(time.time()),
        "exp": int(time.time()) + 100,
        "sessionHandle": "handle",
        "refreshTokenHash1": "ab" * 32,
        "parentRefreshTokenHash1": None,
        "antiCsrfToken": None,
    }
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    return b".".join([*parts, base64.urlsafe_b64encode(b"x" * 256).rstrip(b"=")]).decode()


def test_many_tokens_with_unknown_keys_call_the_core_once(warm: FlaskClient, served_core: ServedCore) -> None:
    client = warm.application.test_client(use_cookies=False)
    for number in range(200):
        answer = client.get("/user", headers={"Authorization": f"Bearer {made_up(f'd-{number}')}"})
        assert says(answer) == (401, {"message": "try refresh token"})
        assert is_untouched(answer)
    assert served_core.counted() == {JWKS: 1}


def test_valid_sessions_do_not_wait_for_a_key_fetch_caused_by_an_invalid_token(
    warm: FlaskClient, served_core: ServedCore
) -> None:
    fetching, done = threading.Event(), threading.Event()

    def hold(asked: str) -> None:
        if asked == JWKS:
            fetching.set()
            assert done.wait(30)

    served_core.core.before = hold
    stranger = warm.application.test_client(use_cookies=False)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(stranger.get, "/user", headers={"Authorization": f"Bearer {made_up('d-1')}"})
        try:
            assert fetching.wait(30)
            assert warm.get("/user").status_code == 200
            assert not held.done()
        finally:
            done.set()
        assert held.result().status_code == 401


def test_unknown_keys_while_the_core_is_down_get_503_and_valid_sessions_pass(
    warm: FlaskClient, served_core: ServedCore
) -> None:
    served_core.kill()
    client = warm.application.test_client(use_cookies=False)
    for number in range(20):
        answer = client.get("/user", headers={"Authorization": f"Bearer {made_up(f'd-{number}')}"})
        assert is_outage(answer)
        assert warm.get("/user").status_code == 200


def test_unknown_keys_while_the_core_hangs_get_503_and_valid_sessions_pass(
    warm: FlaskClient, served_core: ServedCore, hang: Callable[[], Hang]
) -> None:
    """After a rotation they are those of real sessions."""
    hang()

    def ask(number: int) -> TestResponse:
        client = warm.application.test_client(use_cookies=False)
        return client.get("/user", headers={"Authorization": f"Bearer {made_up(f'd-{number}')}"})

    with ThreadPoolExecutor(3) as pool:
        assert all(is_outage(answer) for answer in pool.map(ask, range(3)))
    assert warm.get("/user").status_code == 200


def test_a_key_of_a_token_just_issued_is_fetched_despite_many_unknown_keys(
    make_app: AppFactory, served_core: ServedCore
) -> None:
    """Rotation: the core signs with a key that is not in our set yet."""
    app = make_app(connection_uri=served_core.url, jwks_refresh_seconds=3600, jwks_cooldown_seconds=3600)
    client = app.test_client(use_cookies=False)
    first = client.post("/login", headers=BY_HEADER).headers["st-access-token"]
    assert client.get("/user", headers={"Authorization": f"Bearer {first}"}).status_code == 200
    client.get("/user", headers={"Authorization": f"Bearer {made_up('d-1')}"})
    served_core.core.offset = 169 * 3600.0  # the next dynamic key is made, and signs a minute later
    client.post("/login", headers=BY_HEADER)
    served_core.core.offset += 120.0
    second = client.post("/login", headers=BY_HEADER).headers["st-access-token"]
    assert second.partition(".")[0] != first.partition(".")[0]
    assert client.get("/user", headers={"Authorization": f"Bearer {second}"}).status_code == 200
