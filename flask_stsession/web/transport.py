"""Read tokens from a request, and write them to a response.

Source: the Frontend Driver Interface (FDI). Only this module knows the names and attributes of our cookies
and headers, and only this module writes them to a response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from ..constants import (
    ACCESS_COOKIE_LIFETIME_SECONDS,
    ACCESS_TOKEN_HEADER,
    ANTI_CSRF_HEADER,
    AUTH_MODE_HEADER,
    FRONT_TOKEN_HEADER,
    FRONT_TOKEN_REMOVE,
    REASON_HEADER,
    REFRESH_TOKEN_HEADER,
    TransferMethod,
)
from ..sessions.client_changes import ClientChanges, StrayCookie, StrayCookies, TokensToSend
from ..tokens.access_token import front_token
from ..tokens.masked import MaskedToken

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.wrappers import Response

    from ..config.config import AllowedTransfer, Config, CookieNames, Decisions
    from ..errors import Reason

_BEARER = "Bearer "
_EPOCH = datetime.fromtimestamp(0, timezone.utc)
#: Names are added beside a star too: it is no wildcard for requests with credentials (Fetch standard).
_EXPOSE = "Access-Control-Expose-Headers"

#: Bytes of expired cookies in one response: by default nginx reads 4 KB of a response's head.
_MAX_EXPIRED_BYTES = 2048
#: The same in a response with new tokens.
_MAX_EXPIRED_BYTES_BESIDE_TOKENS = 1024


class RequestTokens(NamedTuple):
    """The tokens of a request, masked in every ``repr``; absent is ``None`` or empty.

    :param bearer: the token of ``Authorization: Bearer``.
    :param access_cookies: every cookie of the access token, in order.
    :param refresh_cookies: every cookie of the refresh token, in order.
    :param legacy: whether there is a ``sIdRefreshToken``, even an empty one.
    """

    bearer: str | None
    access_cookies: list[str]
    refresh_cookies: list[str]
    legacy: bool

    def access_candidates(self, allowed: AllowedTransfer = "any") -> Iterator[tuple[str, TransferMethod]]:
        """Yield each value that may be an access token, and its transfer method, if that is allowed."""
        if self.bearer is not None and allowed != "cookie":
            yield self.bearer, "header"
        if allowed != "header":
            for value in self.access_cookies:
                yield value, "cookie"


def read_tokens(environ: dict[str, Any], names: CookieNames) -> RequestTokens:
    """Read our tokens in one pass over the request's headers.

    Werkzeug's cookie parser decodes every cookie of the request; this looks at three names only.

    :param environ: the WSGI environment.
    :param names: of our cookies.
    """
    authorization = environ.get("HTTP_AUTHORIZATION")
    bearer = None
    # Schemes are case-insensitive (RFC 9110, 11.1).
    if authorization is not None and authorization[: len(_BEARER)].lower() == _BEARER.lower():
        value = authorization[len(_BEARER) :].strip()
        bearer = MaskedToken(value) if value else None
    cookies = environ.get("HTTP_COOKIE")
    if not cookies:
        return RequestTokens(bearer, [], [], legacy=False)
    found = _read_cookies(cookies.split(";"), names)
    if "," in cookies and not _is_complete(found):
        # Some gateways send one Cookie line per cookie, and WSGI servers join lines with commas
        # (RFC 9110, 5.3). None of our tokens contains a comma.
        found = _read_cookies(cookies.replace(",", ";").split(";"), names)
    return RequestTokens(bearer, *found)


def _read_cookies(pairs: Iterable[str], names: CookieNames) -> tuple[list[str], list[str], bool]:
    access: list[str] = []
    refresh: list[str] = []
    legacy = False
    for pair in pairs:
        name, _, value = pair.partition("=")
        name = name.strip()
        if name == names.access:
            access.append(_cookie_value(value))
        elif name == names.refresh:
            refresh.append(_cookie_value(value))
        elif name == names.legacy:
            legacy = True
    return access, refresh, legacy


def _is_complete(found: tuple[list[str], list[str], bool]) -> bool:
    """Return whether cookies were found, and no value contains a comma, which may hide others."""
    access, refresh, legacy = found
    values = access + refresh
    return bool(values or legacy) and not any("," in value for value in values)


def _cookie_value(raw: str) -> str:
    value = raw.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':  # RFC 6265, 4.1.1
        value = value[1:-1]
    # supertokens-node percent-encodes its cookies; its sessions stay valid when an app migrates.
    return MaskedToken(unquote(value) if "%" in value else value)


def security_schemes(names: CookieNames) -> dict[str, Any]:
    """Return the security schemes of protected views (OpenAPI 3.1).

    :param names: of our cookies.
    """
    return {
        "stsessionBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "stsessionCookie": {"type": "apiKey", "in": "cookie", "name": names.access},
    }


def allowed_transfer(config: Config, request: Request, *, for_create_new_session: bool) -> AllowedTransfer:
    """Return the transfer methods that ``STSESSION_TOKEN_TRANSFER_METHOD`` allows for this request."""
    setting = config.token_transfer_method
    if not callable(setting):
        return setting
    return config.checked_transfer_method(setting(request, for_create_new_session))


def method_of_new_session(
    config: Config,
    request: Request,
    *,
    carried: TransferMethod | None = None,
    allow_cross_site: bool = False,
    is_tested: bool = False,
) -> TransferMethod:
    """Return the transfer method of a new session: by cookie or by header.

    If the app allows any, the client chooses it in ``st-auth-mode``. A client that does not (a form in a
    browser has no SDK) keeps the method of the session that its request carries. Without such a session, it
    gets cookies if the request is a navigation (a form only from our own site) or the app has a login page,
    or else headers, as the interface says.

    :param carried: the transfer method of the session that the request carries.
    :param allow_cross_site: accept a form from another site as one from ours.
    :param is_tested: ``app.testing``: a form and a GET without ``Accept`` are navigations, because test
        clients send none.
    """
    allowed = allowed_transfer(config, request, for_create_new_session=True)
    if allowed != "any":
        return allowed
    mode = request.headers.get(AUTH_MODE_HEADER, "").strip().lower()
    if mode == "cookie":
        return "cookie"
    if mode == "header":
        return "header"
    if carried is not None:
        return carried
    if config.login_url is not None:
        return "cookie"
    navigates = _is_navigation(request, allow_cross_site=allow_cross_site, is_tested=is_tested)
    return "cookie" if navigates else "header"


def _is_navigation(request: Request, *, allow_cross_site: bool, is_tested: bool) -> bool:
    # The callback of an identity provider is a GET from another site.
    allows_other_sites = allow_cross_site or request.method == "GET"
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not allows_other_sites:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    is_form = request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")
    if is_tested and "Accept" not in request.headers:
        return is_form or request.method == "GET"
    return is_form and accepts_html(request)


def accepts_html(request: Request) -> bool:
    """Return whether the client accepts pages, as browsers do."""
    return "text/html" in request.headers.get("Accept", "")


def is_sent_by_browser(request: Request) -> bool:
    """Return whether a request has headers that browsers add to what their scripts send."""
    return "Sec-Fetch-Mode" in request.headers or "Origin" in request.headers


class Turns:
    """Counters of the responses without room for all stray cookies, so that the next one expires others.

    Each kind of response has its own: a client may get the kinds alternately, and with one common counter it
    could get the same part of each kind every time.
    """

    def __init__(self) -> None:
        self.alone: Iterator[int] = count()
        self.beside_tokens: Iterator[int] = count()
        self.others: Iterator[int] = count()


class ResponseWriter:
    """Writes the final state of a request's changes to its response.

    :param config: of the app.
    :param origin: returns scheme and host of this API as the client sees it; called for the first cookie.
    :param script_root: as for the methods of :class:`~flask_stsession.config.config.Config`.
    :param turns: of the app.
    """

    def __init__(self, config: Config, *, origin: Callable[[], str], script_root: str, turns: Turns) -> None:
        self._config = config
        self._names = config.cookie_names
        self._script_root = script_root
        self._turns = turns
        self._origin = origin

    @cached_property
    def attributes(self) -> Decisions:
        """SameSite and Secure of the cookies, determined for the first one."""
        return self._config.decisions(self._origin())

    def write(self, changes: ClientChanges, response: Response) -> None:
        """Write cookies and headers, expose the headers to scripts, and keep the response out of caches."""
        if not (changes.issued or changes.cleared or changes.older_cookies or changes.strays):
            return
        headers: dict[str, str] = {}
        if "header" in changes.cleared:
            headers[ACCESS_TOKEN_HEADER] = headers[REFRESH_TOKEN_HEADER] = ""
        if changes.cleared:
            headers[FRONT_TOKEN_HEADER] = FRONT_TOKEN_REMOVE
        if "cookie" in changes.cleared:
            self._set(response, self._names.access, "", "/", _EPOCH)
            self._set(response, self._names.refresh, "", self._config.refresh_path(self._script_root), _EPOCH)
        for older in changes.older_cookies:
            self._set(response, older.name, "", older.path, _EPOCH, domain=older.domain)
        if changes.issued is not None:
            self._write_issued(changes.issued, response, headers)
        elif changes.front_token is not None:
            headers[FRONT_TOKEN_HEADER] = changes.front_token
        if changes.strays is not None and not changes.keeps_cookies:
            self._expire_strays(changes.strays, response, beside_tokens=changes.issued is not None)
        for name, value in headers.items():
            response.headers[name] = value
        if headers:
            exposed = response.headers.getlist(_EXPOSE)
            response.headers[_EXPOSE] = extended_list(exposed, headers) if exposed else ", ".join(headers)
        response.headers["Cache-Control"] = "no-store"  # whatever the app has set

    def _write_issued(self, issued: TokensToSend, response: Response, headers: dict[str, str]) -> None:
        token = issued.access_token
        refresh = issued.refresh_token
        if issued.method == "header":
            headers[ACCESS_TOKEN_HEADER] = token.raw
            if refresh is not None:
                headers[REFRESH_TOKEN_HEADER] = refresh.token
        else:
            remember = token.remember
            lifetime = timedelta(seconds=ACCESS_COOKIE_LIFETIME_SECONDS)
            until = datetime.now(timezone.utc) + lifetime if remember else None
            self._set(response, self._names.access, token.raw, "/", until)
            if refresh is not None:
                ends = refresh.expires_at if remember else None
                path = self._config.refresh_path(self._script_root)
                self._set(response, self._names.refresh, refresh.token, path, ends)
            if self._config.expose_access_token_to_frontend_in_cookie_based_auth:
                headers[ACCESS_TOKEN_HEADER] = token.raw
        headers[FRONT_TOKEN_HEADER] = front_token(token.shared_payload)
        if issued.anti_csrf_token is not None:
            headers[ANTI_CSRF_HEADER] = issued.anti_csrf_token

    def _expire_strays(self, strays: StrayCookies, response: Response, *, beside_tokens: bool) -> None:
        """Expire as many stray cookies as fit; the client's next responses expire the rest."""
        room = _MAX_EXPIRED_BYTES_BESIDE_TOKENS if beside_tokens else _MAX_EXPIRED_BYTES
        if not beside_tokens:
            room -= sum(map(_size_of, response.headers.getlist("Set-Cookie")))
        likely, unlikely, others = (
            [*map(self._expired, each)] for each in (strays.likely, strays.unlikely, strays.others)
        )
        turns = self._turns.beside_tokens if beside_tokens else self._turns.alone
        first, rest = (likely, unlikely + others) if _fits(likely, room) else (likely + unlikely, others)
        for lines, turn in ((first, turns), (rest, self._turns.others)):
            parts = _in_parts(lines, room=room)
            chosen = parts[next(turn) % len(parts) if len(parts) > 1 else 0]
            room -= sum(map(_size_of, chosen))
            for line in chosen:
                response.headers.add("Set-Cookie", line)

    def _expired(self, stray: StrayCookie) -> str:
        """Return the shortest ``Set-Cookie`` value that expires a cookie."""
        parts = [f"{stray.name}=", f"Path={stray.path}", "Max-Age=0"]
        if stray.domain is not None:
            parts.insert(1, f"Domain={stray.domain}")
        attributes = self.attributes
        # Browsers require Secure for names that begin with __Secure-, and in responses to other sites.
        if attributes.secure and (attributes.same_site == "none" or stray.name.startswith("__")):
            parts += ["Secure", f"SameSite={attributes.same_site.capitalize()}"]
        return "; ".join(parts)

    _OURS: Any = object()

    def _set(
        self,
        response: Response,
        name: str,
        value: str,
        path: str,
        expires: datetime | None,
        *,
        domain: str | None = _OURS,
    ) -> None:
        response.set_cookie(
            name,
            value,
            expires=expires,
            path=path,
            domain=self._config.cookie_domain if domain is self._OURS else domain,
            secure=self.attributes.secure,
            httponly=True,
            samesite=self.attributes.same_site.capitalize(),
            partitioned=self._config.cookie_partitioned,
        )


