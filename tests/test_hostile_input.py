"""Any bytes anywhere: never a 500, an answer that clients know, nothing lost, and no token in a log."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import EnvironBuilder, FlaskClient
from hypothesis import HealthCheck, given, settings, strategies as st
from support.app_factory import AppFactory
from werkzeug.wrappers import Response

MESSAGES = {
    "unauthorised",
    "try refresh token",
    "The request contains multiple session cookies. All of them are being cleared: please sign in again.",
}
MODES = ("VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN", "NONE", None)

#: Bytes as a WSGI server hands them on (PEP 3333), with what parsers stumble over more often than by chance.
octets = st.one_of(
    st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
    st.text(alphabet='.=;,"% \t\\-_/:@[]{}eyJ019', max_size=60),
    st.sampled_from(
        ["", " ", "Bearer", "Bearer ", "Bearer\t", "%", "%zz", '"', '""', "eyJ.eyJ.", "..", "=;=;="]
    ),
)
spoilt = st.sampled_from(["reversed", "cut", "middle", "doubled", "lower", "unsigned"])
tokens_or_octets = st.one_of(octets, spoilt.map(lambda how: f"<{how}>"))
authorization = st.one_of(tokens_or_octets, tokens_or_octets.map("Bearer {}".format))
cookies = st.lists(
    st.tuples(
        st.sampled_from(
            ["sAccessToken", "sRefreshToken", "sIdRefreshToken", "sAccessToken2", " sAccessToken "]
        ),
        tokens_or_octets,
    ).map("=".join)
    | octets,
    max_size=4,
).map(";".join)
headers = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_AUTHORIZATION": authorization,
        "HTTP_COOKIE": cookies,
        "HTTP_ST_AUTH_MODE": octets,
        "HTTP_ANTI_CSRF": octets,
        "HTTP_RID": octets,
        "HTTP_ORIGIN": octets,
        "HTTP_SEC_FETCH_SITE": octets,
        "HTTP_SEC_FETCH_MODE": octets,
        "HTTP_ACCEPT": octets,
        "HTTP_FDI_VERSION": octets,
        "CONTENT_TYPE": octets,
    },
)
targets = st.sampled_from(
    [
        ("GET", "/user"),
        ("POST", "/user"),
        ("DELETE", "/user"),
        ("GET", "/open"),
        ("POST", "/auth/session/refresh"),
        ("POST", "/auth/signout"),
    ]
)
fuzz = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Victim:
    """A client with a good session by cookie, and the apps that it may talk to."""

    def __init__(self, apps: list[Flask]) -> None:
        self.clients: list[FlaskClient] = [app.test_client(use_cookies=False) for app in apps]
        answer = self.clients[-1].post("/login", headers={"st-auth-mode": "header"}, json={"userId": "alice"})
        self.access = answer.headers["st-access-token"]
        self.refresh = answer.headers["st-refresh-token"]

    def spoil(self, value: str) -> str:
        """Put tokens that are nearly good in the place of their names."""
        middle = len(self.access) // 2
        for name, token in {
            "<reversed>": self.access[::-1],
            "<cut>": self.access[:middle],
            "<middle>": self.access[:middle] + "A-A" + self.access[middle + 3 :],
            "<doubled>": self.refresh * 2,
            "<lower>": self.access.lower(),
            "<unsigned>": self.access.rpartition(".")[0] + ".",
        }.items():
            value = value.replace(name, token)
        return value

    def attack(
        self, client: FlaskClient, target: tuple[str, str], environ: dict[str, Any], **more: Any
    ) -> Response:
        """Send what was made up."""
        method, path = target
        overrides = {key: self.spoil(value) for key, value in environ.items()}
        # Not by the client, which parses the URL of what it sent, and older Werkzeugs trip over odd hosts.
        builder = EnvironBuilder(client.application, path, method=method, environ_overrides=overrides, **more)
        return Response.from_app(client.application, builder.get_environ())

    def is_unharmed(self) -> bool:
        """Does the good session still pass?"""
        answer = self.clients[-1].get("/user", headers={"Authorization": f"Bearer {self.access}"})
        return answer.status_code == 200


@pytest.fixture
def victim(make_app: AppFactory, caplog: pytest.LogCaptureFixture) -> Victim:
    caplog.set_level(logging.DEBUG)
    apps = [
        make_app(
            anti_csrf=mode,
            api_domain="https://api.example.com",
            website_domain="https://www.example.com",
            core_cache_ttl_seconds=0,
        )
        for mode in MODES
    ]
    return Victim([*apps, make_app()])


def check(answer: Response, victim: Victim, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is one that clients know, and nothing was given away or lost."""
    assert answer.status_code in (200, 400, 401, 405, 413, 415), answer.get_data(as_text=True)
    if answer.status_code == 401:
        body = answer.get_json()
        assert set(body) == {"message"}
        assert body["message"] in MESSAGES
    for record in caplog.records:
        text = record.getMessage() + json.dumps(record.exc_info is not None)
        for secret in (
            victim.access,
            victim.refresh,
            victim.access.split(".")[1],
            victim.refresh.split(".")[1],
        ):
            assert secret not in text
        if record.name.startswith("flask_stsession"):
            assert record.levelno < logging.ERROR or "several cookies" in text
            assert record.getMessage().isprintable()  # nothing from outside makes a line of its own
    caplog.clear()
    assert victim.is_unharmed()


