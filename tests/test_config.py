"""The settings: how each is read, what they decide together, and what is refused in which words."""

from __future__ import annotations

from flask_stsession.config import Config


def test_an_app_without_settings_gets_the_defaults() -> None:
    config = Config.from_mapping({}, app_name="shop")
    assert config.app_name == "shop"
    assert config.connection_uri == "embedded:"
    assert config.effective_same_site("http://localhost:5000/") == "lax"
    assert config.issuer("http://localhost:5000/shop/", "/shop") == "http://localhost:5000/shop/auth"
