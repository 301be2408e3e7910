"""What becomes of a verdict: its status, a log record and a signal."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from blinker import NamedSignal

from flask_stsession import signals
from flask_stsession.config import load
from flask_stsession.errors import (
    CoreUnavailableError,
    InvalidClaimsError,
    SessionHTTPError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from flask_stsession.web.verdict_record import announce_verdict

CONFIG = load({"STSESSION_SESSION_EXPIRED_STATUS_CODE": 440, "STSESSION_INVALID_CLAIM_STATUS_CODE": 418})


def announce(error: SessionHTTPError) -> None:
    announce_verdict(CONFIG, error, sender="app", asked="GET '/user'", session=None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnauthorisedError(), 440),
        (TryRefreshTokenError(), 440),
        (TokenTheftError("handle", "alice"), 440),
        (InvalidClaimsError(), 418),
        (CoreUnavailableError(), 503),
        (UnauthorisedError(status=499), 499),
        (InvalidClaimsError(status=499), 499),
    ],
)
def test_the_configured_status_is_used_unless_the_error_has_its_own(
    error: SessionHTTPError, status: int
) -> None:
    announce(error)
    assert error.code == status


@pytest.mark.parametrize(
    ("error", "signal"),
    [
        (UnauthorisedError(), signals.verification_failed),
        (TryRefreshTokenError(), signals.verification_failed),
        (InvalidClaimsError(), signals.claims_invalid),
        (CoreUnavailableError(), signals.core_unavailable),
    ],
)
def test_each_verdict_has_its_signal(error: SessionHTTPError, signal: NamedSignal) -> None:
    received: list[Any] = []

    def receive(sender: object, **sent: Any) -> None:
        received.append((sender, sent["error"]))

    with signal.connected_to(receive):
        announce(error)
    assert received == [("app", error)]


def test_an_outage_is_an_error_in_the_log_and_a_refusal_is_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_stsession")
    announce(CoreUnavailableError("The core hangs."))
    announce(TryRefreshTokenError("The access token has expired."))
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "503 for GET '/user': The core hangs. (core_unreachable)"),
        ("INFO", "440 for GET '/user': The access token has expired. (expired)"),
    ]
