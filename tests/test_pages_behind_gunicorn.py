"""Server-rendered pages behind gunicorn: large forms, and long URLs on its request line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from html import unescape

import pytest
import requests
from support.gunicorn_server import serving

pytestmark = pytest.mark.slow

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
WORKERS = {
    "sync": ("--worker-class", "sync"),
    "gthread": ("--worker-class", "gthread", "--threads", "4"),
}
MEGABYTES = 2
LONG = "/page?q=" + "a" * 2700


@pytest.fixture(scope="module", params=WORKERS)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages, under gunicorn."""
    database = tmp_path_factory.mktemp("core") / "core.db"
    with serving(database, *WORKERS[request.param], app="pages_app") as address:
        yield address


@pytest.fixture(scope="module")
def browsers(address: str) -> Iterator[list[requests.Session]]:
    """Signed in, with access tokens that have expired meanwhile; more than there are tests that take one."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(requests.Session()) for _ in range(10)]
        for session in sessions:
            assert session.post(f"{address}/login", timeout=20).status_code == 200
            session.headers.update(NAVIGATES)
        time.sleep(4.1)
        yield sessions


@pytest.fixture
def browser(browsers: list[requests.Session]) -> requests.Session:
    """Signed in, with an access token that has expired."""
    return browsers.pop()


def a_file() -> dict[str, bytes]:
    return {"file": b"a" * (MEGABYTES * 1024 * 1024)}


def test_a_form_with_a_file_is_carried(browser: requests.Session, address: str) -> None:
    uploaded = browser.post(f"{address}/upload", files=a_file(), timeout=60)
    assert [response.status_code for response in uploaded.history] == [307, 307]
    assert uploaded.json() == {"bytes": MEGABYTES * 1024 * 1024}


def test_a_form_with_a_file_leads_to_the_login_page(address: str) -> None:
    response = requests.post(f"{address}/upload", files=a_file(), headers=NAVIGATES, timeout=60)
    assert [each.status_code for each in response.history] == [303]
    assert response.text == "please sign in for /upload"


def test_a_script_that_uploads_a_file_learns_that_it_must_refresh(
    browser: requests.Session, address: str
) -> None:
    headers = {"Sec-Fetch-Mode": "cors"}
    refused = browser.post(f"{address}/upload", files=a_file(), headers=headers, timeout=60)
    assert (refused.status_code, refused.json()) == (401, {"message": "try refresh token"})


def test_a_page_with_a_long_url_is_carried(browser: requests.Session, address: str) -> None:
    carried = browser.get(address + LONG, timeout=20)
    found = re.search(r'data-continue="([^"]*)"', carried.text)
    assert (carried.status_code, found is not None) == (401, True)
    assert found is not None
    by_script = {"Sec-Fetch-Mode": "cors"}
    assert browser.post(address + unescape(found[1]), headers=by_script, timeout=20).status_code == 204
    assert browser.get(address + LONG, timeout=20).text == "the page of alice"


def test_a_page_with_a_long_url_is_carried_without_script(browser: requests.Session, address: str) -> None:
    carried = browser.get(address + LONG, timeout=20)
    found = re.search(r'<a href="([^"]*)">', carried.text)
    assert found is not None
    back = browser.get(address + unescape(found[1]), headers={"Referer": address + LONG}, timeout=20)
    assert (back.url, back.text) == (address + LONG, "the page of alice")


def test_a_page_with_a_long_url_leads_to_the_login_page(address: str) -> None:
    response = requests.get(address + LONG, headers=NAVIGATES, timeout=20)
    assert (response.status_code, response.text) == (200, "please sign in for /page")
