"""The exceptions of this package.

::

    STSessionError(Exception)                  has a ``reason``
    ├── SessionHTTPError(HTTPException)        a verdict on a request: becomes its response
    │   ├── UnauthorisedError                  401 unauthorised
    │   ├── TryRefreshTokenError               401 try refresh token
    │   ├── TokenTheftError                    401 token theft detected
    │   ├── InvalidClaimsError                 403 invalid claim
    │   ├── ClearDuplicateSessionCookiesError  200, the client retries
    │   └── CoreUnavailableError               503 session service unavailable
    ├── CoreError                              the core refused a request
    ├── ConfigError                            a setting is wrong
    │   └── MismatchedUserError(ValueError)    a login method of another user
    ├── SessionDoesNotExistError               no session with that handle
    ├── ProtectedClaimError(ValueError)        a key of the payload that users may not set
    └── TooLateError(RuntimeError)             the response has been written

A verdict also subclasses Werkzeug's exception for its status, so that ``@app.errorhandler(401)``,
Flask-RESTful and Flask-RESTX treat it like any other. It owns its status, body and
headers, and says whether it ends the session on the client (``clear_tokens``).
"""

from __future__ import annotations

import copyreg
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from werkzeug import exceptions as http
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.wrappers import Request


class Reason(str, Enum):
    """The reason of a refusal: a stable code for logs, signals, metrics and ``except`` clauses."""

    NO_TOKEN = "no_token"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_KID = "unknown_kid"
    KEY_TYPE_MISMATCH = "key_type_mismatch"
    CSRF_MISSING = "csrf_missing"
    CSRF_MISMATCH = "csrf_mismatch"
    WRONG_TRANSFER = "wrong_transfer"
    LEGACY_SESSION = "legacy_session"
    DUPLICATE_COOKIES = "duplicate_cookies"
    REFRESH_TOKEN_MISSING = "refresh_token_missing"
    SESSION_ENDED = "session_ended"
    TOKEN_THEFT = "token_theft"
    CLAIMS_INVALID = "claims_invalid"
    TENANT_MISMATCH = "tenant_mismatch"
    USER_GONE = "user_gone"
    AUTH_TOO_OLD = "auth_too_old"
    CROSS_SITE = "cross_site"
    CORE_UNREACHABLE = "core_unreachable"
    CORE_RATE_LIMITED = "core_rate_limited"
    CORE_REFUSED = "core_refused"
    KEYS_UNAVAILABLE = "keys_unavailable"
    MISCONFIGURED = "misconfigured"

    def __str__(self) -> str:
        return self.value


@dataclass
class ClaimValidationError:
    """A validator that a session failed.

    :param id_: the validator's id, usually the key of its claim.
    :param reason: what was expected and found, as JSON; ``None`` for no details.
    """

    id_: str
    reason: Any = None

    @property
    def id(self) -> str:
        """The validator's id, under the name that supertokens-python uses."""
        return self.id_

    def to_json(self) -> dict[str, Any]:
        """Return the error as clients receive it (FDI: ``claimValidationErrors``)."""
        return {"id": self.id_} if self.reason is None else {"id": self.id_, "reason": self.reason}


