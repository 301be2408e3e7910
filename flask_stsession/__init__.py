"""SuperTokens sessions for Flask, verified in microseconds, with or without a core.

Names are imported when first used (PEP 562), so that ``flask_stsession.claims`` and the lower layers
can be used where there is no Flask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from .core.models import SessionInformation as SessionInformation
    from .errors import (
        ClaimValidationError as ClaimValidationError,
        ClearDuplicateSessionCookiesError as ClearDuplicateSessionCookiesError,
        ConfigError as ConfigError,
        CoreError as CoreError,
        CoreUnavailableError as CoreUnavailableError,
        InvalidClaimsError as InvalidClaimsError,
        ProtectedClaimError as ProtectedClaimError,
        Reason as Reason,
        SessionDoesNotExistError as SessionDoesNotExistError,
        SessionHTTPError as SessionHTTPError,
        STSessionError as STSessionError,
        TokenTheftError as TokenTheftError,
        TryRefreshTokenError as TryRefreshTokenError,
        UnauthorisedError as UnauthorisedError,
        raise_invalid_claims_exception as raise_invalid_claims_exception,
    )
    from .extension import STSession as STSession
    from .functions import (
        create_jwt as create_jwt,
        create_new_session as create_new_session,
        create_new_session_without_request_response as create_new_session_without_request_response,
        fetch_and_set_claim as fetch_and_set_claim,
        get_all_cors_headers as get_all_cors_headers,
        get_all_session_handles_for_user as get_all_session_handles_for_user,
        get_claim_value as get_claim_value,
        get_jwks as get_jwks,
        get_open_id_discovery_configuration as get_open_id_discovery_configuration,
        get_session as get_session,
        get_session_information as get_session_information,
        get_session_without_request_response as get_session_without_request_response,
        list_sessions as list_sessions,
        merge_into_access_token_payload as merge_into_access_token_payload,
        next_url as next_url,
        openapi_security_schemes as openapi_security_schemes,
        refresh_session as refresh_session,
        refresh_session_without_request_response as refresh_session_without_request_response,
        remove_claim as remove_claim,
        revoke_all_sessions_for_user as revoke_all_sessions_for_user,
        revoke_multiple_sessions as revoke_multiple_sessions,
        revoke_session as revoke_session,
        set_claim_value as set_claim_value,
        sign_out as sign_out,
        sync_get_claim_value as sync_get_claim_value,
        update_session_data_in_database as update_session_data_in_database,
        validate_claims_for_session_handle as validate_claims_for_session_handle,
        verify_access_token as verify_access_token,
        verify_oauth2_access_token as verify_oauth2_access_token,
    )
    from .sessions.session import Session as Session, SessionContainer as SessionContainer
    from .web.guards import session_exempt as session_exempt, verify_session as verify_session
    from .web.options import any_of as any_of
    from .web.proxies import current_session as current_session, current_user as current_user

_HOMES = {
    "core.models": ("SessionInformation",),
    "web.guards": ("session_exempt", "verify_session"),
    "web.options": ("any_of",),
    "errors": (
        "ClaimValidationError",
        "ClearDuplicateSessionCookiesError",
        "ConfigError",
        "CoreError",
        "CoreUnavailableError",
        "InvalidClaimsError",
        "ProtectedClaimError",
        "Reason",
        "STSessionError",
        "SessionDoesNotExistError",
        "SessionHTTPError",
        "TokenTheftError",
        "TryRefreshTokenError",
        "UnauthorisedError",
        "raise_invalid_claims_exception",
    ),
    "extension": ("STSession",),
    "functions": (
        "create_jwt",
        "create_new_session",
        "create_new_session_without_request_response",
        "fetch_and_set_claim",
        "get_all_cors_headers",
        "get_all_session_handles_for_user",
        "get_claim_value",
        "get_jwks",
        "get_open_id_discovery_configuration",
        "get_session",
        "get_session_information",
        "get_session_without_request_response",
        "list_sessions",
        "merge_into_access_token_payload",
        "next_url",
        "openapi_security_schemes",
        "refresh_session",
        "refresh_session_without_request_response",
        "remove_claim",
        "revoke_all_sessions_for_user",
        "revoke_multiple_sessions",
        "revoke_session",
        "set_claim_value",
        "sign_out",
        "sync_get_claim_value",
        "update_session_data_in_database",
        "validate_claims_for_session_handle",
        "verify_access_token",
        "verify_oauth2_access_token",
    ),
    "web.proxies": ("current_session", "current_user"),
    "sessions.session": ("Session", "SessionContainer"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # type checkers read the redundant aliases above instead
    __all__ = list(_HOME_OF)


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME_OF)
