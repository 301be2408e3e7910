"""The how-to about revocation (immediate-revocation.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

from flask_stsession.testing import end, login

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/immediate-revocation.md")


def test_a_session_that_another_process_has_ended_is_refused_where_the_core_is_asked(
    namespace: Namespace,
) -> None:
    client = namespace["app"].test_client()
    login(client, "alice")
    assert client.post("/transfer").status_code == 200
    end(client)  # as another process would
    assert client.get("/feed").status_code == 200
    assert client.post("/transfer").status_code == 401


def test_users_end_their_own_sessions_and_no_others(namespace: Namespace) -> None:
    app = namespace["app"]
    phone, laptop, stranger = app.test_client(), app.test_client(), app.test_client()
    login(phone, "alice")
    login(laptop, "alice")
    foreign = login(stranger, "mallory").get_handle()
    assert laptop.delete(f"/devices/{foreign}").status_code == 404
    devices = {each["this_one"]: each["handle"] for each in laptop.get("/devices").json}
    assert laptop.delete(f"/devices/{devices[False]}").json == {"ended": True}
    assert phone.get("/feed").status_code == 401
    assert laptop.post("/sign-out-everywhere").json == {"ended": 1}
    assert laptop.get("/feed").status_code == 401
    assert stranger.get("/feed").status_code == 200
