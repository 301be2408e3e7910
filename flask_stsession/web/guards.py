"""Guards: ``verify_session`` for a view, ``protect`` for an app or a blueprint, ``session_exempt``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from flask import current_app

from ..claims.base import SessionClaimValidator
from ..errors import ConfigError, SessionHTTPError
from .base import STATE
from .context import app_state_of, find_app_state, this_app, this_app_context, this_request
from .navigation import is_login_page
from .options import REQUIRED, SIGNATURE, Names, OverrideValidators, VerifyOptions, verify_options
from .sockets import details_of, is_connecting, is_event, let_refuse, refused_for_fault
from .verify import guard_of, is_renewal_route, load_session, record_verdict

if TYPE_CHECKING:
    from flask import Flask, Request, Response


logger: logging.Logger = logging.getLogger("flask_stsession")

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound=Callable[..., Any])

#: Holds the options, on a guard and on the decorator that makes it; ``functools.wraps`` copies it upwards.
OPTIONS = "__stsession_options__"
#: Holds the function itself, on a function that ``verify_session`` has wrapped: only the wrapper may be
#: registered.
GUARDED = "__stsession_guarded__"
#: Holds the function or class itself, on one that ``session_exempt`` marked.
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


def verify_session(*arguments: Any, **options: Any) -> Any:
    """Protect a view: run it only with a verified session, and put that into ``g.session``.

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

    Works with or without parentheses; on functions, ``async def`` functions, methods of a ``MethodView`` and
    ``before_request`` functions. Put it below the route, never above it; below a CORS decorator, never above
    it. OPTIONS requests never reach the view: they get Flask's default response. A POST to the path of our
    refresh route refreshes the session.

    Below ``@socketio.on`` of Flask-SocketIO it refuses the connection or the event; below the route of
    flask-sock it refuses the handshake. A socket by cookie needs one of our origins as ``Origin``.

    :param anti_csrf_check: whether to check anti-CSRF, whatever the method; ``None``: for every method but
        GET, in the mode of ``STSESSION_ANTI_CSRF``.
    :param session_required: ``False`` runs the view without a session too; ``g.session`` is then ``None``.
    :param check_database: ask the core whether the session still exists; ``None``: as
        ``STSESSION_CHECK_DATABASE`` says.
    :param override_global_claim_validators: ``f(global_validators, session, user_context)``, which returns
        the validators to run.
    :param roles: a role, a list of them (all are needed), or :func:`any_of`.
    :param permissions: the same for permissions.
    :param validators: run beside the global ones.
    :param max_age_in_sec: of the claims behind ``roles`` and ``permissions``, in s; 0: fetch them now.
    :param max_auth_age: how long ago the user may have signed in, in s; needs ``AuthTimeClaim`` among the
        ``claims``.
    :param tenant: the only tenant whose sessions may pass.
    :param ignore_invalid: with ``session_required=False``: treat an expired or invalid session as none.
    :param user_context: copied into that of the request.
    :raises TypeError: at decoration, for an argument of a wrong type.
    :raises ConfigError: at decoration, for arguments that could protect nothing.
    """
    if arguments and callable(arguments[0]):
        view, *flags = arguments
        return guard_view(view, verify_options("verify_session()", None, *flags, **options))
    if arguments == (None,) and not options:
        raise _nothing_to_guard()  # without parentheses, above a decorator that returns nothing
    checked = verify_options("verify_session()", *arguments, **options)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        return guard_view(view, checked)

    setattr(decorate, OPTIONS, checked)
    return decorate


verify_session.__signature__ = SIGNATURE  # type: ignore[attr-defined]
setattr(verify_session, OPTIONS, REQUIRED)  # for the decorator without parentheses


def guard_view(view: Callable[P, R], options: VerifyOptions) -> Callable[P, R]:
    """Wrap a view in a guard with these options.

    :raises TypeError: the view is a class, or not callable.
    """
    if not callable(view):
        raise _nothing_to_guard()
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
        request = this_request()
        if "sid" in request.__dict__ and is_event(request):
            return _handle_event(view, options, request, *args, **kwargs)
        # Looked up here rather than by a call, as this runs at every request.
        app_state = context.app.extensions.get(STATE) or app_state_of(context.app)
        if request.method == "OPTIONS":
            return default_options_response()  # type: ignore[return-value]
        if app_state.has_pages and is_renewal_route(request):
            return None  # type: ignore[return-value]
        guard = app_state.guards.get(options) or guard_of(app_state, options)
        guard.session(request, context.g)
        if is_async:
            return current_app.ensure_sync(view)(*args, **kwargs)  # type: ignore[no-any-return]
        return view(*args, **kwargs)

    setattr(guarded, OPTIONS, options)
    if is_exempt(view):
        session_exempt(guarded)  # a view that ``protect`` leaves out may have a guard of its own
    # To register one of these instead of the wrapper would bypass the guard.
    inner: Any = view
    while inner is not None:
        with suppress(AttributeError):  # a bound method takes no attributes
            setattr(inner, GUARDED, inner)
        inner = getattr(inner, "__wrapped__", None)
    return guarded


def _nothing_to_guard() -> TypeError:
    return TypeError(
        "verify_session decorates functions, not None. The decorator below it returns nothing, as the route "
        "of flask-sock does: put that on top and @verify_session() below it."
    )


def _handle_event(
    handler: Callable[..., R], options: VerifyOptions, request: Request, *args: Any, **kwargs: Any
) -> R:
    """Run a handler of Flask-SocketIO with a verified session, or refuse the connection or the event.

    If the client asked for an acknowledgement of its event, the verdict is sent as the acknowledgement.

    :raises ConnectionRefusedError: that of Flask-SocketIO, from a ``connect`` handler.
    """
    try:
        app_state = app_state_of(this_app())
        load_session(app_state, options)
    except SessionHTTPError as error:
        return _refuse_event(error, request, *args)  # type: ignore[no-any-return]
    except Exception as error:
        if not is_connecting(request):
            raise
        raise refused_for_fault(error) from error
    try:
        return current_app.ensure_sync(handler)(*args, **kwargs)  # type: ignore[no-any-return]
    except SessionHTTPError as error:
        # The handler itself raised the verdict, and Flask runs no error handler here.
        record_verdict(app_state, error)
        return _refuse_event(error, request, *args)  # type: ignore[no-any-return]


def _refuse_event(error: SessionHTTPError, request: Request, *args: Any) -> Any:
    if not is_connecting(request):
        return details_of(error)
    if args and hasattr(args[0], "trigger_event") and hasattr(args[0], "error"):
        return False  # a Namespace class whose method ``error`` would swallow the exception
    let_refuse(error)
    raise error


def default_options_response() -> Response:
    """Return Flask's response to OPTIONS: preflights carry no tokens (Fetch standard, CORS protocol)."""
    return current_app.make_default_options_response()


