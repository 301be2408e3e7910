"""The how-to about a single-page app on another origin (spa.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

pytestmark = pytest.mark.embedded_core  # the page configures no core

WEBSITE = {"Origin": "https://www.example.com", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
API = "https://api.example.com"

namespace = page_fixture("howto/spa.md")


def test_the_website_signs_in_reads_and_refreshes(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    wanted = "content-type, rid, st-auth-mode, fdi-version, anti-csrf, authorization"
    preflight = client.options(
        "/login",
        base_url=API,
        headers={
            **WEBSITE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": wanted,
        },
    )
    allowed = preflight.headers["Access-Control-Allow-Headers"].split(", ")
    assert sorted(allowed) == sorted(wanted.split(", "))
    signed_in = client.post(
        "/login", base_url=API, json={"userId": "alice"}, headers={**WEBSITE, "st-auth-mode": "cookie"}
    )
    assert all("SameSite=Lax" in cookie for cookie in signed_in.headers.getlist("Set-Cookie"))
    answer = client.get("/user", base_url=API, headers=WEBSITE)
    assert answer.json == {"userId": "alice"}
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    refreshed = client.post("/auth/session/refresh", base_url=API, headers={**WEBSITE, "rid": "session"})
    assert refreshed.status_code == 200
    assert "front-token" in refreshed.headers["Access-Control-Expose-Headers"]


def test_a_website_of_others_gets_no_cookies(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    refused = client.post(
        "/login", base_url=API, json={"userId": "alice"}, headers={**elsewhere, "st-auth-mode": "cookie"}
    )
    assert refused.status_code == 401
    assert "Set-Cookie" not in refused.headers
