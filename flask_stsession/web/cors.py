"""Find the CORS headers that a response to a page of another origin lacks (Fetch standard)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..constants import ANTI_CSRF_HEADER, AUTH_MODE_HEADER, FDI_VERSION_HEADER, RID_HEADER

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
_ALLOW_CREDENTIALS: Final = "Access-Control-Allow-Credentials"
_ALLOW_HEADERS: Final = "Access-Control-Allow-Headers"

#: Headers that frontends send, and that browsers announce in a preflight.
SENT_BY_FRONTENDS: Final = (RID_HEADER, FDI_VERSION_HEADER, AUTH_MODE_HEADER, ANTI_CSRF_HEADER)


def problem(
    headers: Headers,
    *,
    origin: str,
    with_credentials: bool,
    requested_headers: Iterable[str] = (),
) -> str | None:
    """Return why a browser hides a response from a page of another origin, and the remedy.

    :param headers: of the response.
    :param origin: of the page, as browsers send it.
    :param with_credentials: whether the page sends and receives cookies.
    :param requested_headers: the headers that the page wants to send, if this is the response to its
        preflight.
    :returns: ``None`` if the page may send the request and read the response.
    """
    lacks = _origin_problem(headers.get(ALLOW_ORIGIN), origin, with_credentials=with_credentials)
    if lacks is None and with_credentials and headers.get(_ALLOW_CREDENTIALS) != "true":
        lacks = f"have no {_ALLOW_CREDENTIALS}: true, without which browsers send and keep no cookies"
    if lacks is None:
        refused = _refused_headers(
            headers.get(_ALLOW_HEADERS, ""), requested_headers, with_credentials=with_credentials
        )
        if refused:
            lacks = f"do not allow the request headers {', '.join(refused)} in {_ALLOW_HEADERS}"
    if lacks is None:
        return None
    credentials = "supports_credentials=True, " if with_credentials else ""
    return (
        f"Responses to pages of {origin!r} {lacks}. With Flask-CORS, write CORS(app, origins=[{origin!r}], "
        f'{credentials}allow_headers=["content-type", *get_all_cors_headers()]).'
    )


def _origin_problem(allowed: str | None, origin: str, *, with_credentials: bool) -> str | None:
    if allowed == origin or (allowed == "*" and not with_credentials):
        return None
    if allowed is None:
        return f"have no {ALLOW_ORIGIN}, so browsers do not let those pages read them"
    if allowed == "*":
        return f"have {ALLOW_ORIGIN}: *, which browsers do not accept together with cookies"
    return f"have {ALLOW_ORIGIN}: {allowed}, which is another origin"


def _refused_headers(allowed: str, requested: Iterable[str], *, with_credentials: bool) -> list[str]:
    """Return the requested headers that the page may not send."""
    names = {name.strip().lower() for name in allowed.split(",")}
    # With credentials, a star is no wildcard; and it never includes Authorization.
    takes_any = "*" in names and not with_credentials
    return [
        name
        for name in requested
        if name.lower() not in names and (not takes_any or name.lower() == "authorization")
    ]
