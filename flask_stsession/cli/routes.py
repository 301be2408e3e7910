"""``flask stsession routes``: how each URL rule of the app is guarded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from flask.cli import with_appcontext

from ..claims.validators import AgedValidator
from ..web.first_request import misplaced_guards
from ..web.guards import Protection, guards_on, is_exempt
from ..web.navigation import path_in
from .group import Command, app_state, on_stsession
from .output import json_option, print_json, print_table

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.routing import Rule

    from ..claims.base import SessionClaimValidator
    from ..web.base import AppState
    from ..web.options import VerifyOptions

#: What guards a route: ``protect``, a guarded ``before_request`` function, its own decorator. Where nothing
#: guards it: ``exempt`` from ``protect``, a route of this package (``own``), static files, or ``none``.
GuardKind = Literal["protect", "before_request", "verify_session", "exempt", "own", "static", "none"]

_WORDS: Final[dict[GuardKind, str]] = {
    "own": "a route of flask-stsession",
    "static": "none (static files)",
    "none": "none (the view may call get_session)",
}


@dataclass(frozen=True)
class GuardedRoute:
    """A URL rule, and how requests with some of its methods are guarded.

    :param guards: in the order in which they run; one of the last four values of ``GuardKind`` stands alone.
    :param asks: what the guards ask for beyond a session, in words.
    :param problem: why a guard does not work, and what to write instead; such routes respond with 500.
    """

    rule: str
    endpoint: str
    methods: list[str]
    guards: list[GuardKind]
    asks: list[str]
    problem: str | None

    @property
    def is_guarded(self) -> bool:
        """Whether requests without a session are refused, unless it is optional."""
        return bool({"protect", "before_request", "verify_session"}.intersection(self.guards))


@click.command("routes", cls=Command)
@json_option
@with_appcontext
@on_stsession
def list_routes(as_json: bool) -> None:
    """Show how each route is guarded: by verify_session, by protect, or not at all.

    Routes without a guard may still call get_session() or use current_session. The exit code is 1 if a guard
    is in the wrong place.
    """
    routes = guarded_routes(app_state())
    if as_json:
        print_json([asdict(route) for route in routes])
    else:
        print_table(
            ("METHODS", "RULE", "ENDPOINT", "GUARD"),
            [(", ".join(route.methods), route.rule, route.endpoint, _in_words(route)) for route in routes],
        )
    problems = dict.fromkeys(route.problem for route in routes if route.problem is not None)
    for problem in () if as_json else problems:
        click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _in_words(route: GuardedRoute) -> str:
    guards = ", ".join(_WORDS.get(guard, guard) for guard in route.guards)
    if route.problem is not None:
        guards = "MISPLACED"
    return f"{guards}: {', '.join(route.asks)}" if route.asks else guards


def guarded_routes(state: AppState) -> list[GuardedRoute]:
    """Return the sorted routes of an app, with an entry for each way in which a route guards its methods."""
    app = state.app
    problems = dict(misplaced_guards(app))
    found: list[GuardedRoute] = []
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint)):
        by_method = [(_guards_of(state, rule, method), method) for method in _methods_of(rule)]
        by_method.sort(key=lambda pair: str(pair[0]))  # stable: methods stay in order
        for (guards, asks), group in groupby(by_method, key=lambda pair: pair[0]):
            found.append(
                GuardedRoute(
                    rule=rule.rule,
                    endpoint=rule.endpoint,
                    methods=[method for _, method in group],
                    guards=guards,
                    asks=asks,
                    problem=problems.get(rule.endpoint) or problems.get(None),
                )
            )
    return found


def path_of_guarded_view(routes: Iterable[GuardedRoute]) -> str:
    """Return the path of a view that a GET with any session reaches, or ``/`` if there is none."""
    return next(
        (
            route.rule
            for route in routes
            if route.is_guarded
            and "GET" in route.methods
            and "<" not in route.rule
            and not route.asks
            and route.problem is None
        ),
        "/",
    )


def _methods_of(rule: Rule) -> list[str]:
    """Return the methods that reach the view; HEAD and OPTIONS only if there are no others."""
    if rule.websocket:
        return ["WEBSOCKET"]
    methods = rule.methods or set()
    return sorted(methods - {"HEAD", "OPTIONS"}) or sorted(methods)


def _guards_of(state: AppState, rule: Rule, method: str) -> tuple[list[GuardKind], list[str]]:
    """Return what guards a rule for a method, and what that asks for."""
    app, endpoint = state.app, rule.endpoint
    if endpoint.startswith(f"{state.blueprint.name}."):
        return ["own"], []
    guards: list[GuardKind] = []
    options: list[VerifyOptions] = []
    is_left_out = False
    for function in _before_request_functions(app, endpoint):
        if isinstance(function, Protection):
            if function.exempts(app, endpoint) or _is_login_page(state, rule):
                is_left_out = True
            else:
                guards.append("protect")
                options.append(function.options)
        elif own := guards_on(function, method):
            guards.append("before_request")
            options.extend(own)
    view = app.view_functions.get(endpoint)
    if own := guards_on(view, method):
        guards.append("verify_session")
        options.extend(own)
    if guards:
        return guards, [words for each in options for words in _asks(each)]
    if endpoint.rpartition(".")[2] == "static" and rule.rule.endswith("/<path:filename>"):
        return ["static"], []
    return ["exempt" if is_left_out or is_exempt(view) else "none"], []


def _before_request_functions(app: Flask, endpoint: str) -> Iterator[Callable[..., Any]]:
    """Yield what runs before the view of an endpoint: the app's functions, then those of its blueprints."""
    names = endpoint.split(".")[:-1]
    blueprints = [".".join(names[: count + 1]) for count in range(len(names))]
    for scope in (None, *blueprints):
        yield from app.before_request_funcs.get(scope, ())


def _is_login_page(state: AppState, rule: Rule) -> bool:
    login, rules = state.config.login_url, list(state.app.url_map.iter_rules())
    if login is None:
        return False
    if not login.startswith("/"):
        return any(each.endpoint == login and each.rule == rule.rule for each in rules)
    path = path_in(login)
    is_redirected = all(each.rule != path for each in rules)
    return rule.rule == path or (is_redirected and rule.rule == f"{path}/")


def _asks(options: VerifyOptions) -> Iterator[str]:
    """Yield what a guard asks for beyond a session, in words."""
    if not options.session_required:
        yield "session optional"
    if options.tenant is not None:
        yield f"tenant {options.tenant!r}"
    if options.check_database is not None:
        yield f"check_database={options.check_database}"
    if options.anti_csrf_check is not None:
        yield f"anti_csrf_check={options.anti_csrf_check}"
    if options.override_global_claim_validators is not None:
        yield "global validators overridden"
    yield from map(_validator_in_words, options.validators)


def _validator_in_words(validator: SessionClaimValidator) -> str:
    """Return what a validator expects: ``st-role must include 'admin'``."""
    expected_key = getattr(validator, "expected_key", None)
    if not isinstance(validator, AgedValidator) or expected_key is None:
        return validator.id
    words = re.sub("([A-Z])", lambda letter: f" {letter[0].lower()}", expected_key)
    must = words.replace("expected value", "must be").replace("expected to", "must")
    expected = list(validator.expected) if isinstance(validator.expected, tuple) else validator.expected
    return f"{validator.id} {must} {expected!r}"
