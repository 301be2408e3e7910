"""The values that the client returns."""

from __future__ import annotations

from datetime import datetime, timezone

from support.core_calls import ACCESS, REFRESH, SESSION
from support.scripted_core import ScriptedCore

from flask_stsession.core.models import SessionInformation

from .conftest import MakeClient


def test_times_of_a_session_are_also_aware_datetimes() -> None:
    information = SessionInformation("h", "u", "u", "public", {}, {}, 1_000, 1_700_000_000_500)
    assert information.created_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)
    assert information.expires_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=timezone.utc)


def test_a_time_after_the_year_9999_is_the_last_that_a_datetime_can_hold() -> None:
    information = SessionInformation("h", "u", "u", "public", {}, {}, 1_000, 600_000_000_000_000)
    assert information.expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)


def test_no_secret_is_in_the_repr_of_what_the_client_returns(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always(
        {
            "status": "OK",
            "session": SESSION,
            "accessToken": ACCESS,
            "refreshToken": REFRESH,
            "antiCsrfToken": "csrf",
        }
    )
    client = make_client()
    told = repr([client.create_session("u"), client.verify_session("x"), client.regenerate("x")])
    for secret in ("'access'", "'refresh'", "csrf"):
        assert secret not in told


def test_values_with_a_token_are_not_sequences_that_an_error_reporter_would_unfold(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "session": SESSION, "accessToken": ACCESS, "refreshToken": REFRESH})
    issued = make_client().create_session("u")
    for each in (issued, issued.access_token, make_client().verify_session("x")):
        assert not hasattr(each, "__iter__")
