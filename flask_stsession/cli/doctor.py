"""``flask stsession doctor``: show the settings in effect, what is wrong, and what to write instead."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import click
from flask import got_request_exception
from flask.cli import with_appcontext
from werkzeug.routing import Map, Rule

from ..config.checks import suspicious_combinations
from ..constants import CDI_VERSIONS, DYNAMIC_KID_PREFIX, STATIC_KID_PREFIX
from ..core.http import CoreCall
from ..core.in_process import IN_MEMORY
from ..core.roles import RoleCalls
from ..errors import STSessionError
from ..sessions.assembly import make_transport
from ..web import cors
from ..web.first_request import misplaced_guards, reasons_to_serve_nothing, suspicious_routes
from ..web.navigation import no_such_login_page, path_in
from .group import Command, app_state, on_stsession, quiet
from .output import json_option, listed, print_json, print_table
from .routes import guarded_routes, path_of_guarded_view
from .settings import effective_settings

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from ..core.in_process import AppCore
    from ..web.base import AppState

_VERSIONS: Final = CoreCall("GET", "/apiversion", repeatable=True)

#: The largest difference (s) between two clocks that network and rounding explain.
_MOST_DIFFERENCE_SECONDS: Final = 10

#: ``note``: worth knowing, and right in development.
Status = Literal["ok", "note", "finding"]


@dataclass(frozen=True)
class Check:
    """The result of one check.

    :param check: what was checked, in one word.
    :param message: what the check found; for a finding also what to write or do instead.
    """

    check: str
    status: Status
    message: str


@click.command("doctor", cls=Command)
@json_option
@with_appcontext
@on_stsession
def doctor(as_json: bool) -> None:
    """Check settings, core, signing keys, clock, cookies, CORS and routes.

    Each finding says what to write or do instead; the exit code is then 1. Defaults for development are
    not findings. Run it where the app runs, with the same settings.
    """
    state = app_state()
    checks = list(check_up(state))
    settings = effective_settings(state)
    findings = [each for each in checks if each.status == "finding"]
    if as_json:
        print_json(
            {
                "findings": len(findings),
                "checks": [asdict(each) for each in checks],
                "settings": [each.to_json() for each in settings],
            }
        )
    else:
        print_table(
            ("STATUS", "CHECK", "MESSAGE"),
            [(each.status.upper(), each.check, each.message) for each in checks],
        )
        click.echo()
        print_table(
            ("SETTING", "SOURCE", "VALUE"),
            [(each.key, each.source, each.words) for each in settings if each.source != "default"],
        )
        click.echo("\nAll other settings have their defaults: flask stsession settings shows them.")
    if findings:
        raise click.exceptions.Exit(1)


def check_up(state: AppState) -> Iterator[Check]:
    """Yield what each check says about an app."""
    yield from _settings(state)
    yield from _core(state)
    yield from _cookies(state)
    yield from _cors(state)
    yield from _routes(state)


def _settings(state: AppState) -> Iterator[Check]:
    """Check the settings against each other."""
    problems = [message for _, message in suspicious_combinations(state.config)]
    for message in problems:
        yield Check("cookies" if "cookies" in message else "settings", "finding", message)
    if state.config.api_domain is None:
        yield Check(
            "settings",
            "note",
            "STSESSION_API_DOMAIN is not set: the app is in local development, and creates no session on a "
            "public host.",
        )
    elif not problems:
        yield Check("settings", "ok", f"They agree, for the API at {state.config.api_domain}.")


def _core(state: AppState) -> Iterator[Check]:
    """Check that the core responds, accepts our API key, speaks our interface, and has keys and a clock."""
    if state.core is not None:
        yield from _database(state.core)
    elif len(state.config.core_hosts) > 1:
        yield from map(partial(_host, state), state.config.core_hosts)
    try:
        reply = state.transport.send(_VERSIONS)
        versions = reply.texts("versions")
        now = time.time()
        RoleCalls(state.manager.client).list_roles()  # needs the API key
    except STSessionError as error:
        yield Check("core", "finding", str(error))
        return
    where = "in this process" if state.core is not None else f"at {', '.join(state.config.core_hosts)}"
    yield Check("core", "ok", f"The core {where} responds, and accepts our requests.")
    yield _versions(state, versions)
    yield _keys(state)
    yield _clock(reply.date, now)


def _host(state: AppState, host: str) -> Check:
    """Check one host of several, whose failure the others hide."""
    transport = make_transport(state.config, hosts=[host])
    try:
        transport.send(_VERSIONS)
    except STSessionError as error:
        return Check("core", "finding", str(error))
    finally:
        transport.close()
    return Check("core", "ok", f"The host {host} responds.")


def _database(core: AppCore) -> Iterator[Check]:
    try:
        database = core.locate()
    except STSessionError:  # the first request to the core reports it
        return
    if database == IN_MEMORY:
        yield Check(
            "core",
            "note",
            "Sessions are kept in memory: they end with the process, and each process has its own.",
        )
    else:
        yield Check("core", "ok", f"The embedded core keeps sessions in {database}.")


def _versions(state: AppState, theirs: list[str]) -> Check:
    pinned = state.config.cdi_version
    spoken = f"the core speaks {', '.join(_sorted(theirs))}, this package {', '.join(CDI_VERSIONS)}"
    if pinned is not None and pinned not in theirs:
        return Check(
            "versions",
            "finding",
            f"STSESSION_CDI_VERSION = {pinned!r}, but {spoken}. Write a version that both speak, or remove "
            "it.",
        )
    try:
        used = ".".join(map(str, state.manager.client.cdi))
    except STSessionError as error:
        return Check("versions", "finding", str(error))
    return Check("versions", "ok", f"CDI {used} is used: {spoken}.")


def _sorted(versions: Iterable[str]) -> list[str]:
    """Return versions in order: 2.9 before 2.10."""
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".") if part.isdigit()])


def _keys(state: AppState) -> Check:
    try:
        kids = [str(key.get("kid")) for key in state.manager.keys.raw()]
    except STSessionError as error:
        return Check("keys", "finding", str(error))
    is_dynamic = state.config.use_dynamic_access_token_signing_key
    prefix = DYNAMIC_KID_PREFIX if is_dynamic else STATIC_KID_PREFIX
    if not any(kid.startswith(prefix) for kid in kids):
        return Check(
            "keys",
            "finding",
            f"The core has no signing key whose id begins with {prefix!r}; it has {listed(kids)}. Write "
            f"STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY = {not is_dynamic}, or create a session, so "
            "that the core makes one.",
        )
    return Check("keys", "ok", f"The core signs with {listed(kids)}.")


def _clock(date: str | None, now: float) -> Check:
    """Compare the clock of this host with the core's."""
    if date is None:
        return Check("clock", "ok", "It is that of the core, or the core sends no Date to compare it with.")
    try:
        ahead = round(now - parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return Check("clock", "note", f"The core sends a Date that is not a date: {date[:50]!r}.")
    if abs(ahead) <= _MOST_DIFFERENCE_SECONDS:
        return Check("clock", "ok", "It agrees with the core's.")
    effect = "expire that much too early" if ahead > 0 else "are accepted for that much too long"
    return Check(
        "clock",
        "finding",
        f"The clock of this host is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the core's: "
        f"access tokens {effect}. Set the clock of the host whose time is wrong.",
    )


def _cookies(state: AppState) -> Iterator[Check]:
    """Say which cookies follow from the domains; ``_settings`` reports cookies that browsers do not keep."""
    config = state.config
    if config.token_transfer_method == "header":
        yield Check("cookies", "ok", "None are used: tokens travel by header.")
        return
    origin = config.api_domain
    if origin is None:
        yield Check("cookies", "note", "SameSite and Secure follow the host and the scheme of each request.")
        return
    decided = config.decisions(origin)
    host = config.cookie_domain or (config.api.host if config.api is not None else origin)
    secure = "Secure" if decided.secure else "not Secure"
    websites = f" and pages of {', '.join(config.website_domain)}" if config.website_domain else ""
    yield Check(
        "cookies",
        "ok",
        f"For {host}{websites}: SameSite {decided.same_site}, {secure}; anti-CSRF {decided.anti_csrf}.",
    )


def _cors(state: AppState) -> Iterator[Check]:
    """Send the app the preflights of its websites on other origins."""
    config = state.config
    origins = [each for each in config.website_domain or () if each != config.api_domain]
    if not origins:
        yield Check(
            "cors", "ok", "Not needed: there is no website on another origin in STSESSION_WEBSITE_DOMAIN."
        )
    for origin in origins:
        paths = dict.fromkeys((state.refresh_route, path_of_guarded_view(guarded_routes(state))))
        problems = [(path, _preflight_problem(state, origin, path)) for path in paths]
        for path, problem in problems:
            if problem is not None:
                yield Check("cors", "finding", f"OPTIONS {path}: {problem}")
        if not any(problem for _, problem in problems):
            yield Check("cors", "ok", f"Pages of {origin} may send requests with sessions.")


def _preflight_problem(state: AppState, origin: str, path: str) -> str | None:
    """Return what is wrong with the app's response to a preflight that a page sends for a path.

    ``None`` if nothing is.
    """
    by_header = state.config.token_transfer_method == "header"
    requested = (*cors.SENT_BY_FRONTENDS, *(["authorization"] if by_header else []))
    outcome = _preflight(state, origin, path, requested)
    if isinstance(outcome, Exception):
        return f"The app fails when it gets a preflight: {type(outcome).__name__}: {outcome}"
    problem = cors.problem(
        outcome, origin=origin, with_credentials=not by_header, requested_headers=requested
    )
    return problem and f"{problem} If a proxy in front of the app adds these headers, look there."


def _preflight(state: AppState, origin: str, path: str, requested: Iterable[str]) -> Headers | Exception:
    """Send the app a preflight; return the headers of the response, or what the app raised."""
    raised: list[Exception] = []

    def note(_sender: object, *, exception: Exception, **_: object) -> None:
        raised.append(exception)

    with (
        got_request_exception.connected_to(note, state.app),
        quiet(state.app.logger.name, below=logging.CRITICAL),
    ):
        try:
            response = state.app.test_client(use_cookies=False).options(
                path,
                base_url=state.config.api_domain,
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": ", ".join(requested),
                },
            )
        except Exception as error:  # noqa: BLE001 (the app's own, where it propagates them)
            return error
    return raised[0] if raised else response.headers


def _routes(state: AppState) -> Iterator[Check]:
    problems = [
        *reasons_to_serve_nothing(state),
        *(message for _, message in misplaced_guards(state.app)),
        *suspicious_routes(state),
        *_missing_login_path(state),
    ]
    for message in problems:
        yield Check("routes", "finding", message)
    routes = guarded_routes(state)
    guarded = sum(route.is_guarded for route in routes)
    if not problems:
        yield Check(
            "routes",
            "ok",
            f"{guarded} of {len(routes)} are guarded; flask stsession routes shows how.",
        )


def _missing_login_path(state: AppState) -> Iterator[str]:
    """Yield a message if the login page has a path that the app does not serve on any host."""
    login = state.config.login_url
    if login is None or not login.startswith("/"):
        return
    url_map = state.app.url_map
    rules = [
        Rule(each.rule, **{**each.get_empty_kwargs(), "host": None, "subdomain": None})
        for each in url_map.iter_rules()
    ]
    if not Map(rules, converters=url_map.converters).bind("localhost").test(path_in(login)):
        yield no_such_login_page(login)
