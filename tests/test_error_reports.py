"""What an error reporter finds that collects local variables, as Sentry does with its defaults.

It takes every frame of the traceback, descends into dicts, tuples and lists, and shows the rest by ``repr``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from flask import Flask, current_app, g, got_request_exception
from flask.testing import FlaskClient
from support.app_factory import AppFactory

import flask_stsession
from flask_stsession import (
    STSession,
    current_session,
    current_user,
    get_session_without_request_response,
    refresh_session_without_request_response,
    sign_out,
    verify_access_token,
    verify_session,
)
from flask_stsession.claims import ClaimValidationResult, PrimitiveClaim, SessionClaimValidator
from flask_stsession.signals import (
    session_created,
    session_refreshed,
    session_revoked,
    session_verified,
    token_theft_detected,
    verification_failed,
)

PACKAGE = str(Path(flask_stsession.__file__).parent)
DEEPEST = 6


class HookError(Exception):
    """The bug in the app's own function."""


def fail(*_arguments: Any, **_named: Any) -> Any:
    raise HookError


def empty() -> dict[str, str]:
    return {}


def shown(value: Any, depth: int = 0) -> Iterator[str]:
    """What a reporter shows of a local variable."""
    if depth < DEEPEST and isinstance(value, Mapping):
        for key, item in value.items():
            yield repr(key)
            yield from shown(item, depth + 1)
    elif depth < DEEPEST and isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes)):
        for item in value:
            yield from shown(item, depth + 1)
    else:
        yield repr(value)


def report(error: BaseException | None) -> str:
    """Return the local variables of all our frames: of an error, and of those during which it was raised."""
    lines: list[str] = []
    while error is not None:
        lines += of_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    return "\n".join(lines)


def of_frames(traceback: TracebackType | None) -> list[str]:
    lines: list[str] = []
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename.startswith(PACKAGE):
            for name, value in frame.f_locals.items():
                lines += [f"{frame.f_code.co_name}: {name} = {text}" for text in shown(value)]
        traceback = traceback.tb_next
    return lines


class FailingValidator(SessionClaimValidator):
    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        raise HookError


failing_claim: PrimitiveClaim[str] = PrimitiveClaim("failing", fail)


class Client:
    """A client with a session and all its tokens."""

    def __init__(self, app: Flask, transfer: str) -> None:
        self.app = app
        self.transfer = transfer
        self.client: FlaskClient = app.test_client(use_cookies=False)
        login = self.client.post("/login", headers={"st-auth-mode": transfer, "rid": "x"})
        assert login.status_code == 200
        if transfer == "header":
            self.access = login.headers["st-access-token"]
            self.refresh = login.headers["st-refresh-token"]
            self.anti_csrf = None
        else:
            cookies = dict(
                line.partition(";")[0].split("=", 1) for line in login.headers.getlist("Set-Cookie")
            )
            self.access, self.refresh = cookies["sAccessToken"], cookies["sRefreshToken"]
            self.anti_csrf = login.headers["anti-csrf"]
        self.tokens = [token for token in (self.access, self.refresh, self.anti_csrf) if token]

    def headers(self, *, refreshing: bool = False) -> dict[str, str]:
        if self.transfer == "header":
            return {"Authorization": f"Bearer {self.refresh if refreshing else self.access}"}
        assert self.anti_csrf is not None
        cookies = f"sAccessToken={self.access}; sRefreshToken={self.refresh}"
        return {"Cookie": cookies, "anti-csrf": self.anti_csrf}

    def reported(self, method: str, path: str, *, refreshing: bool = False) -> str:
        """What a reporter shows of the error that a request ends with."""
        reports: list[str] = []

        def hear(sender: Flask, exception: Exception, **_: Any) -> None:
            assert isinstance(exception, HookError)
            reports.append(report(exception))

        with got_request_exception.connected_to(hear, self.app):
            response = self.client.open(path, method=method, headers=self.headers(refreshing=refreshing))
        assert response.status_code == 500
        [text] = reports
        return text

    def assert_masked(self, text: str) -> None:
        assert text
        for token in self.tokens:
            assert token not in text
            assert token[-40:] not in text


