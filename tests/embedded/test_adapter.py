"""The transport of requests that calls the embedded core in this process."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from support.running_cores import IN_PROCESS_URL

from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore, EmbeddedCoreError
from flask_stsession.embedded.errors import DatabaseBusyError


def test_the_core_is_created_once_at_the_first_request(tmp_path: Path) -> None:
    made: list[EmbeddedCore] = []

    def make() -> EmbeddedCore:
        made.append(EmbeddedCore(tmp_path / "core.db"))
        return made[-1]

    with requests.Session() as session:
        session.mount(IN_PROCESS_URL, EmbeddedAdapter(make))
        assert not made
        for _ in range(3):
            assert session.get(IN_PROCESS_URL + "/hello", timeout=1).text == "Hello"
    assert len(made) == 1
    made[0].close()


def test_a_core_that_cannot_be_created_is_retried_at_the_next_request(tmp_path: Path) -> None:
    place = tmp_path / "later"
    place.touch()
    made: list[EmbeddedCore] = []

    def make() -> EmbeddedCore:
        made.append(EmbeddedCore(place / "core.db"))
        return made[-1]

    with requests.Session() as session:
        session.mount(IN_PROCESS_URL, EmbeddedAdapter(make))
        with pytest.raises(EmbeddedCoreError):
            session.get(IN_PROCESS_URL + "/hello", timeout=1)
        place.unlink()
        assert session.get(IN_PROCESS_URL + "/hello", timeout=1).ok
    made[0].close()


def test_a_locked_database_is_503_for_every_waiting_thread_and_retried_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempts: list[int] = []
    made: list[EmbeddedCore] = []
    started = threading.Barrier(3)

    def make() -> EmbeddedCore:
        attempts.append(threading.get_ident())
        if len(attempts) == 1:
            started.wait(10)
            time.sleep(0.3)  # until the others wait for this one
            raise DatabaseBusyError("core.db stayed locked")
        made.append(EmbeddedCore(":memory:"))
        return made[-1]

    adapter = EmbeddedAdapter(make)

    def get(wait: bool) -> requests.Response:
        with requests.Session() as session:
            session.mount(IN_PROCESS_URL, adapter)
            if wait:
                while not attempts:
                    time.sleep(0.001)
                started.wait(10)
            return session.get(IN_PROCESS_URL + "/hello", timeout=1)

    with ThreadPoolExecutor(3) as pool:
        responses = list(pool.map(get, (False, True, True)))
    assert [(response.status_code, response.text) for response in responses] == [
        (503, "The database is busy")
    ] * 3
    assert (len(attempts), caplog.messages) == (1, ["core.db stayed locked"] * 3)
    assert get(False).text == "Hello"
    made[0].close()  # Python 3.13 warns of connections that only the garbage collector closes


def test_a_response_equals_one_over_the_network() -> None:
    with EmbeddedCore(":memory:") as core, requests.Session() as session:
        session.mount(IN_PROCESS_URL, EmbeddedAdapter(core))
        response = session.get(IN_PROCESS_URL + "/recipe/user/metadata", params={"userId": "ü &="}, timeout=1)
        assert response.json() == {"metadata": {}, "status": "OK"}
        assert (response.status_code, response.reason, response.ok) == (200, "OK", True)
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.url == IN_PROCESS_URL + "/recipe/user/metadata?userId=%C3%BC+%26%3D"
        assert response.encoding == "utf-8"
        assert response.request.method == "GET"
        missing = session.get(IN_PROCESS_URL + "/nothing", timeout=1)
        with pytest.raises(requests.HTTPError):
            missing.raise_for_status()


def test_a_body_may_be_text_or_bytes_or_absent(tmp_path: Path) -> None:
    with EmbeddedCore(":memory:") as core, requests.Session() as session:
        session.mount(IN_PROCESS_URL, EmbeddedAdapter(core))
        url = IN_PROCESS_URL + "/recipe/role"
        for body in ('{"role": "ö"}', '{"role": "ö"}'.encode()):
            assert session.put(url, data=body, timeout=1).json()["status"] == "OK"
        assert session.put(url, timeout=1).text == "Invalid Json Input"
        stream = iter([b"{}"])
        with pytest.raises(TypeError) as raised:
            session.put(url, data=stream, timeout=1)
    assert str(raised.value) == (
        "the embedded core needs the whole body at once, not a list_iterator: use json= or data="
    )


def test_closing_the_session_does_not_close_the_core() -> None:
    with EmbeddedCore(":memory:") as core:
        adapter = EmbeddedAdapter(core)
        for _ in range(2):
            with requests.Session() as session:
                session.mount(IN_PROCESS_URL, adapter)
                assert session.get(IN_PROCESS_URL + "/hello", timeout=1).ok
