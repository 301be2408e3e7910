"""The functions of this package: the methods of the current app's extension object."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from .extension import STSession
from .web.context import current_extension
from .web.navigation import next_url as next_url

if TYPE_CHECKING:
    from flask import Request

    from .sessions.session import Session
    from .web.verify import OverrideValidators

P = ParamSpec("P")
R = TypeVar("R")


def _function(method: Callable[Concatenate[STSession, P], R]) -> Callable[P, R]:
    """The method of the same name of whatever subclass the current app uses."""
    name = method.__name__

    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        bound: Callable[P, R] = getattr(current_extension(), name)
        return bound(*args, **kwargs)

    return function


create_new_session = _function(STSession.create_new_session)
refresh_session = _function(STSession.refresh_session)
sign_out = _function(STSession.sign_out)
create_new_session_without_request_response = _function(STSession.create_new_session_without_request_response)
get_session_without_request_response = _function(STSession.get_session_without_request_response)
refresh_session_without_request_response = _function(STSession.refresh_session_without_request_response)
verify_access_token = _function(STSession.verify_access_token)

revoke_session = _function(STSession.revoke_session)
revoke_multiple_sessions = _function(STSession.revoke_multiple_sessions)
revoke_all_sessions_for_user = _function(STSession.revoke_all_sessions_for_user)
get_all_session_handles_for_user = _function(STSession.get_all_session_handles_for_user)
list_sessions = _function(STSession.list_sessions)
get_session_information = _function(STSession.get_session_information)
update_session_data_in_database = _function(STSession.update_session_data_in_database)
merge_into_access_token_payload = _function(STSession.merge_into_access_token_payload)
validate_claims_for_session_handle = _function(STSession.validate_claims_for_session_handle)

sync_get_claim_value = _function(STSession.sync_get_claim_value)
get_claim_value = _function(STSession.get_claim_value)
fetch_and_set_claim = _function(STSession.fetch_and_set_claim)
set_claim_value = _function(STSession.set_claim_value)
remove_claim = _function(STSession.remove_claim)

create_jwt = _function(STSession.create_jwt)
get_jwks = _function(STSession.get_jwks)
get_open_id_discovery_configuration = _function(STSession.get_open_id_discovery_configuration)

get_all_cors_headers = STSession.get_all_cors_headers
openapi_security_schemes = STSession.openapi_security_schemes


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
    session: Session | None = current_extension().get_session(*args, **kwargs)
    return session
