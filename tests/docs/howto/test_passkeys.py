"""The how-to about passkeys (passkeys.md), in a real browser with a virtual authenticator."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from support.documentation import page
from support.required import missing
from support.socket_server import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.embedded_core]

PAGE = page("howto/passkeys.md")

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_a_passkey_that_was_added_signs_in_later(chromium: Any) -> None:
    if find_spec("webauthn") is None:
        missing("webauthn is missing; .ci/run installs it (pip install webauthn)")
    (script,) = PAGE.blocks("js")
    with PAGE.running() as namespace:
        app = namespace["app"]
        app.add_url_rule("/", "index", lambda: f"<!doctype html><script>{script.code}</script>")
        with serving(app) as origin:
            url = origin.replace("127.0.0.1", "localhost")
            app.config["ORIGIN"] = url
            context = chromium.new_context()
            visit = context.new_page()
            devices = context.new_cdp_session(visit)
            devices.send("WebAuthn.enable")
            devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
            visit.goto(url)
            status = {"status": "OK"}
            assert visit.evaluate("send('/signup', {name: 'alice'})") == status
            assert visit.evaluate("addPasskey()") == status
            assert visit.evaluate("send('/auth/signout')") == status
            assert visit.evaluate("fetch('/user').then((response) => response.status)") == 401
            assert visit.evaluate("signIn()") == status
            who = visit.evaluate("fetch('/user').then((response) => response.json())")
            assert who == {"userId": "alice"}

            app.config["ORIGIN"] = "https://other.example"
            assert visit.evaluate("signIn()") == {"status": "NOT_VERIFIED"}
            namespace["passkeys"].clear()
            assert visit.evaluate("signIn()") == {"status": "UNKNOWN_PASSKEY"}
            context.close()
