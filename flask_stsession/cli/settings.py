"""``flask stsession settings``: the values in effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from flask.cli import with_appcontext

from ..config.config import SETTINGS, Config
from ..errors import ConfigError
from .group import Command, app_state, on_stsession
from .output import json_option, print_json, print_table

if TYPE_CHECKING:
    from ..config.values import Setting
    from ..web.base import AppState

#: Stands for the value of a secret.
MASK: Final = "***"

#: Where a value comes from: the app, the documented default, other settings, or each request anew.
Source = Literal["set", "default", "derived", "request"]


@dataclass(frozen=True)
class Effective:
    """A setting in effect.

    :param key: with its prefix.
    :param source: where the value comes from.
    :param value: as JSON, with secrets masked; ``None`` where it depends on the request.
    :param words: the value for people.
    """

    key: str
    source: Source
    value: Any
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return the setting as JSON."""
        return {"key": self.key, "source": self.source, "value": self.value}


@click.command("settings", cls=Command)
@json_option
@with_appcontext
@on_stsession
def show_settings(as_json: bool) -> None:
    """Show the values in effect and where they come from. Secrets are masked."""
    effective = effective_settings(app_state())
    if as_json:
        print_json([each.to_json() for each in effective])
    else:
        print_table(("KEY", "SOURCE", "VALUE"), [(each.key, each.source, each.words) for each in effective])


def effective_settings(state: AppState) -> list[Effective]:
    """Return all settings of an app with the values in effect, in the order of the documentation."""
    config = state.config
    derived = _derived(config)
    found: list[Effective] = []
    for setting in SETTINGS.values():
        name = setting.name
        source: Source = "default"
        value: Any = _address(state) if name == "connection_uri" else getattr(config, name)
        if setting.key in config.keys_set:
            source, value = "set", _masked(setting, value)
        elif name in derived:
            value = derived[name]
            source = "request" if value is None else "derived"
        value = _as_json(value)
        words = repr(value)
        if source == "request":
            words = "follows the request"
        elif value is None and source == "default":
            words = setting.otherwise.replace("`", "")
        found.append(Effective(setting.key, source, value, words))
    return found


def _derived(config: Config) -> dict[str, Any]:
    """Return the values of unset keys that follow from others; ``None`` if one follows from the request."""
    api = config.api_domain
    is_fixed = api is not None
    same_for_all = is_fixed or not config.websites
    decided = config.decisions(api or "")
    return {
        "issuer": config.base_url(api, "") if api is not None else None,
        "website_domain": (api,) if api is not None else None,
        "api_gateway_path": None,
        "cookie_secure": decided.secure if is_fixed else None,
        "cookie_same_site": decided.same_site if same_for_all else None,
        "anti_csrf": decided.anti_csrf if same_for_all else None,
    }


def _address(state: AppState) -> str:
    """Return where the core is: for an embedded one, the file."""
    if state.core is None:
        return state.config.connection_uri
    try:
        return f"embedded:{state.core.locate()}"
    except ConfigError:  # ``doctor`` reports it
        return state.config.connection_uri


def _masked(setting: Setting, value: Any) -> Any:
    if setting.name == "embedded_core":  # one of its keys is secret
        return {key: MASK if key == "api_keys" else each for key, each in value.items()}
    return MASK if setting.secret else value


def _as_json(value: Any) -> Any:
    """Return a setting as JSON."""
    if callable(value):
        return getattr(value, "__qualname__", repr(value))
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_as_json(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
