"""The README keeps its word: its code runs, its table is the code's, its links lead somewhere.

``python tests/test_readme.py`` writes the table of settings into it anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_stsession.cli import stsession_group
from flask_stsession.config.config import describe_settings
from flask_stsession.embedded.command import core_command

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
MAIN, PRODUCTION, CORS, VIEWS, ADMINISTRATION, PAGES, TESTING = BLOCKS

AS_A_FRONTEND = {"st-auth-mode": "cookie"}

_TABLE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    """All settings as a Markdown table."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for setting in describe_settings():
        rows.append(f"| `{setting.key}` | {_default(setting.default)} | {setting.doc} |")
    return "\n".join(rows) + "\n"


def _default(text: str) -> str:
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
    return f"`{text}`"


@pytest.fixture
def namespaces() -> Iterator[list[dict[str, Any]]]:
    """What blocks have defined; their apps are closed in the end."""
    made: list[dict[str, Any]] = []
    yield made
    for namespace in made:
        app: Flask = namespace["app"]
        app.extensions["stsession"].close()


def run(namespaces: list[dict[str, Any]], *blocks: str) -> dict[str, Any]:
    """Run blocks one after the other, as a reader would type them; sessions are kept in memory."""
    namespace: dict[str, Any] = {"__name__": "readme"}
    namespaces.append(namespace)
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
        namespace["app"].testing = True
    return namespace


def test_the_main_example_signs_in_and_guards(namespaces: list[dict[str, Any]]) -> None:
    app = run(namespaces, MAIN)["app"]
    client = app.test_client()
    assert client.get("/user").json == {"message": "unauthorised"}
    assert client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND).json == {"status": "OK"}
    assert client.get("/user").json == {"userId": "alice"}
    assert client.delete("/blog/1").status_code == 403
    assert client.post("/auth/session/refresh").status_code == 200
    assert client.get("/auth/jwt/jwks.json").status_code == 200
    assert client.get("/auth/.well-known/openid-configuration").status_code == 200
    assert client.post("/auth/signout").json == {"status": "OK"}
    assert client.get("/user").status_code == 401


def test_the_main_example_is_about_twenty_lines() -> None:
    assert len([line for line in MAIN.splitlines() if line.strip()]) <= 20


def test_the_production_example_is_a_valid_configuration(namespaces: list[dict[str, Any]]) -> None:
    config = run(namespaces, MAIN, PRODUCTION)["app"].extensions["stsession"].config
    assert config.core_hosts == ("https://core.example.com:3567",)


def test_a_website_elsewhere_may_send_and_read_what_a_session_needs(namespaces: list[dict[str, Any]]) -> None:
    domains = PRODUCTION[
        PRODUCTION.index("    STSESSION_API_DOMAIN") : PRODUCTION.index("    STSESSION_CONNECTION_URI")
    ]
    configured = MAIN.replace(
        "app = Flask(__name__)\n", f"app = Flask(__name__)\napp.config.update(\n{domains})\n", 1
    )
    client = run(namespaces, configured, CORS)["app"].test_client()
    preflight = client.options(
        "/login",
        headers={
            "Origin": "https://www.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, rid, st-auth-mode",
        },
    )
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type, rid, st-auth-mode"
    signed_in = client.post(
        "/login", json={"userId": "alice"}, headers={**AS_A_FRONTEND, "Origin": "https://www.example.com"}
    )
    assert signed_in.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert signed_in.headers["Access-Control-Expose-Headers"] == "front-token"
    refused = client.get("/user", headers={"Origin": "https://www.example.com", "Authorization": "Bearer x"})
    assert refused.headers["Access-Control-Allow-Credentials"] == "true"


def test_the_views_do_what_their_comments_say(namespaces: list[dict[str, Any]]) -> None:
    namespace = run(namespaces, MAIN, VIEWS)
    client = namespace["app"].test_client()
    assert client.get("/hello").text == "Hello"
    assert client.post("/like").json == {"anonymous": True}
    assert client.get("/admin/help").text == "Ask an admin."
    assert client.post("/leave").json == {"status": "OK"}
    client.post("/login", json={"userId": "alice"}, headers=AS_A_FRONTEND)
    assert client.get("/hello").text == "Hello alice"
    assert client.post("/like").json == {"anonymous": False}
    assert client.get("/drafts").status_code == 403
    assert client.get("/vault").status_code == 403
    client.post("/second-factor")
    assert client.get("/vault").json == {"gold": 7}
    client.post("/leave")
    assert client.get("/vault").status_code == 401


def test_pages_redirect_to_the_login_page_and_back(namespaces: list[dict[str, Any]]) -> None:
    client = run(namespaces, MAIN, PAGES)["app"].test_client()
    navigates = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
    to_login = client.get("/account?tab=2", headers=navigates)
    assert (to_login.status_code, to_login.headers["Location"]) == (302, "/login?next=%2Faccount%3Ftab%3D2")
    back = client.post(to_login.headers["Location"], data={"name": "alice"}, headers=navigates)
    assert (back.status_code, back.headers["Location"]) == (303, "/account?tab=2")
    assert client.get("/account", headers=navigates).text == "<h1>alice</h1>"
    assert client.post("/auth/signout", headers=navigates).headers["Location"] == "/login"
    assert client.get("/account").json == {"message": "unauthorised"}


def test_administration_and_sockets_work_outside_of_requests(namespaces: list[dict[str, Any]]) -> None:
    namespace = run(namespaces, MAIN)
    client = namespace["app"].test_client()
    for app_block in (VIEWS, ADMINISTRATION):
        exec(compile(app_block, str(README), "exec"), namespace)
    signed_in = client.post("/login", json={"userId": "alice"}, headers={"st-auth-mode": "header"})
    token = signed_in.headers["st-access-token"]
    with namespace["app"].app_context():
        assert namespace["on_socket_message"](token) == "alice"
    client.get("/drafts", headers={"Authorization": f"Bearer {token}"})
    assert client.get("/drafts", headers={"Authorization": f"Bearer {token}"}).json == {"drafts": []}


def test_the_example_of_a_test_passes(namespaces: list[dict[str, Any]]) -> None:
    run(namespaces, MAIN, TESTING)["test_who_is_signed_in"]()


def test_the_two_commands_are_those_that_a_fresh_machine_needs() -> None:
    commands = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert commands[:2] == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python examples/quickstart.py\n",
        "python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt && .venv/bin/pytest\n",
    ]


def test_the_commands_named_in_the_text_exist() -> None:
    named = set(re.findall(r"flask stsession (\w+)", TEXT))
    assert named == set(stsession_group.commands)
    used = re.search(r"^flask stsession core (.*)$", TEXT, re.MULTILINE)
    assert used is not None
    options = {option for each in core_command.params for option in each.opts}
    assert set(re.findall(r"--\w+", used[1])) <= options


def test_the_settings_table_matches_the_code() -> None:
    table = _TABLE.search(TEXT)
    assert table is not None
    assert table[0] == f"{table[1]}{settings_table()}{table[2]}", "run python tests/test_readme.py"


def test_links_lead_to_existing_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


if __name__ == "__main__":
    README.write_text(
        _TABLE.sub(lambda found: found[1] + settings_table() + found[2], TEXT), encoding="utf-8"
    )
