"""The metadata of users."""

from __future__ import annotations

from support.running_cores import client_of

from flask_stsession.embedded.app import EmbeddedCore

PATH = "/recipe/user/metadata"


def test_metadata_are_merged_at_the_top_level_and_null_removes_a_key() -> None:
    with EmbeddedCore(":memory:") as core, client_of(core) as client:
        client.call("PUT", PATH, {"userId": "u", "metadataUpdate": {"a": {"b": 1}, "c": 2, "d": 3}})
        update = {"a": {"e": None}, "c": None}
        merged = client.call("PUT", PATH, {"userId": "u", "metadataUpdate": update})
        assert merged == {"status": "OK", "metadata": {"a": {"e": None}, "d": 3}}
        assert client.call("GET", PATH, userId="u") == merged
        assert client.call("GET", PATH, userId="u ") == {"status": "OK", "metadata": {}}
        client.call("POST", PATH + "/remove", {"userId": "u"})
        assert client.call("GET", PATH, userId="u") == {"status": "OK", "metadata": {}}
