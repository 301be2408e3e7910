"""Guarding a whole app or blueprint, with its exceptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flask import current_app, request as current_request

from ..errors import ConfigError
from .context import this_request
from .hooks import is_exempt
from .navigation import is_login_page
from .verify import VerifyOptions, load_session

if TYPE_CHECKING:
    from ..extension import STSession


def guard_for(exempt: Sequence[str | Callable[..., Any]], options: VerifyOptions) -> Callable[[], None]:
    """A ``before_request`` function that verifies the session of every request but those exempt.

    :param exempt: endpoint names or view functions.
    :raises TypeError: ``exempt`` is one of them rather than a list.
    """
    if isinstance(exempt, str) or callable(exempt):
        raise TypeError(f"exempt= takes a list of endpoint names and functions, not {exempt!r}.")
    names = frozenset(each for each in exempt if isinstance(each, str))
    views = tuple(each for each in exempt if not isinstance(each, str))

    def guard() -> None:
        endpoint = current_request.endpoint
        if endpoint is None or endpoint in names or _serves_static_files(endpoint):
            return
        ext: STSession | None = current_app.extensions.get("stsession")
        if ext is None:
            raise ConfigError(
                f"protect() guards the app {current_app.name!r}, which has no STSession: call "
                "stsession.init_app(app) before the first request."
            )
        view = current_app.view_functions.get(endpoint)
        if view in views or is_exempt(view) or current_request.blueprint == ext.blueprint.name:
            return
        if _is_login_page(ext):
            return
        load_session(ext, options)

    return guard


def _serves_static_files(endpoint: str) -> bool:
    """Is this Flask's own route for a static folder, rather than a view that is called ``static``?"""
    blueprint, _, name = endpoint.rpartition(".")
    if name != "static":
        return False
    return (current_app.blueprints[blueprint] if blueprint else current_app).has_static_folder


def _is_login_page(ext: STSession) -> bool:
    login_url = ext.get_login_url()
    return login_url is not None and is_login_page(this_request(), login_url)
