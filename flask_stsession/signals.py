"""Blinker signals about sessions, for audit logs and metrics.

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

from .callables import refuse_asynchronous

_signals: Final = Namespace()


def _refuse_async_receiver(signal: NamedSignal, receiver: object, **_: object) -> None:
    # Blinker takes a TypeError raised here as a refusal, and disconnects the receiver.
    refuse_asynchronous(receiver, f"A receiver of {signal.name.replace('-', '_')}")


def _signal(name: str, doc: str) -> NamedSignal:
    signal = _signals.signal(name, doc)
    signal.receiver_connected.connect(_refuse_async_receiver)
    return signal


session_created: NamedSignal = _signal(
    "session-created",
    """A session was created.

    :param session: the new session.
    """,
)

session_verified: NamedSignal = _signal(
    "session-verified",
    """The session of a request passed every required check; sent once per request.

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
    """Sessions were ended: by sign-out, by one of the ``revoke`` functions, or after a token theft.

    :param session_handles: list of the handles of these sessions.
    :param user_id: their user; ``None`` where they were ended by handle.
    """,
)

token_theft_detected: NamedSignal = _signal(
    "token-theft-detected",
    """A replaced refresh token was used again; the session has been revoked.

    :param session_handle: the handle of that session.
    :param user_id: the user of that session.
    :param recipe_user_id: the login method of that session.
    :param subtype: which replaced token was used: ``RECENT_PREV``, ``ORPHANED_BRANCH`` or
        ``STALE_LINEAGE``; ``None`` before CDI 5.6, where the core does not tell.
    :param error: the ``TokenTheftError``.
    """,
)

verification_failed: NamedSignal = _signal(
    "verification-failed",
    """A request was refused because it has no valid session: *unauthorised* or *try refresh token*.

    :param error: the ``UnauthorisedError`` or ``TryRefreshTokenError``.
    :param reason: its :class:`~flask_stsession.Reason`.
    """,
)

claims_invalid: NamedSignal = _signal(
    "claims-invalid",
    """A valid session failed claim validators: 403.

    :param session: the session; ``None`` if it is not known, as for an error that a view raised.
    :param error: the ``InvalidClaimsError``; its ``payload`` lists the validators.
    """,
)

core_unavailable: NamedSignal = _signal(
    "core-unavailable",
    """A request got a 503 because of the core.

    :param error: the ``CoreUnavailableError``.
    :param reason: its :class:`~flask_stsession.Reason`.
    """,
)

keys_stale: NamedSignal = _signal(
    "keys-stale",
    """The core does not return its signing keys, and cached ones stay in use; sent once per outage.

    :param error: the error of the failed fetch.
    :param age_seconds: the age of the keys, in s.
    """,
)
