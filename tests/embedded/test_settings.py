"""The settings of the embedded core: which values are accepted, and how others are refused."""

from __future__ import annotations

from typing import Any

import pytest

from flask_stsession.embedded.errors import EmbeddedCoreError
from flask_stsession.embedded.settings import Settings, read_settings

SECONDS = "a whole number of seconds from 1 to 86400000, for example 3600"
REUSE = (
    "RECENT_PREV, ORPHANED_BRANCH, both with a comma between them, or nothing;"
    " they are the reuses that get UNAUTHORISED instead of TOKEN_THEFT_DETECTED"
)
JITTER = "a share from 0 (none) to 0.25, for example 0.05 for 5 %"
MINUTES = "a number of minutes above 0, at most 52560000, for example 144000"
GRACE = "a number of seconds from 0 to 300, for example 30"
HOURS = "a number of hours above 0, at most 876000, for example 168"
MILLISECONDS = "a whole number of milliseconds from 1 to 3153600000000, for example 86400000"
KEY = "abcdefghijklmnopqrst"


def test_without_settings_the_defaults_are_those_of_a_core() -> None:
    assert read_settings(None) == Settings(
        access_token_validity=3600,
        access_token_validity_jitter=0.05,
        refresh_token_validity=144_000,
        refresh_token_rotation_grace_period=30,
        access_token_dynamic_signing_key_update_interval=168,
        recent_token_reuse_behaviour=frozenset(),
        api_keys=(),
        email_verification_token_lifetime=86_400_000,
    )


def test_text_from_the_command_line_is_read_like_values() -> None:
    as_text = {
        "access_token_validity": "60",
        "access_token_validity_jitter": "0",
        "refresh_token_validity": "1.5",
        "refresh_token_rotation_grace_period": "2.5",
        "access_token_dynamic_signing_key_update_interval": "0.5",
        "recent_token_reuse_behaviour": "RECENT_PREV, ORPHANED_BRANCH",
        "api_keys": f"{KEY}, {KEY}2",
        "email_verification_token_lifetime": "1000",
    }
    as_values = {
        "access_token_validity": 60,
        "access_token_validity_jitter": 0,
        "refresh_token_validity": 1.5,
        "refresh_token_rotation_grace_period": 2.5,
        "access_token_dynamic_signing_key_update_interval": 0.5,
        "recent_token_reuse_behaviour": ["ORPHANED_BRANCH", "RECENT_PREV"],
        "api_keys": [KEY, f"{KEY}2"],
        "email_verification_token_lifetime": 1000,
    }
    assert read_settings(as_text) == read_settings(as_values)


def test_units_are_turned_into_milliseconds() -> None:
    settings = read_settings({"access_token_validity": 2, "refresh_token_validity": 0.1})
    assert settings.access_token_validity_ms == 2000
    assert settings.refresh_token_validity_ms == 6000
    assert settings.grace_period_ms == 30_000
    assert settings.key_interval_ms == 168 * 3_600_000


