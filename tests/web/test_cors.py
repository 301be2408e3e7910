"""What responses lack for pages of another origin, and what to write."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from flask_stsession.web.cors import SENT_BY_FRONTENDS, problem

PAGE = "https://www.example.com"
FINE = {"Access-Control-Allow-Origin": PAGE, "Access-Control-Allow-Credentials": "true"}
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


def cure(*, with_credentials: bool = True) -> str:
    credentials = "supports_credentials=True, " if with_credentials else ""
    return (
        f"With Flask-CORS, write CORS(app, origins=['{PAGE}'], {credentials}"
        'allow_headers=["content-type", *get_all_cors_headers()]).'
    )


@pytest.mark.parametrize(
    ("headers", "lacks"),
    [
        ({}, "have no Access-Control-Allow-Origin, so browsers do not let those pages read them"),
        (
            ANY_ORIGIN,
            "have Access-Control-Allow-Origin: *, which browsers do not accept together with cookies",
        ),
        (
            {**FINE, "Access-Control-Allow-Origin": "https://other.example.com"},
            "have Access-Control-Allow-Origin: https://other.example.com, which is another origin",
        ),
        (
            {"Access-Control-Allow-Origin": PAGE},
            "have no Access-Control-Allow-Credentials: true, without which browsers send and keep no cookies",
        ),
        (
            {**FINE, "Access-Control-Allow-Credentials": "True"},
            "have no Access-Control-Allow-Credentials: true, without which browsers send and keep no cookies",
        ),
    ],
)
def test_missing_cors_headers_are_explained(headers: dict[str, str], lacks: str) -> None:
    found = problem(Headers(headers), origin=PAGE, with_credentials=True)
    assert found == f"Responses to pages of '{PAGE}' {lacks}. {cure()}"


@pytest.mark.parametrize("allowed", ["*", "rid, fdi-version"])
def test_a_preflight_names_the_headers_that_are_not_allowed(allowed: str) -> None:
    headers = Headers({**FINE, "Access-Control-Allow-Headers": allowed})
    found = problem(headers, origin=PAGE, with_credentials=True, requested_headers=SENT_BY_FRONTENDS)
    missing = ", ".join(name for name in SENT_BY_FRONTENDS if name not in allowed)
    assert found == (
        f"Responses to pages of '{PAGE}' do not allow the request headers {missing} in "
        f"Access-Control-Allow-Headers. {cure()}"
    )


@pytest.mark.parametrize(
    ("headers", "with_credentials"),
    [
        (FINE, True),
        ({**FINE, "Access-Control-Allow-Headers": "RID,st-auth-mode"}, True),
        ({**ANY_ORIGIN, "Access-Control-Allow-Headers": "*"}, False),
        ({"Access-Control-Allow-Origin": PAGE, "Access-Control-Allow-Headers": "rid, st-auth-mode"}, False),
    ],
)
def test_sufficient_headers_are_no_problem(headers: dict[str, str], with_credentials: bool) -> None:
    requested = ("rid", "st-auth-mode") if "Access-Control-Allow-Headers" in headers else ()
    assert (
        problem(Headers(headers), origin=PAGE, with_credentials=with_credentials, requested_headers=requested)
        is None
    )


def test_a_star_does_not_include_authorization() -> None:
    headers = Headers({**ANY_ORIGIN, "Access-Control-Allow-Headers": "*"})
    found = problem(headers, origin=PAGE, with_credentials=False, requested_headers=["rid", "authorization"])
    assert found == (
        f"Responses to pages of '{PAGE}' do not allow the request headers authorization in "
        f"Access-Control-Allow-Headers. {cure(with_credentials=False)}"
    )
