"""Settings of functions without Flask."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask

from flask_stsession.aws_lambda.settings import environment_settings, read_settings
from flask_stsession.errors import ConfigError

CORE = "http://core.example.com:3567"


def test_a_mapping_is_read_and_its_other_keys_are_ignored() -> None:
    config = read_settings({"STSESSION_CONNECTION_URI": CORE, "DEBUG": True, "TABLE": "x"})
    assert config.connection_uri == CORE


def test_the_timeouts_are_shorter_than_in_a_server_unless_set() -> None:
    assert read_settings({"STSESSION_CONNECTION_URI": CORE}).core_timeout_seconds == (1, 3)
    given = {"STSESSION_CONNECTION_URI": CORE, "STSESSION_CORE_TIMEOUT_SECONDS": (2, 4)}
    assert read_settings(given).core_timeout_seconds == (2, 4)


def test_without_a_mapping_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STSESSION_CONNECTION_URI", CORE)
    monkeypatch.setenv("STSESSION_CHECK_DATABASE", "true")
    monkeypatch.setenv("STSESSION_API_KEY", "1234")
    monkeypatch.setenv("FLASK_STSESSION_WEBSITE_DOMAIN", '["https://a.example", "https://b.example"]')
    config = read_settings(None)
    assert (config.connection_uri, config.check_database, config.api_key) == (CORE, True, "1234")
    assert config.website_domain == ("https://a.example", "https://b.example")


def test_names_with_the_prefix_of_flask_are_read_as_flask_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {
        "FLASK_STSESSION_CONNECTION_URI": CORE,
        "FLASK_STSESSION_JWKS_REFRESH_SECONDS": "30",
        "FLASK_STSESSION_CORE_TLS__ca": "/ca.pem",
        "FLASK_STSESSION_CORE_TLS__key": '"/key.pem"',
        "FLASK_DEBUG": "1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app = Flask("app")
    app.config.from_prefixed_env()
    of_flask = {key: value for key, value in app.config.items() if key.startswith("STSESSION_")}
    assert environment_settings() == of_flask


def test_the_prefix_of_flask_wins_where_both_set_a_key() -> None:
    environ = {"STSESSION_CHECK_DATABASE": "false", "FLASK_STSESSION_CHECK_DATABASE": "true"}
    assert environment_settings(environ) == {"STSESSION_CHECK_DATABASE": True}


@pytest.mark.parametrize(
    "name",
    [
        "STSESSION_CHECK_DATABSE",
        "STSESSION_CHECKDB",
        "STSESSION_DATABASE_CHECK",
        "FLASK_STSESSION_CHECK_DB",
        "STSESION_CHECK_DATABASE",
        "ST_SESSION_CHECK_DATABASE",
        "stsession_check_database",
        "FLASK_STSSESSION_CHECK_DATABASE",
        "FLASK_STESSION_CHECK_DATABASE",
    ],
)
def test_a_misspelt_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("STSESSION_CONNECTION_URI", CORE)
    monkeypatch.setenv(name, "true")
    key = name.removeprefix("FLASK_")
    with pytest.raises(ConfigError) as caught:
        read_settings(None)
    assert str(caught.value) == f"There is no setting {key!r}. Did you mean STSESSION_CHECK_DATABASE?"


def test_a_dict_whose_name_has_a_misspelt_prefix_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_STSSESSION_CORE_TLS__ca", "/ca.pem")
    with pytest.raises(ConfigError, match="Did you mean STSESSION_CORE_TLS"):
        read_settings(None)


def test_the_names_of_other_programs_are_ignored_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    environ = {
        "FLASK_SESSION_COOKIE_SECURE": "1",
        "SESSION_COOKIE_DOMAIN": "x",
        "STRIPE_API_KEY": "x",
        "": "",
    }
    assert environment_settings({**environ, "SERVICE_HOST": "x", "AWS_SESSION_TOKEN": "x"}) == {}
    assert caplog.records == []


@pytest.mark.parametrize("name", ["STSESSION_EVERYTHING_ELSE", "STSESSION_MY_OWN"])
def test_a_name_that_resembles_no_key_is_ignored_with_a_warning(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.WARNING, "flask_stsession")
    assert environment_settings({name: "1"}) == {}
    assert [each.getMessage() for each in caplog.records] == [
        f"{name} in the environment is not a setting of flask-stsession, and is ignored."
    ]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"STSESSION_CONNECTION_URI": "embedded:"},
        {"STSESSION_CONNECTION_URI": "embedded:/mnt/efs/core.db"},
        {"STSESSION_CONNECTION_URI": "embedded::memory:"},
        None,
    ],
)
def test_the_embedded_core_is_always_refused(given: dict[str, Any] | None) -> None:
    with pytest.raises(ConfigError, match="is the embedded core, whose data would be lost") as caught:
        read_settings(given)
    assert "STSESSION_CONNECTION_URI = 'https://core.example.com:3567'" in str(caught.value)


@pytest.mark.parametrize("given", ["http://core", ["x"], lambda event, context: None])
def test_anything_but_a_mapping_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="config must be a mapping of STSESSION_ keys, or None for the env"):
        read_settings(given)
