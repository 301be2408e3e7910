"""The page about the wire: its client lives through a whole session."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from support.documentation import Namespace, page, page_fixture

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("protocol.md")


def test_the_client_of_the_page_signs_in_refreshes_and_signs_out(namespace: Namespace) -> None:
    client = namespace["Client"](namespace["app"].test_client())
    signed_in = client.send("POST", "/login", None)
    assert namespace["user_of"](signed_in.headers["front-token"]) == "alice"
    assert client.call("GET", "/user").json == {"userId": "alice"}
    first = client.refresh
    assert client.send("POST", "/auth/session/refresh", client.refresh).json == {}
    assert client.refresh != first
    assert client.call("GET", "/user").json == {"userId": "alice"}
    assert client.call("POST", "/auth/signout").json == {"status": "OK"}
    assert client.call("GET", "/user").json == {"message": "unauthorised"}


def test_the_routes_named_are_served(namespace: Namespace) -> None:
    app: Flask = namespace["app"]
    served = {str(rule) for rule in app.url_map.iter_rules()}
    named = re.findall(r"^\| `(?:GET|POST) (/auth/\S+)` \|", page("protocol.md").text, re.MULTILINE)
    assert len(named) == 4
    assert set(named) <= served
