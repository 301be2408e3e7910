"""The page about AWS Lambda keeps its word: its Python runs, and what it names is in the examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.documentation import page as page_of, page_fixture
from support.example_modules import EXAMPLES
from support.lambda_authorizers import authorizer_cases
from support.lambda_events import gateway_event, header_of

from flask_stsession.aws_lambda import make_authorizer
from flask_stsession.errors import ConfigError

pytestmark = pytest.mark.embedded_core  # the page's Flask app configures no core

NAME = "aws-lambda.md"
page = page_fixture(NAME)
CASES = authorizer_cases()


def test_the_handlers_of_the_page_refuse_requests_without_a_session(page: dict[str, Any]) -> None:
    event = gateway_event("http-2.0", headers={"origin": "https://example.com"})
    assert page["handler"](event, None)["statusCode"] == 401
    refused = page["user_handler"](event, None)
    assert refused["statusCode"] == 401
    assert header_of(refused, "Access-Control-Allow-Origin") == "https://example.com"
    assert page["behind_jwt"](event, None)["statusCode"] == 401
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        page["authorizer"](CASES[0].event(None), None)


def test_the_app_of_the_page_returns_the_session(page: dict[str, Any]) -> None:
    with page["app"].app_context():
        session = page["app"].extensions["stsession"].create_new_session_without_request_response("alice")
    headers = {"authorization": f"Bearer {session.get_access_token()}"}
    response = page["handler"](gateway_event("http-2.0", headers=headers), None)
    assert json.loads(response["body"])["userId"] == "alice"


@pytest.mark.parametrize(
    ("mode", "arguments", "is_possible"),
    [
        ("NONE", {}, True),
        ("VIA_CUSTOM_HEADER", {"transfer_method": "cookie"}, True),
        ("VIA_TOKEN", {"transfer_method": "cookie"}, True),
        ("NONE", {"transfer_method": "cookie"}, True),
        ("VIA_ORIGIN", {"transfer_method": "cookie"}, False),
        ("VIA_ORIGIN", {"result_caching": False}, True),
        ("NONE", {"result_caching": False, "session_required": False}, True),
        ("NONE", {"session_required": False}, False),
    ],
)
def test_the_table_of_identity_sources_has_what_is_possible(
    page: dict[str, Any], mode: str, arguments: dict[str, Any], is_possible: bool
) -> None:
    config = {**page["CONFIG"], "STSESSION_ANTI_CSRF": mode}
    if is_possible:
        assert callable(make_authorizer(config, **arguments))
        return
    with pytest.raises(ConfigError):
        make_authorizer(config, **arguments)


def test_what_the_table_of_steps_names_is_in_the_examples() -> None:
    _, _, table = page_of(NAME).text.partition("## Each step of the SuperTokens documentation")
    table, _, _ = table.partition("\n## ")
    here = " ".join(line.split("|")[2] for line in table.splitlines() if line.startswith("|"))
    files = filter(Path.is_file, (EXAMPLES / "aws_lambda").iterdir())
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    names = {
        name for name in re.findall(r"`([^`]+)`", here) if not name.startswith(("verify", "make", "STS"))
    }
    assert {"RestApi", "JwtRoute", "ACCESS_DENIED", "user.py"} <= names
    known = "\n".join(texts.values())
    assert [name for name in sorted(names) if name not in texts and name not in known] == []