def _fits(lines: Iterable[str], room: int) -> bool:
    return sum(map(_size_of, lines)) <= room


def _in_parts(lines: Sequence[str], *, room: int) -> list[list[str]]:
    """Divide lines of ``Set-Cookie`` into parts that each take at most ``room`` bytes."""
    parts: list[list[str]] = [[]]
    left = room
    for line in lines:
        size = _size_of(line)
        if size > room:
            continue
        if size > left:
            parts.append([])
            left = room
        parts[-1].append(line)
        left -= size
    return parts


def _size_of(line: str) -> int:
    """Return the length (bytes) of a ``Set-Cookie`` line in a response's head, its line end included."""
    return len("Set-Cookie: \r\n") + len(line.encode())


def write_reason(response: Response, reason: Reason, *, exposed: bool) -> None:
    """Write into a header why a request was refused.

    :param exposed: let scripts of another origin read it.
    """
    response.headers[REASON_HEADER] = reason.value
    if exposed:
        response.headers[_EXPOSE] = extended_list(response.headers.getlist(_EXPOSE), [REASON_HEADER])


def extended_list(lines: Iterable[str], values: Iterable[str]) -> str:
    """Return the lines of a header that holds a list as one line, with the values that it lacks added."""
    present = ", ".join(lines)
    known = set(map(str.strip, present.lower().split(",")))
    extended = [present] if present else []
    for value in values:
        if value.lower() not in known:
            extended.append(value)
    return ", ".join(extended)
