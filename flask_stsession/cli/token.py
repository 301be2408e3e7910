"""``flask stsession token``: say why a token would be refused, and create tokens for ``curl``."""

from __future__ import annotations

import json
import re
import shlex
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from .. import functions
from ..constants import ANTI_CSRF_HEADER, RID_HEADER
from .arguments import checked_id, checked_name, tenant_option
from .group import Group, app_state
from .inspection import inspect_token
from .output import in_utc, json_option, print_fields, print_json
from .routes import guarded_routes, path_of_guarded_view

if TYPE_CHECKING:
    from ..sessions.session import Session
    from ..web.base import AppState
    from .inspection import Inspection, Kind

token_group: Group = Group(
    "token",
    short_help="Inspect tokens, and create some for curl.",
    help="Inspect tokens, and create some for curl.\n\nTokens are secrets: anyone who has one can act as "
    "that user.",
)

#: Where ``flask run`` serves an app.
_LOCAL: Final = "http://127.0.0.1:5000"

_KINDS: Final[dict[Kind, str]] = {
    "access_token": "access token of a session",
    "refresh_token": "refresh token of a session",
    "jwt": "JWT, but not of a session",
    "unknown": "unknown",
}

#: What may precede a token that was copied from a header or a JSON document.
_BEFORE_TOKEN: Final = re.compile(
    r"""^['"]*(?:(?:authorization|st-access-token|st-refresh-token)\s*:\s*)?(?:bearer\s+)?['"]*""",
    re.IGNORECASE,
)
#: The values of our cookies, among other cookies or attributes too; the access token comes first.
_COOKIES: Final = [
    re.compile(rf"{name}\s*=([^;]*)", re.IGNORECASE) for name in ("sAccessToken", "sRefreshToken")
]


@token_group.command("inspect")
@click.argument("token", default="-", callback=checked_id)
@json_option
def inspect(token: str, as_json: bool) -> None:
    """Decode TOKEN, verify it, and say why a guard would refuse it.

    Without TOKEN, or with -, it is read from standard input, which keeps it out of the list of processes.
    The exit code is 1 if the token would be refused.
    """
    found = inspect_token(app_state(), _bare(_read() if token == "-" else token))
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if found.refusal is not None:
        raise click.exceptions.Exit(1)


def _read() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read().decode("utf-8-sig", "replace")
    typed: str = click.prompt("Token", hide_input=True, err=True)
    return typed


def _bare(text: str) -> str:
    """Return a token without the header, cookies or quotes that it was copied with, and without line ends."""
    text = next((found[1] for found in (each.search(text) for each in _COOKIES) if found), text)
    token = "".join(_BEFORE_TOKEN.sub("", text.strip()).split())
    return token.rstrip("'\";,")


def _print(found: Inspection) -> None:
    fields = [("Kind", _KINDS[found.kind])]
    if found.token is not None:
        fields += [
            ("Session", found.token.session_handle),
            ("User", found.token.user_id),
            ("Tenant", found.token.tenant_id),
        ]
    for name, time in (("Issued", found.issued_at), ("Expires", found.expires_at)):
        if time is not None:
            fields.append((name, in_utc(time)))
    for name, part in (("Header", found.header), ("Payload", found.payload)):
        if part is not None:
            fields.append((name, json.dumps(part, ensure_ascii=False)))
    refusal = found.refusal
    if refusal is None:
        fields.append(("Verdict", "accepted"))
    else:
        fields += [
            ("Verdict", f"refused with {refusal.status} ({refusal.reason})"),
            ("Because", refusal.message),
            ("Remedy", refusal.remedy),
        ]
    print_fields([field for field in fields if field[1]])


@token_group.command("create")
@click.argument("user_id", metavar="USER", callback=checked_name)
@tenant_option
@json_option
def create(user_id: str, tenant_id: str, as_json: bool) -> None:
    """Create a session of the user with the id USER, and print command lines for curl with its tokens.

    The claims of the app are built into it, as at a sign-in. End it with "flask stsession sessions revoke".
    """
    state = app_state()
    session = functions.create_new_session_without_request_response(
        user_id, tenant_id=tenant_id, disable_anti_csrf=state.config.anti_csrf != "VIA_TOKEN"
    )
    lines = curl_lines(state, session)
    if as_json:
        tokens = session.get_all_session_tokens_dangerously()
        print_json(
            {
                "session_handle": session.get_handle(),
                "user_id": session.get_user_id(),
                "tenant_id": session.get_tenant_id(),
                "access_token": tokens["accessToken"],
                "access_token_expires_at": session.access_token_expires_at,
                "refresh_token": tokens["refreshToken"],
                "anti_csrf_token": tokens["antiCsrfToken"],
                "curl": lines.request,
                "curl_refresh": lines.refresh,
            }
        )
        return
    expiry = datetime.fromtimestamp(session.access_token_expires_at / 1000, timezone.utc)
    print_fields(
        [
            ("Session", session.get_handle()),
            ("User", session.get_user_id()),
            ("Tenant", session.get_tenant_id()),
            ("Access token", f"until {in_utc(expiry)}"),
        ]
    )
    click.echo(f"\nSend a request:\n\n{lines.request}\n\nRefresh the session:\n\n{lines.refresh}")


class CurlLines(NamedTuple):
    """Command lines for a POSIX shell.

    :param request: sends the access token to a guarded view, or to ``/`` where there is none.
    :param refresh: exchanges the refresh token; the new tokens are in the headers of the response.
    """

    request: str
    refresh: str


def curl_lines(state: AppState, session: Session) -> CurlLines:
    """Return how to send the tokens of a new session: by header, or by cookie if headers are not allowed."""
    config = state.config
    tokens = session.get_all_session_tokens_dangerously()
    root = (config.api_domain or _LOCAL) + (config.api_gateway_path or "")
    view = root + path_of_guarded_view(guarded_routes(state))
    refresh = root + state.refresh_route
    if config.token_transfer_method != "cookie":
        access, renewing = (f"Authorization: Bearer {tokens[key]}" for key in ("accessToken", "refreshToken"))
        return CurlLines(_curl("-H", access, view), _curl("-i", "-X", "POST", "-H", renewing, refresh))
    names = config.cookie_names
    headers = _anti_csrf_headers(state, tokens["antiCsrfToken"])
    access, renewing = f"{names.access}={tokens['accessToken']}", f"{names.refresh}={tokens['refreshToken']}"
    return CurlLines(
        _curl("-b", access, *headers, view), _curl("-i", "-X", "POST", "-b", renewing, *headers, refresh)
    )


def _curl(*arguments: str) -> str:
    return shlex.join(["curl", *arguments])


def _anti_csrf_headers(state: AppState, anti_csrf_token: str | None) -> list[str]:
    """Return the options that show where requests by cookie come from; all but GETs need them."""
    config = state.config
    origin = config.own_origin(_LOCAL)
    mode = config.anti_csrf_for(origin)
    if mode == "VIA_TOKEN":
        return ["-H", f"{ANTI_CSRF_HEADER}: {anti_csrf_token}"]
    if mode == "VIA_CUSTOM_HEADER":
        return ["-H", f"{RID_HEADER}: anti-csrf"]
    return ["-H", f"Origin: {origin}"] if mode == "VIA_ORIGIN" else []
