"""Reading the answers of a backend: what it said, set and cleared."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

OURS = ("st-access-token", "st-refresh-token", "front-token", "anti-csrf", "Set-Cookie")


def says(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.get_json()


def set_cookies(answer: TestResponse) -> dict[str, str]:
    """The lines by which cookies are set, by name; one for each."""
    lines = answer.headers.getlist("Set-Cookie")
    named = {line.partition("=")[0]: line for line in lines}
    assert len(named) == len(lines)
    return named


def is_untouched(answer: TestResponse) -> bool:
    """Was nothing set or cleared?"""
    return not any(name in answer.headers for name in OURS)


def cleared(answer: TestResponse) -> set[str]:
    """The transfer methods that the answer clears, with the front token."""
    methods = set()
    if answer.headers.get("st-access-token") == answer.headers.get("st-refresh-token") == "":
        methods.add("header")
    lines = {name: line for name, line in set_cookies(answer).items() if "Expires=Thu, 01 Jan 1970" in line}
    if {"sAccessToken", "sRefreshToken"} <= set(lines):
        methods.add("cookie")
    assert bool(methods) == (answer.headers.get("front-token") == "remove")
    return methods


def cookies_of(answer: TestResponse) -> dict[str, str]:
    return {name: line.partition("=")[2].partition(";")[0] for name, line in set_cookies(answer).items()}


def cookie_header(**cookies: str) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
