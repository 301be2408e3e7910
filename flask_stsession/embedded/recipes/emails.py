"""E-mail verification: which users have proved that they own an address."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import Final

from ..crypto import sha256_hex
from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route, without_blanks
from ..settings import Settings
from ..storage.store import Store
from ..tenancy import Scope

_INVALID_TOKEN: Final = {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}


class EmailOperations:
    """Verify addresses. Tokens belong to a tenant, verified addresses to the application.

    :param clock_ms: returns the current time, in ms.
    """

    def __init__(self, store: Store, settings: Settings, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._settings = settings
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return the operations."""
        return [
            Route("POST", "/recipe/user/email/verify/token", self.create_token, Scope.TENANT),
            Route("POST", "/recipe/user/email/verify/token/remove", self.remove_tokens, Scope.TENANT),
            Route("POST", "/recipe/user/email/verify", self.verify, Scope.TENANT),
            Route("GET", "/recipe/user/email/verify", self.is_verified),
            Route("POST", "/recipe/user/email/verify/remove", self.unverify),
        ]

    def create_token(self, request: CoreRequest) -> Answer:
        """Create a token to send by e-mail; returning it proves ownership of the address."""
        user_id, email = _user_and_email(request)
        token, now = secrets.token_urlsafe(64), self._clock_ms()
        with self._store.write() as connection:
            if _is_verified(connection, user_id, email):
                return {"status": "EMAIL_ALREADY_VERIFIED_ERROR"}
            connection.execute("DELETE FROM email_tokens WHERE expires_at <= ?", (now,))
            # Only the hash is stored: the content of the file is not enough to verify an address.
            connection.execute(
                "INSERT INTO email_tokens (token_hash, tenant_id, user_id, email, expires_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    sha256_hex(token),
                    request.tenant_id,
                    user_id,
                    email,
                    now + self._settings.email_verification_token_lifetime,
                ),
            )
        return {"status": "OK", "token": token}

    def remove_tokens(self, request: CoreRequest) -> Answer:
        """Delete the tokens of an address, in one tenant."""
        with self._store.write() as connection:
            _delete_tokens(connection, request.tenant_id, *_user_and_email(request))
        return {"status": "OK"}

    def verify(self, request: CoreRequest) -> Answer:
        """Verify the address that a token was created for, and delete its tokens in that tenant."""
        if request.text("method") != "token":
            raise RequestRefusedError(400, "Unsupported method for email verification")
        token = request.text("token")
        with self._store.write() as connection:
            row = connection.execute(
                "SELECT user_id, email FROM email_tokens"
                " WHERE token_hash = ? AND tenant_id = ? AND expires_at > ?",
                (sha256_hex(token), request.tenant_id, self._clock_ms()),
            ).fetchone()
            if row is None:
                return dict(_INVALID_TOKEN)
            user_id, email = row
            _delete_tokens(connection, request.tenant_id, user_id, email)
            connection.execute(
                "INSERT OR IGNORE INTO verified_emails (user_id, email) VALUES (?, ?)", (user_id, email)
            )
        return {"status": "OK", "userId": user_id, "email": email}

    def is_verified(self, request: CoreRequest) -> Answer:
        """Return whether an address is verified; like a core, compare the exact spelling."""
        user_id, email = request.parameter("userId"), request.parameter("email")
        with self._store.read() as connection:
            return {"status": "OK", "isVerified": _is_verified(connection, user_id, email)}

    def unverify(self, request: CoreRequest) -> Answer:
        """Mark an address as not verified."""
        with self._store.write() as connection:
            connection.execute(
                "DELETE FROM verified_emails WHERE user_id = ? AND email = ?", _user_and_email(request)
            )
        return {"status": "OK"}


def _user_and_email(request: CoreRequest) -> tuple[str, str]:
    return request.text("userId"), without_blanks(request.text("email")).lower()


def _delete_tokens(connection: sqlite3.Connection, tenant_id: str, user_id: str, email: str) -> None:
    connection.execute(
        "DELETE FROM email_tokens WHERE tenant_id = ? AND user_id = ? AND email = ?",
        (tenant_id, user_id, email),
    )


def _is_verified(connection: sqlite3.Connection, user_id: str, email: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM verified_emails WHERE user_id = ? AND email = ?", (user_id, email)
    ).fetchone()
    return row is not None
