"""The page about logging: it knows every reason, and its log line, handler and receivers are as it says."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from support.documentation import Namespace, page, page_fixture

from flask_stsession import Reason

AS_A_FRONTEND = {"st-auth-mode": "cookie"}

pytestmark = pytest.mark.embedded_core  # the page configures no core

LOGGING = page("logging.md")
namespace = page_fixture("logging.md")


@pytest.fixture(autouse=True)
def _restored_level() -> Iterator[None]:
    """The page sets the level of a logger."""
    logger = logging.getLogger("flask_stsession")
    level = logger.level
    yield
    logger.setLevel(level)


def test_the_table_lists_every_reason() -> None:
    table = LOGGING.text.partition("## Reasons")[2].partition("## Signals")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(Reason)


def test_a_refusal_is_logged_as_the_page_shows(
    namespace: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    (shown,) = LOGGING.blocks("text")
    assert namespace["app"].test_client().get("/user").status_code == 401
    (record,) = [each for each in caplog.records if each.name == "flask_stsession"]
    assert f"{record.levelname}:{record.name}:{record.getMessage()}\n" == shown.code


def test_the_error_handler_chooses_the_body(namespace: Namespace) -> None:
    response = namespace["app"].test_client().get("/user")
    assert response.json == {"message": "unauthorised", "help": "Please sign in."}


def test_the_receivers_record_logins_thefts_and_refusals(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    client.get("/user")
    assert namespace["refusals"] == {"no_token": 1}
    first = client.post("/login", headers={"st-auth-mode": "header"}).headers["st-refresh-token"]
    stolen = {"Authorization": f"Bearer {first}"}
    second = client.post("/auth/session/refresh", headers=stolen).headers["st-access-token"]
    client.get("/user", headers={"Authorization": f"Bearer {second}"})
    assert client.post("/auth/session/refresh", headers=stolen).json == {"message": "token theft detected"}
    assert [entry[:2] for entry in namespace["audit"]] == [("login", "alice"), ("theft", "alice")]
    assert namespace["refusals"] == {"no_token": 1, "token_theft": 1}


def test_the_levels_named_are_those_of_the_loggers() -> None:
    for name in re.findall(r"^\| `(flask_stsession[.\w]*)` \|", LOGGING.text, re.MULTILINE):
        assert name in logging.root.manager.loggerDict