def _warn_of_cors_below(view: Callable[..., Any]) -> None:
    """Warn of a decorator below the guard that answers OPTIONS itself: preflights never reach it."""
    methods = getattr(view, "required_methods", ())
    if getattr(view, "provide_automatic_options", None) is False and "OPTIONS" in methods:
        logger.warning(
            "@verify_session() stands above a decorator of the view %r that answers OPTIONS, a CORS "
            "decorator for example. The guard answers preflights, so that decorator never sees them. Put it "
            "above @verify_session().",
            getattr(view, "__name__", view),
        )


def session_exempt(view: V) -> V:
    """Exempt a view (a function or a ``View`` class) from :meth:`STSession.protect`.

    The mark counts only on this very function or class: not on a subclass, a method or a decorator's wrapper.

    :raises TypeError: the view is a bound method, or neither a function nor a class.
    """
    with suppress(AttributeError):  # a bound method takes no attributes
        if callable(view):
            setattr(view, EXEMPT, view)
            return view
    raise TypeError(
        f"session_exempt marks a view function or a View class, not {view!r}. To exempt a view by the name "
        "of its endpoint, write protect(app, exempt=[name])."
    )


def is_exempt(view: Any) -> bool:
    """Return whether ``session_exempt`` marked this view function, or the class behind it."""
    return _is_marked(view, EXEMPT) or _is_marked(getattr(view, "view_class", None), EXEMPT)


def has_lost_exemption(view: Any) -> bool:
    """Return whether ``session_exempt`` marked a wrapped function, a base class or a method instead."""
    view_class: Any = getattr(view, "view_class", None)
    names = getattr(view_class, "methods", None) or ()
    places = (view, view_class, *(getattr(view_class, name.lower(), None) for name in names))
    return any(hasattr(each, EXEMPT) for each in places) and not is_exempt(view)


def is_bypassed(view: Any) -> bool:
    """Return whether this is the function that ``verify_session`` has wrapped, not the wrapper."""
    return _is_marked(view, GUARDED)


def guards_on(view: Any, method: str) -> list[VerifyOptions]:
    """Return the options of the guards on a view function, and on the methods of its view class."""
    view_class: Any = getattr(view, "view_class", None)
    name = method.lower()
    methods = (getattr(view_class, each, None) for each in ("dispatch_request", name))
    places = (view, *methods, *method_decorators_of(view_class, name))
    found = [getattr(each, OPTIONS, None) for each in places]
    return [options for options in found if isinstance(options, VerifyOptions)]


def method_decorators_of(view_class: Any, name: str) -> Iterable[Any]:
    """Return the decorators that Flask-RESTful and Flask-RESTX apply to a method, innermost first."""
    decorators: Iterable[Any] = getattr(view_class, "method_decorators", ())
    return decorators.get(name, ()) if isinstance(decorators, Mapping) else decorators


def _is_marked(target: Any, mark: str) -> bool:
    # ``functools.wraps`` and inheritance copy attributes, so a mark counts only on the object that it holds.
    attributes = getattr(target, "__dict__", {})
    return mark in attributes and attributes[mark] is target


class Protection:
    """Verify the session of every request that is not exempt: the ``before_request`` function of ``protect``.

    :param exempt: endpoint names or view functions.
    :param options: of the guard.
    :raises TypeError: ``exempt`` is not a list, or an item is neither a name nor a function.
    """

    def __init__(self, exempt: Sequence[str | Callable[..., Any]], options: VerifyOptions) -> None:
        if isinstance(exempt, str) or callable(exempt) or not isinstance(exempt, Iterable):
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

    def exempts(self, app: Flask, endpoint: str) -> bool:
        """Return whether an endpoint is exempt by name, view or mark, or serves static files."""
        if endpoint in self.endpoints or _serves_static_files(app, endpoint):
            return True
        view = app.view_functions.get(endpoint)
        return view in self.views or is_exempt(view)

    def __call__(self) -> Response | None:
        """Verify the session of the current request, unless it is exempt."""
        request = this_request()
        app = this_app()
        endpoint = request.endpoint
        if endpoint is None or self.exempts(app, endpoint):
            return None
        app_state = find_app_state(app)
        if app_state is None:
            raise ConfigError(
                f"protect() guards the app {app.name!r}, which has no STSession: call "
                "stsession.init_app(app) before the first request."
            )
        if request.blueprint == app_state.blueprint.name:
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
