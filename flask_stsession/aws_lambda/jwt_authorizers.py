"""Read and check the claims of a session behind a JWT authorizer of an HTTP API.

The gateway verifies the token of a request, and checks issuer, audience and expiry, but none of our claims.
It passes the payload on as strings, from which nested values cannot be restored, so the claims are read from
the token in the event's header. The token is trusted only if the strings are about the same token.

Source: "Control access to HTTP APIs with JWT authorizers" in the API Gateway developer guide.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ..claims.validation import claims_context, failed_validators, refusal_for
from ..errors import Reason, UnauthorisedError
from ..tokens import access_token as tokens
from ..tokens.masked import MaskedToken
from ..web.options import checked_validators
from .events import parse_event

if TYPE_CHECKING:
    from ..claims.base import SessionClaimValidator
    from ..tokens.access_token import AccessToken
    from .events import EventRequest

_BEARER: Final = "bearer "
#: A whole number as a gateway may write it: ``1764115200``, or as Go prints floats, ``1.7641152e+09``.
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?(e\+[0-9]{2})?", re.ASCII)


def claims_from_jwt_authorizer(event: object) -> dict[str, Any]:
    """Return the payload of the access token that a JWT authorizer has verified.

    The claims in it are not checked: see :func:`assert_jwt_authorizer_claims`.

    :param event: of an HTTP API (payload 2.0 or 1.0), from a route with a JWT authorizer whose identity
        source is ``$request.header.Authorization``. With another source, nobody has verified the token.
    :raises UnauthorisedError: no JWT authorizer has verified the request, or the event's header has no token,
        or a different one from the token that the gateway verified.
    :raises EventError: it is not an event of a gateway.
    """
    return _verified_token(event).payload()


def assert_jwt_authorizer_claims(event: object, validators: Iterable[SessionClaimValidator]) -> None:
    """Check the claims of a session behind a JWT authorizer, as a guard does, but without the core.

    Nothing is refetched: a claim that is missing fails, and ``STSESSION_CLAIM_MAX_AGE_SECONDS`` does not
    apply. An age given to the validator does.

    ::

        assert_jwt_authorizer_claims(event, [EmailVerificationClaim.validators.is_verified()])

    :param event: as for :func:`claims_from_jwt_authorizer`.
    :param validators: what the session has to satisfy.
    :raises InvalidClaimsError: a validator failed; the error lists all that did.
    :raises UnauthorisedError: as :func:`claims_from_jwt_authorizer` does.
    :raises TypeError: this is not a list of validators.
    """
    required = checked_validators("assert_jwt_authorizer_claims()", validators)
    token = _verified_token(event)
    payload = token.payload()
    context = claims_context(
        {},
        extension=_NO_SOURCES,
        recipe_user_id=token.recipe_user_id,
        payload=payload,
        now_ms=int(time.time() * 1000),
    )
    failures = failed_validators(required, payload, user_context=context, ensure_sync=None)
    if failures:
        raise refusal_for(failures)


class _NoSources:
    """Stands in for the extension where built-in claims cannot be fetched."""

    #: The age (s) from which claims are refetched; ``None``: never.
    claim_max_age_seconds: float | None = None


_NO_SOURCES: Final = _NoSources()


def _verified_token(event: object) -> AccessToken:
    request = parse_event(event)
    vouched = _vouched_claims(request)
    value = request.headers.get("authorization", "").strip()
    if value[: len(_BEARER)].lower() == _BEARER:  # RFC 9110, 11.1: in any case
        value = value[len(_BEARER) :].strip()
    if not value:
        raise _refused(
            "The event has no header Authorization to read the claims from. Give the JWT authorizer the "
            "identity source $request.header.Authorization.",
            Reason.NO_TOKEN,
        )
    token = tokens.parse(MaskedToken(value))
    if token is None:
        raise _refused("The value of the event's header Authorization is not a session token.")
    for key, own in (("sub", token.user_id), ("sessionHandle", token.session_handle)):
        if vouched.get(key) != own:
            raise _refused(f"The event's token has a different {key} from the one that the gateway verified.")
    if not _is_number(vouched.get("exp"), token.expires_at):
        raise _refused("The event's token has a different exp from the one that the gateway verified.")
    return token


def _vouched_claims(request: EventRequest) -> Mapping[str, Any]:
    """Return the claims as the gateway has flattened them.

    A Lambda authorizer cannot write them: its context has another key in payload 2.0, and is not allowed a
    key ``claims`` in payload 1.0.
    """
    found: Any = request.context.get("authorizer")
    if request.format == "2.0":
        found = found.get("jwt") if isinstance(found, Mapping) else None
    elif request.event.get("version") != "1.0":
        found = None  # of a REST API, which has no JWT authorizers
    found = found.get("claims") if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise _refused(
            "No JWT authorizer has verified this request. Attach one to the route in API Gateway, or guard "
            "the function with verify_session_event()."
        )
    return found


def _refused(message: str, reason: Reason = Reason.MALFORMED) -> UnauthorisedError:
    return UnauthorisedError(message, reason=reason, clear_tokens=False)


def _is_number(found: object, expected: float) -> bool:
    """Return whether a claim, which the gateway may have turned into text, is this number."""
    if isinstance(found, str):
        return _NUMBER.fullmatch(found) is not None and Decimal(found) == Decimal(expected)
    return not isinstance(found, bool) and isinstance(found, int | float) and found == expected
