"""The signals: their names, who sends them, and that they are documented."""

from __future__ import annotations

import blinker
import pytest

from flask_stsession import signals

NAMES = (
    "session_created",
    "session_verified",
    "session_refreshed",
    "session_revoked",
    "token_theft_detected",
    "verification_failed",
    "claims_invalid",
    "core_unavailable",
    "keys_stale",
)


def test_exactly_the_documented_signals_exist() -> None:
    found = {name for name, value in vars(signals).items() if isinstance(value, blinker.NamedSignal)}
    assert found == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_is_named_and_says_what_it_carries(name: str) -> None:
    signal = getattr(signals, name)
    assert signal.name == name.replace("_", "-")
    assert signal.__doc__ is not None
    assert signal.__doc__.splitlines()[0].endswith(".")
    assert ":param " in signal.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_a_receiver_gets_the_signals_of_its_own_app_only(name: str) -> None:
    mine, other = object(), object()
    signal: blinker.NamedSignal = getattr(signals, name)
    heard: list[object] = []

    def receive(sender: object, **extra: object) -> None:
        heard.append((sender, extra))

    with signal.connected_to(receive, sender=mine):
        signal.send(other, session=1)
        signal.send(mine, session=2)
    signal.send(mine, session=3)
    assert heard == [(mine, {"session": 2})]


def test_the_signals_are_not_those_of_the_same_name_elsewhere() -> None:
    assert blinker.signal("session-created") is not signals.session_created


@pytest.mark.parametrize("name", NAMES)
def test_a_receiver_that_nothing_would_await_is_refused_where_it_is_connected(name: str) -> None:
    async def receive(sender: object, **extra: object) -> None:
        raise AssertionError

    signal: blinker.NamedSignal = getattr(signals, name)
    with pytest.raises(TypeError) as caught:
        signal.connect(receive)
    assert str(caught.value) == (
        f"A receiver of {name} must not be async, as its result is not awaited: write def, not async def."
    )
    assert receive not in list(signal.receivers_for(object()))
