"""Checks of the complete app: its routes, guards and error handlers, made at the first request."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from functools import partial, wraps
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..errors import (
    ConfigError,
    CoreUnavailableError,
    InvalidClaimsError,
    SessionHTTPError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)
from . import pages
from .blueprint import exempt_from_csrf_extensions
from .context import this_request
from .guards import (
    OPTIONS,
    Protection,
    guard_view,
    guards_on,
    has_lost_exemption,
    is_bypassed,
    is_exempt,
    method_decorators_of,
)
from .hints import Hints, is_in_development
from .navigation import endpoint_problem
from .options import VerifyOptions
from .verify import record_verdict

if TYPE_CHECKING:
    from flask import Flask

    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")


#: The attributes that Flask-Caching, ``functools`` and ``cachetools`` set on functions that they cache.
_CACHE_MARKS = ("uncached", "make_cache_key", "cache_info", "cache_key")

#: The extensions that respond to the errors of their views themselves.
_APIS = frozenset(["flask_restful", "flask_restx"])

_VERDICTS = (
    UnauthorisedError,
    TryRefreshTokenError,
    TokenTheftError,
    InvalidClaimsError,
    CoreUnavailableError,
)


class FirstRequest:
    """Checks once, at the first request, everything that has been registered with the app.

    :param app_state: of the app.
    """

    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state
        #: Whether a request needs :meth:`check`: the first, and all later ones if a mistake was found.
        self.checks: bool = True
        self._is_complete = False
        #: The message by endpoint; ``None`` stands for the whole app.
        self._problems: dict[str | None, str] = {}
        self._hints: Hints | None = None

    def check(self) -> None:
        """Check the app at the first request, and refuse to serve views whose guard is misplaced.

        :raises ConfigError: at every request to such a view, or to any view if a mistake concerns the whole
            app; the message says what to write where.
        """
        if not self._is_complete:
            self._check_app()
        problem = self._problems.get(None) or self._problems.get(this_request().endpoint)
        if problem is not None:
            raise ConfigError(problem)

    def _check_app(self) -> None:
        """Check the app; from now on Flask refuses to register anything."""
        app = self._app_state.app
        # ``checks`` becomes false last: until then no request of another thread skips the check.
        for problem in reasons_to_serve_nothing(self._app_state):
            raise ConfigError(problem)
        for endpoint, problem in misplaced_guards(app):
            self._problems.setdefault(endpoint, problem)
        for message in suspicious_routes(self._app_state):
            logger.warning("%s", message)
        _guard_handshakes(app)
        exempt_from_csrf_extensions(app, self._app_state.blueprint)
        _let_own_handlers_record(self._app_state)
        if "handle_user_exception" in vars(app) and not _APIS.isdisjoint(sys.modules):
            _record_before_apis_respond(self._app_state)
        if is_in_development(app):
            self._hints = Hints(self._app_state)
        self._is_complete = True
        self.checks = bool(self._problems)


def reasons_to_serve_nothing(app_state: AppState) -> Iterator[str]:
    """Yield a message, with the remedy, for each mistake that stops every request."""
    changed = app_state.config.changed_since(app_state.app.config)
    if changed:
        yield _set_too_late(changed)
    yield from _unknown_exemptions(app_state.app)
    if any(options.needs_auth_time for options in _guard_options(app_state.app)):
        try:
            app_state.extension.require_auth_time()
        except ConfigError as error:
            yield str(error)


def suspicious_routes(app_state: AppState) -> Iterator[str]:
    """Yield a message, with the remedy, for each route that is probably a mistake."""
    yield from _shared_rules(app_state)
    yield from _lost_exemptions(app_state.app)
    yield from _unusable_login_page(app_state)


def _shared_rules(app_state: AppState) -> Iterator[str]:
    ours = app_state.blueprint.name + "."
    rules: dict[str, set[str]] = {}
    url_map = app_state.app.url_map
    for rule in url_map.iter_rules():
        if rule.endpoint.startswith(ours):
            rules.setdefault(rule.rule.rstrip("/"), set()).update(rule.methods or ())
    for rule in url_map.iter_rules():
        shared = rules.get(rule.rule.rstrip("/"), set()) & (rule.methods or set()) - {"OPTIONS", "HEAD"}
        if shared and not rule.endpoint.startswith(ours):
            yield (
                f"{'/'.join(sorted(shared))} {rule.rule} is served by the endpoint {rule.endpoint!r} of the "
                "app and by a route of flask-stsession. Leave ours out of STSESSION_ROUTES to serve it "
                "yourself."
            )


def _unusable_login_page(app_state: AppState) -> Iterator[str]:
    app, login = app_state.app, app_state.config.login_url
    if login is None or login.startswith("/") or app_state.extension.asks_for_login_url:
        return
    problem = endpoint_problem(app, login)
    # The values that functions of the app give to arguments depend on the request.
    if problem is not None and not (login in app.view_functions and any(app.url_default_functions.values())):
        yield problem


def _set_too_late(keys: list[str]) -> str:
    return (
        f"The value of {' and '.join(keys)} in app.config is not the one that STSession has read, and would "
        "have no effect: settings are read once, by STSession(app) or stsession.init_app(app). Set them "
        "before that. An app factory should take the settings of tests and deployments as an argument, and "
        "set them first."
    )


def _protections(app: Flask) -> Iterator[Protection]:
    functions = chain.from_iterable(app.before_request_funcs.values())
    return (function for function in functions if isinstance(function, Protection))


def _guard_options(app: Flask) -> Iterator[VerifyOptions]:
    """Yield the options of every guard that can be found: of functions, view classes and ``protect``."""
    for protection in _protections(app):
        yield protection.options
    for function in chain.from_iterable(app.before_request_funcs.values()):
        yield from guards_on(function, "")
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ("",):
            yield from guards_on(app.view_functions.get(rule.endpoint), method)


def misplaced_guards(app: Flask) -> Iterator[tuple[str | None, str]]:
    """Yield each guard that does not protect its view: registered without it, or below a cache.

    :returns: pairs of the endpoint whose view must not run (``None``: the whole app), and the problem with
        its remedy.
    """
    for function in chain.from_iterable(app.before_request_funcs.values()):
        if is_bypassed(function) and not is_exempt(function):
            yield None, _bypassed(getattr(function, "__name__", str(function)))
    event = _unguarded_event(app)
    if event is not None:
        yield None, _misordered_event(event)
    for endpoint, view in app.view_functions.items():
        if is_bypassed(view) and not is_exempt(view):
            yield endpoint, _misordered(endpoint)
        if is_cached_above_guard(view):
            yield endpoint, _cached_above(endpoint)


def _unknown_exemptions(app: Flask) -> Iterator[str]:
    """Yield a message, with the remedy, for each exemption of ``protect`` that matches no view."""
    for protection in _protections(app):
        for endpoint in sorted(protection.endpoints - app.view_functions.keys()):
            yield (
                f"protect() got the endpoint {endpoint!r} in exempt=, which the app does not have. Its "
                f"endpoints are {', '.join(sorted(app.view_functions))}."
            )
        for view in protection.views:
            if view not in app.view_functions.values():
                yield (
                    f"protect() got the function {getattr(view, '__name__', view)!r} in exempt=, which is "
                    "not the view of any endpoint. Name its endpoint, or give the function that was "
                    "registered."
                )


def _lost_exemptions(app: Flask) -> Iterator[str]:
    for endpoint, view in app.view_functions.items():
        if has_lost_exemption(view):
            yield (
                f"The view of the endpoint {endpoint!r} is not exempt: @session_exempt marks a function that "
                "a decorator has wrapped since, a base class, or a method. Put @session_exempt right below "
                "the route, or on the class itself."
            )


def _let_own_handlers_record(app_state: AppState) -> None:
    """Make the app's own error handlers record a verdict before they respond to it.

    Flask finds a handler of a status, or of a blueprint, before ours. Such a handler may change the body, but
    the verdict still clears the client, and a browser is still redirected to the login page. Only a handler
    of our own exceptions also replaces the redirect.
    """
    for handlers_by_code in app_state.app.error_handler_spec.values():
        for handlers in handlers_by_code.values():
            for kind, handler in list(handlers.items()):
                if handler is not pages.handle_verdict and _handles_verdicts(kind):
                    handlers[kind] = _recording(app_state, kind, handler)


def _handles_verdicts(kind: type[Exception]) -> bool:
    return issubclass(kind, SessionHTTPError) or any(issubclass(verdict, kind) for verdict in _VERDICTS)


def _recording(
    app_state: AppState, kind: type[Exception], handler: Callable[..., Any]
) -> Callable[[Exception], Any]:
    is_for_ours = issubclass(kind, SessionHTTPError)

    @wraps(handler)
    def handle(error: Exception) -> Any:
        if isinstance(error, SessionHTTPError):
            record_verdict(app_state, error)
            redirect = None if is_for_ours else pages.redirect_for(app_state, error)
            if redirect is not None:
                return redirect
        return app_state.app.ensure_sync(handler)(error)

    return handle


def _record_before_apis_respond(app_state: AppState) -> None:
    """Record verdicts that views raise under Flask-RESTful or Flask-RESTX, before these respond to them.

    Both replace ``app.handle_user_exception`` at their initialisation, and respond to the errors of their
    views without calling Flask's error handlers, so that no verdict would clear tokens or redirect a browser.
    This wraps their method once more, and only if one of them is in use.
    """
    app = app_state.app
    handle = app.handle_user_exception
    handlers_of_apis = list(_handlers_of_apis(handle))
    for handlers in handlers_of_apis:
        for kind, handler in list(handlers.items()):
            if _handles_verdicts(kind):
                handlers[kind] = _sent_as_returned(handler)

    def handle_user_exception(e: Exception) -> Any:
        if isinstance(e, SessionHTTPError):
            record_verdict(app_state, e)
            redirect = None if _has_own_handler(app, e) else pages.redirect_for(app_state, e)
            if redirect is not None:
                return redirect
            has_api_handler = any(isinstance(e, kind) for handlers in handlers_of_apis for kind in handlers)
            if not has_api_handler and _has_own_handler(app, e, by_status=True):
                return type(app).handle_user_exception(app, e)
        return handle(e)

    app.handle_user_exception = handle_user_exception  # type: ignore[method-assign]


def _handlers_of_apis(handle: Any) -> Iterator[dict[type[Exception], Callable[..., Any]]]:
    """Yield the error handlers of each API of Flask-RESTX, and of its namespaces.

    :param handle: ``app.handle_user_exception``, which each API has wrapped around that of the one before.
    """
    while isinstance(handle, partial):
        api = getattr(handle.func, "__self__", None)
        for holder in (api, *getattr(api, "namespaces", ())):
            handlers = getattr(holder, "error_handlers", None)
            if isinstance(handlers, dict):
                yield handlers
        handle = handle.args[0] if handle.args else None


def _sent_as_returned(handler: Callable[[Exception], Any]) -> Callable[[Exception], Any]:
    """Make Flask-RESTX send what its error handler returns for a verdict, not the body of the verdict."""

    @wraps(handler)
    def handle(error: Exception) -> Any:
        result = handler(error)
        if isinstance(error, SessionHTTPError):
            # A copy, because the API adds the message of the exception to it.
            error.data = copy(result[0] if isinstance(result, tuple) else result)
        return result

    return handle


def _has_own_handler(app: Flask, error: SessionHTTPError, *, by_status: bool = False) -> bool:
    """Return whether the app has a handler for one of our exceptions that matches this error.

    :param by_status: count a handler of its status too.
    """
    return any(
        (issubclass(kind, SessionHTTPError) or (by_status and code == error.code))
        and isinstance(error, kind)
        and handler is not pages.handle_verdict
        for name in (*this_request().blueprints, None)
        for code, handlers in app.error_handler_spec.get(name, {}).items()
        for kind, handler in handlers.items()
    )


def _layers(function: Any) -> Iterator[Any]:
    """Yield a function, and each function below it that its decorators have wrapped."""
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def is_cached_above_guard(view: Any) -> bool:
    """Return whether a decorator caches the responses of a guarded view, and so shows them to all users."""
    view_class: Any = getattr(view, "view_class", None)
    for method in (*(getattr(view_class, "methods", None) or ()), "dispatch_request"):
        calls = [*_layers(view), *_layers(_decorated_method(view_class, method.lower()))]
        for depth, function in enumerate(calls):
            if _is_cache(function) and any(hasattr(each, OPTIONS) for each in calls[depth + 1 :]):
                return True
    return False


def _decorated_method(view_class: Any, name: str) -> Any:
    """Return a method of a view class below its ``method_decorators``, as it is called at a request."""
    method = getattr(view_class, name, None)
    for decorator in () if method is None else method_decorators_of(view_class, name):
        with suppress(Exception):  # one that needs a request
            method = decorator(method)
    return method


def _is_cache(function: Any) -> bool:
    """Return whether a function is a cache itself: ``functools.wraps`` copies the marks of one upwards."""
    below = getattr(function, "__wrapped__", None)
    marks = ((getattr(function, mark, None), getattr(below, mark, None)) for mark in _CACHE_MARKS)
    return any(own is not None and own != copied for own, copied in marks)


def _cached_above(endpoint: str) -> str:
    return (
        f"The view of the endpoint {endpoint!r} is cached above @verify_session(): the response to one user "
        "would be shown to everybody, with a session or without. Put the caching decorator below "
        "@verify_session() (before it in a list of decorators), with a key that contains the user id."
    )


def _guard_handshakes(app: Flask) -> None:
    """Make the guards of WebSocket routes run before any decorator above them.

    The route of flask-sock accepts the handshake before it calls the guarded function: too late for an HTTP
    response.
    """
    for rule in app.url_map.iter_rules():
        view: Any = app.view_functions.get(rule.endpoint) if rule.websocket else None
        if view is None or is_bypassed(getattr(view, "__wrapped__", None)):
            continue  # not a WebSocket route, or the guard is outermost already
        guards = dict.fromkeys(vars(each).get(OPTIONS) for each in _layers(view) if hasattr(each, "__dict__"))
        for options in reversed(list(filter(None, guards))):
            view = guard_view(view, options)
        app.view_functions[rule.endpoint] = view


def _unguarded_event(app: Flask) -> str | None:
    """Return the name of an event of Flask-SocketIO whose handler was registered without its guard."""
    server = getattr(app.extensions.get("socketio"), "server", None)
    for handlers in getattr(server, "handlers", {}).values():
        for event, handler in handlers.items():
            if is_bypassed(getattr(handler, "__wrapped__", None)):
                return str(event)
    return None


def _misordered_event(event: str) -> str:
    return (
        f"The handler of the event {event!r} of Flask-SocketIO is not protected: @verify_session() stands "
        "above @socketio.on(...), so the function was registered without it. Put @socketio.on(...) on top "
        "and @verify_session() below it."
    )


def _misordered(endpoint: str) -> str:
    return (
        f"The view of the endpoint {endpoint!r} is not protected: @verify_session() stands above the route, "
        "so the function was registered without it. Put @app.route(...) (or @app.get, @blueprint.post, ...) "
        "on top and @verify_session() below it. If the view is meant to be public as well, mark it with "
        "@session_exempt."
    )


def _bypassed(name: str) -> str:
    return (
        f"The before_request function {name!r} guards nothing: @verify_session() stands above "
        "@before_request, so the function was registered without it. Put @before_request on top and "
        "@verify_session() below it."
    )
