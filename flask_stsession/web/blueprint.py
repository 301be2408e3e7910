"""The Blueprint of our own routes: the hosts that they respond on, and hooks for other extensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, Flask, has_request_context

from ..callables import F
from ..errors import ConfigError
from .context import this_request

if TYPE_CHECKING:
    from flask.sansio.app import App

    from ..config.config import Config


#: The part of a rule that matches any host, or any subdomain.
_HOST: Final = "stsession_host"
_SUBDOMAIN: Final = "stsession_subdomain"


class RoutesBlueprint(Blueprint):
    """A Blueprint of one app that accepts functions after it has been registered.

    ``init_app`` creates and registers it, so other extensions get it only afterwards. Flask's own Blueprint
    class would refuse ``CORS(blueprint)`` then.

    :param app: the app that the routes belong to.
    :param config: of the app.
    :raises ConfigError: ``STSESSION_HOST`` or ``STSESSION_SUBDOMAIN`` is set, but the app does not match
        hosts or subdomains.
    """

    def __init__(self, app: Flask, config: Config) -> None:
        super().__init__("stsession", __name__, url_prefix=config.api_base_path or None)
        self._app = app
        self._places = _places(app, config)
        if any(value.startswith("<") for place in self._places for value in place.values()):
            self.url_value_preprocessor(_remove_place)
            self.url_defaults(self._set_place)

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register the routes with their app.

        :raises ConfigError: it is another app.
        """
        if app is not self._app:
            raise ConfigError(
                f"These routes belong to another app object, and cannot be registered with {app!r}. Call "
                "stsession.init_app() on that app instead."
            )
        super().register(app, options)

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Add a rule for each host or subdomain that our routes respond on."""
        for place in self._places:
            super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **place, **options)

    def before_request(self, f: F) -> F:
        """Register a function to run before each of our routes."""
        self._app.before_request_funcs.setdefault(self.name, []).append(f)
        return f

    def after_request(self, f: F) -> F:
        """Register a function to run after each of our routes."""
        self._app.after_request_funcs.setdefault(self.name, []).append(f)
        return f

    def teardown_request(self, f: F) -> F:
        """Register a function to run when the context of a request to our routes is popped."""
        self._app.teardown_request_funcs.setdefault(self.name, []).append(f)
        return f

    def _set_place(self, endpoint: str, values: dict[str, Any]) -> None:
        """Make ``url_for`` keep the host of the request."""
        if not has_request_context():
            return
        host = this_request().host
        if self._app.url_map.host_matching:
            values.setdefault(_HOST, host)
            return
        subdomain, dot, _ = host.partition(f".{self._app.config['SERVER_NAME']}")
        if dot:
            values.setdefault(_SUBDOMAIN, subdomain)


def _places(app: Flask, config: Config) -> list[dict[str, str]]:
    """Return the hosts or subdomains of our rules, as arguments of ``add_url_rule``; all by default."""
    if app.url_map.host_matching:
        if config.subdomain is not None:
            raise _no_effect("STSESSION_SUBDOMAIN", "matches hosts: write STSESSION_HOST instead")
        return [{"host": config.host or f"<{_HOST}>"}]
    if config.host is not None:
        raise _no_effect("STSESSION_HOST", "does not match hosts: write Flask(..., host_matching=True)")
    if not app.subdomain_matching:
        if config.subdomain is not None:
            problem = "does not match subdomains: write Flask(..., subdomain_matching=True)"
            raise _no_effect("STSESSION_SUBDOMAIN", problem)
        return [{}]
    if config.subdomain is not None:
        return [{"subdomain": config.subdomain}]
    return [{}, {"subdomain": f"<{_SUBDOMAIN}>"}]


def _no_effect(key: str, problem: str) -> ConfigError:
    return ConfigError(f"{key} is set, but the app {problem}, or remove {key}.")


def _remove_place(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    for name in (_HOST, _SUBDOMAIN):
        (values or {}).pop(name, None)


def exempt_from_csrf_extensions(app: Flask, blueprint: Blueprint) -> None:
    """Exempt our routes from the checks of Flask-WTF and Flask-SeaSurf; they make their own."""
    protect = app.extensions.get("csrf")
    if protect is not None and hasattr(protect, "exempt"):
        protect.exempt(blueprint)
    # Flask-SeaSurf is found only through its before_request function, and can exempt only single views.
    for function in app.before_request_funcs.get(None, ()):
        sea_surf: Any = getattr(function, "__self__", None)
        if hasattr(sea_surf, "exempt_urls") and hasattr(sea_surf, "exempt"):
            for endpoint, view in app.view_functions.items():
                if endpoint.startswith(f"{blueprint.name}."):
                    sea_surf.exempt(view)
