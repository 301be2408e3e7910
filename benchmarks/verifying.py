"""What a session costs a request: overhead over the same view of a bare Flask app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask

from .apps import BARE, CONTESTANTS, OURS, SUPERTOKENS, Contestant, stsession
from .core import Core
from .report import Part, Row, microseconds, times
from .timing import Action, Effort, Timings, take_turns
from .wsgi import environ_of, repeated

#: Tokens that go round when every token is to be a new one; several times as many as are remembered.
_FRESH_TOKENS = 400
_REMEMBERED = 50

Transfer = Callable[[str], dict[str, str]]


def by_header(token: str) -> dict[str, str]:
    """Request headers that bring an access token by header."""
    return {"Authorization": f"Bearer {token}"}


def by_cookie(token: str) -> dict[str, str]:
    """Request headers that bring an access token by cookie."""
    return {"Cookie": f"sAccessToken={token}"}


class Verifying:
    """The rows about one request.

    :param core: where sessions are made.
    :param effort: how much to measure.
    """

    def __init__(self, core: Core, effort: Effort) -> None:
        self._core = core
        self._effort = effort
        self._token = core.create_session().access
        self._key = core.public_key_of(self._token)
        self.apps = {
            contestant.name: contestant.make(core.url, self._key)
            for contestant in (BARE, *CONTESTANTS)
            if contestant.version is not None
        }

    def close(self) -> None:
        """Close what our app opened."""
        self.apps[OURS.name].extensions["stsession"].close()

    def seen_before(self) -> Part:
        """A token that has been verified before."""
        rows = []
        for name, transfer in (("header", by_header), ("cookie", by_cookie)):
            timings = self._timed("/user", transfer)
            ours = timings.above(OURS.name, BARE.name)
            met, target = ours <= 12e-6, "+12 µs"
            if SUPERTOKENS.name in timings:
                ratio = timings.above(SUPERTOKENS.name, BARE.name) / ours
                met = met or ratio >= 20
                target += f", or 20 times less than {SUPERTOKENS.name}; here {times(ratio)}"
            rows.append(self._row(f"verify a token seen before, {name}", timings, target, met))
        return Part("seen", rows, ["Overheads are what a request takes above the same view of a bare app."])

    def first_time(self) -> Part:
        """Tokens that are verified for the first time, and what their verification takes by itself."""
        tokens = [self._core.create_session().access for _ in range(_FRESH_TOKENS)]
        forgetful = stsession.make(self._core.url, self._key, verified_token_cache_size=_REMEMBERED)
        key: Any = load_pem_public_key(self._key.encode("ascii"))
        turn = cycle(tokens)
        raw = "jwt.decode"
        try:
            timings = self._timed(
                "/user",
                by_header,
                tokens=tokens,
                instead={OURS.name: forgetful},
                beside={raw: lambda: jwt.decode(next(turn), key, algorithms=["RS256"])},
            )
        finally:
            forgetful.extensions["stsession"].close()
        decoding = timings.typical(raw)
        above = timings.above(OURS.name, BARE.name) - decoding
        row = self._row(
            "verify a token for the first time",
            timings,
            f"jwt.decode ({microseconds(decoding, signed=False)}) + 25 µs; here {microseconds(above)}",
            above <= 25e-6,
        )
        return Part("first", [row])

    def unprotected(self) -> Part:
        """A view that asks for no session, without and with tokens in the request."""
        timings = self._timed("/open", lambda _: {})
        ours = timings.above(OURS.name, BARE.name)
        return Part("unprotected", [self._row("an unprotected view", timings, "+3 µs", ours <= 3e-6)])

    def validators(self) -> Part:
        """Claim validators that pass: the first, and each further one."""
        able = [each for each in CONTESTANTS if each.has_validators and each.name in self.apps]
        actions = {
            f"{each.name}{path}": repeated(self.apps[each.name], [environ_of(path, by_header(self._token))])
            for each in able
            for path in ("/user", "/claim-1", "/claim-3")
        }
        timings = take_turns(actions, self._effort)
        first = {each.name: timings.above(f"{each.name}/claim-1", f"{each.name}/user") for each in able}
        further = {
            each.name: timings.above(f"{each.name}/claim-3", f"{each.name}/claim-1") / 2 for each in able
        }
        return Part(
            "validators",
            [
                _validator_row("a passing claim validator: the first", first),
                _validator_row("each further one", further),
            ],
        )

    def _timed(
        self,
        path: str,
        transfer: Transfer,
        *,
        tokens: Sequence[str] = (),
        instead: dict[str, Flask] | None = None,
        beside: dict[str, Action] | None = None,
    ) -> Timings:
        environs = [environ_of(path, transfer(token)) for token in tokens or [self._token]]
        apps = {**self.apps, **(instead or {})}
        actions: dict[str, Action] = {name: repeated(app, environs) for name, app in apps.items()}
        return take_turns({**actions, **(beside or {})}, self._effort)

    def _row(self, what: str, timings: Timings, target: str, met: bool) -> Row:
        bare = microseconds(timings.typical(BARE.name), signed=False)
        return Row(what, bare, {each.name: _overhead(each, timings) for each in CONTESTANTS}, target, met)


def _overhead(contestant: Contestant, timings: Timings) -> str:
    if contestant.name not in timings:
        return "not installed"
    return microseconds(timings.above(contestant.name, BARE.name))


def _validator_row(what: str, seconds: dict[str, float]) -> Row:
    figures = {name: microseconds(value) for name, value in seconds.items()}
    return Row(what, "", figures, "+3 µs", seconds[OURS.name] <= 3e-6)
