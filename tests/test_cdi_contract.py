"""The core that ``--core-uri`` names responds as recorded, like the embedded one (``tests/embedded``)."""

from __future__ import annotations

import pytest
import requests
from support.cdi_replay import CASES, Replay, load_case
from support.given_core import GivenApp

pytestmark = pytest.mark.given_core

NAMES = sorted(path.stem for path in CASES.glob("*.json"))
#: Keys are settings of a whole core, not of an app.
OF_A_WHOLE_CORE = {"api_keys"}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_conversation_goes_the_same_way(name: str, given_app: GivenApp) -> None:
    case = load_case(name)
    settings = case.get("core_config") or {}
    if OF_A_WHOLE_CORE & settings.keys():
        pytest.skip("needs a core with API keys")
    if settings:
        given_app.configure(settings)
    with requests.Session() as session:
        replay = Replay(session, given_app.url, given_app.core.api_key, app_id=given_app.app_id)
        assert replay.run(case) == []
