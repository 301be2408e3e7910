"""Where a browser may be sent after a login: to this site and nowhere else."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from flask_stsession import next_url
from flask_stsession.navigation import is_local_path

ORIGIN = "https://app.example.com"


@pytest.mark.parametrize(
    "target", ["/", "/a", "/a/b?c=d&e=f", "/a?next=//evil.example", "/ä", "/a//b", "/a\\b"]
)
def test_paths_of_this_site_pass(target: str) -> None:
    with Flask("x").test_request_context(f"/login?next={quote(target)}"):
        assert next_url() == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a",
        "https://evil.example",
        "HTTPS://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/a\r\nSet-Cookie: x=y",
        "/\x00",
        "/a\x7f",
        "data:text/html,x",
        "?next=/",
        "evil.example",
    ],
)
def test_what_leads_elsewhere_does_not(target: str) -> None:
    with Flask("x").test_request_context(f"/login?next={quote(target)}"):
        assert next_url() == "/"
        assert next_url("/home") == "/home"


def test_the_form_counts_before_the_query() -> None:
    app = Flask("x")
    with app.test_request_context("/login?next=/query", method="POST", data={"next": "/form"}):
        assert next_url() == "/form"
    with app.test_request_context("/login?next=/query", method="POST", data={"next": ""}):
        assert next_url() == "/query"
    with app.test_request_context("/login"):
        assert next_url() == "/"


@given(st.text(alphabet="/\\.:@?#a \t\r\n%", max_size=12) | st.text(max_size=12))
def test_whatever_passes_stays_on_this_site(target: str) -> None:
    if is_local_path(target):
        # Browsers drop these before they look, and read a backslash as a slash (WHATWG URL).
        as_browsers_see_it = target.translate({9: None, 10: None, 13: None}).replace("\\", "/")
        assert urlsplit(urljoin(ORIGIN + "/login", as_browsers_see_it)).netloc == "app.example.com"
