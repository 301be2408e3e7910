"""Anti-CSRF: which requests by cookie are checked, and what each mode wants to see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from flask_stsession.config.config import AntiCsrf, Config
from flask_stsession.errors import Reason, TryRefreshTokenError
from flask_stsession.web.csrf import check, is_checked, problem, sender_of, via_token_problem

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
MODES: tuple[AntiCsrf, ...] = ("VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN", "NONE")
OURS = frozenset({"https://app.example.com", "http://localhost:3000", "my-shell://LocalHost"})


class Sent(NamedTuple):
    """A request."""

    method: str
    headers: dict[str, str]


def refusal(
    mode: AntiCsrf, method: str = "POST", *, anti_csrf_token: str | None = None, **sent: str | None
) -> tuple[Reason, str]:
    with pytest.raises(TryRefreshTokenError) as caught:
        passes(mode, method, anti_csrf_token=anti_csrf_token, **sent)
    return caught.value.reason, str(caught.value)


def passes(
    mode: AntiCsrf, method: str = "POST", *, anti_csrf_token: str | None = None, **sent: str | None
) -> bool:
    config = Config({"anti_csrf": mode, "website_domain": tuple(OURS)})
    check(config, Sent(method, headers_of(sent)), "https://api.example.com", anti_csrf_token=anti_csrf_token)
    return True


def headers_of(sent: Mapping[str, str | None]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in sent.items() if value is not None}


@pytest.mark.parametrize(
    ("mode", "checked"),
    [
        ("VIA_TOKEN", {"HEAD", "POST", "PUT", "PATCH", "DELETE"}),
        ("VIA_CUSTOM_HEADER", {"HEAD", "POST", "PUT", "PATCH", "DELETE"}),
        ("VIA_ORIGIN", {"POST", "PUT", "PATCH", "DELETE"}),
        ("NONE", set()),
    ],
)
def test_the_method_decides_which_requests_are_checked(mode: AntiCsrf, checked: set[str]) -> None:
    assert {method for method in METHODS if is_checked(mode, method)} == checked


@pytest.mark.parametrize("mode", MODES)
def test_a_view_can_disable_the_check(mode: AntiCsrf) -> None:
    assert not any(is_checked(mode, method, anti_csrf_check=False) for method in METHODS)


@pytest.mark.parametrize("mode", MODES)
def test_the_check_can_be_enabled_for_every_method_but_not_without_a_mode(mode: AntiCsrf) -> None:
    checked = {method for method in METHODS if is_checked(mode, method, anti_csrf_check=True)}
    assert checked == (set() if mode == "NONE" else set(METHODS))


def test_a_request_that_is_not_checked_needs_nothing() -> None:
    for mode in MODES:
        assert passes(mode, "GET")
        assert passes(mode, "OPTIONS")
    assert problem("NONE", {"anti-csrf": "nope"}) is None


def test_via_token_accepts_only_the_token_of_the_session() -> None:
    assert passes("VIA_TOKEN", anti_csrf_token="t-1", anti_csrf="t-1")
    assert passes("VIA_TOKEN", "GET", anti_csrf_token="t-1", anti_csrf="nope")
    assert refusal("VIA_TOKEN", anti_csrf_token="t-1", anti_csrf="nope") == (
        Reason.CSRF_MISMATCH,
        "The header 'anti-csrf' is not the anti-CSRF token of this session, as STSESSION_ANTI_CSRF=VIA_TOKEN "
        "demands; every refresh gives a new one.",
    )


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize("token", ["t-1", None])
def test_via_token_names_the_header_that_is_missing(method: str, token: str | None) -> None:
    assert refusal("VIA_TOKEN", method, anti_csrf_token=token, rid="any") == (
        Reason.CSRF_MISSING,
        "The header 'anti-csrf' is missing from a request whose session came by cookie "
        "(STSESSION_ANTI_CSRF=VIA_TOKEN); send it, with the value that came with the session, or use "
        "anti_csrf_check=False for this view.",
    )


@pytest.mark.parametrize("header", ["t-1", "", "None"])
def test_via_token_refuses_a_session_that_has_no_token(header: str) -> None:
    assert refusal("VIA_TOKEN", anti_csrf_token=None, anti_csrf=header) == (
        Reason.CSRF_MISMATCH,
        "The session has no anti-CSRF token, so no header 'anti-csrf' can match it; it was created for "
        "header transfer or under another mode than STSESSION_ANTI_CSRF=VIA_TOKEN.",
    )


@given(st.text(), st.text())
def test_via_token_compares_any_text(token: str, header: str) -> None:
    assert (via_token_problem(token, header) is None) == (token == header)


def test_via_token_distinguishes_lone_surrogates_from_question_marks() -> None:
    assert via_token_problem("?", "\ud800") is not None


def test_via_custom_header_accepts_any_rid() -> None:
    assert passes("VIA_CUSTOM_HEADER", rid="any")
    assert passes("VIA_CUSTOM_HEADER", "HEAD", rid="any")


def test_via_custom_header_names_the_header_that_is_missing() -> None:
    assert refusal("VIA_CUSTOM_HEADER", anti_csrf_token="t-1", anti_csrf="t-1") == (
        Reason.CSRF_MISSING,
        "The header 'rid' is missing from a request whose session came by cookie "
        "(STSESSION_ANTI_CSRF=VIA_CUSTOM_HEADER); send it, any value will do, or use anti_csrf_check=False "
        "for this view.",
    )


@pytest.mark.parametrize(
    "sent",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin", "origin": "https://elsewhere.example"},
        {"sec_fetch_site": "same-site", "origin": "https://app.example.com"},
        {"sec_fetch_site": "cross-site", "origin": "http://localhost:3000"},
        {"origin": "https://app.example.com"},
        {"origin": "HTTPS://App.Example.com"},
        {"sec_fetch_site": "cross-site", "origin": "my-shell://LocalHost"},
    ],
    ids=str,
)
def test_via_origin_accepts_requests_of_our_own_pages(sent: dict[str, str]) -> None:
    assert passes("VIA_ORIGIN", **sent)


@pytest.mark.parametrize("site", [None, "same-site", "cross-site", "", "nonsense"])
@pytest.mark.parametrize(
    "origin",
    [
        "",
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://app.example.com/",
        "my-shell://localhost",
    ],
)
def test_via_origin_refuses_requests_of_other_pages(site: str | None, origin: str) -> None:
    assert refusal("VIA_ORIGIN", sec_fetch_site=site, origin=origin, rid="any") == (
        Reason.CSRF_MISMATCH,
        f"The request comes from {origin!r}, which is not a configured origin "
        "(STSESSION_ANTI_CSRF=VIA_ORIGIN); if it is a website of yours, add it to STSESSION_WEBSITE_DOMAIN.",
    )


@pytest.mark.parametrize("site", [None, "same-site", "cross-site"])
def test_via_origin_requires_an_origin_or_sec_fetch_site(site: str | None) -> None:
    assert refusal("VIA_ORIGIN", sec_fetch_site=site) == (
        Reason.CSRF_MISSING,
        "The request has neither 'Sec-Fetch-Site: same-origin' nor a header 'Origin', so it does not show "
        "where it comes from (STSESSION_ANTI_CSRF=VIA_ORIGIN). Browsers send at least one of them; other "
        "clients should use header transfer.",
    )


@pytest.mark.parametrize("site", [None, "same-site", "", "nonsense"])
def test_via_origin_refuses_a_hidden_origin_and_logs_why(
    site: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    message = (
        "The request came with 'Origin: null' and without 'Sec-Fetch-Site: same-origin', so it does not show "
        "where it comes from (STSESSION_ANTI_CSRF=VIA_ORIGIN). Browsers hide the origin of a page that has "
        "'Referrer-Policy: no-referrer' or is sandboxed; write 'Referrer-Policy: same-origin'."
    )
    assert refusal("VIA_ORIGIN", sec_fetch_site=site, origin="null") == (Reason.CSRF_MISSING, message)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", message)]


def test_a_hidden_origin_passes_with_sec_fetch_site_same_origin() -> None:
    assert passes("VIA_ORIGIN", sec_fetch_site="same-origin", origin="null")


def test_a_hidden_origin_of_another_site_is_a_mismatch() -> None:
    found = refusal("VIA_ORIGIN", sec_fetch_site="cross-site", origin="null")
    assert found[0] is Reason.CSRF_MISMATCH


@pytest.mark.parametrize(
    ("expected", "sent"),
    [
        # Ours, whatever else the browser says.
        ("ours or unknown", {"origin": "https://app.example.com", "site": "cross-site"}),
        ("ours or unknown", {"origin": "HTTPS://App.Example.com"}),
        ("ours or unknown", {"origin": "my-shell://LocalHost", "site": "cross-site"}),
        ("ours or unknown", {"site": "same-origin", "origin": "null"}),
        ("ours or unknown", {"site": "none"}),
        # Unknown: no browser, or one that hides it.
        ("ours or unknown", {}),
        ("ours or unknown", {"origin": "null"}),
        ("ours or unknown", {"origin": " NULL ", "site": "nonsense"}),
        ("ours or unknown", {"site": "same-site"}),
        # A link that a person followed.
        ("ours or unknown", {"method": "GET", "site": "cross-site", "mode": "navigate"}),
        ("ours or unknown", {"method": "GET", "site": " Cross-Site ", "mode": "Navigate"}),
        # Of our site, but not configured.
        ("same site", {"site": "same-site", "origin": "https://other.example.com"}),
        ("same site", {"origin": "https://near.example.com"}),
        # Others.
        ("another site", {"site": "cross-site"}),
        ("another site", {"site": "CROSS-SITE", "origin": "null"}),
        ("another site", {"site": "cross-site", "origin": "https://near.example.com"}),
        ("another site", {"site": "cross-site", "mode": "navigate"}),
        ("another site", {"method": "HEAD", "site": "cross-site", "mode": "navigate"}),
        ("another site", {"method": "GET", "site": "cross-site", "mode": "cors"}),
        ("another site", {"method": "GET", "site": "cross-site"}),
        ("another site", {"origin": "https://evil.example"}),
        ("another site", {"method": "GET", "origin": "https://evil.example"}),
        ("another site", {"site": "nonsense", "origin": "https://evil.example"}),
        ("another site", {"origin": "my-shell://localhost"}),
        ("another site", {"origin": "nonsense"}),
        ("another site", {"origin": ""}),
    ],
    ids=str,
)
def test_the_sender_of_a_request_is_what_the_browser_says(expected: str, sent: dict[str, str]) -> None:
    sender = sender_of(
        method=sent.get("method", "POST"),
        sec_fetch_site=sent.get("site"),
        sec_fetch_mode=sent.get("mode"),
        origin=sent.get("origin"),
        allowed_origins=OURS,
        is_same_site=lambda origin: origin == "https://near.example.com",
    )
    assert sender == expected


def test_a_problem_is_returned_without_a_verdict() -> None:
    assert problem("NONE", {}) is None
    assert problem("VIA_CUSTOM_HEADER", {"rid": ""}) is None
    found = problem("VIA_CUSTOM_HEADER", {})
    assert found is not None
    assert found[0] is Reason.CSRF_MISSING