@fuzz
@given(mode=st.integers(0, len(MODES)), target=targets, environ=headers, body=st.binary(max_size=50))
def test_any_bytes_in_headers_cookies_and_body_are_answered_and_lose_nothing(
    victim: Victim,
    caplog: pytest.LogCaptureFixture,
    mode: int,
    target: tuple[str, str],
    environ: dict[str, str],
    body: bytes,
) -> None:
    answer = victim.attack(victim.clients[mode], target, environ, data=body)
    check(answer, victim, caplog)


@fuzz
@given(
    mode=st.integers(0, len(MODES)),
    target=targets,
    environ=st.fixed_dictionaries({"HTTP_HOST": octets}, optional={"HTTP_X_FORWARDED_HOST": octets}),
    query=octets,
)
def test_any_host_and_query_are_answered(
    victim: Victim,
    caplog: pytest.LogCaptureFixture,
    mode: int,
    target: tuple[str, str],
    environ: dict[str, str],
    query: str,
) -> None:
    environ = {**environ, "HTTP_COOKIE": "sAccessToken=<middle>; sRefreshToken=<reversed>", "HTTP_RID": "x"}
    answer = victim.attack(victim.clients[mode], target, {**environ, "QUERY_STRING": query})
    check(answer, victim, caplog)


@fuzz
@given(mode=st.integers(0, len(MODES) - 1), environ=headers, host=octets, body=octets)
def test_a_login_with_any_headers_is_answered(
    victim: Victim,
    caplog: pytest.LogCaptureFixture,
    mode: int,
    environ: dict[str, str],
    host: str,
    body: str,
) -> None:
    answer = victim.attack(
        victim.clients[mode], ("POST", "/login"), {**environ, "HTTP_HOST": host}, data=body.encode("latin-1")
    )
    check(answer, victim, caplog)


def test_headers_of_many_kilobytes_are_answered(victim: Victim, caplog: pytest.LogCaptureFixture) -> None:
    starts = {
        "HTTP_AUTHORIZATION": "Bearer ",
        "HTTP_COOKIE": "sRefreshToken=x; sAccessToken=",
        "HTTP_ANTI_CSRF": "",
        "HTTP_RID": "",
        "HTTP_ORIGIN": "",
    }
    for target in (("GET", "/user"), ("POST", "/auth/session/refresh"), ("POST", "/auth/signout")):
        for name, start in starts.items():
            for size in (8_000, 20_000, 100_000):
                for filling in ("a" * size, "=;" * (size // 2)):
                    answer = victim.attack(victim.clients[0], target, {name: start + filling})
                    check(answer, victim, caplog)


def test_ten_thousand_cookies_of_one_name_are_expired_once_each(
    victim: Victim, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = "; ".join(["sAccessToken=x", "sRefreshToken=y"] * 10_000)
    answer = victim.attack(victim.clients[0], ("POST", "/auth/session/refresh"), {"HTTP_COOKIE": cookie})
    check(answer, victim, caplog)
    expired = answer.headers.getlist("Set-Cookie")
    assert len(expired) == len(set(expired)) < 30


@fuzz
@given(environ=headers)
def test_what_a_client_sends_never_comes_back_in_a_header(
    victim: Victim, caplog: pytest.LogCaptureFixture, environ: dict[str, str]
) -> None:
    marker = "mark3r"
    marked = {key: value + marker for key, value in environ.items()}
    for client in victim.clients:
        answer = victim.attack(client, ("POST", "/auth/session/refresh"), marked)
        assert marker not in str(answer.headers)
        assert marker not in answer.get_data(as_text=True)
