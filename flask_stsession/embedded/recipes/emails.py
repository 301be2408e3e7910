"""Which e-mail address of which user is known to be theirs."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import Final

from ..crypto import sha256_hex
from ..errors import RequestRefusedError
from ..request import Answer, CoreRequest, Route
from ..settings import Settings
from ..storage.store import Store

_INVALID_TOKEN: Final = {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}


class EmailOperations:
    """Tokens belong to a tenant; what they prove holds in the whole application.

    :param clock_ms: the time now, ms.
    """

    def __init__(self, store: Store, settings: Settings, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._settings = settings
        self._clock_ms = clock_ms

    def routes(self) -> list[Route]:
        """Return what is to be served."""
        return [
            Route("POST", "/recipe/user/email/verify/token", self.create_token, of_tenant=True),
            Route("POST", "/recipe/user/email/verify/token/remove", self.remove_tokens, of_tenant=True),
            Route("POST", "/recipe/user/email/verify", self.verify, of_tenant=True),
            Route("GET", "/recipe/user/email/verify", self.is_verified),
            Route("POST", "/recipe/user/email/verify/remove", self.unverify),
        ]

    def create_token(self, request: CoreRequest) -> Answer:
        """Make a token that proves the address when it comes back."""
        user_id, email = request.text("userId"), _normal(request.text("email"))
        token, now = secrets.token_urlsafe(64), self._clock_ms()
        with self._store.write() as connection:
            if _is_verified(connection, user_id, email):
                return {"status": "EMAIL_ALREADY_VERIFIED_ERROR"}
            connection.execute("DELETE FROM email_tokens WHERE expires_at <= ?", (now,))
            # Only its hash is kept: who reads the file cannot verify an address with it.
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
        """Make the tokens for an address worthless."""
        user_id, email = request.text("userId"), _normal(request.text("email"))
        with self._store.write() as connection:
            connection.execute(
                "DELETE FROM email_tokens WHERE tenant_id = ? AND user_id = ? AND email = ?",
                (request.tenant_id, user_id, email),
            )
        return {"status": "OK"}

    def verify(self, request: CoreRequest) -> Answer:
        """Take a token as proof of the address it was made for; it works once."""
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
            connection.execute("DELETE FROM email_tokens WHERE user_id = ? AND email = ?", (user_id, email))
            connection.execute(
                "INSERT OR IGNORE INTO verified_emails (user_id, email) VALUES (?, ?)", (user_id, email)
            )
        return {"status": "OK", "userId": user_id, "email": email}

    def is_verified(self, request: CoreRequest) -> Answer:
        """Tell whether an address was proven."""
        user_id, email = request.parameter("userId"), _normal(request.parameter("email"))
        with self._store.read() as connection:
            return {"status": "OK", "isVerified": _is_verified(connection, user_id, email)}

    def unverify(self, request: CoreRequest) -> Answer:
        """Forget that an address was proven."""
        user_id, email = request.text("userId"), _normal(request.text("email"))
        with self._store.write() as connection:
            connection.execute(
                "DELETE FROM verified_emails WHERE user_id = ? AND email = ?", (user_id, email)
            )
        return {"status": "OK"}


def _normal(email: str) -> str:
    return email.strip().lower()


def _is_verified(connection: sqlite3.Connection, user_id: str, email: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM verified_emails WHERE user_id = ? AND email = ?", (user_id, email)
    ).fetchone()
    return row is not None
