"""Where a browser may be sent next."""

from __future__ import annotations

from flask import request as current_request


def next_url(default: str = "/") -> str:
    """The ``next`` of this request, checked, for a login view to redirect to.

    Taken from the form, else from the query. Only a path of this site passes: exactly one leading slash,
    not followed by a slash or a backslash (browsers read both as the start of another host), and no control
    characters (browsers drop them before they look).

    :param default: what to answer when there is none, or none that is safe.
    """
    wanted = current_request.form.get("next") or current_request.args.get("next")
    return wanted if wanted is not None and is_local_path(wanted) else default


def is_local_path(target: str) -> bool:
    """Does following ``target`` stay on this site, whatever a browser makes of it?"""
    if not target.startswith("/") or target[1:2] in ("/", "\\"):
        return False
    return all(" " <= character != "\x7f" for character in target)