@pytest.fixture(params=["cookie", "header"])
def transfer(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


class Overriding(STSession):
    """Overrides that fail where the app is told to."""

    def get_global_claim_validators(self, **arguments: Any) -> list[SessionClaimValidator]:
        if current_app.config.get("FAILS") == "get_global_claim_validators":
            raise HookError
        return super().get_global_claim_validators(**arguments)

    def get_tenant_id(self) -> str | None:
        if current_app.config.get("FAILS") == "get_tenant_id":
            raise HookError
        return None


@pytest.fixture
def app(make_app: AppFactory) -> Flask:
    app: Flask = make_app(extension=Overriding, anti_csrf="VIA_TOKEN", api_domain="http://localhost")
    ext: STSession = app.extensions["stsession"]
    ext.user_loader(fail)

    views: dict[str, Callable[[], Any]] = {
        "validator": verify_session(validators=[FailingValidator("x")])(empty),
        "refetch": verify_session(validators=[failing_claim.validators.has_value("x")])(empty),
        "override": verify_session(override_global_claim_validators=fail)(empty),
        "fetch": verify_session()(lambda: g.session.fetch_and_set_claim(failing_claim)),
        "loader": lambda: {"user": bool(current_user)},
        "current": lambda: current_session.fetch_and_set_claim(failing_claim),
        "sign-out": lambda: sign_out() or {},
        "view": verify_session()(fail),
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"])
    return app


@pytest.mark.parametrize(
    "path", ["/validator", "/refetch", "/override", "/fetch", "/loader", "/current", "/view"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_token_is_shown_when_a_function_of_the_app_raises(
    app: Flask, transfer: str, path: str, method: str
) -> None:
    client = Client(app, transfer)
    client.assert_masked(client.reported(method, path))


@pytest.mark.parametrize("name", ["get_global_claim_validators", "get_tenant_id"])
def test_no_token_is_shown_when_an_override_raises(app: Flask, transfer: str, name: str) -> None:
    client = Client(app, transfer)
    app.config["FAILS"] = name
    client.assert_masked(client.reported("GET", "/validator"))


@pytest.mark.parametrize(
    ("signal", "path", "refreshing"),
    [
        (session_verified, "/view", False),
        (session_refreshed, "/auth/session/refresh", True),
        (session_revoked, "/sign-out", False),
        (session_revoked, "/auth/signout", False),
        (session_created, "/login", False),
    ],
)
def test_no_token_is_shown_when_a_receiver_raises(
    app: Flask, transfer: str, signal: Any, path: str, refreshing: bool
) -> None:
    client = Client(app, transfer)
    with signal.connected_to(fail, app):
        client.assert_masked(client.reported("POST", path, refreshing=refreshing))


def test_no_token_is_shown_when_a_receiver_of_a_theft_raises(app: Flask, transfer: str) -> None:
    client = Client(app, transfer)
    ext: STSession = app.extensions["stsession"]
    refreshed = ext.manager.refresh(
        client.refresh, anti_csrf_token=client.anti_csrf, enable_anti_csrf=client.anti_csrf is not None
    )
    ext.manager.verify(refreshed.access_token)
    with token_theft_detected.connected_to(fail, app):
        client.assert_masked(client.reported("POST", "/auth/session/refresh", refreshing=True))


def test_no_token_is_shown_when_a_receiver_of_a_failed_verification_raises(app: Flask, transfer: str) -> None:
    client = Client(app, transfer)
    client.access += "x"
    with verification_failed.connected_to(fail, app):
        client.assert_masked(client.reported("GET", "/view"))


def test_no_token_is_shown_when_an_error_handler_raises(app: Flask, transfer: str) -> None:
    app.register_error_handler(401, fail)
    client = Client(app, transfer)
    client.access += "x"
    client.assert_masked(client.reported("GET", "/view"))


@pytest.mark.parametrize(("path", "refreshing"), [("/view", False), ("/auth/session/refresh", True)])
def test_no_token_is_shown_when_the_transfer_function_raises(
    make_app: AppFactory, path: str, refreshing: bool
) -> None:
    fails: list[int] = []

    def transfer(request: Any, for_create_new_session: bool) -> str:
        if fails:
            raise HookError
        return "any"

    app = make_app(token_transfer_method=transfer, anti_csrf="VIA_TOKEN")
    app.add_url_rule("/view", "view", verify_session()(empty), methods=["POST"])
    for kind in ("cookie", "header"):
        fails.clear()
        client = Client(app, kind)
        fails.append(1)
        client.assert_masked(client.reported("POST", path, refreshing=refreshing))


@pytest.mark.parametrize("as_function", [True, False])
def test_no_token_is_shown_without_a_request_either(app: Flask, as_function: bool) -> None:
    client = Client(app, "cookie")
    ext: STSession = app.extensions["stsession"]
    app.config["FAILS"] = "get_global_claim_validators"
    access, refresh, anti_csrf = client.access, client.refresh, client.anti_csrf
    assert anti_csrf is not None
    source: Any = flask_stsession if as_function else ext
    calls: list[Callable[[], Any]] = [
        lambda: source.verify_access_token(access),
        lambda: source.verify_access_token(token=access),
        lambda: source.get_session_without_request_response(access, anti_csrf, anti_csrf_check=True),
        lambda: source.refresh_session_without_request_response(refresh, anti_csrf_token=anti_csrf),
    ]
    for call in calls:
        receiving = session_refreshed.connected_to(fail, app)
        with app.app_context(), receiving, pytest.raises(HookError) as caught:
            call()
        client.assert_masked(report(caught.value))


def test_the_session_and_its_tokens_show_nothing_in_a_view(app: Flask) -> None:
    client = Client(app, "cookie")
    with app.app_context():
        session = get_session_without_request_response(client.access)
        verified = verify_access_token(client.access)
    held = (
        session,
        verified,
        session.get_access_token(),
        session.get_access_token_payload(),
        session.access_token,
    )
    for text in shown(held):
        client.assert_masked(text)
    app.extensions["stsession"].user_loader(lambda user_id: user_id)  # a refresh asks it
    with app.app_context():
        refreshed = refresh_session_without_request_response(client.refresh, anti_csrf_token=client.anti_csrf)
    tokens = refreshed.get_all_session_tokens_dangerously()
    text = "\n".join(shown(tokens))
    for token in (tokens["accessToken"], tokens["refreshToken"], tokens["antiCsrfToken"]):
        assert str(token) not in text


#: Names of fields that hold tokens, or text in which there are tokens.
TELLING = ("token", "raw", "signed", "signature", "content", "body", "answer")
#: Hashes and digests prove nothing about a token to those who read them.
HARMLESS = ("hash", "digest", "_ttl", "_bytes")


def test_no_dataclass_shows_a_field_with_a_token() -> None:
    shown_fields = []
    for found in pkgutil.walk_packages(flask_stsession.__path__, "flask_stsession."):
        if found.name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(found.name)).values():
            if not (inspect.isclass(kind) and is_dataclass(kind) and kind.__module__ == found.name):
                continue
            if not getattr(kind, "__dataclass_params__").repr:  # noqa: B009 - unknown to type checkers
                continue  # it has a repr of its own
            shown_fields += [
                f"{found.name}.{kind.__name__}.{each.name}"
                for each in fields(kind)
                if each.repr
                and str(each.type).split(" |")[0] in ("str", "bytes", "Answer")
                and any(name in each.name for name in TELLING)
                and not any(name in each.name for name in HARMLESS)
            ]
    assert shown_fields == []
