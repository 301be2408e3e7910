"""Guards: ``verify_session`` for a view, ``protect`` for an app or a blueprint, and the exceptions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from flask import current_app

from ..claims.base import SessionClaimValidator
from ..errors import ConfigError
from .base import STATE
from .context import app_state_of, this_app, this_app_context, this_request
from .navigation import is_login_page
from .options import SIGNATURE, Names, OverrideValidators, VerifyOptions, verify_options
from .verify import guard_of, load_session, renews_by_itself

if TYPE_CHECKING:
    from flask import Flask, Response

    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., Any])

#: On a guard: its options, also behind decorators that ``functools.wraps`` makes.
OPTIONS = "__stsession_options__"
#: On a function that ``verify_session`` has wrapped, and naming it: the wrapper is what must be registered.
GUARDED = "__stsession_guarded__"
#: On a view function or class that ``session_exempt`` marked, and naming it.
EXEMPT = "__stsession_exempt__"


@overload
def verify_session(anti_csrf_check: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def verify_session(
    anti_csrf_check: bool | None = None,
    session_required: bool = True,
    check_database: bool | None = None,
    override_global_claim_validators: OverrideValidators | None = None,
    *,
    roles: Names | None = None,
    permissions: Names | None = None,
    validators: Sequence[SessionClaimValidator] | None = None,
    max_age_in_sec: float | None = None,
    max_auth_age: float | None = None,
    tenant: str | None = None,
    ignore_invalid: bool = False,
    user_context: Mapping[str, Any] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def verify_session(anti_csrf_check: Any = None, *flags: Any, **options: Any) -> Any:
    """Protect a view: it runs only with a verified session, which it finds in ``g.session``.

    ::

        @app.get("/user")
        @verify_session()
        def user():
            return {"userId": g.session.get_user_id()}

    is short for::

        @app.get("/user")
        def user():
            get_session()          # raises where there is no session
            return {"userId": g.session.get_user_id()}

    With or without parentheses; on functions, ``async def`` functions, methods of a ``MethodView`` and
    ``before_request`` functions. Below the route, never above it; above a CORS decorator, never below it.
    OPTIONS requests never reach the view: they get Flask's default response. Where a POST reaches the guard
    on the path of our refresh route, it refreshes the session.

    :param anti_csrf_check: ``None``: for every method but GET, as ``STSESSION_ANTI_CSRF`` says.
    :param session_required: ``False`` runs the view without a session too; ``g.session`` is then ``None``.
    :param check_database: ask the core whether the session is still there; ``None``: as
        ``STSESSION_CHECK_DATABASE`` says.
    :param override_global_claim_validators: ``f(global_validators, session, user_context)``, which returns
        the validators to run.
    :param roles: a role, a list of them (all are needed), or :func:`any_of`.
    :param permissions: the same for permissions.
    :param validators: run beside the global ones.
    :param max_age_in_sec: of the claims behind ``roles`` and ``permissions``, in s: 0 asks their source now.
    :param max_auth_age: how long ago the user may have signed in, in s; needs ``AuthTimeClaim`` among the
        ``claims``.
    :param tenant: the only tenant whose sessions may pass.
    :param ignore_invalid: with ``session_required=False``: an expired or broken session counts as none.
    :param user_context: copied into the request's own.
    :raises TypeError: at decoration, for an argument of a wrong type.
    :raises ConfigError: at decoration, for arguments that could protect nothing.
    """
    if callable(anti_csrf_check):
        return _guard(anti_csrf_check, verify_options("verify_session()", None, *flags, **options))
    checked = verify_options("verify_session()", anti_csrf_check, *flags, **options)
    return lambda view: _guard(view, checked)


verify_session.__signature__ = SIGNATURE  # type: ignore[attr-defined]


def _guard(view: Callable[P, R], options: VerifyOptions) -> Callable[P, R]:
    if isinstance(view, type):
        raise TypeError(
            f"verify_session decorates functions, and {view.__name__} is a class. Decorate its methods, or "
            "all of them by decorators = [verify_session()] in the class."
        )
    _warn_of_cors_below(view)
    is_async = iscoroutinefunction(view)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        context = this_app_context()
        app_state = context.app.extensions.get(STATE) or app_state_of(context.app)
        request = this_request()
        if request.method == "OPTIONS":
            return default_options_response()  # type: ignore[return-value]
        if app_state.has_pages and renews_by_itself(request):
            return None  # type: ignore[return-value]
        guard = app_state.guards.get(options) or guard_of(app_state, options)
        guard.session(request, context.g)
        if is_async:
            return current_app.ensure_sync(view)(*args, **kwargs)  # type: ignore[no-any-return]
        return view(*args, **kwargs)

    setattr(guarded, OPTIONS, options)
    if is_exempt(view):
        session_exempt(guarded)  # what ``protect`` leaves out may still be guarded by itself
    # Whoever registers one of these, and not the wrapper, misses the guard.
    inner: Any = view
    while inner is not None:
        with suppress(AttributeError):  # a bound method takes no attributes, and stands below no route
            setattr(inner, GUARDED, inner)
        inner = getattr(inner, "__wrapped__", None)
    return guarded


def default_options_response() -> Response:
    """Return Flask's answer to OPTIONS: preflights carry no tokens (Fetch standard, CORS protocol)."""
    return current_app.make_default_options_response()


