"""Under real servers: several processes, threads and greenlets on one database file."""

from __future__ import annotations

import importlib.util
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from support.gunicorn_server import serving

pytestmark = [pytest.mark.slow, pytest.mark.embedded_core]  # workers that share a file


def _sign_in(address: str) -> dict[str, str]:
    response = requests.post(f"{address}/login", headers={"st-auth-mode": "header"}, timeout=20)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.headers['st-access-token']}"}


def _ask(address: str, headers: dict[str, str]) -> tuple[int, str]:
    response = requests.get(f"{address}/user", headers=headers, timeout=30)
    return response.status_code, response.json().get("pid", "")


def test_four_workers_that_start_together_without_a_database_create_one_set_of_keys(tmp_path: Path) -> None:
    database = tmp_path / "core.db"

    with serving(database, "--workers", "4", keys_at_once=True) as address:
        headers = _sign_in(address)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: _ask(address, headers), range(64)))
            sets = pool.map(
                lambda _: requests.get(f"{address}/auth/jwt/jwks.json", timeout=20).text, range(32)
            )
            key_sets = set(sets)

    assert {status for status, _ in answers} == {200}
    assert len({pid for _, pid in answers}) > 1, "only one worker has answered"
    assert len(key_sets) == 1
    assert len(json.loads(key_sets.pop())["keys"]) == 2, "one key that is renewed, and one that is not"


def test_an_app_loaded_before_the_workers_are_forked_serves_all_of_them(tmp_path: Path) -> None:
    options = ("--preload", "--workers", "3", "--threads", "2")

    with serving(tmp_path / "core.db", *options, keys_at_once=True) as address:
        headers = _sign_in(address)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: _ask(address, headers), range(60)))

    assert {status for status, _ in answers} == {200}
    assert len({pid for _, pid in answers}) > 1


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--worker-class", "sync", "--workers", "2"), id="sync"),
        pytest.param(("--worker-class", "gthread", "--threads", "8"), id="gthread"),
        pytest.param(("--worker-class", "gevent"), id="gevent"),
        pytest.param(("eventlet",), id="eventlet"),
    ],
)
def test_fifty_concurrent_requests_that_call_the_core_all_succeed(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    kind = options[-1]
    if kind in ("gevent", "eventlet") and importlib.util.find_spec(kind) is None:
        if os.environ.get("STSESSION_REQUIRE_EVERYTHING"):
            pytest.fail(f"{kind} is not installed, and everything is required")
        pytest.skip(f"{kind} is not installed")

    with serving(tmp_path / "core.db", *options) as address:
        headers = _sign_in(address)
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: _ask(address, headers), range(50)))

    assert [status for status, _ in answers] == [200] * 50
