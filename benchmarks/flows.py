"""The requests whose instructions and frames are counted.

They run in one process over an embedded core in memory: the core's own work counts, but neither sockets
nor other processes have a part in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask, g

from flask_stsession import STSession, create_new_session, verify_session
from flask_stsession.claims import PrimitiveClaim

from .apps import ANSWER
from .apps.sessions import make as make_flask_session
from .timing import Action
from .wsgi import Response, by_cookie, by_header, environ_of, repeated, send

GET, POST = "bare view", "bare view, POST"

_SIX_COOKIES = "a=1; b=2; csrftoken=abcdef; {}; theme=dark; lang=en"
#: Tokens in turn where each must count as new; the cache of that app remembers two.
_NEW_TOKENS = 5
_LOGIN = {"st-auth-mode": "header"}
_CLAIMS = [PrimitiveClaim[int](f"claim-{number}", fetch_value=lambda *_: 1) for number in range(3)]
_VALIDATORS = [claim.validators.has_value(1) for claim in _CLAIMS]


@dataclass(frozen=True)
class Flow:
    """A request that can be sent again and again.

    :param send: sends it once.
    :param reference: the flow whose instructions are subtracted.
    """

    send: Action
    reference: str = GET


@contextmanager
def running_flows() -> Iterator[Mapping[str, Flow]]:
    """Make the apps and return the flows by name; each reference comes before what it is subtracted from."""
    with _served() as ours, _served(verified_token_cache_size=2) as forgetful:
        yield {**_bare(), **_verifications(ours, forgetful), **_others(ours)}


@contextmanager
def _served(**settings: Any) -> Iterator[Flask]:
    app = _app(**settings)
    try:
        yield app
    finally:
        app.extensions["stsession"].close()


def _app(**settings: Any) -> Flask:
    app = Flask("flows")
    app.config.update(PROPAGATE_EXCEPTIONS=True)  # unlike testing, it adds nothing to a request
    app.config.update(STSESSION_CONNECTION_URI="embedded::memory:", STSESSION_JWKS_REFRESH_SECONDS=86_400)
    app.config.update({f"STSESSION_{key.upper()}": value for key, value in settings.items()})
    STSession(app)
    guards = {
        "user": verify_session(),
        "role-1": verify_session(roles="admin"),
        "role-3": verify_session(roles=["admin", "editor", "author"]),
        "validators": verify_session(validators=_VALIDATORS),
        "override": verify_session(
            override_global_claim_validators=lambda validators, *_: [*validators, *_VALIDATORS]
        ),
    }

    def public() -> str:
        return ANSWER

    def user() -> str:
        g.session.get_user_id()
        return ANSWER

    def login() -> str:
        create_new_session("alice")
        return ANSWER

    def login_with_claims() -> str:
        create_new_session("alice", access_token_payload=_payload())
        return ANSWER

    app.add_url_rule("/open", view_func=public)
    app.add_url_rule("/login", view_func=login, methods=["POST"])
    app.add_url_rule("/login-with-claims", view_func=login_with_claims, methods=["POST"])
    for name, guard in guards.items():
        app.add_url_rule(f"/{name}", name, guard(user), methods=["GET", "POST"])
    return app


def _payload() -> dict[str, Any]:
    now = int(time.time() * 1000)
    claims = {claim.key: {"v": 1, "t": now} for claim in _CLAIMS}
    return {"st-role": {"v": ["admin", "editor", "author"], "t": now}, **claims}


def _login(app: Flask, *, mode: str) -> tuple[str, str]:
    """Return the access token and the refresh token of a new session."""
    return _tokens_in(send(app, environ_of("/login-with-claims", {"st-auth-mode": mode}, "POST")), mode)


def _tokens_in(response: Response, mode: str) -> tuple[str, str]:
    """Return the access token and the refresh token that a response sends."""
    if mode == "header":
        return response.header("st-access-token") or "", response.header("st-refresh-token") or ""
    cookies = [value.partition(";")[0] for key, value in response.headers if key == "Set-Cookie"]
    named = dict(cookie.split("=", 1) for cookie in cookies)
    return named["sAccessToken"], named["sRefreshToken"]


def _bare() -> dict[str, Flow]:
    app = Flask("bare")

    def view() -> str:
        return ANSWER

    app.add_url_rule("/open", view_func=view, methods=["GET", "POST"])
    return {
        GET: Flow(repeated(app, [environ_of("/open")])),
        POST: Flow(repeated(app, [environ_of("/open", method="POST")]), POST),
    }


def _verifications(app: Flask, forgetful: Flask) -> dict[str, Flow]:
    header = by_header(_login(app, mode="header")[0])
    cookie = by_cookie(_login(app, mode="cookie")[0])
    among_six = {"Cookie": _SIX_COOKIES.format(cookie["Cookie"])}

    def asks(path: str, headers: dict[str, str], method: str = "GET") -> Flow:
        send_it = repeated(app, [environ_of(path, headers, method)])
        return Flow(send_it, POST if method == "POST" else GET)

    logins = [send(forgetful, environ_of("/login", _LOGIN, "POST")) for _ in range(_NEW_TOKENS)]
    new_tokens = [response.header("st-access-token") or "" for response in logins]
    return {
        "header": asks("/user", header),
        "cookie": asks("/user", cookie),
        "cookie among six": asks("/user", among_six),
        "cookie, POST, anti-CSRF NONE": asks("/user", cookie, "POST"),
        "one role": asks("/role-1", header),
        "three roles": asks("/role-3", header),
        "three validators of your own": asks("/validators", header),
        "the same by override": asks("/override", header),
        "unprotected view": asks("/open", {}),
        "header, first time": Flow(
            repeated(forgetful, [environ_of("/user", by_header(token)) for token in new_tokens])
        ),
    }


def _others(app: Flask) -> dict[str, Flow]:
    flask_session = make_flask_session()
    cookie = send(flask_session, environ_of("/login")).header("Set-Cookie") or ""
    loads = environ_of("/open", {"Cookie": cookie.partition(";")[0]})
    return {
        "Flask's session cookie, loaded": Flow(repeated(flask_session, [loads])),
        "refresh by header": Flow(_Refreshing(app, "header"), POST),
        "refresh by cookie": Flow(_Refreshing(app, "cookie"), POST),
        "login by header": Flow(repeated(app, [environ_of("/login", _LOGIN, "POST")]), POST),
        "login by cookie": Flow(
            repeated(app, [environ_of("/login", {"st-auth-mode": "cookie"}, "POST")]), POST
        ),
    }


class _Refreshing:
    """Exchanges the refresh token of a session, each time the latest."""

    def __init__(self, app: Flask, mode: str) -> None:
        self._app = app
        self._mode = mode
        self._refresh_token = _login(app, mode=mode)[1]

    def __call__(self) -> None:
        token = self._refresh_token
        sent = by_header(token) if self._mode == "header" else {"Cookie": f"sRefreshToken={token}"}
        headers = {**sent, "st-auth-mode": self._mode}
        response = send(self._app, environ_of("/auth/session/refresh", headers, "POST"))
        self._refresh_token = _tokens_in(response, self._mode)[1]
