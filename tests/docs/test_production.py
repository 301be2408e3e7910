"""The page about production: its configurations are valid, and its commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from support.documentation import Namespace, Page, page

from flask_stsession import create_new_session
from flask_stsession.cli import stsession_group
from flask_stsession.embedded.command import core_command
from flask_stsession.embedded.settings import read_settings

WEBSITE = "https://www.example.com"

PRODUCTION: Page = page("production.md")
ONE_HOST, TWO_HOSTS, CORS = PRODUCTION.blocks()

pytestmark = pytest.mark.embedded_core  # the tests sign in without a core of their own


def test_the_first_configuration_is_valid_and_names_a_core() -> None:
    with PRODUCTION.running(ONE_HOST) as namespace:
        config = namespace["app"].extensions["stsession"].config
        assert config.core_hosts == ("https://core.example.com:3567",)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """An app as the page configures it for a website on another host, with a login."""
    with PRODUCTION.running(ONE_HOST, TWO_HOSTS, CORS) as made:
        made["app"].add_url_rule(
            "/login", "login", lambda: {"user": create_new_session("alice").get_user_id()}, methods=["POST"]
        )
        yield made


def test_a_website_elsewhere_may_send_and_read_what_a_session_needs(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    preflight = client.options(
        "/login",
        headers={
            "Origin": WEBSITE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, rid, st-auth-mode",
        },
    )
    assert preflight.headers["Access-Control-Allow-Origin"] == WEBSITE
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type, rid, st-auth-mode"
    signed_in = client.post("/login", headers={"st-auth-mode": "cookie", "Origin": WEBSITE})
    assert signed_in.headers["Access-Control-Allow-Origin"] == WEBSITE
    assert signed_in.headers["Access-Control-Expose-Headers"] == "front-token"
    refused = client.post("/auth/signout", headers={"Origin": WEBSITE, "Authorization": "Bearer x"})
    assert refused.headers["Access-Control-Allow-Credentials"] == "true"


def test_the_commands_named_in_the_page_exist() -> None:
    named = set(re.findall(r"flask stsession (\w+)", PRODUCTION.text))
    assert named <= set(stsession_group.commands)
    (block,) = PRODUCTION.blocks("sh")
    flask, group, core, *arguments = shlex.split(block.code)
    assert (flask, group, core) == ("flask", "stsession", "core")
    given = core_command.make_context("core", arguments).params
    assert (given["port"], given["database"]) == (3567, "core.db")
    settings = dict(each.split("=") for each in given["assignments"])
    assert read_settings(settings).access_token_validity == 600
