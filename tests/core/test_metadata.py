"""User metadata over the client: merged by key, and safe to send again."""

from __future__ import annotations

import pytest
from support.scripted_core import ScriptedCore, close, reply

from flask_stsession.core import UserMetadataCalls
from flask_stsession.errors import CoreUnavailableError

from .conftest import MakeClient


def test_metadata_that_is_no_object_comes_from_a_broken_core(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "metadata": ["theme", "dark"]})
    client = make_client()
    with pytest.raises(CoreUnavailableError, match="without an object under 'metadata'"):
        UserMetadataCalls(client).get_user_metadata("u")
    with pytest.raises(CoreUnavailableError, match="without an object under 'metadata'"):
        UserMetadataCalls(client).update_user_metadata("u", {})


def test_an_update_is_sent_again_after_a_lost_connection(core: ScriptedCore, make_client: MakeClient) -> None:
    answer = reply({"status": "OK", "metadata": {"a": 1}})
    client = make_client()
    core.will(answer, close, answer)
    assert UserMetadataCalls(client).get_user_metadata("u") == {"a": 1}
    assert UserMetadataCalls(client).update_user_metadata("u", {"a": 1}) == {"a": 1}
    assert [each for each in core.requests if each.startswith("PUT")] == ["PUT /recipe/user/metadata"] * 2
