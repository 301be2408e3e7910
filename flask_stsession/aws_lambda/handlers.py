"""Guard Lambda handlers without Flask, for functions that serve one or two routes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, MutableMapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from ..callables import refuse_asynchronous
from ..errors import SessionHTTPError, STSessionError
from ..sessions.client_changes import ClientChanges
from ..web.options import passes_to_guard, refuse_unknown, verify_options
from ..web.transport import Turns
from ..web.verdict_record import announce_verdict
from .client_headers import with_client_headers
from .cors import preflight_response
from .events import EventError, EventRequest, parse_event
from .responses import GatewayResponse, gateway_response, is_decimal, malformed_event
from .settings import read_settings, settings_of_errors
from .verification import EventGuard, EventRecord, FunctionSessions

if TYPE_CHECKING:
    from ..sessions.session import Session

logger: logging.Logger = logging.getLogger("flask_stsession")

#: A Lambda handler: ``f(event, context)``.
Handler = Callable[[Any, Any], Any]

_JSON: Final = "application/json"


@passes_to_guard
def verify_session_event(
    config: Mapping[str, Any] | None = None,
    *,
    get_email: Callable[[str, str], str | None] | None = None,
    **verify_arguments: Any,
) -> Callable[[Handler], Callable[..., Any]]:
    """Guard a Lambda handler: verify the session of its event before it runs.

    ::

        @verify_session_event(roles="admin")
        def handler(event, context):
            return {"statusCode": 200, "body": event["session"].get_user_id()}

    The session is at ``event["session"]``, ``None`` where it is optional and there is none. A request that is
    refused gets the 401, 403 or 503 of :func:`~flask_stsession.verify_session` in the shape that the gateway
    reads; so does one for which the handler raises such an error. Any other error of this package, such as a
    wrong API key, is logged with its traceback and becomes a 500. Other errors that the handler raises are
    left to the runtime. Changed tokens are sent with the handler's response. Responses carry CORS headers for
    the origins in ``STSESSION_WEBSITE_DOMAIN``, and a preflight request is answered without calling the
    handler.

    Decorate once per process, at the top of the module: keys, tokens and connections are cached until the
    process ends.

    :param config: a mapping of ``STSESSION_`` keys; ``None``: the environment, ``STSESSION_…`` and
        ``FLASK_STSESSION_…``.
    :param get_email: ``f(user_id, tenant_id)``, which returns the user's address or ``None``; for
        ``EmailVerificationClaim``.
    :param verify_arguments: as for :func:`~flask_stsession.verify_session`.
    :raises ConfigError: a setting is wrong, the core is the embedded one, or the arguments protect nothing.
    :raises TypeError: an argument is unknown or has the wrong type.
    """
    refuse_unknown("verify_session_event()", verify_arguments, own=["config", "get_email"])
    options = verify_options("verify_session_event()", **verify_arguments)
    if callable(config):
        raise TypeError("Write the decorator with parentheses: @verify_session_event().")
    sessions = FunctionSessions(read_settings(config), get_email=get_email)
    guard = EventGuard(sessions, options)

    def decorate(handler: Handler) -> Callable[..., Any]:
        if not callable(handler):
            raise TypeError(f"verify_session_event() decorates a Lambda handler, not {handler!r:.100}.")
        refuse_asynchronous(handler, "A Lambda handler")
        guarded = _GuardedHandler(handler, sessions, guard)

        @wraps(handler)
        def run(event: object, context: object = None) -> Any:
            return guarded(event, context)

        return run

    return decorate


class _GuardedHandler:
    """A handler behind a guard."""

    def __init__(self, handler: Handler, sessions: FunctionSessions, guard: EventGuard) -> None:
        self._handler = handler
        self._sessions = sessions
        self._config = sessions.config
        self._guard = guard

    def __call__(self, event: object, context: object) -> GatewayResponse:
        try:
            request = parse_event(event)
        except EventError as error:
            return _malformed(error, event)
        if request.method == "OPTIONS":
            return preflight_response(self._config, request)
        self._sessions.begin(context)
        record = EventRecord()
        try:
            session = self._guard.session(request, record)
        except STSessionError as error:
            return self._finished(request, record, _response_to(request, error))
        event = request.event if isinstance(request.event, MutableMapping) else dict(request.event)
        event["session"] = session
        return self._finished(request, record, self._run(request, record, session, event, context))

    def _run(
        self, request: EventRequest, record: EventRecord, session: Session | None, event: Any, context: object
    ) -> Any:
        # There is no error handler here, unlike after init_app. So this turns an error of ours that the
        # handler raises, for example by session.assert_claims(), into a response.
        try:
            return self._handler(event, context)
        except STSessionError as error:
            if isinstance(error, SessionHTTPError):
                self._guard.record_verdict(request, record, error, session)
            return _response_to(request, error)

    def _finished(self, request: EventRequest, record: EventRecord, response: Any) -> GatewayResponse:
        finished = with_client_headers(
            self._config,
            request,
            record.pending,
            _as_response(request, response),
            turns=self._sessions.turns,
        )
        record.is_written = True
        return finished


def _malformed(error: EventError, event: object) -> GatewayResponse:
    logger.warning("400 for an event: %s", error)
    return malformed_event(error, event)


def _as_response(request: EventRequest, returned: Any) -> Mapping[str, Any]:
    """Turn the return value of a handler into a response.

    With payload 2.0, a gateway treats anything without a status as the JSON of a 200, and so does this. As
    in the JSON of the Lambda runtime, a ``Decimal``, which DynamoDB returns, is a number.

    :raises TypeError: it is not a response, and the gateway would not turn it into one.
    """
    if isinstance(returned, Mapping) and "statusCode" in returned:
        body = returned.get("body")
        if isinstance(body, bytes | bytearray):
            raise TypeError(
                "The handler's response must have text under 'body', not bytes: write "
                "base64.b64encode(body).decode(), and True under 'isBase64Encoded'."
            )
        return returned
    if request.format != "2.0":
        raise TypeError(
            "The handler must return a dict with a statusCode, not "
            f"{'one without' if isinstance(returned, Mapping) else type(returned).__name__}."
        )
    body = returned if isinstance(returned, str) else _json_of(returned)
    return {"statusCode": 200, "headers": {"content-type": _JSON}, "body": body, "isBase64Encoded": False}


def _json_of(returned: object) -> str:
    try:
        return json.dumps(returned, default=_number, allow_nan=False)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise TypeError(
            f"The handler must return a dict with a statusCode, or what JSON can express: {error}."
        ) from error


def _number(value: Any) -> int | float:
    if is_decimal(value):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def error_response(
    event: object, error: BaseException, *, config: Mapping[str, Any] | None = None
) -> GatewayResponse:
    """Return the response to an error of this package, in the shape that the gateway of an event reads.

    A verdict has its own status and body (401, 403, 503), a malformed event is a 400, and any other error of
    ours, such as a wrong API key, is logged with its traceback and becomes a 500.

    :param event: the event of the invocation.
    :param error: the error; an error of another package is raised again.
    :param config: as for :func:`verify_session_event`; sets the statuses, the CORS headers, and which
        cookies are cleared. ``None``: the environment, which is read once.
    :raises ConfigError: a setting is wrong. A guard or an authorizer in the same module raises it already at
        import.
    :raises TypeError: an argument has the wrong type.
    """
    if not isinstance(error, BaseException):
        raise TypeError(f"error_response() takes an exception as error, not {error!r:.100}.")
    if not isinstance(error, STSessionError):
        raise error
    try:
        request = parse_event(event)
    except EventError as malformed:
        return _malformed(error if isinstance(error, EventError) else malformed, event)
    settings = settings_of_errors(config)
    changes = ClientChanges()
    if isinstance(error, SessionHTTPError):
        if error.clear_tokens:
            changes.end_session()
        announce_verdict(settings, error, sender=None, asked=request.asked, session=None)
    response = _response_to(request, error)
    return with_client_headers(settings, request, changes, response, turns=Turns())


def _response_to(request: EventRequest, error: STSessionError) -> GatewayResponse:
    """Return the response to an error of ours, without headers for the client; log all but verdicts."""
    if isinstance(error, SessionHTTPError):
        answer = error.get_response()
        return gateway_response(request.format, answer.status_code, list(answer.headers), answer.get_data())
    if isinstance(error, EventError):
        return _malformed(error, request.event)
    logger.error("500 for %s: %s", request.asked, error, exc_info=error)
    body = json.dumps({"message": "internal server error"}).encode()
    return gateway_response(request.format, 500, [("Content-Type", _JSON)], body)
