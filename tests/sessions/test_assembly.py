"""The parts, put together from settings."""

from __future__ import annotations

from typing import Any

import pytest
from support.served_core import ServedCore

from flask_stsession.config import load
from flask_stsession.errors import CoreUnavailableError, TryRefreshTokenError
from flask_stsession.sessions.assembly import make_manager, make_transport
from flask_stsession.sessions.manager import SessionManager
from flask_stsession.sessions.new_session import NewSession


def manager_of(core: ServedCore, *, time_left: float = 60.0, **settings: Any) -> SessionManager:
    given = {f"STSESSION_{key.upper()}": value for key, value in settings.items()}
    config = load({"STSESSION_CONNECTION_URI": core.url, **given})
    transport = make_transport(config, time_left=lambda: time_left)
    return make_manager(config, transport, sender=object(), extension=None)


def test_a_session_is_created_and_verified_without_an_app(served_core: ServedCore) -> None:
    manager = manager_of(served_core)
    created = manager.create(NewSession(user_id="alice", tenant_id="public"))
    token = manager.verifier.verify(created.get_access_token())
    assert token is not None
    assert manager.verify(token).get_user_id() == "alice"


def test_the_settings_reach_the_parts(served_core: ServedCore) -> None:
    manager = manager_of(served_core, audience="shop")
    created = manager.create(NewSession(user_id="alice", tenant_id="public"))
    assert created.get_access_token_payload()["aud"] == "shop"
    other = manager_of(served_core, use_dynamic_access_token_signing_key=False)
    with pytest.raises(TryRefreshTokenError, match="STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY"):
        other.verifier.verify(created.get_access_token())


def test_without_time_left_the_core_is_not_asked(served_core: ServedCore) -> None:
    manager = manager_of(served_core, time_left=0.0)
    with pytest.raises(CoreUnavailableError, match="was not sent to the core"):
        manager.client.get_jwks()
    assert served_core.core.asked == []
