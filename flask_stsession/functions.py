"""The functions of this package: each calls a method of the current app's extension object."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from itertools import chain, repeat
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, TypeVar, overload

from flask import has_app_context

from .config.config import CookieNames
from .extension import STSession
from .tokens.masked import masked
from .web.context import current_app_state
from .web.transport import security_schemes

if TYPE_CHECKING:
    from flask import Request

    from .sessions.session import Session
    from .web.options import OverrideValidators

P = ParamSpec("P")
R = TypeVar("R")


def _function(method: Callable[Concatenate[STSession, P], R]) -> Callable[P, R]:
    """Return a function that calls the method of this name on the current app's extension object."""
    name = method.__name__
    parameters = [each for each in signature(method).parameters if each != "self"]
    others = [each for each in parameters if not each.endswith("token")]

    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        bound: Callable[P, R] = getattr(current_app_state().extension, name)
        if len(others) < len(parameters):
            by_place = zip(chain(parameters, repeat(None)), args, strict=False)
            args = tuple([value if key in others else masked(value) for key, value in by_place])  # type: ignore[assignment]
            kwargs = {key: value if key in others else masked(value) for key, value in kwargs.items()}  # type: ignore[assignment]
        return bound(*args, **kwargs)

    # A bound method, so that ``help`` shows the signature without ``self``.
    function.__wrapped__ = MethodType(method, current_app_state)
    return function


create_new_session: Final = _function(STSession.create_new_session)
refresh_session: Final = _function(STSession.refresh_session)
sign_out: Final = _function(STSession.sign_out)
create_new_session_without_request_response: Final = _function(
    STSession.create_new_session_without_request_response
)
get_session_without_request_response: Final = _function(STSession.get_session_without_request_response)
refresh_session_without_request_response: Final = _function(
    STSession.refresh_session_without_request_response
)
verify_access_token: Final = _function(STSession.verify_access_token)
verify_oauth2_access_token: Final = _function(STSession.verify_oauth2_access_token)

revoke_session: Final = _function(STSession.revoke_session)
revoke_multiple_sessions: Final = _function(STSession.revoke_multiple_sessions)
revoke_all_sessions_for_user: Final = _function(STSession.revoke_all_sessions_for_user)
get_all_session_handles_for_user: Final = _function(STSession.get_all_session_handles_for_user)
list_sessions: Final = _function(STSession.list_sessions)
get_session_information: Final = _function(STSession.get_session_information)
update_session_data_in_database: Final = _function(STSession.update_session_data_in_database)
merge_into_access_token_payload: Final = _function(STSession.merge_into_access_token_payload)
validate_claims_for_session_handle: Final = _function(STSession.validate_claims_for_session_handle)

sync_get_claim_value: Final = _function(STSession.sync_get_claim_value)
get_claim_value: Final = _function(STSession.get_claim_value)
fetch_and_set_claim: Final = _function(STSession.fetch_and_set_claim)
set_claim_value: Final = _function(STSession.set_claim_value)
remove_claim: Final = _function(STSession.remove_claim)

create_jwt: Final = _function(STSession.create_jwt)
get_jwks: Final = _function(STSession.get_jwks)
get_open_id_discovery_configuration: Final = _function(STSession.get_open_id_discovery_configuration)

get_all_cors_headers: Final = STSession.get_all_cors_headers
next_url: Final = _function(STSession.next_url)


def openapi_security_schemes() -> dict[str, Any]:
    """Return security schemes of protected views, for ``components.securitySchemes`` (OpenAPI 3.1).

    Without an app context, the name of the cookie has no ``STSESSION_COOKIE_PREFIX``.
    """
    if has_app_context():
        return current_app_state().extension.openapi_security_schemes()
    return security_schemes(CookieNames.with_prefix(""))


@overload
def get_session(
    request: Request | None = None,
    session_required: Literal[True] = True,
    anti_csrf_check: bool | None = None,
    check_database: bool | None = None,
    override_global_claim_validators: OverrideValidators | None = None,
) -> Session: ...


@overload
def get_session(
    request: Request | None = None,
    session_required: bool = True,
    anti_csrf_check: bool | None = None,
    check_database: bool | None = None,
    override_global_claim_validators: OverrideValidators | None = None,
) -> Session | None: ...


@wraps(STSession.get_session)
def get_session(*args: Any, **kwargs: Any) -> Session | None:
    session: Session | None = current_app_state().extension.get_session(*args, **kwargs)
    return session


get_session.__wrapped__ = MethodType(STSession.get_session, current_app_state)  # type: ignore[attr-defined]