class STSessionError(Exception):
    """The base class of all errors of this package.

    :param message: what happened, for human readers.
    :param reason: the stable code; the class has a default.
    """

    reason: Reason = Reason.MISCONFIGURED

    def __init__(self, message: str = "", *, reason: Reason | str | None = None) -> None:
        super().__init__(message)
        self.args: tuple[Any, ...] = (message,)  # Werkzeug's classes drop them
        self.message = message
        if reason is not None:
            self.reason = Reason(reason)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # For copy and pickle (in a process pool, for example): the constructors take more than ``args``.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class SessionHTTPError(STSessionError, http.HTTPException):
    """A verdict on a request, with its response.

    Flask registers an error handler under the ``code`` of its class. This base class has none, so
    that one handler, registered for it, serves every verdict.
    """

    code = None
    #: The message that the client receives; ``message`` is for logs.
    wire_message: ClassVar[str] = ""
    #: Whether the response clears the client's tokens.
    clear_tokens: bool = False

    def __init__(
        self, message: str = "", *, reason: Reason | str | None = None, status: int | None = None
    ) -> None:
        STSessionError.__init__(self, message or self.wire_message, reason=reason)
        http.HTTPException.__init__(self, self.wire_message)
        self.args: tuple[Any, ...] = (self.message,)  # Werkzeug drops them
        # Flask-RESTful and Flask-RESTX send ``data``, Flask itself sends ``get_response()``.
        self.data: dict[str, Any] = self.body()
        own = type(self).code if status is None else status
        self.code = 500 if own is None else own  # Werkzeug would send a 200 for none

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the response."""
        return {"message": self.wire_message}

    def get_response(
        self,
        environ: WSGIEnvironment | Request | None = None,
        scope: dict[str, Any] | None = None,
    ) -> Response:
        """Return a new response, since requests that share the error of one refresh share no headers."""
        return Response(json.dumps(self.data), self.code, self._headers(), mimetype="application/json")

    def _headers(self) -> dict[str, str]:
        return {}


class UnauthorisedError(SessionHTTPError, http.Unauthorized):
    """The request has no session, or one that has ended: 401 ``unauthorised``.

    Raise it in a view to end the session on the client. Flask-RESTful, Flask-RESTX and the app's own error
    handlers may return any response for it; the tokens are cleared all the same. (Flask-RESTX knows only the
    statuses of its own ``HTTPStatus``: with another in ``STSESSION_SESSION_EXPIRED_STATUS_CODE``, 440 for
    example, it responds with 500 and clears nothing.)

    :param message: for logs; the client receives ``unauthorised``.
    :param reason: a :class:`Reason`.
    :param clear_tokens: also clear the tokens that the client holds, whichever transfer method it uses.
    """

    code: int = 401
    wire_message = "unauthorised"
    reason = Reason.SESSION_ENDED

    def __init__(
        self,
        message: str = "unauthorised",
        *,
        reason: Reason | str | None = None,
        clear_tokens: bool = True,
        status: int | None = None,
    ) -> None:
        super().__init__(message, reason=reason, status=status)
        self.clear_tokens = clear_tokens


class TryRefreshTokenError(SessionHTTPError, http.Unauthorized):
    """The access token is not valid, but a refresh may help: 401 ``try refresh token``; clears nothing."""

    code: int = 401
    wire_message = "try refresh token"
    reason = Reason.EXPIRED


class TokenTheftError(SessionHTTPError, http.Unauthorized):
    """A replaced refresh token was used again: 401 ``token theft detected``; the session is revoked.

    :param session_handle: the handle of the revoked session.
    :param user_id: the user of that session.
    :param recipe_user_id: the login method of that session.
    :param subtype: which replaced token was used: ``RECENT_PREV``, ``ORPHANED_BRANCH`` or
        ``STALE_LINEAGE``; ``None`` before CDI 5.6, where the core does not tell.
    """

    code: int = 401
    wire_message = "token theft detected"
    reason = Reason.TOKEN_THEFT
    clear_tokens = True

    def __init__(
        self,
        session_handle: str,
        user_id: str,
        recipe_user_id: str | None = None,
        *,
        subtype: str | None = None,
        status: int | None = None,
    ) -> None:
        self.session_handle = session_handle
        self.user_id = user_id
        self.recipe_user_id: str = user_id if recipe_user_id is None else recipe_user_id
        self.subtype: str | None = subtype
        super().__init__(status=status)


class InvalidClaimsError(SessionHTTPError, http.Forbidden):
    """The session is valid, but fails claim validators: 403 ``invalid claim``.

    :param message: for logs; the client receives ``invalid claim`` and the failed validators.
    :param payload: one :class:`ClaimValidationError` for each validator that failed.
    """

    code: int = 403
    wire_message = "invalid claim"
    reason = Reason.CLAIMS_INVALID

    def __init__(
        self,
        message: str = "invalid claim",
        payload: Sequence[ClaimValidationError] = (),
        *,
        reason: Reason | str | None = None,
        status: int | None = None,
    ) -> None:
        self.payload: list[ClaimValidationError] = list(payload)
        super().__init__(message, reason=reason, status=status)

    def body(self) -> dict[str, Any]:
        """Return the JSON body: the message and ``claimValidationErrors``."""
        return {
            "message": self.wire_message,
            "claimValidationErrors": [error.to_json() for error in self.payload],
        }


class ClearDuplicateSessionCookiesError(SessionHTTPError):
    """The request has session cookies of another domain or path too: 200 clears them, the client retries."""

    code: int = 200
    wire_message = (
        "The request contains multiple session cookies. All but those that this app sets now are being "
        "cleared; the next refresh will find one of each."
    )
    reason = Reason.DUPLICATE_COOKIES


class DuplicateSessionCookiesError(UnauthorisedError):
    """The request has several refresh tokens, and none is known to be the current one: all cleared, 401."""

    wire_message = (
        "The request contains multiple session cookies. All of them are being cleared: please sign in again."
    )
    reason = Reason.DUPLICATE_COOKIES


class CoreUnavailableError(SessionHTTPError, http.ServiceUnavailable):
    """The core is unreachable or cannot serve the request: 503; clears nothing.

    :param message: which host, which request, what happened; for logs.
    """

    code: int = 503
    wire_message = "session service unavailable"
    reason = Reason.CORE_UNREACHABLE
    #: Seconds after which a client may try again.
    retry_after_seconds: ClassVar[int] = 5

    def _headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class CoreError(STSessionError):
    """The core refused a request: a wrong API key, an unknown tenant, or a field that it does not accept.

    :param message: host, path, status and the core's own message.
    :param status: the HTTP status of the core's response.
    """

    reason = Reason.CORE_REFUSED

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnknownTenantError(CoreError, LookupError):
    """There is no such tenant.

    :param tenant_id: its id.
    """

    def __init__(self, tenant_id: str) -> None:
        create = f"multitenancy.create_or_update_tenant({tenant_id!r})"
        super().__init__(f"There is no tenant {tenant_id!r}. Create it with {create}.", status=400)
        self.tenant_id = tenant_id


class ConfigError(STSessionError):
    """A setting is wrong; the message names it, its value and what to write instead."""

    reason = Reason.MISCONFIGURED


class MismatchedUserError(ConfigError, ValueError):
    """The login method given for a new session belongs to another user.

    :param user_id: the user to sign in.
    :param recipe_user_id: the login method.
    :param owner: the user whom the core would have signed in.
    """

    def __init__(self, user_id: str, *, recipe_user_id: str, owner: str) -> None:
        super().__init__(
            f"recipe_user_id is {recipe_user_id!r}, but the core says that it is a login method of "
            f"{owner!r}, not of user_id {user_id!r}. No session was started. Pass the user that the login "
            "method belongs to."
        )
        self.user_id = user_id
        self.recipe_user_id = recipe_user_id
        self.owner = owner


class SessionDoesNotExistError(STSessionError):
    """No session has this handle: it expired, was revoked, or never existed.

    :param session_handle: the handle that was looked up.
    """

    reason = Reason.SESSION_ENDED

    def __init__(self, session_handle: str) -> None:
        super().__init__(
            f"There is no session with the handle {session_handle!r}: it has ended or never existed."
        )
        self.session_handle = session_handle


class ProtectedClaimError(STSessionError, ValueError):
    """The app tried to set a payload key that belongs to the session itself.

    :param key: the key of the access token payload.
    """

    reason = Reason.MISCONFIGURED

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The key {key!r} of the access token payload belongs to the session itself and cannot be set or "
            "removed; choose another key."
        )
        self.key = key


class TooLateError(STSessionError, RuntimeError):
    """The app tried to change a session after the response had been written.

    :param method: the method that was called.
    :param instead: what to call instead.
    """

    reason = Reason.MISCONFIGURED

    def __init__(self, method: str, *, instead: str) -> None:
        super().__init__(
            f"{method}() was called too late: the response of this request has been written, so the client "
            f"could not receive the change. Nothing was changed. Call {instead} instead. An after_request "
            "function that is registered after init_app() runs in time."
        )
        self.method = method
        self.instead = instead


def not_text(argument: str, value: object) -> TypeError:
    """Return the error for an argument that must be a non-empty str, with what to write instead.

    :param argument: the caller's name for it.
    """
    instead = f"str({argument})"
    if isinstance(value, bytes):
        instead = f"{argument}.decode()"
    elif isinstance(value, Enum):
        instead = f"{argument}.value"
    remedy = "" if value is None or value == "" else f": write {instead}"
    return TypeError(f"{argument} must be a non-empty str, not {value!r:.100}{remedy}.")


def raise_invalid_claims_exception(message: str, errors: Sequence[ClaimValidationError]) -> NoReturn:
    """Refuse this request with 403 ``invalid claim``.

    :param message: for logs.
    :param errors: one for each validator that failed.
    :raises InvalidClaimsError: always.
    """
    raise InvalidClaimsError(message, errors)
