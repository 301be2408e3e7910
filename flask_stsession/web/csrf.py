"""Decide whether a request may use, or change, the cookies of its client: anti-CSRF.

Pure functions of a request's headers, for sessions by cookie. A token in a header needs no further proof:
only our own scripts can put it there. The modes are those of ``STSESSION_ANTI_CSRF``:

- ``VIA_TOKEN``: the header ``anti-csrf`` must hold the anti-CSRF token of the access token;
- ``VIA_CUSTOM_HEADER``: there must be a header ``rid``, with any value. A form cannot send it, and a script
  of another site only after a CORS preflight;
- ``VIA_ORIGIN``: the browser must say that one of our own pages made the request;
- ``NONE``: no check.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Literal, Protocol

from ..constants import ANTI_CSRF_HEADER, RID_HEADER
from ..errors import Reason, TryRefreshTokenError, UnauthorisedError

if TYPE_CHECKING:
    from ..config.config import AntiCsrf, Config

    #: The kind of page that sent a request, as far as the browser says. "Same site" is a page of our site
    #: whose origin is not configured, such as a frontend on another port.
    Sender = Literal["ours or unknown", "same site", "another site"]

    class Headers(Protocol):
        """The headers of a request, by name in any case or, without Flask, in lower case."""

        def get(self, key: str, /) -> str | None:
            """Return the value of a header."""

    class Sent(Protocol):
        """A request, of Flask or of an event."""

        @property
        def method(self) -> str:
            """The method, in upper case."""
            ...

        @property
        def headers(self) -> Headers:
            """The headers."""
            ...


logger: logging.Logger = logging.getLogger("flask_stsession")

_SETTING: Final = "STSESSION_ANTI_CSRF"
#: RFC 9110, 9.2.1: these change nothing, so any page may send them.
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: W3C Fetch Metadata: sent by one of our pages, or by the user (typed, bookmarked).
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def is_checked(mode: AntiCsrf, method: str, *, anti_csrf_check: bool | None = None) -> bool:
    """Return whether a request of this method is checked.

    :param mode: the mode in effect.
    :param method: of the request, in upper case.
    :param anti_csrf_check: the setting of the view. With ``None`` the method decides: every method but GET
        and OPTIONS is checked, with ``VIA_ORIGIN`` every unsafe one. ``True`` checks OPTIONS too: an
        authorizer's cached result for OPTIONS also serves a POST.
    """
    if mode == "NONE":
        return False
    if anti_csrf_check is not None:
        return anti_csrf_check
    if mode == "VIA_ORIGIN":
        return method not in _SAFE_METHODS
    return method not in ("GET", "OPTIONS")


def problem(
    mode: AntiCsrf,
    headers: Headers,
    *,
    anti_csrf_token: str | None = None,
    allowed_origins: Collection[str] = (),
    is_tested: bool = False,
) -> tuple[Reason, str] | None:
    """Return why a request of any method fails the check, for callers that raise their own verdict.

    :param mode: the mode in effect.
    :param headers: of the request.
    :param anti_csrf_token: the anti-CSRF token in the access token.
    :param allowed_origins: the origins of our pages, as browsers write them: ``https://example.com``, in
        lower case, without the default port of the scheme.
    :param is_tested: ``app.testing``, as for :func:`via_origin_problem`.
    :returns: reason and message, or ``None`` if the request passes.
    """
    if mode == "VIA_TOKEN":
        return via_token_problem(anti_csrf_token, headers.get(ANTI_CSRF_HEADER))
    if mode == "VIA_CUSTOM_HEADER" and headers.get(RID_HEADER) is None:
        return Reason.CSRF_MISSING, _missing(mode, RID_HEADER, "any value will do")
    if mode == "VIA_ORIGIN":
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        return via_origin_problem(site, origin, allowed_origins, is_tested=is_tested)
    return None


def sender_of(
    *,
    method: str,
    sec_fetch_site: str | None,
    sec_fetch_mode: str | None,
    origin: str | None,
    allowed_origins: Collection[str],
    is_same_site: Callable[[str], bool],
) -> Sender:
    """Return the kind of page that sent a request which would change the cookies of its client.

    Unlike :func:`problem`, this demands no proof: other clients than browsers, and browsers that hide the
    origin of a request, may sign in, refresh and sign out.

    :param sec_fetch_site: header ``Sec-Fetch-Site`` (W3C Fetch Metadata), which no script can set.
    :param sec_fetch_mode: header ``Sec-Fetch-Mode``. A GET navigation is a link that a person followed.
    :param origin: header ``Origin``.
    :param allowed_origins: the origins of our pages.
    :param is_same_site: returns whether an origin that is not allowed is of our site.
    """
    if origin is not None and is_allowed(origin, allowed_origins):
        return "ours or unknown"
    site = (sec_fetch_site or "").strip().lower()
    names_origin = origin is not None and not is_hidden(origin)
    if site == "cross-site":
        is_link = method == "GET" and (sec_fetch_mode or "").strip().lower() == "navigate"
        return "ours or unknown" if is_link else "another site"
    if site in _OWN_SITES or not names_origin:
        return "ours or unknown"
    if site == "same-site" or is_same_site(origin or ""):
        return "same site"
    return "another site"


def check_socket(headers: Headers, *, needs_origin: bool, allowed_origins: Collection[str]) -> None:
    """Check the handshake of a socket by cookie, in the same way in every mode of ``STSESSION_ANTI_CSRF``.

    Any page can open a WebSocket to any site: browsers send the site's cookies, make no preflight, and let
    the page read the messages. They always send an ``Origin`` (RFC 6455, 10.2), so one is required.

    :param headers: of the handshake.
    :param needs_origin: ``False`` for an ordinary request that begins a socket, such as long polling:
        browsers send no ``Origin`` with a GET of our own pages, and without CORS no other page can read the
        response.
    :param allowed_origins: the origins of our pages.
    :raises UnauthorisedError: 401, because a refresh does not help; it clears nothing.
    """
    origin = headers.get("origin")
    if origin is not None and not is_allowed(origin, allowed_origins):
        message = (
            f"The handshake of a socket comes from {origin.strip()!r}, which is not a configured origin, and "
            "its session came by cookie; if it is a website of yours, add it to STSESSION_WEBSITE_DOMAIN."
        )
        raise UnauthorisedError(message, reason=Reason.CROSS_SITE, clear_tokens=False)
    site = (headers.get("sec-fetch-site") or "none").strip().lower()
    if origin is None and (needs_origin or site not in _OWN_SITES):
        message = (
            "The handshake of a socket has no header 'Origin', and its session came by cookie. Browsers "
            "always send one; other clients should send one of our origins, or use header transfer."
        )
        raise UnauthorisedError(message, reason=Reason.CSRF_MISSING, clear_tokens=False)


def check(
    config: Config,
    request: Sent,
    api_origin: str,
    *,
    anti_csrf_check: bool | None = None,
    anti_csrf_token: str | None = None,
    is_tested: bool = False,
) -> None:
    """Check a request whose access token came by cookie, if :func:`is_checked` says so.

    The other parameters are those of :func:`is_checked` and :func:`problem`.

    :param api_origin: the origin of the API as the request names it.
    :raises TryRefreshTokenError: with ``csrf_missing`` or ``csrf_mismatch`` (FDI: a failed check is answered
        with *try refresh token*).
    """
    mode = config.anti_csrf_for(api_origin)
    if not is_checked(mode, request.method, anti_csrf_check=anti_csrf_check):
        return
    headers, allowed = request.headers, config.trusted_origins(api_origin)
    found = problem(
        mode, headers, anti_csrf_token=anti_csrf_token, allowed_origins=allowed, is_tested=is_tested
    )
    if found is not None:
        reason, message = found
        warn_of_hidden_origin(mode, headers, message)
        raise TryRefreshTokenError(message, reason=reason)


def is_hidden(origin: str) -> bool:
    """Return whether an ``Origin`` is ``null``: sent by a sandboxed page, or one that hides its origin."""
    return origin.strip().lower() == "null"


def is_allowed(origin: str, allowed_origins: Collection[str]) -> bool:
    """Return whether a header ``Origin`` names one of these origins."""
    # Browsers send the origins of websites in lower case, but those of app shells as they are spelled.
    origin = origin.strip()
    return origin in allowed_origins or origin.lower() in allowed_origins


def warn_of_hidden_origin(mode: AntiCsrf, headers: Headers, message: str) -> None:
    """Log why ``VIA_ORIGIN`` refuses a request whose page, perhaps one of ours, hides its origin."""
    if mode == "VIA_ORIGIN" and is_hidden(headers.get("origin") or ""):
        logger.warning("%s", message)


def via_token_problem(token: str | None, header: str | None) -> tuple[Reason, str] | None:
    """Return why ``VIA_TOKEN`` refuses a request, as :func:`problem` does.

    :param token: the anti-CSRF token in the access token.
    :param header: header ``anti-csrf``.
    """
    mode: AntiCsrf = "VIA_TOKEN"
    if header is None:
        return Reason.CSRF_MISSING, _missing(
            mode, ANTI_CSRF_HEADER, "with the value that came with the session"
        )
    if token is None:
        return Reason.CSRF_MISMATCH, (
            f"The session has no anti-CSRF token, so no header {ANTI_CSRF_HEADER!r} can match it; it was "
            f"created for header transfer or under another mode than {_SETTING}={mode}."
        )
    if not hmac.compare_digest(_octets(token), _octets(header)):
        return Reason.CSRF_MISMATCH, (
            f"The header {ANTI_CSRF_HEADER!r} is not the anti-CSRF token of this session, as "
            f"{_SETTING}={mode} demands; every refresh gives a new one."
        )
    return None


def via_origin_problem(
    sec_fetch_site: str | None,
    origin: str | None,
    allowed_origins: Collection[str],
    *,
    is_tested: bool,
) -> tuple[Reason, str] | None:
    """Return why ``VIA_ORIGIN`` refuses a request, as :func:`problem` does.

    :param sec_fetch_site: header ``Sec-Fetch-Site``.
    :param origin: header ``Origin``, or the origin that replaces it.
    :param is_tested: accept a request with neither of the two: test clients send none, while browsers send
        at least an ``Origin`` with every form.
    """
    # No script can set Sec-Fetch-Site. With "same-site" and "cross-site" the page may still be one of our
    # websites on another host: its Origin decides.
    site = (sec_fetch_site or "").strip().lower()
    if site in _OWN_SITES or (is_tested and sec_fetch_site is None and origin is None):
        return None
    mode: AntiCsrf = "VIA_ORIGIN"
    if origin is None:
        return Reason.CSRF_MISSING, (
            "The request has neither 'Sec-Fetch-Site: same-origin' nor a header 'Origin', so it does not "
            f"show where it comes from ({_SETTING}={mode}). Browsers send at least one of them; other "
            "clients should use header transfer."
        )
    if not is_allowed(origin, allowed_origins):
        if is_hidden(origin) and site != "cross-site":
            return Reason.CSRF_MISSING, (
                "The request came with 'Origin: null' and without 'Sec-Fetch-Site: same-origin', so it does "
                f"not show where it comes from ({_SETTING}={mode}). Browsers hide the origin of a page that "
                "has 'Referrer-Policy: no-referrer' or is sandboxed; write 'Referrer-Policy: same-origin'."
            )
        origin = origin.strip()
        return Reason.CSRF_MISMATCH, (
            f"The request comes from {origin!r}, which is not a configured origin ({_SETTING}={mode}); if it "
            "is a website of yours, add it to STSESSION_WEBSITE_DOMAIN."
        )
    return None


def _missing(mode: AntiCsrf, header: str, how: str) -> str:
    return (
        f"The header {header!r} is missing from a request whose session came by cookie ({_SETTING}={mode}); "
        f"send it, {how}, or use anti_csrf_check=False for this view."
    )


def _octets(text: str) -> bytes:
    # ``compare_digest`` accepts only ASCII text, and headers may hold any.
    return text.encode("utf-8", "surrogatepass")
