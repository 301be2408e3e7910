"""The how-to about recent logins and second factors (step-up.md)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun import freeze_time
from support.documentation import Namespace, page_fixture

from flask_stsession.testing import login

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/step-up.md")


def test_the_second_factor_opens_the_view_that_asks_for_it(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    login(client, "alice")
    refused = client.get("/account")
    assert refused.status_code == 403
    assert refused.json is not None
    assert refused.json["claimValidationErrors"][0]["id"] == "st-mfa"
    assert client.post("/totp", json={"code": "000000"}).status_code == 403
    assert client.get("/account").status_code == 403
    assert client.post("/totp", json={"code": "123456"}).status_code == 200
    assert client.get("/account").json == {"user": "alice"}


def test_a_login_grows_old_until_the_password_is_confirmed(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    with freeze_time("2030-01-01 12:00:00") as clock:
        login(client, "alice")
        assert client.post("/password").status_code == 200
        clock.tick(timedelta(seconds=601))
        refused = client.post("/password")
        assert refused.status_code == 403
        assert refused.json is not None
        assert refused.json["claimValidationErrors"][0]["id"] == "st-auth-time"
        client.post("/auth/session/refresh")
        assert client.post("/password").status_code == 403
        client.post("/confirm-password")
        assert client.post("/password").status_code == 200