@pytest.mark.parametrize("empty", [None, "", " , ", []])
def test_lists_may_be_empty(empty: Any) -> None:
    settings = read_settings({"api_keys": empty, "recent_token_reuse_behaviour": empty})
    assert (settings.api_keys, settings.recent_token_reuse_behaviour) == ((), frozenset())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("access_token_validity", "soon", f"access_token_validity is 'soon': give {SECONDS}"),
        ("access_token_validity", 0, f"access_token_validity is 0: give {SECONDS}"),
        ("access_token_validity", 1.5, f"access_token_validity is 1.5: give {SECONDS}"),
        ("access_token_validity", True, f"access_token_validity is True: give {SECONDS}"),
        ("access_token_validity", None, f"access_token_validity is None: give {SECONDS}"),
        ("access_token_validity", "nan", f"access_token_validity is 'nan': give {SECONDS}"),
        ("access_token_validity", 10**400, f"access_token_validity is {10**400}: give {SECONDS}"),
        ("access_token_validity", 86_400_001, f"access_token_validity is 86400001: give {SECONDS}"),
        ("access_token_validity_jitter", 0.26, f"access_token_validity_jitter is 0.26: give {JITTER}"),
        ("access_token_validity_jitter", -0.1, f"access_token_validity_jitter is -0.1: give {JITTER}"),
        ("refresh_token_validity", "inf", f"refresh_token_validity is 'inf': give {MINUTES}"),
        ("refresh_token_validity", 52_560_001, f"refresh_token_validity is 52560001: give {MINUTES}"),
        (
            "refresh_token_rotation_grace_period",
            -1,
            f"refresh_token_rotation_grace_period is -1: give {GRACE}",
        ),
        (
            "refresh_token_rotation_grace_period",
            "300.5",
            f"refresh_token_rotation_grace_period is '300.5': give {GRACE}",
        ),
        (
            "access_token_dynamic_signing_key_update_interval",
            0,
            f"access_token_dynamic_signing_key_update_interval is 0: give {HOURS}",
        ),
        (
            "access_token_dynamic_signing_key_update_interval",
            876_001,
            f"access_token_dynamic_signing_key_update_interval is 876001: give {HOURS}",
        ),
        (
            "email_verification_token_lifetime",
            10**13,
            f"email_verification_token_lifetime is 10000000000000: give {MILLISECONDS}",
        ),
        (
            "recent_token_reuse_behaviour",
            "STALE_LINEAGE",
            f"recent_token_reuse_behaviour is 'STALE_LINEAGE': give {REUSE}",
        ),
        ("recent_token_reuse_behaviour", 7, f"recent_token_reuse_behaviour is 7: give {REUSE}"),
        (
            "email_verification_token_lifetime",
            "1d",
            f"email_verification_token_lifetime is '1d': give {MILLISECONDS}",
        ),
        ("api_keys", 12345, "api_keys is of type int: give text, several keys with commas between them"),
        (
            "api_keys",
            f"{KEY},secret",
            "api_keys: key number 2 has 6 characters: give at least 20,"
            " all of them printable ASCII and none a space or a comma",
        ),
        (
            "access_token_validty",
            1,
            "the embedded core has no setting 'access_token_validty': did you mean 'access_token_validity'?",
        ),
        (
            "port",
            1,
            "the embedded core has no setting 'port': the keys are"
            " access_token_dynamic_signing_key_update_interval, access_token_validity,"
            " access_token_validity_jitter, api_keys, email_verification_token_lifetime,"
            " recent_token_reuse_behaviour, refresh_token_rotation_grace_period, refresh_token_validity",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_remedy(key: str, value: Any, message: str) -> None:
    with pytest.raises(EmbeddedCoreError) as raised:
        read_settings({key: value})
    assert str(raised.value) == message


def test_the_limits_themselves_are_accepted() -> None:
    settings = read_settings(
        {
            "access_token_validity": 86_400_000,
            "access_token_validity_jitter": 0.25,
            "refresh_token_validity": 52_560_000,
            "refresh_token_rotation_grace_period": 300,
            "access_token_dynamic_signing_key_update_interval": 876_000,
            "email_verification_token_lifetime": 3_153_600_000_000,
        }
    )
    assert settings.refresh_token_validity_ms == settings.key_interval_ms == 3_153_600_000_000


def test_a_refresh_token_must_outlive_its_access_token() -> None:
    with pytest.raises(EmbeddedCoreError) as raised:
        read_settings({"refresh_token_validity": 1, "access_token_validity": "60"})
    assert str(raised.value) == (
        "refresh_token_validity is 1 minutes, which is not longer than access_token_validity, 60 seconds:"
        " make the first longer or the second shorter"
    )


def test_no_message_or_repr_shows_an_api_key() -> None:
    with pytest.raises(EmbeddedCoreError) as raised:
        read_settings({"api_keys": "a-secret"})
    assert "a-secret" not in str(raised.value)
    assert KEY not in repr(read_settings({"api_keys": KEY}))
