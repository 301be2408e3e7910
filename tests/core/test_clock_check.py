"""The clock of this host, compared with the core's by the header ``Date``."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate

import pytest
from support.core_calls import SESSION
from support.scripted_core import ScriptedCore, reply

from .conftest import MakeClient


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="flask_stsession.core")


def tokens(life_seconds: int) -> dict[str, object]:
    """Return the response of a core to a refresh."""
    token = {"token": "t", "createdTime": 5_000_000, "expiry": 5_000_000 + life_seconds * 1000}
    return {"status": "OK", "session": SESSION, "accessToken": token, "refreshToken": token}


def dated(seconds_ago: float) -> dict[str, str]:
    """Return a ``Date`` header that puts this host's clock so many seconds ahead."""
    return {"Date": formatdate(time.time() - seconds_ago, usegmt=True)}


def test_a_clock_ahead_by_more_than_a_tokens_life_is_logged_once(
    core: ScriptedCore, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    core.answers[""] = reply(tokens(60), headers=dated(500))
    client = make_client()
    for _ in range(3):
        client.refresh_session("refresh")
    [record] = caplog.records
    assert record.levelname == "ERROR"
    text = record.getMessage()
    assert text.startswith("The clock of this host is 50")
    assert text.endswith(
        " s ahead of the core's, and access tokens live for 60 s: all have expired on arrival. Set the clock "
        "of the host whose time is wrong."
    )


def test_a_process_that_only_verifies_notices_it_as_it_fetches_keys(
    core: ScriptedCore, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    core.answers[""] = reply({"keys": []}, headers=dated(3700))
    make_client().get_jwks()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("seconds_ago", [0, 30, -9000])
def test_a_clock_that_does_no_harm_is_not_logged(
    seconds_ago: float, core: ScriptedCore, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    core.answers[""] = reply(tokens(60), headers=dated(seconds_ago))
    make_client().create_session("u")
    assert caplog.records == []


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": ""}])
def test_without_a_date_nothing_is_compared(
    headers: dict[str, str], core: ScriptedCore, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    core.answers[""] = reply(tokens(60), headers=headers)
    make_client().create_session("u")
    assert caplog.records == []
