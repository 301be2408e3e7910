"""Lambda authorizers for REST APIs, HTTP APIs and WebSocket APIs.

Sources: "Use API Gateway Lambda authorizers" and "Control access to HTTP APIs with AWS Lambda authorizers" in
the API Gateway developer guide, and the quotas there.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from ..constants import FRONT_TOKEN_HEADER
from ..errors import ConfigError, InvalidClaimsError, TryRefreshTokenError, UnauthorisedError
from ..web.options import VerifyOptions, check_flags, verify_options
from .client_headers import token_headers
from .events import EventError, EventRequest, parse_event
from .settings import read_settings
from .verification import EventGuard, EventRecord, FunctionSessions

if TYPE_CHECKING:
    from ..config.config import AllowedTransfer, Config
    from ..sessions.session import Session
    from ..web.options import OverrideValidators

logger: logging.Logger = logging.getLogger("flask_stsession")

#: An authorizer: ``f(event, context)``, which returns a policy or a simple response.
Authorizer = Callable[..., dict[str, Any]]

#: How long (s) the gateway of an HTTP API waits for an authorizer (10 s), less the time to start it.
_LIMIT_SECONDS: Final = 9.0
#: A resource of a policy may be this long (characters).
_LONGEST_RESOURCE: Final = 512
#: Context and policy may be 8 KB together.
_LARGEST_ANSWER_BYTES: Final = 8000

#: ``arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/…``; in the console's test of an authorizer the stage is
#: ``*``.
_ARN: Final = re.compile(r"(arn:[^:/]*:execute-api:[^:/]*:[^:/]*:[^:/]+/[^/]+)/(.*)", re.DOTALL)
_BEARER: Final = "Bearer "


def make_authorizer(
    config: Mapping[str, Any] | None = None,
    *,
    transfer_method: Literal["any", "header", "cookie"] | None = None,
    session_required: bool = True,
    override_global_claim_validators: OverrideValidators | None = None,
    result_caching: bool = True,
    simple_responses: bool = False,
    get_email: Callable[[str, str], str | None] | None = None,
) -> Authorizer:
    """Return a Lambda authorizer: the handler of a function that API Gateway calls before the integration.

    ::

        authorizer = make_authorizer()

    It serves REST APIs (TOKEN and REQUEST), HTTP APIs (payload 1.0 and 2.0) and WebSocket APIs
    (``$connect``). It allows a request with a valid session, with ``userId``, ``sessionHandle`` and
    ``tenantId`` in the context, and the user id as ``principalId``. Without a session, or with an expired
    one, it raises ``Exception("Unauthorized")``, which the gateway turns into a 401. It denies a request with
    failed claims, on REST APIs with the JSON text of the 403 in the context under ``body``. During an outage
    it raises another error, for a 500.

    A cached result applies to all routes of the stage that use the authorizer, so it allows the whole stage,
    and can serve one transfer method only. The gateway uses it until the TTL ends, even after the session has
    expired or was revoked: set the TTL to 60 s at most. ``docs/aws-lambda.md`` lists the identity sources.

    :param config: a mapping of ``STSESSION_`` keys; ``None``: the environment, as for
        :func:`verify_session_event`.
    :param transfer_method: the only transfer method to read tokens from. By default ``"header"`` with
        ``result_caching``, else what ``STSESSION_TOKEN_TRANSFER_METHOD`` allows.
    :param session_required: ``False`` allows requests without a session, with ``principalId`` ``""``; needs
        ``result_caching=False``.
    :param override_global_claim_validators: ``f(global_validators, session, user_context)``, which returns
        the validators to run; there are no global ones here.
    :param result_caching: whether the gateway caches results. ``False`` allows exactly the requested
        resource, and passes on a changed cookie under ``setCookie``, with its ``frontToken``.
    :param simple_responses: the HTTP API expects ``{"isAuthorized": …}`` rather than a policy.
    :param get_email: ``f(user_id, tenant_id)``, for ``EmailVerificationClaim``.
    :returns: ``authorizer(event, context=None)``.
    :raises ConfigError: a setting is wrong, or a combination cannot work: an optional session, several
        transfer methods, or ``VIA_ORIGIN`` by cookie, with cached results.
    :raises TypeError: an argument has the wrong type.
    """
    if callable(config):
        raise TypeError(
            "make_authorizer() returns a handler and is not a decorator, so it does not take "
            f"{config!r:.100}: write authorizer = make_authorizer()."
        )
    check_flags("make_authorizer()", result_caching=result_caching, simple_responses=simple_responses)
    options = verify_options(
        "make_authorizer()",
        # A result that was cached for a GET is used for a POST as well.
        anti_csrf_check=True if result_caching else None,
        session_required=session_required,
        override_global_claim_validators=override_global_claim_validators,
    )
    sessions = FunctionSessions(read_settings(config), get_email=get_email)
    transfer = _checked_transfer(sessions.config, transfer_method, options, result_caching=result_caching)
    answers = _Answers(sessions, result_caching=result_caching, simple_responses=simple_responses)
    guard = EventGuard(sessions, options, transfer=transfer)

    def authorizer(event: object, context: object = None) -> dict[str, Any]:
        sessions.begin(context, limit_seconds=_LIMIT_SECONDS)
        answer = _authorized(event, guard, answers)
        if answer is None:
            # API Gateway looks for exactly this message. Anything else becomes a 500.
            raise Exception("Unauthorized")
        return answer

    return authorizer


def _checked_transfer(
    config: Config, transfer_method: object, options: VerifyOptions, *, result_caching: bool
) -> AllowedTransfer | None:
    """Return the transfer method to look at; ``None`` for what the settings allow.

    :raises ConfigError: it cannot work with cached results, or with the settings.
    """
    if transfer_method not in (None, "any", "header", "cookie"):
        raise ConfigError(
            "make_authorizer() takes 'header', 'cookie' or 'any' as transfer_method, not "
            f"{transfer_method!r}."
        )
    transfer = config.checked_transfer_method(transfer_method or ("header" if result_caching else "any"))
    setting = config.token_transfer_method
    if setting in ("header", "cookie") and transfer not in ("any", setting):
        raise ConfigError(
            f"make_authorizer() would look for tokens by {transfer} only, but "
            f"STSESSION_TOKEN_TRANSFER_METHOD = {setting!r} allows none. Write transfer_method={setting!r}."
        )
    if not result_caching:
        return None if transfer == "any" else transfer
    if transfer == "any":
        raise ConfigError(
            "make_authorizer() got transfer_method='any', but an authorizer whose results are cached is "
            "called only if the request has all its identity sources, so it can serve one transfer method. "
            "Write transfer_method='header' or 'cookie', or result_caching=False."
        )
    if not options.session_required:
        raise ConfigError(
            "make_authorizer() got session_required=False, but an authorizer whose results are cached is not "
            "called for requests without a token. Write result_caching=False and remove the identity sources."
        )
    mode = config.anti_csrf_of_all_requests
    if transfer == "cookie" and (mode == "VIA_ORIGIN" or (mode is None and config.login_url is not None)):
        raise ConfigError(
            "make_authorizer() caches results of sessions by cookie, but STSESSION_ANTI_CSRF = 'VIA_ORIGIN' "
            "checks headers that some requests do not have. They cannot be identity sources, so a cached "
            "result would allow requests from other sites. Write STSESSION_ANTI_CSRF = 'VIA_CUSTOM_HEADER' "
            "and add the header rid to the identity sources, or write result_caching=False."
        )
    return transfer


def _authorized(event: object, guard: EventGuard, answers: _Answers) -> dict[str, Any] | None:
    """Return the answer to a gateway; ``None`` for a 401."""
    try:
        request, arn = _parse(event)
        return _answer_to(request, arn, guard, answers)
    except EventError as error:
        logger.warning("401 for an event: %s", error)
        return None


def _answer_to(
    request: EventRequest, arn: str, guard: EventGuard, answers: _Answers
) -> dict[str, Any] | None:
    record = EventRecord()
    try:
        session = guard.session(request, record)
    except (UnauthorisedError, TryRefreshTokenError):
        return None
    except InvalidClaimsError as error:
        return answers.deny(request, arn, error)
    return answers.allow(request, arn, session, record)


def _parse(event: object) -> tuple[EventRequest, str]:
    """Return the request in the event of an authorizer, and the ARN that it asks for.

    :raises EventError: it is not the event of an authorizer.
    """
    if not isinstance(event, Mapping):
        raise EventError(f"the event must be an object, not {type(event).__name__}.")
    key = "routeArn" if event.get("version") == "2.0" else "methodArn"
    arn = event.get(key)
    matched = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    if not isinstance(arn, str) or matched is None:
        raise EventError(f"{key!r} of the event must be the ARN of a method or route.")
    if event.get("type") != "TOKEN":
        return parse_event(event), arn
    token = event.get("authorizationToken")
    if not isinstance(token, str):
        raise EventError(f"'authorizationToken' of the event must be text, not {type(token).__name__}.")
    # RFC 9110, 11.1: the scheme may be in any case.
    bearer = token if token[: len(_BEARER)].lower() == _BEARER.lower() else _BEARER + token
    method, _, path = matched[2].partition("/")
    sent = {**event, "path": f"/{path}"}
    return EventRequest(sent, {}, "1.0", method or "GET", {"authorization": bearer}), arn


class _Answers:
    """Writes the answers of an authorizer: policies, or simple responses."""

    def __init__(self, sessions: FunctionSessions, *, result_caching: bool, simple_responses: bool) -> None:
        self._sessions = sessions
        self._result_caching = result_caching
        self._simple_responses = simple_responses

    def allow(
        self, request: EventRequest, arn: str, session: Session | None, record: EventRecord
    ) -> dict[str, Any]:
        """Allow a request, and put what the integration may need of the session into the context."""
        context: dict[str, str] = {}
        if session is not None:
            context = {
                "userId": session.get_user_id(),
                "sessionHandle": session.get_handle(),
                "tenantId": session.get_tenant_id(),
            }
        principal = context.get("userId", "")
        with_cookie = {**context, **self._changed_cookie(request, record)}
        answer = self._answer(request, arn, "Allow", principal, with_cookie)
        if len(with_cookie) > len(context) and _size_of(answer) > _LARGEST_ANSWER_BYTES:
            logger.warning(
                "A changed cookie of session %s is not sent, as it does not fit into the context of an "
                "authorizer (8 KB). The client gets it at its next refresh.",
                context["sessionHandle"],
            )
            answer = self._answer(request, arn, "Allow", principal, context)
        return answer

    def deny(self, request: EventRequest, arn: str, error: InvalidClaimsError) -> dict[str, Any]:
        """Deny a request, with the body of the 403 where a gateway can send it."""
        # An HTTP API sends no body of ours, and fails on JSON text in a cached context. No page can read the
        # response to a handshake.
        if self._is_of_http_api(request) or request.is_of_socket:
            return self._answer(request, arn, "Deny", "", {})
        body = error.body()
        failed = body["claimValidationErrors"]
        answer: dict[str, Any] = {}
        for errors in (failed, [{"id": each["id"]} for each in failed], []):
            text = json.dumps({**body, "claimValidationErrors": errors})
            answer = self._answer(request, arn, "Deny", "", {"body": text})
            if _size_of(answer) <= _LARGEST_ANSWER_BYTES:
                break
        return answer

    def _answer(
        self, request: EventRequest, arn: str, effect: str, principal: str, context: dict[str, str]
    ) -> dict[str, Any]:
        if self._simple_responses and request.format == "2.0":
            simple: dict[str, Any] = {"isAuthorized": effect == "Allow"}
            return {**simple, "context": context} if context else simple
        statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": self._resource(arn)}
        answer: dict[str, Any] = {
            "principalId": principal,
            "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        }
        return {**answer, "context": context} if context else answer

    def _resource(self, arn: str) -> str:
        """Return the resource of a policy: the requested ARN, or the whole stage."""
        if not self._result_caching and len(arn) <= _LONGEST_RESOURCE:
            return arn
        # Not STAGE/*/*: the ARNs of $connect and $default have one part after the stage.
        return _ARN.sub(r"\1/*", arn)

    def _changed_cookie(self, request: EventRequest, record: EventRecord) -> dict[str, str]:
        """Return the cookie to set on the client, if it has changed and no other request could receive it."""
        changes = record.pending
        if self._result_caching or changes is None or changes.issued is None:
            return {}
        if changes.issued.method != "cookie":
            return {}
        headers = token_headers(self._sessions.config, request, changes, turns=self._sessions.turns)
        cookies = [value for name, value in headers if name == "Set-Cookie"]
        return {"setCookie": ", ".join(cookies), "frontToken": dict(headers)[FRONT_TOKEN_HEADER]}

    @staticmethod
    def _is_of_http_api(request: EventRequest) -> bool:
        return "version" in request.event


def _size_of(answer: dict[str, Any]) -> int:
    return len(json.dumps(answer).encode())
