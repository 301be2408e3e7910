"""The changes that a response makes to the client's tokens.

Sessions record changes here; :mod:`flask_stsession.web.transport` writes the final state as cookies and
headers, once. A response therefore never sets a cookie twice, and never sends a valid token together with
the cookies that clear it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..constants import BOTH_METHODS, TransferMethod

if TYPE_CHECKING:
    from ..core.models import TokenInfo
    from ..tokens.access_token import AccessToken


@dataclass(repr=False, eq=False)
class TokensToSend:
    """Tokens to send to the client.

    :param method: the transfer method, ``"cookie"`` or ``"header"``.
    :param access_token: the parsed access token.
    :param refresh_token: the refresh token with its expiry; ``None``: the client keeps the one it has.
    :param anti_csrf_token: the value of the ``anti-csrf`` header; ``None``: no such header.
    """

    method: TransferMethod
    access_token: AccessToken
    refresh_token: TokenInfo | None = None
    anti_csrf_token: str | None = None


class StrayCookie(NamedTuple):
    """A cookie of ours to expire, on a domain or path on which we no longer set it.

    :param name: its name.
    :param domain: its ``Domain`` attribute; ``None`` for a host-only cookie.
    :param path: its ``Path`` attribute.
    """

    name: str
    domain: str | None
    path: str


class StrayCookies(NamedTuple):
    """Cookies that the client may hold, to be expired as far as a response has room for them.

    :param likely: cookies of the names in question, the likeliest domains and paths first.
    :param unlikely: cookies of the same names on unlikely domains and paths.
    :param others: cookies of our other names.
    """

    likely: tuple[StrayCookie, ...]
    unlikely: tuple[StrayCookie, ...] = ()
    others: tuple[StrayCookie, ...] = ()


class ChangeRecord:
    """The changes that one request, or one event, makes on its client."""

    #: The changes, once there was a need for them: most requests change nothing.
    pending: ClientChanges | None = None
    #: Whether the response has been written, so that nothing more reaches the client.
    is_written: bool = False

    @property
    def changes(self) -> ClientChanges:
        """The changes to send with the response, created at first use."""
        if self.pending is None:
            self.pending = ClientChanges()
        return self.pending


class ClientChanges:
    """The changes of one request, always reduced to their final state."""

    issued: TokensToSend | None = None
    cleared: frozenset[TransferMethod] = frozenset()
    #: Cookies on the domain that ours had before, always expired.
    older_cookies: tuple[StrayCookie, ...] = ()
    strays: StrayCookies | None = None
    #: The header ``front-token`` of a response that sends no token.
    front_token: str | None = None
    #: The request is cross-site: its response may change tokens sent by header, but no cookies.
    keeps_cookies: bool = False

    def issue(self, tokens: TokensToSend) -> None:
        """Send these tokens; they supersede an earlier clearing of the same method."""
        before = self.issued
        if tokens.refresh_token is None and self._is_replaced(tokens.access_token.session_handle):
            return
        if before is not None and before.method == tokens.method and tokens.refresh_token is None:
            # A later access token of a session that this response creates: keep its refresh token.
            tokens = TokensToSend(
                tokens.method,
                tokens.access_token,
                before.refresh_token,
                tokens.anti_csrf_token or before.anti_csrf_token,
            )
        self.issued = tokens
        self.cleared -= {tokens.method}

    def clear(self, method: TransferMethod, *, of_session: str | None = None) -> None:
        """Clear the client's tokens of one method.

        :param of_session: clear nothing if another session has replaced the one with this handle.
        """
        if self._is_replaced(of_session):
            return
        self.cleared = self._clearable((*self.cleared, method))
        if self.issued is not None and self.issued.method == method:
            self.issued = None

    def withdraw(self, session_handle: str) -> None:
        """Send no new tokens of this session."""
        if self.issued is not None and self.issued.access_token.session_handle == session_handle:
            self.issued = None

    def end_session(self, *, of_session: str | None = None) -> None:
        """Clear both methods: a response that ends the session must send no valid token.

        :param of_session: clear nothing if another session has replaced the one with this handle.
        """
        if self._is_replaced(of_session):
            return
        self.issued = None
        self.cleared = self._clearable(BOTH_METHODS)

    def _clearable(self, methods: Iterable[TransferMethod]) -> frozenset[TransferMethod]:
        return frozenset(each for each in methods if not (self.keeps_cookies and each == "cookie"))

    def _is_replaced(self, session_handle: str | None) -> bool:
        """Return whether this response signs the client in to another session than this one."""
        issued = self.issued
        return (
            session_handle is not None
            and issued is not None
            and issued.refresh_token is not None
            and issued.access_token.session_handle != session_handle
        )