def _warn_of_cors_below(view: Callable[..., Any]) -> None:
    """Name a decorator below the guard that answers OPTIONS itself: preflights never reach it."""
    methods = getattr(view, "required_methods", ())
    if getattr(view, "provide_automatic_options", None) is False and "OPTIONS" in methods:
        logger.warning(
            "@verify_session() stands above a decorator of the view %r that answers OPTIONS, a CORS "
            "decorator for example. The guard answers preflights, so that decorator never sees them. Put it "
            "above @verify_session().",
            getattr(view, "__name__", view),
        )


def session_exempt(view: V) -> V:
    """Leave a view (a function or a ``View`` class) out of what :meth:`STSession.protect` guards.

    Only the very function or class counts: neither a subclass, nor a wrapper that a decorator makes of it.
    """
    setattr(view, EXEMPT, view)
    return view


def is_exempt(view: Any) -> bool:
    """Return whether ``session_exempt`` marked this view function, or the class behind it."""
    return _is_marked(view, EXEMPT) or _is_marked(getattr(view, "view_class", None), EXEMPT)


def has_lost_exemption(view: Any) -> bool:
    """Return whether the mark of ``session_exempt`` came from a wrapped function or a base class."""
    places = (view, getattr(view, "view_class", None))
    return any(hasattr(each, EXEMPT) for each in places) and not is_exempt(view)


def is_bypassed(view: Any) -> bool:
    """Return whether this is the function that ``verify_session`` has wrapped, not the wrapper."""
    return _is_marked(view, GUARDED)


def _is_marked(target: Any, mark: str) -> bool:
    # ``functools.wraps`` and inheritance hand attributes on, so a mark counts only on what it names.
    attributes = getattr(target, "__dict__", {})
    return mark in attributes and attributes[mark] is target


class Protection:
    """Verify the session of every request but those exempt: the ``before_request`` function of ``protect``.

    :param exempt: endpoint names or view functions.
    :param options: of the guard.
    :raises TypeError: ``exempt`` is one of them rather than a list, or holds something else.
    """

    def __init__(self, exempt: Sequence[str | Callable[..., Any]], options: VerifyOptions) -> None:
        if isinstance(exempt, str) or callable(exempt):
            raise TypeError(
                f"protect() takes a list of endpoint names and functions as exempt=, not {exempt!r}."
            )
        self.endpoints: frozenset[str] = frozenset(each for each in exempt if isinstance(each, str))
        self.views: tuple[Callable[..., Any], ...] = tuple(
            each for each in exempt if not isinstance(each, str)
        )
        for view in self.views:
            if not callable(view):
                raise TypeError(f"protect() takes endpoint names and functions in exempt=, not {view!r}.")
        self.options = options

    def __call__(self) -> Response | None:
        """Verify the session of the current request, unless it is exempt."""
        request = this_request()
        app = this_app()
        endpoint = request.endpoint
        if endpoint is None or endpoint in self.endpoints or _serves_static_files(app, endpoint):
            return None
        app_state: AppState | None = app.extensions.get(STATE)
        if app_state is None:
            raise ConfigError(
                f"protect() guards the app {app.name!r}, which has no STSession: call "
                "stsession.init_app(app) before the first request."
            )
        view = app.view_functions.get(endpoint)
        if view in self.views or is_exempt(view) or request.blueprint == app_state.blueprint.name:
            return None
        login_url = app_state.extension.get_login_url()
        if login_url is not None and is_login_page(request, login_url):
            return None
        if request.method == "OPTIONS":
            return default_options_response()
        load_session(app_state, self.options)
        return None


def _serves_static_files(app: Flask, endpoint: str) -> bool:
    """Return whether this is Flask's own route for a static folder, not a view called ``static``."""
    blueprint, _, name = endpoint.rpartition(".")
    if name != "static":
        return False
    return (app.blueprints[blueprint] if blueprint else app).has_static_folder
