"""Blinker signals: what happens to sessions, for audit logs and metrics.

The sender is always the Flask app (the object, not the proxy), so that a receiver can connect to one app
of several::

    @session_created.connect_via(app)
    def remember(app, session, **extra):
        ...

Receivers should take ``**extra``: arguments may be added.
"""

from __future__ import annotations

from typing import Final

from blinker import NamedSignal, Namespace

_signals: Final = Namespace()


def _signal(name: str, doc: str) -> NamedSignal:
    return _signals.signal(name, doc)


session_created: NamedSignal = _signal(
    "session-created",
    """A session was created.

    :param session: the new session.
    """,
)

session_verified: NamedSignal = _signal(
    "session-verified",
    """A request's session passed every check that was asked for; once per request.

    :param session: the session.
    """,
)

session_refreshed: NamedSignal = _signal(
    "session-refreshed",
    """A refresh token was exchanged for a new pair.

    :param session: the session, with its new tokens.
    """,
)

session_revoked: NamedSignal = _signal(
    "session-revoked",
    """Sessions were ended: by sign-out, by one of the ``revoke`` functions, or for theft.

    :param session_handles: of the sessions that were ended, a list.
    """,
)

token_theft_detected: NamedSignal = _signal(
    "token-theft-detected",
    """A refresh token was used that had been replaced; the session has been revoked.

    :param session_handle: of that session.
    :param user_id: whose it was.
    :param recipe_user_id: of the login method behind it.
    """,
)

verification_failed: NamedSignal = _signal(
    "verification-failed",
    """A request was refused for want of a good session: *unauthorised* or *try refresh token*.

    :param error: the ``UnauthorisedError`` or ``TryRefreshTokenError``.
    :param reason: its :class:`~flask_stsession.errors.Reason`.
    """,
)

claims_invalid: NamedSignal = _signal(
    "claims-invalid",
    """A session was good, but did not prove what was asked for: 403.

    :param session: the session; ``None`` if an error raised in a view does not tell.
    :param error: the ``InvalidClaimsError``; its ``payload`` lists the validators.
    """,
)

core_unavailable: NamedSignal = _signal(
    "core-unavailable",
    """A request was answered with 503 because of the core.

    :param error: the ``CoreUnavailableError``.
    :param reason: its :class:`~flask_stsession.errors.Reason`.
    """,
)

keys_stale: NamedSignal = _signal(
    "keys-stale",
    """The core does not give its signing keys, and those known stay in use; once per outage.

    :param error: why.
    :param age_seconds: the age of the keys, in s.
    """,
)
