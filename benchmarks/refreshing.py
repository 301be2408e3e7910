"""Refreshing over HTTP, and what the core is asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import requests
from flask import Flask

from .apps import CONTESTANTS, OURS, Contestant
from .core import CDI_VERSION_OF_PEERS, NEWEST_CDI_VERSION, Core
from .report import Part, Row, milliseconds
from .timing import Effort, take_turns
from .verifying import by_header
from .wsgi import Answer, environ_of, send

_REFRESH = "/auth/session/refresh"
_RAW = "raw POST"
_COUNTED = 20


class _Chain:
    """A session that is refreshed again and again through an app, by header.

    :param app: with the route that refreshes.
    :param refresh_token: the first.
    """

    def __init__(self, app: Flask, refresh_token: str) -> None:
        self._app = app
        self._refresh_token = refresh_token
        self._access_token = ""

    def refresh(self) -> None:
        """Exchange the refresh token."""
        headers = {**by_header(self._refresh_token), "st-auth-mode": "header", "rid": "session"}
        answer = _ok(self._app, send(self._app, environ_of(_REFRESH, headers, "POST")))
        self._refresh_token = answer.header("st-refresh-token") or ""
        self._access_token = answer.header("st-access-token") or ""

    def refresh_and_verify(self) -> None:
        """Exchange the refresh token, and use the access token that comes with it."""
        self.refresh()
        self.verify()

    def verify(self) -> None:
        """Use the latest access token."""
        answer = _ok(self._app, send(self._app, environ_of("/user", by_header(self._access_token))))
        # supertokens-python gives another token at the first use after a refresh.
        self._access_token = answer.header("st-access-token") or self._access_token


class _RawChain:
    """The same at the core itself, with nothing but ``requests`` and a connection kept alive."""

    def __init__(self, core: Core, http: requests.Session, refresh_token: str, cdi_version: str) -> None:
        self._url = f"{core.url}/recipe/session/refresh"
        self._http = http
        self._refresh_token = refresh_token
        self._headers = {"cdi-version": cdi_version, "rid": "session"}

    def refresh(self) -> None:
        """Exchange the refresh token."""
        body = {"refreshToken": self._refresh_token, "enableAntiCsrf": False, "useDynamicSigningKey": True}
        answer = self._http.post(self._url, json=body, headers=self._headers, timeout=10).json()
        self._refresh_token = answer["refreshToken"]["token"]


def measure(core: Core, apps: Mapping[str, Flask], effort: Effort) -> Part:
    """How long a refresh takes beyond the core's own part, and how many calls things take.

    :param apps: of the contestants that are installed, by name.
    """
    able = [each for each in CONTESTANTS if each.refreshes_at_core and each.name in apps]
    chains = {each.name: _Chain(apps[each.name], core.create_session().refresh) for each in able}
    with requests.Session() as http:
        http.trust_env = False
        raw = _RawChain(core, http, core.create_session().refresh, NEWEST_CDI_VERSION)
        slower = Effort(rounds=effort.rounds, batch=1)
        refreshing = {name: chain.refresh for name, chain in chains.items()}
        timings = take_turns({_RAW: raw.refresh, **refreshing}, slower, waits=True)
    figures = {each.name: milliseconds(timings.above(each.name, _RAW)) for each in able}
    ours = timings.above(OURS.name, _RAW)
    typical = milliseconds(timings.typical(_RAW), signed=False)
    for chain in chains.values():
        chain.refresh_and_verify()
    rows = [
        Row("refresh over HTTP (bare: the raw POST)", typical, figures, "+0.60 ms", ours <= 0.6e-3),
        _calls(
            core,
            able,
            {name: chain.verify for name, chain in chains.items()},
            "calls to the core per verification",
            0,
        ),
        _calls(core, able, {name: chain.refresh for name, chain in chains.items()}, "calls per refresh", 1),
        _calls(
            core,
            able,
            {name: chain.refresh_and_verify for name, chain in chains.items()},
            "calls per refresh and first verification after it",
            1,
        ),
    ]
    note = (
        f"The raw POST is made with requests on a kept-alive connection, by CDI {NEWEST_CDI_VERSION}; "
        f"supertokens-python speaks {CDI_VERSION_OF_PEERS}."
    )
    return Part("refresh", rows, [note])


def _calls(
    core: Core, able: list[Contestant], actions: Mapping[str, Callable[[], None]], what: str, target: int
) -> Row:
    counts = {}
    for contestant in able:
        before = core.calls()
        for _ in range(_COUNTED):
            actions[contestant.name]()
        counts[contestant.name] = (core.calls() - before) / _COUNTED
    figures = {name: f"{count:g}" for name, count in counts.items()}
    return Row(what, "", figures, str(target), counts[OURS.name] <= target)


def _ok(app: Flask, answer: Answer) -> Answer:
    if answer.status != "200 OK":
        raise RuntimeError(f"{app.name} answers {answer.status}")
    return answer
