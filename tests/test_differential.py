"""The embedded core and the core that ``--core-uri`` names respond alike to random sequences of calls."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import requests
from support.differential import Call, Calls, Core, Difference, Reply, compare
from support.given_core import GivenApp
from support.running_cores import IN_PROCESS_URL

from flask_stsession.embedded.adapter import EmbeddedAdapter
from flask_stsession.embedded.app import EmbeddedCore

pytestmark = [pytest.mark.given_core, pytest.mark.slow]

CALLS_EACH = 1000
SHOWN = 5


def fails_at_a_token(call: Call, first: Reply, second: Reply) -> bool:
    """Has the second core failed at an access token that cannot be read?"""
    return call.path == "/recipe/session/regenerate" and first.status < 500 and second.status == 500


def was_half_carried_out(call: Call, first: Reply, second: Reply) -> bool:
    """Has the second core removed a part before it refused the call, and the rest when it was sent again?

    A SuperTokens core removes the sessions of a user tenant by tenant, each in a transaction of its own.
    """
    return second.sent_again and call.path == "/recipe/session/remove" and first.is_ok and second.is_ok


#: What stays different, and why; the first core is the embedded one. Numbers for booleans and lists for texts
#: are not sent: a SuperTokens core reads them, the embedded one refuses them, since they are mistakes.
KNOWN = (
    Difference("a token that cannot be read is a verdict, not a failure of the core", fails_at_a_token),
    Difference("the first response of a call that was sent again is lost", was_half_carried_out),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Split the calls that ``--differential-calls`` asks for into sequences, each with cores of its own."""
    calls: int = metafunc.config.option.differential_calls
    metafunc.parametrize("sequence", range(-(-calls // CALLS_EACH)))


@pytest.fixture
def cores(given_app: GivenApp) -> Iterator[tuple[Core, Core]]:
    """The embedded core, and an app of the given one."""
    with EmbeddedCore(":memory:") as embedded, requests.Session() as inside, requests.Session() as outside:
        inside.mount(IN_PROCESS_URL, EmbeddedAdapter(embedded))
        yield Core(0, IN_PROCESS_URL, inside), Core(1, given_app.url, outside, given_app.headers)


def test_both_cores_respond_alike(
    cores: tuple[Core, Core], sequence: int, pytestconfig: pytest.Config
) -> None:
    rng = random.Random(f"{pytestconfig.getoption('differential_seed')} {sequence}")
    problems = compare(Calls(rng), cores, CALLS_EACH, KNOWN)
    assert not problems, f"{len(problems)} differences\n" + "\n".join(problems[:SHOWN])
