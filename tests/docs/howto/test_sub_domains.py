"""The how-to about one login for several sub-domains (sub-domains.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.documentation import page

pytestmark = pytest.mark.embedded_core

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}

PAGE = page("howto/sub-domains.md")


@pytest.fixture
def apps(core_file: Path) -> Iterator[dict[str, Flask]]:
    """The page's apps for two hosts, on one core."""
    (block,) = PAGE.blocks()
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(block.code.replace("/var/lib/example/core.db", str(core_file)), namespace)
    made = {host: namespace["create_app"](host) for host in ("shop.example.com", "help.example.com")}
    yield made
    for app in made.values():
        app.extensions["stsession"].close()


def test_a_session_of_one_host_counts_on_the_other(apps: dict[str, Flask]) -> None:
    shop, help_ = apps["shop.example.com"], apps["help.example.com"]
    signed_in = shop.test_client().post(
        "/login", base_url="https://shop.example.com", data={"name": "alice"}, headers=NAVIGATES
    )
    cookies = signed_in.headers.getlist("Set-Cookie")
    assert len(cookies) >= 2
    assert all("Domain=example.com" in cookie for cookie in cookies)
    tokens = "; ".join(cookie.partition(";")[0] for cookie in cookies)
    answer = help_.test_client(use_cookies=False).get(
        "/", base_url="https://help.example.com", headers={**NAVIGATES, "Cookie": tokens}
    )
    assert answer.text == "alice at help.example.com"
