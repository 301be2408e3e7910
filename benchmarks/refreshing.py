"""Refreshes over HTTP, and the calls to the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import requests
from flask import Flask

from .apps import CONTESTANTS, OURS, Contestant
from .core import CDI_VERSION_OF_PEERS, NEWEST_CDI_VERSION, Core
from .report import BESIDE_PEERS, Part, Row, beside_peers, milliseconds
from .timing import Effort, take_turns
from .wsgi import by_header, environ_of, send

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
        response = send(self._app, environ_of(_REFRESH, headers, "POST"))
        self._refresh_token = response.header("st-refresh-token") or ""
        self._access_token = response.header("st-access-token") or ""

    def refresh_and_verify(self) -> None:
        """Exchange the refresh token, and use the new access token."""
        self.refresh()
        self.verify()

    def verify(self) -> None:
        """Use the latest access token."""
        response = send(self._app, environ_of("/user", by_header(self._access_token)))
        # supertokens-python returns another token at the first use after a refresh.
        self._access_token = response.header("st-access-token") or self._access_token


class _RawChain:
    """The same calls to the core alone, by ``requests`` over a kept-alive connection."""

    def __init__(self, core: Core, http: requests.Session, refresh_token: str, cdi_version: str) -> None:
        self._url = f"{core.url}/recipe/session/refresh"
        self._http = http
        self._refresh_token = refresh_token
        self._headers = {"cdi-version": cdi_version, "rid": "session"}

    def refresh(self) -> None:
        """Exchange the refresh token."""
        body = {"refreshToken": self._refresh_token, "enableAntiCsrf": False, "useDynamicSigningKey": True}
        content = self._http.post(self._url, json=body, headers=self._headers, timeout=10).json()
        self._refresh_token = content["refreshToken"]["token"]


def measure(core: Core, apps: Mapping[str, Flask], effort: Effort) -> Part:
    """Measure a refresh above the call that it needs, and count calls to the core.

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
    raw_call = milliseconds(timings.lowest(_RAW), signed=False)
    for chain in chains.values():
        chain.refresh_and_verify()
    rows = [
        beside_peers(
            "refresh over HTTP (bare: the call alone)", raw_call, figures, "+0.60 ms", ours <= 0.6e-3
        ),
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
            2,
        ),
    ]
    note = (
        f"The call alone is made by requests over a kept-alive connection, with CDI {NEWEST_CDI_VERSION}; "
        f"supertokens-python speaks {CDI_VERSION_OF_PEERS}. "
        "The first use of a new token makes the refresh final, which CDI 5.6 does without a call."
    )
    return Part(BESIDE_PEERS, rows, [note])


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
    return beside_peers(what, "", figures, str(target), counts[OURS.name] <= target)
