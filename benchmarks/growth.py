"""Measure how the cost of a verification grows with the payload of the token and with validators."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from .apps import BARE, CONTESTANTS, OURS, stsession
from .core import Core
from .report import Chart, Part, Row
from .timing import Effort, take_turns
from .wsgi import by_header, environ_of, repeated

_KILOBYTES = (0, 1, 2, 4, 8)
_VALIDATORS = (1, 3, 10)
#: Tokens in turn where each must count as new, and how many of them the app remembers.
_NEW_TOKENS, _REMEMBERED = 20, 4
_LARGEST_TOKEN = 16 * 1024
_ONE_VALIDATOR = f"{OURS.name}, one validator"
_FIRST_TIME = f"{OURS.name}, first time"

_Series = dict[str, list[tuple[float, float]]]


def with_payload(core: Core, apps: Mapping[str, Flask], effort: Effort) -> Part:
    """Time verifications of tokens with larger and larger payloads."""
    forgetful = stsession.make(
        core.url, "", verified_token_cache_size=_REMEMBERED, max_access_token_bytes=_LARGEST_TOKEN
    )
    series: _Series = {}
    try:
        for kilobytes in _KILOBYTES:
            payload = {f"key-{number}": ["x" * 100] * 9 for number in range(kilobytes)}
            tokens = [core.create_session(**payload).access for _ in range(_NEW_TOKENS)]
            seen = by_header(tokens[0])
            actions = {name: repeated(app, [environ_of("/user", seen)]) for name, app in apps.items()}
            actions[_ONE_VALIDATOR] = repeated(apps[OURS.name], [environ_of("/claim-1", seen)])
            first_times = [environ_of("/user", by_header(token)) for token in tokens]
            actions[_FIRST_TIME] = repeated(forgetful, first_times)
            timings = take_turns(actions, effort)
            for name in actions:
                if name != BARE.name:
                    series.setdefault(name, []).append((kilobytes, timings.above(name, BARE.name) * 1e6))
    finally:
        forgetful.extensions["stsession"].close()
    order = [OURS.name, _ONE_VALIDATOR, _FIRST_TIME, *(each.name for each in CONTESTANTS if each is not OURS)]
    ordered = {name: series[name] for name in order if name in series}
    return _part("payload", "payload (KB)", [f"{size} KB" for size in _KILOBYTES], ordered)


def with_validators(core: Core, apps: Mapping[str, Flask], effort: Effort) -> Part:
    """Time verifications with more and more claim validators that pass."""
    environs = {
        count: environ_of(f"/claim-{count}", by_header(core.create_session().access)) for count in _VALIDATORS
    }
    able = [each.name for each in CONTESTANTS if each.has_validators and each.name in apps]
    actions = {
        f"{name} {count}": repeated(apps[name], [environ])
        for name in able
        for count, environ in environs.items()
    }
    bare = repeated(apps[BARE.name], [environ_of("/user")])
    timings = take_turns({BARE.name: bare, **actions}, effort)
    series: _Series = {
        name: [(count, timings.above(f"{name} {count}", BARE.name) * 1e6) for count in _VALIDATORS]
        for name in able
    }
    return _part("validators", "validators", [f"{count} validators" for count in _VALIDATORS], series)


def _part(name: str, axis: str, columns: list[str], series: _Series) -> Part:
    title = f"Processor time of a verification, by {name}"
    return Part(
        (
            f"µs above the bare view, by {name}",
            *(columns if name == "payload" else [c.split()[0] for c in columns]),
        ),
        [Row((line, *(f"{y:.1f}" for _, y in points))) for line, points in series.items()],
        charts=[Chart(f"growth-{name}", title, axis, "µs above the bare view", series)],
    )
