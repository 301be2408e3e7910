"""Behind a real nginx with its own defaults: sizes of responses, stripped prefixes, lines of cookies."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from support.app_factory import AppFactory
from support.cookie_jar import Browser
from support.nginx_proxy import behind_nginx

pytestmark = pytest.mark.slow

API = "https://api.eu.example.com"
HOST = API.partition("://")[2]


class Answer:
    """A response that came through nginx."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, *headers: tuple[str, str], body: Any = None) -> Answer:
    """Send a request to the public host; of one name there may be several headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        content = b"" if body is None else json.dumps(body).encode()
        for name, value in (
            ("Host", HOST),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            *headers,
        ):
            connection.putheader(name, value)
        connection.endheaders(content)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def cookies_of(answer: Answer) -> list[str]:
    return [line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie", [])]


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"api_domain": API, "token_transfer_method": "cookie"}


@pytest.mark.parametrize(
    ("permissions", "server", "status", "is_warned_of"),
    [
        (10, "", 200, False),
        (60, "", 502, True),
        (60, "proxy_buffer_size 16k; proxy_buffers 8 16k;", 200, True),
    ],
)
def test_a_token_that_nginx_does_not_read_is_warned_of_with_the_remedy(
    make_app: AppFactory,
    settings: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    permissions: int,
    server: str,
    status: int,
    is_warned_of: bool,
) -> None:
    payload = {"st-perm": {"v": [f"reports:{number:02}:write" for number in range(permissions)], "t": 1}}
    with behind_nginx(make_app(**settings), tmp_path, server=server) as port:
        answer = ask(port, "POST", "/login", body={"access_token_payload": payload})
    assert answer.status == status
    assert ("proxy_buffer_size" in caplog.text) == is_warned_of


def test_a_usual_session_lives_behind_nginx(
    make_app: AppFactory, settings: dict[str, Any], tmp_path: Path
) -> None:
    with behind_nginx(make_app(**settings), tmp_path) as port:
        pair = cookies_of(ask(port, "POST", "/login"))
        assert ask(port, "GET", "/user", ("Cookie", "; ".join(pair))).status == 200
        refreshed = ask(port, "POST", "/auth/session/refresh", ("Cookie", "; ".join(pair)))
        assert (refreshed.status, refreshed.json()) == (200, {})
        assert ask(port, "POST", "/auth/signout", ("Cookie", "; ".join(cookies_of(refreshed)))).status == 200


def test_a_line_for_each_cookie_is_read(
    make_app: AppFactory, settings: dict[str, Any], tmp_path: Path
) -> None:
    with behind_nginx(make_app(**settings), tmp_path) as port:
        lines = [("Cookie", each) for each in ("theme=dark", *cookies_of(ask(port, "POST", "/login")))]
        assert ask(port, "GET", "/user", *lines).status == 200
        refreshed = ask(port, "POST", "/auth/session/refresh", *lines)
        assert (refreshed.status, refreshed.json()) == (200, {})


def test_all_strays_of_a_deep_host_are_cleared_by_responses_that_nginx_reads(
    make_app: AppFactory, settings: dict[str, Any], tmp_path: Path
) -> None:
    app = make_app(**settings, api_base_path="/api/v1/auth")
    app.add_url_rule("/api/v1/shop/orders", "orders", app.view_functions["user"])
    refresh_path = "/api/v1/auth/session/refresh"
    with behind_nginx(app, tmp_path) as port:
        stale = cookies_of(ask(port, "POST", "/login", body={"userId": "bob"}))[0].partition("=")[2]
        browser = Browser(app.test_client(), API)
        for count in range(3):
            domain = HOST.split(".", count)[-1]
            # nginx takes no more than 8 KB of cookies from a browser, and a token has 0.9.
            for path in ("/", "/api/v1/shop") if count else ("/", "/api/v1/shop", "/api/v1/auth"):
                browser.keep(f"sAccessToken={stale}; Path={path}; Domain={domain}")
            for path in ("/", "/api", "/api/v1", "/api/v1/shop", "/api/v1/auth", refresh_path):
                browser.keep(f"sIdRefreshToken=x; Path={path}; Domain={domain}")

        def send(method: str, path: str) -> Answer:
            cookie = browser.cookie_header(path)
            answer = ask(port, method, path, *([("Cookie", cookie)] if cookie else []))
            for line in answer.headers.get_all("Set-Cookie", []):
                browser.keep(line)
            assert answer.status < 500
            return answer

        send("POST", "/login")
        for _ in range(10):
            if send("GET", "/api/v1/shop/orders").status == 200:
                break
            send("POST", refresh_path)
        assert send("GET", "/api/v1/shop/orders").status == 200
        for _ in range(10):
            assert send("POST", refresh_path).status == 200
        assert {(name, path) for name, _, path in browser.jar} == {
            ("sAccessToken", "/"),
            ("sRefreshToken", refresh_path),
        }


@pytest.mark.parametrize("gateway_path", [None, "/shop"])
def test_a_prefix_that_nginx_strips_is_named_until_it_is_set(
    make_app: AppFactory,
    settings: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    gateway_path: str | None,
) -> None:
    app = make_app(**settings, api_gateway_path=gateway_path)
    with behind_nginx(app, tmp_path, location="/shop/", path="/") as port:
        browser = Browser(app.test_client(), API)
        for line in ask(port, "POST", "/shop/login").headers.get_all("Set-Cookie", []):
            browser.keep(line)
        path = "/shop/auth/session/refresh"
        answer = ask(port, "POST", path, ("Cookie", browser.cookie_header(path)))
    assert answer.status == (401 if gateway_path is None else 200)
    assert ("STSESSION_API_GATEWAY_PATH" in caplog.text) == (gateway_path is None)
