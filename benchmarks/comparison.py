"""Compare ways to identify the sender of a request, by their time above the same view of a bare app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask
from itsdangerous import Signer

from flask_stsession.tokens.access_token import base64url_decode

from .apps import BARE, CONTESTANTS, OURS, stsession
from .apps.sessions import make as make_flask_session
from .core import Core
from .report import BESIDE_PEERS, Chart, Part, Row, beside_peers, microseconds
from .timing import Action, Effort, Timings, take_turns
from .wsgi import by_cookie, by_header, environ_of, repeated, send

#: Tokens in turn where each must count as new, and how many of them the app remembers.
_NEW_TOKENS, _REMEMBERED = 60, 4

_HEADER = f"{OURS.name}, header, token seen before"
_COOKIE = f"{OURS.name}, cookie, token seen before"
_FIRST_TIME = f"{OURS.name}, header, first time"
_SECRET_KEY = "Flask with a mere SECRET_KEY"
_LOADED = "Flask's signed session cookie, loaded"
_READ = "Flask's signed session cookie, read"
_LOGIN = "Flask-Login, without a database"
#: Each row, and the row that it must stay below.
_AIMS = {_HEADER: _SECRET_KEY, _COOKIE: _SECRET_KEY, _FIRST_TIME: _LOADED}


@contextmanager
def running_apps(core: Core) -> Iterator[Mapping[str, Flask]]:
    """Make the apps of the bare view and of all contestants that are installed, by name."""
    key = core.public_key_of(core.create_session().access)
    competing = [each for each in (BARE, *CONTESTANTS) if each.version is not None]
    apps = {each.name: each.make(core.url, key) for each in competing}
    try:
        yield apps
    finally:
        apps[OURS.name].extensions["stsession"].close()


def measure(core: Core, apps: Mapping[str, Flask], effort: Effort) -> Part:
    """Time a request to a view that needs to know who sends it."""
    tokens = [core.create_session().access for _ in range(_NEW_TOKENS)]
    forgetful = stsession.make(core.url, "", verified_token_cache_size=_REMEMBERED)
    header, cookie = environ_of("/user", by_header(tokens[0])), environ_of("/user", by_cookie(tokens[0]))
    first_times = [environ_of("/user", by_header(token)) for token in tokens]
    peers = [name for name in apps if name not in (BARE.name, OURS.name)]
    alone = _alone(tokens[0], core.public_key_of(tokens[0]))
    try:
        timings = take_turns(
            {
                BARE.name: repeated(apps[BARE.name], [header]),
                _HEADER: repeated(apps[OURS.name], [header]),
                _COOKIE: repeated(apps[OURS.name], [cookie]),
                _FIRST_TIME: repeated(forgetful, first_times),
                **_flask_sessions(),
                **{name: repeated(apps[name], [header]) for name in peers},
                **alone,
            },
            effort,
        )
    finally:
        forgetful.extensions["stsession"].close()
    measured = [_HEADER, _COOKIE, _FIRST_TIME, _SECRET_KEY, _LOADED, _READ]
    measured += [name for name in (_LOGIN, *peers) if name in timings]
    bars = {name: [(timings.above(name, BARE.name) * 1e6, 0.0)] for name in measured}
    return Part(
        ("per request", "lowest 5 %", "median", "aim: less than"),
        [_row(name, timings) for name in measured] + [_row_alone(name, timings) for name in alone],
        [
            f"Above the bare view, which took {microseconds(timings.lowest(BARE.name), signed=False)}, by "
            "processor time of the thread. Flask's session holds what the access token says: user id, "
            "session handle and a claim; like the tokens that are new, it differs from request to request. "
            "Flask-JWT-Extended gets the key as PEM, and reads it anew for every token.",
        ],
        [Chart("comparison", "Processor time of a request above the bare view", "µs", "", bars)],
    )


def unprotected(apps: Mapping[str, Flask], effort: Effort) -> Part:
    """Time a view that asks for no session."""
    environ = environ_of("/open")
    timings = take_turns({name: repeated(app, [environ]) for name, app in apps.items()}, effort)
    above = {name: timings.above(name, BARE.name) for name in apps if name != BARE.name}
    figures = {name: microseconds(seconds) for name, seconds in above.items()}
    bare = microseconds(timings.lowest(BARE.name), signed=False)
    return Part(
        BESIDE_PEERS,
        [beside_peers("an unprotected view", bare, figures, "+3.6 µs", above[OURS.name] <= 3.6e-6)],
    )


def _flask_sessions() -> dict[str, Action]:
    app = make_flask_session()
    cookies = [_cookie_of(app) for _ in range(_NEW_TOKENS)]
    actions: dict[str, Action] = {
        _SECRET_KEY: repeated(app, [environ_of("/open")]),
        _LOADED: repeated(app, [environ_of("/open", cookie) for cookie in cookies]),
        _READ: repeated(app, [environ_of("/user", cookie) for cookie in cookies]),
    }
    if find_spec("flask_login") is not None:
        login: Flask = import_module(".apps.login", __package__).make()
        actions[_LOGIN] = repeated(login, [environ_of("/user", _cookie_of(login))])
    return actions


def _cookie_of(app: Flask) -> dict[str, str]:
    """Sign in, and return the request header that carries the session cookie."""
    set_cookie = send(app, environ_of("/login")).header("Set-Cookie") or ""
    return {"Cookie": set_cookie.partition(";")[0]}


def _alone(token: str, public_key: str) -> dict[str, Action]:
    """Return actions that only verify a signature."""
    key: Any = load_pem_public_key(public_key.encode("ascii"))
    signer = Signer("a secret key of thirty-two bytes")
    signed = signer.sign(b"d1c40f3c-6c3a-4c9c-9d3f-5a0f8a1c7a11")
    message, _, _ = token.rpartition(".")
    signature = base64url_decode(token.rpartition(".")[2])
    return {
        "alone: itsdangerous, unsign": lambda: signer.unsign(signed),
        "alone: PyJWT, decode RS256": lambda: jwt.decode(token, key, algorithms=["RS256"]),
        "alone: RSA verification": lambda: key.verify(signature, message.encode(), PKCS1v15(), SHA256()),
    }


def _row(name: str, timings: Timings) -> Row:
    above = timings.above(name, BARE.name)
    cells = (name, microseconds(above), microseconds(timings.median_above(name, BARE.name)))
    if name not in _AIMS:
        return Row((*cells, ""))
    limit = timings.above(_AIMS[name], BARE.name)
    return Row((*cells, f"{_AIMS[name]}"), above < limit)


def _row_alone(name: str, timings: Timings) -> Row:
    return Row(
        (
            name,
            microseconds(timings.lowest(name), signed=False),
            microseconds(timings.median(name), signed=False),
            "",
        )
    )
