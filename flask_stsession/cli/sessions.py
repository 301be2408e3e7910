"""``flask stsession sessions``: list, show and revoke sessions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .. import functions
from ..errors import SessionDoesNotExistError
from .arguments import checked_name, handle_argument, user_argument
from .group import Group
from .output import in_utc, json_option, print_fields, print_json, print_table, shortened_json

if TYPE_CHECKING:
    from ..core.models import SessionInformation

sessions_group: Group = Group(
    "sessions",
    short_help="List, show and revoke sessions.",
    help="List, show and revoke sessions.\n\nRunning processes accept the access token of a revoked session "
    "until it expires, unless they ask the core (STSESSION_CHECK_DATABASE, check_database=True).",
)

_tenant_option = click.option(
    "--tenant", "tenant_id", callback=checked_name, help="The tenant; by default, all tenants."
)


@sessions_group.command("list")
@user_argument
@_tenant_option
@json_option
def list_sessions(user_id: str, tenant_id: str | None, as_json: bool) -> None:
    """List the sessions of the user with the id USER, oldest first."""
    found = functions.list_sessions(user_id, tenant_id=tenant_id)
    if as_json:
        print_json([_as_dict(session) for session in found])
    elif found:
        print_table(
            ("HANDLE", "TENANT", "CREATED", "EXPIRES"),
            [
                (each.session_handle, each.tenant_id, in_utc(each.created_at), in_utc(each.expires_at))
                for each in found
            ],
        )
    else:
        click.echo(f"{user_id!r} has no sessions{_within(tenant_id)}.", err=True)


@sessions_group.command("show")
@handle_argument
@json_option
def show_session(handle: str, as_json: bool) -> None:
    """Show what the core stores about the session with the handle HANDLE."""
    found = functions.get_session_information(handle)
    if found is None:
        raise SessionDoesNotExistError(handle)
    if as_json:
        print_json(_as_dict(found))
        return
    print_fields(
        [
            ("Handle", found.session_handle),
            ("User", found.user_id),
            ("Login method", found.recipe_user_id),
            ("Tenant", found.tenant_id),
            ("Created", in_utc(found.created_at)),
            ("Expires", in_utc(found.expires_at)),
            ("Payload", shortened_json(found.custom_claims_in_access_token_payload)),
            ("Data", shortened_json(found.session_data_in_database)),
        ]
    )


@sessions_group.command("revoke")
@handle_argument
@json_option
def revoke_session(handle: str, as_json: bool) -> None:
    """End the session with the handle HANDLE."""
    if not functions.revoke_session(handle):
        raise SessionDoesNotExistError(handle)
    if as_json:
        print_json({"session_handle": handle, "revoked": True})
    else:
        click.echo(f"Revoked the session {handle!r}.")


@sessions_group.command("revoke-all")
@user_argument
@_tenant_option
@json_option
def revoke_all_sessions(user_id: str, tenant_id: str | None, as_json: bool) -> None:
    """End all sessions of the user with the id USER. With --json, print their handles."""
    revoked = functions.revoke_all_sessions_for_user(user_id, tenant_id=tenant_id)
    if as_json:
        print_json(sorted(revoked))
        return
    number = f"{len(revoked)} session{'' if len(revoked) == 1 else 's'}" if revoked else "no session"
    click.echo(f"Revoked {number} of {user_id!r}{_within(tenant_id)}.")


def _within(tenant_id: str | None) -> str:
    return "" if tenant_id is None else f" in the tenant {tenant_id!r}"


def _as_dict(session: SessionInformation) -> dict[str, Any]:
    times = {"created_at": session.created_at.isoformat(), "expires_at": session.expires_at.isoformat()}
    return {**asdict(session), **times}
